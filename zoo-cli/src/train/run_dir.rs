//! The directory of one run.

use std::fs;
use std::path::{Path, PathBuf};

use models::write::replace_file;

use super::TrainError;
use crate::layout::{CHECKPOINTS, DATA_PATH, OF_ONE_MODEL};

/// What happens to a directory that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// It is an error.
    Refuse,
    /// The files of an earlier run are removed; others stay.
    Overwrite,
}

/// A directory that a run writes to.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// A directory for a new run at `path`, made with its parents where missing and proven writable.
    ///
    /// # Errors
    /// When it is not empty and may not be overwritten, or cannot be written.
    pub fn create(path: &Path, if_exists: IfExists) -> Result<Self, TrainError> {
        let run = Self {
            path: path.to_path_buf(),
        };
        fs::create_dir_all(path).map_err(TrainError::io("create output directory", path))?;
        if if_exists == IfExists::Refuse {
            Self::check_free(path)?;
        }
        run.check_writable()?;
        if if_exists == IfExists::Overwrite {
            run.clear()?;
        }
        Ok(run)
    }

    /// Checks, without a trace, that nothing stands at `path` that a new run would mix with.
    ///
    /// # Errors
    /// When it is a directory that is not empty, or no directory.
    pub fn check_free(path: &Path) -> Result<(), TrainError> {
        match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
            Ok(true) => Err(TrainError::NotEmpty(path.to_path_buf())),
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(TrainError::io("use output directory", path)(e))
            }
            _ => Ok(()),
        }
    }

    /// A new directory `PARENT/NAME-N` with the first free N.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn numbered(parent: &Path, name: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(parent).map_err(TrainError::io("create output directory", parent))?;
        for n in 1..=u32::MAX {
            let path = parent.join(format!("{name}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(TrainError::io("create output directory", &path)(e)),
            }
        }
        Err(TrainError::NotEmpty(parent.to_path_buf()))
    }

    /// The directory of an earlier run.
    ///
    /// # Errors
    /// When it does not exist or cannot be written.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        if !path.is_dir() {
            return Err(TrainError::Resume {
                path: path.to_path_buf(),
                problem: "there is no such directory".into(),
            });
        }
        let run = Self {
            path: path.to_path_buf(),
        };
        run.check_writable()?;
        Ok(run)
    }

    /// A directory that is only read.
    pub fn existing(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
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

    /// Replaces the file `name` in one step.
    ///
    /// # Errors
    /// When the system refuses; what stood there is unchanged.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), TrainError> {
        let path = self.join(name);
        replace_file(&path, contents).map_err(TrainError::io("write", &path))
    }

    /// `--data` of the run where it was a path.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn data_path(&self) -> Result<Option<String>, TrainError> {
        let path = self.join(DATA_PATH);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(TrainError::io("read", &path)(e)),
        }
    }

    fn check_writable(&self) -> Result<(), TrainError> {
        let probe = self.join(".writable");
        fs::write(&probe, [])
            .and_then(|()| fs::remove_file(&probe))
            .map_err(TrainError::io("write to output directory", &self.path))
    }

    fn clear(&self) -> Result<(), TrainError> {
        let checkpoints = self.join(CHECKPOINTS);
        if checkpoints.is_dir() {
            fs::remove_dir_all(&checkpoints).map_err(TrainError::io("remove", &checkpoints))?;
        }
        for name in OF_ONE_MODEL {
            let path = self.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(TrainError::io("remove", &path)(e)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::TRAINING;

    #[test]
    fn a_used_directory_is_refused_and_overwriting_leaves_foreign_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        RunDir::create(&path, IfExists::Refuse).unwrap();
        fs::write(path.join(TRAINING), "x").unwrap();
        fs::write(path.join("mine.txt"), "y").unwrap();
        let error = RunDir::create(&path, IfExists::Refuse).unwrap_err();
        assert!(matches!(error, TrainError::NotEmpty(_)), "{error}");
        RunDir::create(&path, IfExists::Overwrite).unwrap();
        assert!(!path.join(TRAINING).exists());
        assert_eq!(fs::read_to_string(path.join("mine.txt")).unwrap(), "y");
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
