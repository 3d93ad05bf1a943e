//! The works by name, each a closure that runs it once.

use std::str::FromStr;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::VarBuilder;
use gmnm_core::ops::{self, Activation, BatchNormConfig, Conv2dConfig, LstmWeights};
use gmnm_core::optim::{Optimizer, OptimizerConfig};
use gmnm_core::rng::Philox;
use gmnm_core::{Aggregation, ParamStore, Precision};
use models::layers::{BatchNorm, Conv2d, Linear};
use models::registry;

use super::BenchError;
use crate::families;

/// The works that `zoo bench` measures when none is named.
pub(super) const NAMES: &[&str] = &[
    "cnn-train-f32",
    "cnn-train-bf16",
    "cnn-train-bf16x3",
    "cnn-forward-128",
    "cnn-forward-1",
    "mixture-4096-64-64-1",
    "mixture-4096-64-64-4",
    "mixture-65536-64-64-1",
    "mixture-65536-64-64-4",
    "lstm-96-128-64",
    "classifier-train",
    "classifier-plain-train",
];

/// Images in one training step.
const BATCH: usize = 128;

/// Outputs of the mixture works.
const OUTPUTS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    CnnTrain(Precision),
    CnnForward([usize; 1]),
    Mixture([usize; 4]),
    MixtureForward([usize; 4]),
    Lstm([usize; 3]),
    ClassifierTrain(&'static str),
}

/// One unit of work with its shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    name: String,
    kind: Kind,
}

/// The works of `zoo bench` without arguments.
pub fn standard() -> Vec<Work> {
    NAMES.iter().filter_map(|name| name.parse().ok()).collect()
}

impl FromStr for Work {
    type Err = BenchError;

    /// `cnn-train-PRECISION`, `cnn-forward-BATCH`, `mixture-ROWS-FEATURES-COMPONENTS-PROJECTIONS`, its forward alone
    /// under `mixture-forward-ROWS-FEATURES-COMPONENTS-PROJECTIONS`,
    /// `lstm-STEPS-HIDDEN-BATCH`, `classifier-train` or `classifier-plain-train`.
    fn from_str(name: &str) -> std::result::Result<Self, BenchError> {
        let kind = match name {
            "cnn-train-f32" => Some(Kind::CnnTrain(Precision::F32)),
            "cnn-train-bf16" => Some(Kind::CnnTrain(Precision::Bf16)),
            "cnn-train-bf16x3" => Some(Kind::CnnTrain(Precision::Bf16x3)),
            "classifier-train" => Some(Kind::ClassifierTrain("cifar-classifier")),
            "classifier-plain-train" => Some(Kind::ClassifierTrain("cifar-classifier.plain")),
            _ => None,
        };
        let kind = kind
            .or_else(|| sizes(name, "cnn-forward-").map(Kind::CnnForward))
            .or_else(|| sizes(name, "mixture-forward-").map(Kind::MixtureForward))
            .or_else(|| sizes(name, "mixture-").map(Kind::Mixture))
            .or_else(|| sizes(name, "lstm-").map(Kind::Lstm))
            .ok_or_else(|| BenchError::Unknown(name.to_string()))?;
        Ok(Self {
            name: name.to_string(),
            kind,
        })
    }
}

/// Exactly N positive sizes between dashes after `prefix`.
fn sizes<const N: usize>(name: &str, prefix: &str) -> Option<[usize; N]> {
    let numbers = name.strip_prefix(prefix)?.split('-');
    let sizes: Option<Vec<usize>> = numbers
        .map(|n| n.parse().ok().filter(|n| (1..=1 << 24).contains(n)))
        .collect();
    sizes?.try_into().ok()
}

type Run = Box<dyn FnMut() -> Result<()> + Send>;

impl Work {
    /// The name it was asked for by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Builds networks and inputs on `device`; the closure does the work once, or queues it there.
    ///
    /// # Errors
    /// When a network cannot be built.
    pub fn prepare(&self, device: &Device) -> Result<Run> {
        match self.kind {
            Kind::CnnTrain(precision) => {
                let store = ParamStore::new(0, DType::F32, device);
                let cnn = Cnn::new(store.var_builder())?;
                train(&store, precision, move |x| cnn.forward(x, true))
            }
            Kind::CnnForward([batch]) => {
                let store = ParamStore::new(0, DType::F32, device);
                Cnn::new(store.var_builder())?;
                let cnn = Cnn::new(store.detached().var_builder())?;
                let x = normal(&[batch, 32, 32, 3], 1.0, device)?;
                Ok(Box::new(move || cnn.forward(&x, false).map(drop)))
            }
            Kind::Mixture(sizes) => mixture(sizes, device),
            Kind::MixtureForward(sizes) => mixture_forward(sizes, device),
            Kind::Lstm(sizes) => lstm(sizes, device),
            Kind::ClassifierTrain(name) => {
                let entry = registry::find(name).map_err(candle_core::Error::wrap)?;
                let config = entry.config();
                let store = ParamStore::new(0, DType::F32, device);
                let network = families::of(&config).network(&config, store.var_builder());
                let network = network.map_err(|e| candle_core::Error::Msg(e.to_string()))?;
                train(&store, Precision::F32, move |x| network(x, true))
            }
        }
    }
}

