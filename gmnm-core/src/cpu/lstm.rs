//! A long short-term memory over whole sequences, gates in PyTorch's order: input, forget, cell, output.
//!
//! Rows of the batch are independent of each other: blocks of them run through all steps on one thread each. A block's
//! input products are computed before its first step.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::product::factor::{Factor, add_transposed};
use super::product::products::Products;
use super::product::tile::Rows;
use super::scratch::with_scratch;
use super::simd::exp::{sigmoid, tanh};
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};

/// The most rows of the batch that go through the steps together: whole register tiles on every instruction set, and
/// few enough that their values stay in the cache.
const MAX_BLOCK: usize = 32;

/// Rows that go through the steps together: each thread's share, a multiple of the smallest tile.
fn block(batch: usize) -> usize {
    let share = batch.div_ceil(rayon::current_num_threads());
    share.next_multiple_of(4).min(MAX_BLOCK)
}

/// Rows of a product whose operand should stay in the cache.
const CHUNK: usize = 48;

/// Rows of a weight gradient's products that are summed in registers, before they go to memory.
const DEPTH: usize = 128;

/// Columns of the gates whose weights' gradient one task sums.
const COLUMNS: usize = 64;

/// Sizes of a layer and its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Rows of the batch.
    pub(crate) batch: usize,
    /// Steps of a sequence.
    pub(crate) steps: usize,
    /// Features of the input.
    pub(crate) inputs: usize,
    /// Features of the output.
    pub(crate) hidden: usize,
}

/// The parameters, one after the other: input weight `[4·hidden, inputs]`, hidden weight `[4·hidden, hidden]`, and two
/// biases `[4·hidden]`.
struct Parameters<'a, T> {
    input: &'a [T],
    hidden: &'a [T],
    biases: [&'a [T]; 2],
}

/// What the backward needs of the forward.
pub(crate) struct Saved<T> {
    /// The gates after their functions, `[batch, steps, 4·hidden]`.
    pub(crate) gates: Vec<T>,
    /// The cells after each step, `[batch, steps, hidden]`.
    pub(crate) cells: Vec<T>,
}

/// The gradients of the layer's inputs.
pub(crate) struct Gradients<T> {
    /// Of the sequences; empty where it was not asked for.
    pub(crate) x: Vec<T>,
    /// Of the flat parameters.
    pub(crate) parameters: Vec<T>,
    /// Of the first hidden values and cells, `[2, batch, hidden]`.
    pub(crate) state: Vec<T>,
}

impl Sizes {
    fn gates(&self) -> usize {
        4 * self.hidden
    }

    /// Elements of the flat parameters.
    pub(crate) fn parameters(&self) -> usize {
        self.gates() * (self.inputs + self.hidden + 2)
    }

    fn split<'a, T>(&self, flat: &'a [T]) -> Parameters<'a, T> {
        assert_eq!(flat.len(), self.parameters());
        let (input, rest) = flat.split_at(self.gates() * self.inputs);
        let (hidden, rest) = rest.split_at(self.gates() * self.hidden);
        let (first, second) = rest.split_at(self.gates());
        Parameters {
            input,
            hidden,
            biases: [first, second],
        }
    }
}

