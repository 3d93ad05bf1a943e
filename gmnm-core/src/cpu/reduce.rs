//! Sums over rows.

use super::output::filled_by;
use super::parallel::*;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;

/// Rows per partial sum: fixed, so that the result does not depend on the number of threads.
const BLOCK: usize = 256;

/// The sum of the rows of `x` `[rows, channels]`, accumulated in f64 over blocks of rows.
pub(crate) fn column_sums<T: Stored>(isa: Isa, x: &[T], channels: usize) -> Vec<T::Real> {
    let partials: Vec<Vec<T::Real>> = x
        .par_chunks(BLOCK * channels.max(1))
        .map(|rows| {
            let mut sums = vec![T::Real::default(); channels];
            T::run(
                isa,
                AddRows {
                    rows,
                    sums: &mut sums,
                },
            );
            sums
        })
        .collect();
    let mut total = vec![0f64; channels];
    for partial in partials {
        for (total, value) in total.iter_mut().zip(partial) {
            *total += value.to_f64();
        }
    }
    total.into_iter().map(T::Real::from_f64).collect()
}

/// The mean of each image's rows: `[n, positions, channels]` to `[n, channels]`.
pub(crate) fn image_means<T: Stored>(
    isa: Isa,
    x: &[T],
    positions: usize,
    channels: usize,
) -> Vec<T::Real> {
    let image = positions * channels;
    let mut means = vec![T::Real::default(); x.len() / positions.max(1)];
    let scale = T::Real::from_f64(1.0 / positions as f64);
    means
        .par_chunks_mut(channels.max(1))
        .zip(x.par_chunks(image.max(1)))
        .for_each(|(sums, rows)| {
            T::run(isa, AddRows { rows, sums });
            for sum in sums {
                *sum *= scale;
            }
        });
    means
}

/// `dy` `[n, channels]` over `positions`, at each position: the gradient of [`image_means`].
pub(crate) fn image_means_gradient<T: Stored>(
    dy: &[T::Real],
    positions: usize,
    channels: usize,
) -> Vec<T> {
    let scale = T::Real::from_f64(1.0 / positions as f64);
    let mut dx = vec![T::default(); dy.len() * positions];
    dx.par_chunks_mut((positions * channels).max(1))
        .zip(dy.par_chunks(channels.max(1)))
        .for_each(|(dx, dy)| {
            for row in dx.chunks_exact_mut(channels) {
                for (dx, &dy) in row.iter_mut().zip(dy) {
                    *dx = T::narrow(dy * scale);
                }
            }
        });
    dx
}

struct AddRows<'a, T: Stored> {
    rows: &'a [T],
    sums: &'a mut [T::Real],
}

impl<T: Stored> Kernel<T::Real> for AddRows<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        for row in self.rows.chunks_exact(self.sums.len().max(1)) {
            for (sum, &value) in self.sums.iter_mut().zip(row) {
                *sum += value.widen();
            }
        }
    }
}

/// Elements that one task adds.
const CHUNK: usize = 1 << 15;

/// `x` + `y`, element by element.
///
/// # Panics
/// When their lengths differ.
pub(crate) fn sums<T: Stored>(x: &[T], y: &[T]) -> Vec<T> {
    assert_eq!(x.len(), y.len());
    // SAFETY: each chunk is written from its first element to its last.
    unsafe {
        filled_by(x.len(), CHUNK, |i, out: *mut T, len| {
            let at = i * CHUNK..i * CHUNK + len;
            for (k, (&x, &y)) in x[at.clone()].iter().zip(&y[at]).enumerate() {
                out.add(k).write(T::narrow(x.widen() + y.widen()));
            }
        })
    }
}

/// `x` as another type of element.
pub(crate) fn narrowed<A: Stored, B: Stored<Real = A::Real>>(x: &[A]) -> Vec<B> {
    // SAFETY: each chunk is written from its first element to its last.
    unsafe {
        filled_by(x.len(), CHUNK, |i, out: *mut B, len| {
            let x = &x[i * CHUNK..][..len];
            Isa::best().run_bf16(Convert { x, out });
        })
    }
}

struct Convert<'a, A, B> {
    x: &'a [A],
    out: *mut B,
}

impl<A: Stored, B: Stored<Real = A::Real>> Kernel<A::Real> for Convert<'_, A, B> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = A::Real>, const ROWS: usize, const COLS: usize>(self) {
        for i in (0..self.x.len()).step_by(V::COUNT) {
            let left = self.x.len() - i;
            // SAFETY: the caller checked the features; `left` elements are readable and writable.
            unsafe {
                let zero = V::splat(A::Real::default());
                let value = A::load_some(self.x.as_ptr().add(i), left, zero);
                B::store_some(value, self.out.add(i), left);
            }
        }
    }
}

/// The maxima of each image's channels over all positions, `[n, positions, channels]` to `[n, channels]`, and the
/// position of each: the first of equals; a NaN wins.
pub(crate) fn image_maxima<T: Stored>(
    x: &[T],
    positions: usize,
    channels: usize,
) -> (Vec<T::Real>, Vec<u32>) {
    let image = positions * channels;
    let mut y = vec![T::Real::default(); x.len() / positions.max(1)];
    let mut places = vec![0u32; y.len()];
    y.par_chunks_mut(channels.max(1))
        .zip(places.par_chunks_mut(channels.max(1)))
        .zip(x.par_chunks(image.max(1)))
        .for_each(|((y, places), x)| {
            for (best, &x) in y.iter_mut().zip(x) {
                *best = x.widen();
            }
            for (position, x) in x.chunks_exact(channels).enumerate().skip(1) {
                for ((best, at), &x) in y.iter_mut().zip(places.iter_mut()).zip(x) {
                    let value = x.widen();
                    #[allow(clippy::eq_op)]
                    let wins = (value > *best) | (value != value);
                    *best = if wins { value } else { *best };
                    *at = if wins { position as u32 } else { *at };
                }
            }
        });
    (y, places)
}

/// The gradient of the input of [`image_maxima`].
pub(crate) fn image_maxima_gradient<T: Stored>(
    dy: &[T::Real],
    places: &[u32],
    positions: usize,
    channels: usize,
) -> Vec<T> {
    let mut dx = vec![T::default(); dy.len() * positions];
    dx.par_chunks_mut((positions * channels).max(1))
        .zip(dy.par_chunks(channels.max(1)))
        .zip(places.par_chunks(channels.max(1)))
        .for_each(|((dx, dy), places)| {
            for (c, (&dy, &place)) in dy.iter().zip(places).enumerate() {
                dx[place as usize * channels + c] = T::narrow(dy);
            }
        });
    dx
}
