//! The sum of two tensors of one shape, as where a residual joins what it went around.

use candle_core::{Result, Tensor};

use super::dispatch::{Op, apply};
use super::slices::{elements, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::reduce::sums;
use crate::cuda::{self, Buffer, KernelDevice};

/// `x` + `y`, element by element. Its backward hands the gradient to both as it is.
///
/// # Errors
/// When shapes, dtypes or devices differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.dims() != y.dims() {
        // Candle's error.
        return x + y;
    }
    apply(Add, &[x, y])
}

struct Add;

impl Op for Add {
    const NAME: &'static str = "add";
    const BF16: bool = true;
    const ACTIVATIONS: usize = 2;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x, y] = operands(inputs)?;
        Ok(with_activation!(x.dtype(), T => {
            values(sums::<T>(&elements(x)?, &elements(y)?), x.shape())
        }))
    }

    fn cuda(&mut self, device: KernelDevice, inputs: &[Tensor]) -> Result<Option<Buffer>> {
        let [x, y] = operands(inputs)?;
        cuda::sum::sums(&device, x, y)
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        inputs[0] + inputs[1]
    }
}

impl Backward for Add {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let of = |x: &Tensor| x.track_op().then(|| dy.clone());
        Ok(inputs.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::DType;

    #[test]
    fn gradients_match_finite_differences() {
        let (x, y) = (
            random(&[3, 4, 5], DType::F64, 1).unwrap(),
            random(&[5, 4, 3], DType::F64, 2).unwrap(),
        );
        assert_gradients(&[x.clone(), y], 1e-8, |t| {
            add(&add(&t[0], &t[1].transpose(0, 2)?)?.sqr()?, &t[0])
        });
        assert_gradients(&[x], 1e-8, |t| add(&t[0], &t[0])?.sqr());
    }

    #[test]
    fn sums_are_those_of_the_elements_at_any_length() {
        for len in [1, 7, 64, 70_001] {
            let (x, y) = (
                random(&[len], DType::F32, 1).unwrap(),
                random(&[len], DType::F32, 2).unwrap(),
            );
            let difference = (add(&x, &y).unwrap() - (x + y).unwrap()).unwrap();
            assert_eq!(
                difference
                    .abs()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap(),
                0.0
            );
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[2, 3], DType::F32, 1).unwrap();
        assert!(add(&x, &random(&[3, 2], DType::F32, 1).unwrap()).is_err());
        assert!(add(&x, &random(&[2, 3], DType::F64, 1).unwrap()).is_err());
    }
}
