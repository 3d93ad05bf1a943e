//! 3×3 convolution with stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct form's products.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Tiles of 6×6 inputs (overlapping by
//! two) become 36 planes, each plane is one matrix product over channels, and 36 planes of products become tiles of 4×4
//! outputs. The tiles are interpolated at 0, ±5/8, ±3/2 and infinity: the error is a third of that of the paper's 0, ±1,
//! ±2. In f32 the result is within 1e-5 of the largest output; with products in bf16 its root-mean-square error is about
//! 0.9%, where a direct sum of such products has 0.3%.

use super::geometry::Geometry;
use super::passes::Shared;
use super::planes::{Format, Full, Half, Place, PlaneSize, Split};
use super::tiling::{PLANES, SKEW, Tiling};
use super::winograd_transform::{TransformInput, TransformOutput, TransformWeights};
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
    let tiling = Tiling::forward(g);
    // Products of both forms, a product in small tiles weighing more because of the transforms.
    let (direct, tiled) = (g.n * g.oh * g.ow * 9, tiling.tiles() * PLANES);
    size_of::<T>() == 4
        && (g.kh, g.kw, g.stride, g.dilation) == (3, 3, 1, 1)
        && g.padding <= 2
        && g.input >= 32
        && g.out >= 32
        && g.input.is_multiple_of(count)
        && g.out.is_multiple_of(count)
        && tiling.tiles() >= 64
        && 2 * tiled <= direct
}

/// `x` convolved with `weight`, plus `bias`.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    let order = WeightOrder::forward(g.out, g.input, 9);
    let operands = (x, weight, bias);
    convolve(isa, products, &Tiling::forward(g), order, operands)
}

/// The gradient of the input from `dy`, plus `bias`.
pub(crate) fn input_gradient<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    dy: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    let order = WeightOrder::transposed(g.out, g.input, 9);
    let operands = (dy, weight, bias);
    convolve(isa, products, &Tiling::transposed(g), order, operands)
}

/// What is convolved, the weight and the bias.
type Operands<'a, T> = (
    &'a [T],
    &'a [<T as Stored>::Real],
    Option<&'a [<T as Stored>::Real]>,
);

fn convolve<T: Stored>(
    isa: Isa,
    products: Products,
    t: &Tiling,
    order: WeightOrder,
    operands: Operands<T>,
) -> Vec<T> {
    match products {
        Products::Full => convolve_in::<T, Full<T::Real>>(isa, t, order, operands),
        Products::Half => convolve_in::<T, Half<T::Real>>(isa, t, order, operands),
        Products::Split => convolve_in::<T, Split<T::Real>>(isa, t, order, operands),
    }
}

/// Tiles at a time: about as many as have both sides' planes in the second-level cache, and the same for every thread.
fn tiles_at_once<F: Format>(isa: Isa, t: &Tiling) -> usize {
    const CACHED: usize = 448 * 1024;
    let input = t.input * F::PER_CHANNEL * size_of::<F::Row>();
    let bytes = PLANES * (input + t.out * size_of::<F::Real>());
    let rows = isa.bf16_rows();
    let fitting = (CACHED / bytes / rows * rows).clamp(rows.max(12), 96);
    let threads = rayon::current_num_threads();
    let share = fitting * threads;
    let rounds = ((t.tiles() + share / 2) / share).max(1);
    t.tiles().div_ceil(rounds * threads).max(1)
}

fn convolve_in<T: Stored, F: Format<Real = T::Real>>(
    isa: Isa,
    t: &Tiling,
    order: WeightOrder,
    (x, weight, bias): Operands<T>,
) -> Vec<T> {
    assert_eq!(x.len(), t.n * t.h * t.w * t.input);
    assert_eq!(weight.len(), order.lanes * order.depth());
    let (count, cols) = isa.shape::<T::Real>();
    assert!(padded(t.out, count, cols) == t.out && t.input.is_multiple_of(count));
    let weights = transform_weights::<F>(isa, order, weight);
    let weight_plane = F::pairs(t.input, t.out);
    let channels = t.input.max(t.out);
    let outside = vec![T::default(); channels];
    let zeros = Aligned::zeros::<T::Real>(channels);
    let zeros = zeros.slice::<T::Real>(channels);
    let bias = bias.unwrap_or(&zeros[..t.out]);
    assert_eq!(bias.len(), t.out);
    let len = t.n * t.oh * t.ow * t.out;
    let mut y = Vec::with_capacity(len);
    let at = Shared(y.as_mut_ptr());
    let step = tiles_at_once::<F>(isa, t);
    let plane_in = step * t.input * F::PER_CHANNEL + SKEW;
    let plane_out = step * t.out + SKEW;
    let task = |block: usize| {
        let tiles = block * step..t.tiles().min((block + 1) * step);
        let (inputs, outputs) = (PLANES * plane_in, PLANES * plane_out);
        with_two_scratches(
            (inputs, outputs),
            |inputs: &mut [F::Row], outputs: &mut [F::Real]| {
                let place = Place {
                    at: Shared(inputs.as_mut_ptr()),
                    plane: plane_in,
                    width: t.input,
                    part: 0,
                };
                assert!(tiles.len() <= step);
                T::run(
                    isa,
                    TransformInput {
                        tiling: t,
                        first: tiles.start,
                        count: tiles.len(),
                        x,
                        outside: &outside,
                        sink: F::rows_at(place),
                    },
                );
                let size = PlaneSize {
                    rows: tiles.len(),
                    inner: t.input,
                    lanes: t.out,
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
                        tiling: t,
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
    (0..t.tiles().div_ceil(step)).into_par_iter().for_each(task);
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
