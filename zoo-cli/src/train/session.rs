//! From a request to a trained model directory: everything of `zoo train` but the printing.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use candle_core::Device;
use models::registry::{self, Entry};
use models::{ModelConfig, ModelDir};

use super::base::{Base, remove_start};
use super::freeze::Freezing;
use super::measure::{Measure, Measures};
use super::problem::{Ended, Finished, Problem, Trainable, Wanted};
use super::recipe::{self, Overrides};
use super::record::{DataRecord, ResultRecord, STREAM, TrainingRecord};
use super::run_dir::IfExists;
use super::{Run, RunDir, Watch};
use super::{checkpoint, command};
use crate::data::series::is_stream;
use crate::data::{OpenOptions, SkippedFile, public_name};
use crate::layout::{DATA_PATH, RUNS};

/// The family of a network.
pub type FamilyOf = fn(&ModelConfig) -> &'static dyn Trainable;

/// Writes a trained network and the record of its training as a model directory.
pub type WriteModel = fn(&Path, &ModelDir, &TrainingRecord) -> anyhow::Result<()>;

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
    /// `--from`.
    pub base: Option<&'a Base>,
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
    family: &'static dyn Trainable,
    problem: Box<dyn Problem>,
    finished: bool,
}

/// What a training or an evaluation came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The registry's name.
    pub model: String,
    /// The dataset's name.
    pub data: String,
    /// Examples that were trained or tested on.
    pub examples: usize,
    /// Trainable values.
    pub parameters: usize,
    /// What was measured on the test part, the objective first.
    pub test: Vec<(&'static Measure, f64)>,
    /// What else is to be said of it, a sentence each.
    pub notes: Vec<String>,
    /// Seconds in this process: in training, or of the evaluation.
    pub seconds: f64,
    /// Training steps taken, in this process.
    pub steps: u64,
    /// Examples a second, in this process.
    pub examples_per_second: f64,
    /// What the examples are, as in `images`.
    pub unit: &'static str,
    /// The model directory, if there is one.
    pub dir: Option<PathBuf>,
}

