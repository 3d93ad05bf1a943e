//! A model on disk: `config.json`, `model.safetensors` and, for images, `preprocessor_config.json`.
//!
//! The same directory is a training run's output, a pretrained model, a repository of the Hugging Face Hub and an
//! entry of its cache. Other files in it (`README.md`, `training.json`) are left alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use gmnm_core::ParamStore;

use crate::config::ModelConfig;
use crate::preprocessor::{Preprocessor, PreprocessorError};
use crate::write::replace_file;

mod weights;

use weights::Shapes;

pub use weights::{Storage, WeightsError};

/// The description of the network, with `model` and `labels`.
pub const CONFIG: &str = "config.json";
/// The parameters and buffers.
pub const WEIGHTS: &str = "model.safetensors";
/// How an image becomes an input.
pub const PREPROCESSOR: &str = "preprocessor_config.json";

/// Text files of a model directory are at most this long.
const MAX_TEXT: u64 = 64 << 20;

/// Why a model directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelDirError {
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be written; what stood there before is unchanged.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A text file is not JSON, or not the expected JSON.
    #[error("`{}` is not a valid configuration: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The preprocessor's file is not valid.
    #[error("`{}` is not a valid preprocessor configuration: {source}", path.display())]
    Preprocessor {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PreprocessorError,
    },
    /// The weights are damaged, or disagree with the configuration.
    #[error("`{}` {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: WeightsError,
    },
}

impl ModelDirError {
    fn config(path: &Path) -> impl Fn(String) -> Self + use<> {
        let path = path.to_path_buf();
        move |problem| Self::Config {
            path: path.clone(),
            problem,
        }
    }
}

/// A network with its parameters and what surrounds them.
#[derive(Debug, Clone)]
pub struct ModelDir {
    /// The name in the registry.
    pub model: String,
    /// The network.
    pub config: ModelConfig,
    /// Names of the classes in the order of the outputs; empty for other tasks.
    pub labels: Vec<String>,
    /// How an image becomes an input, for networks that take images.
    pub preprocessor: Option<Preprocessor>,
    /// Parameters and buffers by name, f32 or f64, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
}

impl ModelDir {
    /// The tensors as a store of parameters; `store.detached().var_builder()` gives those of a network for inference.
    ///
    /// # Errors
    /// When a tensor cannot be converted.
    pub fn store(&self, dtype: DType, device: &Device) -> candle_core::Result<ParamStore> {
        ParamStore::from_tensors(&self.tensors, dtype, device)
    }

    fn check(&self, path: &Path) -> Result<(), ModelDirError> {
        let config_error = ModelDirError::config(path);
        self.config
            .validate()
            .map_err(|e| config_error(e.to_string()))?;
        if let Some(outputs) = self.config.classes()
            && outputs != self.labels.len()
        {
            return Err(config_error(format!(
                "`labels` has {} names for {outputs} classes",
                self.labels.len()
            )));
        }
        if let (Some(channels), Some(preprocessor)) = (self.config.channels(), &self.preprocessor)
            && channels != preprocessor.channels
        {
            return Err(config_error(format!(
                "the network takes {channels} channels, `{PREPROCESSOR}` gives {}",
                preprocessor.channels
            )));
        }
        Ok(())
    }

