//! The Gaussian mixture: two matrix products and the stage between them, a tile of rows at a time.
//!
//! A tile's projections stay in the cache; nothing of the size rows × components is ever stored. The backward computes
//! them again, in the same tiles. Components are padded to whole registers by zero weights, and projections lie as
//! `[projections, components]`, so that the stage adds squares register by register.

use std::mem::MaybeUninit;

use super::parallel::*;
use super::product::factor::{Factor, add_transposed};
use super::product::products::Products;
use super::product::tile::Rows;
use super::scratch::with_scratch;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};

/// Rows whose projections are computed at a time: whole register tiles of six and of seven rows.
const TILE: usize = 126;

/// Parts into which rows are split for the sums of the weights' gradients: fixed, so that the result does not depend
/// on the number of threads.
const PARTS: usize = 8;

/// The parameters in the order in which the kernels read them.
pub(crate) struct Mixture<T> {
    inputs: usize,
    components: usize,
    /// Components rounded up to whole registers.
    padded: usize,
    projections: usize,
    outputs: usize,
    /// `[projections, padded, inputs]`.
    directions: Vec<T>,
    /// The directions' products with the centers, `[projections, padded]`.
    offsets: Vec<T>,
    /// `[outputs]`.
    bias: Vec<T>,
    /// The directions, transposed: inputs to projections.
    project: Factor<T>,
    /// The weight, transposed: components to outputs.
    mix: Factor<T>,
    isa: Isa,
    products: Products,
}

/// What the backward multiplies by.
struct Backward<T> {
    /// The weight: outputs to components.
    unmix: Factor<T>,
    /// The directions: projections to inputs, where the input's gradient is asked for.
    unproject: Option<Factor<T>>,
}

/// Sums of the gradients of the arranged parameters: those of [`Mixture`] and the padded weight.
struct Gradients<T> {
    directions: Vec<T>,
    offsets: Vec<T>,
    weight: Vec<T>,
    bias: Vec<T>,
}

/// Sizes of a mixture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// D.
    pub(crate) inputs: usize,
    /// M.
    pub(crate) components: usize,
    /// R.
    pub(crate) projections: usize,
    /// O.
    pub(crate) outputs: usize,
    /// Whether the projections of a component are summed before they are squared.
    pub(crate) summed: bool,
}

/// The parameters.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a, T> {
    /// `[components, inputs]`.
    pub(crate) centers: &'a [T],
    /// `[components, projections, inputs]`.
    pub(crate) projections: &'a [T],
    /// `[outputs, components]`.
    pub(crate) weight: &'a [T],
    /// `[outputs]`.
    pub(crate) bias: &'a [T],
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter()
        .zip(b)
        .fold(T::default(), |sum, (&a, &b)| sum + a * b)
}

impl<T: Real> Mixture<T> {
    /// Arranges the parameters of `sizes` for `isa` and such products.
    ///
    /// # Panics
    /// When one of them is not as long as its sizes say.
    pub(crate) fn new(
        isa: Isa,
        products: Products,
        sizes: Sizes,
        parameters: Parameters<T>,
    ) -> Self {
        let (d, m) = (sizes.inputs, sizes.components);
        assert_eq!(parameters.centers.len(), m * d);
        assert_eq!(parameters.projections.len(), m * sizes.projections * d);
        assert_eq!(parameters.weight.len(), sizes.outputs * m);
        assert_eq!(parameters.bias.len(), sizes.outputs);
        let padded = m.next_multiple_of(isa.shape::<T>().0);
        let projections = if sizes.summed { 1 } else { sizes.projections };
        let mut directions = vec![T::default(); projections * padded * d];
        let mut offsets = vec![T::default(); projections * padded];
        for (i, direction) in parameters.projections.chunks_exact(d).enumerate() {
            let (component, r) = (i / sizes.projections, i % sizes.projections % projections);
            let row = r * padded + component;
            for (sum, &value) in directions[row * d..][..d].iter_mut().zip(direction) {
                *sum += value;
            }
        }
        for (row, direction) in directions.chunks_exact(d).enumerate() {
            if let Some(center) = parameters.centers.chunks_exact(d).nth(row % padded) {
                offsets[row] = dot(direction, center);
            }
        }
        let project = Factor::new(isa, products, d, projections * padded, |i, j| {
            directions[j * d + i]
        });
        let mix = Factor::new(isa, products, m, sizes.outputs, |i, j| {
            parameters.weight[j * m + i]
        });
        Self {
            inputs: d,
            components: m,
            padded,
            projections,
            outputs: sizes.outputs,
            directions,
            offsets,
            bias: parameters.bias.to_vec(),
            project,
            mix,
            isa,
            products,
        }
    }

    /// Columns of a row's projections.
    fn width(&self) -> usize {
        self.projections * self.padded
    }

    /// p without its offset into `p`, and φ into `phi`, for the rows of `x`.
    fn components_of(&self, x: &[T], p: &mut [T], phi: &mut [T]) {
        let rows = x.len() / self.inputs;
        self.project
            .product(p, self.width(), x, self.inputs, rows, false);
        self.isa.run(Densities {
            mixture: self,
            p,
            phi,
        });
    }

