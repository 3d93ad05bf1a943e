//! 3×3 convolution with stride 1 by Winograd's F(4×4, 3×3): a quarter of the direct form's products.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Tiles of 6×6 inputs (overlapping by
//! two) become 36 planes, each plane is one matrix product over channels, and 36 planes of products become tiles of 4×4
//! outputs. In f32 the result is within 2e-5 of the largest output.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::conv::{Geometry, Grid, Pass, Run, Shared, Task, Tiles};
use super::dispatch::{Kernel, Path};
use super::lanes::{Lanes, Real};
use super::pack::{WeightOrder, blocks, padded};
use super::scratch::{Aligned, with_scratch};

/// Rows and columns of outputs in a tile.
pub(super) const OUT: usize = 4;
/// Rows and columns of inputs in a tile.
pub(super) const IN: usize = 6;
/// Planes of products.
pub(super) const PLANES: usize = IN * IN;
/// Added to the length of a plane, so that the planes' starts don't share a few sets of the cache.
pub(super) const SKEW: usize = 16;

/// An image batch cut into tiles: what is read as 6×6 tiles and what is written as 4×4 tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    n: usize,
    /// Height, width and channels on the 6×6 side.
    h: usize,
    w: usize,
    pub(super) input: usize,
    /// The same on the 4×4 side.
    oh: usize,
    ow: usize,
    pub(super) out: usize,
    padding: usize,
}

impl Tiling {
    /// The forward pass, and the weight gradient.
    pub(super) fn forward(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.h,
            w: g.w,
            input: g.input,
            oh: g.oh,
            ow: g.ow,
            out: g.out,
            padding: g.padding,
        }
    }

    /// The input gradient: a convolution of the output's gradient.
    fn transposed(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.oh,
            w: g.ow,
            input: g.out,
            oh: g.h,
            ow: g.w,
            out: g.input,
            padding: 2 - g.padding,
        }
    }

    fn columns(&self) -> usize {
        self.ow.div_ceil(OUT)
    }

    fn per_image(&self) -> usize {
        self.oh.div_ceil(OUT) * self.columns()
    }

    /// All tiles of the batch.
    pub(super) fn tiles(&self) -> usize {
        self.n * self.per_image()
    }

    /// The image, first row and first column of a tile's outputs.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / self.per_image(), tile % self.per_image());
        let (row, col) = (tile / self.columns(), tile % self.columns());
        (image, row * OUT, col * OUT)
    }
}

/// Whether the tiles fit this convolution and save work over the direct form.
pub(super) fn applies<T: Real>(path: Path, g: &Geometry) -> bool {
    let (count, _) = path.shape::<T>();
    let tiling = Tiling::forward(g);
    // Products of both forms, a product in small tiles weighing more because of the transforms.
    let (direct, tiled) = (g.n * g.oh * g.ow * 9, tiling.tiles() * PLANES);
    size_of::<T>() == 4
        && (g.kh, g.kw, g.stride, g.dilation) == (3, 3, 1, 1)
        && g.padding <= 2
        && g.input >= 32
        && g.out >= 32
        && g.input.is_multiple_of(count)
        && g.out.is_multiple_of(count)
        && tiling.tiles() >= 64
        && 2 * tiled <= direct
}

/// `x` convolved with `weight`, plus `bias`.
pub(super) fn forward<T: Real>(
    path: Path,
    g: &Geometry,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    let order = WeightOrder::forward(g.out, g.input, 9);
    convolve(path, &Tiling::forward(g), order, x, weight, bias)
}

/// The gradient of the input from `dy`, plus `bias`.
pub(super) fn input_gradient<T: Real>(
    path: Path,
    g: &Geometry,
    dy: &[T],
    weight: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    let order = WeightOrder::transposed(g.out, g.input, 9);
    convolve(path, &Tiling::transposed(g), order, dy, weight, bias)
}

/// Tiles at a time: about as many as have both sides' planes in the second-level cache, and the same for every thread.
fn tiles_at_once<T: Real>(t: &Tiling) -> usize {
    const CACHED: usize = 448 * 1024;
    let bytes = PLANES * (t.input + t.out) * size_of::<T>();
    // A multiple of a register tile's height.
    let fitting = (CACHED / bytes / 6).clamp(2, 16) * 6;
    let threads = rayon::current_num_threads();
    let share = fitting * threads;
    let rounds = ((t.tiles() + share / 2) / share).max(1);
    t.tiles().div_ceil(rounds * threads).max(1)
}

