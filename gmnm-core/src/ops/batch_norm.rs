//! Batch normalisation over the last axis, fused with an activation and max pooling.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CustomOp3, D, DType, Device, InplaceOp1, Layout, Result, Shape, Tensor, WithDType,
};

use super::cpu_storage::{ActivationElement, Element, slice, with_activation, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::batch_norm::{self as rows, Coefficients, Gradients};
use crate::cpu::batch_norm_pool as windows;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};
use crate::cuda::batch_norm::Operands;
use crate::cuda::{self, KernelDevice};

pub use crate::cpu::simd::activation::Activation;

const NAME: &str = "batch_norm";

/// Settings of [`batch_norm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormConfig {
    /// Added to the variance.
    pub eps: f64,
    /// Weight of the new batch in the running statistics, in 0..=1.
    pub momentum: f64,
    /// Applied after the scale and shift.
    pub activation: Activation,
    /// Max pooling with kernel = stride = this, after the activation (rows and columns that do not fill a window are
    /// dropped).
    pub pool: Option<usize>,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
            activation: Activation::Identity,
            pool: None,
        }
    }
}

/// Normalises `x` `[..., c]` over all axes but the last, scales by `weight` `[c]` and shifts by `bias` `[c]` where
/// given, then activates and pools (pooling needs `[n, h, w, c]`).
///
/// In training the batch's own statistics are used and the running ones (buffers `[c]`) are updated in place, the
/// variance with the unbiased estimate, as PyTorch does; otherwise the running statistics are used.
///
/// # Errors
/// When shapes do not fit, or when training with a single value per channel.
pub fn batch_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    running_mean: &Tensor,
    running_var: &Tensor,
    config: &BatchNormConfig,
    train: bool,
) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    let named = [
        ("weight", weight),
        ("bias", bias),
        ("running mean", Some(running_mean)),
        ("running variance", Some(running_var)),
    ];
    for (name, tensor) in named {
        if let Some(tensor) = tensor
            && tensor.dims() != [channels]
        {
            candle_core::bail!(
                "batch norm: the {name} has shape {:?}, give it [{channels}], one number for each channel",
                tensor.dims()
            );
        }
    }
    if x.elem_count() == 0 {
        candle_core::bail!("batch norm: the input {:?} is empty", x.dims());
    }
    let rows = x.elem_count() / channels;
    if train && rows < 2 {
        candle_core::bail!(
            "batch norm needs more than one value per channel to train; use a larger batch"
        );
    }
    let pool = match config.pool {
        None | Some(1) => None,
        Some(kernel) if kernel > MAX_KERNEL => {
            let unpooled = BatchNormConfig {
                pool: None,
                ..*config
            };
            let y = batch_norm(x, weight, bias, running_mean, running_var, &unpooled, train)?;
            return super::max_pool2d(&y, kernel, kernel);
        }
        Some(kernel) => Some(super::max_pool2d::geometry(x, kernel, kernel)?),
    };
    if let Some(device) = KernelDevice::of(x)? {
        let operands = Operands {
            x,
            weight,
            bias,
            running: [running_mean, running_var],
        };
        if let Some(op) = cuda::batch_norm::BatchNorm::new(device, &operands, config, pool, train)?
        {
            return op.apply(&operands);
        }
    }
    if !on_cpu(x) {
        let running = [running_mean, running_var];
        return composed::batch_norm(x, weight, bias, running, config, pool.as_ref(), train);
    }
    // Parameters of activations in bf16 are f32.
    let dtype = match x.dtype() {
        DType::BF16 => DType::F32,
        dtype => dtype,
    };
    let fallback = |value: f64| Tensor::full(value, channels, &Device::Cpu)?.to_dtype(dtype);
    let weight = match weight {
        Some(weight) => weight.contiguous()?,
        None => fallback(1.0)?.to_device(x.device())?,
    };
    let bias = match bias {
        Some(bias) => bias.contiguous()?,
        None => fallback(0.0)?.to_device(x.device())?,
    };
    let x = x.contiguous()?;
    let statistics = if train {
        let (mean, var) = with_activation!(NAME, x.dtype(), T => {
            with_slice::<T, _>(NAME, &x, |x| Ok(rows::moments(Isa::best(), x, channels)))
        })?;
        let unbias = rows as f64 / (rows as f64 - 1.0);
        running_mean.inplace_op1(&Blend {
            new: mean.clone(),
            momentum: config.momentum,
        })?;
        running_var.inplace_op1(&Blend {
            new: var.iter().map(|var| var * unbias).collect(),
            momentum: config.momentum,
        })?;
        (mean, var)
    } else {
        let read = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
        (read(running_mean)?, read(running_var)?)
    };
    let inv_std = statistics
        .1
        .iter()
        .map(|var| 1.0 / (var + config.eps).sqrt());
    tape::apply3(
        &x,
        &weight,
        &bias,
        BatchNorm {
            activation: config.activation,
            pool,
            inv_std: inv_std.collect(),
            mean: statistics.0,
            batch_statistics: train,
            places: OnceLock::new(),
        },
    )
}

