//! The weight gradient of a convolution.
//!
//! A tile holds `ROWS` weights along a run of the padded input × `COLS` registers of output channels, and streams
//! positions past them. The images are cut into a partition that depends on the shape alone, each part has sums of its
//! own, and those are added in order: the result is the same bytes on any number of threads.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::conv_geometry::{Geometry, Grid, Run, widen};
use super::dispatch::{Kernel, Path};
use super::lanes::{Lanes, Real};
use super::pack::{WeightOrder, blocks, padded, unpack};
use super::parts::sum_of_parts;
use super::products::Products;
use super::scratch::with_scratch;
use super::stored::Stored;
use super::{conv_half, winograd, winograd_weight};

/// The gradient of the weight, `[out, input, kh, kw]`, from the input and the output's gradient.
pub(crate) fn weight_gradient<T: Stored>(
    path: Path,
    products: Products,
    g: &Geometry,
    x: &[T],
    dy: &[T],
) -> Vec<T::Real> {
    assert_eq!(x.len(), g.input_len());
    assert_eq!(dy.len(), g.output_len());
    if winograd::applies::<T::Real>(path, g) {
        return winograd_weight::weight_gradient(path, products, g, x, dy);
    }
    let products = products.direct(path);
    if products != Products::Full {
        return conv_half::weight_gradient(path, products, g, x, dy);
    }
    let order = WeightOrder::forward(g.out, g.input, g.taps());
    let (count, cols) = path.shape::<T::Real>();
    let lanes = padded(g.out, count, cols);
    let len = lanes * order.depth();
    let runs = g.input_runs();
    let total = sum_of_parts(g.n * g.oh, len, |range, sums| {
        accumulate(path, g, &runs, lanes, x, dy, range, sums);
    });
    unpack(total.slice(len), order, count, cols)
}

/// Adds the products of a range of output rows, counted over all images.
#[allow(clippy::too_many_arguments)]
fn accumulate<T: Stored>(
    path: Path,
    g: &Geometry,
    runs: &[Run],
    lanes: usize,
    x: &[T],
    dy: &[T],
    rows: Range<usize>,
    sums: &mut [T::Real],
) {
    let border = g.input_border();
    let as_is = T::reals(x).is_some();
    let image_len = if as_is && border.is_none() {
        0
    } else {
        border.len()
    };
    // Positions per sweep over the weights: both operands then stay in the first-level cache.
    let block = 64usize.div_ceil(g.ow);
    let dy_len = if as_is && lanes == g.out {
        0
    } else {
        block * g.ow * lanes
    };
    let (image_in, row_out) = (g.h * g.w * g.input, g.ow * g.out);
    with_scratch(image_len + dy_len, |scratch: &mut [T::Real]| {
        let (image_buffer, dy_buffer) = scratch.split_at_mut(image_len);
        let mut row = rows.start;
        while row < rows.end {
            let i = row / g.oh;
            let image = &x[i * image_in..(i + 1) * image_in];
            let image = match T::reals(image) {
                Some(image) if image_len == 0 => image,
                _ => {
                    border.fill(image, image_buffer);
                    &*image_buffer
                }
            };
            let end = rows.end.min((i + 1) * g.oh);
            while row < end {
                let height = block.min(end - row);
                let dy = &dy[row * row_out..(row + height) * row_out];
                let dy = match T::reals(dy) {
                    Some(dy) if dy_len == 0 => dy,
                    _ => {
                        spread(dy, g.out, dy_buffer, lanes);
                        &*dy_buffer
                    }
                };
                path.run(Sweep {
                    runs,
                    depth: g.taps() * g.input,
                    lanes,
                    x: image,
                    dy,
                    grid: g.output_grid(),
                    first: row - i * g.oh,
                    height,
                    sums,
                });
                row += height;
            }
        }
    });
}

/// Copies rows of `from` channels into rows of `to` channels; what is beyond stays finite but means nothing.
fn spread<T: Stored>(rows: &[T], from: usize, out: &mut [T::Real], to: usize) {
    for (row, out) in rows.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
        widen(row, &mut out[..from]);
        out[from..].fill(T::Real::default());
    }
}

