//! The planes of Winograd's products: how their numbers lie, and the products.

use std::marker::PhantomData;

use half::bf16;

use super::geometry::{Grid, Pass, Run};
use super::passes::Shared;
use super::sweep::Sweep;
use super::tiles::{Task, Tiles};
use crate::cpu::product::dots::{DotProduct, DotSweep, PairRun, SumLayout};
use crate::cpu::product::pack::WeightOrder;
use crate::cpu::scratch::Plain;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::{Lanes, Real};

/// Where the registers of a transform go: row `row`, columns from `column` on of plane `plane`.
pub(crate) trait Sink<R: Real>: Copy + Send + Sync {
    /// Writes a register.
    ///
    /// # Safety
    /// The place lies inside the planes, which no other thread writes there.
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize);
}

/// A sink of elements `E`.
#[derive(Clone, Copy)]
pub(crate) struct Place<E> {
    /// Row 0 of the first plane.
    pub(crate) at: Shared<E>,
    /// Elements from one plane to the next.
    pub(crate) plane: usize,
    /// Columns of a row.
    pub(crate) width: usize,
    /// Elements from the larger parts of numbers to the smaller ones.
    pub(crate) part: usize,
}

/// Rows of numbers as they are.
#[derive(Clone, Copy)]
pub(crate) struct Rows<R>(pub(crate) Place<R>);

/// Rows of rounded numbers.
#[derive(Clone, Copy)]
pub(crate) struct HalfRows(pub(crate) Place<bf16>);

/// Rows of the larger parts, each followed by the row of the smaller parts.
#[derive(Clone, Copy)]
pub(crate) struct SplitRows(pub(crate) Place<bf16>);

/// Pairs of rows of rounded numbers.
#[derive(Clone, Copy)]
pub(crate) struct HalfPairs(pub(crate) Place<[bf16; 2]>);

/// Pairs of rows of the larger parts and, `part` further, of the smaller ones.
#[derive(Clone, Copy)]
pub(crate) struct SplitPairs(pub(crate) Place<[bf16; 2]>);

impl<R: Real> Sink<R> for Rows<R> {
    #[inline(always)]
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize) {
        let Self(to) = self;
        // SAFETY: as the caller guarantees.
        unsafe { value.store(to.at.0.add(plane * to.plane + row * to.width + column)) }
    }
}

impl<R: Real> Sink<R> for HalfRows {
    #[inline(always)]
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize) {
        let Self(to) = self;
        // SAFETY: as the caller guarantees.
        unsafe { value.store_bf16(to.at.0.add(plane * to.plane + row * to.width + column)) }
    }
}

impl<R: Real> Sink<R> for SplitRows {
    #[inline(always)]
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize) {
        let Self(to) = self;
        let large = value.round_bf16();
        // SAFETY: as the caller guarantees.
        unsafe {
            let at = to.at.0.add(plane * to.plane + 2 * row * to.width + column);
            large.store_bf16(at);
            value.sub(large).store_bf16(at.add(to.width));
        }
    }
}

impl<R: Real> Sink<R> for HalfPairs {
    #[inline(always)]
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize) {
        let Self(to) = self;
        // SAFETY: as the caller guarantees; the first row of a pair is written before the second.
        unsafe {
            let at = to.at.0.add(plane * to.plane + row / 2 * to.width + column);
            value.round_bf16().store_halves(at, row % 2 == 1);
        }
    }
}

impl<R: Real> Sink<R> for SplitPairs {
    #[inline(always)]
    unsafe fn put<V: Lanes<Scalar = R>>(self, value: V, plane: usize, row: usize, column: usize) {
        let Self(to) = self;
        let large = value.round_bf16();
        let small = value.sub(large).round_bf16();
        // SAFETY: as the caller guarantees; the first row of a pair is written before the second.
        unsafe {
            let at = to.at.0.add(plane * to.plane + row / 2 * to.width + column);
            large.store_halves(at, row % 2 == 1);
            small.store_halves(at.add(to.part), row % 2 == 1);
        }
    }
}

