//! Convolution and its input gradient as one direct, register-tiled product over channels-last images.
//!
//! An image is padded once into a buffer. A tile then holds `ROWS` output positions × `COLS` registers of output
//! channels and sums over runs: stretches of the padded image that are contiguous for a fixed output position (a whole
//! kernel row where taps touch, else one tap's channels). The input gradient is the same product on the output's gradient
//! with flipped, transposed weights, one pass for each phase of the stride.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use rayon::prelude::*;

use super::dispatch::{Kernel, Path};
use super::lanes::Lanes;
use super::pack::{WeightOrder, blocks, pack, padded};
use super::planes::Products;
use super::scratch::{Aligned, with_scratch};
use super::stored::Stored;
use super::winograd;

/// The shape of a convolution of `[n, h, w, input]` with `[out, input, kh, kw]` to `[n, oh, ow, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) input: usize,
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) out: usize,
    pub(crate) kh: usize,
    pub(crate) kw: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) dilation: usize,
}

impl Geometry {
    /// Elements of the input.
    pub(crate) fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.input
    }

    /// Elements of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.n * self.oh * self.ow * self.out
    }

    pub(super) fn taps(&self) -> usize {
        self.kh * self.kw
    }

    /// What the forward pass and the weight gradient read.
    pub(super) fn input_border(&self) -> Border {
        Border {
            h: self.h,
            w: self.w,
            c: self.input,
            top: self.padding,
            left: self.padding,
            rows: self.h + 2 * self.padding,
            cols: self.w + 2 * self.padding,
        }
    }

    /// Stretches of the padded input under one output position.
    pub(super) fn input_runs(&self) -> Vec<Run> {
        let row = self.input_border().cols * self.input;
        let mut runs = Vec::with_capacity(self.taps());
        for ky in 0..self.kh {
            for kx in 0..self.kw {
                runs.push(Run {
                    x: ky * self.dilation * row + kx * self.dilation * self.input,
                    k: (ky * self.kw + kx) * self.input,
                    len: self.input,
                });
            }
        }
        merge(runs)
    }

    /// The output positions over the padded input.
    pub(super) fn output_grid(&self) -> Grid {
        let row = self.input_border().cols * self.input;
        Grid {
            height: self.oh,
            width: self.ow,
            x_start: 0,
            x_row: self.stride * row,
            x_col: self.stride * self.input,
            y_start: 0,
            y_row: self.ow * self.out,
            y_col: self.out,
        }
    }
}

/// An image with zeros around it.
#[derive(Clone, Copy)]
pub(super) struct Border {
    h: usize,
    w: usize,
    c: usize,
    top: usize,
    left: usize,
    rows: usize,
    cols: usize,
}

impl Border {
    /// Elements with the border.
    pub(super) fn len(&self) -> usize {
        self.rows * self.cols * self.c
    }

    /// Whether the image is its own padded form.
    pub(super) fn is_none(&self) -> bool {
        self.rows == self.h && self.cols == self.w
    }

    /// Copies `image` into `out` and clears the border.
    pub(super) fn fill<T: Stored>(&self, image: &[T], out: &mut [T::Real]) {
        let row = self.cols * self.c;
        let width = self.w * self.c;
        let left = self.left * self.c;
        for (y, out) in out[..self.len()].chunks_exact_mut(row.max(1)).enumerate() {
            match y.checked_sub(self.top) {
                Some(y) if y < self.h => {
                    out[..left].fill(T::Real::default());
                    widen(
                        &image[y * width..(y + 1) * width],
                        &mut out[left..left + width],
                    );
                    out[left + width..].fill(T::Real::default());
                }
                _ => out.fill(T::Real::default()),
            }
        }
    }
}

/// Copies `from` as the kernels compute it.
pub(super) fn widen<T: Stored>(from: &[T], to: &mut [T::Real]) {
    match T::reals(from) {
        Some(from) => to.copy_from_slice(from),
        None => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = from.widen();
            }
        }
    }
}

/// A stretch of `len` contiguous inputs at `x` from the position's start, and the index of its first weight.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) x: usize,
    pub(super) k: usize,
    pub(super) len: usize,
}

fn merge(runs: Vec<Run>) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match merged.last_mut() {
            Some(last) if last.x + last.len == run.x && last.k + last.len == run.k => {
                last.len += run.len;
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// Positions of a pass, in elements of the padded input `x` and of the output `y`.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) x_start: usize,
    pub(super) x_row: usize,
    pub(super) x_col: usize,
    pub(super) y_start: usize,
    pub(super) y_row: usize,
    pub(super) y_col: usize,
}

/// One product of a padded image with packed weights.
pub(super) struct Pass {
    pub(super) runs: Vec<Run>,
    pub(super) grid: Grid,
}

/// Passes that fill an image, with what they share.
struct Plan<'a, T: Stored> {
    path: Path,
    passes: Vec<Pass>,
    border: Border,
    order: WeightOrder,
    image_in: usize,
    image_out: usize,
    n: usize,
    weight: &'a [T::Real],
    bias: Option<&'a [T::Real]>,
}

