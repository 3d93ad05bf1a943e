//! The whole state of an unfinished run, so that it goes on as if it had never stopped.
//!
//! A checkpoint is a directory `checkpoints/step-N`: `state.toml`, one safetensors file for each set of tensors, on
//! whatever device the run computes, and `SHA256SUMS` over them all and the run's record. It is written under another name, synced and
//! renamed; only then is an older one removed, its `state.toml` first: a directory without that is no checkpoint. The one
//! before the newest is kept, for when the newest is damaged on disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::metrics::Row;
use super::{RunDir, TrainError};
use crate::layout::{CHECKPOINTS, SUMS, TRAINING};

const STATE: &str = "state.toml";
const TENSORS: &str = "safetensors";
const PREFIX: &str = "step-";
const UNFINISHED: &str = "unfinished";
/// The run's record, as it is called from within a checkpoint.
const RECORD: &str = "../../training.json";
/// The newest, and one to fall back on.
const KEPT: usize = 2;

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

    /// Writes the state after `steps` steps into `dir`, where it is not there yet, and removes all older ones but one.
    /// Returns where it is.
    ///
    /// # Errors
    /// When the system refuses; the older checkpoints are then still there.
    pub fn save(&self, dir: &RunDir, steps: u64) -> Result<PathBuf, TrainError> {
        dir.check()?;
        let parent = dir.join(CHECKPOINTS);
        let finished = parent.join(format!("{PREFIX}{steps:010}"));
        if is_whole(&finished) {
            return Ok(finished);
        }
        let unfinished = parent.join(UNFINISHED);
        // Not the run's own directory: one that was taken away is not made again.
        for path in [&parent, &unfinished] {
            match fs::create_dir(path) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                    return Err(TrainError::io("create", path)(e));
                }
                _ => {}
            }
        }
        let mut sums = String::new();
        let mut write = |name: &str, bytes: &[u8]| {
            sums += &format!("{}  {name}\n", sha256(bytes));
            write_synced(&unfinished.join(name), bytes)
        };
        for (name, tensors) in &self.tensors {
            let name = format!("{name}.{TENSORS}");
            let tensors: HashMap<&str, Tensor> = tensors
                .iter()
                .map(|(name, tensor)| Ok((name.as_str(), tensor.to_device(&Device::Cpu)?)))
                .collect::<candle_core::Result<_>>()?;
            let bytes = safetensors::serialize(tensors, None).map_err(|e| {
                TrainError::io("write", &unfinished.join(&name))(std::io::Error::other(e))
            })?;
            write(&name, &bytes)?;
        }
        // TOML, because its floats come back as the same bits.
        let state = toml::to_string(&self.position).map_err(|e| {
            TrainError::io("write", &unfinished.join(STATE))(std::io::Error::other(e))
        })?;
        write(STATE, state.as_bytes())?;
        if let Some(digits) = record_sum(dir)? {
            sums += &format!("{digits}  {RECORD}\n");
        }
        write_synced(&unfinished.join(SUMS), sums.as_bytes())?;
        sync_directory(&unfinished)?;
        fs::rename(&unfinished, &finished).map_err(TrainError::io("write", &finished))?;
        sync_directory(&parent)?;
        let mut all = all(dir)?;
        all.truncate(all.len().saturating_sub(KEPT));
        all.iter().try_for_each(|older| remove(older))?;
        Ok(finished)
    }

    /// The newest state in `dir`, if there is one.
    ///
    /// # Errors
    /// When it is not what was saved, or cannot be read.
    pub fn latest(dir: &RunDir) -> Result<Option<Self>, TrainError> {
        let mut all = all(dir)?;
        let Some(path) = all.pop() else {
            return Ok(None);
        };
        let read = match (is_of_record(dir, &path)?, all.last()) {
            (true, _) => Self::read(&path)?,
            (false, Some(before)) if is_of_record(dir, before)? => {
                Err(format!("its `{SUMS}` is damaged"))
            }
            (false, _) => {
                return Err(TrainError::Resume {
                    path: dir.path().to_path_buf(),
                    problem: format!(
                        "`{TRAINING}` is not what it was when the run began, or `{}` is damaged; restore it, or train \
                         into another directory with `--out`",
                        path.join(SUMS).display()
                    ),
                });
            }
        };
        read.map(Some).map_err(|problem| {
            let next = match all.last().and_then(|before| before.file_name()) {
                Some(before) => format!("the run goes on from `{}`", before.display()),
                None => "the run starts anew".to_string(),
            };
            TrainError::Resume {
                problem: format!("{problem}; remove that directory, and {next}"),
                path,
            }
        })
    }

    /// The state in `path`, or what is wrong with it.
    fn read(path: &Path) -> Result<Result<Self, String>, TrainError> {
        let mut position = None;
        let mut tensors = BTreeMap::new();
        for (name, digits) in listed(path)? {
            let set = name.strip_suffix(&format!(".{TENSORS}"));
            if name == RECORD {
                continue;
            }
            if name != STATE && set.is_none() {
                return Ok(Err(format!("its `{SUMS}` is damaged")));
            }
            let file = path.join(&name);
            let bytes = match fs::read(&file) {
                Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
                other => other.map_err(TrainError::io("read", &file))?,
            };
            if digits.is_some_and(|digits| digits != sha256(&bytes)) {
                return Ok(Err(format!("its `{name}` is not what was saved")));
            }
            let damaged = |problem: &str| Ok(Err(format!("its `{name}` is damaged ({problem})")));
            match set {
                Some(set) => match candle_core::safetensors::load_buffer(&bytes, &Device::Cpu) {
                    Ok(read) => drop(tensors.insert(set.to_string(), read.into_iter().collect())),
                    Err(e) => return damaged(&e.to_string()),
                },
                None => match toml::from_str(&String::from_utf8_lossy(&bytes)) {
                    Ok(read) => position = Some(read),
                    Err(e) => return damaged(e.message()),
                },
            }
        }
        Ok(match position {
            Some(position) => Ok(Self { position, tensors }),
            None => Err(format!("its `{SUMS}` is damaged")),
        })
    }
}

