//! What keeps weights out of a network.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{DType, Tensor, Var};

/// Why [`ParamStore::load_strict`](super::ParamStore::load_strict) refused a set of tensors. The store is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The names or shapes are not the network's.
    #[error("the weights do not fit the network: {0}; use the config that they were trained with")]
    Mismatch(Mismatch),
    /// A tensor could not be converted or copied.
    #[error("tensor `{name}` could not be loaded: {source}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What candle said.
        source: candle_core::Error,
    },
}

/// Every difference between a network's tensors and those that were offered to it, ordered by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors of the network that were not offered.
    pub missing: Vec<String>,
    /// Tensors that the network does not have.
    pub unexpected: Vec<String>,
    /// Tensors of another shape: name, the network's shape, the offered shape.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that do not hold floating-point numbers: name and the offered type.
    pub not_float: Vec<(String, DType)>,
}

impl Mismatch {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn between(
        vars: &BTreeMap<String, Var>,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Self {
        let mut mismatch = Self::default();
        for (name, var) in vars {
            match tensors.get(name) {
                None => mismatch.missing.push(name.clone()),
                Some(tensor) if tensor.dims() != var.dims() => mismatch.misshapen.push((
                    name.clone(),
                    var.dims().to_vec(),
                    tensor.dims().to_vec(),
                )),
                Some(tensor) if !tensor.dtype().is_float() => {
                    mismatch.not_float.push((name.clone(), tensor.dtype()));
                }
                Some(_) => {}
            }
        }
        let unexpected = tensors.keys().filter(|name| !vars.contains_key(*name));
        mismatch.unexpected = unexpected.cloned().collect();
        mismatch
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &[String]| {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            quoted.join(", ")
        };
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing {}", names(&self.missing)));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!("unexpected {}", names(&self.unexpected)));
        }
        for (name, needed, found) in &self.misshapen {
            parts.push(format!(
                "`{name}` has shape {found:?} instead of {needed:?}"
            ));
        }
        for (name, dtype) in &self.not_float {
            parts.push(format!("`{name}` holds {} numbers", dtype.as_str()));
        }
        f.write_str(&parts.join(", "))
    }
}
