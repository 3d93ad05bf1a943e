//! The models by name: the only place that lists them.

use gmnm_core::Aggregation;
use gmnm_core::ops::Activation;

use crate::classifier::{ClassifierConfig, Head, Normalization};
use crate::config::ModelConfig;
use crate::field::FieldConfig;
use crate::forecaster::{
    DecompositionConfig, ForecastNetwork, ForecasterConfig, HeadConfig, HeadMixture, HeadMlp,
    InstanceNorm, LstmConfig, RecurrentConfig,
};
use crate::generator::{GateConfig, GeneratorConfig};
use crate::layers::spline::SplineGrid;
use crate::layers::{
    AttentionConfig, GmnmFunction, MixFunction, MixerConfig, MlpFunction, Placement,
    WhiteningConfig,
};

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

/// A model that the zoo knows by name.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name on the command line: `family` or `family.variant`.
    pub name: &'static str,
    /// What it solves.
    pub task: Task,
    /// One line for a listing.
    pub summary: &'static str,
    /// The name of the data set that it trains on when none is given.
    pub default_data: &'static str,
    /// The name of its training recipe.
    pub recipe: &'static str,
    config: fn() -> ModelConfig,
}

impl Entry {
    /// The default configuration, for three channels and ten classes where a model has such.
    pub fn config(&self) -> ModelConfig {
        (self.config)()
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
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1)
                .min(row[j] + 1)
                .min(diagonal + usize::from(ca != cb));
            diagonal = above;
        }
    }
    row[b.len()]
}

/// The classifier's features by stage.
const WIDTHS: [usize; 3] = [32, 80, 160];

/// The features by stage of the classifier that learns in few epochs.
const FAST_WIDTHS: [usize; 3] = [64, 256, 256];

