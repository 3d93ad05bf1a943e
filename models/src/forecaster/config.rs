//! The settings of forecasters.

use serde::{Deserialize, Serialize};

use super::SeriesFormat;
use crate::check::{ConfigError, ensure, in_range, is_default};
use crate::layers::{MixerConfig, MixtureConfig, PerceptronConfig};

/// What is taken from every channel of a look-back before the network sees it, and given back to its forecast
/// (reversible instance normalisation, without RevIN's learned scale).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceNorm {
    /// Nothing.
    None,
    /// The last value, as SegRNN and NLinear do.
    Last,
    /// The mean.
    Mean,
    /// The mean, and the rest is divided by the standard deviation (RevIN).
    MeanStd,
}

/// A mixer of the hidden values with the settings `C`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMixer<C> {
    /// The mixer.
    #[serde(flatten)]
    pub mixer: C,
    /// Whether a linear map of the same hidden values is added.
    pub linear: bool,
}

/// From hidden values to a segment of the horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadConfig {
    /// A linear map.
    Linear,
    /// A Gaussian mixture of the layer-normalised hidden values.
    Gmnm(HeadMixer<MixtureConfig>),
    /// A perceptron with GELU of the layer-normalised hidden values, the mixture's control.
    Mlp(HeadMixer<PerceptronConfig>),
}

impl HeadConfig {
    /// The mixer, and whether there is a linear map.
    pub(super) fn parts(&self) -> (Option<MixerConfig>, bool) {
        match self {
            Self::Linear => (None, true),
            Self::Gmnm(head) => (Some(MixerConfig::Gmnm(head.mixer.clone())), head.linear),
            Self::Mlp(head) => (Some(MixerConfig::Mlp(head.mixer.clone())), head.linear),
        }
    }
}

/// The settings of the recurrent network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrentConfig {
    /// Steps of the series in a segment; the look-back is a multiple.
    pub segment: usize,
    /// Hidden values of the LSTM, an even number.
    pub hidden: usize,
    /// Components of a mixture that embeds segments; without it a linear map with ReLU does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed_components: Option<usize>,
    /// Share of the hidden values before the head that a training step sets to zero, in 0..1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropout: f64,
    /// The head.
    pub head: HeadConfig,
}

/// The settings of DLinear (arXiv 2205.13504).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecompositionConfig {
    /// Steps of the moving average that is the trend, an odd number.
    pub window: usize,
}

/// The settings of the plain LSTM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Hidden values.
    pub hidden: usize,
}

/// The kind of network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForecastNetwork {
    /// An LSTM over segments.
    Recurrent(RecurrentConfig),
    /// Two linear maps, of a moving average and of what is left.
    Decomposition(DecompositionConfig),
    /// An LSTM over the single steps of all series together, and a linear map of its last hidden values to all steps of
    /// the horizon.
    Lstm(LstmConfig),
}

/// The settings of a [`Forecaster`](super::Forecaster).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecasterConfig {
    /// Steps that are seen.
    pub look_back: usize,
    /// Steps that are forecast.
    pub horizon: usize,
    /// Series that are seen and forecast together.
    pub channels: usize,
    /// What is taken from a look-back and given back to its forecast.
    pub normalization: InstanceNorm,
    /// What computes.
    pub network: ForecastNetwork,
    /// What the channels stand for, once trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesFormat>,
}

impl ForecasterConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        in_range("look_back", self.look_back, 1..=65_536)?;
        in_range("horizon", self.horizon, 1..=65_536)?;
        in_range("channels", self.channels, 1..=16_384)?;
        match &self.network {
            ForecastNetwork::Recurrent(config) => self.validate_recurrent(config)?,
            ForecastNetwork::Decomposition(DecompositionConfig { window }) => {
                let field = "network.decomposition.window";
                in_range(field, *window, 1..=4097)?;
                ensure(!window.is_multiple_of(2), field, || {
                    format!("{window} is even, the average needs a middle")
                })?;
            }
            ForecastNetwork::Lstm(config) => {
                in_range("network.lstm.hidden", config.hidden, 1..=16_384)?;
            }
        }
        match &self.series {
            Some(series) => series.validate(self.channels),
            None => Ok(()),
        }
    }

    fn validate_recurrent(&self, config: &RecurrentConfig) -> std::result::Result<(), ConfigError> {
        let (segment, hidden, look_back) = (config.segment, config.hidden, self.look_back);
        in_range("network.recurrent.segment", segment, 1..=65_536)?;
        in_range("network.recurrent.hidden", hidden, 2..=16_384)?;
        ensure(look_back.is_multiple_of(segment), "look_back", || {
            format!("{look_back} is not divisible by the segment of {segment} steps")
        })?;
        ensure(hidden.is_multiple_of(2), "network.recurrent.hidden", || {
            format!("{hidden} is odd, half of it is the position's and half the channel's")
        })?;
        ensure(
            (0.0..1.0).contains(&config.dropout),
            "network.recurrent.dropout",
            || format!("{} is not at least 0 and below 1", config.dropout),
        )?;
        if let Some(components) = config.embed_components {
            in_range("network.recurrent.embed_components", components, 1..=65_536)?;
        }
        match config.head.parts() {
            (Some(mixer), _) => mixer.validate("network.recurrent.head"),
            (None, _) => Ok(()),
        }
    }
}
