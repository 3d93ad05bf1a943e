//! The trained model that a run begins with: `--from`.
//!
//! What is taken of it is written into the run's directory before the run is there, so that a run goes on without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;

use anyhow::Context;
use candle_core::{Device, Tensor};
use gmnm_core::params::is_buffer;
use models::registry::Entry;
use models::transfer::{self, Adapted, Reason, Transfer, transfer};
use models::{ModelConfig, ModelDir};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{RunDir, TrainError};
use crate::data::public_name;
use crate::layout::START;

/// Names of tensors that a sentence holds.
const NAMED: usize = 4;

/// A trained model to begin with.
#[derive(Debug, Clone)]
pub struct Base {
    name: String,
    model: ModelDir,
    weights: String,
    converted: Vec<String>,
}

impl Base {
    /// `model`, which the user calls `name`; `weights` are the bytes of its `model.safetensors`.
    pub fn new(name: &str, model: ModelDir, weights: &[u8]) -> Self {
        // They have been read: what they are stored as can be.
        let header = SafeTensors::read_metadata(weights);
        let types = header.map(|(_, header)| {
            let infos = header.tensors().into_values();
            let names = infos.map(|info| format!("{:?}", info.dtype).to_lowercase());
            names.filter(|name| name != "f32").collect::<BTreeSet<_>>()
        });
        Self {
            name: public_name(name),
            model,
            weights: hex(weights),
            converted: types.unwrap_or_default().into_iter().collect(),
        }
    }

    /// The settings with which a network `entry` begins: those of the model where it is one of that name.
    ///
    /// # Errors
    /// When it is of another architecture.
    pub fn settings(&self, entry: &Entry) -> anyhow::Result<ModelConfig> {
        let config = entry.config();
        transfer::check_architecture(&self.model.config, &config).with_context(|| self.flag())?;
        Ok(match self.model.model == entry.name {
            true => transfer::settings(&self.model),
            false => config,
        })
    }

    /// What the network of `config`, which tells the classes `labels` apart, begins with, and its bytes.
    ///
    /// # Errors
    /// When nothing of the model fits.
    pub(super) fn start(
        &self,
        config: &ModelConfig,
        labels: &[String],
    ) -> anyhow::Result<(BaseRecord, Vec<u8>)> {
        let found = transfer(&self.model, config, labels).with_context(|| self.flag())?;
        let named = found
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor));
        let bytes = safetensors::serialize(named, None)?;
        let Transfer {
            tensors,
            adapted,
            drawn,
            left,
            input,
        } = found;
        let record = BaseRecord {
            name: self.name.clone(),
            model: self.model.model.clone(),
            weights: self.weights.clone(),
            converted: self.converted.clone(),
            taken: tensors.into_keys().collect(),
            adapted,
            drawn,
            left,
            input: input.map(|(mean, std)| ChannelStatistics { mean, std }),
            start: hex(&bytes),
        };
        Ok((record, bytes))
    }

    fn flag(&self) -> String {
        format!("`--from {}`", self.name)
    }
}

/// How images were normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatistics {
    /// The mean of each channel.
    pub mean: Vec<f32>,
    /// Their standard deviations.
    pub std: Vec<f32>,
}

/// The model that a run began with, and what it took of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseRecord {
    /// As `--from` named it; of a path, its last part.
    pub name: String,
    /// Its name in the registry.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights: String,
    /// The types other than f32 that its weights were stored as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub converted: Vec<String>,
    /// The tensors that were taken.
    pub taken: BTreeSet<String>,
    /// Those of them that were made to fit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub adapted: BTreeMap<String, Adapted>,
    /// The tensors that were drawn anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drawn: BTreeMap<String, Reason>,
    /// Tensors of the model that there is no place for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// How images are normalised, where that is as they were for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ChannelStatistics>,
    /// SHA-256 of the file of what was taken.
    pub start: String,
}

