//! Two-dimensional convolutions and their transpose.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gmnm_core::init::uniform_fan_in;
use gmnm_core::ops::{self, Conv2dConfig, ConvTranspose2dConfig};

/// A convolution on channels-last images with PyTorch's weight `[out, in, kernel, kernel]`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv2dConfig,
}

impl Conv2d {
    /// The layer with its parameter `weight` from `vb`, drawn from `init` when it is new, and no bias: a batch norm
    /// follows it.
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
            bias: None,
            config,
        })
    }

    /// The layer with its parameters `weight` and `bias` from `vb`, drawn as PyTorch does when they are new.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn with_bias(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: Conv2dConfig,
        vb: VarBuilder,
    ) -> Result<Self> {
        let init = uniform_fan_in(kernel * kernel * in_channels);
        let bias = vb.get_with_hints(out_channels, "bias", init)?;
        Ok(Self {
            bias: Some(bias),
            ..Self::new(in_channels, out_channels, kernel, config, init, vb)?
        })
    }
}

impl Module for Conv2d {
    /// `[n, h, w, in]` to `[n, oh, ow, out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::conv2d(x, &self.weight, self.bias.as_ref(), self.config)
    }
}

/// A transposed convolution, the adjoint of [`Conv2d`], on channels-last images with PyTorch's weight
/// `[in, out, kernel, kernel]` and no bias.
#[derive(Debug, Clone)]
pub struct ConvTranspose2d {
    weight: Tensor,
    config: ConvTranspose2dConfig,
}

impl ConvTranspose2d {
    /// The layer with its parameter `weight` from `vb`, drawn from `init` when it is new.
    ///
    /// # Errors
    /// When the tensor has another shape.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: ConvTranspose2dConfig,
        init: Init,
        vb: VarBuilder,
    ) -> Result<Self> {
        let shape = (in_channels, out_channels, kernel, kernel);
        Ok(Self {
            weight: vb.get_with_hints(shape, "weight", init)?,
            config,
        })
    }
}

impl Module for ConvTranspose2d {
    /// `[n, h, w, in]` to `[n, oh, ow, out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::conv_transpose2d(x, &self.weight, None, self.config)
    }
}
