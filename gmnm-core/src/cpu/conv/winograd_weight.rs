//! The weight gradient of a 3×3 convolution by Winograd's tiles: the transpose of each step of the forward pass.

use super::geometry::Geometry;
use super::passes::Shared;
use super::planes::{Format, Full, Half, Place, PlaneSize, Split};
use super::tiling::{PLANES, SKEW, Tiling};
use super::winograd_transform::{BackWeights, TransformGradient, TransformInput};
use crate::cpu::parallel::*;
use crate::cpu::product::pack::{blocks, padded};
use crate::cpu::product::products::Products;
use crate::cpu::scratch::Aligned;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::stored::Stored;

/// Both sides' planes of a round stay within this much memory, a share of the last-level cache.
const CACHED: usize = 12 << 20;
/// Tiles that a task transforms, an even number.
const STEP: usize = 64;

/// The gradient of the weight, `[out, input, 3, 3]`.
///
/// Rounds of tiles are transformed on all threads, then each plane adds its products to its own sums on one thread: the
/// order of additions does not depend on the number of threads.
pub(crate) fn weight_gradient<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    x: &[T],
    dy: &[T],
) -> Vec<T::Real> {
    match products {
        Products::Full => gradient_in::<T, Full<T::Real>>(isa, g, x, dy),
        Products::Half => gradient_in::<T, Half<T::Real>>(isa, g, x, dy),
        Products::Split => gradient_in::<T, Split<T::Real>>(isa, g, x, dy),
    }
}

fn gradient_in<T: Stored, F: Format<Real = T::Real>>(
    isa: Isa,
    g: &Geometry,
    x: &[T],
    dy: &[T],
) -> Vec<T::Real> {
    let t = Tiling::forward(g);
    let (count, cols) = isa.shape::<T::Real>();
    assert!(padded(g.out, count, cols) == g.out && g.input.is_multiple_of(count));
    assert!(x.len() == g.input_len() && dy.len() == g.output_len());
    let outside = vec![T::default(); g.input.max(g.out)];
    let tiles = t.tiles();
    let bytes = PLANES * F::pairs(2, g.input + g.out) * size_of::<F::Pair>() / 2;
    let round = ((CACHED / bytes).max(STEP) / STEP * STEP).min(tiles);
    let (part_in, part_out) = (round.div_ceil(2) * g.input, round.div_ceil(2) * g.out);
    let (plane_in, plane_out) = (
        F::pairs(round, g.input) + SKEW,
        F::pairs(round, g.out) + SKEW,
    );
    let mut inputs = Aligned::zeros::<F::Pair>(PLANES * plane_in);
    let mut gradients = Aligned::zeros::<F::Pair>(PLANES * plane_out);
    let plane = g.out * g.input;
    let mut sums = Aligned::zeros::<T::Real>(PLANES * plane);
    let mut first = 0;
    while first < tiles {
        let count = round.min(tiles - first);
        let to_inputs = Shared(inputs.slice_mut::<F::Pair>(PLANES * plane_in).as_mut_ptr());
        let to_gradients = Shared(
            gradients
                .slice_mut::<F::Pair>(PLANES * plane_out)
                .as_mut_ptr(),
        );
        (0..count.div_ceil(STEP)).into_par_iter().for_each(|i| {
            let (start, count) = (i * STEP, STEP.min(count - i * STEP));
            T::run(
                isa,
                TransformInput {
                    tiling: &t,
                    first: first + start,
                    count,
                    x,
                    outside: &outside,
                    sink: F::pairs_at(Place {
                        at: to_inputs.at(rows::<F>(start, g.input)),
                        plane: plane_in,
                        width: g.input,
                        part: part_in,
                    }),
                },
            );
            T::run(
                isa,
                TransformGradient {
                    tiling: &t,
                    first: first + start,
                    count,
                    dy,
                    outside: &outside,
                    sink: F::pairs_at(Place {
                        at: to_gradients.at(rows::<F>(start, g.out)),
                        plane: plane_out,
                        width: g.out,
                        part: part_out,
                    }),
                },
            );
        });
        sums.slice_mut::<T::Real>(PLANES * plane)
            .par_chunks_mut(plane)
            .zip(
                inputs
                    .slice::<F::Pair>(PLANES * plane_in)
                    .par_chunks(plane_in),
            )
            .zip(
                gradients
                    .slice::<F::Pair>(PLANES * plane_out)
                    .par_chunks(plane_out),
            )
            .for_each(|((sums, inputs), gradients)| {
                for start in (0..count).step_by(F::SWEEP) {
                    let size = PlaneSize {
                        rows: F::SWEEP.min(count - start),
                        inner: t.input,
                        lanes: t.out,
                    };
                    F::add_products(
                        isa,
                        (&inputs[rows::<F>(start, t.input)..], part_in),
                        (&gradients[rows::<F>(start, t.out)..], part_out),
                        size,
                        sums,
                    );
                }
            });
        first += count;
    }
    let mut packed = Aligned::zeros::<T::Real>(9 * plane);
    let taps = packed.slice_mut::<T::Real>(9 * plane);
    isa.run(BackWeights {
        planes: sums.slice(PLANES * plane),
        taps,
        plane,
    });
    from_taps(taps, g, isa)
}

/// Elements of one part of `rows` rows, an even number.
fn rows<F: Format>(rows: usize, width: usize) -> usize {
    F::pairs(rows, width) / F::PER_CHANNEL
}

/// `[tap][block][inner][lane]` to `[out, input, 3, 3]`.
fn from_taps<T: Real>(taps: &[T], g: &Geometry, isa: Isa) -> Vec<T> {
    let (count, cols) = isa.shape::<T>();
    let plane = g.out * g.input;
    let mut weight = vec![T::default(); 9 * plane];
    for (start, registers) in blocks(g.out, count, cols) {
        let width = registers * count;
        let weight = &mut weight[start * g.input * 9..][..width * g.input * 9];
        weight
            .par_chunks_mut(g.input * 9)
            .enumerate()
            .for_each(|(lane, weight)| {
                for (inner, weight) in weight.chunks_exact_mut(9).enumerate() {
                    let at = start * g.input + inner * width + lane;
                    for (tap, weight) in weight.iter_mut().enumerate() {
                        *weight = taps[tap * plane + at];
                    }
                }
            });
    }
    weight
}
