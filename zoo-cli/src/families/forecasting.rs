//! Forecasting of series: mean squared or absolute error of every step of the horizon, on scaled values.

mod known;
mod recipe;
mod repeat;
mod resident;

use std::sync::Arc;

use anyhow::bail;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::rng::Philox;
use models::forecaster::{Forecaster, ForecasterConfig, SeriesFormat};
use models::{ModelConfig, ModelDir};

use super::{Family, Forward, curves};
use crate::data::Source;
use crate::data::series::{Scale, Series, SeriesInventory, Split, describe};
use crate::train::metrics::Row;
use crate::train::recipe::Schema;
use crate::train::record::TrainingRecord;
use crate::train::{
    Batches, Contrast, Digits, Ended, Examples, Finished, Loss, Measure, Measures, Part, Problem,
    Recipe, Run, Sums, Task, Trainable, Wanted, Watch, evaluate, train,
};

use self::known::{Known, KnownRows, rows_of_windows};
use self::recipe::READING;
use self::resident::ResidentRows;

pub use self::recipe::{SeriesLoss, SeriesRecipe};
pub use self::repeat::{NAIVE, SEASONAL};

/// Of one magnitude, and compared in the third digit.
const MEASURES: Measures = Measures {
    all: &[
        Measure::lower("mse", Contrast::Difference, Digits::Fixed(4)),
        Measure::lower("mae", Contrast::Difference, Digits::Fixed(4)),
    ],
    objective: 0,
};

/// The forecasters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forecasters;

impl Trainable for Forecasters {
    fn schema(&self) -> Schema {
        Schema::in_epochs::<SeriesRecipe>()
    }

    fn recipes(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "series-forecaster",
            include_str!("../recipes/series-forecaster.toml"),
        )]
    }

    fn reading(&self) -> &'static [&'static str] {
        &READING
    }

    fn unit(&self) -> &'static str {
        "windows"
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn open(&self, wanted: &Wanted<'_>) -> anyhow::Result<Box<dyn Problem>> {
        let config = settings(wanted.config)?;
        let recipe: SeriesRecipe = wanted.recipe.section()?;
        let descent = wanted.recipe.descent()?;
        let mut options = recipe.options(descent.validation.fraction);
        if let Some(series) = &config.series {
            options.of_trained(&series.columns);
        }
        let series = Series::open(wanted.data, wanted.default, &options)?;
        Ok(Box::new(Windows {
            split: series.split(options.held_out),
            series,
            config: config.clone(),
            evaluation_batch_size: descent.evaluation_batch_size,
        }))
    }
}

impl Family for Forecasters {
    fn pipeline_tag(&self) -> &'static str {
        "time-series-forecasting"
    }

    fn usage(&self, model: &str) -> String {
        format!("forecast {model} series.csv")
    }

    fn about(&self, record: &TrainingRecord) -> Option<String> {
        let inventory = record.data.inventory.clone()?;
        let inventory: SeriesInventory = serde_json::from_value(inventory).ok()?;
        Some(format!("The data: {}.", inventory.lines().join("; ")))
    }

    fn example_shape(&self, model: &ModelDir) -> anyhow::Result<Vec<usize>> {
        let config = settings(&model.config)?;
        Ok(vec![2, config.look_back, config.channels])
    }

    fn network(&self, config: &ModelConfig, weights: VarBuilder) -> anyhow::Result<Forward> {
        let network = Forecaster::new(settings(config)?, weights)?;
        Ok(Box::new(move |past, _| network.forward(past)))
    }

    fn naive(&self) -> &'static [&'static str] {
        &[SEASONAL, NAIVE]
    }

    fn protocol(&self, recipe: &Recipe) -> String {
        let epochs = recipe.descent().map_or(0, |descent| descent.epochs);
        format!(
            "{epochs} epochs at most, errors on values scaled by the training part, every window of the test part \
             counted, the weights that are best on the validation part kept"
        )
    }
}

