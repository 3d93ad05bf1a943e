//! The mean over all positions of an image.

use candle_core::{Result, Tensor};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::reduce::{image_means, image_means_gradient};
use crate::cpu::simd::isa::Isa;

/// The mean of `x` `[n, h, w, c]` over height and width: `[n, c]`, in f32 for bf16.
///
/// # Errors
/// When `x` is not of rank 4, or an image has no position.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if h * w == 0 {
        candle_core::bail!("global_mean: images of {h}×{w} have no mean");
    }
    apply(GlobalMean, &[x])
}

struct GlobalMean;

impl Op for GlobalMean {
    const NAME: &'static str = "global_mean";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        let (n, h, w, c) = x.dims4()?;
        Ok(with_activation!(x.dtype(), T => {
            values(image_means(Isa::best(), &elements::<T>(x)?, h * w, c), (n, c))
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (n, h, w, c) = inputs[0].dims4()?;
        widened(inputs[0])?.reshape((n, h * w, c))?.mean(1)
    }
}

impl Backward for GlobalMean {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        let (_, h, w, c) = x.dims4()?;
        with_activation!(x.dtype(), T => Ok(vec![gradient_of(x, || {
            Ok(image_means_gradient::<T>(&elements(dy)?, h * w, c))
        })?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::DType;

    #[test]
    fn gradients_match_finite_differences() {
        for shape in [[2, 3, 5, 7], [1, 1, 1, 3], [1, 4, 1, 1]] {
            let x = random(&shape, DType::F64, 1).unwrap();
            assert_gradients(&[x], 1e-9, |t| global_mean(&t[0]));
        }
        let x = random(&[2, 3, 5, 4], DType::F64, 1).unwrap();
        assert_gradients(&[x], 1e-9, |t| global_mean(&t[0].permute((0, 2, 3, 1))?));
    }

    #[test]
    fn equals_the_mean_of_positions() {
        let x = random(&[3, 4, 5, 6], DType::F32, 1).unwrap();
        let expected = x.mean((1, 2)).unwrap().to_vec2::<f32>().unwrap();
        let found = global_mean(&x).unwrap().to_vec2::<f32>().unwrap();
        for (a, b) in expected.iter().flatten().zip(found.iter().flatten()) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn an_image_without_positions_is_an_error() {
        let x = random(&[1, 0, 3, 2], DType::F32, 1).unwrap();
        assert!(global_mean(&x).is_err());
    }
}
