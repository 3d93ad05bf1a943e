//! The maximum over all positions of an image.

use candle_core::{Result, Tensor};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::reduce::{image_maxima, image_maxima_gradient};

/// The maximum of `x` `[n, h, w, c]` over height and width: `[n, c]`, in f32 for bf16. The gradient goes to the first
/// maximum of each channel; on a device other than the CPU, to one of them.
///
/// # Errors
/// When `x` is not of rank 4, or an image has no position.
pub fn global_max(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if h * w == 0 {
        candle_core::bail!("global_max: images of {h}×{w} have no maximum");
    }
    apply(GlobalMax::default(), &[x])
}

#[derive(Default)]
struct GlobalMax {
    /// The position of each maximum.
    places: Vec<u32>,
}

impl Op for GlobalMax {
    const NAME: &'static str = "global_max";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        let (n, h, w, c) = x.dims4()?;
        Ok(with_activation!(x.dtype(), T => {
            let (y, places) = image_maxima(&elements::<T>(x)?, h * w, c);
            self.places = places;
            values(y, (n, c))
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (n, h, w, c) = inputs[0].dims4()?;
        let x = widened(inputs[0])?.contiguous()?.reshape((n, h * w, c))?;
        let x = x.transpose(1, 2)?.contiguous()?;
        let places = x.detach().argmax_keepdim(2)?;
        x.gather(&places, 2)?.squeeze(2)
    }
}

impl Backward for GlobalMax {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        let (_, h, w, c) = x.dims4()?;
        with_activation!(x.dtype(), T => Ok(vec![gradient_of(x, || {
            Ok(image_maxima_gradient::<T>(&elements(dy)?, &self.places, h * w, c))
        })?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::{DType, Device, Var};

    #[test]
    fn gradients_match_finite_differences() {
        for shape in [[2, 3, 5, 7], [1, 1, 1, 3], [1, 4, 1, 1]] {
            let x = random(&shape, DType::F64, 1).unwrap();
            assert_gradients(&[x], 1e-9, |t| global_max(&t[0]));
        }
        let x = random(&[2, 3, 5, 4], DType::F64, 1).unwrap();
        assert_gradients(&[x], 1e-9, |t| global_max(&t[0].permute((0, 2, 3, 1))?));
    }

    #[test]
    fn equals_the_maximum_of_positions() {
        for dtype in [DType::F32, DType::BF16] {
            let x = random(&[3, 4, 5, 6], DType::F32, 1).unwrap();
            let x = x.to_dtype(dtype).unwrap();
            let wide = x.to_dtype(DType::F32).unwrap();
            let expected = wide.flatten(1, 2).unwrap().max(1).unwrap();
            let found = global_max(&x).unwrap();
            assert_eq!(
                expected.to_vec2::<f32>().unwrap(),
                found.to_vec2::<f32>().unwrap()
            );
        }
    }

    #[test]
    fn the_first_of_equal_maxima_takes_the_gradient() {
        let x = Tensor::new(&[1f32, 2., 2., 0.], &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x.reshape((1, 2, 2, 1)).unwrap()).unwrap();
        let y = global_max(&x).unwrap();
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let dx = gradients.get(&x).unwrap().flatten_all().unwrap();
        assert_eq!(dx.to_vec1::<f32>().unwrap(), [0., 1., 0., 0.]);
    }

    #[test]
    fn a_nan_is_passed_on() {
        let x = Tensor::new(&[1f32, f32::NAN, 3., 2.], &Device::Cpu).unwrap();
        let y = global_max(&x.reshape((1, 2, 2, 1)).unwrap()).unwrap();
        assert!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0].is_nan());
    }

    #[test]
    fn an_image_without_positions_is_an_error() {
        let x = random(&[1, 0, 3, 2], DType::F32, 1).unwrap();
        assert!(global_max(&x).is_err());
    }
}