impl BaseRecord {
    /// What was taken and what was not, in one line.
    pub fn in_words(&self) -> String {
        let taken = self.taken.len();
        let all = taken + self.drawn.len();
        let mut parts = vec![match self.drawn.is_empty() {
            true => format!("from `{}`: all {all} tensors taken", self.name),
            false => format!("from `{}`: {taken} of {all} tensors taken", self.name),
        }];
        for (name, adapted) in &self.adapted {
            parts.push(format!("`{name}` {}", adapted.in_words()));
        }
        if !self.converted.is_empty() {
            let types = self.converted.join(" and ");
            parts.push(format!("converted from {types}"));
        }
        if self.input.is_some() {
            parts.push("images normalised as for it".into());
        }
        let mut line = parts.join(", ");
        if !self.drawn.is_empty() {
            let mut reasons: BTreeMap<Reason, Vec<&String>> = BTreeMap::new();
            for (name, reason) in &self.drawn {
                reasons.entry(*reason).or_default().push(name);
            }
            let each = reasons.iter().map(|(reason, names)| {
                let names = named(names.iter().copied(), names.len());
                format!("{names} ({})", reason.in_words())
            });
            line += &format!("; drawn anew: {}", each.collect::<Vec<_>>().join(", "));
        }
        if !self.left.is_empty() {
            let names = named(self.left.iter(), self.left.len());
            line += &format!("; without a place here: {names}");
        }
        line
    }

    /// The parameters that were taken.
    pub(super) fn parameters(&self) -> BTreeSet<String> {
        let names = self.taken.iter().filter(|name| !is_buffer(name));
        names.cloned().collect()
    }

    /// The tensors that the run in `dir` began with.
    ///
    /// # Errors
    /// When they are not what was written.
    pub(super) fn tensors(&self, dir: &RunDir) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let path = dir.join(START);
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        let read = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
        match read.ok().filter(|_| hex(&bytes) == self.start) {
            Some(tensors) => Ok(tensors.into_iter().collect()),
            None => Err(TrainError::Resume {
                path: dir.path().to_path_buf(),
                problem: format!(
                    "its `{START}`, which it begins with, is not what was written; give the command that began it \
                     again, with `--overwrite`"
                ),
            }),
        }
    }
}

/// Removes what the run in `dir` began with, which it needs no more.
///
/// # Errors
/// When the system refuses.
pub(super) fn remove_start(dir: &RunDir) -> Result<(), TrainError> {
    let path = dir.join(START);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::io("remove", &path)(e)),
        _ => Ok(()),
    }
}

/// Some of `count` names.
fn named<'a>(names: impl Iterator<Item = &'a String>, count: usize) -> String {
    let some: Vec<String> = names.take(NAMED).map(|name| format!("`{name}`")).collect();
    match count.saturating_sub(NAMED) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> BaseRecord {
        BaseRecord {
            name: "fashion-classifier".into(),
            model: "fashion-classifier".into(),
            weights: String::new(),
            converted: Vec::new(),
            taken: ["a.weight", "b.bn.running_mean"].map(String::from).into(),
            adapted: BTreeMap::new(),
            drawn: BTreeMap::new(),
            left: Vec::new(),
            input: None,
            start: String::new(),
        }
    }

    #[test]
    fn one_line_says_what_was_taken_and_what_was_not() {
        let said = "from `fashion-classifier`: all 2 tensors taken";
        assert_eq!(record().in_words(), said);
        let drawn = |names: &'static [&'static str], reason| {
            names.iter().map(move |n| (n.to_string(), reason))
        };
        let partly = BaseRecord {
            converted: vec!["bf16".into()],
            adapted: BTreeMap::from([("a.weight".to_string(), Adapted::Summed)]),
            drawn: drawn(&["head.bias", "head.weight"], Reason::Classes)
                .chain(drawn(&["m1", "m2", "m3", "m4", "m5"], Reason::Absent))
                .collect(),
            left: vec!["x".into()],
            input: Some(ChannelStatistics {
                mean: vec![0.5],
                std: vec![0.5],
            }),
            ..record()
        };
        assert_eq!(
            partly.in_words(),
            "from `fashion-classifier`: 2 of 9 tensors taken, `a.weight` summed over the channels of its images, \
             converted from bf16, images normalised as for it; drawn anew: `m1`, `m2`, `m3`, `m4` and 1 more (not in \
             it), `head.bias`, `head.weight` (for other classes); without a place here: `x`"
        );
    }

    #[test]
    fn a_changed_start_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::existing(dir.path());
        let tensor = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let bytes = safetensors::serialize([("a.weight", &tensor)], None).unwrap();
        let record = BaseRecord {
            start: hex(&bytes),
            ..record()
        };
        fs::write(run.join(START), &bytes).unwrap();
        assert_eq!(record.tensors(&run).unwrap().len(), 1);
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(run.join(START), changed).unwrap();
        let error = record.tensors(&run).unwrap_err().to_string();
        assert!(
            error.contains("`start.safetensors`") && error.contains("--overwrite"),
            "{error}"
        );
        remove_start(&run).unwrap();
        remove_start(&run).unwrap();
        assert!(record.tensors(&run).is_err());
    }
}
