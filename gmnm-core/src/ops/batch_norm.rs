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
    fn name(&self) -> &'static str {
        "batch_norm"
    }

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
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::{Device, Var};

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