fn convolve<T: Real>(
    path: Path,
    t: &Tiling,
    order: WeightOrder,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    assert_eq!(x.len(), t.n * t.h * t.w * t.input);
    assert_eq!(weight.len(), order.lanes * order.depth());
    let (count, cols) = path.shape::<T>();
    let lanes = padded(t.out, count, cols);
    assert!(lanes == t.out && t.input.is_multiple_of(count));
    let weights = transform_weights(path, order, weight);
    let zeros = Aligned::zeros::<T>(t.input.max(t.out));
    let zeros = zeros.slice::<T>(t.input.max(t.out));
    let bias = bias.unwrap_or(&zeros[..t.out]);
    assert_eq!(bias.len(), t.out);
    let len = t.n * t.oh * t.ow * t.out;
    let mut y = Vec::with_capacity(len);
    let at = Shared(y.as_mut_ptr());
    let step = tiles_at_once::<T>(t);
    let plane_order = WeightOrder::forward(t.out, t.input, 1);
    let pass = Pass {
        runs: vec![Run {
            x: 0,
            k: 0,
            len: t.input,
        }],
        grid: Grid {
            height: 1,
            width: step,
            x_start: 0,
            x_row: 0,
            x_col: t.input,
            y_start: 0,
            y_row: 0,
            y_col: t.out,
        },
    };
    let (plane_in, plane_out) = (step * t.input + SKEW, step * t.out + SKEW);
    (0..t.tiles().div_ceil(step))
        .into_par_iter()
        .for_each(|block| {
            let tiles = block * step..t.tiles().min((block + 1) * step);
            with_scratch(PLANES * (plane_in + plane_out), |scratch: &mut [T]| {
                let (inputs, outputs) = scratch.split_at_mut(PLANES * plane_in);
                path.run(TransformInput {
                    tiling: t,
                    first: tiles.start,
                    count: tiles.len(),
                    x,
                    zeros,
                    planes: Shared(inputs.as_mut_ptr()),
                    plane: plane_in,
                });
                for p in 0..PLANES {
                    let plane = &mut outputs[p * plane_out..(p + 1) * plane_out];
                    path.run(Tiles {
                        task: &Task {
                            weights: &weights.slice::<T>(PLANES * lanes * t.input)
                                [p * lanes * t.input..(p + 1) * lanes * t.input],
                            bias: &zeros[..t.out],
                            order: plane_order,
                        },
                        pass: &pass,
                        x: inputs[p * plane_in..(p + 1) * plane_in].as_ptr(),
                        y: plane.as_mut_ptr(),
                        range: 0..tiles.len(),
                    });
                }
                path.run(TransformOutput {
                    tiling: t,
                    first: tiles.start,
                    count: tiles.len(),
                    planes: outputs,
                    plane: plane_out,
                    bias,
                    y: at,
                });
            });
        });
    // SAFETY: the tiles cover all outputs.
    unsafe { y.set_len(len) };
    y
}

/// G·g·Gᵀ of every kernel, as `[plane][block][inner][lane]`.
fn transform_weights<T: Real>(path: Path, order: WeightOrder, weight: &[T]) -> Aligned {
    let (count, cols) = path.shape::<T>();
    let plane = padded(order.lanes, count, cols) * order.inner;
    let mut planes = Aligned::zeros::<T>(PLANES * plane);
    let at = Shared(planes.slice_mut::<T>(PLANES * plane).as_mut_ptr());
    let all: Vec<(usize, usize)> = blocks(order.lanes, count, cols).collect();
    all.into_par_iter().for_each(|(start, registers)| {
        path.run(TransformWeights {
            order,
            weight,
            start,
            registers,
            planes: at,
            plane,
        });
    });
    planes
}

struct TransformWeights<'a, T> {
    order: WeightOrder,
    weight: &'a [T],
    start: usize,
    registers: usize,
    planes: Shared<T>,
    plane: usize,
}

