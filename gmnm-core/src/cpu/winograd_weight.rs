//! The weight gradient of a 3×3 convolution by Winograd's tiles: the transpose of each step of the forward pass.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::conv::{Geometry, Grid, Run};
use super::conv_weight::{Sweep, add_partials};
use super::dispatch::{Kernel, Path};
use super::lanes::{Lanes, Real};
use super::pack::{WeightOrder, padded, unpack};
use super::scratch::{Aligned, with_scratch};
use super::winograd::{IN, PLANES, SKEW, Tiling, TransformGradient, TransformInput, constant};

/// Partial sums may take this much memory.
const PARTIALS: usize = 48 << 20;
/// Tiles per sweep over the sums.
const STEP: usize = 64;

/// The gradient of the weight, `[out, input, 3, 3]`.
pub(super) fn weight_gradient<T: Real>(path: Path, g: &Geometry, x: &[T], dy: &[T]) -> Vec<T> {
    let t = Tiling::forward(g);
    let (count, cols) = path.shape::<T>();
    assert!(padded(g.out, count, cols) == g.out && g.input.is_multiple_of(count));
    let plane = g.out * g.input;
    let len = PLANES * plane;
    let tiles = t.tiles();
    let parts = (PARTIALS / (len * size_of::<T>())).clamp(2, 16).min(tiles);
    let zeros = Aligned::zeros::<T>(g.input.max(g.out));
    let zeros = zeros.slice::<T>(g.input.max(g.out));
    let partials: Vec<Aligned> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut sums = Aligned::zeros::<T>(len);
            let end = (part + 1) * tiles / parts;
            let mut first = part * tiles / parts;
            while first < end {
                let count = STEP.min(end - first);
                accumulate(path, &t, first, count, (x, dy, zeros), sums.slice_mut(len));
                first += count;
            }
            sums
        })
        .collect();
    let total = add_partials::<T>(&partials, len);
    let mut packed = Aligned::zeros::<T>(9 * plane);
    let taps = packed.slice_mut::<T>(9 * plane);
    path.run(BackWeights {
        planes: total.slice(len),
        taps,
        plane,
    });
    from_taps(taps, g, path)
}

/// Adds the products of a range of tiles to the sums of every plane.
fn accumulate<T: Real>(
    path: Path,
    t: &Tiling,
    first: usize,
    count: usize,
    (x, dy, zeros): (&[T], &[T], &[T]),
    sums: &mut [T],
) {
    let (plane_in, plane_out) = (STEP * t.input + SKEW, STEP * t.out + SKEW);
    let runs = [Run {
        x: 0,
        k: 0,
        len: t.input,
    }];
    with_scratch(PLANES * (plane_in + plane_out), |scratch: &mut [T]| {
        let (inputs, gradients) = scratch.split_at_mut(PLANES * plane_in);
        path.run(TransformInput {
            tiling: t,
            first,
            count,
            x,
            zeros,
            planes: inputs,
            plane: plane_in,
        });
        path.run(TransformGradient {
            tiling: t,
            first,
            count,
            dy,
            zeros,
            planes: gradients,
            plane: plane_out,
        });
        let plane = t.input * t.out;
        for p in 0..PLANES {
            path.run(Sweep {
                runs: &runs,
                depth: t.input,
                lanes: t.out,
                x: &inputs[p * plane_in..][..count * t.input],
                dy: &gradients[p * plane_out..][..count * t.out],
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
                sums: &mut sums[p * plane..(p + 1) * plane],
            });
        }
    });
}

/// `[tap][block][inner][lane]` to `[out, input, 3, 3]`.
fn from_taps<T: Real>(taps: &[T], g: &Geometry, path: Path) -> Vec<T> {
    let (count, cols) = path.shape::<T>();
    let plane = g.out * g.input;
    let order = WeightOrder::forward(g.out, g.input, 1);
    let mut weight = vec![T::default(); 9 * plane];
    for tap in 0..9 {
        let values = unpack(&taps[tap * plane..(tap + 1) * plane], order, count, cols);
        for (weight, value) in weight[tap..].iter_mut().step_by(9).zip(values) {
            *weight = value;
        }
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
