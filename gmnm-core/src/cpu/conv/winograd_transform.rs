//! Winograd's transforms between images, weights and planes.

// Index loops over register tiles: the compiler unrolls them into registers.
#![allow(clippy::needless_range_loop)]

use super::geometry::Geometry;
use super::passes::Shared;
use super::planes::Sink;
use super::tiling::{IN, OUT, PLANES};
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

/// A transform of a tile of registers: `one` of each column, then of each row.
///
/// # Safety
/// The processor has the features of `V`.
#[inline(always)]
unsafe fn both_ways<V: Lanes, const FROM: usize, const TO: usize>(
    one: impl Fn([V; FROM]) -> [V; TO],
    read: impl Fn(usize, usize) -> V,
    mut write: impl FnMut(V, usize, usize),
) {
    // SAFETY: as the caller guarantees.
    let zero = unsafe { V::splat(V::Scalar::default()) };
    let mut half = [[zero; FROM]; TO];
    for j in 0..FROM {
        let mut column = [zero; FROM];
        for i in 0..FROM {
            column[i] = read(i, j);
        }
        let column = one(column);
        for i in 0..TO {
            half[i][j] = column[i];
        }
    }
    for i in 0..TO {
        let row = one(half[i]);
        for j in 0..TO {
            write(row[j], i, j);
        }
    }
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
                let column = register * V::COUNT;
                // SAFETY: the caller checked the features; blocks of whole registers lie inside each plane.
                unsafe {
                    both_ways(
                        weights_1d::<V>,
                        |i, j| V::load(taps[i * 3 + j].as_ptr()),
                        |u, i, j| self.sink.put(u, i * IN + j, inner, column),
                    );
                }
            }
        }
    }
}

/// Images that are cut into tiles of `SIDE`×`SIDE` and transformed into planes.
pub(crate) trait Side<const SIDE: usize> {
    /// Height, width, channels and padding of the images.
    fn image(&self, g: &Geometry) -> [usize; 4];
    /// The transform of a column or row of a tile.
    fn one<V: Lanes>(tile: [V; SIDE]) -> [V; IN];
}

/// The inputs, as Bᵀ·d·B.
pub(crate) struct Inputs;

impl Side<IN> for Inputs {
    fn image(&self, g: &Geometry) -> [usize; 4] {
        [g.h, g.w, g.input, g.padding]
    }

    #[inline(always)]
    fn one<V: Lanes>(d: [V; IN]) -> [V; IN] {
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
}

/// The gradients of the outputs, as A·dy·Aᵀ: the planes' gradient.
pub(crate) struct OutputGradients;

impl Side<OUT> for OutputGradients {
    fn image(&self, g: &Geometry) -> [usize; 4] {
        [g.oh, g.ow, g.out, 0]
    }

    #[inline(always)]
    fn one<V: Lanes>([a, b, c, d]: [V; OUT]) -> [V; IN] {
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
}

/// The transform of `count` tiles into planes.
pub(crate) struct ToPlanes<'a, S, T, K, const SIDE: usize> {
    pub(crate) side: S,
    pub(crate) geometry: &'a Geometry,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) images: &'a [T],
    /// A position outside the image.
    pub(crate) outside: &'a [T],
    /// Has a row for each tile, the first for `first`.
    pub(crate) sink: K,
}

impl<S: Side<SIDE>, T: Stored, K: Sink<T::Real>, const SIDE: usize> Kernel<T::Real>
    for ToPlanes<'_, S, T, K, SIDE>
{
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let [h, w, channels, padding] = self.side.image(self.geometry);
        assert!(self.outside.len() >= channels);
        let mut from = [[self.outside.as_ptr(); SIDE]; SIDE];
        for tile in 0..self.count {
            let (image, y0, x0) = self.geometry.tile(self.first + tile);
            for i in 0..SIDE {
                for j in 0..SIDE {
                    let y = (y0 + i).wrapping_sub(padding);
                    let x = (x0 + j).wrapping_sub(padding);
                    from[i][j] = if y < h && x < w {
                        self.images[((image * h + y) * w + x) * channels..][..channels].as_ptr()
                    } else {
                        self.outside.as_ptr()
                    };
                }
            }
            for c in (0..channels).step_by(V::COUNT) {
                // SAFETY: each pointer has `channels` readable elements, a whole number of registers; the sink has
                // `count` rows.
                unsafe {
                    both_ways(
                        S::one::<V>,
                        |i, j| T::load(from[i][j].add(c)),
                        |v, i, j| self.sink.put(v, i * IN + j, tile, c),
                    );
                }
            }
        }
    }
}

/// Aᵀ·m·A of `count` tiles, plus bias.
pub(crate) struct TransformOutput<'a, T: Stored> {
    pub(crate) geometry: &'a Geometry,
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
        let g = self.geometry;
        assert!(self.planes.len() >= PLANES * self.plane && self.bias.len() == g.out);
        assert!(self.count * g.out <= self.plane);
        for tile in 0..self.count {
            let (image, y0, x0) = g.tile(self.first + tile);
            let (rows, cols) = (OUT.min(g.oh - y0), OUT.min(g.ow - x0));
            for c in (0..g.out).step_by(V::COUNT) {
                // SAFETY: the planes hold `count` tiles of whole registers; rows and columns inside the image are
                // written.
                unsafe {
                    let from = self.planes.as_ptr().add(tile * g.out + c);
                    let bias = V::load(self.bias.as_ptr().add(c));
                    let to = self.y.0.add(((image * g.oh + y0) * g.ow + x0) * g.out + c);
                    both_ways(
                        output_1d::<V>,
                        |i, j| V::load(from.add((i * IN + j) * self.plane)),
                        |y, i, j| {
                            if i < rows && j < cols {
                                T::store(y.add(bias), to.add((i * g.ow + j) * g.out));
                            }
                        },
                    );
                }
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
        let (planes, taps) = (self.planes.as_ptr(), self.taps.as_mut_ptr());
        for at in (0..self.plane).step_by(V::COUNT) {
            // SAFETY: a plane is a whole number of registers.
            unsafe {
                both_ways(
                    back_1d::<V>,
                    |i, j| V::load(planes.add((i * IN + j) * self.plane + at)),
                    |g, i, j| g.store(taps.add((i * 3 + j) * self.plane + at)),
                );
            }
        }
    }
}
