//! From a request to a trained model directory: everything of `zoo train` but the printing.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use candle_core::Device;
use models::ModelDir;
use models::model_dir::{self, Storage};
use models::registry;

use super::checkpoint::Checkpoint;
use super::metrics::DataNote;
use super::recipe::{self, Overrides};
use super::record::{DataRecord, ResultRecord, TrainingRecord};
use super::run_dir::{CARD, DATA_PATH, IfExists};
use super::tasks::kind::{self, Ending, Finished, Kind};
use super::tasks::{Measure, Measures};
use super::{Run, RunDir, Watch};
use crate::data::{OpenOptions, SkippedFile, is_dataset_name, public_name};
use crate::package::card::{self, Training};

/// Where a new run goes.
#[derive(Debug, Clone)]
pub enum Output {
    /// `runs/MODEL-N` with the first free N.
    Numbered,
    /// This directory.
    At(PathBuf, IfExists),
}

/// What is to be trained.
#[derive(Debug)]
pub struct Request<'a> {
    /// A name of the registry.
    pub model: &'a str,
    /// `--data`.
    pub data: Option<&'a str>,
    /// Fixes every random choice.
    pub seed: u64,
    /// Changes to the recipe.
    pub overrides: Overrides<'a>,
    /// Where it goes.
    pub output: Output,
}

/// A run that is ready to train: every mistake of the request that can be seen before training has been reported.
pub struct Session {
    dir: RunDir,
    record: TrainingRecord,
    kind: Box<dyn Kind>,
    finished: bool,
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The registry's name.
    pub model: String,
    /// The dataset's name.
    pub data: String,
    /// Training examples.
    pub examples: usize,
    /// Trainable values.
    pub parameters: usize,
    /// What was measured on the test part, the objective first.
    pub test: Vec<(&'static Measure, f64)>,
    /// Time in training, in this process.
    pub seconds: f64,
    /// Steps taken, in this process.
    pub steps: u64,
    /// Training examples a second, in this process.
    pub examples_per_second: f64,
    /// What the examples are, as in `images`.
    pub unit: &'static str,
    /// The model directory.
    pub dir: PathBuf,
}

/// How [`Session::train`] ended.
#[derive(Debug, Clone)]
pub enum SessionEnd {
    /// With a model.
    Finished(Summary),
    /// On request, in this epoch (from 1) after so many of its steps.
    Interrupted(usize, u64),
}

impl Session {
    /// Opens the data as `options` say, resolves the recipe and makes the output directory of a new run, in this
    /// order: a wrong request leaves no trace.
    ///
    /// # Errors
    /// One sentence that names what is wrong.
    pub fn new(request: &Request<'_>, options: &OpenOptions<'_>) -> anyhow::Result<Self> {
        let entry = registry::find(request.model)?;
        // Mistakes in the recipe need no data to be found, and data may be slow to come.
        let expected = recipe::resolve(
            entry.recipe,
            request.data.unwrap_or(entry.default_data),
            entry.config(),
            &request.overrides,
        )?;
        if let Output::At(path, IfExists::Refuse) = &request.output {
            RunDir::check_free(path)?;
        }
        let options = OpenOptions {
            series: expected.recipe.series_options(),
            ..options.clone()
        };
        let kind = kind::open(&expected.model, request.data, entry.default_data, &options)?;
        let source = kind.source();
        let name = public_name(&source.name);
        let dataset = if source.is_sample { "sample" } else { &name };
        let config = kind.fit(entry.config())?;
        let resolved = recipe::resolve(entry.recipe, dataset, config, &request.overrides)?;
        kind.check(&resolved.model)?;
        let dir = match &request.output {
            Output::Numbered => {
                RunDir::numbered(std::path::Path::new("runs"), &entry.name.replace('.', "-"))?
            }
            Output::At(path, if_exists) => RunDir::create(path, *if_exists)?,
        };
        let record = TrainingRecord {
            model: entry.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            seed: request.seed,
            data: DataRecord {
                argument: request.data.map(public_name),
                name: name.clone(),
                fingerprint: source.fingerprint.clone(),
                notice: source.notice.clone(),
            },
            recipe: resolved.recipe,
            config: resolved.model,
            result: None,
        };
        if let Some(path) = request.data.filter(|data| !is_dataset_name(data)) {
            dir.write(DATA_PATH, path.as_bytes())?;
        }
        record.write(&dir)?;
        Ok(Self {
            dir,
            record,
            kind,
            finished: false,
        })
    }

