//! 3×3 convolution with stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct form's products.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Tiles of 6×6 inputs (overlapping by
//! two) become 36 planes, each plane is one matrix product over channels, and 36 planes of products become tiles of 4×4
//! outputs. The tiles are interpolated at 0, ±5/8, ±3/2 and infinity: the error is a third of that of the paper's 0, ±1,
//! ±2. In f32 the result is within 1e-5 of the largest output; with products in bf16 its root-mean-square error is about
//! 0.9%, where a direct sum of such products has 0.3%.

use rayon::prelude::*;

use super::conv_geometry::Geometry;
use super::conv_passes::Shared;
use super::dispatch::Path;
use super::lanes::Real;
use super::pack::{WeightOrder, blocks, padded};
use super::planes::{Format, Full, Half, Place, PlaneSize, Split};
use super::products::Products;
use super::scratch::{Aligned, with_two_scratches};
use super::stored::Stored;
use super::winograd_transform::{TransformInput, TransformOutput, TransformWeights};

/// Rows and columns of outputs in a tile.
pub(super) const OUT: usize = 4;
/// Rows and columns of inputs in a tile.
pub(super) const IN: usize = 6;
/// Planes of products.
pub(super) const PLANES: usize = IN * IN;
/// Added to the length of a plane, so that the planes' starts don't share a few sets of the cache.
pub(super) const SKEW: usize = 16;

/// An image batch cut into tiles: what is read as 6×6 tiles and what is written as 4×4 tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    n: usize,
    /// Height, width and channels on the 6×6 side.
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) input: usize,
    /// The same on the 4×4 side.
    pub(super) oh: usize,
    pub(super) ow: usize,
    pub(super) out: usize,
    pub(super) padding: usize,
}

impl Tiling {
    /// The forward pass, and the weight gradient.
    pub(super) fn forward(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.h,
            w: g.w,
            input: g.input,
            oh: g.oh,
            ow: g.ow,
            out: g.out,
            padding: g.padding,
        }
    }

    /// The input gradient: a convolution of the output's gradient.
    fn transposed(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.oh,
            w: g.ow,
            input: g.out,
            oh: g.h,
            ow: g.w,
            out: g.input,
            padding: 2 - g.padding,
        }
    }

    fn columns(&self) -> usize {
        self.ow.div_ceil(OUT)
    }

    fn per_image(&self) -> usize {
        self.oh.div_ceil(OUT) * self.columns()
    }

    /// All tiles of the batch.
    pub(super) fn tiles(&self) -> usize {
        self.n * self.per_image()
    }

    /// The image, first row and first column of a tile's outputs.
    pub(super) fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / self.per_image(), tile % self.per_image());
        let (row, col) = (tile / self.columns(), tile % self.columns());
        (image, row * OUT, col * OUT)
    }
}

/// Whether the tiles fit this convolution and save work over the direct form.
pub(super) fn applies<T: Real>(path: Path, g: &Geometry) -> bool {
    let (count, _) = path.shape::<T>();
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
pub(super) fn forward<T: Stored>(
    path: Path,
    products: Products,
    g: &Geometry,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    let order = WeightOrder::forward(g.out, g.input, 9);
    let operands = (x, weight, bias);
    convolve(path, products, &Tiling::forward(g), order, operands)
}

/// The gradient of the input from `dy`, plus `bias`.
pub(super) fn input_gradient<T: Stored>(
    path: Path,
    products: Products,
    g: &Geometry,
    dy: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    let order = WeightOrder::transposed(g.out, g.input, 9);
    let operands = (dy, weight, bias);
    convolve(path, products, &Tiling::transposed(g), order, operands)
}

/// What is convolved, the weight and the bias.
type Operands<'a, T> = (
    &'a [T],
    &'a [<T as Stored>::Real],
    Option<&'a [<T as Stored>::Real]>,
);

fn convolve<T: Stored>(
    path: Path,
    products: Products,
    t: &Tiling,
    order: WeightOrder,
    operands: Operands<T>,
) -> Vec<T> {
    match products {
        Products::Full => convolve_in::<T, Full<T::Real>>(path, t, order, operands),
        Products::Half => convolve_in::<T, Half<T::Real>>(path, t, order, operands),
        Products::Split => convolve_in::<T, Split<T::Real>>(path, t, order, operands),
    }
}

/// Tiles at a time: about as many as have both sides' planes in the second-level cache, and the same for every thread.
fn tiles_at_once<F: Format>(path: Path, t: &Tiling) -> usize {
    const CACHED: usize = 448 * 1024;
    let input = t.input * F::PER_CHANNEL * size_of::<F::Row>();
    let bytes = PLANES * (input + t.out * size_of::<F::Real>());
    let rows = path.bf16_rows();
    let fitting = (CACHED / bytes / rows * rows).clamp(rows.max(12), 96);
    let threads = rayon::current_num_threads();
    let share = fitting * threads;
    let rounds = ((t.tiles() + share / 2) / share).max(1);
    t.tiles().div_ceil(rounds * threads).max(1)
}

fn convolve_in<T: Stored, F: Format<Real = T::Real>>(
    path: Path,
    t: &Tiling,
    order: WeightOrder,
    (x, weight, bias): Operands<T>,
) -> Vec<T> {
    assert_eq!(x.len(), t.n * t.h * t.w * t.input);
    assert_eq!(weight.len(), order.lanes * order.depth());
    let (count, cols) = path.shape::<T::Real>();
    assert!(padded(t.out, count, cols) == t.out && t.input.is_multiple_of(count));
    let weights = transform_weights::<F>(path, order, weight);
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
    let step = tiles_at_once::<F>(path, t);
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
                    path,
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
                        path,
                        &inputs[p * plane_in..(p + 1) * plane_in],
                        &weights.slice(PLANES * weight_plane)
                            [p * weight_plane..(p + 1) * weight_plane],
                        size,
                        zeros,
                        &mut outputs[p * plane_out..(p + 1) * plane_out],
                    );
                }
                T::run(
                    path,
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
fn transform_weights<F: Format>(path: Path, order: WeightOrder, weight: &[F::Real]) -> Aligned {
    let (count, cols) = path.shape::<F::Real>();
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
        path.run_bf16(TransformWeights {
            order,
            weight,
            start,
            registers,
            sink: F::pairs_at(place),
        });
    });
    planes
}
