//! `training.json`: what made a model, so that it can be repeated and resumed.

use std::fs;
use std::path::Path;

use models::ModelConfig;
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::recipe::Recipe;
use super::{BaseRecord, RunDir, TrainError, command};
use crate::layout::TRAINING;

/// What stands for data that came through a pipe.
pub const STREAM: &str = "-";

/// The data that a run learned from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DataRecord {
    /// `--data` as it was given; of a path, its last part.
    pub argument: Option<String>,
    /// The dataset's name.
    pub name: String,
    /// SHA-256 over all that is learned from or measured on.
    pub fingerprint: String,
    /// Why it is not the dataset that was to be expected, if so.
    pub notice: Option<String>,
    /// What lay there and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Value>,
}

impl DataRecord {
    /// What `--data` must say for the same data, those of the run in `dir`; nothing where they were the model's own.
    /// `is_name` tells the names that mean the same data everywhere.
    ///
    /// # Errors
    /// When they came through a pipe, or lie where nothing is any more, or nobody knows where.
    pub fn place(
        &self,
        dir: &RunDir,
        is_name: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, TrainError> {
        let moved = |place: Option<String>| TrainError::Moved {
            dir: dir.path().to_path_buf(),
            data: self.name.clone(),
            place,
        };
        if self.argument.as_deref() == Some(STREAM) {
            return Err(TrainError::Stream(self.name.clone()));
        }
        match (dir.data_path()?, &self.argument) {
            // What may not be looked at is there: reading it says why it cannot be read.
            (Some(path), _) => match Path::new(&path).try_exists().unwrap_or(true) {
                true => Ok(Some(path)),
                false => Err(moved(Some(path))),
            },
            (None, Some(argument)) if is_name(argument) => Ok(Some(argument.clone())),
            (None, Some(_)) => Err(moved(None)),
            (None, None) => Ok(None),
        }
    }
}

/// The measures of the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// Test examples.
    pub examples: usize,
    /// Measures by name.
    pub test: std::collections::BTreeMap<String, f64>,
    /// What else is to be said of it, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Everything that a run's bytes depend on, besides the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The exact command, where model, data, epochs and seed do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The registry's name.
    pub model: String,
    /// The version of the program.
    pub version: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The data.
    pub data: DataRecord,
    /// The trained model that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRecord>,
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
        dir.write(TRAINING, &self.json(dir)?)
    }

    /// The text of the record in `dir`.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(&self, dir: &RunDir) -> Result<Vec<u8>, TrainError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| TrainError::io("write", &dir.join(TRAINING))(e.into()))?;
        text.push(b'\n');
        Ok(text)
    }

    /// The record that `text` holds in JSON, of this version or of one before it.
    ///
    /// # Errors
    /// When it is no such record.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        let mut record: Value = serde_json::from_slice(text)?;
        if let (Some(model), Some(problem)) = (record["model"].as_str(), record["problem"].as_str())
        {
            return Err(serde_json::Error::custom(format!(
                "an earlier version wrote it, which did not record the network's shape; train it again with \
                 `zoo train {model} --data {problem} --seed {}`",
                record["seed"]
            )));
        }
        sort_into_sections(&mut record);
        serde_json::from_value(record)
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
        let text = fs::read(dir.join(TRAINING)).map_err(|e| {
            cannot(format!(
                "it holds no run, `{TRAINING}` cannot be read ({e}); train into another directory with `--out`"
            ))
        })?;
        Self::parse(&text).map_err(|e| {
            cannot(format!(
                "`{TRAINING}` is not a run's record ({e}); train into another directory with `--out`"
            ))
        })
    }

    /// The command that makes the same model of the same data.
    pub fn command_line(&self) -> String {
        let told = || command::plain(self);
        self.command.clone().unwrap_or_else(told)
    }
}

/// Brings a recipe up to date that was written before every family had a section: it held the keys of all.
fn sort_into_sections(record: &mut Value) {
    let architecture = record["config"]["architecture"].as_str().map(str::to_owned);
    let Some(recipe) = record.get_mut("recipe").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(label_smoothing) = recipe.remove("label_smoothing") else {
        return;
    };
    let stem_epochs = recipe.remove("stem_epochs").unwrap_or_else(|| json!(0));
    let augment = recipe.remove("augment");
    let series = recipe.remove("series");
    let (name, section) = match architecture.as_deref() {
        Some("classifier") => (
            "classification",
            json!({
                "label_smoothing": label_smoothing,
                "stem_epochs": stem_epochs,
                "image_size": [],
                "class_weights": "none",
                "sampling": "shuffled",
                "mixup": 0.0,
                "cutmix": 0.0,
                "augment": augment,
            }),
        ),
        Some("generator") => ("reconstruction", json!({"augment": augment})),
        _ => ("series", series.unwrap_or_default()),
    };
    recipe.insert(name.to_owned(), section);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::DATA_PATH;

    #[test]
    fn data_are_found_again_or_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::existing(dir.path());
        let place = |argument: Option<&str>| {
            let record = DataRecord {
                argument: argument.map(str::to_string),
                name: "pets".into(),
                ..DataRecord::default()
            };
            let place = record.place(&run, |name| name == "mnist");
            place.map_err(|error| error.to_string())
        };
        assert_eq!(place(None), Ok(None));
        assert_eq!(place(Some("mnist")), Ok(Some("mnist".into())));
        let unknown = place(Some("pets")).unwrap_err();
        assert!(
            unknown.contains("`--data`") && unknown.contains("`pets`"),
            "{unknown}"
        );
        assert!(place(Some(STREAM)).unwrap_err().contains("`--data`"));

        let here = dir.path().join("here").display().to_string();
        fs::write(dir.path().join(DATA_PATH), &here).unwrap();
        let gone = place(Some("here")).unwrap_err();
        assert!(gone.contains(&here) && gone.contains("`--data`"), "{gone}");
        fs::create_dir(&here).unwrap();
        assert_eq!(place(Some("here")), Ok(Some(here)));
    }

    #[test]
    fn keys_of_all_families_become_the_section_of_one() {
        let former = |architecture: &str| {
            let mut record = json!({
                "config": {"architecture": architecture},
                "recipe": {
                    "epochs": 3,
                    "label_smoothing": 0.1,
                    "augment": {"flip": "random"},
                    "series": {"missing": "refuse"},
                },
            });
            sort_into_sections(&mut record);
            record["recipe"].take()
        };
        let augment = json!({"flip": "random"});
        assert_eq!(
            former("classifier"),
            json!({
                "epochs": 3,
                "classification": {
                    "label_smoothing": 0.1,
                    "stem_epochs": 0,
                    "image_size": [],
                    "class_weights": "none",
                    "sampling": "shuffled",
                    "mixup": 0.0,
                    "cutmix": 0.0,
                    "augment": augment,
                },
            })
        );
        assert_eq!(
            former("generator"),
            json!({"epochs": 3, "reconstruction": {"augment": augment}})
        );
        let mut series = json!({"recipe": former("forecaster")});
        assert_eq!(
            series["recipe"],
            json!({"epochs": 3, "series": {"missing": "refuse"}})
        );
        let as_it_is = series.clone();
        sort_into_sections(&mut series);
        assert_eq!(series, as_it_is);
    }
}