/// running ← (1 − momentum) · running + momentum · new.
struct Blend {
    new: Vec<f64>,
    momentum: f64,
}

impl InplaceOp1 for Blend {
    fn name(&self) -> &'static str {
        "running statistics"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("batch norm needs contiguous running statistics");
        };
        let blend = |old: f64, new: f64| (1.0 - self.momentum) * old + self.momentum * new;
        match storage {
            CpuStorage::F32(values) => {
                for (old, &new) in values[start..end].iter_mut().zip(&self.new) {
                    *old = blend(f64::from(*old), new) as f32;
                }
            }
            CpuStorage::F64(values) => {
                for (old, &new) in values[start..end].iter_mut().zip(&self.new) {
                    *old = blend(*old, new);
                }
            }
            _ => candle_core::bail!("batch norm keeps running statistics in f32 or f64"),
        }
        Ok(())
    }
}

struct BatchNorm {
    activation: Activation,
    pool: Option<PoolGeometry>,
    mean: Vec<f64>,
    inv_std: Vec<f64>,
    batch_statistics: bool,
    /// Where in its window each maximum was, from the forward pass.
    places: OnceLock<Vec<u8>>,
}

impl BatchNorm {
    fn coefficients<T: Element>(&self, weight: &[T], bias: &[T]) -> Coefficients {
        Coefficients {
            mean: self.mean.clone(),
            inv_std: self.inv_std.clone(),
            scale: weight.iter().map(|&x| Real::to_f64(x)).collect(),
            shift: bias.iter().map(|&x| Real::to_f64(x)).collect(),
        }
    }

    fn forward<T: ActivationElement>(
        &self,
        (x, layout): (&CpuStorage, &Layout),
        weight: &[T::Real],
        bias: &[T::Real],
    ) -> Result<(CpuStorage, Shape)> {
        let coefficients = self.coefficients(weight, bias);
        let x = slice::<T>(NAME, x, layout)?;
        Ok(match &self.pool {
            Some(g) => {
                let (y, places) =
                    windows::forward(Isa::best(), g, x, &coefficients, self.activation);
                self.places.get_or_init(|| places);
                (T::to_cpu_storage_owned(y), (g.n, g.oh, g.ow, g.c).into())
            }
            None => {
                let y = rows::forward(Isa::best(), x, &coefficients, self.activation);
                (T::to_cpu_storage_owned(y), layout.shape().clone())
            }
        })
    }

