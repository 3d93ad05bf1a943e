//! What [`super::tile`] computes, with the factors in bf16: rounded, or as sums of two numbers (`split`).
//!
//! The packed operand holds pairs of its rows. The other one is rounded into scratch memory at each call, which costs
//! one pass where the product makes as many as the packed operand has registers of columns.

use std::marker::PhantomData;

use half::bf16;

use super::dots::{DotProduct, DotSweep, PairRun, SumLayout};
use super::pack::{blocks, padded};
use super::tile::Rows;
use crate::cpu::parallel::*;
use crate::cpu::scratch::{with_scratch, with_two_scratches};
use crate::cpu::simd::isa::{Isa, Kernel};
use crate::cpu::simd::lanes::{Lanes, Real};

/// A matrix `[inner, cols]` as `[block of columns][part][pair of rows][column]`; what is missing in a pair or a register
/// is zero.
pub(crate) struct HalfPanels<T> {
    weights: Vec<[bf16; 2]>,
    inner: usize,
    cols: usize,
    split: bool,
    isa: Isa,
    real: PhantomData<T>,
}

/// The nearest number in bf16, and what is left of `value`.
fn rounded<T: Real>(value: T) -> (bf16, f32) {
    let value = value.to_f64() as f32;
    let large = bf16::from_f32(value);
    (large, value - large.to_f32())
}

impl<T: Real> HalfPanels<T> {
    /// Packs the matrix whose element (i, j) is `at(i, j)`.
    ///
    /// # Panics
    /// When it has no row.
    pub(crate) fn new(
        isa: Isa,
        split: bool,
        inner: usize,
        cols: usize,
        at: impl Fn(usize, usize) -> T + Sync,
    ) -> Self {
        assert!(inner > 0);
        let (count, registers) = isa.shape::<T>();
        let pairs = inner.div_ceil(2);
        let depth = if split { 2 * pairs } else { pairs };
        let mut weights = vec![[bf16::ZERO; 2]; padded(cols, count, registers) * depth];
        let mut rest = weights.as_mut_slice();
        let mut work = Vec::new();
        for (start, registers) in blocks(cols, count, registers) {
            let (block, after) = rest.split_at_mut(registers * count * depth);
            work.push((start, registers * count, block));
            rest = after;
        }
        let fill = |(start, width, block): (usize, usize, &mut [[bf16; 2]])| {
            for i in 0..inner {
                for j in 0..width.min(cols - start) {
                    let (large, rest) = rounded(at(i, start + j));
                    block[i / 2 * width + j][i % 2] = large;
                    if split {
                        let small = bf16::from_f32(rest);
                        block[(pairs + i / 2) * width + j][i % 2] = small;
                    }
                }
            }
        };
        work.into_par_iter().for_each(fill);
        Self {
            weights,
            inner,
            cols,
            split,
            isa,
            real: PhantomData,
        }
    }

    /// `left` `[rows, inner]` times this matrix, into or (where `add`) onto rows of `out` that lie `out_step` apart;
    /// rows of `left` lie `left_step` apart.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn product(
        &self,
        out: &mut [T],
        out_step: usize,
        left: &[T],
        left_step: usize,
        rows: usize,
        add: bool,
    ) {
        if rows == 0 || self.cols == 0 {
            return;
        }
        let left = Rows::new(left, rows, self.inner, left_step);
        let width = self.inner.next_multiple_of(self.isa.shape::<T>().0);
        let parts = if self.split { 2 } else { 1 };
        with_scratch(rows * parts * width, |x: &mut [bf16]| {
            to_rows(self.isa, left, rows, self.split, x);
            if add {
                self.product_of_rounded::<true>(x, rows, out, out_step);
            } else {
                self.product_of_rounded::<false>(x, rows, out, out_step);
            }
        });
    }

    /// The product with rows that [`to_rows`] has rounded.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn product_of_rounded<const ADD: bool>(
        &self,
        x: &[bf16],
        rows: usize,
        out: &mut [T],
        out_step: usize,
    ) {
        let width = self.inner.next_multiple_of(self.isa.shape::<T>().0);
        let len = self.inner.div_ceil(2);
        let run = |x: usize, k: usize| PairRun { x, k, len };
        // The smallest products first.
        let runs = [run(width, 0), run(0, len), run(0, 0)];
        DotProduct::<T, ADD> {
            x,
            x_step: if self.split { 2 * width } else { width },
            rows,
            weights: &self.weights,
            depth: if self.split { 2 * len } else { len },
            lanes: self.cols,
            runs: if self.split { &runs } else { &runs[2..] },
            y: out,
            y_step: out_step,
        }
        .run_on(self.isa);
    }
}