const ENTRIES: &[Entry] = &[
    Entry {
        name: "cifar-classifier",
        task: Task::Classification,
        summary: "convolution stages with a Gaussian mixture over the channels after each",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || classifier(WIDTHS, Some(gmnm()), None),
    },
    Entry {
        name: "cifar-classifier.attention",
        task: Task::Classification,
        summary: "with self-attention between the pixels of the last stage",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || {
            let attention = AttentionConfig {
                heads: 4,
                components: None,
            };
            classifier(WIDTHS, Some(gmnm()), Some(attention))
        },
    },
    Entry {
        name: "cifar-classifier.attention-gmnm",
        task: Task::Classification,
        summary: "with self-attention whose output projection is a Gaussian mixture",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || {
            let attention = AttentionConfig {
                heads: 4,
                components: Some(WIDTHS[2]),
            };
            classifier(WIDTHS, Some(gmnm()), Some(attention))
        },
    },
    Entry {
        name: "cifar-classifier.plain",
        task: Task::Classification,
        summary: "baseline: no mixture, wider convolutions with at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || classifier([36, 89, 178], None, None),
    },
    Entry {
        name: "cifar-classifier.mlp",
        task: Task::Classification,
        summary: "baseline: a perceptron with GELU in the mixture's place, at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || {
            let mixer = MixerConfig {
                function: MixFunction::Mlp(MlpFunction {
                    hidden: vec![48, 120, 240],
                }),
                ..gmnm()
            };
            classifier(WIDTHS, Some(mixer), None)
        },
    },
    Entry {
        name: "cifar-classifier.fast",
        task: Task::Classification,
        summary: "whitened patches and wider convolutions that learn in few epochs, with a Gaussian mixture",
        default_data: "cifar10",
        recipe: "cifar-classifier.fast",
        config: || fast(FAST_WIDTHS, Some(fast_gmnm())),
    },
    Entry {
        name: "cifar-classifier.fast-plain",
        task: Task::Classification,
        summary: "baseline: the fast network without the mixture, at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier.fast",
        config: || fast([64, 256, 272], None),
    },
    Entry {
        name: "cifar-classifier.fast-mlp",
        task: Task::Classification,
        summary: "baseline: the fast network, a perceptron in the mixture's place, at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier.fast",
        config: || {
            let mixer = MixerConfig {
                function: MixFunction::Mlp(MlpFunction {
                    hidden: vec![96, 96, 96],
                }),
                ..fast_gmnm()
            };
            fast(FAST_WIDTHS, Some(mixer))
        },
    },
    Entry {
        name: "fashion-classifier",
        task: Task::Classification,
        summary: "the classifier with a Gaussian mixture for small grey images of clothes",
        default_data: "fashion-mnist",
        recipe: "cifar-classifier",
        config: || match classifier(WIDTHS, Some(gmnm()), None) {
            ModelConfig::Classifier(config) => ModelConfig::Classifier(ClassifierConfig {
                channels: 1,
                ..config
            }),
            other => other,
        },
    },
    Entry {
        name: "image-generator",
        task: Task::Generation,
        summary: "an autoencoder whose decoder a Gaussian mixture of the latent multiplies",
        default_data: "cifar10",
        recipe: "image-generator",
        config: || {
            let gate = GateConfig {
                components: 32,
                projections: 4,
                aggregation: Aggregation::Norm,
            };
            generator([32, 64, 128], Some(gate))
        },
    },
    Entry {
        name: "image-generator.plain",
        task: Task::Generation,
        summary: "baseline: no mixture, wider convolutions with at least as many parameters",
        default_data: "cifar10",
        recipe: "image-generator",
        config: || generator([46, 92, 182], None),
    },
    Entry {
        name: "series-forecaster",
        task: Task::Forecasting,
        summary: "an LSTM over segments with a Gaussian mixture as its head",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || {
            recurrent(
                128,
                HeadConfig::Gmnm(HeadMixture {
                    components: 64,
                    projections: 1,
                    aggregation: Aggregation::Norm,
                    linear: true,
                }),
            )
        },
    },
    Entry {
        name: "series-forecaster.plain",
        task: Task::Forecasting,
        summary: "baseline: no mixture, a linear head on more hidden values, at least as many parameters",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || recurrent(138, HeadConfig::Linear),
    },
    Entry {
        name: "series-forecaster.mlp",
        task: Task::Forecasting,
        summary: "baseline: a perceptron with GELU in the mixture's place, at least as many parameters",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || {
            recurrent(
                128,
                HeadConfig::Mlp(HeadMlp {
                    hidden: 110,
                    linear: true,
                }),
            )
        },
    },
    Entry {
        name: "series-forecaster.dlinear",
        task: Task::Forecasting,
        summary: "DLinear: linear maps of a moving average and of what is left",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || {
            forecaster(
                InstanceNorm::None,
                ForecastNetwork::Decomposition(DecompositionConfig { window: 25 }),
            )
        },
    },
    Entry {
        name: "series-forecaster.lstm",
        task: Task::Forecasting,
        summary: "baseline: an LSTM over single steps and a linear map, at least as many parameters",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || {
            let network = ForecastNetwork::Lstm(LstmConfig { hidden: 134 });
            forecaster(InstanceNorm::None, network)
        },
    },
    Entry {
        name: "surface-fitter",
        task: Task::Fitting,
        summary: "two Gaussian-mixture layers from the plane to a number",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(gmnm_field([12, 8], [1, 2])),
    },
    Entry {
        name: "surface-fitter.mlp",
        task: Task::Fitting,
        summary: "baseline: a perceptron with one hidden layer, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(mlp_field(&[51])),
    },
    Entry {
        name: "surface-fitter.mlp-deep",
        task: Task::Fitting,
        summary: "baseline: a perceptron with two hidden layers, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(mlp_field(&[12, 12])),
    },
    Entry {
        name: "surface-fitter.kan",
        task: Task::Fitting,
        summary: "baseline: a Kolmogorov-Arnold network, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(kan_field()),
    },
    Entry {
        name: "poisson-solver",
        task: Task::Poisson,
        summary: "two Gaussian-mixture layers from the plane to a number",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(gmnm_field([12, 11], [1, 1])),
    },
    Entry {
        name: "poisson-solver.mlp",
        task: Task::Poisson,
        summary: "baseline: a perceptron with two hidden layers, at least as many parameters",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(mlp_field(&[12, 12])),
    },
    Entry {
        name: "poisson-solver.kan",
        task: Task::Poisson,
        summary: "baseline: a Kolmogorov-Arnold network, at least as many parameters",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(kan_field()),
    },
];