/// Windows over a series.
#[derive(Debug)]
struct Windows {
    config: ForecasterConfig,
    series: Series,
    split: Split,
    evaluation_batch_size: usize,
}

impl Windows {
    fn count(&self, part: &std::ops::Range<usize>) -> usize {
        Split::windows(part, self.config.look_back, self.config.horizon).len()
    }

    /// The problem of forecasting this series, scaled by `scale`.
    fn task(
        &self,
        config: &ForecasterConfig,
        scale: &Scale,
        recipe: Option<(&SeriesRecipe, usize, u64)>,
        device: &Device,
    ) -> anyhow::Result<Forecasting> {
        let (settings, batch_size, seed) = match recipe {
            Some((settings, batch_size, seed)) => (settings.clone(), batch_size, seed),
            None => (SeriesRecipe::default(), 1, 0),
        };
        let values: Arc<[f32]> = self.series.scaled(&scale.mean, &scale.std)?.into();
        let columns = self.series.columns.len();
        let length = config.look_back + config.horizon;
        Ok(Forecasting {
            config: config.clone(),
            resident: match device.is_cpu() {
                true => None,
                false => Some(ResidentRows::new(&values, columns, length, device)?),
            },
            known: KnownRows::new(&self.series.filled, columns, length, device)?,
            values,
            columns,
            split: self.split.clone(),
            settings,
            batch_size,
            seed,
            device: device.clone(),
        })
    }
}

impl Problem for Windows {
    fn source(&self) -> &Source {
        &self.series.source
    }

    fn inventory(&self) -> Option<serde_json::Value> {
        serde_json::to_value(&self.series.inventory).ok()
    }

    fn about_data(&self) -> Vec<String> {
        self.series.inventory.lines()
    }

    fn examples(&self) -> (usize, usize) {
        let before = 0..self.split.test.start;
        (self.count(&before), self.count(&self.split.test))
    }

    fn adapt(&self, model: ModelConfig) -> anyhow::Result<ModelConfig> {
        let mut config = settings(&model)?.clone();
        let Scale { mean, std } = self.series.scale(self.split.train.clone())?;
        self.series.scaled(&mean, &std)?;
        config.channels = self.series.columns.len();
        config.series = Some(SeriesFormat {
            columns: self.series.columns.clone(),
            mean,
            std,
            step: self.series.timeline.step,
        });
        Ok(ModelConfig::Forecaster(config))
    }

    fn check(&self, model: &ModelConfig) -> anyhow::Result<()> {
        let config = settings(model)?;
        let name = &self.series.source.name;
        if config.channels != self.series.columns.len() {
            bail!(
                "`model.channels` is {}, `{name}` has {} columns; leave it out",
                config.channels,
                self.series.columns.len()
            );
        }
        let split = &self.split;
        let parts = [
            (Part::Train, &split.train),
            (Part::Validation, &split.validation),
            (Part::Test, &split.test),
        ];
        for (part, rows) in parts {
            let needed = part != Part::Validation || !rows.is_empty();
            if needed && self.count(rows) == 0 {
                bail!(
                    "`{name}` is too short: no look-back of {} and horizon of {} rows fits its {} part ({} of {} \
                     rows); give a longer series, or smaller `model.look_back` and `model.horizon`",
                    self.config.look_back,
                    self.config.horizon,
                    part.name(),
                    rows.len(),
                    self.series.rows()
                );
            }
            let filled = self.series.filled.chunks_exact(self.series.columns.len());
            let mut rows_filled = filled.skip(rows.start).take(rows.len()).peekable();
            if rows_filled.peek().is_some() && rows_filled.all(|row| !row.contains(&false)) {
                bail!(
                    "`{name}` has no value in its {} part that was not filled in; give a series that has some there",
                    part.name()
                );
            }
        }
        Ok(())
    }

