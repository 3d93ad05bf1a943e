//! The image classifier of the paper's Figure 4: convolution stages with a channel mixer after each, an optional
//! attention layer, and a linear head on the mean over all pixels. [`Normalization::Shift`], a whitening stem and
//! [`Head::Max`] together make it the network that learns in few epochs (Keller Jordan's airbench94, arXiv 2404.00498).
//!
//! The mixture stands where trials on held-out images put it: RESULTS.md, "Trials behind the defaults". R is 1, where the
//! aggregations `Norm` and `Sum` are the same function.
//!
//! With output weights at their usual initial scale a gate learns more slowly, so all mixers start at a tenth.

use std::collections::BTreeMap;

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::{dirac, normal, uniform_fan_in};
use gmnm_core::ops::{self, Activation, BatchNormConfig, Conv2dConfig};
use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, all_in_range, ensure, in_range, is_default};
use crate::layers::{
    ActivationName, Attention, AttentionConfig, BatchNorm, ChannelMixer, ChannelMixerConfig,
    Conv2d, Linear, Placement, Whitening, WhiteningConfig, whitening_filters,
};

/// How the convolutions of a stage are normalised, and where the first is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Batch norm with a scale and a shift; the pooling follows the activation.
    #[default]
    Affine,
    /// Batch norm with a shift alone, its running statistics led by the newest batches; the pooling stands before it
    /// (Keller Jordan, arXiv 2404.00498).
    Shift,
}

/// What the linear head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// The mean over all pixels; with a bias.
    #[default]
    Mean,
    /// The maximum over all pixels; without a bias.
    Max,
}

/// The weight of the new batch in the running statistics of [`Normalization::Shift`].
const SHIFT_MOMENTUM: f64 = 0.4;

/// The settings of a [`Classifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Channels of the input image.
    pub channels: usize,
    /// Classes, the length of the output.
    pub classes: usize,
    /// Features of each stage. Every stage halves height and width.
    pub widths: Vec<usize>,
    /// 3×3 convolutions of each stage; the pooling follows the first.
    pub convs: usize,
    /// What the first convolution of a stage gives, normalised and activated, is added to what its last gives.
    #[serde(default)]
    pub residual: bool,
    /// A whitening convolution before the first stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<WhiteningConfig>,
    /// How convolutions are normalised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalization: Normalization,
    /// What the head reads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: Head,
    /// After every normalised convolution.
    #[serde(with = "ActivationName")]
    pub activation: Activation,
    /// What mixes the channels at the end of each stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixer: Option<ChannelMixerConfig>,
    /// Self-attention after the last stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionConfig>,
    /// The logits are multiplied by this constant.
    pub logit_scale: f64,
}

impl ClassifierConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        in_range("channels", self.channels, 1..=1024)?;
        in_range("classes", self.classes, 2..=1_000_000)?;
        in_range("widths", self.widths.len(), 1..=8)?;
        in_range("convs", self.convs, 1..=16)?;
        ensure(!self.residual || self.convs > 1, "residual", || {
            "it needs two convolutions a stage; give more `convs` or leave it out".into()
        })?;
        all_in_range("widths", &self.widths, 1..=16_384)?;
        if let Some(stem) = &self.stem {
            stem.validate("stem")?;
        }
        if let Some(mixer) = &self.mixer {
            let (functions, stages) = (mixer.function.each(), self.widths.len());
            ensure(functions.len() == stages, "mixer", || {
                let sizes = functions.len();
                format!("it has {sizes} sizes for {stages} stages; give one for each of `widths`")
            })?;
            for function in &functions {
                function.validate("mixer.function")?;
            }
        }
        if let (Some(attention), Some(&last)) = (&self.attention, self.widths.last()) {
            attention.validate("attention", last)?;
        }
        ensure(
            self.logit_scale.is_finite() && self.logit_scale > 0.0,
            "logit_scale",
            || format!("{} is not a positive number", self.logit_scale),
        )
    }

    /// The smallest height and width that every stage can halve.
    pub fn min_image_size(&self) -> usize {
        let lost = self.stem.as_ref().map_or(0, |stem| stem.kernel - 1);
        (1 << self.widths.len()) + lost
    }

    /// The values of `drawn`, a new network's tensors, with which training begins: under [`Normalization::Shift`] the
    /// first filters of each convolution pass its inputs on unchanged (PyTorch's `dirac_`), and the stem whitens
    /// patches of `images`, normalised training images `[n, h, w, channels]`.
    ///
    /// # Errors
    /// When `drawn` is not of this network, or the images cannot be whitened.
    pub fn initial(
        &self,
        mut drawn: BTreeMap<String, Tensor>,
        images: &Tensor,
    ) -> Result<BTreeMap<String, Tensor>> {
        if let Some(stem) = &self.stem {
            let filters = whitening_filters(images, stem)?;
            drawn.insert("stem.whitening".to_string(), filters);
        }
        if self.normalization == Normalization::Shift {
            for (name, weight) in &mut drawn {
                if name.starts_with("stages.") && name.ends_with(".conv.weight") {
                    *weight = passing_on(weight)?;
                }
            }
        }
        Ok(drawn)
    }
}

