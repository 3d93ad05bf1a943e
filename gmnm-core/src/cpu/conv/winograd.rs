//! 3×3 convolution with stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct form's products.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Tiles of 6×6 inputs (overlapping by
//! two) become 36 planes, each plane is one matrix product over channels, and 36 planes of products become tiles of 4×4
//! outputs. The tiles are interpolated at 0, ±5/8, ±3/2 and infinity: the error is a third of that of the paper's 0, ±1,
//! ±2. In f32 the result is within 1e-5 of the largest output; with products in bf16 its root-mean-square error is about
//! 0.9%, where a direct sum of such products has 0.3%.

use super::Operands;
use super::geometry::Geometry;
use super::passes::Shared;
use super::planes::{Format, Full, Half, Place, PlaneSize};
use super::tiling::{PLANES, SKEW};
use super::winograd_transform::{Inputs, ToPlanes, TransformOutput, TransformWeights};
use crate::cpu::parallel::*;
use crate::cpu::product::pack::{WeightOrder, blocks, padded};
use crate::cpu::product::products::Products;
use crate::cpu::scratch::{Aligned, with_two_scratches};
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::stored::Stored;

/// Whether the tiles fit this convolution and save work over the direct form.
pub(crate) fn applies<T: Real>(isa: Isa, g: &Geometry) -> bool {
    let (count, _) = isa.shape::<T>();
    // Products of both forms, a product in small tiles weighing more because of the transforms.
    let (direct, tiled) = (g.n * g.oh * g.ow * 9, g.tiles() * PLANES);
    size_of::<T>() == 4
        && (g.kh, g.kw, g.stride, g.dilation) == (3, 3, 1, 1)
        && g.padding <= 2
        && g.input >= 32
        && g.out >= 32
        && g.input.is_multiple_of(count)
        && g.out.is_multiple_of(count)
        && g.tiles() >= 64
        && 2 * tiled <= direct
}

/// As [`super::convolve`].
pub(crate) fn convolve<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    back: bool,
    operands: Operands<T>,
) -> Vec<T> {
    let (g, order) = match back {
        false => (*g, WeightOrder::forward(g.out, g.input, 9)),
        true => (g.transposed(), WeightOrder::transposed(g.out, g.input, 9)),
    };
    match products {
        Products::Full => convolve_in::<T, Full<T::Real>>(isa, &g, order, operands),
        Products::Half => convolve_in::<T, Half<T::Real, false>>(isa, &g, order, operands),
        Products::Split => convolve_in::<T, Half<T::Real, true>>(isa, &g, order, operands),
    }
}

/// Tiles at a time: about as many as have both sides' planes in the second-level cache, and the same for every thread.
fn tiles_at_once<F: Format>(isa: Isa, g: &Geometry) -> usize {
    const CACHED: usize = 448 * 1024;
    let input = g.input * F::PER_CHANNEL * size_of::<F::Row>();
    let bytes = PLANES * (input + g.out * size_of::<F::Real>());
    let rows = isa.bf16_rows();
    let fitting = (CACHED / bytes / rows * rows).clamp(rows.max(12), 96);
    let threads = rayon::current_num_threads();
    let share = fitting * threads;
    let rounds = ((g.tiles() + share / 2) / share).max(1);
    g.tiles().div_ceil(rounds * threads).max(1)
}

fn convolve_in<T: Stored, F: Format<Real = T::Real>>(
    isa: Isa,
    g: &Geometry,
    order: WeightOrder,
    (x, weight, bias): Operands<T>,
) -> Vec<T> {
    assert_eq!(x.len(), g.input_len());
    assert_eq!(weight.len(), order.lanes * order.depth());
    let (count, cols) = isa.shape::<T::Real>();
    assert!(padded(g.out, count, cols) == g.out && g.input.is_multiple_of(count));
    let weights = transform_weights::<F>(isa, order, weight);
    let weight_plane = F::pairs(g.input, g.out);
    let channels = g.input.max(g.out);
    let outside = vec![T::default(); channels];
    let zeros = Aligned::zeros::<T::Real>(channels);
    let zeros = zeros.slice::<T::Real>(channels);
    let bias = bias.unwrap_or(&zeros[..g.out]);
    assert_eq!(bias.len(), g.out);
    let len = g.output_len();
    let mut y = Vec::with_capacity(len);
    let at = Shared(y.as_mut_ptr());
    let step = tiles_at_once::<F>(isa, g);
    let plane_in = step * g.input * F::PER_CHANNEL + SKEW;
    let plane_out = step * g.out + SKEW;
    let task = |block: usize| {
        let tiles = block * step..g.tiles().min((block + 1) * step);
        let (inputs, outputs) = (PLANES * plane_in, PLANES * plane_out);
        with_two_scratches(
            (inputs, outputs),
            |inputs: &mut [F::Row], outputs: &mut [F::Real]| {
                let place = Place {
                    at: Shared(inputs.as_mut_ptr()),
                    plane: plane_in,
                    width: g.input,
                    part: 0,
                };
                assert!(tiles.len() <= step);
                T::run(
                    isa,
                    ToPlanes {
                        side: Inputs,
                        geometry: g,
                        first: tiles.start,
                        count: tiles.len(),
                        images: x,
                        outside: &outside,
                        sink: F::rows_at(place),
                    },
                );
                let size = PlaneSize {
                    rows: tiles.len(),
                    inner: g.input,
                    lanes: g.out,
                };
                for p in 0..PLANES {
                    F::multiply(
                        isa,
                        &inputs[p * plane_in..(p + 1) * plane_in],
                        &weights.slice(PLANES * weight_plane)
                            [p * weight_plane..(p + 1) * weight_plane],
                        size,
                        zeros,
                        &mut outputs[p * plane_out..(p + 1) * plane_out],
                    );
                }
                T::run(
                    isa,
                    TransformOutput {
                        geometry: g,
                        first: tiles.start,
                        count: tiles.len(),
                        planes: outputs,
                        plane: plane_out,
                        bias,
                        y: at,
                    },
                );
            },
        );
    };
    (0..g.tiles().div_ceil(step)).into_par_iter().for_each(task);
    // SAFETY: the tiles cover all outputs.
    unsafe { y.set_len(len) };
    y
}

/// G·g·Gᵀ of every kernel, as `[plane][block][inner][lane]`.
fn transform_weights<F: Format>(isa: Isa, order: WeightOrder, weight: &[F::Real]) -> Aligned {
    let (count, cols) = isa.shape::<F::Real>();
    let plane = F::pairs(order.inner, order.lanes);
    let mut planes = Aligned::zeros::<F::Pair>(PLANES * plane);
    let at = Shared(planes.slice_mut::<F::Pair>(PLANES * plane).as_mut_ptr());
    let all: Vec<(usize, usize)> = blocks(order.lanes, count, cols).collect();
    all.into_par_iter().for_each(|(start, registers)| {
        let width = registers * count;
        let place = Place {
            at: at.at(F::pairs(order.inner, start)),
            plane,
            width,
            part: order.inner / 2 * width,
        };
        isa.run_bf16(TransformWeights {
            order,
            weight,
            start,
            registers,
            sink: F::pairs_at(place),
        });
    });
    planes
}