/// Normal numbers of standard deviation `scale`.
fn normal(shape: &[usize], scale: f64, device: &Device) -> Result<Tensor> {
    let mut rng = Philox::named(1, "bench");
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| (scale * rng.normal()) as f32)
        .collect();
    Tensor::from_vec(values, shape, device)
}

fn variable(shape: &[usize], scale: f64, device: &Device) -> Result<Var> {
    Var::from_tensor(&normal(shape, scale, device)?)
}

/// One step of AdamW on [`BATCH`] images of 3×32×32 and ten classes.
fn train(
    store: &ParamStore,
    precision: Precision,
    forward: impl Fn(&Tensor) -> Result<Tensor> + Send + 'static,
) -> Result<Run> {
    let device = store.device();
    let x = normal(&[BATCH, 32, 32, 3], 1.0, device)?.to_dtype(precision.dtype())?;
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 10).collect();
    let y = Tensor::from_vec(labels, BATCH, device)?;
    let mut optimizer = Optimizer::new(store, OptimizerConfig::default())?;
    Ok(Box::new(move || {
        let _guard = precision.enter();
        let loss = ops::cross_entropy(&forward(&x)?, &y, 0.0)?;
        optimizer.step(&ops::backward(&loss)?, 1e-3).map(drop)
    }))
}

/// The plain network of the `cnn-*` works: 64, 64, pool, 128, 128, pool, 256, mean, linear.
struct Cnn {
    blocks: Vec<(Conv2d, BatchNorm)>,
    head: Linear,
}

impl Cnn {
    fn new(vb: VarBuilder) -> Result<Self> {
        Self::with(Activation::Relu, Some(2), vb)
    }

    fn with(activation: Activation, pool: Option<usize>, vb: VarBuilder) -> Result<Self> {
        let plan = [
            (3, 64, None),
            (64, 64, pool),
            (64, 128, None),
            (128, 128, pool),
            (128, 256, None),
        ];
        let same = Conv2dConfig {
            padding: 1,
            ..Conv2dConfig::default()
        };
        let blocks = plan
            .iter()
            .enumerate()
            .map(|(i, &(inputs, outputs, pool))| {
                let vb = vb.pp(i);
                let norm = BatchNormConfig {
                    activation,
                    pool,
                    ..BatchNormConfig::default()
                };
                let init = gmnm_core::init::uniform_fan_in(9 * inputs);
                Ok((
                    Conv2d::new(inputs, outputs, 3, same, init, vb.pp("conv"))?,
                    BatchNorm::new(outputs, norm, vb.pp("bn"))?,
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            blocks,
            head: Linear::new(256, 10, vb.pp("head"))?,
        })
    }

    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for (conv, norm) in &self.blocks {
            x = norm.forward(&conv.forward(&x)?, train)?;
        }
        self.head.forward(&ops::global_mean(&x)?)
    }
}

/// A mixture's input and parameters, random.
struct MixtureInputs {
    x: Var,
    centers: Var,
    weights: Var,
    pi: Var,
    bias: Var,
}

impl MixtureInputs {
    fn new([rows, features, components, projections]: [usize; 4], device: &Device) -> Result<Self> {
        let scale = 1.0 / ((2 * features * projections) as f64).sqrt();
        let pi_scale = 1.0 / (components as f64).sqrt();
        Ok(Self {
            x: variable(&[rows, features], 1.0, device)?,
            centers: variable(&[components, features], 1.0, device)?,
            weights: variable(&[components, projections, features], scale, device)?,
            pi: variable(&[OUTPUTS, components], pi_scale, device)?,
            bias: variable(&[OUTPUTS], 0.0, device)?,
        })
    }

