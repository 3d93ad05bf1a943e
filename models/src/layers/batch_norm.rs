//! Batch normalisation with the activation and the pooling that follow it.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gmnm_core::ops::{self, BatchNormConfig};

/// Normalises the last axis with PyTorch's names: parameters `weight` and `bias` where it has them, buffers
/// `running_mean` and `running_var`. Where a store hands the buffers out frozen
/// ([`ParamStore::freezing`](gmnm_core::ParamStore::freezing)), training uses and keeps the running statistics, too.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    running_mean: Tensor,
    running_var: Tensor,
    config: BatchNormConfig,
}

impl BatchNorm {
    /// A batch norm with a learned scale and shift.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(channels: usize, config: BatchNormConfig, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints(channels, "weight", Init::Const(1.0))?;
        Ok(Self {
            weight: Some(weight),
            ..Self::with_shift(channels, config, vb)?
        })
    }

    /// A batch norm with a learned shift and no scale.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn with_shift(channels: usize, config: BatchNormConfig, vb: VarBuilder) -> Result<Self> {
        let bias = vb.get_with_hints(channels, "bias", Init::Const(0.0))?;
        Ok(Self {
            bias: Some(bias),
            ..Self::without_affine(channels, config, vb)?
        })
    }

    /// A batch norm that only normalises.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn without_affine(
        channels: usize,
        config: BatchNormConfig,
        vb: VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            weight: None,
            bias: None,
            running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.0))?,
            running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.0))?,
            config,
        })
    }

    /// `[..., c]` to the same shape, or a pooled one; in training with the batch's statistics.
    ///
    /// # Errors
    /// See [`ops::batch_norm`].
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let train = train && self.running_mean.track_op();
        ops::batch_norm(
            x,
            self.weight.as_ref(),
            self.bias.as_ref(),
            &self.running_mean,
            &self.running_var,
            &self.config,
            train,
        )
    }
}
