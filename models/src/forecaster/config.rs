//! The settings of forecasters.

use gmnm_core::Aggregation;
use serde::{Deserialize, Serialize};

use super::SeriesFormat;
use crate::config::{AggregationName, ConfigError, check_range};

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

/// The settings of a mixture over the hidden values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMixture {
    /// M, components.
    pub components: usize,
    /// R, projections of each component.
    pub projections: usize,
    /// How projections become a distance.
    #[serde(with = "AggregationName")]
    pub aggregation: Aggregation,
    /// Whether a linear map of the same hidden values is added.
    pub linear: bool,
}

/// The settings of a perceptron in the mixture's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMlp {
    /// Its hidden features.
    pub hidden: usize,
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
    Gmnm(HeadMixture),
    /// A perceptron with GELU of the layer-normalised hidden values, the mixture's control.
    Mlp(HeadMlp),
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
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
    /// The head.
    pub head: HeadConfig,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
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
        check_range("look_back", self.look_back, 1..=65_536)?;
        check_range("horizon", self.horizon, 1..=65_536)?;
        check_range("channels", self.channels, 1..=16_384)?;
        match &self.network {
            ForecastNetwork::Recurrent(config) => self.validate_recurrent(config)?,
            ForecastNetwork::Decomposition(config) => {
                check_range("network.decomposition.window", config.window, 1..=4097)?;
                if config.window.is_multiple_of(2) {
                    return Err(ConfigError::new(
                        "network.decomposition.window",
                        format!("{} is even, the average needs a middle", config.window),
                    ));
                }
            }
            ForecastNetwork::Lstm(config) => {
                check_range("network.lstm.hidden", config.hidden, 1..=16_384)?;
            }
        }
        match &self.series {
            Some(series) => series.validate(self.channels),
            None => Ok(()),
        }
    }

    fn validate_recurrent(&self, config: &RecurrentConfig) -> std::result::Result<(), ConfigError> {
        check_range("network.recurrent.segment", config.segment, 1..=65_536)?;
        check_range("network.recurrent.hidden", config.hidden, 2..=16_384)?;
        if !self.look_back.is_multiple_of(config.segment) {
            return Err(ConfigError::new(
                "look_back",
                format!(
                    "{} is not divisible by the segment of {} steps",
                    self.look_back, config.segment
                ),
            ));
        }
        if !config.hidden.is_multiple_of(2) {
            return Err(ConfigError::new(
                "network.recurrent.hidden",
                format!(
                    "{} is odd, half of it is the position's and half the channel's",
                    config.hidden
                ),
            ));
        }
        if !(0.0..1.0).contains(&config.dropout) {
            return Err(ConfigError::new(
                "network.recurrent.dropout",
                format!("{} is not at least 0 and below 1", config.dropout),
            ));
        }
        if let Some(components) = config.embed_components {
            check_range("network.recurrent.embed_components", components, 1..=65_536)?;
        }
        match &config.head {
            HeadConfig::Linear => Ok(()),
            HeadConfig::Gmnm(mixture) => {
                check_range(
                    "network.recurrent.head.gmnm.components",
                    mixture.components,
                    1..=65_536,
                )?;
                check_range(
                    "network.recurrent.head.gmnm.projections",
                    mixture.projections,
                    1..=1024,
                )
            }
            HeadConfig::Mlp(mlp) => {
                check_range("network.recurrent.head.mlp.hidden", mlp.hidden, 1..=65_536)
            }
        }
    }
}
