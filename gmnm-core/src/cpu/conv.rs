//! Convolution and its input gradient as direct, register-tiled products over channels-last images.
//!
//! An image is padded once into a buffer. A tile then holds `ROWS` output positions × `COLS` registers of output
//! channels and sums over the runs of a pass ([`super::conv_geometry`]).

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::conv_geometry::{Geometry, Pass, Passes, Run};
use super::conv_half::ConvHalf;
use super::dispatch::{Kernel, Path};
use super::lanes::{Lanes, Real};
use super::pack::{WeightOrder, blocks, pack, padded};
use super::planes::Products;
use super::scratch::{Aligned, Plain, with_scratch};
use super::stored::Stored;
use super::winograd;

/// `x` convolved with `weight`, plus `bias` `[out]`.
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
    convolve(path, products, &Passes::forward(g), x, weight, bias)
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
    let passes = Passes::input_gradient(g);
    convolve(path, products, &passes, dy, weight, bias)
}

/// What a convolution that is not in Winograd's form multiplies in: on registers, three products in bf16 and the gathering
/// of rows take longer than one in f32.
pub(super) fn direct_products(path: Path, products: Products) -> Products {
    match products {
        Products::Split if path != Path::Amx => Products::Full,
        products => products,
    }
}

fn convolve<T: Stored>(
    path: Path,
    products: Products,
    passes: &Passes,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(weight.len(), passes.order.lanes * passes.order.depth());
    let work = |split| ConvHalf::new(path, split, passes, weight, bias);
    match direct_products(path, products) {
        Products::Full => run(passes, x, &Direct::new(path, passes, weight, bias)),
        Products::Half => run(passes, x, &work(false)),
        Products::Split => run(passes, x, &work(true)),
    }
}

/// A pointer into an output whose parts are written by different threads.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);

// SAFETY: tasks write disjoint elements.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `offset` elements further, which must lie inside the allocation to be used.
    pub(super) fn at(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset))
    }
}

/// How the passes of a convolution are computed.
pub(super) trait Convolve<T: Stored>: Sync {
    /// What padded images are made of.
    type Element: Plain + Send + Sync;

    /// The image as it is, where that is its padded form.
    fn as_is(image: &[T]) -> Option<&[Self::Element]>;
    /// Elements of a padded image.
    fn padded_len(&self) -> usize;
    /// Pads an image.
    fn pad(&self, image: &[T], padded: &mut [Self::Element]);
    /// Computes a range of positions of pass `pass` on a padded image. `y` is the start of the image that is made.
    fn positions(&self, pass: usize, image: &[Self::Element], y: Shared<T>, range: Range<usize>);
}

/// All passes over the images `x`.
fn run<T: Stored, C: Convolve<T>>(passes: &Passes, x: &[T], work: &C) -> Vec<T> {
    let len = passes.n * passes.image_out;
    let mut y = Vec::with_capacity(len);
    if len > 0 {
        fill(passes, x, work, Shared(y.as_mut_ptr()));
    }
    // SAFETY: every pass writes all positions of its phase, and the phases cover the image.
    unsafe { y.set_len(len) };
    y
}

fn fill<T: Stored, C: Convolve<T>>(passes: &Passes, x: &[T], work: &C, y: Shared<T>) {
    let threads = rayon::current_num_threads();
    let image = |i: usize| &x[i * passes.image_in..(i + 1) * passes.image_in];
    let as_is = |image| C::as_is(image).filter(|_| passes.border.is_none());
    if passes.n >= threads {
        (0..passes.n).into_par_iter().for_each(|i| {
            let y = y.at(i * passes.image_out);
            let all = |image: &[C::Element]| {
                for (p, pass) in passes.all.iter().enumerate() {
                    work.positions(p, image, y, 0..pass.grid.height * pass.grid.width);
                }
            };
            let image = image(i);
            match as_is(image) {
                Some(image) => all(image),
                None => with_scratch(work.padded_len(), |buffer| {
                    work.pad(image, buffer);
                    all(buffer);
                }),
            }
        });
        return;
    }
    // Fewer images than threads: the positions of each image are shared out too.
    let parts = (2 * threads).div_ceil(passes.n);
    for i in 0..passes.n {
        let (image, y) = (image(i), y.at(i * passes.image_out));
        let len = work.padded_len();
        let mut buffer = Aligned::zeros::<C::Element>(len);
        let image = match as_is(image) {
            Some(image) => image,
            None => {
                work.pad(image, buffer.slice_mut(len));
                buffer.slice(len)
            }
        };
        for (p, pass) in passes.all.iter().enumerate() {
            let positions = pass.grid.height * pass.grid.width;
            let part = positions.div_ceil(parts).max(1);
            (0..positions.div_ceil(part)).into_par_iter().for_each(|j| {
                let range = j * part..positions.min((j + 1) * part);
                work.positions(p, image, y, range);
            });
        }
    }
}

/// Products in the type that is computed in.
struct Direct<'a, R> {
    path: Path,
    passes: &'a Passes,
    weights: Aligned,
    bias: Aligned,
    /// Output channels that weights and bias are filled up to.
    lanes: usize,
    real: PhantomData<R>,
}

impl<'a, R: Real> Direct<'a, R> {
    fn new(path: Path, passes: &'a Passes, weight: &[R], bias: Option<&[R]>) -> Self {
        let order = passes.order;
        let (count, cols) = path.shape::<R>();
        let lanes = padded(order.lanes, count, cols);
        let mut filled = Aligned::zeros::<R>(lanes);
        if let Some(values) = bias {
            filled.slice_mut(lanes)[..order.lanes].copy_from_slice(values);
        }
        Self {
            path,
            passes,
            weights: pack(weight, order, count, cols),
            bias: filled,
            lanes,
            real: PhantomData,
        }
    }
}

impl<T: Stored> Convolve<T> for Direct<'_, T::Real> {
    type Element = T::Real;

    fn as_is(image: &[T]) -> Option<&[T::Real]> {
        T::reals(image)
    }
    fn padded_len(&self) -> usize {
        self.passes.border.len()
    }
    fn pad(&self, image: &[T], padded: &mut [T::Real]) {
        self.passes.border.fill(image, padded);
    }

    /// In blocks whose inputs stay in the second-level cache.
    fn positions(&self, pass: usize, image: &[T::Real], y: Shared<T>, range: Range<usize>) {
        const CACHED: usize = 160 * 1024;
        assert_eq!(image.len(), self.passes.border.len());
        let pass = &self.passes.all[pass];
        let task = Task {
            weights: self.weights.slice(self.lanes * self.passes.order.depth()),
            bias: self.bias.slice(self.lanes),
            order: self.passes.order,
        };
        let bytes = pass.grid.x_col * size_of::<T::Real>();
        // A multiple of every tile height (6 and 7).
        let block = (CACHED / bytes.max(1)).max(84) / 42 * 42;
        for start in range.clone().step_by(block) {
            T::run(
                self.path,
                Tiles {
                    task: &task,
                    pass,
                    x: image.as_ptr(),
                    y: y.0,
                    range: start..range.end.min(start + block),
                },
            );
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
