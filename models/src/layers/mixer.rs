//! A Gaussian mixture, or what stands in its place in a network that is held against it.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ops::in_f32;
use gmnm_core::{Aggregation, Gmnm, GmnmConfig};
use serde::{Deserialize, Serialize};

use super::{AggregationName, Linear};
use crate::check::{ConfigError, in_range};

/// The settings of a mixture. `S` is one number, or a list of them where one setting describes several mixtures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureConfig<S = usize> {
    /// M, components.
    pub components: S,
    /// R, projections of each component.
    pub projections: usize,
    /// How projections become a distance.
    #[serde(with = "AggregationName")]
    pub aggregation: Aggregation,
}

impl<S> MixtureConfig<S> {
    /// A mixture of components with one projection each.
    pub fn new(components: S) -> Self {
        Self {
            components,
            projections: 1,
            aggregation: Aggregation::Norm,
        }
    }
}

impl MixtureConfig {
    /// Checks every field; `at` is the key of these settings.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(crate) fn validate(&self, at: &str) -> std::result::Result<(), ConfigError> {
        in_range(&format!("{at}.components"), self.components, 1..=65_536)?;
        in_range(&format!("{at}.projections"), self.projections, 1..=1024)
    }
}

/// The settings of a perceptron with one hidden layer; `S` as in [`MixtureConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerceptronConfig<S = usize> {
    /// Hidden features.
    pub hidden: S,
}

/// The settings of a [`Mixer`]; `S` as in [`MixtureConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixerConfig<S = usize> {
    /// A Gaussian mixture.
    Gmnm(MixtureConfig<S>),
    /// A two-layer perceptron with GELU, the mixture's control.
    Mlp(PerceptronConfig<S>),
}

impl MixerConfig {
    /// Checks every field; `at` is the key of these settings.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(crate) fn validate(&self, at: &str) -> std::result::Result<(), ConfigError> {
        match self {
            Self::Gmnm(mixture) => mixture.validate(&format!("{at}.gmnm")),
            Self::Mlp(mlp) => in_range(&format!("{at}.mlp.hidden"), mlp.hidden, 1..=65_536),
        }
    }
}

impl MixerConfig<Vec<usize>> {
    /// The settings of each mixer.
    pub(crate) fn each(&self) -> Vec<MixerConfig> {
        match self {
            Self::Gmnm(mixture) => {
                let one = |&components: &usize| {
                    MixerConfig::Gmnm(MixtureConfig {
                        components,
                        projections: mixture.projections,
                        aggregation: mixture.aggregation,
                    })
                };
                mixture.components.iter().map(one).collect()
            }
            Self::Mlp(mlp) => {
                let one = |&hidden: &usize| MixerConfig::Mlp(PerceptronConfig { hidden });
                mlp.hidden.iter().map(one).collect()
            }
        }
    }
}

/// A function of the last axis: a Gaussian mixture, its control, or neither.
#[derive(Debug, Clone)]
pub enum Mixer {
    /// A Gaussian mixture.
    Gmnm(Gmnm),
    /// A two-layer perceptron with GELU.
    Mlp {
        /// From the inputs to the hidden features.
        first: Linear,
        /// From the hidden features to the outputs.
        second: Linear,
    },
    /// A linear map, in a network without a mixture.
    Linear(Linear),
}

impl Mixer {
    /// The function from `inputs` to `outputs` features, linear without a `config`. Its parameters are those of
    /// [`Gmnm`], of the [`Linear`] layers `fc1` and `fc2`, or of one [`Linear`]; new output weights are drawn `scale`
    /// times as large as usual.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(
        config: Option<&MixerConfig>,
        inputs: usize,
        outputs: usize,
        scale: f64,
        vb: VarBuilder,
    ) -> Result<Self> {
        Ok(match config {
            Some(MixerConfig::Gmnm(mixture)) => {
                let config = GmnmConfig {
                    projections: mixture.projections,
                    aggregation: mixture.aggregation,
                    ..GmnmConfig::new(inputs, outputs, mixture.components)
                };
                Self::Gmnm(Gmnm::with_output_scale(config, scale, vb)?)
            }
            Some(MixerConfig::Mlp(mlp)) => Self::Mlp {
                first: Linear::new(inputs, mlp.hidden, vb.pp("fc1"))?,
                second: Linear::with_scale(mlp.hidden, outputs, scale, vb.pp("fc2"))?,
            },
            None => Self::Linear(Linear::with_scale(inputs, outputs, scale, vb)?),
        })
    }
}

impl Module for Mixer {
    /// `[..., inputs]` to `[..., outputs]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gmnm(gmnm) => gmnm.forward(x),
            Self::Mlp { first, second } => {
                in_f32(x, |x| second.forward(&first.forward(x)?.gelu_erf()?))
            }
            Self::Linear(linear) => linear.forward(x),
        }
    }
}
