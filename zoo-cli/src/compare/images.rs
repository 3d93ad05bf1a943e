//! Classifiers and generators of images.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use models::{ModelConfig, registry};

use super::curves::{curve, last};
use super::{Case, Contrast, Measure, Plan, Results, RunOutcome, with_device};
use crate::data::{OpenOptions, public_name};
use crate::device::Opened;
use crate::hub::Settings;
use crate::plot::{Figure, LineChart, Scale};
use crate::train::recipe::{self, Descent, Overrides};
use crate::train::record::TrainingRecord;
use crate::train::run_dir::{IfExists, METRICS_CSV};
use crate::train::session::{Output, Request, Session, SessionEnd};
use crate::train::{RunDir, Watch};
use crate::{families, package};

/// Which models are compared, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageTask {
    /// The classifier, its baselines and its variants with attention on CIFAR-10.
    Cifar,
    /// The classifier that learns in few epochs and its baselines on CIFAR-10.
    CifarFast,
    /// The classifier and its baselines on MNIST and Fashion-MNIST.
    Mnist,
    /// The classifier that learns in few epochs and its baselines on MNIST and Fashion-MNIST.
    MnistFast,
    /// The generator and its baseline on CIFAR-10, CIFAR-100 and MNIST.
    Generation,
}

impl ImageTask {
    fn name(self) -> &'static str {
        match self {
            Self::Cifar => "cifar",
            Self::CifarFast => "cifar-fast",
            Self::Mnist => "mnist",
            Self::MnistFast => "mnist-fast",
            Self::Generation => "generation",
        }
    }

    fn models(self) -> &'static [&'static str] {
        match self {
            Self::Cifar => &[
                "cifar-classifier",
                "cifar-classifier.plain",
                "cifar-classifier.mlp",
                "cifar-classifier.attention",
                "cifar-classifier.attention-gmnm",
            ],
            Self::Mnist => &[
                "cifar-classifier",
                "cifar-classifier.plain",
                "cifar-classifier.mlp",
            ],
            Self::CifarFast | Self::MnistFast => &[
                "cifar-classifier.fast",
                "cifar-classifier.fast-plain",
                "cifar-classifier.fast-mlp",
            ],
            Self::Generation => &["image-generator", "image-generator.plain"],
        }
    }

    fn datasets(self) -> &'static [&'static str] {
        match self {
            Self::Cifar | Self::CifarFast => &["cifar10"],
            Self::Mnist | Self::MnistFast => &["mnist", "fashion-mnist"],
            Self::Generation => &["cifar10", "cifar100", "mnist"],
        }
    }

    fn measures(self) -> &'static [Measure] {
        match self {
            Self::Cifar | Self::CifarFast | Self::Mnist | Self::MnistFast => &[
                Measure {
                    name: "accuracy",
                    larger_is_better: true,
                    contrast: Contrast::Difference,
                },
                Measure {
                    name: "loss",
                    larger_is_better: false,
                    contrast: Contrast::Difference,
                },
            ],
            Self::Generation => &[
                Measure {
                    name: "mse",
                    larger_is_better: false,
                    contrast: Contrast::Ratio,
                },
                Measure {
                    name: "psnr",
                    larger_is_better: true,
                    contrast: Contrast::Difference,
                },
                Measure {
                    name: "ssim",
                    larger_is_better: true,
                    contrast: Contrast::Difference,
                },
            ],
        }
    }
}

/// A dataset by the name that it has in results, and by what `--data` said.
#[derive(Debug, Clone)]
struct Dataset {
    name: String,
    argument: String,
}

impl Dataset {
    fn new(argument: &str) -> Self {
        let last = public_name(argument);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let mut name = last.replace(|c| !plain(c), "-");
        // `.` and `..` are no names of their own.
        if name.chars().all(|c| c == '.') {
            name = name.replace('.', "-");
        }
        Self {
            name,
            argument: argument.to_string(),
        }
    }
}

/// Every model of a task on every dataset, trained as `zoo train` does.
#[derive(Debug)]
pub struct ImagePlan {
    task: ImageTask,
    datasets: Vec<Dataset>,
    set: Vec<String>,
    epochs: Option<usize>,
    hub: Settings,
    opened: Opened,
    /// The recipe of each dataset; all models of a task share it.
    recipes: Vec<Descent>,
    /// The networks' settings on each dataset, before its images say how many classes and channels there are.
    networks: Vec<BTreeMap<&'static str, ModelConfig>>,
}

