//! `[series]` of a recipe.

use serde::{Deserialize, Serialize};

use crate::data::series::{DateReading, Decimal, Key, Missing, SeriesOptions, StepReading};
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
#[serde(deny_unknown_fields, default)]
pub struct SeriesRecipe {
    /// The columns that are learned and forecast; empty for all.
    pub columns: Vec<String>,
    /// Columns that are not read.
    pub exclude: Vec<String>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// Cells with these words or numbers are missing, besides those that usually are.
    pub missing_tokens: Vec<String>,
    /// How dates are read.
    pub dates: DateReading,
    /// Whether rows are taken as evenly spaced, whatever their dates say.
    pub step: StepReading,
    /// The time zone of dates that name none, as in `Europe/Berlin`; empty where it does not matter.
    pub time_zone: String,
    /// Which mark stands before the decimals of a number.
    pub decimal: Decimal,
    /// Which series of a file of many is read: its name, or `column=value` once or more with commas between.
    pub key: String,
    /// The error that training makes small.
    pub loss: SeriesLoss,
    /// Windows of an epoch, drawn anew for each; 0 for all. Neighbouring windows are nearly the same, so that a part of
    /// them is an epoch's worth.
    pub epoch_windows: usize,
}

/// The keys that say how a file is read, not what is learned from it.
pub(super) const READING: [&str; 7] = [
    "series.missing",
    "series.missing_tokens",
    "series.dates",
    "series.step",
    "series.time_zone",
    "series.decimal",
    "series.key",
];

impl SeriesRecipe {
    /// How the series of a run is read, a share `held_out` of its rows being watched.
    pub fn options(self, held_out: f64) -> SeriesOptions {
        SeriesOptions {
            columns: self.columns,
            exclude: self.exclude,
            missing: self.missing,
            missing_tokens: self.missing_tokens,
            dates: self.dates,
            step: self.step,
            time_zone: self.time_zone,
            decimal: self.decimal,
            key: Key {
                text: self.key,
                ..Key::default()
            },
            held_out,
        }
    }
}

impl Section for SeriesRecipe {
    const NAME: &'static str = "series";
}
