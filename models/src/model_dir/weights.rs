//! `model.safetensors`, read without trust and written byte for byte the same.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{DType, Device, Tensor};

mod header;

/// An error names this many tensors of a kind and counts the rest.
const MAX_NAMED: usize = 20;

/// Tensors by name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// How parameters are stored. Running statistics and f64 tensors keep their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// As they are.
    #[default]
    Full,
    /// Rounded to 16 bits (IEEE half precision).
    Half,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not a safetensors file, or is damaged.
    #[error("is not a sound safetensors file: {0}")]
    Damaged(String),
    /// The tensors are not those of the configuration.
    #[error("does not fit its config.json: {0}")]
    Mismatch(Mismatch),
    /// Values that no network can use.
    #[error("has unusable values: tensor `{name}` holds {what}")]
    Values {
        /// The tensor.
        name: String,
        /// What is wrong with the values.
        what: &'static str,
    },
}

/// Every tensor that is not as the configuration asks for.
#[derive(Debug, Default)]
pub struct Mismatch {
    missing: Names,
    unexpected: Names,
    misshapen: Names,
}

#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    more: usize,
}

impl Names {
    fn push(&mut self, text: impl FnOnce() -> String) {
        if self.first.len() < MAX_NAMED {
            self.first.push(text());
        } else {
            self.more += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

fn damaged(what: impl Into<String>) -> WeightsError {
    WeightsError::Damaged(what.into())
}

/// A tensor's name fit for an error: escaped, and not longer than a line.
fn shown(name: &str) -> String {
    let escaped: String = name.escape_debug().take(200).collect();
    format!("`{escaped}`")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (kind, names) in [
            ("missing ", &self.missing),
            ("unexpected ", &self.unexpected),
            ("wrong shape of ", &self.misshapen),
        ] {
            if names.is_empty() {
                continue;
            }
            write!(f, "{separator}{kind}{}", names.first.join(", "))?;
            if names.more > 0 {
                write!(f, " and {} more", names.more)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl Mismatch {
    /// An error unless `found` has the shape of each of `shapes` and nothing is `unexpected`.
    fn check(
        shapes: &Shapes,
        found: impl Fn(&str) -> Option<Vec<usize>>,
        unexpected: Names,
    ) -> Result<(), WeightsError> {
        let mut mismatch = Self {
            unexpected,
            ..Self::default()
        };
        for (name, shape) in shapes {
            match found(name) {
                None => mismatch.missing.push(|| shown(name)),
                Some(dims) if dims != *shape => mismatch
                    .misshapen
                    .push(|| format!("{} ({dims:?}, not {shape:?})", shown(name))),
                Some(_) => {}
            }
        }
        let parts = [&mismatch.missing, &mismatch.unexpected, &mismatch.misshapen];
        match parts.iter().all(|names| names.is_empty()) {
            true => Ok(()),
            false => Err(WeightsError::Mismatch(mismatch)),
        }
    }
}

/// The largest file that can hold tensors of `shapes`.
pub(super) fn max_file_size(shapes: &Shapes) -> u64 {
    let values = shapes.values().fold(0u64, |sum, shape| {
        let count = shape
            .iter()
            .fold(1u64, |product, &d| product.saturating_mul(d as u64));
        sum.saturating_add(count)
    });
    values
        .saturating_mul(8)
        .saturating_add(8 + header::MAX_HEADER as u64)
}

/// The tensors of a safetensors file, which must be those of `shapes`; 16-bit ones become f32.
pub(super) fn read(
    bytes: &[u8],
    shapes: &Shapes,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let (header, data) = header::parse(bytes, shapes)?;

    let found = |name: &str| {
        // An axis that no memory could hold stands for itself.
        let dim = |&d: &u64| usize::try_from(d).unwrap_or(usize::MAX);
        Some(header.entries.get(name)?.dims().iter().map(dim).collect())
    };
    Mismatch::check(shapes, found, header.unexpected)?;

    let mut tensors = BTreeMap::new();
    for (name, entry) in header.entries {
        let (begin, end) = entry.data_offsets;
        let dims: Vec<usize> = entry.dims().iter().map(|&d| d as usize).collect();
        let dtype = entry.dtype.candle();
        let wide = if dtype == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let tensor = data
            .get(begin as usize..end as usize)
            .ok_or_else(|| damaged(format!("tensor {} lies outside the data", shown(&name))))
            .and_then(|raw| {
                Tensor::from_raw_buffer(raw, dtype, &dims, &Device::Cpu)
                    .and_then(|tensor| tensor.to_dtype(wide))
                    .map_err(|e| damaged(e.to_string()))
            })?;
        check_values(&name, &tensor)?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn check_values(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    let values = tensor
        .flatten_all()
        .and_then(|flat| flat.to_dtype(DType::F64)?.to_vec1::<f64>())
        .map_err(|e| damaged(e.to_string()))?;
    let wrong = |what| {
        Err(WeightsError::Values {
            name: name.to_string(),
            what,
        })
    };
    if !values.iter().all(|v| v.is_finite()) {
        return wrong("NaN or infinite values");
    }
    if name.ends_with("running_var") && values.iter().any(|v| *v < 0.0) {
        return wrong("negative variances");
    }
    Ok(())
}

/// A safetensors file of `tensors`, which must be those of `shapes`.
pub(super) fn write(
    tensors: &BTreeMap<String, Tensor>,
    shapes: &Shapes,
    storage: Storage,
) -> Result<Vec<u8>, WeightsError> {
    let mut unexpected = Names::default();
    for name in tensors.keys().filter(|name| !shapes.contains_key(*name)) {
        unexpected.push(|| shown(name));
    }
    let found = |name: &str| Some(tensors.get(name)?.dims().to_vec());
    Mismatch::check(shapes, found, unexpected)?;
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let half = storage == Storage::Half
            && tensor.dtype() == DType::F32
            && !gmnm_core::params::is_buffer(name);
        let dtype = if half { DType::F16 } else { tensor.dtype() };
        let tensor = tensor
            .detach()
            .to_device(&Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(dtype)?.contiguous())
            .map_err(|e| damaged(e.to_string()))?;
        check_values(name, &tensor)?;
        stored.insert(name.as_str(), tensor);
    }
    // One key only: the order of several would change from run to run.
    let metadata = std::collections::HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(stored, Some(metadata)).map_err(|e| damaged(e.to_string()))
}

#[cfg(test)]
mod tests;