impl ImagePlan {
    /// The plan of `task` on the dataset `data`, or on the task's own, each model by its recipe with `set` and
    /// `epochs` over it, on the device `opened`.
    ///
    /// # Errors
    /// When there is no such key of the recipe or of one of the networks.
    pub fn new(
        task: ImageTask,
        data: Option<&str>,
        set: &[String],
        epochs: Option<usize>,
        hub: Settings,
        opened: Opened,
    ) -> anyhow::Result<Self> {
        let datasets: Vec<Dataset> = match data {
            Some(data) => vec![Dataset::new(data)],
            None => task.datasets().iter().map(|d| Dataset::new(d)).collect(),
        };
        let mut plan = Self {
            task,
            datasets,
            set: set.to_vec(),
            epochs,
            hub,
            opened,
            recipes: Vec::new(),
            networks: Vec::new(),
        };
        for dataset in &plan.datasets {
            let mut shared: Option<Descent> = None;
            let mut networks = BTreeMap::new();
            for model in task.models() {
                let entry = registry::find(model)?;
                let overrides = plan.overrides();
                let data = &dataset.argument;
                let config = entry.config();
                let family = families::of(&config);
                let resolved = recipe::resolve(family, entry, data, &config, &overrides)?;
                networks.insert(*model, resolved.model);
                shared.get_or_insert(resolved.recipe.descent()?.clone());
            }
            plan.recipes.extend(shared);
            plan.networks.push(networks);
        }
        Ok(plan)
    }

    fn overrides(&self) -> Overrides<'_> {
        Overrides {
            file: None,
            set: &self.set,
            epochs: self.epochs,
            device: Some(&self.opened.device),
        }
    }

    /// The run in `dir` where it was interrupted, or a new one.
    fn session(&self, case: &Case, seed: u64, dir: &Path) -> anyhow::Result<Session> {
        let Some(dataset) = self.datasets.iter().find(|d| d.name == case.problem) else {
            bail!("`{}` is no dataset of this comparison", case.problem);
        };
        let data = Some(dataset.argument.as_str());
        let options = OpenOptions {
            hub: Some(&self.hub),
            ..OpenOptions::default()
        };
        let record = TrainingRecord::read(&RunDir::existing(dir));
        if record.is_ok_and(|r| r.model == case.model && r.seed == seed) {
            let dir = dir.to_path_buf();
            return Session::resume(dir, Some(&case.model), data, &options, families::trainable);
        }
        let request = Request {
            model: &case.model,
            data,
            seed,
            overrides: self.overrides(),
            output: Output::At(dir.to_path_buf(), IfExists::Overwrite),
        };
        Session::new(&request, &options, families::trainable)
    }
}

/// Passes the progress of one run on, and its answer back.
struct Follower<'a> {
    progress: RefCell<&'a mut dyn FnMut(f64) -> bool>,
    stop: AtomicBool,
    /// Finished epochs, all epochs, finished steps and all steps of the epoch.
    at: Cell<(usize, usize, u64, u64)>,
}

