//! Freshly allocated results that several threads fill.

use std::mem::MaybeUninit;

use super::parallel::*;

/// A vector of `len` elements, each chunk of `chunk` (the last may be shorter) filled by `fill(index, start, length)`, on
/// all threads.
///
/// Leaving the memory uninitialised until then saves a pass over it.
///
/// # Safety
/// `fill` writes all elements of the chunk and no others.
pub(super) unsafe fn filled_by<T: Send>(
    len: usize,
    chunk: usize,
    fill: impl Fn(usize, *mut T, usize) + Sync + Send,
) -> Vec<T> {
    let mut out = Vec::with_capacity(len);
    out.spare_capacity_mut()[..len]
        .par_chunks_mut(chunk.max(1))
        .enumerate()
        .for_each(|(i, part): (usize, &mut [MaybeUninit<T>])| {
            fill(i, part.as_mut_ptr().cast(), part.len());
        });
    // SAFETY: every chunk was filled.
    unsafe { out.set_len(len) };
    out
}
