//! Softmax over the last axis.

use candle_core::{D, DType, Result, Tensor};

use super::cast::in_f32;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element};
use super::tape::{Backward, Values};
use crate::cpu::rows;
use crate::cpu::simd::isa::Isa;

/// exp(x) / Σ exp(x) over the last axis, the largest value taken out first.
///
/// # Errors
/// When `x` has no axis.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::BF16 {
        return in_f32(x, softmax);
    }
    x.dim(D::Minus1)?;
    apply(Softmax, &[x])
}

struct Softmax;

impl Op for Softmax {
    const NAME: &'static str = "softmax";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        let cols = x.dim(D::Minus1)?;
        Ok(with_element!(x.dtype(), T => {
            values(rows::softmax::<T>(Isa::best(), &elements(x)?, cols), x.shape())
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        candle_nn::ops::softmax(inputs[0], D::Minus1)
    }
}

impl Backward for Softmax {
    fn gradients(&self, inputs: &[Tensor], y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        let cols = x.dim(D::Minus1)?;
        with_element!(x.dtype(), T => Ok(vec![gradient_of(x, || {
            Ok(rows::softmax_gradient::<T>(Isa::best(), &elements(y)?, &elements(dy)?, cols))
        })?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for shape in [vec![1], vec![1, 7], vec![3, 2, 19]] {
            let x = random(&shape, DType::F64, 1)?;
            assert_gradients(&[x], 1e-8, |t| softmax(&t[0]));
        }
        let x = random(&[9, 4], DType::F64, 1)?;
        assert_gradients(&[x], 1e-8, |t| softmax(&t[0].t()?));
        Ok(())
    }

    #[test]
    fn every_path_matches_candle_at_f64() -> Result<()> {
        for cols in [1, 7, 8, 33] {
            let x = (random(&[5, cols], DType::F32, 2)? * 20.0)?;
            let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
            let exact = candle_nn::ops::softmax(&x.to_dtype(DType::F64)?, 1)?;
            let exact: Vec<f64> = exact.flatten_all()?.to_vec1()?;
            for isa in Isa::available() {
                for (y, exact) in rows::softmax(isa, &values, cols).iter().zip(&exact) {
                    assert!((f64::from(*y) - exact).abs() < 1e-6, "{isa:?} {cols}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn is_stable_for_huge_values() -> Result<()> {
        let x = Tensor::new(&[[1e4f32, -1e4, 1e4]], &candle_core::Device::Cpu)?;
        let y = softmax(&x)?.to_vec2::<f32>()?;
        assert_eq!([y[0][0], y[0][2]], [0.5, 0.5]);
        assert!(y[0][1] < 1e-37);
        Ok(())
    }
}