/// The outputs `[batch, steps, hidden]` for `x` `[batch, steps, inputs]` and the first `state` `[2, batch, hidden]`.
///
/// # Panics
/// When a length does not fit or a size is zero.
pub(crate) fn forward<T: Real>(
    (isa, products): (Isa, Products),
    sizes: Sizes,
    x: &[T],
    flat: &[T],
    state: &[T],
) -> (Vec<T>, Saved<T>) {
    let (d, h, n) = (sizes.inputs, sizes.hidden, sizes.steps);
    let four = sizes.gates();
    let parameters = sizes.split(flat);
    let (input, hidden) = (parameters.input, parameters.hidden);
    let input = Factor::new(isa, products, d, four, |i, j| input[j * d + i]);
    let hidden = Factor::new(isa, products, h, four, |i, j| hidden[j * h + i]);
    let [first, second] = parameters.biases;
    let bias: Vec<T> = first.iter().zip(second).map(|(&a, &b)| a + b).collect();
    let len = sizes.batch * n * four;
    let mut gates = Vec::with_capacity(len);
    let mut cells = vec![T::default(); sizes.batch * n * h];
    let mut outputs = vec![T::default(); sizes.batch * n * h];
    let (h0, c0) = state.split_at(sizes.batch * h);
    let block = block(sizes.batch);
    let starts = h0.par_chunks(block * h).zip(c0.par_chunks(block * h));
    gates.spare_capacity_mut()[..len]
        .par_chunks_mut(block * n * four)
        .zip(cells.par_chunks_mut(block * n * h))
        .zip(outputs.par_chunks_mut(block * n * h))
        .zip(x.par_chunks(block * n * d))
        .zip(starts)
        .for_each(|((((gates, cells), outputs), x), (h0, c0))| {
            let rows = h0.len() / h;
            for (gates, x) in gates.chunks_mut(CHUNK * four).zip(x.chunks(CHUNK * d)) {
                let gates = filled_with(gates, &bias);
                input.product(gates, four, x, d, x.len() / d, true);
            }
            // SAFETY: all chunks of the block were filled.
            let gates: &mut [T] = unsafe { &mut *(std::ptr::from_mut(gates) as *mut [T]) };
            for t in 0..n {
                let (before, step) = match t {
                    0 => (h0, h),
                    _ => (&outputs[(t - 1) * h..], n * h),
                };
                hidden.product(&mut gates[t * four..], n * four, before, step, rows, true);
                isa.run(Step {
                    t,
                    rows,
                    sizes,
                    gates,
                    cells,
                    c0,
                    outputs,
                });
            }
        });
    // SAFETY: all blocks were filled.
    unsafe { gates.set_len(len) };
    (outputs, Saved { gates, cells })
}

/// Writes `row` into each row of `rows`: a pass less than zeros first.
///
/// # Panics
/// When `rows` is not a whole number of rows.
fn filled_with<'a, T: Copy>(rows: &'a mut [MaybeUninit<T>], row: &[T]) -> &'a mut [T] {
    assert!(rows.len().is_multiple_of(row.len()));
    for to in rows.chunks_exact_mut(row.len()) {
        for (to, &value) in to.iter_mut().zip(row) {
            to.write(value);
        }
    }
    // SAFETY: every element was written.
    unsafe { &mut *(std::ptr::from_mut(rows) as *mut [T]) }
}

/// The functions of the gates, and the cells and outputs of step `t`.
struct Step<'a, T> {
    t: usize,
    rows: usize,
    sizes: Sizes,
    gates: &'a mut [T],
    cells: &'a mut [T],
    c0: &'a [T],
    outputs: &'a mut [T],
}

impl<T: Real> Kernel<T> for Step<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let (h, n) = (self.sizes.hidden, self.sizes.steps);
        for row in 0..self.rows {
            let at = row * n + self.t;
            let (done, rest) = self.cells.split_at_mut(at * h);
            let before = match self.t {
                0 => &self.c0[row * h..][..h],
                _ => &done[(at - 1) * h..],
            };
            let (cells, gates) = (&mut rest[..h], &mut self.gates[at * 4 * h..][..4 * h]);
            let outputs = &mut self.outputs[at * h..][..h];
            for j in (0..h).step_by(V::COUNT) {
                // SAFETY: the caller checked the features; `lanes` elements from j on are within each row of h.
                unsafe {
                    let lanes = (h - j).min(V::COUNT);
                    let i = sigmoid(read::<V>(gates, j, lanes));
                    let f = sigmoid(read::<V>(gates, h + j, lanes));
                    let g = tanh(read::<V>(gates, 2 * h + j, lanes));
                    let o = sigmoid(read::<V>(gates, 3 * h + j, lanes));
                    let cell = read::<V>(before, j, lanes).mul_add(f, i.mul(g));
                    write(i, gates, j, lanes);
                    write(f, gates, h + j, lanes);
                    write(g, gates, 2 * h + j, lanes);
                    write(o, gates, 3 * h + j, lanes);
                    write(cell, cells, j, lanes);
                    write(o.mul(tanh(cell)), outputs, j, lanes);
                }
            }
        }
    }
}

/// The first `lanes` elements from `at` on, zero past them.
///
/// # Safety
/// The processor has the features of `V`, and at + lanes ≤ from.len().
#[inline(always)]
unsafe fn read<V: Lanes>(from: &[V::Scalar], at: usize, lanes: usize) -> V {
    // SAFETY: as the caller guarantees.
    unsafe {
        if lanes == V::COUNT {
            V::load(from.as_ptr().add(at))
        } else {
            let zero = V::splat(V::Scalar::default());
            V::load_partial(from.as_ptr().add(at), lanes, zero)
        }
    }
}

