//! Two-dimensional convolution.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gmnm_core::ops::{self, Conv2dConfig};

/// A convolution on channels-last images with PyTorch's weight `[out, in, kernel, kernel]` and no bias: a batch norm
/// follows it.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    config: Conv2dConfig,
}

impl Conv2d {
    /// The layer with its parameter `weight` from `vb`, drawn from `init` when it is new.
    ///
    /// # Errors
    /// When the tensor has another shape.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: Conv2dConfig,
        init: Init,
        vb: VarBuilder,
    ) -> Result<Self> {
        let shape = (out_channels, in_channels, kernel, kernel);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", init)?,
            config,
        })
    }
}

impl Module for Conv2d {
    /// `[n, h, w, in]` to `[n, oh, ow, out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::conv2d(x, &self.weight, None, self.config)
    }
}
