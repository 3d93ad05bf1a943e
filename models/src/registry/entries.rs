//! The models of the registry, with the settings of their networks.

use gmnm_core::Aggregation;
use gmnm_core::ops::Activation;

use super::Role::{Baseline, Model};
use super::{Entry, Role, Task};
use crate::classifier::{ClassifierConfig, Head, Normalization};
use crate::config::ModelConfig;
use crate::field::{FieldConfig, SplineGrid};
use crate::forecaster::{
    DecompositionConfig, ForecastNetwork, ForecasterConfig, HeadConfig, HeadMixer, InstanceNorm,
    LstmConfig, RecurrentConfig,
};
use crate::generator::{GateConfig, GeneratorConfig};
use crate::layers::{
    AttentionConfig, ChannelMixerConfig, MixerConfig, MixtureConfig, PerceptronConfig, Placement,
    WhiteningConfig,
};

/// The classifier's features by stage.
const WIDTHS: [usize; 3] = [32, 80, 160];

/// The features by stage of the classifier that learns in few epochs.
const FAST_WIDTHS: [usize; 3] = [64, 256, 256];

/// Models that solve the same task and are trained by the same recipe: the task, the data, the recipe.
struct Family(Task, &'static str, &'static str);

impl Family {
    const fn entry(
        &self,
        role: Role,
        name: &'static str,
        summary: &'static str,
        config: fn() -> ModelConfig,
    ) -> Entry {
        Entry {
            name,
            task: self.0,
            role,
            summary,
            default_data: self.1,
            recipe: self.2,
            config,
        }
    }
}

const CLASSIFIER: Family = Family(Task::Classification, "cifar10", "cifar-classifier");
const FAST: Family = Family(Task::Classification, "cifar10", "cifar-classifier.fast");
const CLOTHES: Family = Family(Task::Classification, "fashion-mnist", "cifar-classifier");
const GENERATOR: Family = Family(Task::Generation, "cifar10", "image-generator");
const FORECASTER: Family = Family(Task::Forecasting, "sample", "series-forecaster");
const SURFACE: Family = Family(Task::Fitting, "exponential", "surface-fitter");
const POISSON: Family = Family(Task::Poisson, "sine-sine", "poisson-solver");