impl Watch for Follower<'_> {
    fn epoch_begins(&self, epoch: usize, epochs: usize, steps: u64, done: u64) {
        self.at.set((epoch - 1, epochs.max(1), done, steps.max(1)));
    }

    fn step(&self, _: f64) {
        let (epoch, epochs, done, steps) = self.at.get();
        self.at.set((epoch, epochs, done + 1, steps));
        let within = (done + 1) as f64 / steps as f64;
        let part = (epoch as f64 + within) / epochs as f64;
        if !(self.progress.borrow_mut())(part) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Plan for ImagePlan {
    fn name(&self) -> &'static str {
        self.task.name()
    }

    fn about(&self) -> String {
        let settings: Vec<String> = self
            .datasets
            .iter()
            .zip(&self.recipes)
            .map(|(dataset, r)| {
                format!(
                    "{} epochs of `{}` in batches of {}",
                    r.epochs, dataset.name, r.batch_size
                )
            })
            .collect();
        let set = match self.set.join(" ") {
            set if set.is_empty() => String::new(),
            set => format!(", with `{set}`"),
        };
        format!(
            "Trained from scratch by one recipe for all models: {}{set}. Measured once on the test part.",
            settings.join(", ")
        )
    }

    fn settings(&self) -> serde_json::Value {
        let data: Vec<&str> = self.datasets.iter().map(|d| d.argument.as_str()).collect();
        let settings = serde_json::json!({
            "models": self.networks,
            "data": data,
            "set": self.set,
            "recipes": self.recipes,
        });
        with_device(settings, &self.opened)
    }

    fn cases(&self) -> Vec<Case> {
        let case = |problem: &Dataset, model: &&str| Case {
            problem: problem.name.clone(),
            model: model.to_string(),
        };
        let datasets = self.datasets.iter();
        datasets
            .flat_map(|d| self.task.models().iter().map(move |m| case(d, m)))
            .collect()
    }

    fn measures(&self) -> &[Measure] {
        self.task.measures()
    }

    fn run(
        &self,
        case: &Case,
        seed: u64,
        dir: &Path,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>> {
        let follower = Follower {
            progress: RefCell::new(progress),
            stop: AtomicBool::new(false),
            at: Cell::new((0, 1, 0, 1)),
        };
        let session = self.session(case, seed, dir)?;
        let summary = match session.train(
            &self.opened.device,
            &follower,
            &follower.stop,
            package::write,
        )? {
            SessionEnd::Interrupted(..) => return Ok(None),
            SessionEnd::Finished(summary) => summary,
        };
        // Read back where every digit was kept, so that a run that had been finished but not entered gives the same.
        let metrics = dir.join(METRICS_CSV);
        let value = |m: &Measure| last(&metrics, &format!("test_{}", m.name)).unwrap_or(f64::NAN);
        Ok(Some(RunOutcome {
            parameters: summary.parameters,
            // Not a number for such a run.
            step_ms: summary.seconds * 1e3 / summary.steps as f64,
            values: self.measures().iter().map(value).collect(),
        }))
    }

    fn figures(&self, dir: &Path, results: &Results) -> Vec<(String, String)> {
        let Some(measure) = self.measures().first() else {
            return Vec::new();
        };
        let title = format!(
            "{}: median over the seeds, shaded from the least to the largest",
            self.name()
        );
        let mut figure = Figure::new(title, self.datasets.len().min(3)).panel_size(390.0, 300.0);
        for (dataset, recipe) in self.datasets.iter().zip(&self.recipes) {
            // The test part is measured only once.
            let (part, words) = match recipe.validation.fraction > 0.0 {
                true => ("validation", "held-out"),
                false => ("train", "training"),
            };
            let title = format!("{}: {words} {}", dataset.name, measure.name);
            let mut chart = LineChart::new(title).x_label("epoch");
            if measure.contrast == Contrast::Ratio {
                chart = chart.y_scale(Scale::Log);
            }
            for model in self.task.models() {
                let case = Case {
                    problem: dataset.name.clone(),
                    model: model.to_string(),
                };
                let curve = curve(dir, results, &case, &format!("{part}_{}", measure.name));
                let short = model.split_once('.').map_or("GMNM", |(_, variant)| variant);
                chart = chart.line(short, curve.median).band(curve.range);
            }
            figure = figure.panel(chart);
        }
        vec![("curves.svg".to_string(), figure.svg())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn a_dataset_has_a_name_that_is_safe_in_paths_and_tables() {
        for (argument, name) in [
            ("cifar10", "cifar10"),
            ("../my data/cifar,10", "cifar-10"),
            ("/data/digits.tar.gz", "digits.tar.gz"),
            ("..", "--"),
        ] {
            assert_eq!(Dataset::new(argument).name, name);
        }
    }

    /// What the table says and what the runs do are then the same.
    #[test]
    fn the_recipe_of_a_path_is_that_of_the_dataset_that_it_is_called_by() {
        let epochs = |data: &str| {
            let hub = Settings::resolve_from(&Default::default(), &|_| None).unwrap();
            let opened = DeviceChoice::Cpu.open().unwrap();
            let plan = ImagePlan::new(ImageTask::MnistFast, Some(data), &[], None, hub, opened);
            plan.unwrap().recipes[0].epochs
        };
        assert_eq!(epochs("/somewhere/mnist"), epochs("mnist"));
        assert_ne!(epochs("mnist"), epochs("cifar10"));
    }
}