fn generator(widths: [usize; 3], gate: Option<GateConfig>) -> ModelConfig {
    ModelConfig::Generator(GeneratorConfig {
        channels: 3,
        height: 32,
        width: 32,
        latent: 128,
        widths: widths.to_vec(),
        features: 16,
        activation: Activation::Gelu,
        gate,
    })
}

fn classifier(
    widths: [usize; 3],
    mixer: Option<MixerConfig>,
    attention: Option<AttentionConfig>,
) -> ModelConfig {
    ModelConfig::Classifier(ClassifierConfig {
        channels: 3,
        classes: 10,
        widths: widths.to_vec(),
        convs: 2,
        stem: None,
        normalization: Normalization::Affine,
        head: Head::Mean,
        activation: Activation::Gelu,
        mixer,
        attention,
        logit_scale: 1.0,
    })
}

fn fast(widths: [usize; 3], mixer: Option<MixerConfig>) -> ModelConfig {
    ModelConfig::Classifier(ClassifierConfig {
        channels: 3,
        classes: 10,
        widths: widths.to_vec(),
        convs: 2,
        stem: Some(WhiteningConfig {
            kernel: 2,
            eps: WhiteningConfig::EPS,
        }),
        normalization: Normalization::Shift,
        head: Head::Max,
        activation: Activation::Gelu,
        mixer,
        attention: None,
        logit_scale: 1.0 / 9.0,
    })
}

/// A mixture of the pooled channels: it costs next to no time, and tells each convolution of the whole image.
fn fast_gmnm() -> MixerConfig {
    MixerConfig {
        placement: Placement::PooledGate,
        normalize_input: true,
        function: MixFunction::Gmnm(GmnmFunction {
            components: vec![64, 64, 64],
            projections: 1,
            aggregation: Aggregation::Norm,
        }),
    }
}

fn gmnm() -> MixerConfig {
    MixerConfig {
        placement: Placement::Residual,
        normalize_input: true,
        function: MixFunction::Gmnm(GmnmFunction {
            components: WIDTHS.to_vec(),
            projections: 1,
            aggregation: Aggregation::Norm,
        }),
    }
}

fn recurrent(hidden: usize, head: HeadConfig) -> ModelConfig {
    forecaster(
        InstanceNorm::Last,
        ForecastNetwork::Recurrent(RecurrentConfig {
            segment: 48,
            hidden,
            embed_components: None,
            dropout: 0.3,
            head,
        }),
    )
}

fn forecaster(normalization: InstanceNorm, network: ForecastNetwork) -> ModelConfig {
    ModelConfig::Forecaster(ForecasterConfig {
        look_back: 720,
        horizon: 96,
        channels: 7,
        normalization,
        network,
        series: None,
    })
}

fn gmnm_field(components: [usize; 2], projections: [usize; 2]) -> FieldConfig {
    FieldConfig::Gmnm {
        hidden: vec![4],
        components: components.to_vec(),
        projections: projections.to_vec(),
        aggregation: Aggregation::Norm,
    }
}

fn mlp_field(hidden: &[usize]) -> FieldConfig {
    FieldConfig::Mlp {
        hidden: hidden.to_vec(),
    }
}

fn kan_field() -> FieldConfig {
    let grid = SplineGrid {
        low: -1.0,
        high: 1.0,
        intervals: 10,
    };
    FieldConfig::Kan {
        hidden: vec![5],
        grids: vec![grid; 2],
    }
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
                if own && entry.summary.starts_with("baseline") {
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
        }
    }
}
