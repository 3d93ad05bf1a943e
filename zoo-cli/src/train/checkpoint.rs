//! The whole state of an unfinished run, so that it goes on as if it had never stopped.
//!
//! A checkpoint is a directory `checkpoints/step-N`: `state.toml` and one safetensors file for each set of tensors, on
//! whatever device the run computes. It is written under another name, synced and renamed; only then is the one before
//! removed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metrics::Row;
use super::{RunDir, TrainError};
use crate::layout::CHECKPOINTS;

const STATE: &str = "state.toml";
const PREFIX: &str = "step-";
const UNFINISHED: &str = "unfinished";

/// Where a run stands. Random numbers are functions of seed, epoch and example, so this is all their state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Whole epochs done.
    pub epoch: usize,
    /// Steps done in the epoch after those.
    pub step: u64,
    /// Steps done since the start.
    pub total_steps: u64,
    /// Examples seen in the unfinished epoch.
    pub seen: u64,
    /// The task's measures summed over them.
    pub sums: Vec<f64>,
    /// The finished epochs.
    pub history: Vec<Row>,
    /// Whether early stopping has ended the run.
    pub stopped: bool,
}

/// A run's state. `P` says where it stands: that of the training loop, or that of a solver.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint<P = Position> {
    /// Where it stands.
    pub position: P,
    /// Tensors by set (`weights`, `average`, `moments`, `best`) and name.
    pub tensors: BTreeMap<String, BTreeMap<String, Tensor>>,
}

impl<P: Serialize + DeserializeOwned> Checkpoint<P> {
    /// A set of tensors.
    ///
    /// # Errors
    /// When the checkpoint has no such set.
    pub fn set(&self, name: &str) -> candle_core::Result<&BTreeMap<String, Tensor>> {
        match self.tensors.get(name) {
            Some(tensors) => Ok(tensors),
            None => candle_core::bail!("the checkpoint has no `{name}`"),
        }
    }

    /// Writes the state after `steps` steps into `dir` and removes older ones. Returns where it is.
    ///
    /// # Errors
    /// When the system refuses; the older checkpoint is then still there.
    pub fn save(&self, dir: &RunDir, steps: u64) -> Result<PathBuf, TrainError> {
        let parent = dir.join(CHECKPOINTS);
        let unfinished = parent.join(UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(TrainError::io("remove", &unfinished))?;
        }
        fs::create_dir_all(&unfinished).map_err(TrainError::io("create", &unfinished))?;
        for (name, tensors) in &self.tensors {
            let path = unfinished.join(format!("{name}.safetensors"));
            let tensors: HashMap<&str, Tensor> = tensors
                .iter()
                .map(|(name, tensor)| Ok((name.as_str(), tensor.to_device(&Device::Cpu)?)))
                .collect::<candle_core::Result<_>>()?;
            let bytes = safetensors::serialize(tensors, None)
                .map_err(|e| TrainError::io("write", &path)(std::io::Error::other(e)))?;
            write_synced(&path, &bytes)?;
        }
        let path = unfinished.join(STATE);
        // TOML, because its floats come back as the same bits.
        let state = toml::to_string(&self.position)
            .map_err(|e| TrainError::io("write", &path)(std::io::Error::other(e)))?;
        write_synced(&path, state.as_bytes())?;
        sync_directory(&unfinished)?;
        let finished = parent.join(format!("{PREFIX}{steps:010}"));
        if finished.exists() {
            fs::remove_dir_all(&finished).map_err(TrainError::io("remove", &finished))?;
        }
        fs::rename(&unfinished, &finished).map_err(TrainError::io("write", &finished))?;
        sync_directory(&parent)?;
        for older in all(dir)?.into_iter().filter(|path| *path != finished) {
            fs::remove_dir_all(&older).map_err(TrainError::io("remove", &older))?;
        }
        Ok(finished)
    }