    fn mixture(&self, x: &Tensor) -> Result<Tensor> {
        let parameters = [&self.centers, &self.weights, &self.pi].map(Var::as_tensor);
        let [centers, weights, pi] = parameters;
        ops::mixture(x, centers, weights, pi, Some(&self.bias), Aggregation::Norm)
    }
}

/// Forward and backward of the mixture and the gradient of its output, as PyTorch's `out.backward(upstream)`.
fn mixture(sizes: [usize; 4], device: &Device) -> Result<Run> {
    let inputs = MixtureInputs::new(sizes, device)?;
    let upstream = normal(&[sizes[0], OUTPUTS], 1.0, device)?;
    Ok(Box::new(move || {
        ops::backward_from(&inputs.mixture(&inputs.x)?, &upstream).map(drop)
    }))
}

/// The mixture alone.
fn mixture_forward(sizes: [usize; 4], device: &Device) -> Result<Run> {
    let inputs = MixtureInputs::new(sizes, device)?;
    Ok(Box::new(move || inputs.mixture(&inputs.x).map(drop)))
}

/// Forward and backward of one LSTM layer over a whole sequence, features = hidden.
fn lstm([steps, hidden, batch]: [usize; 3], device: &Device) -> Result<Run> {
    let scale = 1.0 / (hidden as f64).sqrt();
    let x = variable(&[batch, steps, hidden], 1.0, device)?;
    let weight_ih = variable(&[4 * hidden, hidden], scale, device)?;
    let weight_hh = variable(&[4 * hidden, hidden], scale, device)?;
    let bias_ih = variable(&[4 * hidden], scale, device)?;
    let bias_hh = variable(&[4 * hidden], scale, device)?;
    let upstream = normal(&[batch, steps, hidden], 1.0, device)?;
    Ok(Box::new(move || {
        let weights = LstmWeights {
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            biases: Some((&bias_ih, &bias_hh)),
        };
        let out = ops::lstm(&x, &weights, None)?.outputs;
        ops::backward_from(&out, &upstream).map(drop)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the kinks of ReLU and max pooling: on the other side of one a rounding changes a gradient by a whole.
    fn smooth(store: &ParamStore) -> Result<Cnn> {
        Cnn::with(Activation::Gelu, None, store.var_builder())
    }

    /// The gradient of every parameter for one batch, in f64, by the parameter's name.
    fn gradients(store: &ParamStore, precision: Precision) -> Result<Vec<(String, Tensor)>> {
        let dtype = store.dtype();
        let images = normal(&[16, 12, 13, 3], 1.0, &Device::Cpu)?.to_dtype(dtype)?;
        let images = match precision {
            Precision::Bf16 => ops::cast(&images, DType::BF16)?,
            _ => images,
        };
        let labels = Tensor::from_vec((0..16u32).map(|i| i % 10).collect(), 16, &Device::Cpu)?;
        let cnn = smooth(store)?;
        let _guard = precision.enter();
        let loss = ops::cross_entropy(&cnn.forward(&images, true)?, &labels, 0.0)?;
        let gradients = ops::backward(&loss)?;
        let mut all = Vec::new();
        for (name, var) in store.trainable() {
            if let Some(gradient) = gradients.get(&var) {
                all.push((name, gradient.to_dtype(DType::F64)?));
            }
        }
        Ok(all)
    }

    fn norm(t: &Tensor) -> Result<f64> {
        t.sqr()?.sum_all()?.to_scalar::<f64>()
    }

    #[test]
    fn each_precision_gives_the_gradients_of_f64_within_its_rounding() -> Result<()> {
        let store = ParamStore::new(0, DType::F32, &Device::Cpu);
        gradients(&store, Precision::F32)?;
        let exact = ParamStore::new(0, DType::F64, &Device::Cpu);
        smooth(&exact)?;
        exact
            .load_strict(&store.tensors())
            .map_err(candle_core::Error::wrap)?;
        let expected = gradients(&exact, Precision::F32)?;
        // The relative error of the gradient as a whole.
        for (precision, tolerance) in [
            (Precision::F32, 1e-5),
            (Precision::Bf16x3, 1e-4),
            (Precision::Bf16, 5e-2),
        ] {
            let found = gradients(&store, precision)?;
            assert_eq!(found.len(), expected.len());
            let (mut error, mut scale) = (0.0, 0.0);
            for ((name, found), (same, expected)) in found.iter().zip(&expected) {
                assert_eq!(name, same);
                error += norm(&(found - expected)?)?;
                scale += norm(expected)?;
            }
            let error = (error / scale).sqrt();
            assert!(error < tolerance, "{precision}: {error}");
        }
        Ok(())
    }
}