/// A block of output rows of one image.
pub(super) struct Sweep<'a, T> {
    pub(super) runs: &'a [Run],
    pub(super) depth: usize,
    pub(super) lanes: usize,
    pub(super) x: &'a [T],
    pub(super) dy: &'a [T],
    pub(super) grid: Grid,
    pub(super) first: usize,
    pub(super) height: usize,
    pub(super) sums: &'a mut [T],
}

impl<T: Real> Kernel<T> for Sweep<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(mut self) {
        for (start, registers) in blocks(self.lanes, V::COUNT, COLS) {
            // SAFETY: the caller checked the features; gradient and sums are padded to whole blocks.
            unsafe {
                if registers == COLS {
                    self.block::<V, ROWS, COLS>(start);
                } else {
                    self.block::<V, ROWS, 1>(start);
                }
            }
        }
    }
}

impl<T: Real> Sweep<'_, T> {
    #[inline(always)]
    unsafe fn block<V: Lanes<Scalar = T>, const P: usize, const Q: usize>(&mut self, start: usize) {
        let width = Q * V::COUNT;
        let dy = &self.dy[start..(self.height * self.grid.width - 1) * self.lanes + start + width];
        let sums = &mut self.sums[start * self.depth..][..width * self.depth];
        let x = &self.x[self.first * self.grid.x_row..];
        for run in self.runs {
            let mut k = 0;
            while k < run.len {
                let valid = P.min(run.len - k);
                let mut rows = [0; P];
                for p in 0..P {
                    // A short tile repeats its last weight and doesn't store it.
                    rows[p] = run.x + (k + p).min(run.len - 1);
                }
                // SAFETY: the runs of every position lie inside the padded image, `dy` holds whole blocks of channels,
                // and `valid` rows of sums follow.
                unsafe {
                    let sums = sums.as_mut_ptr().add((run.k + k) * width);
                    let operands = (x.as_ptr(), dy.as_ptr());
                    let size = (self.height, self.lanes);
                    if valid == P {
                        tile::<V, P, Q, false>(operands, &rows, &self.grid, size, sums, valid);
                    } else {
                        tile::<V, P, Q, true>(operands, &rows, &self.grid, size, sums, valid);
                    }
                }
                k += valid;
            }
        }
    }
}

/// Adds the products of `size.0` rows of positions to `valid` rows of Q registers of sums.
///
/// # Safety
/// Each of `rows` is readable from every position, `size.1` elements of the gradient lie between two positions, `valid`
/// rows of `sums` are writable, and the processor has V's features.
#[inline(always)]
unsafe fn tile<V: Lanes, const P: usize, const Q: usize, const SHORT: bool>(
    (x, dy): (*const V::Scalar, *const V::Scalar),
    rows: &[usize; P],
    grid: &Grid,
    (height, lanes): (usize, usize),
    sums: *mut V::Scalar,
    valid: usize,
) {
    // SAFETY: as the caller guarantees.
    unsafe {
        let zero = [V::splat(V::Scalar::default()); Q];
        let mut acc = [zero; P];
        let mut gradient = dy;
        for y in 0..height {
            let mut position = x.add(y * grid.x_row + if SHORT { 0 } else { rows[0] });
            for _ in 0..grid.width {
                let mut factors = zero;
                for q in 0..Q {
                    factors[q] = V::load(gradient.add(q * V::COUNT));
                }
                for p in 0..P {
                    // The rows of a full tile are neighbours.
                    let value = V::splat(*position.add(if SHORT { rows[p] } else { p }));
                    for q in 0..Q {
                        acc[p][q] = value.mul_add(factors[q], acc[p][q]);
                    }
                }
                position = position.wrapping_add(grid.x_col);
                gradient = gradient.wrapping_add(lanes);
            }
        }
        for p in 0..P {
            if p < valid {
                for q in 0..Q {
                    let to = sums.add((p * Q + q) * V::COUNT);
                    V::load(to).add(acc[p][q]).store(to);
                }
            }
        }
    }
}
