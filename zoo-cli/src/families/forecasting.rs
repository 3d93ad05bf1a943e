//! Forecasting of series: mean squared or absolute error of every step of the horizon, on scaled values.

mod known;
mod recipe;
mod repeat;
mod resident;
mod task;

use std::sync::Arc;

use anyhow::bail;
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use models::forecaster::{Forecaster, ForecasterConfig, SeriesFormat};
use models::{ModelConfig, ModelDir};

use super::{Family, Forward};
use crate::data::Source;
use crate::data::series::{Scale, Series, SeriesInventory, Split, describe};
use crate::train::recipe::Schema;
use crate::train::record::TrainingRecord;
use crate::train::{
    Contrast, Digits, Ended, Finished, Measure, Measures, Part, Problem, Recipe, Run, Trainable,
    Wanted, Watch, evaluate, train,
};

use self::known::KnownRows;
use self::recipe::READING;
use self::resident::ResidentRows;
use self::task::Forecasting;

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
            options.of_trained(series);
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
            key: self.series.key_columns(),
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

#[cfg(test)]
mod tests;
