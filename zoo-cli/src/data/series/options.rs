//! How a series is read.

use models::forecaster::SeriesFormat;

use super::{DateReading, Decimal, Key, Missing, StepReading};

/// How a series is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesOptions {
    /// The columns of numbers, in this order; empty for all.
    pub columns: Vec<String>,
    /// Columns that are not read.
    pub exclude: Vec<String>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// Cells with these words or numbers are missing, besides those that usually are.
    pub missing_tokens: Vec<String>,
    /// How dates are read.
    pub dates: DateReading,
    /// What the dates tell.
    pub step: StepReading,
    /// The time zone of dates that name none, as in `Europe/Berlin`; empty where it does not matter.
    pub time_zone: String,
    /// Which mark stands before the decimals of a number.
    pub decimal: Decimal,
    /// Which series of a file of many is read.
    pub key: Key,
    /// The share of all rows that is watched during training, where no standard split says otherwise.
    pub held_out: f64,
}

impl SeriesOptions {
    /// For a network that was trained on a series of this `format` and may be used on other files.
    pub fn of_trained(&mut self, format: &SeriesFormat) {
        self.columns.clone_from(&format.columns);
        self.key.columns.clone_from(&format.key);
        self.exclude.clear();
        self.key.only_of_many = true;
    }
}
