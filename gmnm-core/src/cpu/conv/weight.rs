//! The weight gradient of a convolution.
//!
//! The images are cut into a partition that depends on the shape alone, each part has sums of its own, and those are
//! added in order: the result is the same bytes on any number of threads.

use std::ops::Range;

use super::geometry::{Geometry, Run, widen};
use super::sweep::Sweep;
use super::{gathered, winograd, winograd_weight};
use crate::cpu::parts::sum_of_parts;
use crate::cpu::product::pack::{WeightOrder, padded, unpack};
use crate::cpu::product::products::Products;
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::stored::Stored;

/// The gradient of the weight, `[out, input, kh, kw]`, from the input and the output's gradient.
pub(crate) fn weight_gradient<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    x: &[T],
    dy: &[T],
) -> Vec<T::Real> {
    assert_eq!(x.len(), g.input_len());
    assert_eq!(dy.len(), g.output_len());
    if winograd::applies::<T::Real>(isa, g) {
        return winograd_weight::weight_gradient(isa, products, g, x, dy);
    }
    let products = products.direct(isa);
    if products != Products::Full {
        return gathered::weight_gradient(isa, products, g, x, dy);
    }
    let order = WeightOrder::forward(g.out, g.input, g.taps());
    let (count, cols) = isa.shape::<T::Real>();
    let lanes = padded(g.out, count, cols);
    let len = lanes * order.depth();
    let runs = g.input_runs();
    let total = sum_of_parts(g.n * g.oh, len, |range, sums| {
        accumulate(isa, g, &runs, lanes, x, dy, range, sums);
    });
    unpack(total.slice(len), order, count, cols)
}

/// Adds the products of a range of output rows, counted over all images.
#[allow(clippy::too_many_arguments)]
fn accumulate<T: Stored>(
    isa: Isa,
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
                isa.run(Sweep {
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
