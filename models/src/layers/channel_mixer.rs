//! What mixes the channels of each pixel after a convolution stage.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::{BatchNormConfig, add, gate, global_mean, in_f32};
use gmnm_core::{Aggregation, Gmnm, GmnmConfig};
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Linear};
use crate::config::AggregationName;

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

/// The function that mixes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixFunction {
    /// A Gaussian mixture.
    Gmnm(GmnmFunction),
    /// A two-layer perceptron with GELU, the mixture's control.
    Mlp(MlpFunction),
}

/// The settings of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GmnmFunction {
    /// M, one for each stage.
    pub components: Vec<usize>,
    /// R, projections of each component.
    pub projections: usize,
    /// How projections become a distance.
    #[serde(with = "AggregationName")]
    pub aggregation: Aggregation,
}

/// The settings of a perceptron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpFunction {
    /// Hidden features, one for each stage.
    pub hidden: Vec<usize>,
}

/// The settings of a [`ChannelMixer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixerConfig {
    /// Where it stands.
    pub placement: Placement,
    /// Whether its input is batch-normalised without scale and shift, which the mixture's initial scale assumes.
    pub normalize_input: bool,
    /// What it computes.
    pub function: MixFunction,
}

impl MixerConfig {
    /// The sizes (M or hidden features), one for each stage.
    pub fn sizes(&self) -> &[usize] {
        match &self.function {
            MixFunction::Gmnm(gmnm) => &gmnm.components,
            MixFunction::Mlp(mlp) => &mlp.hidden,
        }
    }
}

#[derive(Debug, Clone)]
enum Function {
    Gmnm(Gmnm),
    Mlp { first: Linear, second: Linear },
}

impl Module for Function {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gmnm(gmnm) => gmnm.forward(x),
            Self::Mlp { first, second } => {
                in_f32(x, |x| second.forward(&first.forward(x)?.gelu_erf()?))
            }
        }
    }
}

/// The scale of the output weights at the start, against their usual one: the mixer begins near its identity. At 1 the
/// network learns more slowly than without a mixer.
const START: f64 = 0.1;

/// A function on the channels of each pixel, at its [`Placement`].
#[derive(Debug, Clone)]
pub struct ChannelMixer {
    placement: Placement,
    norm: Option<BatchNorm>,
    function: Function,
}

impl ChannelMixer {
    /// The mixer of stage `stage` on `channels` features; its parameters are those of [`Gmnm`], or `fc1` and `fc2`.
    ///
    /// # Errors
    /// When a tensor has another shape, or `config` has no size for the stage.
    pub fn new(
        config: &MixerConfig,
        stage: usize,
        channels: usize,
        vb: VarBuilder,
    ) -> Result<Self> {
        let Some(&size) = config.sizes().get(stage) else {
            candle_core::bail!("the mixer has no size for stage {stage}");
        };
        let function = match &config.function {
            MixFunction::Gmnm(gmnm) => Function::Gmnm(Gmnm::with_output_scale(
                GmnmConfig {
                    projections: gmnm.projections,
                    aggregation: gmnm.aggregation,
                    ..GmnmConfig::new(channels, channels, size)
                },
                START,
                vb.clone(),
            )?),
            MixFunction::Mlp(_) => Function::Mlp {
                first: Linear::new(channels, size, vb.pp("fc1"))?,
                second: Linear::with_scale(size, channels, START, vb.pp("fc2"))?,
            },
        };
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
