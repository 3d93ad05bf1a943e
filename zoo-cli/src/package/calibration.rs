//! `calibration.json`: what was fitted to held-out examples so that a network's outputs can be trusted, beside the
//! weights that it was fitted to.

use std::collections::BTreeMap;
use std::path::Path;

use models::model_dir::WEIGHTS;
use models::write::replace_file;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ModelFiles, PackageError, sums};
use crate::evaluation::Augmented;
use crate::layout::CALIBRATION;

/// The content of `calibration.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationFile {
    /// The SHA-256 of the weights that all of it was fitted to.
    pub weights: String,
    /// What the logits of a classifier are divided by, by test-time augmentation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub temperature: BTreeMap<Augmented, TemperatureRecord>,
    /// What other versions keep here.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A fitted temperature, and what it was fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemperatureRecord {
    /// The logits are divided by it.
    pub value: f64,
    /// Held-out examples that it was fitted to.
    pub examples: usize,
    /// The dataset that they are of.
    pub data: String,
    /// SHA-256 over that dataset.
    pub fingerprint: String,
}

impl CalibrationFile {
    /// What was fitted to the weights of `files`; `None` when there is no such file.
    ///
    /// # Errors
    /// [`PackageError::BadFile`] when it is damaged or belongs to other weights, [`PackageError::Read`] when it cannot be
    /// read.
    pub fn of(files: &ModelFiles) -> Result<Option<Self>, PackageError> {
        let Some(file) = Self::parse(files)? else {
            return Ok(None);
        };
        match file.weights == files.sha256(WEIGHTS)? {
            true => Ok(Some(file)),
            false => Err(PackageError::BadFile {
                path: files.path(CALIBRATION),
                problem: format!(
                    "was fitted to other weights than `{WEIGHTS}`; fit it anew with `zoo eval DIR --calibrate`, or move \
                     it away"
                ),
            }),
        }
    }

    fn parse(files: &ModelFiles) -> Result<Option<Self>, PackageError> {
        let Some(text) = files.read(CALIBRATION)? else {
            return Ok(None);
        };
        let bad = |problem: String| PackageError::BadFile {
            path: files.path(CALIBRATION),
            problem: format!("{problem}; restore it or move it away"),
        };
        let file: Self = serde_json::from_slice(&text)
            .map_err(|error| bad(format!("is no record of a calibration ({error})")))?;
        let mut values = file.temperature.values().map(|record| record.value);
        match values.find(|value| !(*value > 0.0 && value.is_finite())) {
            Some(value) => Err(bad(format!(
                "has the temperature {value}, which is not positive"
            ))),
            None => Ok(Some(file)),
        }
    }

    /// Keeps `temperature` of the model in `dir` beside what else was fitted to the same weights, and brings the list of
    /// hashes up to date where there is one. What was fitted to other weights goes.
    ///
    /// # Errors
    /// When the file that is there is damaged, or the system refuses.
    pub fn keep(
        dir: &Path,
        augmented: Augmented,
        temperature: TemperatureRecord,
    ) -> anyhow::Result<()> {
        let files = ModelFiles::Directory(dir.to_owned());
        let weights = files.sha256(WEIGHTS)?;
        let present = Self::parse(&files)?.filter(|file| file.weights == weights);
        let mut file = present.unwrap_or(Self {
            weights,
            temperature: BTreeMap::new(),
            others: Map::new(),
        });
        file.temperature.insert(augmented, temperature);
        let mut text = serde_json::to_vec_pretty(&file)?;
        text.push(b'\n');
        let path = dir.join(CALIBRATION);
        replace_file(&path, &text).map_err(PackageError::write(&path))?;
        sums::update(dir, CALIBRATION)?;
        Ok(())
    }

    /// The file in words, as a part of a sentence.
    pub(super) fn in_words(&self) -> String {
        let each = self.temperature.iter().map(|(augmented, record)| {
            let with = match augmented {
                Augmented::None => "",
                Augmented::Flip => " with `--tta flip`",
            };
            format!(
                "temperature {:.4}{with}, fitted to {} examples of `{}`",
                record.value, record.examples, record.data
            )
        });
        let mut said: Vec<String> = each.collect();
        said.extend(
            self.others
                .keys()
                .map(|key| format!("`{key}`, which this version does not use")),
        );
        said.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::SUMS;

    fn record(value: f64) -> TemperatureRecord {
        TemperatureRecord {
            value,
            examples: 7,
            data: "pets".into(),
            fingerprint: "ab".into(),
        }
    }

    #[test]
    fn what_others_wrote_stays_as_long_as_the_weights_do() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(dir.path().to_owned());
        std::fs::write(dir.path().join(WEIGHTS), "weights").unwrap();
        assert_eq!(CalibrationFile::of(&files).unwrap(), None);
        CalibrationFile::keep(dir.path(), Augmented::None, record(1.5)).unwrap();

        let path = dir.path().join(CALIBRATION);
        let mut text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        text["novelty"] = serde_json::json!([0.1, 0.9]);
        std::fs::write(&path, text.to_string()).unwrap();
        std::fs::write(
            dir.path().join(SUMS),
            format!("{}  {CALIBRATION}\n", "0".repeat(64)),
        )
        .unwrap();
        CalibrationFile::keep(dir.path(), Augmented::Flip, record(2.0)).unwrap();
        let kept = CalibrationFile::of(&files).unwrap().unwrap();
        assert_eq!(kept.temperature.len(), 2);
        assert_eq!(kept.others["novelty"][1], 0.9);
        assert_eq!(sums::check(dir.path()).unwrap(), Some(vec![]));

        std::fs::write(dir.path().join(WEIGHTS), "others").unwrap();
        let error = CalibrationFile::of(&files).unwrap_err().to_string();
        assert!(error.contains("other weights"), "{error}");
        CalibrationFile::keep(dir.path(), Augmented::None, record(3.0)).unwrap();
        let kept = CalibrationFile::of(&files).unwrap().unwrap();
        assert_eq!((kept.temperature.len(), kept.others.len()), (1, 0));
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModelFiles::Directory(dir.path().to_owned());
        std::fs::write(dir.path().join(WEIGHTS), "weights").unwrap();
        for text in [
            "{",
            r#"{"temperature": {}}"#,
            r#"{"weights": "", "temperature": {"none": {"value": 0, "examples": 1, "data": "", "fingerprint": ""}}}"#,
        ] {
            std::fs::write(dir.path().join(CALIBRATION), text).unwrap();
            let error = CalibrationFile::of(&files).unwrap_err().to_string();
            assert!(error.contains("restore it or move it away"), "{error}");
        }
    }
}
