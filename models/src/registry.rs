//! The models by name: the only place that lists them.

use crate::config::ModelConfig;

mod entries;

use entries::ENTRIES;

/// The kind of problem that a model solves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Images to classes.
    Classification,
    /// Images to a latent vector and back.
    Generation,
    /// The past of a series to its coming steps.
    Forecasting,
    /// Points of the plane to the height of a surface.
    Fitting,
    /// Points of the plane to the solution of a Poisson equation.
    Poisson,
}

impl Task {
    /// The task in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classification => "image classification",
            Self::Generation => "image generation",
            Self::Forecasting => "forecasting",
            Self::Fitting => "surface fitting",
            Self::Poisson => "Poisson equation",
        }
    }
}

/// What a model is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To be used: the default of a family or a variant of it.
    Model,
    /// To be held against the mixture of its family: it has none, and at least as many parameters.
    Baseline,
}

/// A model that the zoo knows by name.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name on the command line: `family` or `family.variant`.
    pub name: &'static str,
    /// What it solves.
    pub task: Task,
    /// What it is there for.
    pub role: Role,
    /// What it is made of, in one line.
    pub summary: &'static str,
    /// The name of the data set that it trains on when none is given.
    pub default_data: &'static str,
    /// The name of its training recipe.
    pub recipe: &'static str,
    config: fn() -> ModelConfig,
}

impl Entry {
    /// Its role, where that is to be a baseline, and its summary: one line for a listing.
    pub fn about(&self) -> String {
        match self.role {
            Role::Model => self.summary.to_string(),
            Role::Baseline => format!("baseline: {}", self.summary),
        }
    }

    /// The default configuration, for three channels and ten classes where a model has such.
    pub fn config(&self) -> ModelConfig {
        (self.config)()
    }

    /// Other shapes of the network, of as many parameters, that training may choose from besides [`config`](Self::config):
    /// surfaces are too unlike for one shape.
    pub fn alternatives(&self) -> Vec<ModelConfig> {
        entries::alternatives(self.name)
    }
}

/// A name that is not in the registry.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("there is no model `{name}`, did you mean `{nearest}`? `zoo list` shows all")]
pub struct UnknownModel {
    /// The name that was asked for.
    pub name: String,
    /// The known name nearest to it.
    pub nearest: &'static str,
}

/// All models, families together, each family's default first.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// The model called `name`.
///
/// # Errors
/// Suggests the nearest name when there is none.
pub fn find(name: &str) -> Result<&'static Entry, UnknownModel> {
    ENTRIES.iter().find(|e| e.name == name).ok_or_else(|| {
        let nearest = ENTRIES
            .iter()
            .min_by_key(|e| edit_distance(e.name, name))
            .map_or("cifar-classifier", |e| e.name);
        UnknownModel {
            name: name.to_string(),
            nearest,
        }
    })
}

/// Levenshtein's distance: the insertions, deletions and substitutions that turn `a` into `b`.
pub fn edit_distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = find("cifar-clasifier.plane").unwrap_err();
        assert_eq!(error.nearest, "cifar-classifier.plain");
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn baselines_have_at_least_the_parameters_of_the_mixture_and_hardly_more() {
        for (family, slack) in [
            ("cifar-classifier", 1.03),
            ("cifar-classifier.fast", 1.03),
            ("image-generator", 1.03),
            ("series-forecaster", 1.03),
            // So small that one more spline interval is five percent.
            ("surface-fitter", 1.05),
            ("poisson-solver", 1.05),
        ] {
            let count = |name: &str| find(name).unwrap().config().parameter_count().unwrap();
            let ours = count(family);
            let mut baselines = 0;
            for entry in entries() {
                let rest = entry.name.strip_prefix(family);
                let own = rest.is_some_and(|rest| {
                    if family.ends_with(".fast") {
                        rest.starts_with('-')
                    } else {
                        rest.starts_with('.') && !rest.starts_with(".fast")
                    }
                });
                if own && entry.role == Role::Baseline {
                    baselines += 1;
                    let theirs = count(entry.name);
                    assert!(
                        theirs >= ours && theirs as f64 <= slack * ours as f64,
                        "{}: {theirs} against {ours}",
                        entry.name
                    );
                }
            }
            assert!(baselines > 0, "{family} has none");
        }
    }

    #[test]
    fn names_are_unique_and_configurations_valid() {
        for (i, entry) in entries().iter().enumerate() {
            assert!(entries()[..i].iter().all(|e| e.name != entry.name));
            entry.config().validate().unwrap();
            let count = |config: &ModelConfig| config.parameter_count().unwrap() as f64;
            for shape in entry.alternatives() {
                shape.validate().unwrap();
                let ratio = count(&shape) / count(&entry.config());
                // No shape has more than its network's own but for rounding, and none much less.
                assert!((0.95..=1.05).contains(&ratio), "{}: {ratio}", entry.name);
            }
        }
    }
}
