//! Batch normalisation over the last axis, fused with an activation and max pooling.

use candle_core::{D, DType, Result, Tensor};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::max_pool2d;
use super::slices::{ActivationElement, elements, gradient_of, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::batch_norm::{self as rows, Coefficients};
use crate::cpu::batch_norm_pool as windows;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};
use crate::cuda::{self, Buffer, KernelDevice};

pub use crate::cpu::batch_norm::BatchNormConfig;
pub use crate::cpu::simd::activation::Activation;

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
    if train && x.elem_count() / channels < 2 {
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
            return max_pool2d::max_pool2d(&y, kernel, kernel);
        }
        Some(kernel) => Some(max_pool2d::geometry(x, kernel, kernel)?),
    };
    let op = BatchNorm {
        config: *config,
        pool,
        running: [running_mean.clone(), running_var.clone()],
        train,
        weighted: weight.is_some(),
        saved: Saved::Nothing,
    };
    let inputs = [Some(x), weight, bias];
    apply(op, &inputs.into_iter().flatten().collect::<Vec<_>>())
}

struct BatchNorm {
    config: BatchNormConfig,
    pool: Option<PoolGeometry>,
    /// The running mean and variance.
    running: [Tensor; 2],
    train: bool,
    /// Whether the weight is the second input, before the bias.
    weighted: bool,
    saved: Saved,
}

/// What the backward needs of the forward.
enum Saved {
    /// Before the forward.
    Nothing,
    /// With each maximum's place in its window, if there are windows.
    Cpu(Coefficients, Vec<u8>),
    Cuda(cuda::batch_norm::Done),
}

impl BatchNorm {
    /// The weight and the bias among the inputs or their gradients.
    fn parameters<'a, T>(&self, all: &'a [T]) -> [Option<&'a T>; 2] {
        match self.weighted {
            true => [all.get(1), all.get(2)],
            false => [None, all.get(1)],
        }
    }

    /// The mean and the variance of each channel; in training the running ones move towards them.
    fn statistics<T: ActivationElement>(&self, x: &[T], channels: usize) -> Result<[Vec<f64>; 2]> {
        let [running_mean, running_var] = &self.running;
        if !self.train {
            let read = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
            return Ok([read(running_mean)?, read(running_var)?]);
        }
        let (mean, var) = rows::moments(Isa::best(), x, channels);
        let rows = (x.len() / channels) as f64;
        let unbias = rows / (rows - 1.0);
        let momentum = self.config.momentum;
        for (running, new, factor) in [(running_mean, &mean, 1.0), (running_var, &var, unbias)] {
            let old = running.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            let pairs = old.iter().zip(new);
            let blended =
                pairs.map(|(old, new)| (1.0 - momentum) * old + momentum * (new * factor));
            let blended = Tensor::from_iter(blended, running.device())?;
            running.slice_set(&blended.to_dtype(running.dtype())?, 0, 0)?;
        }
        Ok([mean, var])
    }

    fn coefficients<T: ActivationElement>(
        &self,
        x: &[T],
        parameters: [Option<&Tensor>; 2],
        channels: usize,
    ) -> Result<Coefficients> {
        let [mean, var] = self.statistics(x, channels)?;
        let read = |parameter: Option<&Tensor>, missing: f64| -> Result<Vec<f64>> {
            let Some(parameter) = parameter else {
                return Ok(vec![missing; channels]);
            };
            let values = elements::<T::Real>(parameter)?;
            Ok(values.iter().map(|&value| Real::to_f64(value)).collect())
        };
        let [weight, bias] = parameters;
        let inv_std = var.iter().map(|var| 1.0 / (var + self.config.eps).sqrt());
        Ok(Coefficients {
            inv_std: inv_std.collect(),
            mean,
            scale: read(weight, 1.0)?,
            shift: read(bias, 0.0)?,
        })
    }
}

