//! Batch normalisation with its activation.

use candle_core::{D, Result, Tensor};

use super::{max_pool2d, widened};
use crate::cpu::windows::PoolGeometry;
use crate::ops::batch_norm::{Activation, BatchNormConfig};

/// Normalises over all axes but the last, scales, shifts, activates and pools.
pub(in crate::ops) fn batch_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    [running_mean, running_var]: [&Tensor; 2],
    config: &BatchNormConfig,
    pool: Option<&PoolGeometry>,
    train: bool,
) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    let rows = x.elem_count() / channels;
    let (dtype, shape) = (x.dtype(), x.shape());
    let x = widened(x)?.contiguous()?.reshape((rows, channels))?;
    let parameter = |t: &Tensor| t.to_dtype(x.dtype());
    let (mean, var) = if train {
        let mean = x.mean(0)?;
        let var = x.broadcast_sub(&mean)?.sqr()?.mean(0)?;
        let unbias = rows as f64 / (rows as f64 - 1.0);
        blend(running_mean, &mean, config.momentum)?;
        blend(
            running_var,
            &var.detach().affine(unbias, 0.0)?,
            config.momentum,
        )?;
        (mean, var)
    } else {
        (parameter(running_mean)?, parameter(running_var)?)
    };
    let mut y = x
        .broadcast_sub(&mean)?
        .broadcast_div(&(var + config.eps)?.sqrt()?)?;
    if let Some(weight) = weight {
        y = y.broadcast_mul(&parameter(weight)?)?;
    }
    if let Some(bias) = bias {
        y = y.broadcast_add(&parameter(bias)?)?;
    }
    let y = activated(&y, config.activation)?.reshape(shape)?;
    match pool {
        Some(geometry) => max_pool2d(geometry, &y)?.to_dtype(dtype),
        None => y.to_dtype(dtype),
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
