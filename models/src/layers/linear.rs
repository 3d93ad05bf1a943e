//! A linear map.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::{scaled, uniform_fan_in};
use gmnm_core::ops;

/// x·Wᵀ + b over the last axis, with PyTorch's parameters `weight` `[out, in]` and, where it has one, `bias` `[out]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// The layer with its parameters from `vb`, drawn as PyTorch does when they are new.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(in_features: usize, out_features: usize, vb: VarBuilder) -> Result<Self> {
        Self::with_scale(in_features, out_features, 1.0, vb)
    }

    /// As [`Self::new`], but the weights are drawn `scale` times as large.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn with_scale(
        in_features: usize,
        out_features: usize,
        scale: f64,
        vb: VarBuilder,
    ) -> Result<Self> {
        let init = uniform_fan_in(in_features);
        let shape = (out_features, in_features);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", scaled(init, scale))?,
            bias: Some(vb.get_with_hints(out_features, "bias", init)?),
        })
    }

    /// As [`Self::new`], but without a bias.
    ///
    /// # Errors
    /// When the tensor has another shape.
    pub fn without_bias(in_features: usize, out_features: usize, vb: VarBuilder) -> Result<Self> {
        let shape = (out_features, in_features);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", uniform_fan_in(in_features))?,
            bias: None,
        })
    }
}

impl Module for Linear {
    /// `[..., in]` to `[..., out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::linear(x, &self.weight, self.bias.as_ref())
    }
}
