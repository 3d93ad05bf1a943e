//! The mean over all positions of an image.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

use super::cpu_storage::{ActivationElement, slice, with_activation, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::reduce::{image_means, image_means_gradient};
use crate::cpu::simd::isa::Isa;

const NAME: &str = "global_mean";

/// The mean of `x` `[n, h, w, c]` over height and width: `[n, c]`, in f32 for bf16.
///
/// # Errors
/// When `x` is not of rank 4, or an image has no position.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if h * w == 0 {
        candle_core::bail!("global_mean: images of {h}×{w} have no mean");
    }
    if !on_cpu(x) {
        return composed::global_mean(x);
    }
    tape::apply1(&x.contiguous()?, GlobalMean)
}

struct GlobalMean;

impl GlobalMean {
    fn forward<T: ActivationElement>(
        &self,
        x: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = image_means(Isa::best(), slice::<T>(NAME, x, layout)?, h * w, c);
        Ok((WithDType::to_cpu_storage_owned(y), (n, c).into()))
    }

    fn backward<T: ActivationElement>(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (_, h, w, c) = x.dims4()?;
        let dx =
            with_slice::<T::Real, _>(NAME, dy, |dy| Ok(image_means_gradient::<T>(dy, h * w, c)))?;
        Tensor::from_vec(dx, x.shape(), x.device())
    }
}

impl CustomOp1 for GlobalMean {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_activation!(NAME, x.dtype(), T => self.forward::<T>(x, layout))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        with_activation!(NAME, x.dtype(), T => self.backward::<T>(x, dy)).map(Some)
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
