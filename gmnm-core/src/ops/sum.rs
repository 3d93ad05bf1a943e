//! The sum of two tensors of one shape, as where a residual joins what it went around.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::cpu_storage::{ActivationElement, has_kernels, is_bf16, slice, with_activation};
use super::tape;
use crate::cpu::reduce::sums;
use crate::cuda::{self, KernelDevice};

const NAME: &str = "add";

/// `x` + `y`, element by element. Its backward hands the gradient to both as it is.
///
/// # Errors
/// When shapes, dtypes or devices differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if let Some(device) = KernelDevice::of(x)?
        && let Some(sum) = cuda::sum::sum(&device, x, y)?
    {
        return Ok(sum);
    }
    if !(has_kernels(x) || is_bf16(x))
        || x.dtype() != y.dtype()
        || !y.device().is_cpu()
        || x.dims() != y.dims()
    {
        // Candle's error where they do not fit.
        return x + y;
    }
    tape::apply2(&x.contiguous()?, &y.contiguous()?, Add)
}

struct Add;

impl Add {
    fn forward<T: ActivationElement>(x: &[T], y: &[T]) -> CpuStorage {
        T::to_cpu_storage_owned(sums(x, y))
    }
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sum = with_activation!(NAME, x.dtype(), T => {
            Self::forward::<T>(slice(NAME, x, x_layout)?, slice(NAME, y, y_layout)?)
        });
        Ok((sum, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _sum: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of = |t: &Tensor| t.track_op().then(|| gradient.clone());
        Ok((of(x), of(y)))
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
