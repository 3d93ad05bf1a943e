//! Convolution and its input gradient as direct, register-tiled products over channels-last images.
//!
//! An image is padded once into a buffer ([`passes`]), then computed by tiles ([`tiles`]); where
//! products are taken in bf16, [`gathered`] gathers rows and multiplies them.

pub(crate) mod gathered;
pub(crate) mod geometry;
pub(crate) mod passes;
pub(crate) mod planes;
pub(crate) mod sweep;
pub(crate) mod tiles;
pub(crate) mod tiling;
pub(crate) mod weight;
pub(crate) mod winograd;
pub(crate) mod winograd_transform;
pub(crate) mod winograd_weight;

use std::marker::PhantomData;
use std::ops::Range;

use self::gathered::ConvHalf;
use self::geometry::{Geometry, Passes};
use self::passes::{Convolve, Shared, run};
use self::tiles::{Task, Tiles};
use crate::cpu::product::pack::{pack, padded};
use crate::cpu::product::products::Products;
use crate::cpu::scratch::Aligned;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::stored::Stored;

/// `x` convolved with `weight`, plus `bias` `[out]`.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(x.len(), g.input_len());
    if winograd::applies::<T::Real>(isa, g) {
        return winograd::forward(isa, products, g, x, weight, bias);
    }
    convolve(isa, products, &Passes::forward(g), x, weight, bias)
}

/// The gradient of the input from `dy`, the output's, plus `bias` `[input]` where this serves as a transposed
/// convolution.
pub(crate) fn input_gradient<T: Stored>(
    isa: Isa,
    products: Products,
    g: &Geometry,
    dy: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(dy.len(), g.output_len());
    if winograd::applies::<T::Real>(isa, g) {
        return winograd::input_gradient(isa, products, g, dy, weight, bias);
    }
    let passes = Passes::input_gradient(g);
    convolve(isa, products, &passes, dy, weight, bias)
}

fn convolve<T: Stored>(
    isa: Isa,
    products: Products,
    passes: &Passes,
    x: &[T],
    weight: &[T::Real],
    bias: Option<&[T::Real]>,
) -> Vec<T> {
    assert_eq!(weight.len(), passes.order.lanes * passes.order.depth());
    let work = |split| ConvHalf::new(isa, split, passes, weight, bias);
    match products.direct(isa) {
        Products::Full => run(passes, x, &Direct::new(isa, passes, weight, bias)),
        Products::Half => run(passes, x, &work(false)),
        Products::Split => run(passes, x, &work(true)),
    }
}

/// Products in the type that is computed in.
struct Direct<'a, R> {
    isa: Isa,
    passes: &'a Passes,
    weights: Aligned,
    bias: Aligned,
    /// Output channels that weights and bias are filled up to.
    lanes: usize,
    real: PhantomData<R>,
}

impl<'a, R: Real> Direct<'a, R> {
    fn new(isa: Isa, passes: &'a Passes, weight: &[R], bias: Option<&[R]>) -> Self {
        let order = passes.order;
        let (count, cols) = isa.shape::<R>();
        let lanes = padded(order.lanes, count, cols);
        let mut filled = Aligned::zeros::<R>(lanes);
        if let Some(values) = bias {
            filled.slice_mut(lanes)[..order.lanes].copy_from_slice(values);
        }
        Self {
            isa,
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
                self.isa,
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
