//! The maximum over all positions of an image.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

use super::cpu_storage::{ActivationElement, slice, with_activation, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::reduce::{image_maxima, image_maxima_gradient};

const NAME: &str = "global_max";

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
    if !on_cpu(x) {
        return composed::global_max(x);
    }
    let op = GlobalMax {
        places: OnceLock::new(),
    };
    tape::apply1(&x.contiguous()?, op)
}

struct GlobalMax {
    /// The position of each maximum, from the forward pass.
    places: OnceLock<Vec<u32>>,
}

impl GlobalMax {
    fn forward<T: ActivationElement>(
        &self,
        x: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let (y, places) = image_maxima(slice::<T>(NAME, x, layout)?, h * w, c);
        self.places.get_or_init(|| places);
        Ok((WithDType::to_cpu_storage_owned(y), (n, c).into()))
    }

    fn backward<T: ActivationElement>(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (_, h, w, c) = x.dims4()?;
        let Some(places) = self.places.get() else {
            candle_core::bail!("global_max: backward before forward");
        };
        let dx = with_slice::<T::Real, _>(NAME, dy, |dy| {
            Ok(image_maxima_gradient::<T>(dy, places, h * w, c))
        })?;
        Tensor::from_vec(dx, x.shape(), x.device())
    }
}

impl CustomOp1 for GlobalMax {
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
