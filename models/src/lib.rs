//! The networks of the GMNM paper (arXiv 2510.06660) and the baselines they are held against.
//!
//! A network is described by a [`config::ModelConfig`], found by name in the [`registry`], and lives on disk as a
//! [`model_dir`]: `config.json`, `model.safetensors` and, for images, `preprocessor_config.json`. Image batches are
//! channels-last, `[batch, height, width, channels]`.

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
pub mod write;

pub use check::ConfigError;
pub use config::ModelConfig;
pub use model_dir::ModelDir;
pub use preprocessor::Preprocessor;

/// `modeling_gmnm.py`: the same networks in PyTorch, in one file that travels with uploaded models.
pub const PYTHON_SOURCE: &str = include_str!("../python/modeling_gmnm.py");