    /// The text of `config.json`.
    fn config_json(&self) -> serde_json::Result<String> {
        let mut object = serde_json::Map::new();
        object.insert("model".into(), self.model.clone().into());
        if let serde_json::Value::Object(fields) = serde_json::to_value(&self.config)? {
            object.extend(fields);
        }
        if !self.labels.is_empty() {
            object.insert("labels".into(), self.labels.clone().into());
        }
        let mut text = serde_json::to_string_pretty(&object)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a model from the contents of its files; `origin` stands for the directory in errors.
    ///
    /// # Errors
    /// Like [`load`].
    pub fn from_bytes(
        origin: &Path,
        config: &[u8],
        weights: &[u8],
        preprocessor: Option<&[u8]>,
    ) -> Result<Self, ModelDirError> {
        let (mut model, shapes) = described(origin, config, preprocessor)?;
        model.tensors = parameters(origin, weights, &shapes)?;
        Ok(model)
    }
}

/// A model from the contents of its text files, without its parameters, and their shapes.
fn described(
    origin: &Path,
    config: &[u8],
    preprocessor: Option<&[u8]>,
) -> Result<(ModelDir, Shapes), ModelDirError> {
    let path = origin.join(CONFIG);
    let mut model = parse_config(&path, config)?;
    if let Some(text) = preprocessor {
        model.preprocessor = Some(parse_preprocessor(&origin.join(PREPROCESSOR), text)?);
    }
    model.check(&path)?;
    let shapes = shapes(&path, &model.config)?;
    Ok((model, shapes))
}

fn shapes(path: &Path, config: &ModelConfig) -> Result<Shapes, ModelDirError> {
    let wrong = ModelDirError::config(path);
    config.tensor_shapes().map_err(|e| wrong(e.to_string()))
}

fn parameters(
    origin: &Path,
    bytes: &[u8],
    shapes: &Shapes,
) -> Result<BTreeMap<String, Tensor>, ModelDirError> {
    weights::read(bytes, shapes).map_err(|source| ModelDirError::Weights {
        path: origin.join(WEIGHTS),
        source,
    })
}

/// Reads the directory `dir`.
///
/// The weights must hold exactly the tensors that the configuration asks for, all finite; 16-bit ones become f32.
/// Nothing is allocated that is larger than the file itself.
///
/// # Errors
/// One sentence that names the file; every missing, unexpected and misshapen tensor is in it.
pub fn load(dir: &Path) -> Result<ModelDir, ModelDirError> {
    let config = read_file(&dir.join(CONFIG), MAX_TEXT)?;
    let path = dir.join(PREPROCESSOR);
    let preprocessor = path.exists().then(|| read_file(&path, MAX_TEXT));
    let (mut model, shapes) = described(dir, &config, preprocessor.transpose()?.as_deref())?;
    let weights = read_file(&dir.join(WEIGHTS), weights::max_file_size(&shapes))?;
    model.tensors = parameters(dir, &weights, &shapes)?;
    Ok(model)
}

/// Writes `model` into `dir`, which is made if it does not exist. The same model gives the same bytes.
///
/// Every file is written beside its target, synced and renamed, the weights last.
///
/// # Errors
/// When the tensors do not fit the configuration or are not finite (nothing is written then), or the system refuses.
pub fn save(dir: &Path, model: &ModelDir, storage: Storage) -> Result<(), ModelDirError> {
    let config_path = dir.join(CONFIG);
    model.check(&config_path)?;
    let shapes = shapes(&config_path, &model.config)?;
    let bytes = weights::write(&model.tensors, &shapes, storage).map_err(|source| {
        ModelDirError::Weights {
            path: dir.join(WEIGHTS),
            source,
        }
    })?;
    let wrong = ModelDirError::config(&config_path);
    let config = model.config_json().map_err(|e| wrong(e.to_string()))?;
    let mut files = vec![(config_path, config.into_bytes())];
    if let Some(preprocessor) = &model.preprocessor {
        let path = dir.join(PREPROCESSOR);
        match preprocessor.to_json() {
            Ok(text) => files.push((path, text.into_bytes())),
            Err(source) => return Err(ModelDirError::Preprocessor { path, source }),
        }
    }
    files.push((dir.join(WEIGHTS), bytes));
    std::fs::create_dir_all(dir).map_err(|source| ModelDirError::Write {
        path: dir.to_path_buf(),
        source,
    })?;
    for (path, bytes) in &files {
        replace_file(path, bytes).map_err(|source| ModelDirError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// The contents of a plain file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ModelDirError> {
    let failed = |source| ModelDirError::Read {
        path: path.to_path_buf(),
        source,
    };
    let refused = |what: String| failed(std::io::Error::other(what));
    // Asked before the file is opened: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused("it is not a plain file".into()));
    }
    let file = File::open(path).map_err(failed)?;
    let size = metadata.len();
    if size > limit {
        return Err(refused(format!(
            "it has {size} bytes, at most {limit} can belong to this model"
        )));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn parse_config(path: &Path, text: &[u8]) -> Result<ModelDir, ModelDirError> {
    let wrong = ModelDirError::config(path);
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|e| wrong(e.to_string()))?;
    let model = match object.remove("model") {
        Some(serde_json::Value::String(name)) => name,
        Some(_) => return Err(wrong("`model` is not a text".into())),
        None => return Err(wrong("`model` is missing".into())),
    };
    let labels = match object.remove("labels") {
        Some(labels) => serde_json::from_value(labels)
            .map_err(|e| wrong(format!("`labels` is not a list of names: {e}")))?,
        None => Vec::new(),
    };
    let config = serde_json::from_value(serde_json::Value::Object(object))
        .map_err(|e| wrong(e.to_string()))?;
    Ok(ModelDir {
        model,
        config,
        labels,
        preprocessor: None,
        tensors: BTreeMap::new(),
    })
}

fn parse_preprocessor(path: &Path, text: &[u8]) -> Result<Preprocessor, ModelDirError> {
    std::str::from_utf8(text)
        .map_err(|_| PreprocessorError::Text)
        .and_then(Preprocessor::from_json)
        .map_err(|source| ModelDirError::Preprocessor {
            path: path.to_path_buf(),
            source,
        })
}

#[cfg(test)]
mod tests;
