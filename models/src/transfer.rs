//! Transfer: which tensors of a trained network another one begins with.
//!
//! A tensor is taken where name and shape fit. The first layer on images, and the last of an autoencoder, also fit
//! between grey and colour. What answers for the classes of the images or the columns of the series is drawn anew where
//! these are others, whatever its shape.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use gmnm_core::params::is_buffer;
use serde::{Deserialize, Serialize};

use crate::check::ConfigError;
use crate::forecaster::{ForecastNetwork, ForecasterConfig};
use crate::model_dir::ModelDir;
use crate::{ModelConfig, Preprocessor};

/// How a tensor of other images was made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapted {
    /// The weights of all input channels were added: a grey image is read as one whose channels are alike.
    Summed,
    /// The weights of the one input channel were copied for each and divided by their number: the mean of the channels
    /// is read.
    Shared,
    /// The weights of all output channels were averaged.
    Averaged,
    /// The weights of the one output channel were copied for each.
    Copied,
}

impl Adapted {
    /// What was done, after the tensor's name.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Summed => "summed over the channels of its images",
            Self::Shared => "shared among the channels of these images",
            Self::Averaged => "averaged over the channels of its images",
            Self::Copied => "copied for the channels of these images",
        }
    }
}

/// Why a tensor of the new network was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The trained network does not have it.
    Absent,
    /// It has it with another shape.
    Shape,
    /// It is for other classes, or the same in another order.
    Classes,
    /// It is for other columns, or the same in another order.
    Columns,
    /// It is for another number of steps.
    Horizon,
}

impl Reason {
    /// The reason, after the names of tensors.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Absent => "not in it",
            Self::Shape => "of another shape",
            Self::Classes => "for other classes",
            Self::Columns => "for other columns",
            Self::Horizon => "for another horizon",
        }
    }
}

/// Why nothing can be taken.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The networks are of two architectures.
    #[error(
        "it is a {base} network, of which a {wanted} network can take nothing; give a {wanted}"
    )]
    Architecture {
        /// Of the trained network.
        base: String,
        /// Of the new one.
        wanted: String,
    },
    /// No parameter fits.
    #[error(
        "none of its parameters fits the network ({example}); give a model of the same settings, or give the network \
         its settings with `--set model.KEY=VALUE`"
    )]
    NothingFits {
        /// One that does not, and why.
        example: String,
    },
    /// The settings of the new network are not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor cannot be converted.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// What a new network takes of a trained one.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// What it begins with: f32, of its own shapes, by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Those that were made to fit.
    pub adapted: BTreeMap<String, Adapted>,
    /// Its other tensors, which are drawn anew.
    pub drawn: BTreeMap<String, Reason>,
    /// Tensors of the trained network that it has no place for.
    pub left: Vec<String>,
    /// Mean and standard deviation of each channel that the first layer was trained for, where that was taken and images
    /// are normalised by those of the data: the new images must be normalised alike.
    pub input: Option<(Vec<f32>, Vec<f32>)>,
}

/// The settings of `base` for a network that has not seen data yet.
pub fn settings(base: &ModelDir) -> ModelConfig {
    let mut config = base.config.clone();
    if let ModelConfig::Forecaster(config) = &mut config {
        config.series = None;
    }
    config
}

/// Refuses a `base` of another architecture than that of `config`.
///
/// # Errors
/// [`TransferError::Architecture`].
pub fn check_architecture(base: &ModelConfig, config: &ModelConfig) -> Result<(), TransferError> {
    let (base, wanted) = (base.architecture(), config.architecture());
    match base == wanted {
        true => Ok(()),
        false => Err(TransferError::Architecture { base, wanted }),
    }
}