    /// The outputs `[rows, outputs]` for `x` `[rows, inputs]`.
    pub(crate) fn forward(&self, x: &[T]) -> Vec<T> {
        let (d, o) = (self.inputs, self.outputs);
        let len = x.len() / d * o;
        let mut out = Vec::with_capacity(len);
        out.spare_capacity_mut()[..len]
            .par_chunks_mut(TILE * o)
            .zip(x.par_chunks(TILE * d))
            .for_each(|(out, x)| {
                let rows = x.len() / d;
                let out = broadcast(out, &self.bias);
                let (width, padded) = (rows * self.width(), rows * self.padded);
                with_scratch(width + padded, |scratch: &mut [T]| {
                    let (p, phi) = scratch.split_at_mut(width);
                    self.components_of(x, p, phi);
                    self.mix.product(out, o, phi, self.padded, rows, true);
                });
            });
        // SAFETY: every tile was written by `broadcast`.
        unsafe { out.set_len(len) };
        out
    }

    /// The gradient of the input where `input` asks for it, and of centers, projections, weight and bias, given that of
    /// the outputs.
    ///
    /// `parameters` of `sizes` are those that this was made from.
    pub(crate) fn backward(
        &self,
        sizes: Sizes,
        parameters: Parameters<T>,
        x: &[T],
        dy: &[T],
        input: bool,
    ) -> (Vec<T>, [Vec<T>; 4]) {
        let (d, o) = (self.inputs, self.outputs);
        let weight = parameters.weight;
        let unproject = || {
            let (rows, directions) = (self.width(), &self.directions);
            Factor::new(self.isa, self.products, rows, d, |i, j| {
                directions[i * d + j]
            })
        };
        let panels = Backward {
            unmix: Factor::new(self.isa, self.products, o, self.padded, |i, j| {
                let columns = &weight[i * self.components..][..self.components];
                columns.get(j).copied().unwrap_or_default()
            }),
            unproject: input.then(unproject),
        };
        let rows = x.len() / d;
        let part = rows.div_ceil(TILE).div_ceil(PARTS).max(1) * TILE;
        let len = if input { x.len() } else { 0 };
        let mut dx = Vec::with_capacity(len);
        let parts: Vec<&mut [MaybeUninit<T>]> = if input {
            dx.spare_capacity_mut()[..len]
                .chunks_mut(part * d)
                .collect()
        } else {
            x.chunks(part * d).map(|_| Default::default()).collect()
        };
        let sums: Vec<Gradients<T>> = parts
            .into_par_iter()
            .zip(x.par_chunks(part * d))
            .zip(dy.par_chunks(part * o))
            .map(|((dx, x), dy)| {
                let mut sums = self.zeros();
                let mut tiles = dx.chunks_mut(TILE * d);
                for (x, dy) in x.chunks(TILE * d).zip(dy.chunks(TILE * o)) {
                    self.backward_tile(&panels, x, dy, tiles.next(), &mut sums);
                }
                sums
            })
            .collect();
        // SAFETY: every tile of every part was written.
        unsafe { dx.set_len(len) };
        let total = sums.into_iter().reduce(Gradients::plus);
        let total = total.unwrap_or_else(|| self.zeros());
        (dx, self.gradients(total, sizes, parameters))
    }

    fn zeros(&self) -> Gradients<T> {
        let zeros = |like: &[T]| vec![T::default(); like.len()];
        Gradients {
            directions: zeros(&self.directions),
            offsets: zeros(&self.offsets),
            weight: vec![T::default(); self.outputs * self.padded],
            bias: zeros(&self.bias),
        }
    }

    fn backward_tile(
        &self,
        panels: &Backward<T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [MaybeUninit<T>]>,
        sums: &mut Gradients<T>,
    ) {
        let (d, o) = (self.inputs, self.outputs);
        let rows = x.len() / d;
        let (width, padded) = (rows * self.width(), rows * self.padded);
        with_scratch(width + 2 * padded, |scratch: &mut [T]| {
            let (p, rest) = scratch.split_at_mut(width);
            let (phi, dphi) = rest.split_at_mut(padded);
            self.components_of(x, p, phi);
            panels.unmix.product(dphi, self.padded, dy, o, rows, false);
            self.isa.run(Slopes {
                mixture: self,
                p,
                phi,
                dphi,
                offsets: &mut sums.offsets,
            });
            let phi = Rows::new(phi, rows, self.padded, self.padded);
            let dy = Rows::new(dy, rows, o, o);
            add_transposed(self.isa, self.products, &mut sums.weight, dy, phi, rows);
            let dp = Rows::new(p, rows, self.width(), self.width());
            let x = Rows::new(x, rows, d, d);
            add_transposed(self.isa, self.products, &mut sums.directions, dp, x, rows);
            if let (Some(dx), Some(unproject)) = (dx, &panels.unproject) {
                let dx = broadcast(dx, &vec![T::default(); d]);
                unproject.product(dx, d, p, self.width(), rows, false);
            }
        });
        for row in dy.chunks_exact(o) {
            for (sum, &dy) in sums.bias.iter_mut().zip(row) {
                *sum += dy;
            }
        }
    }