impl Session {
    /// Opens the data as `options` say, resolves the recipe and makes the output directory of a new run, in this
    /// order: a wrong request leaves no trace.
    ///
    /// # Errors
    /// One sentence that names what is wrong.
    pub fn new(
        request: &Request<'_>,
        options: &OpenOptions<'_>,
        family_of: FamilyOf,
    ) -> anyhow::Result<Self> {
        let entry = registry::find(request.model)?;
        let family = family_of(&entry.config());
        let resolve = |data: &str, model: &ModelConfig| {
            recipe::resolve(family, entry, data, model, &request.overrides)
        };
        // Mistakes in the recipe need no data to be found, and data may be slow to come.
        let data = request.data.unwrap_or(entry.default_data);
        let own = match request.base {
            Some(base) => base.settings(entry)?,
            None => entry.config(),
        };
        let expected = resolve(data, &own)?;
        if request.base.is_some() && expected.recipe.descent().is_err() {
            bail!(
                "`{}` is fitted anew from many starts and takes nothing of a trained model; leave `--from` out",
                entry.name
            );
        }
        if let Output::At(path, if_exists) = &request.output {
            RunDir::check_free(path, *if_exists)?;
        }
        let problem = family.open(&Wanted {
            config: &expected.model,
            recipe: &expected.recipe,
            seed: request.seed,
            data: request.data,
            default: entry.default_data,
            options,
        })?;
        let source = problem.source();
        let name = public_name(&source.name);
        let dataset = if source.is_sample { "sample" } else { &name };
        let resolved = resolve(dataset, &problem.adapt(own)?)?;
        problem.check(&resolved.model)?;
        let begun = request
            .base
            .map(|base| base.start(&resolved.model, problem.labels()));
        let (base, start) = begun.transpose()?.unzip();
        if let Ok(descent) = resolved.recipe.descent() {
            Freezing::new(descent, base.as_ref(), &resolved.model)?;
        }
        let dir = request.output.create(entry)?;
        let mut record = TrainingRecord {
            command: None,
            model: entry.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            seed: request.seed,
            data: DataRecord {
                argument: request.data.map(|data| match is_stream(data) {
                    true => STREAM.to_string(),
                    false => public_name(data),
                }),
                name: name.clone(),
                fingerprint: source.fingerprint.clone(),
                // Where the data lie stays at home.
                notice: (source.notice.as_ref()).map(|notice| notice.replace(&source.name, &name)),
                inventory: problem.inventory(),
            },
            base,
            recipe: resolved.recipe,
            config: resolved.model,
            result: None,
        };
        record.command = command::exact(&record, &request.overrides);
        let is_path = |data: &&str| !family.is_name(data) && !is_stream(data);
        let place = request.data.filter(is_path).map(absolute);
        dir.begin(place.as_deref(), start.as_deref(), &record.json(&dir)?)?;
        Ok(Self {
            dir,
            record,
            family,
            problem,
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
        family_of: FamilyOf,
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
        let family = family_of(&record.config);
        let path = match data {
            Some(_) => None,
            None => record.data.place(&dir, |name| family.is_name(name))?,
        };
        let again = data;
        let data = data.or(path.as_deref());
        let problem = family.open(&Wanted {
            config: &record.config,
            recipe: &record.recipe,
            seed: record.seed,
            data,
            default: registry::find(&record.model)?.default_data,
            options,
        })?;
        if problem.source().fingerprint != record.data.fingerprint {
            bail!(
                "the data of the run in `{}` was `{}` with another content than {} has now; give the same data with \
                 `--data`",
                dir.path().display(),
                record.data.name,
                data.map_or_else(|| "it".into(), |data| format!("`{data}`"))
            );
        }
        let is_path = |data: &&str| !family.is_name(data) && !is_stream(data);
        if let Some(path) = again.filter(is_path) {
            dir.write(DATA_PATH, absolute(path).as_bytes())?;
        }
        // The record is written last: with a result in it, the model lies beside it.
        let finished = record.result.is_some();
        Ok(Self {
            dir,
            record,
            family,
            problem,
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

    /// What lies in the data and what becomes of it, in at most three lines.
    pub fn about_data(&self) -> Vec<String> {
        self.problem.about_data()
    }

    /// Files of the dataset that could not be read.
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.problem.source().skipped
    }

    /// Training examples, the held-out ones among them, and test examples.
    pub fn examples(&self) -> (usize, usize) {
        self.problem.examples()
    }

    /// The family of its network.
    pub fn family(&self) -> &'static dyn Trainable {
        self.family
    }

    /// Trains to the end and lets `write` make the model directory, or until `stop` is set.
    ///
    /// # Errors
    /// When training diverges or files cannot be written.
    pub fn train(
        self,
        device: &Device,
        watch: &dyn Watch,
        stop: &AtomicBool,
        write: WriteModel,
    ) -> anyhow::Result<Ended<Summary>> {
        let Self {
            dir,
            mut record,
            family,
            problem,
            finished,
        } = self;
        let mut summary = Summary {
            model: record.model.clone(),
            data: record.data.name.clone(),
            examples: problem.examples().0,
            parameters: record.config.parameter_count()?,
            test: Vec::new(),
            notes: Vec::new(),
            seconds: 0.0,
            steps: 0,
            examples_per_second: 0.0,
            unit: family.unit(),
            dir: Some(dir.path().to_path_buf()),
        };
        let measures = family.measures();
        if !finished {
            let run = Run {
                record: &record,
                device,
                dir: &dir,
                watch,
                stop,
            };
            let finished = match problem.train(&run)? {
                Ended::Interrupted(place) => return Ok(Ended::Interrupted(place)),
                Ended::Finished(finished) => *finished,
            };
            let effort = finished.effort;
            summary.examples = finished.examples.0;
            summary.seconds = effort.time.as_secs_f64();
            summary.steps = effort.steps;
            if summary.seconds > 0.0 {
                summary.examples_per_second = effort.examples as f64 / summary.seconds;
            }
            end(&dir, &mut record, measures, finished, write)?;
            summary.parameters = record.config.parameter_count()?;
        }
        checkpoint::remove_all(&dir)?;
        remove_start(&dir)?;
        let result = record.result.as_ref();
        summary.notes = result.map_or_else(Vec::new, |r| r.notes.clone());
        summary.test = measures
            .by_weight()
            .map(|(_, measure)| {
                let value = result.and_then(|r| r.test.get(measure.name).copied());
                (measure, value.unwrap_or(f64::NAN))
            })
            .collect();
        Ok(Ended::Finished(Box::new(summary)))
    }
}

/// A path that means the same from every directory.
fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(path).ok();
    let absolute = absolute.and_then(|path| path.into_os_string().into_string().ok());
    absolute.unwrap_or_else(|| path.into())
}

impl Output {
    fn create(&self, entry: &Entry) -> anyhow::Result<RunDir> {
        Ok(match self {
            Self::Numbered => RunDir::numbered(Path::new(RUNS), &entry.name.replace('.', "-"))?,
            Self::At(path, if_exists) => RunDir::create(path, *if_exists)?,
        })
    }
}

/// Writes the model directory and, last, that the run is finished: one that is killed in between ends again.
fn end(
    dir: &RunDir,
    record: &mut TrainingRecord,
    measures: Measures,
    finished: Finished,
    write: WriteModel,
) -> anyhow::Result<()> {
    let named = measures.all.iter().map(|m| m.name.to_string());
    record.config = finished.model.config.clone();
    record.result = Some(ResultRecord {
        examples: finished.examples.1,
        test: named.zip(finished.test).collect(),
        notes: finished.notes,
    });
    dir.check()?;
    write(dir.path(), &finished.model, record)?;
    record.write(dir)?;
    Ok(())
}
