//! Winograd's transforms between images, weights and planes.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use super::passes::Shared;
use super::planes::Sink;
use super::tiling::{IN, OUT, PLANES, Tiling};
use crate::cpu::product::pack::WeightOrder;
use crate::cpu::simd::isa::Kernel;
use crate::cpu::simd::lanes::{Lanes, MAX_COUNT, Real};
use crate::cpu::simd::stored::Stored;

/// The finite points of interpolation besides 0 are ±`NEAR` and ±`FAR`.
const NEAR: f64 = 0.625;
const FAR: f64 = 1.5;
const NEAR2: f64 = NEAR * NEAR;
const FAR2: f64 = FAR * FAR;
/// Π (p − q) over the other finite points q, for p = 0, ±`NEAR` and ±`FAR`.
const AT_ZERO: f64 = NEAR2 * FAR2;
const AT_NEAR: f64 = 2.0 * NEAR2 * (NEAR2 - FAR2);
const AT_FAR: f64 = 2.0 * FAR2 * (FAR2 - NEAR2);

#[inline(always)]
fn constant<V: Lanes>(value: f64) -> V {
    // SAFETY: only called with registers at hand, so the processor has their features.
    unsafe { V::splat(V::Scalar::from_f64(value)) }
}

/// G·g.
#[inline(always)]
fn weights_1d<V: Lanes>([a, b, c]: [V; 3]) -> [V; IN] {
    let near = c.mul_add(constant(NEAR2), a).mul(constant(1.0 / AT_NEAR));
    let near_odd = b.mul(constant(NEAR / AT_NEAR));
    let far = c.mul_add(constant(FAR2), a).mul(constant(1.0 / AT_FAR));
    let far_odd = b.mul(constant(FAR / AT_FAR));
    [
        a.mul(constant(1.0 / AT_ZERO)),
        near.add(near_odd),
        near.sub(near_odd),
        far.add(far_odd),
        far.sub(far_odd),
        c,
    ]
}

/// Gᵀ·u.
#[inline(always)]
fn back_1d<V: Lanes>(u: [V; IN]) -> [V; 3] {
    let (s1, d1) = (u[1].add(u[2]), u[1].sub(u[2]));
    let (s2, d2) = (u[3].add(u[4]), u[3].sub(u[4]));
    let s1 = s1.mul(constant(1.0 / AT_NEAR));
    let s2 = s2.mul(constant(1.0 / AT_FAR));
    [
        u[0].mul_add(constant(1.0 / AT_ZERO), s1.add(s2)),
        d2.mul_add(constant(FAR / AT_FAR), d1.mul(constant(NEAR / AT_NEAR))),
        s2.mul_add(constant(FAR2), s1.mul_add(constant(NEAR2), u[5])),
    ]
}

/// Bᵀ·d.
#[inline(always)]
fn input_1d<V: Lanes>(d: [V; IN]) -> [V; IN] {
    let (minus_near2, minus_far2) = (constant::<V>(-NEAR2), constant::<V>(-FAR2));
    let (sum, product) = (constant::<V>(-NEAR2 - FAR2), constant::<V>(NEAR2 * FAR2));
    let near = d[2].mul_add(minus_far2, d[4]);
    let near_odd = d[1].mul_add(minus_far2, d[3]).mul(constant(NEAR));
    let far = d[2].mul_add(minus_near2, d[4]);
    let far_odd = d[1].mul_add(minus_near2, d[3]).mul(constant(FAR));
    [
        d[0].mul_add(product, d[2].mul_add(sum, d[4])),
        near.add(near_odd),
        near.sub(near_odd),
        far.add(far_odd),
        far.sub(far_odd),
        d[1].mul_add(product, d[3].mul_add(sum, d[5])),
    ]
}

/// Aᵀ·m.
#[inline(always)]
fn output_1d<V: Lanes>(m: [V; IN]) -> [V; OUT] {
    let (s1, d1) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (s2, d2) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(s1).add(s2),
        d2.mul_add(constant(FAR), d1.mul(constant(NEAR))),
        s2.mul_add(constant(FAR2), s1.mul(constant(NEAR2))),
        d2.mul_add(
            constant(FAR * FAR2),
            d1.mul_add(constant(NEAR * NEAR2), m[5]),
        ),
    ]
}

/// A·y.
#[inline(always)]
fn gradient_1d<V: Lanes>([a, b, c, d]: [V; OUT]) -> [V; IN] {
    let near = c.mul_add(constant(NEAR2), a);
    let near_odd = d.mul_add(constant(NEAR2), b).mul(constant(NEAR));
    let far = c.mul_add(constant(FAR2), a);
    let far_odd = d.mul_add(constant(FAR2), b).mul(constant(FAR));
    [
        a,
        near.add(near_odd),
        near.sub(near_odd),
        far.add(far_odd),
        far.sub(far_odd),
        d,
    ]
}

/// G·g·Gᵀ of the kernels of a block of lanes; row `inner`, column lane.
pub(crate) struct TransformWeights<'a, T, K> {
    pub(crate) order: WeightOrder,
    pub(crate) weight: &'a [T],
    /// The first lane.
    pub(crate) start: usize,
    pub(crate) registers: usize,
    pub(crate) sink: K,
}

impl<T: Real, K: Sink<T>> Kernel<T> for TransformWeights<'_, T, K> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let mut taps = [[T::default(); MAX_COUNT]; 9];
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
                    let column = register * V::COUNT;
                    for i in 0..IN {
                        let u = weights_1d(half[i]);
                        for j in 0..IN {
                            self.sink.put(u[j], i * IN + j, inner, column);
                        }
                    }
                }
            }
        }
    }
}