/// All models, families together, each family's default first.
pub(super) const ENTRIES: &[Entry] = &[
    CLASSIFIER.entry(
        Model,
        "cifar-classifier",
        "convolution stages with a Gaussian mixture over the channels after each",
        || ModelConfig::Classifier(classifier(WIDTHS, Some(gmnm()), None)),
    ),
    CLASSIFIER.entry(
        Model,
        "cifar-classifier.attention",
        "with self-attention between the pixels of the last stage",
        || ModelConfig::Classifier(classifier(WIDTHS, Some(gmnm()), attention(None))),
    ),
    CLASSIFIER.entry(
        Model,
        "cifar-classifier.attention-gmnm",
        "with self-attention whose output projection is a Gaussian mixture",
        || ModelConfig::Classifier(classifier(WIDTHS, Some(gmnm()), attention(Some(WIDTHS[2])))),
    ),
    CLASSIFIER.entry(
        Baseline,
        "cifar-classifier.plain",
        "no mixture, wider convolutions with at least as many parameters",
        || ModelConfig::Classifier(classifier([36, 89, 178], None, None)),
    ),
    CLASSIFIER.entry(
        Baseline,
        "cifar-classifier.mlp",
        "a perceptron with GELU in the mixture's place, at least as many parameters",
        || ModelConfig::Classifier(classifier(WIDTHS, Some(mlp(gmnm(), [48, 120, 240])), None)),
    ),
    FAST.entry(
        Model,
        "cifar-classifier.fast",
        "whitened patches and wider convolutions that learn in few epochs, with a Gaussian mixture",
        || fast(FAST_WIDTHS, Some(fast_gmnm())),
    ),
    FAST.entry(
        Baseline,
        "cifar-classifier.fast-plain",
        "the fast network without the mixture, at least as many parameters",
        || fast([64, 256, 272], None),
    ),
    FAST.entry(
        Baseline,
        "cifar-classifier.fast-mlp",
        "the fast network, a perceptron in the mixture's place, at least as many parameters",
        || fast(FAST_WIDTHS, Some(mlp(fast_gmnm(), [96, 96, 96]))),
    ),
    CLOTHES.entry(
        Model,
        "fashion-classifier",
        "the classifier with a Gaussian mixture for small grey images of clothes",
        || {
            ModelConfig::Classifier(ClassifierConfig {
                channels: 1,
                ..classifier(WIDTHS, Some(gmnm()), None)
            })
        },
    ),
    GENERATOR.entry(
        Model,
        "image-generator",
        "an autoencoder whose decoder a Gaussian mixture of the latent multiplies",
        || {
            let gate = GateConfig {
                mixture: MixtureConfig {
                    projections: 4,
                    ..MixtureConfig::new(8)
                },
                normalize_input: true,
            };
            generator([44, 88, 176], Some(gate))
        },
    ),
    GENERATOR.entry(
        Baseline,
        "image-generator.plain",
        "no mixture, wider convolutions with at least as many parameters",
        || generator([48, 96, 192], None),
    ),
    FORECASTER.entry(
        Model,
        "series-forecaster",
        "an LSTM over segments with a Gaussian mixture as its head",
        || recurrent(128, HeadConfig::Gmnm(beside_linear(MixtureConfig::new(64)))),
    ),
    FORECASTER.entry(
        Baseline,
        "series-forecaster.plain",
        "no mixture, a linear head on more hidden values, at least as many parameters",
        || recurrent(138, HeadConfig::Linear),
    ),
    FORECASTER.entry(
        Baseline,
        "series-forecaster.mlp",
        "a perceptron with GELU in the mixture's place, at least as many parameters",
        || {
            let perceptron = PerceptronConfig { hidden: 110 };
            recurrent(128, HeadConfig::Mlp(beside_linear(perceptron)))
        },
    ),
    FORECASTER.entry(
        Model,
        "series-forecaster.dlinear",
        "DLinear: linear maps of a moving average and of what is left",
        || {
            forecaster(
                InstanceNorm::None,
                ForecastNetwork::Decomposition(DecompositionConfig { window: 25 }),
            )
        },
    ),
    FORECASTER.entry(
        Baseline,
        "series-forecaster.lstm",
        "an LSTM over single steps and a linear map, at least as many parameters",
        || {
            let network = ForecastNetwork::Lstm(LstmConfig { hidden: 134 });
            forecaster(InstanceNorm::None, network)
        },
    ),
    SURFACE.entry(
        Model,
        "surface-fitter",
        "one or two Gaussian-mixture layers from the plane to a number, as the surface asks",
        || ModelConfig::Surface(gmnm_field(&[2], &[17, 20], &[1, 1])),
    ),
    SURFACE.entry(
        Baseline,
        "surface-fitter.mlp",
        "a perceptron with one hidden layer, at least as many parameters",
        || ModelConfig::Surface(mlp_field(&[51])),
    ),
    SURFACE.entry(
        Baseline,
        "surface-fitter.mlp-deep",
        "a perceptron with two hidden layers, at least as many parameters",
        || ModelConfig::Surface(mlp_field(&[12, 12])),
    ),
    SURFACE.entry(
        Baseline,
        "surface-fitter.kan",
        "a Kolmogorov-Arnold network, at least as many parameters",
        || ModelConfig::Surface(kan_field(&[5], 10)),
    ),
    POISSON.entry(
        Model,
        "poisson-solver",
        "two Gaussian-mixture layers from the plane to a number",
        || ModelConfig::Poisson(gmnm_field(&[4], &[12, 11], &[1, 1])),
    ),
    POISSON.entry(
        Baseline,
        "poisson-solver.mlp",
        "a perceptron with two hidden layers, at least as many parameters",
        || ModelConfig::Poisson(mlp_field(&[12, 12])),
    ),
    POISSON.entry(
        Baseline,
        "poisson-solver.kan",
        "a Kolmogorov-Arnold network, at least as many parameters",
        || ModelConfig::Poisson(kan_field(&[5], 10)),
    ),
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
    mixer: Option<ChannelMixerConfig>,
    attention: Option<AttentionConfig>,
) -> ClassifierConfig {
    ClassifierConfig {
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
    }
}

fn fast(widths: [usize; 3], mixer: Option<ChannelMixerConfig>) -> ModelConfig {
    ModelConfig::Classifier(ClassifierConfig {
        stem: Some(WhiteningConfig {
            kernel: 2,
            eps: WhiteningConfig::EPS,
        }),
        normalization: Normalization::Shift,
        head: Head::Max,
        logit_scale: 1.0 / 9.0,
        ..classifier(widths, mixer, None)
    })
}

/// A mixture of the pooled channels: it costs next to no time, and tells each convolution of the whole image.
fn fast_gmnm() -> ChannelMixerConfig {
    ChannelMixerConfig {
        placement: Placement::PooledGate,
        normalize_input: true,
        function: MixerConfig::Gmnm(MixtureConfig::new(vec![64, 64, 64])),
    }
}

fn gmnm() -> ChannelMixerConfig {
    ChannelMixerConfig {
        placement: Placement::Residual,
        normalize_input: true,
        function: MixerConfig::Gmnm(MixtureConfig::new(WIDTHS.to_vec())),
    }
}

/// A perceptron in the place of the mixture of `mixer`.
fn mlp(mixer: ChannelMixerConfig, hidden: [usize; 3]) -> ChannelMixerConfig {
    let hidden = hidden.to_vec();
    ChannelMixerConfig {
        function: MixerConfig::Mlp(PerceptronConfig { hidden }),
        ..mixer
    }
}

fn attention(components: Option<usize>) -> Option<AttentionConfig> {
    Some(AttentionConfig {
        heads: 4,
        components,
    })
}

fn beside_linear<C>(mixer: C) -> HeadMixer<C> {
    HeadMixer {
        mixer,
        linear: true,
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
