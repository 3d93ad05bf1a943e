//! Batch normalisation over rows of channels.

use std::marker::PhantomData;

use super::{Back, Backward, Coefficients, Gradients, Normal, Repeated, fold, register};
use crate::cpu::output::filled_by;
use crate::cpu::parallel::*;
use crate::cpu::simd::activation::{Activation, Function, with_function};
use crate::cpu::simd::isa::{Isa, Kernel};
use crate::cpu::simd::lanes::{Lanes, Real};
use crate::cpu::simd::stored::Stored;

/// Elements per block: a block of sums is f32, the blocks are added in f64. Fixed, so that the result does not depend
/// on the number of threads.
const BLOCK: usize = 16 * 1024;

/// Elements in a repetition: a row of channels, or as many rows as fill whole registers of `count`.
fn period(channels: usize, count: usize) -> usize {
    let mut period = channels;
    while !period.is_multiple_of(count) {
        period += channels;
    }
    period
}

/// Does `$body` for the register at `$c` of each whole row of a block, and for the elements that a shorter last row has of
/// it.
macro_rules! each_row {
    (($rows:expr, $rest:expr), $period:expr, $c:expr, $whole:expr, ($row:ident, $at:ident, $count:ident) => $body:block) => {
        for $row in 0..$rows {
            let ($at, $count) = ($row * $period + $c, $whole);
            $body
        }
        if $rest > $c {
            #[allow(unused_variables)]
            let ($row, $at, $count) = (0, $rows * $period + $c, $rest - $c);
            $body
        }
    };
}

/// Mean and (biased) variance of each channel of `x` `[rows, channels]`, in one pass.
///
/// The sums are taken around the mean of a few rows, so that they do not cancel when a channel's mean is large against
/// its spread.
pub(crate) fn moments<T: Stored>(isa: Isa, x: &[T], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = x.len() / channels;
    let samples = rows.min(16);
    let mut center = vec![0f64; channels];
    for i in 0..samples {
        let row = &x[i * rows / samples * channels..][..channels];
        for (center, &x) in center.iter_mut().zip(row) {
            *center += x.widen().to_f64() / samples as f64;
        }
    }
    // The value that is subtracted, rounded as it will be.
    for center in &mut center {
        *center = T::Real::from_f64(*center).to_f64();
    }
    let period = period(channels, isa.shape::<T::Real>().0);
    let prepared = Repeated::new::<T::Real>([&center], period);
    let [repeated] = prepared.view();
    let block = (BLOCK / period).max(1) * period;
    let partials: Vec<Vec<T::Real>> = x
        .par_chunks(block)
        .map(|x| {
            let mut sums = vec![T::Real::default(); 2 * period];
            T::run(
                isa,
                Moments {
                    x,
                    center: repeated,
                    sums: &mut sums,
                },
            );
            sums
        })
        .collect();
    let totals = fold::<T::Real>(&partials, channels);
    let n = rows as f64;
    let (mut mean, mut variance) = (Vec::new(), Vec::new());
    for (c, center) in center.iter().enumerate() {
        let offset = totals[c] / n;
        mean.push(center + offset);
        // Not max(0): a NaN must stay one.
        let spread = totals[channels + c] / n - offset * offset;
        variance.push(if spread < 0.0 { 0.0 } else { spread });
    }
    (mean, variance)
}

/// Sums of x − center and of its square over a block.
struct Moments<'a, T: Stored> {
    x: &'a [T],
    center: &'a [T::Real],
    sums: &'a mut [T::Real],
}

impl<T: Stored> Kernel<T::Real> for Moments<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let period = self.sums.len() / 2;
        let (rows, rest) = (self.x.len() / period, self.x.len() % period);
        let (x, sums) = (self.x.as_ptr(), self.sums.as_mut_ptr());
        for c in (0..period).step_by(V::COUNT) {
            // SAFETY: a period is a whole number of registers; all reads and writes lie inside the slices.
            unsafe {
                let center: V = register(self.center, c);
                let zero = V::splat(T::Real::default());
                // Two chains hide the latency of the additions.
                let (mut first, mut second) = ([zero; 2], [zero; 2]);
                each_row!((rows, rest), period, c, V::COUNT, (row, at, count) => {
                    let d = T::load_some(x.add(at), count, center).sub(center);
                    first[row % 2] = first[row % 2].add(d);
                    second[row % 2] = d.mul_add(d, second[row % 2]);
                });
                first[0].add(first[1]).store(sums.add(c));
                second[0].add(second[1]).store(sums.add(period + c));
            }
        }
    }
}

/// `activation((x − mean) · inv_std · scale + shift)`.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    x: &[T],
    coefficients: &Coefficients,
    activation: Activation,
) -> Vec<T> {
    let period = period(coefficients.mean.len(), isa.shape::<T::Real>().0);
    let prepared = coefficients.repeated::<T::Real>(period);
    let block = (BLOCK / period).max(1) * period;
    with_function!(activation, F => {
        // SAFETY: the kernel writes one output for each input of the block.
        unsafe {
            filled_by(x.len(), block, |i, y, len| {
                T::run(isa, Forward::<F, T> {
                    x: &x[i * block..i * block + len],
                    y,
                    period,
                    view: prepared.view(),
                    function: PhantomData,
                });
            })
        }
    })
}

