//! Convolution with its factors in bf16, rounded or as sums of two numbers: the runs under a position are gathered into a
//! row (im2col), and blocks of rows meet packed weights.

use std::ops::Range;

use half::bf16;

use super::geometry::{Geometry, Passes, widen};
use super::passes::{Convolve, Shared};
use crate::cpu::parts::sum_of_parts;
use crate::cpu::product::factor::add_transposed;
use crate::cpu::product::half_tile::{HalfPanels, to_rows};
use crate::cpu::product::pack::WeightOrder;
use crate::cpu::product::products::Products;
use crate::cpu::product::tile::Rows;
use crate::cpu::scratch::{with_scratch, with_two_scratches};
use crate::cpu::simd::isa::{Isa, Kernel};
use crate::cpu::simd::lanes::{Lanes, Real};
use crate::cpu::simd::stored::Stored;

/// Bytes that a block of gathered rows may take: they stay in the second-level cache beside what they meet.
const CACHED: usize = 128 * 1024;

/// Rows in a block whose rows take `bytes` bytes each.
fn block_rows(bytes: usize) -> usize {
    (CACHED / bytes.max(1) / 32).clamp(1, 16) * 32
}

/// Products of gathered rows and packed weights.
pub(crate) struct ConvHalf<'a, R> {
    isa: Isa,
    split: bool,
    passes: &'a Passes,
    /// For each pass; a phase that no tap reaches has none.
    weights: Vec<Option<HalfPanels<R>>>,
    bias: Vec<R>,
}

impl<'a, R: Real> ConvHalf<'a, R> {
    pub(crate) fn new(
        isa: Isa,
        split: bool,
        passes: &'a Passes,
        weight: &[R],
        bias: Option<&[R]>,
    ) -> Self {
        let order = passes.order;
        let packed = passes.all.iter().map(|pass| {
            let taken = pass.runs.iter().flat_map(|run| run.k..run.k + run.len);
            let taken: Vec<usize> = taken.map(|k| order.source(0, k)).collect();
            let at = |k: usize, lane: usize| weight[taken[k] + lane * order.lane_stride];
            let panels = || HalfPanels::new(isa, split, taken.len(), order.lanes, at);
            (!taken.is_empty()).then(panels)
        });
        Self {
            isa,
            split,
            passes,
            weights: packed.collect(),
            bias: bias.map_or_else(|| vec![R::default(); order.lanes], <[R]>::to_vec),
        }
    }

    /// Elements of a row of `len` numbers, filled up to whole registers.
    fn filled(&self, len: usize) -> usize {
        len.next_multiple_of(self.isa.shape::<R>().0)
    }

    fn parts(&self) -> usize {
        if self.split { 2 } else { 1 }
    }
}

impl<T: Stored> Convolve<T> for ConvHalf<'_, T::Real> {
    type Element = bf16;

    fn as_is(_: &[T]) -> Option<&[bf16]> {
        None
    }

    /// The larger parts of all numbers, then the smaller ones.
    fn padded_len(&self) -> usize {
        self.parts() * self.filled(self.passes.border.len())
    }

    fn pad(&self, image: &[T], padded: &mut [bf16]) {
        let len = self.passes.border.len();
        with_scratch(len, |wide: &mut [T::Real]| {
            self.passes.border.fill(image, wide);
            let row = Rows::new(wide, 1, len, len);
            to_rows(self.isa, row, 1, self.split, padded);
        });
    }

    fn positions(&self, pass: usize, image: &[bf16], y: Shared<T>, range: Range<usize>) {
        let (weights, pass) = (&self.weights[pass], &self.passes.all[pass]);
        let (lanes, depth) = (self.passes.order.lanes, pass.depth());
        let (part, image_part) = (self.filled(depth), self.filled(self.passes.border.len()));
        let step = self.parts() * part;
        let block = block_rows(2 * step);
        for first in range.clone().step_by(block) {
            let rows = block.min(range.end - first);
            let places = || pass.grid.places(first, rows);
            with_two_scratches((rows * step, rows * lanes), |x, sums: &mut [T::Real]| {
                for sums in sums.chunks_exact_mut(lanes) {
                    sums.copy_from_slice(&self.bias);
                }
                if let Some(weights) = weights {
                    for (row, [place, _]) in x.chunks_exact_mut(step.max(1)).zip(places()) {
                        for (i, row) in row.chunks_exact_mut(part).enumerate() {
                            let mut at = 0;
                            for run in &pass.runs {
                                let from = i * image_part + place + run.x;
                                row[at..at + run.len].copy_from_slice(&image[from..from + run.len]);
                                at += run.len;
                            }
                            row[at..].fill(bf16::ZERO);
                        }
                    }
                    weights.product_of_rounded::<true>(x, rows, sums, lanes);
                }
                T::run(
                    self.isa,
                    Scatter {
                        rows: sums,
                        len: lanes,
                        places: places(),
                        y,
                    },
                );
            });
        }
    }
}