    fn train(self: Box<Self>, run: &Run<'_>) -> anyhow::Result<Ended<Finished>> {
        let record = run.record;
        let scale = self.series.scale(self.split.train.clone())?;
        let batch_size = record.recipe.descent()?.batch_size;
        let batch_size = batch_size.min(self.count(&self.split.train)).max(1);
        let recipe = (&record.recipe.section()?, batch_size, record.seed);
        let config = settings(&record.config)?;
        let task = self.task(config, &scale, Some(recipe), run.device)?;
        Ok(train(&task, run)?)
    }

    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        let config = settings(&model.config)?;
        self.check(&model.config)?;
        let format = format(config, &self.series)?;
        let scale = Scale {
            mean: format.mean.clone(),
            std: format.std.clone(),
        };
        let task = self.task(config, &scale, None, device)?;
        let network = load(model, device)?;
        let batch_size = self.evaluation_batch_size;
        Ok(evaluate(&task, &network, Part::Test, batch_size, watch)?)
    }

    fn naive(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        match name {
            NAIVE => self.repeat(1),
            SEASONAL => self.repeat(self.season()),
            _ => bail!("there is no forecast `{name}`; take {NAIVE} or {SEASONAL}"),
        }
    }
}

/// The settings of a forecaster.
///
/// # Errors
/// When the network is another one.
pub fn settings(config: &ModelConfig) -> anyhow::Result<&ForecasterConfig> {
    match config {
        ModelConfig::Forecaster(config) => Ok(config),
        _ => bail!("this network is no forecaster, and only forecasters can be used here"),
    }
}

/// What the channels of a trained forecaster stand for, after checking that `series` has its columns and step.
///
/// # Errors
/// When the model does not say so, or the series has another step.
pub fn format<'a>(
    config: &'a ForecasterConfig,
    series: &Series,
) -> anyhow::Result<&'a SeriesFormat> {
    let Some(format) = &config.series else {
        bail!(
            "`config.json` has no `series`, which names the columns; give a model that `zoo train` wrote"
        );
    };
    if format.step != series.timeline.step {
        bail!(
            "`{}` has steps of {}, the model learned from steps of {}; give a series of the same step",
            series.source.name,
            describe(series.timeline.step),
            describe(format.step)
        );
    }
    Ok(format)
}

/// The forecaster of a model directory, ready to evaluate.
///
/// # Errors
/// When the network is another one.
pub fn load(model: &ModelDir, device: &Device) -> anyhow::Result<Forecaster> {
    let config = settings(&model.config)?;
    let store = model.store(DType::F32, device)?;
    Ok(Forecaster::new(config, store.detached().var_builder())?)
}

/// Windows over one series.
#[derive(Debug, Clone)]
struct Forecasting {
    config: ForecasterConfig,
    /// Scaled, row after row.
    values: Arc<[f32]>,
    /// The same on a device that is not the CPU.
    resident: Option<ResidentRows>,
    /// Which of them were there, where some were filled in.
    known: Option<KnownRows>,
    columns: usize,
    split: Split,
    settings: SeriesRecipe,
    batch_size: usize,
    seed: u64,
    device: Device,
}

/// Some windows.
#[derive(Debug, Clone)]
struct Batch {
    /// `[windows, look_back, columns]`
    past: Tensor,
    /// `[windows, horizon, columns]`
    future: Tensor,
    /// Which values of the future were there, where some of the series were filled in.
    known: Option<Known>,
    /// What a training step draws its dropout from.
    noise: Option<Philox>,
}

impl Forecasting {
    fn windows(&self, part: Part) -> std::ops::Range<usize> {
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
    fn batch(&self, starts: &[usize], weight: f64, noise: Option<Philox>) -> Result<Batch> {
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
    fn weight(&self, starts: &[usize]) -> f64 {
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
fn errors(forecast: &Tensor, batch: &Batch) -> Result<Sums> {
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

#[cfg(test)]
mod tests;
