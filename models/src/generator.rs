//! The image generator of the paper's Figure 4: an encoder to a latent vector, a decoder of transposed convolutions
//! whose output is multiplied element by element by 1 + G(latent), G a Gaussian mixture, and an output convolution.
//!
//! The mixture has few components: more of them changed nothing on held-out images (RESULTS.md, "Trials behind the
//! defaults").

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::uniform_fan_in;
use gmnm_core::ops::{self, Activation, BatchNormConfig, Conv2dConfig, ConvTranspose2dConfig};
use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, all_in_range, ensure, in_range, is_default};
use crate::layers::{
    ActivationName, BatchNorm, Conv2d, ConvTranspose2d, Linear, Mixer, MixerConfig, MixtureConfig,
    START_BESIDE,
};

mod latents;

pub use latents::Latents;

/// The settings of the mixture that multiplies the decoder's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// The mixture.
    #[serde(flatten)]
    pub mixture: MixtureConfig,
    /// Whether the latent vector is layer-normalised before it, which its initial scale assumes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize_input: bool,
}

/// The settings of a [`Generator`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Channels of the image.
    pub channels: usize,
    /// Height of the image, divisible by 2 for each width.
    pub height: usize,
    /// Width of the image, divisible by 2 for each width.
    pub width: usize,
    /// Length of the latent vector.
    pub latent: usize,
    /// Features of the encoder's stages, each of which halves the image; the decoder mirrors them.
    pub widths: Vec<usize>,
    /// Features of the decoder's output, which the mixture multiplies.
    pub features: usize,
    /// After every normalised convolution.
    #[serde(with = "ActivationName")]
    pub activation: Activation,
    /// The mixture of the latent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateConfig>,
}

impl GeneratorConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        in_range("channels", self.channels, 1..=1024)?;
        // Their covariance is saved with the network.
        in_range("latent", self.latent, 1..=4096)?;
        in_range("features", self.features, 1..=4096)?;
        in_range("widths", self.widths.len(), 1..=8)?;
        all_in_range("widths", &self.widths, 1..=16_384)?;
        let (step, stages) = (self.step(), self.widths.len());
        for (field, size) in [("height", self.height), ("width", self.width)] {
            in_range(field, size, 1..=4096)?;
            ensure(size % step == 0, field, || {
                format!("{size} is not divisible by {step}, which {stages} stages need")
            })?;
        }
        match &self.gate {
            Some(gate) => gate.mixture.validate("gate"),
            None => Ok(()),
        }
    }

    /// What height and width must be divisible by.
    pub fn step(&self) -> usize {
        1 << self.widths.len()
    }

    /// Height and width at the encoder's end.
    fn smallest(&self) -> (usize, usize) {
        (self.height / self.step(), self.width / self.step())
    }
}

/// An autoencoder of images; see [`GeneratorConfig`].
#[derive(Debug, Clone)]
pub struct Generator {
    config: GeneratorConfig,
    encoder: Vec<(Conv2d, BatchNorm)>,
    to_latent: Linear,
    from_latent: Linear,
    decoder: Vec<(ConvTranspose2d, BatchNorm)>,
    gate: Option<Mixer>,
    output: Conv2d,
    latents: Latents,
}

