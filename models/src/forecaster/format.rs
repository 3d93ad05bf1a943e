//! What the channels of a trained forecaster stand for.

use serde::{Deserialize, Serialize};

use super::weekdays::Weekdays;
use crate::check::{ConfigError, ensure};

/// The time between two rows of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// So many seconds, at least 1.
    Seconds(u64),
    /// So many nanoseconds, at least 1: steps that are no whole seconds.
    Nanoseconds(u64),
    /// So many calendar months, at least 1.
    Months(u32),
    /// A day, of some weekdays only.
    Weekdays(Weekdays),
    /// The rows follow each other, at what distance is not known.
    Rows,
}

/// The columns of the series that a forecaster learned from, and how their values were scaled:
/// (value − mean) / std.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesFormat {
    /// The names of the columns, one a channel.
    pub columns: Vec<String>,
    /// The mean of each column over the training part.
    pub mean: Vec<f64>,
    /// The standard deviation of each column over the training part, above 0.
    pub std: Vec<f64>,
    /// The time between two rows.
    pub step: Step,
    /// The columns that told the series apart in a file of many; empty where it held one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

impl SeriesFormat {
    /// Checks every field against `channels`.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(super) fn validate(&self, channels: usize) -> Result<(), ConfigError> {
        for (field, count) in [
            ("series.columns", self.columns.len()),
            ("series.mean", self.mean.len()),
            ("series.std", self.std.len()),
        ] {
            ensure(count == channels, field, || {
                format!("{count} entries for {channels} channels")
            })?;
        }
        for mean in &self.mean {
            ensure(mean.is_finite(), "series.mean", || {
                format!("{mean} is no number")
            })?;
        }
        for std in &self.std {
            ensure(std.is_finite() && *std > 0.0, "series.std", || {
                format!("{std} is not above 0")
            })?;
        }
        let zero = matches!(
            self.step,
            Step::Seconds(0) | Step::Nanoseconds(0) | Step::Months(0)
        );
        ensure(!zero, "series.step", || "0 is not above 0".into())
    }
}