struct Forward<'a, F, T: Stored> {
    x: &'a [T],
    y: *mut T,
    period: usize,
    view: [&'a [T::Real]; 4],
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Forward<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let (rows, rest) = (self.x.len() / self.period, self.x.len() % self.period);
        let x = self.x.as_ptr();
        for c in (0..self.period).step_by(V::COUNT) {
            // SAFETY: a period is a whole number of registers; `y` is as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(self.view, c);
                let zero = V::splat(T::Real::default());
                each_row!((rows, rest), self.period, c, V::COUNT, (row, at, count) => {
                    let n = normal.normalise(T::load_some(x.add(at), count, zero));
                    T::store_some(F::value(normal.scaled(n)), self.y.add(at), count);
                });
            }
        }
    }
}

/// The gradients of [`forward`].
pub(crate) fn backward<T: Stored>(isa: Isa, b: &Backward<'_, T>) -> Gradients<T> {
    assert_eq!(b.x.len(), b.dy.len());
    let period = period(b.coefficients.mean.len(), isa.shape::<T::Real>().0);
    let prepared = b.coefficients.repeated::<T::Real>(period);
    let block = (BLOCK / period).max(1) * period;
    with_function!(b.activation, F => {
        let partials: Vec<Vec<T::Real>> = b.x
            .par_chunks(block)
            .zip(b.dy.par_chunks(block))
            .map(|(x, dy)| {
                let mut sums = vec![T::Real::default(); 2 * period];
                T::run(isa, Sums::<F, T> {
                    x,
                    dy,
                    sums: &mut sums,
                    view: prepared.view(),
                    function: PhantomData,
                });
                sums
            })
            .collect();
        // SAFETY: the kernel writes one gradient for each input of the block.
        b.gradients(&partials, period, |means| unsafe {
            filled_by(b.x.len(), block, |i, dx, len| {
                T::run(isa, InputGradient::<F, T> {
                    x: &b.x[i * block..i * block + len],
                    dy: &b.dy[i * block..i * block + len],
                    dx,
                    period,
                    view: prepared.view(),
                    means,
                    function: PhantomData,
                });
            })
        })
    })
}

/// Sums of dz and of dz · normalised x over a block.
struct Sums<'a, F, T: Stored> {
    x: &'a [T],
    dy: &'a [T],
    sums: &'a mut [T::Real],
    view: [&'a [T::Real]; 4],
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Sums<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let period = self.sums.len() / 2;
        let (rows, rest) = (self.x.len() / period, self.x.len() % period);
        let (x, dy, sums) = (self.x.as_ptr(), self.dy.as_ptr(), self.sums.as_mut_ptr());
        for c in (0..period).step_by(V::COUNT) {
            // SAFETY: a period is a whole number of registers; `dy` is as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(self.view, c);
                let zero = V::splat(T::Real::default());
                let (mut shift, mut scale) = ([zero; 2], [zero; 2]);
                each_row!((rows, rest), period, c, V::COUNT, (row, at, count) => {
                    let n = normal.normalise(T::load_some(x.add(at), count, zero));
                    let dy = T::load_some(dy.add(at), count, zero);
                    let dz = dy.mul(F::slope(normal.scaled(n)));
                    shift[row % 2] = shift[row % 2].add(dz);
                    scale[row % 2] = dz.mul_add(n, scale[row % 2]);
                });
                shift[0].add(shift[1]).store(sums.add(c));
                scale[0].add(scale[1]).store(sums.add(period + c));
            }
        }
    }
}

struct InputGradient<'a, F, T: Stored> {
    x: &'a [T],
    dy: &'a [T],
    dx: *mut T,
    period: usize,
    view: [&'a [T::Real]; 4],
    means: [&'a [T::Real]; 2],
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for InputGradient<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let (rows, rest) = (self.x.len() / self.period, self.x.len() % self.period);
        let (x, dy) = (self.x.as_ptr(), self.dy.as_ptr());
        for c in (0..self.period).step_by(V::COUNT) {
            // SAFETY: a period is a whole number of registers; `dy` and `dx` are as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(self.view, c);
                let back = Back::load(&normal, self.means, c);
                let zero = V::splat(T::Real::default());
                each_row!((rows, rest), self.period, c, V::COUNT, (row, at, count) => {
                    let n = normal.normalise(T::load_some(x.add(at), count, zero));
                    let dy = T::load_some(dy.add(at), count, zero);
                    let dz = dy.mul(F::slope(normal.scaled(n)));
                    T::store_some(back.gradient(dz, n), self.dx.add(at), count);
                });
            }
        }
    }
}
