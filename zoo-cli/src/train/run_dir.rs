//! The directory of one run, and who may do what in it.
//!
//! A run is there from the moment that its record is: everything before can be begun again, and a run that is replaced
//! loses its record first. The process that writes holds a [`Lock`].

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use models::model_dir::CONFIG;
use models::write::{is_temporary, replace_file, sweep};
use serde_json::Value;

use super::{Lock, TrainError, checkpoint};
use crate::layout::{
    CARD, CHECKPOINTS, DATA_PATH, GENERATED, LOCK, OF_ONE_MODEL, REPLACED, START, TRAINING,
};

/// What is written before the record, in this order.
const BEFORE_THE_RECORD: [&str; 2] = [DATA_PATH, START];

/// What happens to a directory that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// It is an error.
    Refuse,
    /// The files of an earlier run are removed; others stay.
    Overwrite,
}

/// A directory that a run writes to, or one that is only read.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    lock: Option<Lock>,
}

/// What a directory holds, as far as a new run is concerned.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// Nothing, or what is left of a command that was killed before its run was there.
    Nothing,
    /// A run, or a model that came of one.
    Run,
    /// What is left of a run that was being replaced.
    Replaced,
    /// Files of others, none of which would be in a run's way.
    Others,
    /// This file, which would be in a run's way and is not of one.
    Foreign(PathBuf),
}

impl RunDir {
    /// A directory for a new run at `path`, made with its parents where missing and locked.
    ///
    /// # Errors
    /// When it may not be used, another process works there, or it cannot be written.
    pub fn create(path: &Path, if_exists: IfExists) -> Result<Self, TrainError> {
        Self::check_free(path, if_exists)?;
        fs::create_dir_all(path).map_err(TrainError::output(path))?;
        let lock = Lock::acquire(path)?;
        permit(path, lock.follows_a_kill(), if_exists)?;
        let run = Self {
            path: path.to_path_buf(),
            lock: Some(lock),
        };
        run.sweep()?;
        run.clear()?;
        Ok(run)
    }

    /// Checks, without a trace, that a new run may take the directory `path`.
    ///
    /// # Errors
    /// Says what it holds, and what to do.
    pub fn check_free(path: &Path, if_exists: IfExists) -> Result<(), TrainError> {
        permit(path, Lock::was_left(path)?, if_exists)
    }

