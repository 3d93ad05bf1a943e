//! Softmax over the last axis.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor, WithDType};

use super::cast::in_f32;
use super::cpu_storage::{Element, elements, has_kernels, slice, with_element};
use super::tape;
use crate::cpu::rows;
use crate::cpu::simd::isa::Isa;

const NAME: &str = "softmax";

/// exp(x) / Σ exp(x) over the last axis, the largest value taken out first.
///
/// # Errors
/// When `x` has no axis.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::BF16 {
        return in_f32(x, softmax);
    }
    if !has_kernels(x) || x.elem_count() == 0 {
        return candle_nn::ops::softmax(x, D::Minus1);
    }
    x.dim(D::Minus1)?;
    tape::apply1(&x.contiguous()?, Softmax)
}

struct Softmax;

fn gradient<T: Element>(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dx = rows::softmax_gradient::<T>(
        Isa::best(),
        &elements(NAME, y)?,
        &elements(NAME, dy)?,
        y.dim(D::Minus1)?,
    );
    Tensor::from_vec(dx, y.shape(), y.device())
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let cols = layout.shape().dim(D::Minus1)?;
        let y = with_element!(NAME, storage.dtype(), T => {
            let y = rows::softmax::<T>(Isa::best(), slice(NAME, storage, layout)?, cols);
            T::to_cpu_storage_owned(y)
        });
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        with_element!(NAME, y.dtype(), T => gradient::<T>(y, &grad).map(Some))
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