/// A way to lay planes out and to multiply them.
pub(crate) trait Format {
    /// What is computed in.
    type Real: Real;
    /// What a forward pass multiplies: rows of channels.
    type Row: Plain + Send + Sync;
    /// What weights, and both operands of the weight gradient, are made of: numbers, or pairs of two rows.
    type Pair: Plain + Send + Sync;
    /// The sink of rows.
    type RowSink: Sink<Self::Real>;
    /// The sink of pairs.
    type PairSink: Sink<Self::Real>;
    /// Elements of `Row` for each channel.
    const PER_CHANNEL: usize;
    /// Tiles that pass between two visits to the sums of the weight gradient, even.
    const SWEEP: usize;

    /// Elements of `Pair` for `rows` rows of `width`.
    fn pairs(rows: usize, width: usize) -> usize;
    /// The sink of a forward pass's inputs.
    fn rows_at(place: Place<Self::Row>) -> Self::RowSink;
    /// The sink of pairs.
    fn pairs_at(place: Place<Self::Pair>) -> Self::PairSink;
    /// `y` `[rows, lanes]` = `x` `[rows, inner]` · `weights` `[block][inner][lane]`.
    fn multiply(
        isa: Isa,
        x: &[Self::Row],
        weights: &[Self::Pair],
        size: PlaneSize,
        zeros: &[Self::Real],
        y: &mut [Self::Real],
    );
    /// `sums` `[block][inner][lane]` += `x` `[rows, inner]`ᵀ · `dy` `[rows, lanes]`; the rows lie from element `first` of
    /// each on, the smaller parts (where there are) `parts` further.
    fn add_products(
        isa: Isa,
        x: (&[Self::Pair], usize),
        dy: (&[Self::Pair], usize),
        size: PlaneSize,
        sums: &mut [Self::Real],
    );
}

/// The sizes of a plane's product.
#[derive(Clone, Copy)]
pub(crate) struct PlaneSize {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) lanes: usize,
}

/// [`Products::Full`].
pub(crate) struct Full<R>(PhantomData<R>);

impl<R: Real> Format for Full<R> {
    type Real = R;
    type Row = R;
    type Pair = R;
    type RowSink = Rows<R>;
    type PairSink = Rows<R>;
    const PER_CHANNEL: usize = 1;
    const SWEEP: usize = 64;

    fn pairs(rows: usize, width: usize) -> usize {
        rows * width
    }
    fn rows_at(place: Place<R>) -> Rows<R> {
        Rows(place)
    }
    fn pairs_at(place: Place<R>) -> Rows<R> {
        Rows(place)
    }
    fn multiply(isa: Isa, x: &[R], weights: &[R], size: PlaneSize, zeros: &[R], y: &mut [R]) {
        assert!(x.len() >= size.rows * size.inner && y.len() >= size.rows * size.lanes);
        isa.run(Tiles {
            task: &Task {
                weights,
                bias: &zeros[..size.lanes],
                order: WeightOrder::forward(size.lanes, size.inner, 1),
            },
            pass: &Pass {
                runs: vec![whole(size.inner)],
                grid: grid(size),
            },
            x: x.as_ptr(),
            y: y.as_mut_ptr(),
            range: 0..size.rows,
        });
    }
    fn add_products(
        isa: Isa,
        (x, _): (&[R], usize),
        (dy, _): (&[R], usize),
        size: PlaneSize,
        sums: &mut [R],
    ) {
        isa.run(Sweep {
            runs: &[whole(size.inner)],
            depth: size.inner,
            lanes: size.lanes,
            x: &x[..size.rows * size.inner],
            dy: &dy[..size.rows * size.lanes],
            grid: grid(size),
            first: 0,
            height: 1,
            sums,
        });
    }
}

fn whole(inner: usize) -> Run {
    Run {
        x: 0,
        k: 0,
        len: inner,
    }
}