/// `weight` `[out, in, 3, 3]` with filters in the place of its first ones that pass the inputs on.
fn passing_on(weight: &Tensor) -> Result<Tensor> {
    let (out, input, kh, kw) = weight.dims4()?;
    let first = input.min(out);
    let identity = dirac([first, input, kh, kw], weight.dtype(), weight.device())?;
    if first == out {
        return Ok(identity);
    }
    Tensor::cat(&[&identity, &weight.narrow(0, first, out - first)?], 0)
}

#[derive(Debug, Clone)]
struct Stage {
    convs: Vec<(Conv2d, BatchNorm)>,
    mixer: Option<ChannelMixer>,
}

/// A convolutional classifier; see [`ClassifierConfig`].
#[derive(Debug, Clone)]
pub struct Classifier {
    config: ClassifierConfig,
    stem: Option<Whitening>,
    stages: Vec<Stage>,
    attention: Option<Attention>,
    head: Linear,
}

impl Classifier {
    /// The network with its parameters from `vb`: `stem.*`, `stages.S.convs.I.conv.weight`, `stages.S.convs.I.bn.*`,
    /// `stages.S.mixer.*`, `attention.*`, `head.weight` and `head.bias`.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(config: &ClassifierConfig, vb: VarBuilder) -> Result<Self> {
        let (mut features, mut stem) = (config.channels, None);
        if let Some(own) = &config.stem {
            let vb = vb.pp("stem");
            stem = Some(Whitening::new(own, features, config.activation, vb)?);
            features = own.features(features);
        }
        let functions = config.mixer.as_ref().map(|mixer| mixer.function.each());
        let mut stages = Vec::with_capacity(config.widths.len());
        for (s, &width) in config.widths.iter().enumerate() {
            let vb = vb.pp("stages").pp(s);
            let gated = matches!(&config.mixer, Some(m) if m.placement == Placement::Activation);
            let mut convs = Vec::with_capacity(config.convs);
            for i in 0..config.convs {
                let vb = vb.pp("convs").pp(i);
                let same = Conv2dConfig {
                    padding: 1,
                    ..Conv2dConfig::default()
                };
                let affine = config.normalization == Normalization::Affine;
                let default = BatchNormConfig::default();
                let norm = BatchNormConfig {
                    activation: match gated && i + 1 == config.convs {
                        true => Activation::Identity,
                        false => config.activation,
                    },
                    pool: (affine && i == 0).then_some(2),
                    momentum: if affine {
                        default.momentum
                    } else {
                        SHIFT_MOMENTUM
                    },
                    ..default
                };
                // PyTorch's default scale: the batch norm that follows makes the forward pass independent of it, and
                // a smaller weight learns faster under weight decay.
                let (init, norm) = match affine {
                    true => {
                        let init = normal(1.0 / ((27 * features) as f64).sqrt());
                        (init, BatchNorm::new(width, norm, vb.pp("bn"))?)
                    }
                    false => {
                        let norm = BatchNorm::with_shift(width, norm, vb.pp("bn"))?;
                        (uniform_fan_in(9 * features), norm)
                    }
                };
                let conv = Conv2d::new(features, width, 3, same, init, vb.pp("conv"))?;
                convs.push((conv, norm));
                features = width;
            }
            let mixer = match (&config.mixer, functions.as_ref().and_then(|all| all.get(s))) {
                (Some(mixer), Some(function)) => {
                    Some(ChannelMixer::new(mixer, function, width, vb.pp("mixer"))?)
                }
                _ => None,
            };
            stages.push(Stage { convs, mixer });
        }
        let attention = config
            .attention
            .as_ref()
            .map(|attention| Attention::new(attention, features, vb.pp("attention")))
            .transpose()?;
        let (classes, vb) = (config.classes, vb.pp("head"));
        let head = match config.head {
            Head::Mean => Linear::new(features, classes, vb)?,
            Head::Max => Linear::without_bias(features, classes, vb)?,
        };
        Ok(Self {
            config: config.clone(),
            stem,
            stages,
            attention,
            head,
        })
    }

    /// The settings of the network.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// Normalised images `[n, h, w, channels]` to logits `[n, classes]`; in training with the batch's statistics.
    ///
    /// # Errors
    /// When the images have other channels or are smaller than [`ClassifierConfig::min_image_size`].
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_in(images, train, images.dtype())
    }

    /// As [`Self::forward`], with the activations in `dtype`; those of a whitening stem are rounded to it, since it
    /// magnifies small differences between pixels.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_in(&self, images: &Tensor, train: bool, dtype: DType) -> Result<Tensor> {
        let stages = self.stages_in(images, train, dtype)?;
        self.logits(&self.features(&stages, train)?)
    }

    /// Normalised images `[n, h, w, channels]` to what the last stage of convolutions gives, `[n, h, w, width]`.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn stages(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.stages_in(images, train, images.dtype())
    }

    /// What the last stage gives, `[n, h, w, width]`, to what the head reads: `[n, width]`.
    ///
    /// # Errors
    /// When it has another width.
    pub fn features(&self, stages: &Tensor, train: bool) -> Result<Tensor> {
        let attended = match &self.attention {
            Some(attention) => attention.forward(stages, train)?,
            None => stages.clone(),
        };
        match self.config.head {
            Head::Mean => ops::global_mean(&attended),
            Head::Max => ops::global_max(&attended),
        }
    }

    /// What the head reads, `[n, width]`, to logits `[n, classes]`.
    ///
    /// # Errors
    /// When it has another width.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        self.head.forward(features)? * self.config.logit_scale
    }

    fn stages_in(&self, images: &Tensor, train: bool, dtype: DType) -> Result<Tensor> {
        let (_, height, width, channels) = images.dims4()?;
        let least = self.config.min_image_size();
        if height < least || width < least {
            candle_core::bail!(
                "an image of {width}×{height} pixels is too small, the network needs at least {least}×{least}"
            );
        }
        if channels != self.config.channels {
            candle_core::bail!(
                "an image with {channels} channels does not fit, the network takes {}",
                self.config.channels
            );
        }
        let mut x = match &self.stem {
            Some(stem) => ops::cast(&stem.forward(images)?, dtype)?,
            None => ops::cast(images, dtype)?,
        };
        let pooled_first = self.config.normalization == Normalization::Shift;
        for stage in &self.stages {
            let mut first = None;
            for (i, (conv, norm)) in stage.convs.iter().enumerate() {
                x = conv.forward(&x)?;
                if i == 0 && pooled_first {
                    x = ops::max_pool2d(&x, 2, 2)?;
                }
                x = norm.forward(&x, train)?;
                if i == 0 && self.config.residual {
                    first = Some(x.clone());
                }
            }
            if let Some(first) = first {
                x = ops::add(&x, &first)?;
            }
            if let Some(mixer) = &stage.mixer {
                x = mixer.forward(&x, train)?;
            }
        }
        Ok(x)
    }
}
