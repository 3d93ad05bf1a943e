//! Register tiles of a convolution: `ROWS` output positions × `COLS` registers of output channels, summed over the runs
//! of a pass ([`super::geometry`]).

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::geometry::{Pass, Run};
use crate::cpu::product::pack::{WeightOrder, blocks};
use crate::cpu::simd::isa::Kernel;
use crate::cpu::simd::lanes::Lanes;
use crate::cpu::simd::stored::{Stored, store_partial};

/// What all positions share.
pub(crate) struct Task<'a, T> {
    pub(crate) weights: &'a [T],
    pub(crate) bias: &'a [T],
    pub(crate) order: WeightOrder,
}

/// A range of positions of one image.
pub(crate) struct Tiles<'a, T: Stored> {
    pub(crate) task: &'a Task<'a, T::Real>,
    pub(crate) pass: &'a Pass,
    pub(crate) x: *const T::Real,
    pub(crate) y: *mut T,
    pub(crate) range: Range<usize>,
}

impl<T: Stored> Kernel<T::Real> for Tiles<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        for (start, registers) in blocks(self.task.order.lanes, V::COUNT, COLS) {
            // SAFETY: the caller checked the features; weights and bias are padded to whole blocks.
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

impl<T: Stored> Tiles<'_, T> {
    /// All positions for one block of channels.
    #[inline(always)]
    unsafe fn block<V: Lanes<Scalar = T::Real>, const P: usize, const Q: usize>(
        &self,
        start: usize,
    ) {
        let grid = &self.pass.grid;
        let order = &self.task.order;
        let width = (Q * V::COUNT).min(order.lanes - start);
        let weights = &self.task.weights[start * order.depth()..][..Q * V::COUNT * order.depth()];
        let bias = &self.task.bias[start..start + Q * V::COUNT];
        let mut left = self.range.len();
        let mut places = grid.places(self.range.start, left);
        while left > 0 {
            let valid = left.min(P);
            let (mut xs, mut ys) = ([0; P], [0; P]);
            for p in 0..P {
                // A short tile repeats its last position and doesn't store it.
                [xs[p], ys[p]] = match places.next() {
                    Some([x, y]) => [x, y + start],
                    None => [xs[p - 1], ys[p - 1]],
                };
            }
            // SAFETY: positions and runs lie inside the padded image; blocks of weights and bias are whole.
            let acc = unsafe {
                tile::<V, P, Q>(
                    self.x,
                    &xs,
                    &self.pass.runs,
                    weights.as_ptr(),
                    bias.as_ptr(),
                )
            };
            for p in 0..valid {
                // SAFETY: `width` channels of a valid position lie inside the output.
                unsafe { store_partial(&acc[p], self.y.add(ys[p]), width) };
            }
            left -= valid;
        }
    }
}

/// The sums of P positions × Q registers over all runs.
///
/// # Safety
/// Runs from each position are readable, `weights` and `bias` hold whole blocks, and the processor has V's features.
#[inline(always)]
unsafe fn tile<V: Lanes, const P: usize, const Q: usize>(
    x: *const V::Scalar,
    positions: &[usize; P],
    runs: &[Run],
    weights: *const V::Scalar,
    bias: *const V::Scalar,
) -> [[V; Q]; P] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let mut init = [V::splat(V::Scalar::default()); Q];
        for q in 0..Q {
            init[q] = V::load(bias.add(q * V::COUNT));
        }
        let mut acc = [init; P];
        for run in runs {
            let mut rows = [x; P];
            for p in 0..P {
                rows[p] = x.add(positions[p] + run.x);
            }
            let mut w = weights.add(run.k * Q * V::COUNT);
            for k in 0..run.len {
                let mut factors = init;
                for q in 0..Q {
                    factors[q] = V::load(w.add(q * V::COUNT));
                }
                for p in 0..P {
                    let value = V::splat(*rows[p].add(k));
                    for q in 0..Q {
                        acc[p][q] = value.mul_add(factors[q], acc[p][q]);
                    }
                }
                w = w.add(Q * V::COUNT);
            }
        }
        acc
    }
}
