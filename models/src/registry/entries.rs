//! The models of the registry, with the settings of their networks.

use gmnm_core::Aggregation;
use gmnm_core::ops::Activation;

use super::{Entry, Role, Task};
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

/// The classifier's features by stage.
const WIDTHS: [usize; 3] = [32, 80, 160];

/// The features by stage of the classifier that learns in few epochs.
const FAST_WIDTHS: [usize; 3] = [64, 256, 256];

/// All models, families together, each family's default first.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "cifar-classifier",
        task: Task::Classification,
        role: Role::Model,
        summary: "convolution stages with a Gaussian mixture over the channels after each",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || classifier(WIDTHS, Some(gmnm()), None),
    },
    Entry {
        name: "cifar-classifier.attention",
        task: Task::Classification,
        role: Role::Model,
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
        role: Role::Model,
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
        role: Role::Baseline,
        summary: "no mixture, wider convolutions with at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier",
        config: || classifier([36, 89, 178], None, None),
    },
    Entry {
        name: "cifar-classifier.mlp",
        task: Task::Classification,
        role: Role::Baseline,
        summary: "a perceptron with GELU in the mixture's place, at least as many parameters",
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
        role: Role::Model,
        summary: "whitened patches and wider convolutions that learn in few epochs, with a Gaussian mixture",
        default_data: "cifar10",
        recipe: "cifar-classifier.fast",
        config: || fast(FAST_WIDTHS, Some(fast_gmnm())),
    },
    Entry {
        name: "cifar-classifier.fast-plain",
        task: Task::Classification,
        role: Role::Baseline,
        summary: "the fast network without the mixture, at least as many parameters",
        default_data: "cifar10",
        recipe: "cifar-classifier.fast",
        config: || fast([64, 256, 272], None),
    },
    Entry {
        name: "cifar-classifier.fast-mlp",
        task: Task::Classification,
        role: Role::Baseline,
        summary: "the fast network, a perceptron in the mixture's place, at least as many parameters",
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
        role: Role::Model,
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
        role: Role::Model,
        summary: "an autoencoder whose decoder a Gaussian mixture of the latent multiplies",
        default_data: "cifar10",
        recipe: "image-generator",
        config: || {
            let gate = GateConfig {
                components: 8,
                projections: 4,
                aggregation: Aggregation::Norm,
                normalize_input: true,
            };
            generator([44, 88, 176], Some(gate))
        },
    },
    Entry {
        name: "image-generator.plain",
        task: Task::Generation,
        role: Role::Baseline,
        summary: "no mixture, wider convolutions with at least as many parameters",
        default_data: "cifar10",
        recipe: "image-generator",
        config: || generator([48, 96, 192], None),
    },
    Entry {
        name: "series-forecaster",
        task: Task::Forecasting,
        role: Role::Model,
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
        role: Role::Baseline,
        summary: "no mixture, a linear head on more hidden values, at least as many parameters",
        default_data: "sample",
        recipe: "series-forecaster",
        config: || recurrent(138, HeadConfig::Linear),
    },
    Entry {
        name: "series-forecaster.mlp",
        task: Task::Forecasting,
        role: Role::Baseline,
        summary: "a perceptron with GELU in the mixture's place, at least as many parameters",
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
        role: Role::Model,
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
        role: Role::Baseline,
        summary: "an LSTM over single steps and a linear map, at least as many parameters",
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
        role: Role::Model,
        summary: "one or two Gaussian-mixture layers from the plane to a number, as the surface asks",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(gmnm_field(&[2], &[17, 20], &[1, 1])),
    },
    Entry {
        name: "surface-fitter.mlp",
        task: Task::Fitting,
        role: Role::Baseline,
        summary: "a perceptron with one hidden layer, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(mlp_field(&[51])),
    },
    Entry {
        name: "surface-fitter.mlp-deep",
        task: Task::Fitting,
        role: Role::Baseline,
        summary: "a perceptron with two hidden layers, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(mlp_field(&[12, 12])),
    },
    Entry {
        name: "surface-fitter.kan",
        task: Task::Fitting,
        role: Role::Baseline,
        summary: "a Kolmogorov-Arnold network, at least as many parameters",
        default_data: "exponential",
        recipe: "surface-fitter",
        config: || ModelConfig::Surface(kan_field(&[5], 10)),
    },
    Entry {
        name: "poisson-solver",
        task: Task::Poisson,
        role: Role::Model,
        summary: "two Gaussian-mixture layers from the plane to a number",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(gmnm_field(&[4], &[12, 11], &[1, 1])),
    },
    Entry {
        name: "poisson-solver.mlp",
        task: Task::Poisson,
        role: Role::Baseline,
        summary: "a perceptron with two hidden layers, at least as many parameters",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(mlp_field(&[12, 12])),
    },
    Entry {
        name: "poisson-solver.kan",
        task: Task::Poisson,
        role: Role::Baseline,
        summary: "a Kolmogorov-Arnold network, at least as many parameters",
        default_data: "sine-sine",
        recipe: "poisson-solver",
        config: || ModelConfig::Poisson(kan_field(&[5], 10)),
    },
];

/// See [`Entry::alternatives`]. Beside the mixture's two layers, which compose functions, stand one layer of hills
/// (components of two projections) and one of ridges (of one).
pub(super) fn alternatives(name: &str) -> Vec<ModelConfig> {
    let shapes = match name {
        "surface-fitter" => vec![
            gmnm_field(&[], &[29], &[2]),
            gmnm_field(&[], &[40], &[1]),
            gmnm_field(&[3], &[12, 9], &[2, 2]),
        ],
        "surface-fitter.mlp-deep" => vec![mlp_field(&[9, 9, 8])],
        "surface-fitter.kan" => vec![kan_field(&[2], 30), kan_field(&[1], 64)],
        _ => Vec::new(),
    };
    shapes.into_iter().map(ModelConfig::Surface).collect()
}

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
        residual: false,
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
        residual: false,
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
            dropout: 0.1,
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

fn gmnm_field(hidden: &[usize], components: &[usize], projections: &[usize]) -> FieldConfig {
    FieldConfig::Gmnm {
        hidden: hidden.to_vec(),
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

fn kan_field(hidden: &[usize], intervals: usize) -> FieldConfig {
    let grid = SplineGrid {
        low: -1.0,
        high: 1.0,
        intervals,
    };
    FieldConfig::Kan {
        hidden: hidden.to_vec(),
        grids: vec![grid; hidden.len() + 1],
    }
}
