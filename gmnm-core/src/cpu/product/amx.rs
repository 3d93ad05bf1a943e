//! Matrix products in bf16 on the tile registers of Intel's AMX: what [`super::dots`] computes, sixteen rows × sixteen
//! columns × sixteen pairs in one instruction.
//!
//! A block of sums holds up to 2 × 2 tiles; a step loads the tiles of both factors that it needs and multiplies each
//! with each. The factors lie in memory as the tiles want them: rows of pairs on the left, pairs of rows on the right.
//! Where fewer than sixteen pairs remain, they are copied beside zeros.
//!
//! Tiles keep their values from one `asm!` to the next: the compiler emits no instruction for them, and the kernel
//! saves them with a thread's other registers.

mod transpose;

use std::arch::asm;

use half::bf16;

use super::dots::{DotProduct, DotSweep};
use super::pack::blocks;
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::tile_unit::{ROWS, SIDE, TILES};
use transpose::transpose;

/// Registers side by side in a block of packed weights.
const REGISTERS: usize = 4;

/// What `LDTILECFG` reads: the bytes of a row and the rows of each tile.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tile registers of this thread: 0 to 3 hold sums (0 and 1 above 2 and 3), 4 and 5 the left factor's rows, 6 and 7
/// the right one's columns. They are given up when this is dropped.
struct Tiles {
    /// Rows of the upper and the lower tiles; both 0 before the first configuration.
    rows: [usize; TILES],
}

impl Tiles {
    fn new() -> Self {
        Self { rows: [0; TILES] }
    }