/// Writes rows of `len` numbers to their places from `y` on.
struct Scatter<'a, T: Stored, P> {
    rows: &'a [T::Real],
    len: usize,
    places: P,
    y: Shared<T>,
}

impl<T: Stored, P: Iterator<Item = [usize; 2]>> Kernel<T::Real> for Scatter<'_, T, P> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        for (row, [_, place]) in self.rows.chunks_exact(self.len).zip(self.places) {
            for column in (0..self.len).step_by(V::COUNT) {
                let left = self.len - column;
                // SAFETY: the caller checked the features; a position has `len` elements of the output, which belong to
                // this task alone.
                unsafe {
                    let zero = V::splat(T::Real::default());
                    let value = T::Real::load_some(row.as_ptr().add(column), left, zero);
                    T::store_some(value, self.y.at(place + column).0, left);
                }
            }
        }
    }
}

/// The gradient of the weight, `[out, input, kh, kw]`, with factors in bf16.
pub(crate) fn weight_gradient<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    x: &[T],
    dy: &[T],
) -> Vec<T::Real> {
    let order = WeightOrder::forward(g.out, g.input, g.taps());
    let depth = order.depth();
    let total = sum_of_parts(g.n * g.oh, depth * g.out, |range, sums| {
        accumulate(isa, products, g, (x, dy), range, sums);
    });
    let total = total.slice::<T::Real>(depth * g.out);
    let mut gradient = vec![T::Real::default(); total.len()];
    for (k, row) in total.chunks_exact(g.out).enumerate() {
        let first = order.source(0, k);
        for (lane, &value) in row.iter().enumerate() {
            gradient[first + lane * order.lane_stride] = value;
        }
    }
    gradient
}

/// Adds the products of a range of output rows, counted over all images, to `sums` `[depth, out]`.
fn accumulate<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    (x, dy): (&[T], &[T]),
    range: Range<usize>,
    sums: &mut [T::Real],
) {
    let (border, runs, grid) = (g.input_border(), g.input_runs(), g.output_grid());
    let depth = g.taps() * g.input;
    let block = block_rows(depth * size_of::<T::Real>());
    let image_in = g.h * g.w * g.input;
    with_scratch(border.len(), |image: &mut [T::Real]| {
        let mut row = range.start;
        while row < range.end {
            let i = row / g.oh;
            border.fill(&x[i * image_in..(i + 1) * image_in], image);
            let end = range.end.min((i + 1) * g.oh);
            let positions = (row - i * g.oh) * g.ow..(end - i * g.oh) * g.ow;
            for first in positions.clone().step_by(block) {
                let rows = block.min(positions.end - first);
                with_two_scratches((rows * depth, rows * g.out), |columns, wide| {
                    let places = grid.places(first, rows);
                    for (row, [place, _]) in columns.chunks_exact_mut(depth).zip(places) {
                        for run in &runs {
                            let from = place + run.x;
                            row[run.k..run.k + run.len]
                                .copy_from_slice(&image[from..from + run.len]);
                        }
                    }
                    let from = (i * g.oh * g.ow + first) * g.out;
                    widen(&dy[from..from + rows * g.out], wide);
                    let left = Rows::new(columns, rows, depth, depth);
                    let right = Rows::new(wide, rows, g.out, g.out);
                    add_transposed(isa, products, sums, left, right, rows);
                });
            }
            row = end;
        }
    });
}
