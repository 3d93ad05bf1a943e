//! Softmax and normalisation of rows.

use super::parallel::*;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, MAX_COUNT, Real};

/// Rows of one task.
const BLOCK: usize = 32;

/// Calls `f` with blocks of rows of `out` and their first row's number, on all threads.
fn by_rows<T: Real>(out: &mut [T], cols: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    out.par_chunks_mut(BLOCK * cols.max(1))
        .enumerate()
        .for_each(|(i, rows)| f(i * BLOCK, rows));
}

/// Σ over i of `f`(register at i), with `rest` in the lanes past `len`.
#[inline(always)]
unsafe fn reduce<V: Lanes>(
    len: usize,
    start: f64,
    combine: impl Fn(V, V) -> V,
    load: impl Fn(usize, usize) -> V,
) -> [V::Scalar; MAX_COUNT] {
    // SAFETY: the caller's processor has the features of `V`.
    let mut total = unsafe { V::splat(V::Scalar::from_f64(start)) };
    let mut i = 0;
    while i < len {
        total = combine(total, load(i, (len - i).min(V::COUNT)));
        i += V::COUNT;
    }
    let mut lanes = [V::Scalar::from_f64(start); MAX_COUNT];
    // SAFETY: the array holds a register.
    unsafe { total.store(lanes.as_mut_ptr()) };
    lanes
}

#[inline(always)]
fn sum<T: Real>(lanes: [T; MAX_COUNT]) -> T {
    lanes.into_iter().fold(T::default(), |a, b| a + b)
}

/// The first `count` elements of `row` from `i` on, `rest` past them.
///
/// # Safety
/// The processor has the features of `V`, and i + count ≤ row.len().
#[inline(always)]
unsafe fn load<V: Lanes>(row: &[V::Scalar], i: usize, count: usize, rest: f64) -> V {
    // SAFETY: as the caller guarantees.
    unsafe {
        if count == V::COUNT {
            V::load(row.as_ptr().add(i))
        } else {
            let rest = V::splat(V::Scalar::from_f64(rest));
            V::load_partial(row.as_ptr().add(i), count, rest)
        }
    }
}

/// Stores `value` as the first `count` elements of `row` from `i` on.
///
/// # Safety
/// i + count ≤ row.len().
#[inline(always)]
unsafe fn store<V: Lanes>(value: V, row: &mut [V::Scalar], i: usize, count: usize) {
    // SAFETY: as the caller guarantees.
    unsafe { value.store_partial(row.as_mut_ptr().add(i), count) }
}

/// Softmax of each row of `x` `[rows, cols]`.
pub(crate) fn softmax<T: Real>(isa: Isa, x: &[T], cols: usize) -> Vec<T> {
    let mut y = x.to_vec();
    by_rows(&mut y, cols, |_, rows| isa.run(Softmax { rows, cols }));
    y
}

struct Softmax<'a, T> {
    rows: &'a mut [T],
    cols: usize,
}

impl<T: Real> Kernel<T> for Softmax<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        for row in self.rows.chunks_exact_mut(self.cols) {
            let larger = |a: T, b: T| if b > a { b } else { a };
            let len = row.len();
            // SAFETY: the caller checked the features; `reduce` and the loops stay within the row.
            unsafe {
                let max = reduce::<V>(
                    len,
                    f64::NEG_INFINITY,
                    |a, b| b.select_gt(a, b, a),
                    |i, count| load(row, i, count, f64::NEG_INFINITY),
                );
                let max = V::splat(max.into_iter().fold(max[0], larger));
                for i in (0..len).step_by(V::COUNT) {
                    let count = (len - i).min(V::COUNT);
                    let value = load::<V>(row, i, count, 0.0).sub(max).exp();
                    store(value, row, i, count);
                }
                let total = reduce::<V>(len, 0.0, V::add, |i, count| load(row, i, count, 0.0));
                let scale = V::splat(T::from_f64(1.0) / sum(total));
                for i in (0..len).step_by(V::COUNT) {
                    let count = (len - i).min(V::COUNT);
                    store(load::<V>(row, i, count, 0.0).mul(scale), row, i, count);
                }
            }
        }
    }
}

/// The gradient of [`softmax`]: y·(dy − Σ dy·y) for each row of its result `y`.
pub(crate) fn softmax_gradient<T: Real>(isa: Isa, y: &[T], dy: &[T], cols: usize) -> Vec<T> {
    let mut dx = y.to_vec();
    by_rows(&mut dx, cols, |first, rows| {
        let dy = &dy[first * cols..][..rows.len()];
        isa.run(SoftmaxGradient { rows, dy, cols });
    });
    dx
}

struct SoftmaxGradient<'a, T> {
    rows: &'a mut [T],
    dy: &'a [T],
    cols: usize,
}

