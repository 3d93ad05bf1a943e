//! How the settings of the layers below are written in `config.json`.

use gmnm_core::Aggregation;
use gmnm_core::ops::Activation;
use serde::{Deserialize, Serialize};

/// Serialised names of [`Activation`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation", rename_all = "kebab-case")]
pub(crate) enum ActivationName {
    Identity,
    Relu,
    Gelu,
    Silu,
}

/// Serialised names of [`Aggregation`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Aggregation", rename_all = "kebab-case")]
pub(crate) enum AggregationName {
    Norm,
    Sum,
}