/// A file with the digits of its hash, or without where a version of zoo made the checkpoint that kept none.
type Listed = (String, Option<String>);

/// The digits of the hash of the run's record, if it has one.
fn record_sum(dir: &RunDir) -> Result<Option<String>, TrainError> {
    let path = dir.join(TRAINING);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(sha256(&bytes))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(TrainError::io("read", &path)(e)),
    }
}

/// Whether a checkpoint was saved under the record that the run has now, as far as the checkpoint tells.
fn is_of_record(dir: &RunDir, path: &Path) -> Result<bool, TrainError> {
    let listed = listed(path)?;
    let of_record = listed.into_iter().find(|(name, _)| name == RECORD);
    Ok(match of_record {
        Some((_, digits)) => digits == record_sum(dir)?,
        None => true,
    })
}

/// The files that a checkpoint holds.
fn listed(path: &Path) -> Result<Vec<Listed>, TrainError> {
    let sums = path.join(SUMS);
    match fs::read(&sums) {
        Ok(bytes) => {
            // A line that is none is a file that is not there.
            let text = String::from_utf8_lossy(&bytes);
            let lines = text
                .lines()
                .map(|line| line.split_once("  ").unwrap_or(("", line)));
            let entry = |(digits, name): (&str, &str)| (name.to_string(), Some(digits.to_string()));
            Ok(lines.map(entry).collect())
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            Ok(own(path)?.into_iter().map(|name| (name, None)).collect())
        }
        Err(e) => Err(TrainError::io("read", &sums)(e)),
    }
}

/// The names of the files in a checkpoint's directory that are of a checkpoint, the state first.
fn own(path: &Path) -> Result<Vec<String>, TrainError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(TrainError::io("read", path))? {
        let entry = entry.map_err(TrainError::io("read", path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == STATE || name == SUMS || name.ends_with(&format!(".{TENSORS}")) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| name != STATE);
    Ok(names)
}

/// Removes a checkpoint, whole or not, but no file of others that lies in it.
fn remove(path: &Path) -> Result<(), TrainError> {
    for name in own(path)? {
        let file = path.join(name);
        fs::remove_file(&file).map_err(TrainError::io("remove", &file))?;
    }
    remove_empty(path)
}

fn remove_empty(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir(path) {
        Err(e) if !matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
            Err(TrainError::io("remove", path)(e))
        }
        _ => Ok(()),
    }
}

/// Removes all states of a run, and no file of others beside them.
///
/// # Errors
/// When the system refuses.
pub fn remove_all(dir: &RunDir) -> Result<(), TrainError> {
    directories(dir)?.iter().try_for_each(|path| remove(path))?;
    remove_empty(&dir.join(CHECKPOINTS))
}

/// Removes what a process that was killed left of states that it was about to write or remove.
///
/// # Errors
/// When the system refuses.
pub(super) fn sweep(dir: &RunDir) -> Result<(), TrainError> {
    let mut parts = directories(dir)?;
    parts.retain(|path| path.ends_with(UNFINISHED) || !is_whole(path));
    parts.iter().try_for_each(|path| remove(path))
}

/// Where the newest state of a run is, if there is one.
///
/// # Errors
/// When the directory cannot be read.
pub fn latest_path(dir: &RunDir) -> Result<Option<PathBuf>, TrainError> {
    Ok(all(dir)?.pop())
}

/// The checkpoints of a run, oldest first.
fn all(dir: &RunDir) -> Result<Vec<PathBuf>, TrainError> {
    let mut found = directories(dir)?;
    found.retain(|path| !path.ends_with(UNFINISHED) && is_whole(path));
    Ok(found)
}

fn is_whole(path: &Path) -> bool {
    path.join(STATE).is_file()
}

/// The directories of checkpoints, finished or not, sorted by name.
fn directories(dir: &RunDir) -> Result<Vec<PathBuf>, TrainError> {
    let parent = dir.join(CHECKPOINTS);
    let entries = match fs::read_dir(&parent) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(TrainError::io("read", &parent))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TrainError::io("read", &parent))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name == UNFINISHED || is_number(name.strip_prefix(PREFIX));
        if is_ours && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn is_number(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
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
        assert_eq!(all(&run).unwrap().len(), KEPT);
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
        assert!(
            error.contains("its `weights.safetensors` is not what was saved"),
            "{error}"
        );
    }
}