impl<T: Real> Kernel<T> for SoftmaxGradient<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let upstream = self.dy.chunks_exact(self.cols);
        for (row, dy) in self.rows.chunks_exact_mut(self.cols).zip(upstream) {
            let len = row.len();
            // SAFETY: the caller checked the features; `reduce` and the loop stay within the rows.
            unsafe {
                let dot = reduce::<V>(len, 0.0, V::add, |i, count| {
                    load::<V>(row, i, count, 0.0).mul(load(dy, i, count, 0.0))
                });
                let dot = V::splat(sum(dot));
                for i in (0..len).step_by(V::COUNT) {
                    let count = (len - i).min(V::COUNT);
                    let inner = load::<V>(dy, i, count, 0.0).sub(dot);
                    store(load::<V>(row, i, count, 0.0).mul(inner), row, i, count);
                }
            }
        }
    }
}

/// Each row of `x` `[rows, cols]` with its mean taken out and divided by √(variance + eps); and, row by row,
/// 1/√(variance + eps).
pub(crate) fn normalize<T: Real>(isa: Isa, x: &[T], cols: usize, eps: f64) -> (Vec<T>, Vec<T>) {
    let mut y = x.to_vec();
    let mut inverse = vec![T::default(); x.len() / cols.max(1)];
    y.par_chunks_mut(BLOCK * cols.max(1))
        .zip(inverse.par_chunks_mut(BLOCK))
        .for_each(|(rows, inverse)| {
            isa.run(Normalize {
                rows,
                inverse,
                eps,
                cols,
            });
        });
    (y, inverse)
}

struct Normalize<'a, T> {
    rows: &'a mut [T],
    inverse: &'a mut [T],
    eps: f64,
    cols: usize,
}

impl<T: Real> Kernel<T> for Normalize<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let count = T::from_f64(1.0 / self.cols as f64);
        let rows = self.rows.chunks_exact_mut(self.cols);
        for (row, inverse) in rows.zip(self.inverse) {
            let len = row.len();
            // SAFETY: the caller checked the features; `reduce` and the loop stay within the row.
            unsafe {
                let total = reduce::<V>(len, 0.0, V::add, |i, count| load(row, i, count, 0.0));
                let mean = sum(total) * count;
                // Lanes past the row hold the mean, so that they add nothing to the variance.
                let rest = mean.to_f64();
                let mean = V::splat(mean);
                let squares = reduce::<V>(len, 0.0, V::add, |i, count| {
                    let centered = load::<V>(row, i, count, rest).sub(mean);
                    centered.mul(centered)
                });
                let variance = (sum(squares) * count).to_f64();
                *inverse = T::from_f64(1.0 / (variance + self.eps).sqrt());
                let scale = V::splat(*inverse);
                for i in (0..len).step_by(V::COUNT) {
                    let count = (len - i).min(V::COUNT);
                    let value = load::<V>(row, i, count, 0.0).sub(mean).mul(scale);
                    store(value, row, i, count);
                }
            }
        }
    }
}

/// The gradient of [`normalize`]'s input, given its results and the gradient `dy` of the normal values:
/// (dy − mean(dy) − y·mean(dy·y))·inverse.
pub(crate) fn normalize_gradient<T: Real>(
    isa: Isa,
    y: &[T],
    inverse: &[T],
    dy: &[T],
    cols: usize,
) -> Vec<T> {
    let mut dx = y.to_vec();
    by_rows(&mut dx, cols, |first, rows| {
        isa.run(NormalizeGradient {
            dy: &dy[first * cols..][..rows.len()],
            inverse: &inverse[first..],
            rows,
            cols,
        });
    });
    dx
}

struct NormalizeGradient<'a, T> {
    rows: &'a mut [T],
    dy: &'a [T],
    inverse: &'a [T],
    cols: usize,
}

impl<T: Real> Kernel<T> for NormalizeGradient<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let count = T::from_f64(1.0 / self.cols as f64);
        let upstream = self.dy.chunks_exact(self.cols).zip(self.inverse);
        for (row, (dy, &inverse)) in self.rows.chunks_exact_mut(self.cols).zip(upstream) {
            let len = row.len();
            // SAFETY: the caller checked the features; `reduce` and the loop stay within the rows.
            unsafe {
                let total = reduce::<V>(len, 0.0, V::add, |i, count| load(dy, i, count, 0.0));
                let dot = reduce::<V>(len, 0.0, V::add, |i, count| {
                    load::<V>(row, i, count, 0.0).mul(load(dy, i, count, 0.0))
                });
                let mean = V::splat(sum(total) * count);
                let slope = V::splat(-(sum(dot) * count));
                let inverse = V::splat(inverse);
                for i in (0..len).step_by(V::COUNT) {
                    let count = (len - i).min(V::COUNT);
                    let centered = load::<V>(dy, i, count, 0.0).sub(mean);
                    let value = load::<V>(row, i, count, 0.0).mul_add(slope, centered);
                    store(value.mul(inverse), row, i, count);
                }
            }
        }
    }
}