impl Op for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let x = &inputs[0];
        let (channels, activation) = (x.dim(D::Minus1)?, self.config.activation);
        Ok(with_activation!(x.dtype(), T => {
            let elements = elements::<T>(x)?;
            let coefficients = self.coefficients(&elements, self.parameters(inputs), channels)?;
            let isa = Isa::best();
            let (y, places) = match &self.pool {
                Some(g) => {
                    let (y, places) = windows::forward(isa, g, &elements, &coefficients, activation);
                    (values(y, (g.n, g.oh, g.ow, g.c)), places)
                }
                None => {
                    let y = rows::forward(isa, &elements, &coefficients, activation);
                    (values(y, x.shape()), Vec::new())
                }
            };
            self.saved = Saved::Cpu(coefficients, places);
            y
        }))
    }

    fn cuda(&mut self, device: KernelDevice, inputs: &[Tensor]) -> Result<Option<Buffer>> {
        let (x, parameters) = (&inputs[0], self.parameters(inputs));
        let op = cuda::batch_norm::BatchNorm::new(device, x, &self.config, self.pool, self.train)?;
        let forward = op.forward(x, parameters, &self.running)?;
        Ok(forward.map(|(y, done)| {
            self.saved = Saved::Cuda(done);
            y
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (x, [weight, bias]) = (inputs[0], self.parameters(inputs));
        let channels = x.dim(D::Minus1)?;
        let rows = x.elem_count() / channels;
        let (dtype, shape) = (x.dtype(), x.shape());
        let x = widened(x)?.contiguous()?.reshape((rows, channels))?;
        let parameter = |t: &Tensor| t.to_dtype(x.dtype());
        let [running_mean, running_var] = &self.running;
        let (mean, var) = if self.train {
            let mean = x.mean(0)?;
            let var = x.broadcast_sub(&mean)?.sqr()?.mean(0)?;
            let unbiased = var
                .detach()
                .affine(rows as f64 / (rows as f64 - 1.0), 0.0)?;
            blend(running_mean, &mean, self.config.momentum)?;
            blend(running_var, &unbiased, self.config.momentum)?;
            (mean, var)
        } else {
            (parameter(running_mean)?, parameter(running_var)?)
        };
        let mut y = x
            .broadcast_sub(&mean)?
            .broadcast_div(&(var + self.config.eps)?.sqrt()?)?;
        if let Some(weight) = weight {
            y = y.broadcast_mul(&parameter(weight)?)?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(&parameter(bias)?)?;
        }
        let y = activated(&y, self.config.activation)?.reshape(shape)?;
        match &self.pool {
            Some(geometry) => max_pool2d::composed(geometry, &y)?.to_dtype(dtype),
            None => y.to_dtype(dtype),
        }
    }
}

fn activated(z: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(z.clone()),
        // candle's own has a slope of 1 at 0. A NaN passes through.
        Activation::Relu => z.le(&z.zeros_like()?)?.where_cond(&z.zeros_like()?, z),
        Activation::Gelu => z.gelu_erf(),
        Activation::Silu => z.silu(),
    }
}

/// running ← (1 − momentum)·running + momentum·new, where it lies.
fn blend(running: &Tensor, new: &Tensor, momentum: f64) -> Result<()> {
    let new = new.detach().to_dtype(running.dtype())?;
    let kept = running.detach().affine(1.0 - momentum, 0.0)?;
    running.slice_set(&(kept + new.affine(momentum, 0.0)?)?, 0, 0)
}

impl Backward for BatchNorm {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, parameters) = (&inputs[0], self.parameters(inputs));
        let (coefficients, places) = match &self.saved {
            Saved::Cpu(coefficients, places) => (coefficients, places),
            Saved::Cuda(done) => return done.gradients(x, parameters, dy),
            Saved::Nothing => candle_core::bail!("batch norm: backward before forward"),
        };
        let (isa, activation, batch_statistics) = (Isa::best(), self.config.activation, self.train);
        let input_wanted = x.track_op();
        with_activation!(x.dtype(), T => {
            let (values, dy) = (elements::<T>(x)?, elements(dy)?);
            let gradients = match &self.pool {
                Some(g) => windows::backward(isa, g, &windows::Backward {
                    x: &values,
                    dy: &dy,
                    places,
                    coefficients,
                    activation,
                    batch_statistics,
                    input_wanted,
                }),
                None => rows::backward(
                    isa, &values, &dy, coefficients, activation, batch_statistics, input_wanted,
                ),
            };
            let mut all = vec![gradient_of(x, || Ok(gradients.input))?];
            let [weight, bias] = parameters;
            if let Some(weight) = weight {
                all.push(gradient_of(weight, || Ok(gradients.scale))?);
            }
            if let Some(bias) = bias {
                all.push(gradient_of(bias, || Ok(gradients.shift))?);
            }
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests;
