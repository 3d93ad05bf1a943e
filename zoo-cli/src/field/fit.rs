//! A network over the plane before and after its training.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::ParamStore;
use models::field::{Field, FieldConfig};

use super::Measures;
use super::minimize::Stop;

/// What was seen at one iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Iterations of all minimisers so far, from this start.
    pub iteration: usize,
    /// The minimiser.
    pub stage: &'static str,
    /// What is minimised.
    pub loss: f64,
    /// What the network is worth.
    pub measures: Measures,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The shape that was chosen.
    pub config: FieldConfig,
    /// Its parameters, in the order of [`FieldConfig::tensors`].
    pub parameters: Vec<f64>,
    /// The loss at the end.
    pub loss: f64,
    /// What it is worth.
    pub measures: Measures,
    /// About a hundred moments of the training from the chosen start, the last included.
    pub history: Vec<Row>,
    /// How each minimiser of the chosen start ended.
    pub stops: Vec<(&'static str, Stop)>,
}

/// New parameters of a network as one slice, drawn under `seed`.
///
/// # Errors
/// When the configuration does not fit itself.
pub(super) fn initial(config: &FieldConfig, seed: u64) -> Result<Vec<f64>> {
    let store = ParamStore::new(seed, DType::F64, &Device::Cpu);
    Field::new(config, store.var_builder())?;
    let vb = store.var_builder();
    let mut parameters = Vec::with_capacity(config.parameter_count());
    for (name, shape) in config.tensors() {
        parameters.extend(vb.get(shape, &name)?.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(parameters)
}

impl Fit {
    /// The parameters by name, for a model directory.
    ///
    /// # Errors
    /// When the tensor library refuses.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut rest = self.parameters.as_slice();
        let mut tensors = BTreeMap::new();
        for (name, shape) in self.config.tensors() {
            let (values, after) = rest.split_at(shape.iter().product());
            rest = after;
            tensors.insert(name, Tensor::from_slice(values, shape, &Device::Cpu)?);
        }
        Ok(tensors)
    }
}