/// What the network of `config`, which is to tell the classes `labels` apart, takes of `base`. It has learned what its
/// columns stand for where it forecasts.
///
/// # Errors
/// When no parameter fits, or the networks are of two architectures.
pub fn transfer(
    base: &ModelDir,
    config: &ModelConfig,
    labels: &[String],
) -> Result<Transfer, TransferError> {
    check_architecture(&base.config, config)?;
    let shapes = config.tensor_shapes()?;
    let mut found = Transfer {
        tensors: BTreeMap::new(),
        adapted: BTreeMap::new(),
        drawn: BTreeMap::new(),
        left: Vec::new(),
        input: None,
    };
    for (name, shape) in &shapes {
        let Some(tensor) = base.tensors.get(name) else {
            found.drawn.insert(name.clone(), Reason::Absent);
            continue;
        };
        if let Some(reason) = other_meaning(name, base, config, labels) {
            found.drawn.insert(name.clone(), reason);
            continue;
        }
        let (tensor, adapted) = match tensor.dims() == shape.as_slice() {
            true => (Some(tensor.clone()), None),
            false => match adapt(name, tensor, shape, config)? {
                Some((tensor, adapted)) => (Some(tensor), Some(adapted)),
                None => (None, None),
            },
        };
        match tensor {
            Some(tensor) => {
                let tensor = tensor.detach().to_dtype(DType::F32)?.contiguous()?;
                found.tensors.insert(name.clone(), tensor);
            }
            None => drop(found.drawn.insert(name.clone(), Reason::Shape)),
        }
        found.adapted.extend(adapted.map(|how| (name.clone(), how)));
    }
    if found.tensors.keys().all(|name| is_buffer(name)) {
        // A shape says the most of what does not fit.
        let mut drawn = found.drawn.iter();
        let shape = drawn.clone().find(|(_, reason)| **reason == Reason::Shape);
        let example = shape.or_else(|| drawn.next()).map(|(name, reason)| {
            let dims = base.tensors.get(name).map_or(&[][..], Tensor::dims);
            match reason {
                Reason::Shape => format!("`{name}` is {dims:?} there, {:?} here", shapes[name]),
                reason => format!("`{name}` is {}", reason.in_words()),
            }
        });
        let example = example.unwrap_or_default();
        return Err(TransferError::NothingFits { example });
    }
    let left = base
        .tensors
        .keys()
        .filter(|name| !shapes.contains_key(*name));
    found.left = left.cloned().collect();
    found.input = base.preprocessor.as_ref().and_then(|input| {
        let first = first_layer(config)?;
        let channels = config.channels()?;
        (found.tensors.contains_key(first)).then(|| normalisation(input, channels))
    });
    Ok(found)
}

/// The layer of a classifier that reads the images, which are normalised by what the data say.
fn first_layer(config: &ModelConfig) -> Option<&'static str> {
    match config {
        ModelConfig::Classifier(config) if config.stem.is_some() => Some("stem.whitening"),
        ModelConfig::Classifier(_) => Some("stages.0.convs.0.conv.weight"),
        _ => None,
    }
}

/// Mean and deviation for images of so many channels: those of `input`, or their mean for each where it has others.
fn normalisation(input: &Preprocessor, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let fitted = |values: &[f32]| match values.len() == channels {
        true => values.to_vec(),
        false => vec![values.iter().sum::<f32>() / values.len().max(1) as f32; channels],
    };
    (fitted(&input.mean), fitted(&input.std))
}

/// Why a tensor that may well have the right shape means something else.
fn other_meaning(
    name: &str,
    base: &ModelDir,
    config: &ModelConfig,
    labels: &[String],
) -> Option<Reason> {
    match (&base.config, config) {
        (ModelConfig::Classifier(_), ModelConfig::Classifier(_)) => {
            let is_head = name.starts_with("head.") && base.labels != labels;
            is_head.then_some(Reason::Classes)
        }
        (ModelConfig::Forecaster(base), ModelConfig::Forecaster(config)) => {
            let of_columns = match &config.network {
                ForecastNetwork::Recurrent(_) => name == "channel",
                // One linear map for every column.
                ForecastNetwork::Decomposition(_) => false,
                ForecastNetwork::Lstm(_) => {
                    name == "lstm.weight_ih_l0" || name.starts_with("output.")
                }
            };
            let columns = |config: &ForecasterConfig| {
                let series = config.series.as_ref();
                series.map(|series| series.columns.clone())
            };
            let of_steps = name.starts_with("output.") && base.horizon != config.horizon;
            match () {
                () if of_columns && columns(base) != columns(config) => Some(Reason::Columns),
                () if of_steps => Some(Reason::Horizon),
                () => None,
            }
        }
        _ => None,
    }
}

/// `tensor`, a layer on images of other channels, with the shape `shape`; none where it is no such layer or differs in
/// more.
fn adapt(
    name: &str,
    tensor: &Tensor,
    shape: &[usize],
    config: &ModelConfig,
) -> Result<Option<(Tensor, Adapted)>, TransferError> {
    let axis = match (config, name) {
        (ModelConfig::Classifier(_), "stages.0.convs.0.conv.weight")
        | (ModelConfig::Generator(_), "encoder.0.conv.weight") => 1,
        (ModelConfig::Generator(_), "output.weight" | "output.bias") => 0,
        _ => return Ok(None),
    };
    let dims = tensor.dims();
    let others = |dims: &[usize]| {
        let mut others = dims.to_vec();
        others[axis] = 0;
        others
    };
    if dims.len() != shape.len() || others(dims) != others(shape) {
        return Ok(None);
    }
    let input = axis == 1;
    Ok(Some(match (dims[axis], shape[axis], input) {
        (_, 1, true) => (tensor.sum_keepdim(axis)?, Adapted::Summed),
        (_, 1, false) => (tensor.mean_keepdim(axis)?, Adapted::Averaged),
        (1, n, true) => {
            let copies = tensor.broadcast_as(shape)?;
            ((copies / n as f64)?, Adapted::Shared)
        }
        (1, _, false) => (tensor.broadcast_as(shape)?, Adapted::Copied),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;
