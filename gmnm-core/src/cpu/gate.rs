//! One factor for each channel of an image.

use super::output::filled_by;
use super::parallel::*;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;

/// `x` `[n, positions, channels]` times 1 + `gate` `[n, channels]`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    x: &[T],
    gate: &[T::Real],
    positions: usize,
    channels: usize,
) -> Vec<T> {
    assert_eq!(x.len(), gate.len() * positions);
    let image = positions * channels;
    // SAFETY: the kernel writes every element of the image.
    unsafe {
        filled_by(x.len(), image, |i, y, len| {
            let gate = &gate[i * channels..(i + 1) * channels];
            let x = &x[i * image..][..len];
            T::run(isa, Scale { x, gate, y });
        })
    }
}

/// The gradients of `x` and `gate` in [`forward`].
///
/// # Panics
/// When a length does not fit.
pub(crate) fn backward<T: Stored>(
    isa: Isa,
    x: &[T],
    gate: &[T::Real],
    dy: &[T],
    positions: usize,
    channels: usize,
) -> (Vec<T>, Vec<T::Real>) {
    assert_eq!(x.len(), dy.len());
    let image = (positions * channels).max(1);
    let mut sums = vec![T::Real::default(); gate.len()];
    sums.par_chunks_mut(channels.max(1))
        .zip(x.par_chunks(image).zip(dy.par_chunks(image)))
        .for_each(|(sums, (x, dy))| T::run(isa, Products { x, dy, sums }));
    (forward(isa, dy, gate, positions, channels), sums)
}

/// One image times its factors.
struct Scale<'a, T: Stored> {
    x: &'a [T],
    gate: &'a [T::Real],
    y: *mut T,
}

impl<T: Stored> Kernel<T::Real> for Scale<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let channels = self.gate.len();
        // SAFETY: the caller checked the features; `count` channels of the row are left.
        unsafe {
            let (zero, one) = (
                V::splat(T::Real::default()),
                V::splat(T::Real::from_f64(1.0)),
            );
            for row in (0..self.x.len()).step_by(channels) {
                for c in (0..channels).step_by(V::COUNT) {
                    let count = V::COUNT.min(channels - c);
                    let gate = Stored::load_some(self.gate.as_ptr().add(c), count, zero);
                    let x: V = T::load_some(self.x.as_ptr().add(row + c), count, zero);
                    T::store_some(x.mul(one.add(gate)), self.y.add(row + c), count);
                }
            }
        }
    }
}

/// The sums over one image's positions of x · dy.
struct Products<'a, T: Stored> {
    x: &'a [T],
    dy: &'a [T],
    sums: &'a mut [T::Real],
}

impl<T: Stored> Kernel<T::Real> for Products<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let channels = self.sums.len();
        assert_eq!(self.x.len(), self.dy.len());
        // SAFETY: the caller checked the features; `count` channels of the row are left.
        unsafe {
            let zero = V::splat(T::Real::default());
            for c in (0..channels).step_by(V::COUNT) {
                let count = V::COUNT.min(channels - c);
                let mut sum = zero;
                for at in (c..self.x.len()).step_by(channels) {
                    let x: V = T::load_some(self.x.as_ptr().add(at), count, zero);
                    sum = T::load_some(self.dy.as_ptr().add(at), count, zero).mul_add(x, sum);
                }
                Stored::store_some(sum, self.sums.as_mut_ptr().add(c), count);
            }
        }
    }
}