impl<T: Real> Kernel<T> for TransformWeights<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let width = self.registers * V::COUNT;
        let mut taps = [[T::default(); super::lanes::MAX_COUNT]; 9];
        for inner in 0..self.order.inner {
            for register in 0..self.registers {
                let first = self.start + register * V::COUNT;
                for tap in 0..9 {
                    for lane in 0..V::COUNT {
                        let k = tap * self.order.inner + inner;
                        taps[tap][lane] = self.weight[self.order.source(first + lane, k)];
                    }
                }
                // SAFETY: the caller checked the features; blocks of whole registers lie inside each plane.
                unsafe {
                    let zero = V::splat(T::default());
                    let mut half = [[zero; 3]; IN];
                    for j in 0..3 {
                        let g = [0, 1, 2].map(|i| V::load(taps[i * 3 + j].as_ptr()));
                        let u = weights_1d(g);
                        for i in 0..IN {
                            half[i][j] = u[i];
                        }
                    }
                    let at = self.start * self.order.inner + inner * width + register * V::COUNT;
                    for i in 0..IN {
                        let u = weights_1d(half[i]);
                        for j in 0..IN {
                            u[j].store(self.planes.0.add((i * IN + j) * self.plane + at));
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn constant<V: Lanes>(value: f64) -> V {
    // SAFETY: only called with registers at hand, so the processor has their features.
    unsafe { V::splat(V::Scalar::from_f64(value)) }
}

/// G·g.
#[inline(always)]
fn weights_1d<V: Lanes>([a, b, c]: [V; 3]) -> [V; IN] {
    let (sixth, twelfth) = (constant::<V>(1.0 / 6.0), constant::<V>(1.0 / 12.0));
    let even = a.add(c).mul(sixth);
    let odd = b.mul(sixth);
    let zero = constant::<V>(0.0);
    let even2 = a.mul_add(constant(1.0 / 24.0), c.mul(sixth));
    let odd2 = b.mul(twelfth);
    [
        a.mul(constant(0.25)),
        zero.sub(even.add(odd)),
        odd.sub(even),
        even2.add(odd2),
        even2.sub(odd2),
        c,
    ]
}

/// Bᵀ·d.
#[inline(always)]
fn input_1d<V: Lanes>(d: [V; IN]) -> [V; IN] {
    let (two, four, minus_five) = (constant::<V>(2.0), constant::<V>(4.0), constant::<V>(-5.0));
    let minus_four = constant::<V>(-4.0);
    let even = d[2].mul_add(minus_four, d[4]);
    let odd = d[1].mul_add(minus_four, d[3]);
    let even2 = d[4].sub(d[2]);
    let odd2 = d[3].sub(d[1]).mul(two);
    [
        d[0].mul_add(four, d[2].mul_add(minus_five, d[4])),
        even.add(odd),
        even.sub(odd),
        even2.add(odd2),
        even2.sub(odd2),
        d[1].mul_add(four, d[3].mul_add(minus_five, d[5])),
    ]
}

/// Aᵀ·m.
#[inline(always)]
fn output_1d<V: Lanes>(m: [V; IN]) -> [V; OUT] {
    let (s1, d1) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (s2, d2) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(s1).add(s2),
        d2.mul_add(constant(2.0), d1),
        s2.mul_add(constant(4.0), s1),
        d2.mul_add(constant(8.0), d1).add(m[5]),
    ]
}

/// Bᵀ·d·B of `count` tiles.
pub(super) struct TransformInput<'a, T> {
    pub(super) tiling: &'a Tiling,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) x: &'a [T],
    /// A position outside the image.
    pub(super) zeros: &'a [T],
    /// Where the first tile goes in the first plane; `plane` elements further in the next.
    pub(super) planes: Shared<T>,
    pub(super) plane: usize,
}

impl<T: Real> Kernel<T> for TransformInput<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let t = self.tiling;
        assert!(self.zeros.len() >= t.input && self.count * t.input <= self.plane);
        let mut from = [self.zeros.as_ptr(); PLANES];
        for tile in 0..self.count {
            let (image, y0, x0) = t.place(self.first + tile);
            for i in 0..IN {
                for j in 0..IN {
                    let y = (y0 + i).wrapping_sub(t.padding);
                    let x = (x0 + j).wrapping_sub(t.padding);
                    from[i * IN + j] = if y < t.h && x < t.w {
                        self.x[((image * t.h + y) * t.w + x) * t.input..][..t.input].as_ptr()
                    } else {
                        self.zeros.as_ptr()
                    };
                }
            }
            let mut c = 0;
            while c < t.input {
                // SAFETY: each pointer has `input` readable channels, a whole number of registers; the planes hold
                // `count` tiles.
                unsafe {
                    let zero = V::splat(T::default());
                    let mut half = [[zero; IN]; IN];
                    for j in 0..IN {
                        let mut d = [zero; IN];
                        for i in 0..IN {
                            d[i] = V::load(from[i * IN + j].add(c));
                        }
                        let d = input_1d(d);
                        for i in 0..IN {
                            half[i][j] = d[i];
                        }
                    }
                    let to = self.planes.0.add(tile * t.input + c);
                    for i in 0..IN {
                        let v = input_1d(half[i]);
                        for j in 0..IN {
                            v[j].store(to.add((i * IN + j) * self.plane));
                        }
                    }
                }
                c += V::COUNT;
            }
        }
    }
}

/// Aᵀ·m·A of `count` tiles, plus bias.
struct TransformOutput<'a, T> {
    tiling: &'a Tiling,
    first: usize,
    count: usize,
    planes: &'a [T],
    plane: usize,
    bias: &'a [T],
    y: Shared<T>,
}

