//! The networks of the GMNM paper (arXiv 2510.06660) and the baselines they are held against.
//!
//! A network is described by a [`ModelConfig`], found by name in the [`registry`], and lives on disk as a [`model_dir`]:
//! `config.json`, `model.safetensors` and, for images, `preprocessor_config.json`. Image batches are channels-last,
//! `[batch, height, width, channels]`.
//!
//! Load a directory and predict:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use models::{Classifier, ModelConfig, model_dir};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = model_dir::load("../weights/fashion-classifier".as_ref())?;
//! let ModelConfig::Classifier(config) = &model.config else {
//!     return Err("a classifier was expected".into());
//! };
//! let parameters = model.store(DType::F32, &Device::Cpu)?;
//! let network = Classifier::new(config, parameters.detached().var_builder())?;
//!
//! // An image as `model.preprocessor` describes it: scaled to 0..=1, less the mean, over the standard deviation.
//! let image = Tensor::zeros((1, 32, 32, 1), DType::F32, &Device::Cpu)?;
//! let logits = network.forward(&image, false)?;
//! let class = logits.argmax(1)?.to_vec1::<u32>()?[0];
//! println!("{}", model.labels[class as usize]);
//! # assert_eq!(logits.dims(), [1, model.labels.len()]);
//! # Ok(())
//! # }
//! ```
//!
//! A new network is built on a [`ParamStore`](gmnm_core::ParamStore) that draws its parameters:
//!
//! ```
//! # use candle_core::{DType, Device};
//! # use models::{Classifier, ModelConfig, registry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ModelConfig::Classifier(config) = registry::find("cifar-classifier")?.config() else {
//!     return Err("a classifier was expected".into());
//! };
//! let parameters = gmnm_core::ParamStore::new(0, DType::F32, &Device::Cpu);
//! let network = Classifier::new(&config, parameters.var_builder())?;
//! # Ok(())
//! # }
//! ```

mod check;
mod cholesky;
pub mod classifier;
pub mod config;
mod eigen;
pub mod field;
pub mod forecaster;
pub mod generator;
pub mod layers;
pub mod model_dir;
pub mod preprocessor;
pub mod registry;
pub mod transfer;
pub mod write;

pub use check::ConfigError;
pub use classifier::{Classifier, ClassifierConfig};
pub use config::ModelConfig;
pub use field::{Field, FieldConfig};
pub use forecaster::{Forecaster, ForecasterConfig};
pub use generator::{Generator, GeneratorConfig};
pub use model_dir::{ModelDir, ModelDirError, Storage};
pub use preprocessor::Preprocessor;
pub use registry::{Entry, Role, Task};

/// `modeling_gmnm.py`: the same networks in PyTorch, in one file that travels with uploaded models.
pub const PYTHON_SOURCE: &str = include_str!("../python/modeling_gmnm.py");
