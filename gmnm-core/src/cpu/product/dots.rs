//! Matrix products of pairs in bf16 with sums in f32 (or f64).
//!
//! A register tile holds `ROWS` rows × `COLS` registers of columns; each step multiplies a pair of every row with a pair
//! of every column. Where the processor has no such product, the pairs are widened and multiplied in f32.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use half::bf16;

use super::pack::blocks;
use crate::cpu::simd::isa::{Isa, Kernel};
use crate::cpu::simd::lanes::{Lanes, Real};
use crate::cpu::simd::stored::store_partial;

/// A stretch of pairs of a row that meets a stretch of pairs of the weights.
#[derive(Clone, Copy)]
pub(crate) struct PairRun {
    /// The first element in the row.
    pub(crate) x: usize,
    /// The first pair in a block of weights.
    pub(crate) k: usize,
    /// Pairs.
    pub(crate) len: usize,
}

/// `y` `[rows, lanes]` = (or, where `ADD`, +=) the sums over all runs of `x` `[rows, x_step]` times `weights`
/// `[block][depth][lane]`; rows of `y` lie `y_step` apart.
pub(crate) struct DotProduct<'a, R, const ADD: bool> {
    pub(crate) x: &'a [bf16],
    pub(crate) x_step: usize,
    pub(crate) rows: usize,
    pub(crate) weights: &'a [[bf16; 2]],
    /// Pairs of weights of one lane.
    pub(crate) depth: usize,
    pub(crate) lanes: usize,
    pub(crate) runs: &'a [PairRun],
    pub(crate) y: &'a mut [R],
    pub(crate) y_step: usize,
}

impl<R: Real, const ADD: bool> DotProduct<'_, R, ADD> {
    /// Sums on `isa`.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn run_on(mut self, isa: Isa) {
        if self.rows == 0 {
            return;
        }
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if isa == Isa::Amx {
            match R::singles(std::mem::take(&mut self.y)) {
                Ok(y) => return super::amx::product(&self, y),
                Err(y) => self.y = y,
            }
        }
        self.check(self.y.len());
        isa.run_bf16(self);
    }

    /// That runs and rows lie inside their slices, and `sums` elements are enough for the sums.
    pub(crate) fn check(&self, sums: usize) {
        assert!(sums >= (self.rows - 1) * self.y_step + self.lanes);
        for run in self.runs {
            assert!(run.k + run.len <= self.depth && run.x + 2 * run.len <= self.x_step);
        }
        assert!(self.x.len() >= self.rows * self.x_step);
    }
}

impl<R: Real, const ADD: bool> Kernel<R> for DotProduct<'_, R, ADD> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = R>, const ROWS: usize, const COLS: usize>(mut self) {
        for (start, registers) in blocks(self.lanes, V::COUNT, COLS) {
            // SAFETY: the caller checked the features; rows, runs and blocks lie inside their slices.
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

impl<R: Real, const ADD: bool> DotProduct<'_, R, ADD> {
    #[inline(always)]
    unsafe fn block<V: Lanes<Scalar = R>, const P: usize, const Q: usize>(&mut self, start: usize) {
        let count = Q * V::COUNT;
        let width = count.min(self.lanes - start);
        let weights = &self.weights[start * self.depth..][..count * self.depth];
        let mut row = 0;
        while row < self.rows {
            let valid = P.min(self.rows - row);
            let mut rows = [self.x.as_ptr(); P];
            for p in 0..P {
                // A short tile repeats its last row and doesn't store it.
                rows[p] = rows[p].wrapping_add((row + p.min(valid - 1)) * self.x_step);
            }
            // SAFETY: as the caller guarantees.
            unsafe {
                let zero = V::splat(R::default());
                let mut acc = [[zero; Q]; P];
                if ADD {
                    for p in 0..P {
                        let row = row + p.min(valid - 1);
                        let y = self.y.as_ptr().add(row * self.y_step + start);
                        for q in 0..Q {
                            let left = width.saturating_sub(q * V::COUNT);
                            acc[p][q] = R::load_some(y.wrapping_add(q * V::COUNT), left, zero);
                        }
                    }
                }
                for run in self.runs {
                    let mut w = weights.as_ptr().add(run.k * count);
                    for k in 0..run.len {
                        let mut factors = [V::load_pairs(w); Q];
                        for q in 1..Q {
                            factors[q] = V::load_pairs(w.add(q * V::COUNT));
                        }
                        for p in 0..P {
                            let pair = V::splat_pair(rows[p].add(run.x + 2 * k));
                            for q in 0..Q {
                                acc[p][q] = acc[p][q].dot(pair, factors[q]);
                            }
                        }
                        w = w.add(count);
                    }
                }
                for p in 0..valid {
                    let to = self.y.as_mut_ptr().add((row + p) * self.y_step + start);
                    store_partial::<R, V, Q>(&acc[p], to, width);
                }
            }
            row += valid;
        }
    }
}

