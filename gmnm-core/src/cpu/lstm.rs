//! A long short-term memory over whole sequences, gates in PyTorch's order: input, forget, cell, output.
//!
//! Rows of the batch are independent of each other: blocks of them run through all steps on one thread each. A block's
//! input products are computed before its first step.

use std::mem::MaybeUninit;

use super::parallel::*;
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

/// The parameters.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a, T> {
    /// `[4·hidden, inputs]`.
    pub(crate) input: &'a [T],
    /// `[4·hidden, hidden]`.
    pub(crate) hidden: &'a [T],
    /// `[4·hidden]` each.
    pub(crate) biases: [&'a [T]; 2],
}

/// A layer and its input.
pub(crate) struct Layer<'a, T> {
    /// Their sizes.
    pub(crate) sizes: Sizes,
    /// `[batch, steps, inputs]`.
    pub(crate) x: &'a [T],
    /// The parameters.
    pub(crate) parameters: Parameters<'a, T>,
    /// The first hidden values and cells, `[batch, hidden]` each.
    pub(crate) state: [&'a [T]; 2],
}

/// What a forward gives.
pub(crate) struct Forward<V> {
    /// The hidden values after each step, `[batch, steps, hidden]`.
    pub(crate) outputs: V,
    /// The gates after their functions, `[batch, steps, 4·hidden]`.
    pub(crate) gates: V,
    /// The cells after each step, `[batch, steps, hidden]`.
    pub(crate) cells: V,
}

/// The gradients of the layer's inputs.
pub(crate) struct Gradients<T> {
    /// Of the sequences; empty where it was not asked for.
    pub(crate) x: Vec<T>,
    /// Of the input weight, the hidden weight, and each of the biases.
    pub(crate) parameters: [Vec<T>; 3],
    /// Of the first hidden values and cells.
    pub(crate) state: [Vec<T>; 2],
}

impl Sizes {
    fn gates(&self) -> usize {
        4 * self.hidden
    }
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

impl<T: Real> Layer<'_, T> {
    /// The outputs, gates and cells.
    ///
    /// # Panics
    /// When a length does not fit or a size is zero.
    pub(crate) fn forward(&self, (isa, products): (Isa, Products)) -> Forward<Vec<T>> {
        let sizes = self.sizes;
        let (d, h, n) = (sizes.inputs, sizes.hidden, sizes.steps);
        let four = sizes.gates();
        let Parameters {
            input,
            hidden,
            biases: [first, second],
        } = self.parameters;
        assert_eq!((input.len(), hidden.len()), (four * d, four * h));
        let input = Factor::new(isa, products, d, four, |i, j| input[j * d + i]);
        let hidden = Factor::new(isa, products, h, four, |i, j| hidden[j * h + i]);
        let bias: Vec<T> = first.iter().zip(second).map(|(&a, &b)| a + b).collect();
        let len = sizes.batch * n * four;
        let mut gates = Vec::with_capacity(len);
        let mut cells = vec![T::default(); sizes.batch * n * h];
        let mut outputs = vec![T::default(); sizes.batch * n * h];
        let block = block(sizes.batch);
        let [h0, c0] = self.state;
        let starts = h0.par_chunks(block * h).zip(c0.par_chunks(block * h));
        gates.spare_capacity_mut()[..len]
            .par_chunks_mut(block * n * four)
            .zip(cells.par_chunks_mut(block * n * h))
            .zip(outputs.par_chunks_mut(block * n * h))
            .zip(self.x.par_chunks(block * n * d))
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
        Forward {
            outputs,
            gates,
            cells,
        }
    }

    /// The gradients, given that of the outputs and (where it is not empty) of the last cells `[batch, hidden]`; of the
    /// sequences only where `input` asks for it. The forward was `done`.
    ///
    /// # Panics
    /// When a length does not fit.
    pub(crate) fn backward(
        &self,
        (isa, products): (Isa, Products),
        done: &Forward<&[T]>,
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
        let parameters = self.parameters;
        let hidden = Factor::new(isa, products, four, h, |i, j| parameters.hidden[i * h + j]);
        let unproject = || Factor::new(isa, products, four, d, |i, j| parameters.input[i * d + j]);
        let unproject = input.then(unproject);
        let mut dh0 = vec![T::default(); batch * h];
        let mut dc0 = match dc {
            [] => vec![T::default(); batch * h],
            _ => dc.to_vec(),
        };
        let [_, c0] = self.state;
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
                            gates: &done.gates[first * n * four..],
                            cells: &done.cells[first * n * h..],
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
            self.parameter_gradients((isa, products), done.outputs, slopes)
        });
        Gradients {
            x,
            parameters,
            state: [dh0, dc0],
        }
    }

    /// The parameters' gradients from that of the gates before their functions. Threads share the gates' columns.
    fn parameter_gradients(
        &self,
        (isa, products): (Isa, Products),
        outputs: &[T],
        slopes: &[T],
    ) -> [Vec<T>; 3] {
        let (n, d, h) = (self.sizes.steps, self.sizes.inputs, self.sizes.hidden);
        let (four, batch) = (self.sizes.gates(), self.sizes.batch);
        let mut all = [d, h, 1].map(|columns| vec![T::default(); four * columns]);
        let [input, hidden, bias] = &mut all;
        input
            .par_chunks_mut(COLUMNS * d)
            .zip(hidden.par_chunks_mut(COLUMNS * h))
            .zip(bias.par_chunks_mut(COLUMNS))
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
                let h0 = Rows::new(self.state[0], batch, h, h);
                add_transposed(isa, products, hidden, left(0, batch, n * four), h0, batch);
                for row in 0..batch {
                    for t in (1..n).step_by(DEPTH) {
                        let (at, steps) = (row * n + t, DEPTH.min(n - t));
                        let before = Rows::new(&outputs[(at - 1) * h..], steps, h, h);
                        add_transposed(isa, products, hidden, left(at, steps, four), before, steps);
                    }
                }
                for row in slopes.chunks_exact(four) {
                    for (sum, &slope) in bias.iter_mut().zip(&row[column..]) {
                        *sum += slope;
                    }
                }
            });
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
