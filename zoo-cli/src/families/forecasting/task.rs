//! Forecasting as a task of training: batches of windows, their loss and their errors.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::rng::Philox;
use models::forecaster::{Forecaster, ForecasterConfig};

use super::known::{Known, KnownRows, rows_of_windows};
use super::resident::ResidentRows;
use super::{MEASURES, SeriesLoss, SeriesRecipe};
use crate::data::series::Split;
use crate::families::curves;
use crate::train::metrics::Row;
use crate::train::{Batches, Examples, Loss, Measures, Part, Sums, Task};

/// Windows over one series.
#[derive(Debug, Clone)]
pub(super) struct Forecasting {
    pub(super) config: ForecasterConfig,
    /// Scaled, row after row.
    pub(super) values: Arc<[f32]>,
    /// The same on a device that is not the CPU.
    pub(super) resident: Option<ResidentRows>,
    /// Which of them were there, where some were filled in.
    pub(super) known: Option<KnownRows>,
    pub(super) columns: usize,
    pub(super) split: Split,
    pub(super) settings: SeriesRecipe,
    pub(super) batch_size: usize,
    pub(super) seed: u64,
    pub(super) device: Device,
}

/// Some windows.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// `[windows, look_back, columns]`
    pub(super) past: Tensor,
    /// `[windows, horizon, columns]`
    pub(super) future: Tensor,
    /// Which values of the future were there, where some of the series were filled in.
    pub(super) known: Option<Known>,
    /// What a training step draws its dropout from.
    pub(super) noise: Option<Philox>,
}

impl Forecasting {
    /// The first rows of the windows of a part.
    pub(super) fn windows(&self, part: Part) -> std::ops::Range<usize> {
        let rows = match part {
            Part::Train => &self.split.train,
            Part::Validation => &self.split.validation,
            Part::Test => &self.split.test,
        };
        Split::windows(rows, self.config.look_back, self.config.horizon)
    }

    /// Windows of one epoch.
    fn epoch_windows(&self) -> usize {
        let all = self.windows(Part::Train).len();
        match self.settings.epoch_windows {
            0 => all,
            most => all.min(most.max(self.batch_size)),
        }
    }

    /// The windows that begin at `starts`, each value that was there counting `weight`; in training with `noise`.
    pub(super) fn batch(
        &self,
        starts: &[usize],
        weight: f64,
        noise: Option<Philox>,
    ) -> Result<Batch> {
        let (look_back, horizon) = (self.config.look_back, self.config.horizon);
        let future = (look_back, horizon);
        let known = self.known.as_ref();
        let known = known.map(|known| known.batch(starts, future, weight, &self.device));
        let rows = |(offset, count): (usize, usize), windows: Option<&Tensor>| match windows {
            Some(windows) => windows.narrow(1, offset, count)?.contiguous(),
            None => {
                let place = (offset, count);
                rows_of_windows(&self.values, self.columns, starts, place, &self.device)
            }
        };
        let resident = self.resident.as_ref();
        let windows = resident.map(|rows| rows.windows(starts)).transpose()?;
        Ok(Batch {
            past: rows((0, look_back), windows.as_ref())?,
            future: rows(future, windows.as_ref())?,
            known: known.transpose()?,
            noise,
        })
    }

    /// What each value that was there counts, so that all of them in these windows count as many as there are windows.
    pub(super) fn weight(&self, starts: &[usize]) -> f64 {
        let Some(known) = &self.known else {
            return 1.0;
        };
        let (look_back, horizon) = (self.config.look_back, self.config.horizon);
        let futures = starts.iter().map(|start| start + look_back);
        let values: usize = futures.map(|from| known.count(from..from + horizon)).sum();
        starts.len() as f64 / values.max(1) as f64
    }
}

/// Squared and absolute error, each a mean over steps and columns, summed over the windows. What was filled in does not
/// count.
pub(super) fn errors(forecast: &Tensor, batch: &Batch) -> Result<Sums> {
    let windows = batch.future.dim(0)? as f64;
    let difference = (forecast - &batch.future)?;
    let errors = [difference.sqr()?, difference.abs()?];
    let sums = errors.iter().map(|error| match &batch.known {
        None => Ok((error.mean_all()?, windows)),
        Some(known) => known.sum(error),
    });
    Ok(Sums::Queued(sums.collect::<Result<_>>()?))
}

impl Examples for Forecasting {
    type Batch = Batch;

    fn count(&self, part: Part) -> usize {
        self.windows(part).len()
    }

    fn steps(&self) -> u64 {
        (self.epoch_windows() / self.batch_size) as u64
    }

    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, Batch> {
        let mut order: Vec<usize> = self.windows(Part::Train).collect();
        Philox::named(self.seed, &format!("order of epoch {epoch}")).shuffle(&mut order);
        let steps = first_step..self.steps();
        Box::new(steps.map(move |step| {
            let from = step as usize * self.batch_size;
            let noise = Philox::named(self.seed, &format!("noise of epoch {epoch}, step {step}"));
            let starts = &order[from..from + self.batch_size];
            self.batch(starts, self.weight(starts), Some(noise))
        }))
    }

    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Batch> {
        let starts: Vec<usize> = self.windows(part).collect();
        let count = starts.len().div_ceil(batch_size);
        let weight = self.weight(&starts);
        Box::new((0..count).map(move |i| {
            let end = starts.len().min((i + 1) * batch_size);
            self.batch(&starts[i * batch_size..end], weight, None)
        }))
    }

    fn batch_len(&self, batch: &Batch) -> usize {
        batch.past.dims()[0]
    }
}

impl Task for Forecasting {
    type Model = Forecaster;
    type Examples = Self;

    fn examples(&self) -> &Self {
        self
    }

    fn build(&self, vb: VarBuilder) -> Result<Forecaster> {
        Forecaster::new(&self.config, vb)
    }

    /// Judged by the error that training makes small: outliers of a short validation part would decide over its square.
    fn measures(&self) -> Measures {
        let objective = match self.settings.loss {
            SeriesLoss::Squared => 0,
            SeriesLoss::Absolute => 1,
        };
        Measures {
            objective,
            ..MEASURES
        }
    }

    fn loss(&self, model: &Forecaster, batch: &Batch) -> Result<Loss> {
        let forecast = match &batch.noise {
            Some(noise) => model.forward_training(&batch.past, &mut noise.clone())?,
            None => model.forward(&batch.past)?,
        };
        let difference = (&forecast - &batch.future)?;
        let value = match self.settings.loss {
            SeriesLoss::Squared => difference.sqr()?,
            SeriesLoss::Absolute => difference.abs()?,
        };
        let value = match &batch.known {
            None => value.mean_all()?,
            Some(known) => {
                let (sum, weight) = known.sum(&value)?;
                (sum * (weight / self.batch_len(batch) as f64))?
            }
        };
        Ok(Loss {
            value,
            sums: errors(&forecast.detach(), batch)?,
        })
    }

    fn measure(&self, model: &Forecaster, batch: &Batch) -> Result<Sums> {
        errors(&model.forward(&batch.past)?, batch)
    }

    fn curves(&self, title: &str, history: &[Row]) -> String {
        curves::svg(title, MEASURES.all, history)
    }
}
