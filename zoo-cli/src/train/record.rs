//! `training.json`: what made a model, so that it can be repeated and resumed.

use std::fs;

use models::ModelConfig;
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::run_dir::TRAINING;
use super::{RunDir, TrainError};

/// The data that a run learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// `--data` as it was given.
    pub argument: Option<String>,
    /// The dataset's name.
    pub name: String,
    /// SHA-256 over shapes, pixels and labels.
    pub fingerprint: String,
    /// Why it is not the dataset that was to be expected, if so.
    pub notice: Option<String>,
}

/// The measures of the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// Test examples.
    pub examples: usize,
    /// Measures by name.
    pub test: std::collections::BTreeMap<String, f64>,
}

/// Everything that a run's bytes depend on, besides the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The registry's name.
    pub model: String,
    /// The version of the program.
    pub version: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The data.
    pub data: DataRecord,
    /// The resolved recipe.
    pub recipe: Recipe,
    /// The network.
    pub config: ModelConfig,
    /// What came of it, once finished.
    pub result: Option<ResultRecord>,
}

impl TrainingRecord {
    /// Writes the record into `dir`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, dir: &RunDir) -> Result<(), TrainError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| TrainError::io("write", &dir.join(TRAINING))(e.into()))?;
        text.push('\n');
        dir.write(TRAINING, text.as_bytes())
    }

    /// Reads the record of the run in `dir`.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn read(dir: &RunDir) -> Result<Self, TrainError> {
        let cannot = |problem: String| TrainError::Resume {
            path: dir.path().to_path_buf(),
            problem,
        };
        let text = fs::read_to_string(dir.join(TRAINING)).map_err(|e| {
            cannot(format!(
                "it holds no run, `{TRAINING}` cannot be read ({e})"
            ))
        })?;
        serde_json::from_str(&text)
            .map_err(|e| cannot(format!("`{TRAINING}` is not a run's record ({e})")))
    }
}
