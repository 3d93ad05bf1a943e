//! The passes of a convolution over a batch: who pads which image, and who computes which positions.

use std::ops::Range;

use super::geometry::Passes;
use crate::cpu::parallel::*;
use crate::cpu::scratch::{Aligned, Plain, with_scratch};
use crate::cpu::simd::stored::Stored;

/// A pointer into an output whose parts are written by different threads.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: tasks write disjoint elements.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `offset` elements further, which must lie inside the allocation to be used.
    pub(crate) fn at(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset))
    }
}

/// How the passes of a convolution are computed.
pub(crate) trait Convolve<T: Stored>: Sync {
    /// What padded images are made of.
    type Element: Plain + Send + Sync;

    /// The image as it is, where that is its padded form.
    fn as_is(image: &[T]) -> Option<&[Self::Element]>;
    /// Elements of a padded image.
    fn padded_len(&self) -> usize;
    /// Pads an image.
    fn pad(&self, image: &[T], padded: &mut [Self::Element]);
    /// Computes a range of positions of pass `pass` on a padded image. `y` is the start of the image that is made.
    fn positions(&self, pass: usize, image: &[Self::Element], y: Shared<T>, range: Range<usize>);
}

/// All passes over the images `x`.
pub(crate) fn run<T: Stored, C: Convolve<T>>(passes: &Passes, x: &[T], work: &C) -> Vec<T> {
    let len = passes.n * passes.image_out;
    let mut y = Vec::with_capacity(len);
    if len > 0 {
        fill(passes, x, work, Shared(y.as_mut_ptr()));
    }
    // SAFETY: every pass writes all positions of its phase, and the phases cover the image.
    unsafe { y.set_len(len) };
    y
}

fn fill<T: Stored, C: Convolve<T>>(passes: &Passes, x: &[T], work: &C, y: Shared<T>) {
    let threads = rayon::current_num_threads();
    let image = |i: usize| &x[i * passes.image_in..(i + 1) * passes.image_in];
    let as_is = |image| C::as_is(image).filter(|_| passes.border.is_none());
    if passes.n >= threads {
        (0..passes.n).into_par_iter().for_each(|i| {
            let y = y.at(i * passes.image_out);
            let all = |image: &[C::Element]| {
                for (p, pass) in passes.all.iter().enumerate() {
                    work.positions(p, image, y, 0..pass.grid.height * pass.grid.width);
                }
            };
            let image = image(i);
            match as_is(image) {
                Some(image) => all(image),
                None => with_scratch(work.padded_len(), |buffer| {
                    work.pad(image, buffer);
                    all(buffer);
                }),
            }
        });
        return;
    }
    // Fewer images than threads: the positions of each image are shared out too.
    let parts = (2 * threads).div_ceil(passes.n);
    for i in 0..passes.n {
        let (image, y) = (image(i), y.at(i * passes.image_out));
        let len = work.padded_len();
        let mut buffer = Aligned::zeros::<C::Element>(len);
        let image = match as_is(image) {
            Some(image) => image,
            None => {
                work.pad(image, buffer.slice_mut(len));
                buffer.slice(len)
            }
        };
        for (p, pass) in passes.all.iter().enumerate() {
            let positions = pass.grid.height * pass.grid.width;
            let part = positions.div_ceil(parts).max(1);
            (0..positions.div_ceil(part)).into_par_iter().for_each(|j| {
                let range = j * part..positions.min((j + 1) * part);
                work.positions(p, image, y, range);
            });
        }
    }
}