/// Bᵀ·d·B of `count` tiles.
pub(crate) struct TransformInput<'a, T, K> {
    pub(crate) tiling: &'a Tiling,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) x: &'a [T],
    /// A position outside the image.
    pub(crate) outside: &'a [T],
    /// Has a row for each tile, the first for `first`.
    pub(crate) sink: K,
}

impl<T: Stored, K: Sink<T::Real>> Kernel<T::Real> for TransformInput<'_, T, K> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let t = self.tiling;
        assert!(self.outside.len() >= t.input);
        let mut from = [self.outside.as_ptr(); PLANES];
        for tile in 0..self.count {
            let (image, y0, x0) = t.place(self.first + tile);
            for i in 0..IN {
                for j in 0..IN {
                    let y = (y0 + i).wrapping_sub(t.padding);
                    let x = (x0 + j).wrapping_sub(t.padding);
                    from[i * IN + j] = if y < t.h && x < t.w {
                        self.x[((image * t.h + y) * t.w + x) * t.input..][..t.input].as_ptr()
                    } else {
                        self.outside.as_ptr()
                    };
                }
            }
            let mut c = 0;
            while c < t.input {
                // SAFETY: each pointer has `input` readable channels, a whole number of registers; the sink has
                // `count` rows.
                unsafe {
                    let zero = V::splat(T::Real::default());
                    let mut half = [[zero; IN]; IN];
                    for j in 0..IN {
                        let mut d = [zero; IN];
                        for i in 0..IN {
                            d[i] = T::load(from[i * IN + j].add(c));
                        }
                        let d = input_1d(d);
                        for i in 0..IN {
                            half[i][j] = d[i];
                        }
                    }
                    for i in 0..IN {
                        let v = input_1d(half[i]);
                        for j in 0..IN {
                            self.sink.put(v[j], i * IN + j, tile, c);
                        }
                    }
                }
                c += V::COUNT;
            }
        }
    }
}

/// Aᵀ·m·A of `count` tiles, plus bias.
pub(crate) struct TransformOutput<'a, T: Stored> {
    pub(crate) tiling: &'a Tiling,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) planes: &'a [T::Real],
    /// Elements from one plane to the next.
    pub(crate) plane: usize,
    pub(crate) bias: &'a [T::Real],
    pub(crate) y: Shared<T>,
}

impl<T: Stored> Kernel<T::Real> for TransformOutput<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
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
                                    T::store(y[j].add(bias), to.add((i * t.ow + j) * t.out));
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
pub(crate) struct TransformGradient<'a, T, K> {
    pub(crate) tiling: &'a Tiling,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) dy: &'a [T],
    /// A position outside the image.
    pub(crate) outside: &'a [T],
    /// Has a row for each tile, the first for `first`.
    pub(crate) sink: K,
}

impl<T: Stored, K: Sink<T::Real>> Kernel<T::Real> for TransformGradient<'_, T, K> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let t = self.tiling;
        assert!(self.outside.len() >= t.out);
        let mut from = [self.outside.as_ptr(); OUT * OUT];
        for tile in 0..self.count {
            let (image, y0, x0) = t.place(self.first + tile);
            for i in 0..OUT {
                for j in 0..OUT {
                    let (y, x) = (y0 + i, x0 + j);
                    from[i * OUT + j] = if y < t.oh && x < t.ow {
                        self.dy[((image * t.oh + y) * t.ow + x) * t.out..][..t.out].as_ptr()
                    } else {
                        self.outside.as_ptr()
                    };
                }
            }
            let mut c = 0;
            while c < t.out {
                // SAFETY: each pointer has `out` readable channels, a whole number of registers; the sink has `count`
                // rows.
                unsafe {
                    let zero = V::splat(T::Real::default());
                    let mut half = [[zero; OUT]; IN];
                    for j in 0..OUT {
                        let mut d = [zero; OUT];
                        for i in 0..OUT {
                            d[i] = T::load(from[i * OUT + j].add(c));
                        }
                        let d = gradient_1d(d);
                        for i in 0..IN {
                            half[i][j] = d[i];
                        }
                    }
                    for i in 0..IN {
                        let v = gradient_1d(half[i]);
                        for j in 0..IN {
                            self.sink.put(v[j], i * IN + j, tile, c);
                        }
                    }
                }
                c += V::COUNT;
            }
        }
    }
}

/// Gᵀ·u·G of every kernel; planes and taps share their inner order.
pub(crate) struct BackWeights<'a, T> {
    pub(crate) planes: &'a [T],
    pub(crate) taps: &'a mut [T],
    pub(crate) plane: usize,
}

impl<T: Real> Kernel<T> for BackWeights<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        assert!(self.planes.len() == PLANES * self.plane && self.taps.len() == 9 * self.plane);
        assert!(self.plane.is_multiple_of(V::COUNT));
        let mut at = 0;
        while at < self.plane {
            // SAFETY: a plane is a whole number of registers.
            unsafe {
                let zero = V::splat(T::default());
                let mut half = [[zero; IN]; 3];
                for j in 0..IN {
                    let mut u = [zero; IN];
                    for i in 0..IN {
                        u[i] = V::load(self.planes.as_ptr().add((i * IN + j) * self.plane + at));
                    }
                    let g = back_1d(u);
                    for i in 0..3 {
                        half[i][j] = g[i];
                    }
                }
                for i in 0..3 {
                    let g = back_1d(half[i]);
                    for j in 0..3 {
                        g[j].store(self.taps.as_mut_ptr().add((i * 3 + j) * self.plane + at));
                    }
                }
            }
            at += V::COUNT;
        }
    }
}
