//! The weight gradient's register tiles: each holds `ROWS` weights along a run of the padded input × `COLS` registers of
//! output channels, and streams positions past them.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use super::geometry::{Grid, Run};
use crate::cpu::product::pack::blocks;
use crate::cpu::simd::isa::Kernel;
use crate::cpu::simd::lanes::{Lanes, Real};

/// A block of output rows of one image.
pub(crate) struct Sweep<'a, T> {
    pub(crate) runs: &'a [Run],
    pub(crate) depth: usize,
    pub(crate) lanes: usize,
    pub(crate) x: &'a [T],
    pub(crate) dy: &'a [T],
    pub(crate) grid: Grid,
    pub(crate) first: usize,
    pub(crate) height: usize,
    pub(crate) sums: &'a mut [T],
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
