//! Which numbers a run computes in.

use clap::ValueEnum;
use gmnm_core::Precision;
use serde::{Deserialize, Serialize};

/// The recipe's key `precision`. Weights, their gradients, moments, averages and every evaluation are in f32 under each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum PrecisionChoice {
    /// The fastest of those that are known to reach the same accuracy: `bf16` for classifiers where the device
    /// multiplies in it, else `f32`.
    Auto,
    /// f32 throughout.
    F32,
    /// Activations and the factors of products in bf16, sums in f32.
    Bf16,
    /// Activations in f32; the factors of products as sums of two numbers in bf16.
    Bf16x3,
}

impl PrecisionChoice {
    /// What runs computed in that were recorded without this key.
    pub fn unrecorded() -> Self {
        Self::F32
    }

    /// The choice where `fastest` is what `auto` stands for, so that a run that is resumed elsewhere goes on as it
    /// began.
    pub fn settled(self, fastest: Precision) -> Self {
        match (self, fastest) {
            (Self::Auto, Precision::F32) => Self::F32,
            (Self::Auto, Precision::Bf16) => Self::Bf16,
            (Self::Auto, Precision::Bf16x3) => Self::Bf16x3,
            _ => self,
        }
    }

    /// What a step is computed in; f32 for a choice that is not settled.
    pub fn precision(self) -> Precision {
        match self {
            Self::Auto | Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
            Self::Bf16x3 => Precision::Bf16x3,
        }
    }

    /// The assignment of `--set` that makes this choice.
    pub fn assignment(self) -> String {
        format!("precision={}", self.name())
    }

    /// Its name on the command line and in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            _ => self.precision().name(),
        }
    }
}
