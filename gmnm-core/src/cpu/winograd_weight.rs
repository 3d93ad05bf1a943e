//! The weight gradient of a 3×3 convolution by Winograd's tiles: the transpose of each step of the forward pass.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::conv::{Geometry, Grid, Run, Shared};
use super::conv_weight::Sweep;
use super::dispatch::{Kernel, Path};
use super::lanes::{Lanes, Real};
use super::pack::{blocks, padded};
use super::scratch::Aligned;
use super::winograd::{IN, PLANES, SKEW, Tiling, TransformGradient, TransformInput, constant};

/// Both sides' planes of a round stay within this much memory, a share of the last-level cache.
const CACHED: usize = 12 << 20;
/// Tiles that a task transforms, and that pass between two visits to the sums.
const STEP: usize = 64;

/// The gradient of the weight, `[out, input, 3, 3]`.
///
/// Rounds of tiles are transformed on all threads, then each plane adds its products to its own sums on one thread: the
/// order of additions does not depend on the number of threads.
pub(super) fn weight_gradient<T: Real>(path: Path, g: &Geometry, x: &[T], dy: &[T]) -> Vec<T> {
    let t = Tiling::forward(g);
    let (count, cols) = path.shape::<T>();
    assert!(padded(g.out, count, cols) == g.out && g.input.is_multiple_of(count));
    assert!(x.len() == g.input_len() && dy.len() == g.output_len());
    let zeros = Aligned::zeros::<T>(g.input.max(g.out));
    let zeros = zeros.slice::<T>(g.input.max(g.out));
    let tiles = t.tiles();
    let bytes = PLANES * (g.input + g.out) * size_of::<T>();
    let round = ((CACHED / bytes).max(STEP) / STEP * STEP).min(tiles);
    let (plane_in, plane_out) = (round * g.input + SKEW, round * g.out + SKEW);
    let mut inputs = Aligned::zeros::<T>(PLANES * plane_in);
    let mut gradients = Aligned::zeros::<T>(PLANES * plane_out);
    let plane = g.out * g.input;
    let mut sums = Aligned::zeros::<T>(PLANES * plane);
    let mut first = 0;
    while first < tiles {
        let count = round.min(tiles - first);
        let to_inputs = Shared(inputs.slice_mut::<T>(PLANES * plane_in).as_mut_ptr());
        let to_gradients = Shared(gradients.slice_mut::<T>(PLANES * plane_out).as_mut_ptr());
        (0..count.div_ceil(STEP)).into_par_iter().for_each(|i| {
            let (start, count) = (i * STEP, STEP.min(count - i * STEP));
            path.run(TransformInput {
                tiling: &t,
                first: first + start,
                count,
                x,
                zeros,
                planes: to_inputs.at(start * g.input),
                plane: plane_in,
            });
            path.run(TransformGradient {
                tiling: &t,
                first: first + start,
                count,
                dy,
                zeros,
                planes: to_gradients.at(start * g.out),
                plane: plane_out,
            });
        });
        sums.slice_mut::<T>(PLANES * plane)
            .par_chunks_mut(plane)
            .zip(inputs.slice::<T>(PLANES * plane_in).par_chunks(plane_in))
            .zip(
                gradients
                    .slice::<T>(PLANES * plane_out)
                    .par_chunks(plane_out),
            )
            .for_each(|((sums, inputs), gradients)| {
                add_products(path, &t, count, inputs, gradients, sums);
            });
        first += count;
    }
    let mut packed = Aligned::zeros::<T>(9 * plane);
    let taps = packed.slice_mut::<T>(9 * plane);
    path.run(BackWeights {
        planes: sums.slice(PLANES * plane),
        taps,
        plane,
    });
    from_taps(taps, g, path)
}

/// Adds the products of `count` tiles of one plane to its sums.
fn add_products<T: Real>(
    path: Path,
    t: &Tiling,
    count: usize,
    inputs: &[T],
    gradients: &[T],
    sums: &mut [T],
) {
    let runs = [Run {
        x: 0,
        k: 0,
        len: t.input,
    }];
    for start in (0..count).step_by(STEP) {
        let count = STEP.min(count - start);
        path.run(Sweep {
            runs: &runs,
            depth: t.input,
            lanes: t.out,
            x: &inputs[start * t.input..][..count * t.input],
            dy: &gradients[start * t.out..][..count * t.out],
            grid: Grid {
                height: 1,
                width: count,
                x_start: 0,
                x_row: 0,
                x_col: t.input,
                y_start: 0,
                y_row: 0,
                y_col: t.out,
            },
            first: 0,
            height: 1,
            sums: &mut *sums,
        });
    }
}

/// `[tap][block][inner][lane]` to `[out, input, 3, 3]`.
fn from_taps<T: Real>(taps: &[T], g: &Geometry, path: Path) -> Vec<T> {
    let (count, cols) = path.shape::<T>();
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

/// Gᵀ·u·G of every kernel; planes and taps share their inner order.
struct BackWeights<'a, T> {
    planes: &'a [T],
    taps: &'a mut [T],
    plane: usize,
}

/// Gᵀ·u.
#[inline(always)]
fn back_1d<V: Lanes>(u: [V; IN]) -> [V; 3] {
    let (sixth, twelfth) = (constant::<V>(1.0 / 6.0), constant::<V>(1.0 / 12.0));
    let (s1, d1) = (u[1].add(u[2]).mul(sixth), u[1].sub(u[2]).mul(sixth));
    let (s2, d2) = (u[3].add(u[4]), u[3].sub(u[4]));
    [
        s2.mul_add(constant(1.0 / 24.0), u[0].mul(constant(0.25)))
            .sub(s1),
        d2.mul(twelfth).sub(d1),
        s2.mul_add(sixth, u[5]).sub(s1),
    ]
}

impl<T: Real> Kernel<T> for BackWeights<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        assert!(self.planes.len() == PLANES * self.plane && self.taps.len() == 9 * self.plane);
        assert!(self.plane.is_multiple_of(V::COUNT));
        let mut at = 0;
        while at < self.plane {
            // SAFETY: a plane is a whole number of registers.
            unsafe {
                let zero = V::splat(T::default());
                let mut half = [[zero; IN]; 3];
                for j in 0..IN {
                    let mut u = [zero; IN];
                    for i in 0..IN {
                        u[i] = V::load(self.planes.as_ptr().add((i * IN + j) * self.plane + at));
                    }
                    let g = back_1d(u);
                    for i in 0..3 {
                        half[i][j] = g[i];
                    }
                }
                for i in 0..3 {
                    let g = back_1d(half[i]);
                    for j in 0..3 {
                        g[j].store(self.taps.as_mut_ptr().add((i * 3 + j) * self.plane + at));
                    }
                }
            }
            at += V::COUNT;
        }
    }
}