    /// The run in `dir`, to go on where it stopped. `model` and `data`, where given, must be those of the run.
    ///
    /// # Errors
    /// When there is no run, or its data has changed.
    pub fn resume(
        dir: PathBuf,
        model: Option<&str>,
        data: Option<&str>,
        options: &OpenOptions<'_>,
    ) -> anyhow::Result<Self> {
        let dir = RunDir::open(&dir)?;
        let record = TrainingRecord::read(&dir)?;
        if let Some(model) = model
            && model != record.model
        {
            bail!(
                "the run in `{}` trains `{}`, not `{model}`; leave the model out",
                dir.path().display(),
                record.model
            );
        }
        let entry = registry::find(&record.model)?;
        let path = dir.data_path()?;
        let argument = data.or(path.as_deref()).or(record.data.argument.as_deref());
        let options = OpenOptions {
            series: record.recipe.series_options(),
            ..options.clone()
        };
        let kind = kind::open(&record.config, argument, entry.default_data, &options)?;
        if kind.source().fingerprint != record.data.fingerprint {
            bail!(
                "the data of the run in `{}` was `{}` with another content; give the same data with `--data`",
                dir.path().display(),
                record.data.name
            );
        }
        let finished = record.result.is_some() && Checkpoint::latest(&dir)?.is_none();
        Ok(Self {
            dir,
            record,
            kind,
            finished,
        })
    }

    /// Where the run is written.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// What the run is made of.
    pub fn record(&self) -> &TrainingRecord {
        &self.record
    }

    /// Files of the dataset that could not be read.
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.kind.source().skipped
    }

    /// Training examples, the held-out ones among them, and test examples.
    pub fn examples(&self) -> (usize, usize) {
        self.kind.examples()
    }

    /// What is measured.
    pub fn measures(&self) -> Measures {
        self.kind.measures()
    }

    /// Trains to the end and writes the model directory, or until `stop` is set.
    ///
    /// # Errors
    /// When training diverges or files cannot be written.
    pub fn train(
        self,
        device: &Device,
        watch: &dyn Watch,
        stop: &AtomicBool,
    ) -> anyhow::Result<SessionEnd> {
        let Self {
            dir,
            mut record,
            kind,
            finished,
        } = self;
        let mut summary = Summary {
            model: record.model.clone(),
            data: record.data.name.clone(),
            examples: kind.examples().0,
            parameters: record.config.parameter_count()?,
            test: Vec::new(),
            seconds: 0.0,
            steps: 0,
            examples_per_second: 0.0,
            unit: kind.unit(),
            dir: dir.path().to_path_buf(),
        };
        let measures = kind.measures();
        if !finished {
            let note = DataNote {
                name: record.data.name.clone(),
                notice: record.data.notice.clone(),
            };
            let run = Run {
                recipe: &record.recipe,
                seed: record.seed,
                device,
                dir: &dir,
                title: &record.model,
                data: &note,
                watch,
                stop,
            };
            let finished = match kind.train(&record.config, &run)? {
                Ending::Interrupted { epoch, step } => {
                    return Ok(SessionEnd::Interrupted(epoch, step));
                }
                Ending::Finished(finished) => *finished,
            };
            let trained = &finished.trained;
            summary.examples = finished.examples.0;
            summary.seconds = trained.training_time.as_secs_f64();
            summary.steps = trained.steps;
            if summary.seconds > 0.0 {
                summary.examples_per_second = trained.examples_seen as f64 / summary.seconds;
            }
            export(&dir, &mut record, measures, finished)?;
        }
        let result = record.result.as_ref();
        summary.test = measures
            .by_weight()
            .map(|(_, measure)| {
                let value = result.and_then(|r| r.test.get(measure.name).copied());
                (measure, value.unwrap_or(f64::NAN))
            })
            .collect();
        Ok(SessionEnd::Finished(summary))
    }
}

/// Writes the model directory, then drops the checkpoints: a run that is killed in between is finished again.
fn export(
    dir: &RunDir,
    record: &mut TrainingRecord,
    measures: Measures,
    finished: Finished,
) -> anyhow::Result<()> {
    let model = ModelDir {
        model: record.model.clone(),
        config: record.config.clone(),
        labels: finished.labels,
        preprocessor: finished.preprocessor,
        tensors: finished.tensors,
    };
    let named = measures.all.iter().map(|m| m.name.to_string());
    record.result = Some(ResultRecord {
        examples: finished.examples.1,
        test: named.zip(finished.trained.test).collect(),
    });
    model_dir::save(dir.path(), &model, Storage::Full)?;
    let training: Training = serde_json::from_value(serde_json::to_value(&*record)?)?;
    let text = card::render(&model, &training, card::NO_LICENSE, None);
    dir.write(CARD, text.as_bytes())?;
    record.write(dir)?;
    Checkpoint::remove_all(dir)?;
    Ok(())
}