    /// The gradients of the parameters that this mixture was made from.
    fn gradients(
        &self,
        sums: Gradients<T>,
        sizes: Sizes,
        parameters: Parameters<T>,
    ) -> [Vec<T>; 4] {
        let (d, m) = (self.inputs, self.components);
        let mut centers = Vec::with_capacity(parameters.centers.len());
        let mut projections = Vec::with_capacity(parameters.projections.len());
        for (component, center) in parameters.centers.chunks_exact(d).enumerate() {
            let start = centers.len();
            centers.resize(start + d, T::default());
            for r in 0..self.projections {
                let row = r * self.padded + component;
                let direction = &self.directions[row * d..][..d];
                for (sum, &value) in centers[start..].iter_mut().zip(direction) {
                    *sum += sums.offsets[row] * value;
                }
            }
            for r in 0..sizes.projections {
                let row = r % self.projections * self.padded + component;
                let direct = &sums.directions[row * d..][..d];
                let offset = sums.offsets[row];
                projections.extend(direct.iter().zip(center).map(|(&g, &c)| g + offset * c));
            }
        }
        let weight = sums.weight.chunks_exact(self.padded);
        let weight = weight.flat_map(|row| &row[..m]).copied().collect();
        [centers, projections, weight, sums.bias]
    }
}

impl<T: Real> Gradients<T> {
    fn plus(mut self, other: Self) -> Self {
        let add = |to: &mut [T], from: &[T]| {
            for (to, &from) in to.iter_mut().zip(from) {
                *to += from;
            }
        };
        add(&mut self.directions, &other.directions);
        add(&mut self.offsets, &other.offsets);
        add(&mut self.weight, &other.weight);
        add(&mut self.bias, &other.bias);
        self
    }
}

/// Writes `row` into every row of `out`.
fn broadcast<'a, T: Real>(out: &'a mut [MaybeUninit<T>], row: &[T]) -> &'a mut [T] {
    for to in out.chunks_exact_mut(row.len()) {
        for (to, &value) in to.iter_mut().zip(row) {
            to.write(value);
        }
    }
    // SAFETY: `out` is whole rows, all of them written.
    unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), out.len()) }
}

/// φ = exp(−½·Σ_r (p − offset)²).
struct Densities<'a, T> {
    mixture: &'a Mixture<T>,
    p: &'a [T],
    phi: &'a mut [T],
}

impl<T: Real> Kernel<T> for Densities<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let (padded, width) = (self.mixture.padded, self.mixture.width());
        let rows = self.p.chunks_exact(width);
        for (p, phi) in rows.zip(self.phi.chunks_exact_mut(padded)) {
            // SAFETY: the caller checked the features; `padded` is whole registers of this instruction set, and a row of
            // `p` and of the offsets holds `width` elements.
            unsafe {
                let minus_half = V::splat(T::from_f64(-0.5));
                for m in (0..padded).step_by(V::COUNT) {
                    let mut y2 = V::splat(T::default());
                    for column in (m..width).step_by(padded) {
                        let offset = V::load(self.mixture.offsets.as_ptr().add(column));
                        let p = V::load(p.as_ptr().add(column)).sub(offset);
                        y2 = p.mul_add(p, y2);
                    }
                    y2.mul(minus_half).exp().store(phi.as_mut_ptr().add(m));
                }
            }
        }
    }
}

/// Turns `p` into its gradient −dφ·φ·(p − offset), and takes it from the offsets' gradient.
struct Slopes<'a, T> {
    mixture: &'a Mixture<T>,
    p: &'a mut [T],
    phi: &'a [T],
    dphi: &'a [T],
    offsets: &'a mut [T],
}

impl<T: Real> Kernel<T> for Slopes<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self) {
        let (padded, width) = (self.mixture.padded, self.mixture.width());
        let stage = self.phi.chunks_exact(padded);
        let stage = stage.zip(self.dphi.chunks_exact(padded));
        for (p, (phi, dphi)) in self.p.chunks_exact_mut(width).zip(stage) {
            // SAFETY: as in `Densities`.
            unsafe {
                for m in (0..padded).step_by(V::COUNT) {
                    let phi = V::load(phi.as_ptr().add(m));
                    // Its sign is turned below, by offset − p.
                    let slope = V::load(dphi.as_ptr().add(m)).mul(phi);
                    for column in (m..width).step_by(padded) {
                        let offset = V::load(self.mixture.offsets.as_ptr().add(column));
                        let p = p.as_mut_ptr().add(column);
                        let dp = offset.sub(V::load(p)).mul(slope);
                        dp.store(p);
                        let sum = self.offsets.as_mut_ptr().add(column);
                        V::load(sum).sub(dp).store(sum);
                    }
                }
            }
        }
    }
}