    /// A new directory `PARENT/NAME-N` with the first free N.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn numbered(parent: &Path, name: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(parent).map_err(TrainError::output(parent))?;
        for n in 1..=u32::MAX {
            let path = parent.join(format!("{name}-{n}"));
            if path.exists() && Self::check_free(&path, IfExists::Refuse).is_err() {
                continue;
            }
            match Self::create(&path, IfExists::Refuse) {
                // Another process was faster.
                Err(TrainError::Busy { .. } | TrainError::HoldsRun(_)) => {}
                other => return other,
            }
        }
        Err(TrainError::NotEmpty(parent.to_path_buf()))
    }

    /// The directory of an earlier run, locked.
    ///
    /// # Errors
    /// When it holds none, another process works there, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let cannot = |problem: &str| TrainError::Resume {
            path: path.to_path_buf(),
            problem: problem.to_string(),
        };
        if !path.is_dir() {
            return Err(cannot("there is no such directory"));
        }
        if !path.join(TRAINING).exists() {
            let was_left = Lock::was_left(path)?;
            return Err(match survey(path, was_left)? {
                Content::Replaced => TrainError::Replaced(path.to_path_buf()),
                content if was_left || content == Content::Nothing => {
                    cannot("it holds no run yet; give the command again that was to begin one here")
                }
                _ => cannot(
                    "it holds no run; begin one in another directory, with `zoo train MODEL --out`",
                ),
            });
        }
        let run = Self {
            path: path.to_path_buf(),
            lock: Some(Lock::acquire(path)?),
        };
        run.sweep()?;
        Ok(run)
    }

    /// A directory that is only read.
    pub fn existing(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            lock: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or directory within.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Checks that the directory is still the one that was created or opened.
    ///
    /// # Errors
    /// [`TrainError::Lost`] when it was removed, moved or replaced.
    pub fn check(&self) -> Result<(), TrainError> {
        self.lock.as_ref().map_or(Ok(()), Lock::check)
    }

    /// Replaces the file `name` in one step.
    ///
    /// # Errors
    /// When the directory was taken away or the system refuses; what stood there is unchanged.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), TrainError> {
        self.check()?;
        let path = self.join(name);
        replace_file(&path, contents).map_err(TrainError::io("write", &path))
    }

    /// Makes this the directory of a run with the given `record`: where its data lie, if that is a path, the tensors that
    /// it begins with, if they are not drawn, and then the record. A failure leaves no trace.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin(
        &self,
        data: Option<&str>,
        start: Option<&[u8]>,
        record: &[u8],
    ) -> Result<(), TrainError> {
        let contents = [data.map(str::as_bytes), start];
        let mut files = BEFORE_THE_RECORD.into_iter().zip(contents);
        let written = files.try_for_each(|(name, content)| match content {
            Some(content) => self.write(name, content),
            None => Ok(()),
        });
        let written = written.and_then(|()| self.write(TRAINING, record));
        written.inspect_err(|_| {
            for name in BEFORE_THE_RECORD {
                // The first error is the one that matters.
                let _ = fs::remove_file(self.join(name));
            }
        })
    }

    /// `--data` of the run where it was a path.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn data_path(&self) -> Result<Option<String>, TrainError> {
        let path = self.join(DATA_PATH);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(TrainError::io("read", &path)(e)),
        }
    }

    /// Removes what a killed process left half-written.
    fn sweep(&self) -> Result<(), TrainError> {
        sweep(&self.path).map_err(TrainError::io("clean", &self.path))?;
        checkpoint::sweep(self)
    }

    /// Removes the files of an earlier run, its record first: from then on until the end they are those of a run that
    /// is being replaced.
    fn clear(&self) -> Result<(), TrainError> {
        let (record, replaced) = (self.join(TRAINING), self.join(REPLACED));
        match fs::rename(&record, &replaced) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(TrainError::io("replace", &record)(e));
            }
            _ => {}
        }
        checkpoint::remove_all(self)?;
        for name in OF_ONE_MODEL.iter().chain([&REPLACED]) {
            self.remove(name)?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::io("remove", &path)(e)),
            _ => Ok(()),
        }
    }
}

/// Says whether a new run may take the directory `path`; `was_left` says whether a killed process left its lock there.
fn permit(path: &Path, was_left: bool, if_exists: IfExists) -> Result<(), TrainError> {
    let here = path.to_path_buf();
    match (survey(path, was_left)?, if_exists) {
        (Content::Foreign(file), _) => Err(TrainError::Foreign(file)),
        (Content::Nothing, _) | (_, IfExists::Overwrite) => Ok(()),
        (Content::Run, IfExists::Refuse) => Err(TrainError::HoldsRun(here)),
        (Content::Replaced, IfExists::Refuse) => Err(TrainError::Replaced(here)),
        (Content::Others, IfExists::Refuse) => Err(TrainError::NotEmpty(here)),
    }
}

fn survey(path: &Path, was_left: bool) -> Result<Content, TrainError> {
    let names = names(path)?;
    let has = |name: &str| names.iter().any(|there| there == name);
    let is_run = has(TRAINING) && is_own(path, TRAINING);
    let is_replaced = has(REPLACED);
    let mut others = false;
    for name in &names {
        let passes = name == LOCK || name == REPLACED || is_temporary(name);
        // Written before the record, by one who was killed in between.
        let is_begun = BEFORE_THE_RECORD.contains(&name.as_str()) && was_left;
        if passes || is_begun {
            continue;
        }
        if !OF_ONE_MODEL.contains(&name.as_str()) && name != CHECKPOINTS {
            others = true;
        } else if !(is_run || is_replaced) || !is_own(path, name) {
            return Ok(Content::Foreign(path.join(name)));
        }
    }
    Ok(match () {
        () if is_run => Content::Run,
        () if is_replaced => Content::Replaced,
        () if others => Content::Others,
        () => Content::Nothing,
    })
}

