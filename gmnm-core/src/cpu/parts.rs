//! Sums over rows in parts that threads share.

use std::ops::Range;

use super::parallel::*;
use super::scratch::Aligned;
use super::simd::lanes::Real;

/// Partial sums may take this much memory.
const PARTIALS: usize = 16 << 20;

/// `len` sums over `rows` rows, of which `add` adds a range. Each part of the rows has sums of its own, and those are
/// added in order.
pub(super) fn sum_of_parts<R: Real>(
    rows: usize,
    len: usize,
    add: impl Fn(Range<usize>, &mut [R]) + Sync,
) -> Aligned {
    let parts = rows.min((PARTIALS / (len * size_of::<R>()).max(1)).clamp(4, 32));
    let partials: Vec<Aligned> = (0..parts)
        .into_par_iter()
        .map(|i| {
            let mut sums = Aligned::zeros::<R>(len);
            let range = i * rows / parts..(i + 1) * rows / parts;
            add(range, sums.slice_mut(len));
            sums
        })
        .collect();
    const CHUNK: usize = 4096;
    let mut total = Aligned::zeros::<R>(len);
    total
        .slice_mut::<R>(len)
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(i, total)| {
            for partial in &partials {
                let part = &partial.slice::<R>(len)[i * CHUNK..][..total.len()];
                for (sum, &value) in total.iter_mut().zip(part) {
                    *sum += value;
                }
            }
        });
    total
}