/// Writes the first `lanes` elements from `at` on.
///
/// # Safety
/// at + lanes ≤ to.len().
#[inline(always)]
unsafe fn write<V: Lanes>(value: V, to: &mut [V::Scalar], at: usize, lanes: usize) {
    // SAFETY: as the caller guarantees.
    unsafe {
        if lanes == V::COUNT {
            value.store(to.as_mut_ptr().add(at));
        } else {
            value.store_partial(to.as_mut_ptr().add(at), lanes);
        }
    }
}

/// A finished forward: its inputs and what it gave.
pub(crate) struct Done<'a, T> {
    /// Sizes of the layer and its input.
    pub(crate) sizes: Sizes,
    /// `[batch, steps, inputs]`.
    pub(crate) x: &'a [T],
    /// The parameters.
    pub(crate) flat: &'a [T],
    /// `[2, batch, hidden]`.
    pub(crate) state: &'a [T],
    /// `[batch, steps, hidden]`.
    pub(crate) outputs: &'a [T],
    /// The gates, as in [`Saved`].
    pub(crate) gates: &'a [T],
    /// The cells, as in [`Saved`].
    pub(crate) cells: &'a [T],
}

impl<T: Real> Done<'_, T> {
    /// The gradients, given that of the outputs and (where it is not empty) of the last cells `[batch, hidden]`; of the
    /// sequences only where `input` asks for it.
    ///
    /// # Panics
    /// When a length does not fit.
    pub(crate) fn backward(
        &self,
        (isa, products): (Isa, Products),
        dy: &[T],
        dc: &[T],
        input: bool,
    ) -> Gradients<T> {
        let Sizes {
            batch,
            steps: n,
            inputs: d,
            hidden: h,
        } = self.sizes;
        let four = self.sizes.gates();
        let parameters = self.sizes.split(self.flat);
        let hidden = Factor::new(isa, products, four, h, |i, j| parameters.hidden[i * h + j]);
        let unproject = || Factor::new(isa, products, four, d, |i, j| parameters.input[i * d + j]);
        let unproject = input.then(unproject);
        let mut dh0 = vec![T::default(); batch * h];
        let mut dc0 = match dc {
            [] => vec![T::default(); batch * h],
            _ => dc.to_vec(),
        };
        let c0 = &self.state[batch * h..];
        let block_rows = block(batch);
        let mut x = vec![T::default(); if input { batch * n * d } else { 0 }];
        let parameters = with_scratch(batch * n * four, |slopes: &mut [T]| {
            slopes
                .par_chunks_mut(block_rows * n * four)
                .zip(dh0.par_chunks_mut(block_rows * h))
                .zip(dc0.par_chunks_mut(block_rows * h))
                .enumerate()
                .for_each(|(block, ((slopes, dh), dc))| {
                    let (rows, first) = (dh.len() / h, block * block_rows);
                    for t in (0..n).rev() {
                        isa.run(StepBack {
                            t,
                            rows,
                            sizes: self.sizes,
                            gates: &self.gates[first * n * four..],
                            cells: &self.cells[first * n * h..],
                            c0: &c0[first * h..],
                            dy: &dy[first * n * h..],
                            dh,
                            dc,
                            slopes,
                        });
                        hidden.product(dh, h, &slopes[t * four..], n * four, rows, false);
                    }
                });
            if let Some(unproject) = unproject {
                x.par_chunks_mut(CHUNK * d)
                    .zip(slopes.par_chunks(CHUNK * four))
                    .for_each(|(x, slopes)| {
                        unproject.product(x, d, slopes, four, slopes.len() / four, false);
                    });
            }
            self.parameter_gradients(isa, products, slopes)
        });
        dh0.append(&mut dc0);
        Gradients {
            x,
            parameters,
            state: dh0,
        }
    }

    /// The flat parameters' gradient from that of the gates before their functions. Threads share the gates' columns.
    fn parameter_gradients(&self, isa: Isa, products: Products, slopes: &[T]) -> Vec<T> {
        let (n, d, h) = (self.sizes.steps, self.sizes.inputs, self.sizes.hidden);
        let (four, batch) = (self.sizes.gates(), self.sizes.batch);
        let mut all = vec![T::default(); self.sizes.parameters()];
        let (input, rest) = all.split_at_mut(four * d);
        let (hidden, biases) = rest.split_at_mut(four * h);
        let (first, second) = biases.split_at_mut(four);
        input
            .par_chunks_mut(COLUMNS * d)
            .zip(hidden.par_chunks_mut(COLUMNS * h))
            .zip(first.par_chunks_mut(COLUMNS))
            .enumerate()
            .for_each(|(task, ((input, hidden), bias))| {
                let (column, cols) = (task * COLUMNS, bias.len());
                let left = |row: usize, rows: usize, step: usize| {
                    Rows::new(&slopes[row * four + column..], rows, cols, step)
                };
                for row in (0..batch * n).step_by(DEPTH) {
                    let rows = DEPTH.min(batch * n - row);
                    let x = Rows::new(&self.x[row * d..], rows, d, d);
                    add_transposed(isa, products, input, left(row, rows, four), x, rows);
                }
                let h0 = Rows::new(self.state, batch, h, h);
                add_transposed(isa, products, hidden, left(0, batch, n * four), h0, batch);
                for row in 0..batch {
                    for t in (1..n).step_by(DEPTH) {
                        let (at, steps) = (row * n + t, DEPTH.min(n - t));
                        let before = Rows::new(&self.outputs[(at - 1) * h..], steps, h, h);
                        add_transposed(isa, products, hidden, left(at, steps, four), before, steps);
                    }
                }
                for row in slopes.chunks_exact(four) {
                    for (sum, &slope) in bias.iter_mut().zip(&row[column..]) {
                        *sum += slope;
                    }
                }
            });
        second.copy_from_slice(first);
        all
    }
}