fn grid(size: PlaneSize) -> Grid {
    Grid {
        height: 1,
        width: size.rows,
        x_start: 0,
        x_row: 0,
        x_col: size.inner,
        y_start: 0,
        y_row: 0,
        y_col: size.lanes,
    }
}

/// [`Products::Half`].
pub(crate) struct Half<R>(PhantomData<R>);

impl<R: Real> Format for Half<R> {
    type Real = R;
    type Row = bf16;
    type Pair = [bf16; 2];
    type RowSink = HalfRows;
    type PairSink = HalfPairs;
    const PER_CHANNEL: usize = 1;
    const SWEEP: usize = 128;

    fn pairs(rows: usize, width: usize) -> usize {
        rows.div_ceil(2) * width
    }
    fn rows_at(place: Place<bf16>) -> HalfRows {
        HalfRows(place)
    }
    fn pairs_at(place: Place<[bf16; 2]>) -> HalfPairs {
        HalfPairs(place)
    }
    fn multiply(
        isa: Isa,
        x: &[bf16],
        weights: &[[bf16; 2]],
        size: PlaneSize,
        _: &[R],
        y: &mut [R],
    ) {
        let len = size.inner / 2;
        DotProduct::<R, false> {
            x,
            x_step: size.inner,
            rows: size.rows,
            weights,
            depth: len,
            lanes: size.lanes,
            runs: &[PairRun { x: 0, k: 0, len }],
            y,
            y_step: size.lanes,
        }
        .run_on(isa);
    }
    fn add_products(
        isa: Isa,
        (x, _): (&[[bf16; 2]], usize),
        (dy, _): (&[[bf16; 2]], usize),
        size: PlaneSize,
        sums: &mut [R],
    ) {
        sweep(isa, x, dy, size, sums);
    }
}

fn sweep<R: Real>(isa: Isa, x: &[[bf16; 2]], dy: &[[bf16; 2]], size: PlaneSize, sums: &mut [R]) {
    DotSweep {
        x,
        x_step: size.inner,
        dy,
        pairs: size.rows.div_ceil(2),
        depth: size.inner,
        lanes: size.lanes,
        sums,
        layout: SumLayout::Blocks,
    }
    .run_on(isa);
}

/// [`Products::Split`].
pub(crate) struct Split<R>(PhantomData<R>);

impl<R: Real> Format for Split<R> {
    type Real = R;
    type Row = bf16;
    type Pair = [bf16; 2];
    type RowSink = SplitRows;
    type PairSink = SplitPairs;
    const PER_CHANNEL: usize = 2;
    const SWEEP: usize = 64;

    fn pairs(rows: usize, width: usize) -> usize {
        2 * rows.div_ceil(2) * width
    }
    fn rows_at(place: Place<bf16>) -> SplitRows {
        SplitRows(place)
    }
    fn pairs_at(place: Place<[bf16; 2]>) -> SplitPairs {
        SplitPairs(place)
    }
    fn multiply(
        isa: Isa,
        x: &[bf16],
        weights: &[[bf16; 2]],
        size: PlaneSize,
        _: &[R],
        y: &mut [R],
    ) {
        let len = size.inner / 2;
        let run = |x: usize, k: usize| PairRun { x, k, len };
        DotProduct::<R, false> {
            x,
            x_step: 2 * size.inner,
            rows: size.rows,
            weights,
            depth: 2 * len,
            lanes: size.lanes,
            // The smallest products first.
            runs: &[run(size.inner, 0), run(0, len), run(0, 0)],
            y,
            y_step: size.lanes,
        }
        .run_on(isa);
    }
    fn add_products(
        isa: Isa,
        (x, x_part): (&[[bf16; 2]], usize),
        (dy, dy_part): (&[[bf16; 2]], usize),
        size: PlaneSize,
        sums: &mut [R],
    ) {
        sweep(isa, &x[x_part..], dy, size, sums);
        sweep(isa, x, &dy[dy_part..], size, sums);
        sweep(isa, x, dy, size, sums);
    }
}
