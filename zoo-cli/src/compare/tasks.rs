//! What `zoo compare` compares: which models, and on what.

use anyhow::Context;
use clap::ValueEnum;
use models::registry::{self, Entry, UnknownModel};

use super::plan::Subject;
use crate::families::{self, Family};
use crate::field::{EQUATIONS, Problem, SURFACES, UnknownProblem};

/// A comparison that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// `cifar-classifier`, its baselines and its variants with attention on CIFAR-10.
    Cifar,
    /// `cifar-classifier.fast` and its baselines on CIFAR-10.
    CifarFast,
    /// `cifar-classifier` and its baselines on MNIST and Fashion-MNIST.
    Mnist,
    /// `cifar-classifier.fast` and its baselines on MNIST and Fashion-MNIST.
    MnistFast,
    /// `image-generator` and its baseline on CIFAR-10, CIFAR-100 and MNIST.
    Generation,
    /// `surface-fitter` and its baselines on every surface.
    Surfaces,
    /// `poisson-solver` and its baselines on every equation.
    Poisson,
    /// `series-forecaster`, its baselines, and forecasts that repeat, at several horizons.
    Forecast,
}

/// The horizons of the literature's tables.
const HORIZONS: [usize; 4] = [96, 192, 336, 720];

impl Task {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar => "cifar",
            Self::CifarFast => "cifar-fast",
            Self::Mnist => "mnist",
            Self::MnistFast => "mnist-fast",
            Self::Generation => "generation",
            Self::Surfaces => "surfaces",
            Self::Poisson => "poisson",
            Self::Forecast => "forecast",
        }
    }

    /// The family of its models.
    ///
    /// # Errors
    /// When the registry lacks them.
    pub fn family(self) -> anyhow::Result<&'static dyn Family> {
        let models = self.models()?;
        let first = models.first().context("there are no models to compare")?;
        Ok(families::of(&first.config()))
    }

    /// The models, the layer's first.
    pub(super) fn models(self) -> Result<Vec<&'static Entry>, UnknownModel> {
        let names: &[&str] = match self {
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
            Self::Surfaces => return Ok(all(registry::Task::Fitting)),
            Self::Poisson => return Ok(all(registry::Task::Poisson)),
            Self::Forecast => return Ok(all(registry::Task::Forecasting)),
        };
        names.iter().map(|name| registry::find(name)).collect()
    }

    /// What the models learn: the dataset or problem `data`, or else the task's own, and of a series each of these
    /// `horizons`, where some are given.
    ///
    /// # Errors
    /// When there is no problem of that name.
    pub(super) fn subjects(
        self,
        data: Option<&str>,
        horizons: &[usize],
    ) -> Result<Vec<Subject>, UnknownProblem> {
        let planar = match self {
            Self::Surfaces => Some(registry::Task::Fitting),
            Self::Poisson => Some(registry::Task::Poisson),
            _ => None,
        };
        if let (Some(task), Some(name)) = (planar, data) {
            Problem::find(task, name)?;
        }
        let own: Vec<&str> = match self {
            Self::Cifar | Self::CifarFast => vec!["cifar10"],
            Self::Mnist | Self::MnistFast => vec!["mnist", "fashion-mnist"],
            Self::Generation => vec!["cifar10", "cifar100", "mnist"],
            Self::Surfaces => SURFACES.iter().map(|s| s.name).collect(),
            Self::Poisson => EQUATIONS.iter().map(|e| e.name).collect(),
            Self::Forecast => {
                let horizons = match horizons {
                    [] => &HORIZONS,
                    given => given,
                };
                let horizons = horizons.iter();
                return Ok(horizons.map(|&h| Subject::horizon(data, h)).collect());
            }
        };
        Ok(match data {
            Some(data) => vec![Subject::dataset(data)],
            None => own.into_iter().map(Subject::dataset).collect(),
        })
    }
}

fn all(task: registry::Task) -> Vec<&'static Entry> {
    let entries = registry::entries().iter();
    entries.filter(|entry| entry.task == task).collect()
}