impl<T: Real> Kernel<T> for TransformOutput<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let t = self.tiling;
        assert!(self.planes.len() >= PLANES * self.plane && self.bias.len() == t.out);
        assert!(self.count * t.out <= self.plane);
        for tile in 0..self.count {
            let (image, y0, x0) = t.place(self.first + tile);
            let (rows, cols) = (OUT.min(t.oh - y0), OUT.min(t.ow - x0));
            let mut c = 0;
            while c < t.out {
                // SAFETY: the planes hold `count` tiles of whole registers; rows and columns inside the image are
                // written.
                unsafe {
                    let from = self.planes.as_ptr().add(tile * t.out + c);
                    let bias = V::load(self.bias.as_ptr().add(c));
                    let mut half = [[bias; IN]; OUT];
                    for j in 0..IN {
                        let mut m = [bias; IN];
                        for i in 0..IN {
                            m[i] = V::load(from.add((i * IN + j) * self.plane));
                        }
                        let m = output_1d(m);
                        for i in 0..OUT {
                            half[i][j] = m[i];
                        }
                    }
                    let to = self.y.0.add(((image * t.oh + y0) * t.ow + x0) * t.out + c);
                    for i in 0..OUT {
                        if i < rows {
                            let y = output_1d(half[i]);
                            for j in 0..OUT {
                                if j < cols {
                                    y[j].add(bias).store(to.add((i * t.ow + j) * t.out));
                                }
                            }
                        }
                    }
                }
                c += V::COUNT;
            }
        }
    }
}

/// A·dy·Aᵀ of `count` tiles: the planes' gradient.
pub(super) struct TransformGradient<'a, T> {
    pub(super) tiling: &'a Tiling,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) dy: &'a [T],
    /// A position outside the image.
    pub(super) zeros: &'a [T],
    /// Where the first tile goes in the first plane; `plane` elements further in the next.
    pub(super) planes: Shared<T>,
    pub(super) plane: usize,
}

/// A·y.
#[inline(always)]
fn gradient_1d<V: Lanes>([a, b, c, d]: [V; OUT]) -> [V; IN] {
    let (even, odd) = (a.add(c), b.add(d));
    let even2 = c.mul_add(constant(4.0), a);
    let odd2 = d.mul_add(constant(4.0), b).mul(constant(2.0));
    [
        a,
        even.add(odd),
        even.sub(odd),
        even2.add(odd2),
        even2.sub(odd2),
        d,
    ]
}

impl<T: Real> Kernel<T> for TransformGradient<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let t = self.tiling;
        assert!(self.zeros.len() >= t.out && self.count * t.out <= self.plane);
        let mut from = [self.zeros.as_ptr(); OUT * OUT];
        for tile in 0..self.count {
            let (image, y0, x0) = t.place(self.first + tile);
            for i in 0..OUT {
                for j in 0..OUT {
                    let (y, x) = (y0 + i, x0 + j);
                    from[i * OUT + j] = if y < t.oh && x < t.ow {
                        self.dy[((image * t.oh + y) * t.ow + x) * t.out..][..t.out].as_ptr()
                    } else {
                        self.zeros.as_ptr()
                    };
                }
            }
            let mut c = 0;
            while c < t.out {
                // SAFETY: each pointer has `out` readable channels, a whole number of registers; the planes hold `count`
                // tiles.
                unsafe {
                    let zero = V::splat(T::default());
                    let mut half = [[zero; OUT]; IN];
                    for j in 0..OUT {
                        let mut d = [zero; OUT];
                        for i in 0..OUT {
                            d[i] = V::load(from[i * OUT + j].add(c));
                        }
                        let d = gradient_1d(d);
                        for i in 0..IN {
                            half[i][j] = d[i];
                        }
                    }
                    let to = self.planes.0.add(tile * t.out + c);
                    for i in 0..IN {
                        let v = gradient_1d(half[i]);
                        for j in 0..IN {
                            v[j].store(to.add((i * IN + j) * self.plane));
                        }
                    }
                }
                c += V::COUNT;
            }
        }
    }
}
