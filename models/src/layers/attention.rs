//! Self-attention between the pixels of an image.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::{self, BatchNormConfig};
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Linear, Mixer, MixerConfig, MixtureConfig};
use crate::check::{ConfigError, ensure, in_range};

/// The settings of [`Attention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Heads; they divide the channels.
    pub heads: usize,
    /// Components of a Gaussian mixture (one projection each) that stands in for the linear output projection; none
    /// by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
}

impl AttentionConfig {
    /// Checks every field for a layer on `channels` features; `at` is the key of these settings.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(crate) fn validate(
        &self,
        at: &str,
        channels: usize,
    ) -> std::result::Result<(), ConfigError> {
        let heads = self.heads;
        ensure(
            heads > 0 && channels.is_multiple_of(heads),
            &format!("{at}.heads"),
            || format!("{heads} heads do not divide the last width, {channels}"),
        )?;
        match self.components {
            Some(m) => in_range(&format!("{at}.components"), m, 1..=65_536),
            None => Ok(()),
        }
    }
}

/// x + P(attention(norm(x))): scaled dot-product attention of several heads over all pixels (arXiv 1706.03762), with
/// a batch norm in front and no position code.
#[derive(Debug, Clone)]
pub struct Attention {
    norm: BatchNorm,
    qkv: Linear,
    output: Mixer,
    heads: usize,
}

impl Attention {
    /// The layer on `channels` features with parameters `norm.*`, `qkv.*` and `proj.*` from `vb`.
    ///
    /// # Errors
    /// When a tensor has another shape or the heads do not divide the channels.
    pub fn new(config: &AttentionConfig, channels: usize, vb: VarBuilder) -> Result<Self> {
        if config.heads == 0 || !channels.is_multiple_of(config.heads) {
            candle_core::bail!(
                "{} attention heads do not divide {channels} channels",
                config.heads
            );
        }
        let mixture = config.components.map(MixtureConfig::new);
        let mixer = mixture.map(MixerConfig::Gmnm);
        Ok(Self {
            norm: BatchNorm::new(channels, BatchNormConfig::default(), vb.pp("norm"))?,
            qkv: Linear::new(channels, 3 * channels, vb.pp("qkv"))?,
            output: Mixer::new(mixer.as_ref(), channels, channels, 1.0, vb.pp("proj"))?,
            heads: config.heads,
        })
    }

    /// `[n, h, w, c]` to the same shape.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        ops::in_f32(x, |x| self.attended(x, train))
    }

    fn attended(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let (tokens, width) = (h * w, c / self.heads);
        let qkv = self
            .qkv
            .forward(&self.norm.forward(x, train)?)?
            .reshape(vec![n, tokens, 3, self.heads, width])?
            .permute(vec![2, 0, 3, 1, 4])?;
        let part = |i: usize| qkv.get(i)?.contiguous();
        let q = (part(0)? * (1.0 / (width as f64).sqrt()))?;
        let scores = q.matmul(&part(1)?.transpose(2, 3)?.contiguous()?)?;
        let mixed = ops::softmax(&scores)?
            .matmul(&part(2)?)?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((n, h, w, c))?;
        ops::add(x, &self.output.forward(&mixed)?)
    }
}
