//! From a request to a trained model directory: everything of `zoo train` but the printing.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use candle_core::Device;
use models::classifier::{Classifier, ClassifierConfig};
use models::model_dir::{self, Storage};
use models::preprocessor::{Interpolation, ResizeRule};
use models::registry::{self, Entry};
use models::{ModelConfig, ModelDir, Preprocessor};

use super::checkpoint::Checkpoint;
use super::metrics::DataNote;
use super::recipe::{self, Overrides};
use super::record::{DataRecord, ResultRecord, TrainingRecord};
use super::run_dir::{CARD, IfExists};
use super::tasks::classification::Classification;
use super::tasks::{Part, Task};
use super::trainer::{self, Run, Trained, Watch};
use super::{Ended, RunDir};
use crate::data::{ImageDataset, OpenOptions, SkippedFile, open_images};
use crate::hub::card::{self, Training};

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
    data: ImageDataset,
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
    /// Share of the test examples that are labelled right.
    pub accuracy: f64,
    /// Mean cross-entropy over the test part.
    pub loss: f64,
    /// Time in training, in this process.
    pub seconds: f64,
    /// Training examples a second, in this process.
    pub images_per_second: f64,
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
        recipe::resolve(
            entry.recipe,
            entry.default_data,
            entry.config(),
            &request.overrides,
        )?;
        if let Output::At(path, IfExists::Refuse) = &request.output {
            RunDir::check_free(path)?;
        }
        let data = open_images(request.data, entry.default_data, options)?;
        let dataset = if data.source.is_sample {
            "sample"
        } else {
            data.source.name.as_str()
        };
        let config = fit_to_data(entry, &data)?;
        let resolved = recipe::resolve(entry.recipe, dataset, config, &request.overrides)?;
        check_fit(&resolved.model, &data)?;
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
                argument: request.data.map(str::to_string),
                name: data.source.name.clone(),
                fingerprint: data.source.fingerprint.clone(),
                notice: data.source.notice.clone(),
            },
            recipe: resolved.recipe,
            config: resolved.model,
            result: None,
        };
        record.write(&dir)?;
        Ok(Self {
            dir,
            record,
            data,
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
        let argument = data.or(record.data.argument.as_deref());
        let data = open_images(argument, entry.default_data, options)?;
        if data.source.fingerprint != record.data.fingerprint {
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
            data,
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
        &self.data.source.skipped
    }

    /// Training examples, the held-out ones among them, and test examples.
    pub fn examples(&self) -> (usize, usize) {
        (self.data.train.len(), self.data.test.len())
    }

    /// Trains to the end and writes the model directory, or until `stop` is set.
    ///
    /// # Errors
    /// When training diverges or files cannot be written.
    pub fn train(
        mut self,
        device: &Device,
        watch: &dyn Watch,
        stop: &AtomicBool,
    ) -> anyhow::Result<SessionEnd> {
        let parameters = self.record.config.parameter_count()?;
        if self.finished {
            return Ok(SessionEnd::Finished(self.summary(parameters, None)));
        }
        let config = classifier(&self.record.config)?.clone();
        let data = std::mem::replace(&mut self.data, empty());
        let shape = data.test.shape();
        let labels = data.label_names.clone();
        let recipe = self.record.recipe.clone();
        let task = Classification::training(&config, data, &recipe, self.record.seed, device)?;
        let note = DataNote {
            name: self.record.data.name.clone(),
            notice: self.record.data.notice.clone(),
        };
        let ended = trainer::train(&Run {
            task: &task,
            recipe: &recipe,
            seed: self.record.seed,
            device,
            dir: &self.dir,
            title: &self.record.model,
            data: &note,
            watch,
            stop,
        })?;
        let trained = match ended {
            Ended::Interrupted { epoch, step } => {
                return Ok(SessionEnd::Interrupted(epoch, step));
            }
            Ended::Finished(trained) => trained,
        };
        let (mean, std) = task.statistics();
        let preprocessor = Preprocessor {
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
            mean: mean.to_vec(),
            std: std.to_vec(),
            interpolation: Interpolation::Bilinear,
            resize: ResizeRule::Crop,
        };
        self.export(&task, &trained, labels, preprocessor)?;
        let summary = self.summary(parameters, Some((&task, &trained)));
        Ok(SessionEnd::Finished(summary))
    }

    /// Writes the model directory, then drops the checkpoints: a run that is killed in between is finished again.
    fn export(
        &mut self,
        task: &Classification,
        trained: &Trained,
        labels: Vec<String>,
        preprocessor: Preprocessor,
    ) -> anyhow::Result<()> {
        let model = ModelDir {
            model: self.record.model.clone(),
            config: self.record.config.clone(),
            labels,
            preprocessor: Some(preprocessor),
            tensors: trained.store.tensors(),
        };
        let named = task.measures().iter().map(|m| m.name.to_string());
        self.record.result = Some(ResultRecord {
            examples: task.examples(Part::Test),
            test: named.zip(trained.test.iter().copied()).collect(),
        });
        model_dir::save(self.dir.path(), &model, Storage::Full)?;
        let training: Training = serde_json::from_value(serde_json::to_value(&self.record)?)?;
        let text = card::render(&model, &training, card::NO_LICENSE, None);
        self.dir.write(CARD, text.as_bytes())?;
        self.record.write(&self.dir)?;
        Checkpoint::remove_all(&self.dir)?;
        Ok(())
    }

    fn summary(&self, parameters: usize, trained: Option<(&Classification, &Trained)>) -> Summary {
        let measured = |name: &str| {
            let result = self.record.result.as_ref();
            result
                .and_then(|r| r.test.get(name).copied())
                .unwrap_or(f64::NAN)
        };
        let seconds = trained.map_or(0.0, |(_, t)| t.training_time.as_secs_f64());
        let seen = trained.map_or(0, |(_, t)| t.examples_seen);
        Summary {
            model: self.record.model.clone(),
            data: self.record.data.name.clone(),
            examples: trained.map_or(self.data.train.len(), |(task, _)| {
                task.examples(Part::Train)
            }),
            parameters,
            accuracy: measured("accuracy"),
            loss: measured("loss"),
            seconds,
            images_per_second: if seconds > 0.0 {
                seen as f64 / seconds
            } else {
                0.0
            },
            dir: self.dir.path().to_path_buf(),
        }
    }
}

fn empty() -> ImageDataset {
    let none = || crate::data::Images::empty(crate::data::ImageShape::new(1, 1, 1));
    ImageDataset {
        train: none(),
        test: none(),
        label_names: Vec::new(),
        source: crate::data::Source::default(),
    }
}

/// The settings of a classifier.
///
/// # Errors
/// When the network is another one.
pub fn classifier(config: &ModelConfig) -> anyhow::Result<&ClassifierConfig> {
    match config {
        ModelConfig::Classifier(config) => Ok(config),
        _ => bail!("this network is no classifier, and only classifiers can be used here"),
    }
}

fn fit_to_data(entry: &Entry, data: &ImageDataset) -> anyhow::Result<ModelConfig> {
    let mut config = classifier(&entry.config())
        .with_context(|| format!("cannot train `{}`", entry.name))?
        .clone();
    config.channels = data.train.channels;
    config.classes = data.label_names.len();
    Ok(ModelConfig::Classifier(config))
}

fn check_fit(model: &ModelConfig, data: &ImageDataset) -> anyhow::Result<()> {
    let config = classifier(model)?;
    let (name, shape) = (&data.source.name, data.train.shape());
    if config.classes != data.label_names.len() {
        bail!(
            "`model.classes` is {}, `{name}` has {} classes; leave it out",
            config.classes,
            data.label_names.len()
        );
    }
    if config.channels != shape.channels {
        bail!(
            "`model.channels` is {}, the images of `{name}` have {}; leave it out",
            config.channels,
            shape.channels
        );
    }
    let least = config.min_image_size();
    if shape.height < least || shape.width < least {
        bail!(
            "the images of `{name}` are {}×{}, and {} stages need at least {least}×{least}; give fewer `model.widths`",
            shape.height,
            shape.width,
            config.widths.len()
        );
    }
    Ok(())
}

/// The network of a model directory, ready to evaluate.
///
/// # Errors
/// When it is no classifier.
pub fn load_classifier(model: &ModelDir, device: &Device) -> anyhow::Result<Classifier> {
    let config = classifier(&model.config)?;
    let store = model.store(candle_core::DType::F32, device)?;
    Ok(Classifier::new(config, store.detached().var_builder())?)
}