    /// The newest state in `dir`, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn latest(dir: &RunDir) -> Result<Option<Self>, TrainError> {
        let Some(path) = latest_path(dir)? else {
            return Ok(None);
        };
        let damaged = |problem: String| TrainError::Resume {
            path: path.clone(),
            problem,
        };
        let state = path.join(STATE);
        let text = fs::read_to_string(&state).map_err(TrainError::io("read", &state))?;
        let position = toml::from_str(&text).map_err(|e| {
            let problem = e.message();
            damaged(format!(
                "`{STATE}` is damaged ({problem}), start the run anew"
            ))
        })?;
        let mut tensors = BTreeMap::new();
        for entry in fs::read_dir(&path).map_err(TrainError::io("read", &path))? {
            let file = entry.map_err(TrainError::io("read", &path))?.path();
            if file.extension().is_some_and(|e| e == "safetensors")
                && let Some(name) = file.file_stem().and_then(|n| n.to_str())
            {
                let set = candle_core::safetensors::load(&file, &Device::Cpu).map_err(|e| {
                    damaged(format!("`{name}` is damaged ({e}), start the run anew"))
                })?;
                tensors.insert(name.to_string(), set.into_iter().collect());
            }
        }
        Ok(Some(Self { position, tensors }))
    }
}

/// Removes all states of a finished run.
///
/// # Errors
/// When the system refuses.
pub fn remove_all(dir: &RunDir) -> Result<(), TrainError> {
    let path = dir.join(CHECKPOINTS);
    match fs::remove_dir_all(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("remove", &path)(e))
        }
        _ => Ok(()),
    }
}

/// Where the newest state of a run is, if there is one.
///
/// # Errors
/// When the directory cannot be read.
pub fn latest_path(dir: &RunDir) -> Result<Option<PathBuf>, TrainError> {
    Ok(all(dir)?.pop())
}

/// The finished checkpoints of a run, oldest first.
fn all(dir: &RunDir) -> Result<Vec<PathBuf>, TrainError> {
    let parent = dir.join(CHECKPOINTS);
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&parent).map_err(TrainError::io("read", &parent))? {
        let entry = entry.map_err(TrainError::io("read", &parent))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    use std::io::Write;
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(TrainError::io("write", path))
}

/// Makes a rename in a directory survive a power cut; systems that cannot open directories need no such thing.
fn sync_directory(path: &Path) -> Result<(), TrainError> {
    match File::open(path) {
        Ok(file) if cfg!(unix) => file.sync_all().map_err(TrainError::io("write", path)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_dir::IfExists;
    use super::*;

    fn checkpoint(total_steps: u64) -> Checkpoint {
        let tensor = Tensor::new(&[0.1f32, 0.2], &Device::Cpu).unwrap();
        let weights = BTreeMap::from([("a.weight".to_string(), tensor)]);
        Checkpoint {
            position: Position {
                total_steps,
                // A value whose shortest decimal form needs all 17 digits.
                sums: vec![0.1 + 0.2, 1.0 / 3.0],
                ..Default::default()
            },
            tensors: BTreeMap::from([("weights".to_string(), weights)]),
        }
    }

    #[test]
    fn the_newest_complete_state_is_read_back_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path(), IfExists::Refuse).unwrap();
        assert!(Checkpoint::<Position>::latest(&run).unwrap().is_none());
        checkpoint(9).save(&run, 9).unwrap();
        checkpoint(10).save(&run, 10).unwrap();
        // A state that a kill left half-written is not seen.
        let unfinished = run.join(CHECKPOINTS).join(UNFINISHED);
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join(STATE), "{").unwrap();
        let read = Checkpoint::<Position>::latest(&run).unwrap().unwrap();
        assert_eq!(read.position, checkpoint(10).position);
        let values: Vec<f32> = read.set("weights").unwrap()["a.weight"].to_vec1().unwrap();
        assert_eq!(values, [0.1, 0.2]);
        assert_eq!(all(&run).unwrap().len(), 1);
        assert!(read.set("moments").is_err());
    }

    #[test]
    fn a_damaged_state_is_an_error_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path(), IfExists::Refuse).unwrap();
        let path = checkpoint(1).save(&run, 1).unwrap();
        fs::write(path.join("weights.safetensors"), "short").unwrap();
        let error = Checkpoint::<Position>::latest(&run)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`weights` is damaged"), "{error}");
    }
}
