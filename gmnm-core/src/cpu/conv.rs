//! Convolution and its input gradient as direct, register-tiled products over channels-last images.
//!
//! An image is padded once into a buffer ([`super::conv_passes`]), then computed by tiles ([`super::conv_tiles`]); where
//! products are taken in bf16, [`super::conv_half`] gathers rows and multiplies them.

use std::marker::PhantomData;
use std::ops::Range;

use super::conv_geometry::{Geometry, Passes};
use super::conv_half::ConvHalf;
use super::conv_passes::{Convolve, Shared, run};
use super::conv_tiles::{Task, Tiles};
use super::dispatch::Path;
use super::lanes::Real;
use super::pack::{pack, padded};
use super::products::Products;
use super::scratch::Aligned;
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
    match products.direct(path) {
        Products::Full => run(passes, x, &Direct::new(path, passes, weight, bias)),
        Products::Half => run(passes, x, &work(false)),
        Products::Split => run(passes, x, &work(true)),
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
