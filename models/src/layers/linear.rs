//! A linear map.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::uniform_fan_in;

/// x·Wᵀ + b over the last axis, with PyTorch's parameters `weight` `[out, in]` and `bias` `[out]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// The layer with its parameters from `vb`, drawn as PyTorch does when they are new.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(in_features: usize, out_features: usize, vb: VarBuilder) -> Result<Self> {
        let init = uniform_fan_in(in_features);
        Ok(Self {
            weight: vb.get_with_hints((out_features, in_features), "weight", init)?,
            bias: vb.get_with_hints(out_features, "bias", init)?,
        })
    }
}

impl Module for Linear {
    /// `[..., in]` to `[..., out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (out, features) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / features;
        let y = x
            .reshape((rows, features))?
            .matmul(&self.weight.t()?)?
            .broadcast_add(&self.bias)?;
        if let Some(last) = shape.last_mut() {
            *last = out;
        }
        y.reshape(shape)
    }
}
