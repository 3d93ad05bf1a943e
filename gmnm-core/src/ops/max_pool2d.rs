//! Max pooling on channels-last input.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::cpu_storage::{ActivationElement, slice, with_activation, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::max_pool2d as pool;
use crate::cpu::simd::isa::Isa;
use crate::cpu::windows::{self, PoolGeometry};
use crate::cuda::{self, KernelDevice};

const NAME: &str = "max_pool2d";

/// The maximum over `kernel`×`kernel` windows of `x` `[n, h, w, c]` at distance `stride`, as `[n, oh, ow, c]` with
/// oh = (h − kernel) / stride + 1, rounded down; windows lie inside the input, which may have rows and columns left
/// over. The gradient goes to the first maximum of each window, as in PyTorch.
///
/// # Errors
/// When `x` is not of rank 4 or smaller than one window, when kernel or stride is zero, or kernel is above 256.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let geometry = geometry(x, kernel, stride)?;
    if let Some(device) = KernelDevice::of(x)?
        && let Some(op) = cuda::max_pool2d::MaxPool2d::new(device, x, geometry)
    {
        return op.apply(x);
    }
    if !on_cpu(x) {
        return composed::max_pool2d(&geometry, x);
    }
    let op = MaxPool2d {
        geometry,
        places: OnceLock::new(),
    };
    tape::apply1(&x.contiguous()?, op)
}

/// The shape of a pooling, checked.
pub(super) fn geometry(x: &Tensor, kernel: usize, stride: usize) -> Result<PoolGeometry> {
    let (n, h, w, c) = x.dims4()?;
    if kernel == 0 || stride == 0 || kernel > 256 {
        candle_core::bail!(
            "max_pool2d: kernel {kernel} and stride {stride} must be at least 1, the kernel at most 256"
        );
    }
    if h < kernel || w < kernel {
        candle_core::bail!(
            "max_pool2d: an image of {h}×{w} is smaller than one {kernel}×{kernel} window; use a smaller kernel"
        );
    }
    Ok(PoolGeometry {
        n,
        h,
        w,
        c,
        oh: (h - kernel) / stride + 1,
        ow: (w - kernel) / stride + 1,
        kernel,
        stride,
    })
}

struct MaxPool2d {
    geometry: PoolGeometry,
    /// From the forward pass.
    places: OnceLock<Places>,
}

/// Where in its window each maximum was.
enum Places {
    Disjoint(Vec<u8>),
    Any(Vec<u16>),
}

impl MaxPool2d {
    fn forward<T: ActivationElement>(
        &self,
        x: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let x = slice::<T>(NAME, x, layout)?;
        let (y, places) = if windows::are_disjoint(g) {
            let (y, places) = pool::forward_disjoint(Isa::best(), g, x);
            (y, Places::Disjoint(places))
        } else {
            let (y, places) = pool::forward(g, x);
            (y, Places::Any(places))
        };
        self.places.get_or_init(|| places);
        Ok((T::to_cpu_storage_owned(y), (g.n, g.oh, g.ow, g.c).into()))
    }

    fn backward<T: ActivationElement>(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let Some(places) = self.places.get() else {
            candle_core::bail!("max_pool2d: backward before forward");
        };
        let dx = with_slice::<T, _>(NAME, dy, |dy| {
            let g = &self.geometry;
            Ok(match places {
                Places::Disjoint(places) => pool::gradient_disjoint(Isa::best(), g, dy, places),
                Places::Any(places) => pool::gradient(g, dy, places),
            })
        })?;
        Tensor::from_vec(dx, x.shape(), x.device())
    }
}

impl CustomOp1 for MaxPool2d {
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
        // Odd sizes leave rows and columns over; windows may overlap or leave gaps.
        for (n, h, w, c, kernel, stride) in [
            (2, 4, 4, 3, 2, 2),
            (1, 5, 7, 2, 2, 2),
            (1, 7, 6, 9, 3, 2),
            (2, 7, 9, 19, 3, 3),
            (1, 5, 4, 33, 2, 2),
            (1, 5, 5, 1, 2, 3),
            (2, 3, 3, 2, 3, 1),
            (1, 4, 5, 2, 1, 1),
        ] {
            let x = random(&[n, h, w, c], DType::F64, 1).unwrap();
            assert_gradients(&[x], 1e-8, |t| max_pool2d(&t[0], kernel, stride));
        }
    }

    #[test]
    fn gradients_reach_through_non_contiguous_input() {
        let x = random(&[2, 3, 5, 6], DType::F64, 1).unwrap();
        assert_gradients(&[x], 1e-8, |t| {
            max_pool2d(&t[0].permute((0, 2, 3, 1))?.narrow(1, 1, 4)?, 2, 2)
        });
    }

    fn input_gradient(values: &[f32], h: usize, w: usize) -> Vec<f32> {
        let x = Tensor::from_slice(values, (1, h, w, 1), &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let y = max_pool2d(&x, 2, 2).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        let dx = grads.get(&x).unwrap();
        dx.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_whole_gradient_goes_to_the_maximum() {
        // candle's own max_pool2d gives a quarter of it.
        assert_eq!(input_gradient(&[1., 2., 3., 4.], 2, 2), [0., 0., 0., 1.]);
    }

    #[test]
    fn the_first_of_equal_maxima_takes_the_gradient() {
        assert_eq!(input_gradient(&[3., 3., 3., 3.], 2, 2), [1., 0., 0., 0.]);
        assert_eq!(input_gradient(&[1., 5., 5., 0.], 2, 2), [0., 1., 0., 0.]);
    }

    #[test]
    fn rows_left_over_get_nothing() {
        let dx = input_gradient(&[1., 2., 9., 4., 3., 9., 9., 9., 9.], 3, 3);
        assert_eq!(dx, [0., 0., 0., 1., 0., 0., 0., 0., 0.]);
    }

    #[test]
    fn a_nan_is_passed_on() {
        let x = Tensor::new(&[f32::NAN, 1., 2., 3.], &Device::Cpu).unwrap();
        let y = max_pool2d(&x.reshape((1, 2, 2, 1)).unwrap(), 2, 2).unwrap();
        assert!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0].is_nan());
    }

    #[test]
    fn bf16_is_pooled_as_its_values_in_f32() {
        let values = random(&[2, 5, 6, 3], DType::F32, 1).unwrap();
        let half = Var::from_tensor(&values.to_dtype(DType::BF16).unwrap()).unwrap();
        let single = Var::from_tensor(&half.to_dtype(DType::F32).unwrap()).unwrap();
        let upstream = random(&[2, 2, 3, 3], DType::F32, 2).unwrap();
        let upstream = upstream.to_dtype(DType::BF16).unwrap();
        let run = |x: &Var| {
            let y = max_pool2d(x, 2, 2).unwrap();
            let upstream = upstream.to_dtype(x.dtype()).unwrap();
            let gradients = super::super::backward_from(&y, &upstream).unwrap();
            let numbers = |t: &Tensor| {
                let flat = t.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
                flat.to_vec1::<f32>().unwrap()
            };
            (numbers(&y), numbers(gradients.get(x).unwrap()))
        };
        assert_eq!(run(&half), run(&single));
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[1, 3, 3, 2], DType::F32, 1).unwrap();
        assert!(max_pool2d(&x, 4, 4).is_err());
        assert!(max_pool2d(&x, 0, 1).is_err());
        assert!(max_pool2d(&x, 2, 0).is_err());
        assert!(max_pool2d(&x.flatten_all().unwrap(), 2, 2).is_err());
    }
}