/// `x` convolved with `weight`, plus `bias` `[out]`. Only products in Winograd's form are those of `products`; the
/// others are those of the type that is computed in.
pub(crate) fn forward<T: Stored>(
    path: Path,
    products: Products,
    g: &Geometry,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(x.len(), g.input_len());
    if winograd::applies::<T::Real>(path, g) {
        return winograd::forward(path, products, g, x, weight, bias);
    }
    Plan {
        path,
        passes: vec![Pass {
            runs: g.input_runs(),
            grid: g.output_grid(),
        }],
        border: g.input_border(),
        order: WeightOrder::forward(g.out, g.input, g.taps()),
        image_in: g.h * g.w * g.input,
        image_out: g.oh * g.ow * g.out,
        n: g.n,
        weight,
        bias,
    }
    .run(x)
}

/// The gradient of the input from `dy`, the output's, plus `bias` `[input]` where this serves as a transposed
/// convolution.
pub(crate) fn input_gradient<T: Stored>(
    path: Path,
    products: Products,
    g: &Geometry,
    dy: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(dy.len(), g.output_len());
    if winograd::applies::<T::Real>(path, g) {
        return winograd::input_gradient(path, products, g, dy, weight, bias);
    }
    let (stride, pad, dilation) = (g.stride, g.padding, g.dilation);
    // Row y of the input takes tap ky from the output's row (y + pad − ky·dilation) / stride where that is whole. With
    // y + pad = stride·q + phase this is q − back(ky, phase).
    let reaches = |k: usize, phase: usize| (k * dilation) % stride == phase;
    let back = |k: usize, phase: usize| (k * dilation - phase) / stride;
    let reach = |taps: usize| ((taps - 1) * dilation).div_ceil(stride);
    let first = pad / stride;
    let (top, left) = (
        reach(g.kh).saturating_sub(first),
        reach(g.kw).saturating_sub(first),
    );
    let border = Border {
        h: g.oh,
        w: g.ow,
        c: g.out,
        top,
        left,
        rows: top + g.oh.max((g.h - 1 + pad) / stride + 1),
        cols: left + g.ow.max((g.w - 1 + pad) / stride + 1),
    };
    let row = border.cols * g.out;
    let mut passes = Vec::with_capacity(stride * stride);
    for phase_y in 0..stride.min(g.h) {
        for phase_x in 0..stride.min(g.w) {
            // The first row of this pass, its phase and its q.
            let (py, px) = ((phase_y + pad) % stride, (phase_x + pad) % stride);
            let (qy, qx) = ((phase_y + pad) / stride, (phase_x + pad) / stride);
            let mut runs = Vec::new();
            // Offsets count from the farthest tap, so that they are not negative.
            for ky in (0..g.kh).rev().filter(|&k| reaches(k, py)) {
                for kx in (0..g.kw).rev().filter(|&k| reaches(k, px)) {
                    let (by, bx) = (back(ky, py), back(kx, px));
                    let flipped = (g.kh - 1 - ky) * g.kw + (g.kw - 1 - kx);
                    runs.push(Run {
                        x: (reach(g.kh) - by) * row + (reach(g.kw) - bx) * g.out,
                        k: flipped * g.out,
                        len: g.out,
                    });
                }
            }
            // top ≥ reach − first and q ≥ first: the farthest tap stays inside the border.
            let (y0, x0) = (qy + top - reach(g.kh), qx + left - reach(g.kw));
            passes.push(Pass {
                runs: merge(runs),
                grid: Grid {
                    height: (g.h - phase_y).div_ceil(stride),
                    width: (g.w - phase_x).div_ceil(stride),
                    x_start: y0 * row + x0 * g.out,
                    x_row: row,
                    x_col: g.out,
                    y_start: (phase_y * g.w + phase_x) * g.input,
                    y_row: stride * g.w * g.input,
                    y_col: stride * g.input,
                },
            });
        }
    }
    Plan {
        path,
        passes,
        border,
        order: WeightOrder::transposed(g.out, g.input, g.taps()),
        image_in: g.oh * g.ow * g.out,
        image_out: g.h * g.w * g.input,
        n: g.n,
        weight,
        bias,
    }
    .run(dy)
}

/// A pointer into an output whose parts are written by different threads.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);

// SAFETY: the tasks of a plan write disjoint elements.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `offset` elements further, which must lie inside the allocation to be used.
    pub(super) fn at(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset))
    }
}