/// The gradient of step `t`'s gates before their functions, given that of the step's outputs in `dy` and `dh`, and of
/// its cells in `dc`, which becomes that of the cells before it.
struct StepBack<'a, T> {
    t: usize,
    rows: usize,
    sizes: Sizes,
    gates: &'a [T],
    cells: &'a [T],
    c0: &'a [T],
    dy: &'a [T],
    dh: &'a [T],
    dc: &'a mut [T],
    slopes: &'a mut [T],
}

impl<T: Real> Kernel<T> for StepBack<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let (h, n) = (self.sizes.hidden, self.sizes.steps);
        for row in 0..self.rows {
            let at = row * n + self.t;
            let before = match self.t {
                0 => &self.c0[row * h..][..h],
                _ => &self.cells[(at - 1) * h..][..h],
            };
            let (cells, gates) = (
                &self.cells[at * h..][..h],
                &self.gates[at * 4 * h..][..4 * h],
            );
            let (dy, dh) = (&self.dy[at * h..][..h], &self.dh[row * h..][..h]);
            let dc = &mut self.dc[row * h..][..h];
            let slopes = &mut self.slopes[at * 4 * h..][..4 * h];
            for j in (0..h).step_by(V::COUNT) {
                // SAFETY: the caller checked the features; `lanes` elements from j on are within each row of h.
                unsafe {
                    let lanes = (h - j).min(V::COUNT);
                    let one = V::splat(T::from_f64(1.0));
                    let i = read::<V>(gates, j, lanes);
                    let f = read::<V>(gates, h + j, lanes);
                    let g = read::<V>(gates, 2 * h + j, lanes);
                    let o = read::<V>(gates, 3 * h + j, lanes);
                    let level = tanh(read::<V>(cells, j, lanes));
                    let dh = read::<V>(dy, j, lanes).add(read(dh, j, lanes));
                    let through = dh.mul(o).mul(one.sub(level.mul(level)));
                    let dcell = read::<V>(dc, j, lanes).add(through);
                    let sigmoid_slope = |s: V| s.mul(one.sub(s));
                    let input = dcell.mul(g).mul(sigmoid_slope(i));
                    let forget = dcell.mul(read(before, j, lanes)).mul(sigmoid_slope(f));
                    let cell = dcell.mul(i).mul(one.sub(g.mul(g)));
                    let output = dh.mul(level).mul(sigmoid_slope(o));
                    write(input, slopes, j, lanes);
                    write(forget, slopes, h + j, lanes);
                    write(cell, slopes, 2 * h + j, lanes);
                    write(output, slopes, 3 * h + j, lanes);
                    write(dcell.mul(f), dc, j, lanes);
                }
            }
        }
    }
}