    fn backward<T: ActivationElement>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let parameters = |t: &Tensor| with_slice(NAME, t, |t: &[T::Real]| Ok(t.to_vec()));
        let coefficients = self.coefficients::<T::Real>(&parameters(weight)?, &parameters(bias)?);
        let isa = Isa::best();
        let wanted = x.track_op();
        let gradients: Gradients<T> = with_slice(NAME, x, |x| {
            with_slice(NAME, dy, |dy| match (&self.pool, self.places.get()) {
                (Some(g), Some(places)) => Ok(windows::backward(
                    isa,
                    g,
                    &windows::Backward {
                        x,
                        dy,
                        places,
                        coefficients: &coefficients,
                        activation: self.activation,
                        batch_statistics: self.batch_statistics,
                        input_wanted: wanted,
                    },
                )),
                (Some(_), None) => candle_core::bail!("batch norm: backward before forward"),
                (None, _) => Ok(rows::backward(
                    isa,
                    x,
                    dy,
                    &coefficients,
                    self.activation,
                    self.batch_statistics,
                    wanted,
                )),
            })
        })?;
        fn tensor<E: WithDType>(values: Vec<E>, like: &Tensor) -> Result<Option<Tensor>> {
            like.track_op()
                .then(|| Tensor::from_vec(values, like.shape(), like.device()))
                .transpose()
        }
        Ok((
            tensor(gradients.input, x)?,
            tensor(gradients.scale, weight)?,
            tensor(gradients.shift, bias)?,
        ))
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_activation!(NAME, x.dtype(), T => self.forward::<T>(
            (x, x_layout),
            slice(NAME, weight, weight_layout)?,
            slice(NAME, bias, bias_layout)?,
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_activation!(NAME, x.dtype(), T => self.backward::<T>(x, weight, bias, dy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::Var;

    fn statistics(channels: usize) -> (Tensor, Tensor) {
        let mean = random(&[channels], DType::F64, 7).unwrap();
        let var = random(&[channels], DType::F64, 8).unwrap();
        (mean, (var.sqr().unwrap() + 0.5).unwrap())
    }

    fn config(activation: Activation, pool: Option<usize>) -> BatchNormConfig {
        BatchNormConfig {
            activation,
            pool,
            ..Default::default()
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        use Activation::{Gelu, Identity, Relu, Silu};
        for (shape, activation, pool) in [
            ([2, 3, 5, 3], Identity, None),
            ([1, 5, 4, 9], Relu, None),
            ([2, 2, 3, 8], Gelu, None),
            ([1, 3, 3, 5], Silu, None),
            ([2, 5, 7, 3], Identity, Some(2)),
            ([1, 4, 4, 9], Relu, Some(2)),
            ([1, 7, 3, 8], Gelu, Some(3)),
            ([3, 2, 5, 2], Silu, Some(2)),
            ([2, 3, 2, 3], Gelu, Some(1)),
        ] {
            for train in [true, false] {
                let c = shape[3];
                let x = random(&shape, DType::F64, 1).unwrap();
                let weight = random(&[c], DType::F64, 2).unwrap();
                let bias = random(&[c], DType::F64, 3).unwrap();
                let (mean, var) = statistics(c);
                assert_gradients(&[x, weight, bias], 1e-6, |t| {
                    let config = config(activation, pool);
                    batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &var, &config, train)
                });
            }
        }
    }

    #[test]
    fn gradients_reach_through_non_contiguous_operands() {
        let x = random(&[2, 3, 5, 6], DType::F64, 1).unwrap();
        let weight = random(&[3, 2], DType::F64, 2).unwrap();
        let (mean, var) = statistics(3);
        for pool in [None, Some(2)] {
            assert_gradients(&[x.clone(), weight.clone()], 1e-6, |t| {
                let x = t[0].permute((0, 2, 3, 1))?.narrow(1, 1, 4)?;
                let weight = t[1].narrow(1, 1, 1)?.squeeze(1)?;
                let config = config(Activation::Gelu, pool);
                batch_norm(&x, Some(&weight), None, &mean, &var, &config, true)
            });
        }
    }

    #[test]
    fn running_statistics_follow_the_formula() {
        for dtype in [DType::F32, DType::F64] {
            let x = random(&[3, 5, 7, 6], dtype, 1).unwrap();
            let (mean, var) = statistics(6);
            let (mean, var) = (mean.to_dtype(dtype).unwrap(), var.to_dtype(dtype).unwrap());
            let before = [&mean, &var].map(|t| {
                let t = t.to_dtype(DType::F64).unwrap();
                t.to_vec1::<f64>().unwrap()
            });
            let config = BatchNormConfig {
                momentum: 0.3,
                ..Default::default()
            };
            batch_norm(&x, None, None, &mean, &var, &config, true).unwrap();
            let after = [&mean, &var].map(|t| {
                let t = t.to_dtype(DType::F64).unwrap();
                t.to_vec1::<f64>().unwrap()
            });
            let rows = x.to_dtype(DType::F64).unwrap();
            let rows = rows.reshape((105, 6)).unwrap().to_vec2::<f64>().unwrap();
            for c in 0..6 {
                let m = rows.iter().map(|row| row[c]).sum::<f64>() / 105.0;
                let v = rows.iter().map(|row| (row[c] - m).powi(2)).sum::<f64>() / 104.0;
                assert!((after[0][c] - (0.7 * before[0][c] + 0.3 * m)).abs() < 1e-6);
                assert!((after[1][c] - (0.7 * before[1][c] + 0.3 * v)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn evaluation_leaves_the_running_statistics_alone() {
        let x = random(&[2, 3, 3, 4], DType::F64, 1).unwrap();
        let (mean, var) = statistics(4);
        let before = mean.to_vec1::<f64>().unwrap();
        batch_norm(
            &x,
            None,
            None,
            &mean,
            &var,
            &config(Activation::Relu, None),
            false,
        )
        .unwrap();
        assert_eq!(before, mean.to_vec1::<f64>().unwrap());
    }

    #[test]
    fn one_value_per_channel_is_an_error_in_training_only() {
        let x = random(&[1, 1, 1, 4], DType::F64, 1).unwrap();
        let (mean, var) = statistics(4);
        let config = config(Activation::Relu, None);
        assert!(batch_norm(&x, None, None, &mean, &var, &config, true).is_err());
        assert!(batch_norm(&x, None, None, &mean, &var, &config, false).is_ok());
        assert!(var.to_vec1::<f64>().unwrap().iter().all(|v| v.is_finite()));
    }

    #[test]
    fn statistics_survive_a_large_mean() {
        // Sums of squares in f32 would lose this spread of 1 at 10,000.
        let x = (random(&[4096, 8], DType::F32, 1).unwrap() + 1e4).unwrap();
        let (mean, var) = (
            Tensor::zeros(8, DType::F32, &Device::Cpu).unwrap(),
            Tensor::zeros(8, DType::F32, &Device::Cpu).unwrap(),
        );
        let config = BatchNormConfig {
            momentum: 1.0,
            ..Default::default()
        };
        batch_norm(&x, None, None, &mean, &var, &config, true).unwrap();
        let exact = x
            .to_dtype(DType::F64)
            .unwrap()
            .var(0)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        for (var, exact) in var.to_vec1::<f32>().unwrap().iter().zip(exact) {
            assert!(
                (f64::from(*var) / exact - 1.0).abs() < 1e-4,
                "{var} {exact}"
            );
        }
    }

    #[test]
    fn ties_send_the_gradient_to_the_first_maximum() {
        let x = Tensor::new(&[-1f64, -2., -3., -4., 1., 1., 1., 1.], &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x.reshape((2, 2, 2, 1)).unwrap()).unwrap();
        let (mean, var) = (
            Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap(),
            Tensor::ones(1, DType::F64, &Device::Cpu).unwrap(),
        );
        let config = BatchNormConfig {
            eps: 0.0,
            ..config(Activation::Relu, Some(2))
        };
        let y = batch_norm(&x, None, None, &mean, &var, &config, false).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        let dx = grads.get(&x).unwrap().flatten_all().unwrap();
        // Below zero ReLU has no slope; of four equal values the first is taken.
        assert_eq!(
            dx.to_vec1::<f64>().unwrap(),
            [0., 0., 0., 0., 1., 0., 0., 0.]
        );
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[2, 3, 3, 4], DType::F64, 1).unwrap();
        let (mean, var) = statistics(4);
        let run = |x: &Tensor, weight: Option<&Tensor>, pool| {
            batch_norm(
                x,
                weight,
                None,
                &mean,
                &var,
                &config(Activation::Relu, pool),
                true,
            )
        };
        assert!(run(&x, Some(&random(&[3], DType::F64, 2).unwrap()), None).is_err());
        assert!(run(&x, None, Some(4)).is_err());
        assert!(run(&x, None, Some(0)).is_err());
        assert!(run(&random(&[6, 4], DType::F64, 1).unwrap(), None, Some(2)).is_err());
        assert!(run(&random(&[0, 3, 3, 4], DType::F64, 1).unwrap(), None, None).is_err());
    }
}
