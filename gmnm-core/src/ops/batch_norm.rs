//! Batch normalisation over the last axis, fused with an activation and max pooling.

use candle_core::{Result, Tensor, Var};

/// What follows the normalisation, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// max(x, 0), with derivative 0 at 0.
    Relu,
    /// x·Φ(x) with the exact normal distribution function (PyTorch's default GELU).
    Gelu,
    /// x·sigmoid(x).
    Silu,
}

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
    let channels = x.dim(candle_core::D::Minus1)?;
    let rows = x.elem_count() / channels.max(1);
    let flat = x.reshape((rows, channels))?;
    let normal = if train {
        if rows < 2 {
            candle_core::bail!(
                "batch norm needs more than one value per channel to train; use a larger batch"
            );
        }
        let mean = flat.mean(0)?;
        let centered = flat.broadcast_sub(&mean)?;
        let var = centered.sqr()?.mean(0)?;
        let m = config.momentum;
        let unbiased = (var.detach() * (rows as f64 / (rows as f64 - 1.0)))?;
        update(running_mean, &mean.detach(), m)?;
        update(running_var, &unbiased, m)?;
        centered.broadcast_div(&(var + config.eps)?.sqrt()?)?
    } else {
        flat.broadcast_sub(running_mean)?
            .broadcast_div(&(running_var + config.eps)?.sqrt()?)?
    };
    let mut y = match weight {
        Some(weight) => normal.broadcast_mul(weight)?,
        None => normal,
    };
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    let y = match config.activation {
        Activation::Identity => y,
        Activation::Relu => y.relu()?,
        Activation::Gelu => y.gelu_erf()?,
        Activation::Silu => y.silu()?,
    };
    let y = y.reshape(x.shape())?;
    match config.pool {
        Some(kernel) => super::max_pool2d(&y, kernel, kernel),
        None => Ok(y),
    }
}

fn update(running: &Tensor, batch: &Tensor, momentum: f64) -> Result<()> {
    let new = ((running.detach() * (1.0 - momentum))? + (batch * momentum)?)?;
    Var::from_tensor(running)?.set(&new)
}
