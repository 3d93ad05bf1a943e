//! The owner of a network's parameters and buffers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};

use crate::rng::Philox;

/// A name under which a tensor is state that no optimizer touches: its last component is `running_mean` or
/// `running_var`.
pub fn is_buffer(name: &str) -> bool {
    matches!(
        name.rsplit('.').next(),
        Some("running_mean" | "running_var")
    )
}

/// Parameters and buffers by name, in the order of their names.
///
/// Clones share the same tensors. Initial values come from (seed, name) alone, drawn on the CPU in f64.
#[derive(Debug, Clone)]
pub struct ParamStore {
    tensors: Arc<Mutex<BTreeMap<String, Var>>>,
    seed: u64,
    dtype: DType,
    device: Device,
}

impl ParamStore {
    /// An empty store whose parameters will be drawn under `seed`.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            tensors: Arc::default(),
            seed,
            dtype,
            device: device.clone(),
        }
    }

    /// A builder over this store: a name that is asked for the first time is drawn, later it is returned.
    pub fn var_builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), self.dtype, self.device.clone())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Var>> {
        self.tensors
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// All parameters and buffers, ordered by name.
    pub fn all(&self) -> Vec<(String, Var)> {
        self.locked()
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// The parameters that an optimizer updates, ordered by name.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.all()
            .into_iter()
            .filter(|(name, _)| !is_buffer(name))
            .collect()
    }

    /// The number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.trainable().iter().map(|(_, v)| v.elem_count()).sum()
    }
}

fn draw(shape: &Shape, init: Init, rng: &mut Philox) -> Vec<f64> {
    let n = shape.elem_count();
    match init {
        Init::Const(value) => vec![value; n],
        Init::Randn { mean, stdev } => (0..n).map(|_| mean + stdev * rng.normal()).collect(),
        Init::Uniform { lo, up } => (0..n).map(|_| lo + (up - lo) * rng.uniform()).collect(),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape).max(1) as f64).sqrt();
            match dist {
                candle_nn::init::NormalOrUniform::Normal => {
                    (0..n).map(|_| stdev * rng.normal()).collect()
                }
                candle_nn::init::NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * stdev;
                    (0..n)
                        .map(|_| bound * (2.0 * rng.uniform() - 1.0))
                        .collect()
                }
            }
        }
    }
}

impl SimpleBackend for ParamStore {
    fn get(&self, s: Shape, name: &str, h: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let mut tensors = self.locked();
        if let Some(var) = tensors.get(name) {
            if var.shape() != &s {
                candle_core::bail!(
                    "tensor `{name}` has shape {:?}, the network needs {s:?}",
                    var.shape()
                );
            }
            return Ok(var.as_tensor().clone());
        }
        let values = draw(&s, h, &mut Philox::named(self.seed, name));
        let tensor = Tensor::from_vec(values, s, &Device::Cpu)?
            .to_dtype(dtype)?
            .to_device(dev)?;
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        tensors.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _dtype: DType, _dev: &Device) -> Result<Tensor> {
        match self.locked().get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("there is no tensor `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.locked().contains_key(name)
    }
}