/// How sums of `depth` times `lanes` products lie.
#[derive(Clone, Copy)]
pub(crate) enum SumLayout {
    /// `[block][depth][lane]`.
    Blocks,
    /// `[depth, columns]` of so many columns; lanes past them are left out.
    Rows(usize),
}

/// Where the sums of a block of lanes lie.
pub(crate) struct SumPlace {
    /// The first of them.
    pub(crate) first: usize,
    /// Elements from one row to the next.
    pub(crate) step: usize,
    /// Of the block's lanes, those that have sums.
    pub(crate) columns: usize,
}

impl SumLayout {
    /// The place of the sums of `width` lanes from `start` on, in a slice of `len` elements with `depth` rows.
    ///
    /// # Panics
    /// When they don't lie inside the slice.
    pub(crate) fn place(self, start: usize, width: usize, depth: usize, len: usize) -> SumPlace {
        match self {
            Self::Blocks => {
                assert!((start + width) * depth <= len);
                SumPlace {
                    first: start * depth,
                    step: width,
                    columns: width,
                }
            }
            Self::Rows(columns) => {
                assert!(start < columns && depth * columns <= len);
                SumPlace {
                    first: start,
                    step: columns,
                    columns: width.min(columns - start),
                }
            }
        }
    }
}

/// `sums` += `x` `[pairs, depth]`ᵀ · `dy` `[pairs, lanes]`, where a pair holds two rows; lanes fill whole registers. Pairs
/// of `x` lie `x_step` apart.
pub(crate) struct DotSweep<'a, R> {
    pub(crate) x: &'a [[bf16; 2]],
    pub(crate) x_step: usize,
    pub(crate) dy: &'a [[bf16; 2]],
    pub(crate) pairs: usize,
    pub(crate) depth: usize,
    pub(crate) lanes: usize,
    pub(crate) sums: &'a mut [R],
    pub(crate) layout: SumLayout,
}

impl<R: Real> DotSweep<'_, R> {
    /// Sums on `isa`.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn run_on(mut self, isa: Isa) {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if isa == Isa::Amx {
            match R::singles(std::mem::take(&mut self.sums)) {
                Ok(sums) => return super::amx::sweep(&self, sums),
                Err(sums) => self.sums = sums,
            }
        }
        self.check();
        isa.run_bf16(self);
    }

    /// That the pairs lie inside their slices.
    pub(crate) fn check(&self) {
        assert!(self.depth <= self.x_step);
        assert!(self.x.len() >= self.pairs * self.x_step);
        assert!(self.dy.len() >= self.pairs * self.lanes);
    }
}

impl<R: Real> Kernel<R> for DotSweep<'_, R> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = R>, const ROWS: usize, const COLS: usize>(mut self) {
        for (start, registers) in blocks(self.lanes, V::COUNT, COLS) {
            // SAFETY: the caller checked the features; `block` checks the sums, and lanes fill whole blocks.
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

impl<R: Real> DotSweep<'_, R> {
    #[inline(always)]
    unsafe fn block<V: Lanes<Scalar = R>, const P: usize, const Q: usize>(&mut self, start: usize) {
        let width = Q * V::COUNT;
        assert!(start + width <= self.lanes);
        let place = self.layout.place(start, width, self.depth, self.sums.len());
        let (step, columns) = (place.step, place.columns);
        let sums = &mut self.sums[place.first..];
        let mut k = 0;
        while k < self.depth {
            let valid = P.min(self.depth - k);
            // SAFETY: all pairs lie inside their slices, and `valid` rows of sums follow.
            unsafe {
                let zero = [V::splat(R::default()); Q];
                let mut acc = [zero; P];
                let mut x = self.x.as_ptr().add(k);
                let mut dy = self.dy.as_ptr().add(start);
                for _ in 0..self.pairs {
                    let mut factors = [V::load_pairs(dy); Q];
                    for q in 1..Q {
                        factors[q] = V::load_pairs(dy.add(q * V::COUNT));
                    }
                    for p in 0..P {
                        // A short tile repeats its last row and doesn't store it.
                        let pair = V::splat_pair(x.add(p.min(valid - 1)).cast());
                        for q in 0..Q {
                            acc[p][q] = acc[p][q].dot(pair, factors[q]);
                        }
                    }
                    x = x.wrapping_add(self.x_step);
                    dy = dy.wrapping_add(self.lanes);
                }
                for p in 0..P {
                    if p < valid {
                        for q in 0..Q {
                            let to = sums.as_mut_ptr().add((k + p) * step + q * V::COUNT);
                            if columns == width {
                                V::load(to).add(acc[p][q]).store(to);
                            } else {
                                let left = columns - q * V::COUNT;
                                let old = R::load_some(to, left, zero[q]);
                                R::store_some(old.add(acc[p][q]), to, left);
                            }
                        }
                    }
                }
            }
            k += valid;
        }
    }
}
