//! `[series]` of a recipe.

use serde::{Deserialize, Serialize};

use crate::data::series::Missing;
use crate::train::Section;

/// The error that training makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesLoss {
    /// The mean squared error.
    #[default]
    Squared,
    /// The mean absolute error, which outliers move less.
    Absolute,
}

/// Reading and sampling of series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesRecipe {
    /// The columns that are learned and forecast; empty for all.
    pub columns: Vec<String>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// The error that training makes small.
    pub loss: SeriesLoss,
    /// Windows of an epoch, drawn anew for each; 0 for all. Neighbouring windows are nearly the same, so that a part of
    /// them is an epoch's worth.
    pub epoch_windows: usize,
}

impl Section for SeriesRecipe {
    const NAME: &'static str = "series";
}
