//! Forecasts that only repeat what was seen last: what a network must beat.

use anyhow::bail;
use candle_core::{Device, Result, Tensor};
use models::forecaster::Step;

use super::task::errors;
use super::{MEASURES, Windows};
use crate::train::{Examples, Part, tally};

/// The forecast that repeats the last value.
pub const NAIVE: &str = "naive";
/// The forecast that repeats the last season: a day of hours, a week of days, a year of months.
pub const SEASONAL: &str = "seasonal-naive";

impl Windows {
    /// The measures on the test part of repeating the last `season` steps of each look-back.
    ///
    /// # Errors
    /// When the look-back is shorter than a season, or a column cannot be scaled.
    pub(super) fn repeat(&self, season: usize) -> anyhow::Result<Vec<f64>> {
        let config = &self.config;
        if !(1..=config.look_back).contains(&season) {
            bail!(
                "a season of {season} steps does not fit into a look-back of {}",
                config.look_back
            );
        }
        let scale = self.series.scale(self.split.train.clone())?;
        let task = self.task(config, &scale, None, &Device::Cpu)?;
        let repeat = Repeat {
            season,
            horizon: config.horizon,
        };
        let mut measured = Vec::new();
        for batch in task.batches(Part::Test, 256) {
            let batch = batch?;
            measured.push(errors(&repeat.forward(&batch.past)?, &batch)?);
        }
        let mut sums = vec![0.0; MEASURES.all.len()];
        for batch in tally::values(&measured)? {
            for (sum, value) in sums.iter_mut().zip(batch) {
                *sum += value;
            }
        }
        let count = task.count(Part::Test).max(1) as f64;
        Ok(sums.iter().map(|sum| sum / count).collect())
    }

    /// Rows of the cycle that a series of this step most likely has: a day, a week of days, or a year of months.
    pub(super) fn season(&self) -> usize {
        const DAY: u64 = 86_400;
        match self.series.timeline.step {
            Step::Months(months) if 12u32.is_multiple_of(months.max(1)) => {
                (12 / months.max(1)) as usize
            }
            Step::Seconds(DAY) => 7,
            Step::Weekdays(days) => days.count(),
            Step::Seconds(s) if s > 0 && s < DAY && DAY.is_multiple_of(s) => (DAY / s) as usize,
            _ => 1,
        }
    }
}

/// The forecast that repeats the last `season` steps.
struct Repeat {
    season: usize,
    horizon: usize,
}

impl Repeat {
    fn forward(&self, past: &Tensor) -> Result<Tensor> {
        let steps = past.dim(1)?;
        let last = past.narrow(1, steps - self.season, self.season)?;
        let times = self.horizon.div_ceil(self.season);
        last.repeat((1, times, 1))?.narrow(1, 0, self.horizon)
    }
}
