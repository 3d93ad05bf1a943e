//! What mixes the channels of each pixel after a convolution stage.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::{BatchNormConfig, add, gate, global_mean, in_f32};
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Mixer, MixerConfig, START_BESIDE};

/// Where the mixture G of a stage with features x stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// x + G(x), per pixel.
    Residual,
    /// x·(1 + G(x)), per pixel.
    Gate,
    /// x·(1 + G(mean of x over the pixels)): one factor for each image and channel.
    PooledGate,
    /// z·(½ + G(z)) on the stage's last normalised convolution z, instead of its activation: for the mixture of one
    /// sigmoid that would be SiLU.
    Activation,
}

/// The settings of a [`ChannelMixer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelMixerConfig {
    /// Where it stands.
    pub placement: Placement,
    /// Whether its input is batch-normalised without scale and shift, which the mixture's initial scale assumes.
    pub normalize_input: bool,
    /// What it computes at each stage.
    pub function: MixerConfig<Vec<usize>>,
}

/// A function on the channels of each pixel, at its [`Placement`].
#[derive(Debug, Clone)]
pub struct ChannelMixer {
    placement: Placement,
    norm: Option<BatchNorm>,
    function: Mixer,
}

impl ChannelMixer {
    /// The mixer on `channels` features that computes `function`, with the parameters of a [`Mixer`].
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(
        config: &ChannelMixerConfig,
        function: &MixerConfig,
        channels: usize,
        vb: VarBuilder,
    ) -> Result<Self> {
        let start = START_BESIDE;
        let function = Mixer::new(Some(function), channels, channels, start, vb.clone())?;
        let norm = config
            .normalize_input
            .then(|| BatchNorm::without_affine(channels, BatchNormConfig::default(), vb.pp("norm")))
            .transpose()?;
        Ok(Self {
            placement: config.placement,
            norm,
            function,
        })
    }

    /// `[n, h, w, c]` to the same shape.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        // A product with a factor near 1 would lose in bf16 what the mixture adds to it.
        match self.placement {
            Placement::Residual => add(x, &self.mixed(x, train)?),
            Placement::Gate => in_f32(x, |x| x * (self.mixed(x, train)? + 1.0)?),
            Placement::Activation => in_f32(x, |x| x * (self.mixed(x, train)? + 0.5)?),
            Placement::PooledGate => gate(x, &self.mixed(&global_mean(x)?, train)?),
        }
    }

    /// The function of `x`, normalised where it is to be.
    fn mixed(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        match &self.norm {
            Some(norm) => self.function.forward(&norm.forward(x, train)?),
            None => self.function.forward(x),
        }
    }
}