impl Generator {
    /// The network with its parameters from `vb`: `encoder.I.conv.weight`, `encoder.I.bn.*`, `to_latent.*`,
    /// `from_latent.*`, `decoder.I.conv.weight`, `decoder.I.bn.*`, `gate.*`, `output.*`, and the buffers
    /// of its [`Latents`].
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(config: &GeneratorConfig, vb: VarBuilder) -> Result<Self> {
        let norm = BatchNormConfig {
            activation: config.activation,
            ..BatchNormConfig::default()
        };
        let halve = Conv2dConfig {
            stride: 2,
            padding: 1,
            ..Conv2dConfig::default()
        };
        let mut features = config.channels;
        let mut encoder = Vec::with_capacity(config.widths.len());
        for (i, &width) in config.widths.iter().enumerate() {
            let vb = vb.pp("encoder").pp(i);
            encoder.push((
                Conv2d::new(
                    features,
                    width,
                    4,
                    halve,
                    uniform_fan_in(16 * features),
                    vb.pp("conv"),
                )?,
                BatchNorm::new(width, norm, vb.pp("bn"))?,
            ));
            features = width;
        }
        let double = ConvTranspose2dConfig {
            stride: 2,
            padding: 1,
            ..ConvTranspose2dConfig::default()
        };
        let (height, width) = config.smallest();
        let flat = height * width * features;
        let mut decoder = Vec::with_capacity(config.widths.len());
        let targets = config.widths.iter().rev().skip(1).chain([&config.features]);
        for (i, &width) in targets.enumerate() {
            let vb = vb.pp("decoder").pp(i);
            // Four of the sixteen taps reach an output pixel.
            let init = uniform_fan_in(4 * features);
            decoder.push((
                ConvTranspose2d::new(features, width, 4, double, init, vb.pp("conv"))?,
                BatchNorm::new(width, norm, vb.pp("bn"))?,
            ));
            features = width;
        }
        let outputs = config.height * config.width * config.features;
        let gate = |gate: &GateConfig| {
            let mixture = MixerConfig::Gmnm(gate.mixture.clone());
            Mixer::new(
                Some(&mixture),
                config.latent,
                outputs,
                START_BESIDE,
                vb.pp("gate"),
            )
        };
        let gate = config.gate.as_ref().map(gate).transpose()?;
        let same = Conv2dConfig {
            padding: 1,
            ..Conv2dConfig::default()
        };
        Ok(Self {
            config: config.clone(),
            encoder,
            to_latent: Linear::new(flat, config.latent, vb.pp("to_latent"))?,
            from_latent: Linear::new(config.latent, flat, vb.pp("from_latent"))?,
            decoder,
            gate,
            output: Conv2d::with_bias(config.features, config.channels, 3, same, vb.pp("output"))?,
            latents: Latents::new(config.latent, vb)?,
        })
    }

    /// The settings of the network.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }

    /// Where samples are drawn from: the Gaussian of the training images' latent vectors.
    pub fn latents(&self) -> &Latents {
        &self.latents
    }

    /// Normalised images `[n, height, width, channels]` to latent vectors `[n, latent]`.
    ///
    /// # Errors
    /// When the images have another shape.
    pub fn encode(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        let (n, height, width, channels) = images.dims4()?;
        let c = &self.config;
        if (height, width, channels) != (c.height, c.width, c.channels) {
            candle_core::bail!(
                "an image of {width}×{height} pixels with {channels} channels does not fit, the network takes {}×{} with {}",
                c.width,
                c.height,
                c.channels
            );
        }
        let mut x = images.clone();
        for (conv, norm) in &self.encoder {
            x = norm.forward(&conv.forward(&x)?, train)?;
        }
        self.to_latent
            .forward(&x.reshape((n, x.elem_count() / n.max(1)))?)
    }

    /// Latent vectors `[n, latent]` to images `[n, height, width, channels]`, normalised as the encoder's input.
    ///
    /// # Errors
    /// When the vectors have another length.
    pub fn decode(&self, latent: &Tensor, train: bool) -> Result<Tensor> {
        let n = latent.dim(0)?;
        let (height, width) = self.config.smallest();
        let mut x = self
            .from_latent
            .forward(latent)?
            .reshape((n, height, width, ()))?;
        for (conv, norm) in &self.decoder {
            x = norm.forward(&conv.forward(&x)?, train)?;
        }
        if let (Some(gate), Some(config)) = (&self.gate, &self.config.gate) {
            let mut latent = match latent.dtype() {
                DType::BF16 => ops::cast(latent, DType::F32)?,
                _ => latent.clone(),
            };
            if config.normalize_input {
                latent = ops::layer_norm(&latent, None, None, 1e-5)?;
            }
            let factors = gate.forward(&latent)?;
            x = ops::gate(&x.reshape((n, 1, 1, ()))?, &factors)?.reshape(x.shape())?;
        }
        self.output.forward(&x)
    }

    /// Encodes and decodes.
    ///
    /// # Errors
    /// When the images have another shape.
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.decode(&self.encode(images, train)?, train)
    }
}
