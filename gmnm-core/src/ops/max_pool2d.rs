//! Max pooling on channels-last input.

use candle_core::{Result, Tensor};

use super::composed::every;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::max_pool2d as pool;
use crate::cpu::simd::isa::Isa;
use crate::cpu::windows::{self, PoolGeometry};
use crate::cuda::{self, Buffer, KernelDevice};

/// The maximum over `kernel`×`kernel` windows of `x` `[n, h, w, c]` at distance `stride`, as `[n, oh, ow, c]` with
/// oh = (h − kernel) / stride + 1, rounded down; windows lie inside the input, which may have rows and columns left
/// over. The gradient goes to the first maximum of each window, as in PyTorch.
///
/// # Errors
/// When `x` is not of rank 4 or smaller than one window, when kernel or stride is zero, or kernel is above 256.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let op = MaxPool2d {
        geometry: geometry(x, kernel, stride)?,
        places: Places::Unknown,
    };
    apply(op, &[x])
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
    places: Places,
}

/// Where in its window each maximum is.
enum Places {
    /// Before the forward.
    Unknown,
    Disjoint(Vec<u8>),
    Any(Vec<u16>),
    Cuda(KernelDevice, Tensor),
}

impl Op for MaxPool2d {
    const NAME: &'static str = "max_pool2d";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        let g = &self.geometry;
        Ok(with_activation!(x.dtype(), T => {
            let x = elements::<T>(x)?;
            let y = if windows::are_disjoint(g) {
                let (y, places) = pool::forward_disjoint(Isa::best(), g, &x);
                self.places = Places::Disjoint(places);
                y
            } else {
                let (y, places) = pool::forward(g, &x);
                self.places = Places::Any(places);
                y
            };
            values(y, (g.n, g.oh, g.ow, g.c))
        }))
    }

    fn cuda(&mut self, device: KernelDevice, inputs: &[Tensor]) -> Result<Option<Buffer>> {
        let [x] = operands(inputs)?;
        let Some((y, places)) = cuda::max_pool2d::forward(&device, &self.geometry, x)? else {
            return Ok(None);
        };
        self.places = Places::Cuda(device, places);
        Ok(Some(y))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        composed(&self.geometry, inputs[0])
    }
}

/// From shifted images. The first of equal values takes the gradient, and a NaN wins.
pub(super) fn composed(g: &PoolGeometry, x: &Tensor) -> Result<Tensor> {
    let mut best: Option<Tensor> = None;
    for ky in 0..g.kernel {
        let rows = every(x, 1, ky, g.stride, g.oh)?;
        for kx in 0..g.kernel {
            let next = every(&rows, 2, kx, g.stride, g.ow)?.contiguous()?;
            best = Some(match best {
                None => next,
                Some(best) => {
                    let larger = next.gt(&best)?;
                    // Only a NaN differs from itself.
                    let wins = (larger + next.ne(&next)?)?;
                    wins.where_cond(&next, &best)?
                }
            });
        }
    }
    match best {
        Some(best) => Ok(best),
        None => candle_core::bail!("max_pool2d: a window needs at least one place"),
    }
}

impl Backward for MaxPool2d {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        let g = &self.geometry;
        if let Places::Cuda(device, places) = &self.places {
            return Ok(vec![Some(cuda::max_pool2d::gradient(
                device, g, x, dy, places,
            )?)]);
        }
        with_activation!(x.dtype(), T => Ok(vec![gradient_of(x, || {
            let dy = elements::<T>(dy)?;
            Ok(match &self.places {
                Places::Disjoint(places) => pool::gradient_disjoint(Isa::best(), g, &dy, places),
                Places::Any(places) => pool::gradient(g, &dy, places),
                _ => candle_core::bail!("max_pool2d: backward before forward"),
            })
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