/// Writes `rows` rows rounded to bf16, each filled up to whole registers and, where `split`, followed by what was left.
///
/// # Panics
/// When `to` is too short.
pub(crate) fn to_rows<T: Real>(isa: Isa, from: Rows<T>, rows: usize, split: bool, to: &mut [bf16]) {
    isa.run_bf16(ToRows {
        from,
        rows,
        split,
        to,
    });
}

/// [`to_rows`].
struct ToRows<'a, T> {
    from: Rows<'a, T>,
    rows: usize,
    split: bool,
    to: &'a mut [bf16],
}

impl<T: Real> Kernel<T> for ToRows<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let cols = self.from.cols;
        let width = cols.next_multiple_of(V::COUNT);
        let step = if self.split { 2 * width } else { width };
        assert!(self.to.len() >= self.rows * step);
        for row in 0..self.rows {
            for column in (0..cols).step_by(V::COUNT) {
                // SAFETY: the caller checked the features; `width` holds whole registers of every row.
                unsafe {
                    let value = self.from.register::<V>(row, column);
                    let to = self.to.as_mut_ptr().add(row * step + column);
                    let large = value.round_bf16();
                    large.store_bf16(to);
                    if self.split {
                        value.sub(large).store_bf16(to.add(width));
                    }
                }
            }
        }
    }
}

/// Pairs of rows rounded to bf16, each filled up to whole registers, and after all of them, where `split`, the pairs of
/// what was left. A row without a second one is paired with zeros.
struct ToPairs<'a, T> {
    from: Rows<'a, T>,
    rows: usize,
    split: bool,
    to: &'a mut [[bf16; 2]],
}

impl<T: Real> Kernel<T> for ToPairs<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let cols = self.from.cols;
        let width = cols.next_multiple_of(V::COUNT);
        let part = self.rows.div_ceil(2) * width;
        assert!(self.to.len() >= if self.split { 2 * part } else { part });
        for row in 0..self.rows {
            for column in (0..cols).step_by(V::COUNT) {
                // SAFETY: the caller checked the features; `width` holds whole registers of every pair, and the first
                // row of a pair is written before the second.
                unsafe {
                    let value = self.from.register::<V>(row, column);
                    let to = self.to.as_mut_ptr().add(row / 2 * width + column);
                    let large = value.round_bf16();
                    large.store_halves(to, row % 2 == 1);
                    if self.split {
                        let small = value.sub(large).round_bf16();
                        small.store_halves(to.add(part), row % 2 == 1);
                    }
                }
            }
        }
    }
}

/// Rows whose pairs are made together: few enough that they stay in the cache.
const STRIP: usize = 128;

/// Adds `left`ᵀ · `right` to `out` `[left.cols, right.cols]`, over the `rows` rows of both.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn add_transposed_half<T: Real>(
    isa: Isa,
    split: bool,
    out: &mut [T],
    left: Rows<T>,
    right: Rows<T>,
    rows: usize,
) {
    assert!(left.cols * right.cols <= out.len());
    let count = isa.shape::<T>().0;
    let widths = [left.cols, right.cols].map(|cols| cols.next_multiple_of(count));
    for first in (0..rows).step_by(STRIP) {
        let strip = STRIP.min(rows - first);
        let pairs = strip.div_ceil(2);
        let part = widths.map(|width| pairs * width);
        let parts = if split { 2 } else { 1 };
        with_two_scratches((parts * part[0], parts * part[1]), |x, dy| {
            let to_pairs = |from: Rows<T>, to: &mut [[bf16; 2]]| {
                isa.run_bf16(ToPairs {
                    from: from.skip_rows(first),
                    rows: strip,
                    split,
                    to,
                });
            };
            to_pairs(left, x);
            to_pairs(right, dy);
            let mut sweep = |x: &[[bf16; 2]], dy: &[[bf16; 2]]| {
                DotSweep {
                    x,
                    x_step: widths[0],
                    dy,
                    pairs,
                    depth: left.cols,
                    lanes: widths[1],
                    sums: out,
                    layout: SumLayout::Rows(right.cols),
                }
                .run_on(isa);
            };
            if split {
                sweep(&x[part[0]..], dy);
                sweep(x, &dy[part[1]..]);
            }
            sweep(x, dy);
        });
    }
}