/// Whether what has the name of a file of a run is one, as far as its content tells.
fn is_own(dir: &Path, name: &str) -> bool {
    let path = dir.join(name);
    let keys = |keys: &[&str]| {
        let text = fs::read(&path).unwrap_or_default();
        let object: Value = serde_json::from_slice(&text).unwrap_or_default();
        keys.iter().all(|key| object.get(key).is_some())
    };
    match name {
        // Files of others within are left alone.
        CHECKPOINTS => path.is_dir(),
        TRAINING => keys(&["model", "seed", "recipe"]),
        CONFIG => keys(&["model", "architecture"]),
        CARD => fs::read_to_string(&path).is_ok_and(|text| text.contains(GENERATED)),
        _ => path.is_file(),
    }
}

/// The names of what lies in a directory, sorted; none where it does not exist.
fn names(path: &Path) -> Result<Vec<String>, TrainError> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(TrainError::output(path))?,
    };
    let name =
        |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let names: io::Result<Vec<String>> = entries.map(name).collect();
    let mut names = names.map_err(TrainError::output(path))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"model": "m", "seed": 0, "recipe": {}}"#;

    #[test]
    fn a_used_directory_is_refused_and_overwriting_leaves_foreign_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let run = RunDir::create(&path, IfExists::Refuse).unwrap();
        run.begin(Some("/data"), Some(b"tensors"), RECORD.as_bytes())
            .unwrap();
        drop(run);
        fs::write(path.join("mine.txt"), "y").unwrap();
        let error = RunDir::create(&path, IfExists::Refuse).unwrap_err();
        assert!(matches!(error, TrainError::HoldsRun(_)), "{error}");
        RunDir::create(&path, IfExists::Overwrite).unwrap();
        assert_eq!(names(&path).unwrap(), ["mine.txt"]);
        let error = RunDir::create(&path, IfExists::Refuse).unwrap_err();
        assert!(matches!(error, TrainError::NotEmpty(_)), "{error}");
    }

    #[test]
    fn what_has_the_name_of_a_file_of_a_run_and_is_none_is_in_the_way() {
        for name in OF_ONE_MODEL.iter().chain([&CHECKPOINTS]) {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(name);
            fs::write(&file, "mine").unwrap();
            let error = RunDir::create(dir.path(), IfExists::Overwrite).unwrap_err();
            assert!(matches!(error, TrainError::Foreign(path) if path == file));
            assert_eq!(names(dir.path()).unwrap(), [*name]);
        }
        // Beside a run, too.
        for name in [CONFIG, CARD, CHECKPOINTS] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(TRAINING), RECORD).unwrap();
            fs::write(dir.path().join(name), "mine").unwrap();
            let error = RunDir::create(dir.path(), IfExists::Overwrite).unwrap_err();
            assert!(matches!(error, TrainError::Foreign(_)), "{error}");
        }
    }

    #[test]
    fn every_state_of_a_killed_command_can_be_left() {
        let state = |files: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(dir.path().join(name), text).unwrap();
            }
            dir
        };
        // Killed before the record was there.
        for files in [
            &[(LOCK, "1\n")][..],
            &[(LOCK, ""), (DATA_PATH, "/data")],
            &[(LOCK, ""), (DATA_PATH, "/data"), (START, "tensors")],
            &[(LOCK, ""), (DATA_PATH, "/data"), (".zoo-7-0.tmp", "{")],
        ] {
            let dir = state(files);
            let error = RunDir::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("no run yet"), "{error}");
            drop(RunDir::create(dir.path(), IfExists::Refuse).unwrap());
            assert_eq!(names(dir.path()).unwrap(), [""; 0]);
        }
        // Killed while a run was replaced.
        let dir = state(&[
            (LOCK, "1\n"),
            (REPLACED, RECORD),
            ("model.safetensors", "old"),
        ]);
        for error in [
            RunDir::open(dir.path()).unwrap_err(),
            RunDir::create(dir.path(), IfExists::Refuse).unwrap_err(),
        ] {
            assert!(matches!(error, TrainError::Replaced(_)), "{error}");
        }
        drop(RunDir::create(dir.path(), IfExists::Overwrite).unwrap());
        assert_eq!(names(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn numbers_count_up() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunDir::numbered(dir.path(), "m").unwrap();
        let second = RunDir::numbered(dir.path(), "m").unwrap();
        assert_eq!(first.path(), dir.path().join("m-1"));
        assert_eq!(second.path(), dir.path().join("m-2"));
    }
}