    /// Prepares the tiles for blocks of `rows` rows, 1 to [`ROWS`]. What they hold is lost.
    ///
    /// # Safety
    /// The processor has tiles.
    unsafe fn configure(&mut self, rows: usize) {
        let rows = [rows.min(SIDE), rows.saturating_sub(SIDE)];
        if rows == self.rows {
            return;
        }
        self.rows = rows;
        let mut config = Config {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        let [upper, lower] = rows.map(|rows| rows as u8);
        let all = [upper, upper, lower, lower, upper, lower, 16, 16];
        for (tile, rows) in all.into_iter().enumerate() {
            config.rows[tile] = rows;
            config.row_bytes[tile] = if rows > 0 { 64 } else { 0 };
        }
        // SAFETY: the configuration is complete and lies inside the palette's limits.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles are made by the functions of this module, where the processor has them.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Up to 2 × 2 tiles of sums in memory.
#[derive(Clone, Copy)]
struct Block {
    at: *mut f32,
    /// Elements from one row to the next.
    step: usize,
    /// Rows of the upper and the lower tiles; the lower may have none.
    rows: [usize; TILES],
    /// Columns of the left and the right tiles that there are in memory; the right may have none.
    columns: [usize; TILES],
}

/// Runs `$action` for each tile of sums in use: its name, its row and its column of tiles.
macro_rules! each_sum {
    ($block:expr, $action:ident) => {
        $action!("tmm0", 0, 0);
        if $block.columns[1] > 0 {
            $action!("tmm1", 0, 1);
        }
        if $block.rows[1] > 0 {
            $action!("tmm2", 1, 0);
            if $block.columns[1] > 0 {
                $action!("tmm3", 1, 1);
            }
        }
    };
}

/// Loads a tile from rows that lie `$step` bytes apart.
macro_rules! load {
    ($tile:literal, $at:expr, $step:expr) => {
        asm!(
            concat!("tileloadd ", $tile, ", [{at} + {step}*1]"),
            at = in(reg) $at,
            step = in(reg) $step,
            options(nostack, readonly),
        )
    };
}

/// Writes a tile to rows that lie `$step` bytes apart.
macro_rules! store {
    ($tile:literal, $at:expr, $step:expr) => {
        asm!(
            concat!("tilestored [{at} + {step}*1], ", $tile),
            at = in(reg) $at,
            step = in(reg) $step,
            options(nostack),
        )
    };
}

/// Adds a product of tiles to a tile of sums.
macro_rules! multiply {
    ($sum:literal, $left:literal, $right:literal) => {
        asm!(
            concat!("tdpbf16ps ", $sum, ", ", $left, ", ", $right),
            options(nostack, nomem),
        )
    };
}

/// A tile of sums of which memory has only some columns.
type Spare = [[f32; SIDE]; SIDE];

impl Block {
    /// The first sum of a tile.
    fn tile(&self, row: usize, column: usize) -> *mut f32 {
        self.at.wrapping_add(row * SIDE * self.step + column * SIDE)
    }

    /// Copies the columns that a tile has in memory from there, or back.
    ///
    /// # Safety
    /// Those sums lie in memory that may be read and written.
    unsafe fn copy(&self, (row, column): (usize, usize), spare: &mut Spare, back: bool) {
        let at = self.tile(row, column);
        for (y, spare) in spare.iter_mut().take(self.rows[row]).enumerate() {
            let (at, spare) = (at.wrapping_add(y * self.step), spare.as_mut_ptr());
            let (from, to) = if back { (spare, at) } else { (at, spare) };
            // SAFETY: as the caller guarantees, and a spare row has room for all columns.
            unsafe { from.copy_to_nonoverlapping(to, self.columns[column]) };
        }
    }

    /// Clears the tiles.
    ///
    /// # Safety
    /// The tiles are configured for these rows.
    unsafe fn clear(&self) {
        macro_rules! clear {
            ($tile:literal, $row:literal, $column:literal) => {
                // SAFETY: as the caller guarantees.
                unsafe { asm!(concat!("tilezero ", $tile), options(nostack, nomem)) }
            };
        }
        each_sum!(self, clear);
    }

    /// Loads the tiles.
    ///
    /// # Safety
    /// The tiles are configured for these rows, and the sums may be read.
    unsafe fn load(&self) {
        macro_rules! load_sum {
            ($tile:literal, $row:literal, $column:literal) => {
                // SAFETY: as the caller guarantees; a spare has all rows and columns of a tile.
                unsafe {
                    if self.columns[$column] == SIDE {
                        load!($tile, self.tile($row, $column), 4 * self.step);
                    } else {
                        let mut spare: Spare = [[0.0; SIDE]; SIDE];
                        self.copy(($row, $column), &mut spare, false);
                        load!($tile, spare.as_ptr(), 4 * SIDE);
                    }
                }
            };
        }
        each_sum!(self, load_sum);
    }

    /// Writes the tiles.
    ///
    /// # Safety
    /// The tiles are configured for these rows, and the sums may be written.
    unsafe fn store(&self) {
        macro_rules! store_sum {
            ($tile:literal, $row:literal, $column:literal) => {
                // SAFETY: as the caller guarantees; a spare has all rows and columns of a tile.
                unsafe {
                    if self.columns[$column] == SIDE {
                        store!($tile, self.tile($row, $column), 4 * self.step);
                    } else {
                        let mut spare: Spare = [[0.0; SIDE]; SIDE];
                        store!($tile, spare.as_mut_ptr(), 4 * SIDE);
                        self.copy(($row, $column), &mut spare, true);
                    }
                }
            };
        }
        each_sum!(self, store_sum);
    }

    /// Adds the products of `left`, rows of pairs, and `right`, pairs of rows, over `pairs` pairs.
    ///
    /// # Safety
    /// The tiles are configured for these rows; that many pairs of each row on the left, and that many rows of whole
    /// tiles on the right, may be read.
    unsafe fn add_products(&self, left: Factor, right: Factor, pairs: usize) {
        let whole = pairs / SIDE * SIDE;
        for k in (0..whole).step_by(SIDE) {
            // SAFETY: as the caller guarantees.
            unsafe { self.step(left.at_column(k), right.at_row(k)) };
        }
        let rest = pairs - whole;
        if rest == 0 {
            return;
        }
        let (left, right) = (left.at_column(whole), right.at_row(whole));
        let tiles = self.columns.iter().filter(|&&columns| columns > 0).count();
        let mut left_rest = [[[bf16::ZERO; 2]; SIDE]; ROWS];
        let mut right_rest = [[[bf16::ZERO; 2]; TILES * SIDE]; SIDE];
        // SAFETY: as the caller guarantees; the copies have room for a whole step.
        unsafe {
            for (y, row) in left_rest
                .iter_mut()
                .take(self.rows.iter().sum())
                .enumerate()
            {
                let (from, to) = (left.at_row(y).at, row.as_mut_ptr().cast());
                from.copy_to_nonoverlapping(to, 2 * rest);
            }
            for (y, row) in right_rest.iter_mut().take(rest).enumerate() {
                let (from, to) = (right.at_row(y).at, row.as_mut_ptr().cast());
                from.copy_to_nonoverlapping(to, 2 * tiles * SIDE);
            }
            self.step(
                Factor::new(left_rest.as_flattened(), SIDE),
                Factor::new(right_rest.as_flattened(), TILES * SIDE),
            );
        }
    }

    /// Adds the products over [`SIDE`] pairs.
    ///
    /// # Safety
    /// As for [`Self::add_products`].
    #[inline(always)]
    unsafe fn step(&self, left: Factor, right: Factor) {
        let (left_bytes, right_bytes) = (2 * left.step, 2 * right.step);
        // SAFETY: as the caller guarantees.
        unsafe {
            load!("tmm4", left.at, left_bytes);
            load!("tmm6", right.at, right_bytes);
            multiply!("tmm0", "tmm4", "tmm6");
            if self.columns[1] > 0 {
                load!("tmm7", right.at_column(SIDE).at, right_bytes);
                multiply!("tmm1", "tmm4", "tmm7");
            }
            if self.rows[1] > 0 {
                load!("tmm5", left.at_row(SIDE).at, left_bytes);
                multiply!("tmm2", "tmm5", "tmm6");
                if self.columns[1] > 0 {
                    multiply!("tmm3", "tmm5", "tmm7");
                }
            }
        }
    }
}

/// Pairs in rows that lie `step` numbers apart. A pair may lie at any number.
#[derive(Clone, Copy)]
struct Factor {
    at: *const bf16,
    step: usize,
}

impl Factor {
    /// Rows of `step` pairs.
    fn new(pairs: &[[bf16; 2]], step: usize) -> Self {
        let (at, step) = (pairs.as_ptr().cast(), 2 * step);
        Self { at, step }
    }

    fn at_row(self, row: usize) -> Self {
        let at = self.at.wrapping_add(row * self.step);
        Self { at, ..self }
    }

    fn at_column(self, pair: usize) -> Self {
        let at = self.at.wrapping_add(2 * pair);
        Self { at, ..self }
    }
}

/// Sixteen lanes by sixteen, up to two at a time of a block of packed weights: the first lane and the columns of each.
fn columns(
    start: usize,
    registers: usize,
    lanes: usize,
) -> impl Iterator<Item = (usize, [usize; TILES])> {
    let block = start..lanes.min(start + registers * SIDE);
    block.clone().step_by(TILES * SIDE).map(move |first| {
        let left = block.end - first;
        (first, [left.min(SIDE), left.saturating_sub(SIDE).min(SIDE)])
    })
}

/// [`DotProduct`] on tiles, into `y`.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn product<R: Real, const ADD: bool>(p: &DotProduct<R, ADD>, y: &mut [f32]) {
    p.check(y.len());
    let mut tiles = Tiles::new();
    for (start, registers) in blocks(p.lanes, SIDE, REGISTERS) {
        let width = registers * SIDE;
        let weights = &p.weights[start * p.depth..][..width * p.depth];
        for (first, columns) in columns(start, registers, p.lanes) {
            for row in (0..p.rows).step_by(ROWS) {
                // SAFETY: an instruction set with tiles is only offered where there are tiles; `check` has seen that rows,
                // runs and sums lie inside their slices, and a block of weights holds whole tiles of `depth` pairs.
                unsafe {
                    tiles.configure(ROWS.min(p.rows - row));
                    let block = Block {
                        at: y.as_mut_ptr().add(row * p.y_step + first),
                        step: p.y_step,
                        rows: tiles.rows,
                        columns,
                    };
                    if ADD {
                        block.load();
                    } else {
                        block.clear();
                    }
                    for run in p.runs {
                        let left = Factor {
                            at: p.x.as_ptr().add(row * p.x_step + run.x),
                            step: p.x_step,
                        };
                        let right = Factor::new(weights, width).at_row(run.k);
                        block.add_products(left, right.at_column(first - start), run.len);
                    }
                    block.store();
                }
            }
        }
    }
}

/// [`DotSweep`] on tiles, onto `sums`.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn sweep<R: Real>(s: &DotSweep<R>, sums: &mut [f32]) {
    s.check();
    let [rows, step] = [s.depth, s.pairs].map(|n| n.next_multiple_of(SIDE));
    with_scratch(rows * step, |x: &mut [[bf16; 2]]| {
        transpose(s.x, s.x_step, [s.pairs, s.depth], x, step);
        let left = Factor::new(x, step);
        let mut tiles = Tiles::new();
        for (start, registers) in blocks(s.lanes, SIDE, REGISTERS) {
            let place = s.layout.place(start, registers * SIDE, s.depth, sums.len());
            for (first, columns) in columns(start, registers, start + place.columns) {
                for k in (0..s.depth).step_by(ROWS) {
                    // SAFETY: an instruction set with tiles is only offered where there are tiles; `check` and `place` have
                    // seen that pairs and sums lie inside their slices, and the transposed factor is filled up to whole
                    // tiles.
                    unsafe {
                        tiles.configure(ROWS.min(s.depth - k));
                        let at = place.first + k * place.step + first - start;
                        let block = Block {
                            at: sums.as_mut_ptr().add(at),
                            step: place.step,
                            rows: tiles.rows,
                            columns,
                        };
                        block.load();
                        let right = Factor::new(s.dy, s.lanes).at_column(first);
                        block.add_products(left.at_row(k), right, s.pairs);
                        block.store();
                    }
                }
            }
        }
    });
}