impl<T: Stored> Plan<'_, T> {
    fn run(&self, x: &[T]) -> Vec<T> {
        assert_eq!(self.weight.len(), self.order.lanes * self.order.depth());
        let len = self.n * self.image_out;
        let mut y = Vec::with_capacity(len);
        if len > 0 {
            let (count, cols) = self.path.shape::<T::Real>();
            let weights = pack(self.weight, self.order, count, cols);
            let lanes = padded(self.order.lanes, count, cols);
            let mut bias = Aligned::zeros::<T::Real>(lanes);
            if let Some(values) = self.bias {
                bias.slice_mut(lanes)[..self.order.lanes].copy_from_slice(values);
            }
            let task = Task {
                weights: weights.slice(lanes * self.order.depth()),
                bias: bias.slice(lanes),
                order: self.order,
            };
            self.fill(x, &task, Shared(y.as_mut_ptr()));
        }
        // SAFETY: every pass writes all positions of its phase, the phases cover the image, and every channel block is
        // run.
        unsafe { y.set_len(len) };
        y
    }

    fn fill(&self, x: &[T], task: &Task<'_, T::Real>, y: Shared<T>) {
        let threads = rayon::current_num_threads();
        let padded_len = self.border.len();
        if self.n >= threads {
            (0..self.n).into_par_iter().for_each(|i| {
                let image = &x[i * self.image_in..(i + 1) * self.image_in];
                let work = |image: &[T::Real]| {
                    for pass in &self.passes {
                        self.positions(
                            task,
                            pass,
                            image,
                            y,
                            i,
                            0..pass.grid.height * pass.grid.width,
                        );
                    }
                };
                match T::reals(image) {
                    Some(image) if self.border.is_none() => work(image),
                    _ => with_scratch(padded_len, |buffer| {
                        self.border.fill(image, buffer);
                        work(buffer);
                    }),
                }
            });
            return;
        }
        // Fewer images than threads: the positions of each image are shared out too.
        let parts = (2 * threads).div_ceil(self.n);
        for i in 0..self.n {
            let image = &x[i * self.image_in..(i + 1) * self.image_in];
            let mut buffer = Aligned::zeros::<T::Real>(padded_len);
            let image = match T::reals(image) {
                Some(image) if self.border.is_none() => image,
                _ => {
                    self.border.fill(image, buffer.slice_mut(padded_len));
                    buffer.slice(padded_len)
                }
            };
            for pass in &self.passes {
                let positions = pass.grid.height * pass.grid.width;
                let part = positions.div_ceil(parts).max(1);
                (0..positions.div_ceil(part)).into_par_iter().for_each(|j| {
                    let range = j * part..positions.min((j + 1) * part);
                    self.positions(task, pass, image, y, i, range);
                });
            }
        }
    }

    /// One pass over a range of positions of image `i`, in blocks whose inputs stay in the second-level cache.
    fn positions(
        &self,
        task: &Task<'_, T::Real>,
        pass: &Pass,
        image: &[T::Real],
        y: Shared<T>,
        i: usize,
        range: Range<usize>,
    ) {
        const CACHED: usize = 160 * 1024;
        assert_eq!(image.len(), self.border.len());
        let bytes = pass.grid.x_col * size_of::<T::Real>();
        // A multiple of every tile height (6 and 7).
        let block = (CACHED / bytes.max(1)).max(84) / 42 * 42;
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + block);
            T::run(
                self.path,
                Tiles {
                    task,
                    pass,
                    x: image.as_ptr(),
                    y: y.at(i * self.image_out).0,
                    range: start..end,
                },
            );
            start = end;
        }
    }
}

/// What all positions share.
pub(super) struct Task<'a, T> {
    pub(super) weights: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) order: WeightOrder,
}

/// A range of positions of one image.
pub(super) struct Tiles<'a, T: Stored> {
    pub(super) task: &'a Task<'a, T::Real>,
    pub(super) pass: &'a Pass,
    pub(super) x: *const T::Real,
    pub(super) y: *mut T,
    pub(super) range: Range<usize>,
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
        let (mut row, mut col) = (self.range.start / grid.width, self.range.start % grid.width);
        let mut left = self.range.len();
        while left > 0 {
            let valid = left.min(P);
            let (mut xs, mut ys) = ([0; P], [0; P]);
            for p in 0..P {
                if p < valid {
                    xs[p] = grid.x_start + row * grid.x_row + col * grid.x_col;
                    ys[p] = grid.y_start + row * grid.y_row + col * grid.y_col + start;
                    col += 1;
                    if col == grid.width {
                        (row, col) = (row + 1, 0);
                    }
                } else {
                    // A short tile repeats its last position and doesn't store it.
                    xs[p] = xs[p - 1];
                }
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

/// Writes the first `width` elements of Q registers.
///
/// # Safety
/// `width` elements from `to` on are writable.
#[inline(always)]
pub(super) unsafe fn store_partial<T: Stored, V: Lanes<Scalar = T::Real>, const Q: usize>(
    registers: &[V; Q],
    to: *mut T,
    width: usize,
) {
    if width == Q * V::COUNT {
        for q in 0..Q {
            // SAFETY: all registers are within `width`.
            unsafe { T::store(registers[q], to.add(q * V::COUNT)) };
        }
        return;
    }
    for q in 0..Q {
        let at = q * V::COUNT;
        if at < width {
            // SAFETY: of each register, the elements within `width` are written.
            unsafe { T::store_some(registers[q], to.add(at), width - at) };
        }
    }
}
