//! Forecasting of series: mean squared or absolute error of every step of the horizon, on scaled values.

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
use crate::data::series::{Scale, Series, Split, describe};
use crate::train::metrics::Row;
use crate::train::recipe::Schema;
use crate::train::{
    Batches, Contrast, Digits, Ended, Examples, Finished, Loss, Measure, Measures, Part, Problem,
    Recipe, Run, Sums, Task, Trainable, Wanted, Watch, evaluate, train,
};

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
        // Those of a trained network, which may be some of the file's.
        if let Some(series) = &config.series {
            options.columns.clone_from(&series.columns);
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

    fn batch(&self, starts: &[usize], noise: Option<Philox>) -> Result<Batch> {
        let (look_back, horizon, columns) =
            (self.config.look_back, self.config.horizon, self.columns);
        if let Some(resident) = &self.resident {
            let windows = resident.windows(starts)?;
            return Ok(Batch {
                past: windows.narrow(1, 0, look_back)?.contiguous()?,
                future: windows.narrow(1, look_back, horizon)?.contiguous()?,
                noise,
            });
        }
        let rows = |offset: usize, count: usize| {
            let mut values = Vec::with_capacity(starts.len() * count * columns);
            for start in starts {
                let from = (start + offset) * columns;
                values.extend_from_slice(&self.values[from..from + count * columns]);
            }
            Tensor::from_vec(values, (starts.len(), count, columns), &self.device)
        };
        Ok(Batch {
            past: rows(0, look_back)?,
            future: rows(look_back, horizon)?,
            noise,
        })
    }
}

/// Squared and absolute error, each a mean over steps and columns, summed over the windows.
fn errors(forecast: &Tensor, truth: &Tensor) -> Result<Sums> {
    let windows = truth.dim(0)? as f64;
    let difference = (forecast - truth)?;
    let means = [difference.sqr()?, difference.abs()?];
    let sums = means.iter().map(|error| Ok((error.mean_all()?, windows)));
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
            self.batch(&order[from..from + self.batch_size], Some(noise))
        }))
    }

    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Batch> {
        let starts: Vec<usize> = self.windows(part).collect();
        let count = starts.len().div_ceil(batch_size);
        Box::new((0..count).map(move |i| {
            let end = starts.len().min((i + 1) * batch_size);
            self.batch(&starts[i * batch_size..end], None)
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
        Ok(Loss {
            value: value.mean_all()?,
            sums: errors(&forecast.detach(), &batch.future)?,
        })
    }

    fn measure(&self, model: &Forecaster, batch: &Batch) -> Result<Sums> {
        errors(&model.forward(&batch.past)?, &batch.future)
    }

    fn curves(&self, title: &str, history: &[Row]) -> String {
        curves::svg(title, MEASURES.all, history)
    }
}

#[cfg(test)]
mod tests;
