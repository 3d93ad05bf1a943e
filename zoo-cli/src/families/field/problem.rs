//! A surface or an equation as the problem of a run, whose steps are the iterations of solvers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Device};
use models::{ModelConfig, ModelDir, registry};
use sha2::{Digest, Sha256};

use super::{figures, settings, shapes};
use crate::data::Source;
use crate::field::minimize::Condition;
use crate::field::{FieldRecipe, Fit, Problem as Known, State, Training};
use crate::layout::{CURVES, METRICS_CSV, PICTURE};
use crate::train::checkpoint::Checkpoint;
use crate::train::{Effort, Ended, Finished, Place, Problem, Run, RunDir, TrainError, Watch};

/// A surface or an equation at the points that a network learns it from.
#[derive(Debug)]
pub(super) struct Plane {
    known: Known,
    recipe: FieldRecipe,
    conditions: Vec<Condition>,
    source: Source,
}

impl Plane {
    /// `known` at the points that `recipe` draws under `seed`.
    pub(super) fn new(known: Known, recipe: FieldRecipe, seed: u64) -> Self {
        let conditions = known.conditions(&recipe, seed);
        Self {
            source: Source {
                name: known.name().to_string(),
                fingerprint: fingerprint(&conditions),
                ..Source::default()
            },
            known,
            recipe,
            conditions,
        }
    }

    /// The files of `fit` that are for people.
    fn write(&self, fit: &Fit, title: &str, dir: &RunDir) -> Result<(), TrainError> {
        let (curves, picture) = (
            figures::curves(title, &self.known, fit).svg(),
            figures::picture(title, &self.known, fit).svg(),
        );
        dir.write(METRICS_CSV, figures::csv(&self.known, fit).as_bytes())?;
        dir.write(CURVES, curves.as_bytes())?;
        dir.write(PICTURE, picture.as_bytes())
    }
}

/// SHA-256 (hex) over the points and what the network is to be there, in f32: the last bits of a sine differ between
/// systems.
fn fingerprint(conditions: &[Condition]) -> String {
    let mut hasher = Sha256::new();
    for condition in conditions {
        let numbers = condition.point.iter().chain(&condition.functional);
        for number in numbers.chain([&condition.target]) {
            hasher.update((*number as f32).to_le_bytes());
        }
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Problem for Plane {
    fn source(&self) -> &Source {
        &self.source
    }

    fn examples(&self) -> (usize, usize) {
        (self.conditions.len(), self.known.test_points())
    }

    fn train(self: Box<Self>, run: &Run<'_>) -> anyhow::Result<Ended<Finished>> {
        let record = run.record;
        let shapes = shapes(registry::find(&record.model)?, &record.config)?;
        let saved = Checkpoint::<State>::latest(run.dir)?.map(|saved| saved.position);
        let mut training = Training::new(self.known, &shapes, &self.recipe, record.seed, saved)
            .with_context(|| format!("cannot train in `{}`", run.dir.path().display()))?;
        let (before, started) = (training.iterations(), Instant::now());
        let save = |training: &Training| {
            let checkpoint = Checkpoint {
                position: training.state().clone(),
                tensors: BTreeMap::new(),
            };
            checkpoint.save(run.dir, training.iterations() as u64)
        };
        let mut begun = None;
        let fit = loop {
            let place = training.place();
            let (epoch, made) = (place.start + 1, place.made as u64);
            if run.stop.load(Ordering::Relaxed) {
                save(&training)?;
                return Ok(Ended::Interrupted(Place { epoch, step: made }));
            }
            if begun != Some((place.start, place.planned)) {
                if begun.is_some() {
                    save(&training)?;
                }
                begun = Some((place.start, place.planned));
                let (starts, planned) = (self.recipe.starts, place.planned as u64);
                run.watch.epoch_begins(epoch, starts, planned, made);
            }
            let made = training.iterations();
            if let Some(fit) = training.step()? {
                break fit;
            }
            if training.iterations() > made {
                run.watch.step(training.loss());
            }
        };
        let steps = (training.iterations() - before) as u64;
        let effort = Effort {
            time: started.elapsed(),
            steps,
            examples: steps * self.conditions.len() as u64,
        };
        let title = format!("{} on {}", record.model, self.known.name());
        self.write(&fit, &title, run.dir)?;
        let words = fit.stops.iter();
        Ok(Ended::Finished(Box::new(Finished {
            model: ModelDir {
                model: record.model.clone(),
                tensors: fit.tensors()?,
                config: match record.config {
                    ModelConfig::Poisson(_) => ModelConfig::Poisson(fit.config),
                    _ => ModelConfig::Surface(fit.config),
                },
                labels: Vec::new(),
                preprocessor: None,
            },
            test: fit.measures.iter().map(|(_, value)| *value).collect(),
            examples: self.examples(),
            notes: words
                .map(|(method, stop)| format!("{method}: {}", stop.describe()))
                .collect(),
            effort,
        })))
    }

    fn evaluate(
        self: Box<Self>,
        model: &ModelDir,
        _: &Device,
        _: &dyn Watch,
    ) -> anyhow::Result<Vec<f64>> {
        let config = settings(&model.config)?;
        let mut parameters = Vec::with_capacity(config.parameter_count());
        for (name, _) in config.tensors() {
            let tensor = model.tensors.get(&name);
            let tensor = tensor.with_context(|| format!("the network has no `{name}`"))?;
            let tensor = tensor.to_dtype(DType::F64)?;
            parameters.extend(tensor.flatten_all()?.to_vec1::<f64>()?);
        }
        let measures = (self.known).measure(&config.jets(), &parameters, &self.conditions);
        Ok(measures.into_iter().map(|(_, value)| value).collect())
    }
}
