//! The files of a model, wherever they lie: in a directory, or inside this binary.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use models::{ModelDir, model_dir};
use sha2::{Digest, Sha256};

use super::{PackageError, sums};
use crate::layout::TRAINING;
use crate::train::record::TrainingRecord;

/// A text of a model directory is never longer, in bytes.
const MAX_TEXT: u64 = 64 << 20;

/// The files of one model.
#[derive(Debug, Clone)]
pub enum ModelFiles {
    /// A directory on disk.
    Directory(PathBuf),
    /// A pretrained model, by its name in the registry.
    Embedded(&'static str, &'static [weights::File]),
}

impl ModelFiles {
    /// The pretrained model called `name`, if one ships.
    pub fn embedded(name: &str) -> Option<Self> {
        let name = weights::names().find(|known| *known == name)?;
        Some(Self::Embedded(name, weights::find(name)?))
    }

    /// The directory, if there is one.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Directory(dir) => Some(dir),
            Self::Embedded(..) => None,
        }
    }

    /// Where a file lies, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(dir) => dir.join(name),
            Self::Embedded(model, _) => Path::new("pretrained").join(model).join(name),
        }
    }

    /// The names of everything in there, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, PackageError> {
        let mut names = match self {
            Self::Directory(dir) => std::fs::read_dir(dir)
                .and_then(|items| {
                    let name = |item: io::Result<std::fs::DirEntry>| {
                        Ok(item?.file_name().to_string_lossy().into_owned())
                    };
                    items.map(name).collect::<io::Result<Vec<_>>>()
                })
                .map_err(PackageError::read(dir))?,
            Self::Embedded(_, files) => files.iter().map(|file| file.name.to_owned()).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// The content of one file; `None` when it is not there.
    ///
    /// # Errors
    /// When it is no plain file of at most 64 MiB, or the system refuses.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PackageError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(name);
                read(&path).map_err(PackageError::read(&path))
            }
            Self::Embedded(_, files) => {
                let found = files.iter().find(|file| file.name == name);
                Ok(found.map(|file| file.bytes.to_vec()))
            }
        }
    }

    /// The SHA-256 of the file `name`.
    ///
    /// # Errors
    /// [`PackageError::Read`] when it is not there or cannot be read.
    pub(super) fn sha256(&self, name: &str) -> Result<String, PackageError> {
        let path = self.path(name);
        match self {
            Self::Directory(_) => sums::sha256_of_file(&path).map_err(PackageError::read(&path)),
            Self::Embedded(_, files) => {
                let found = files.iter().find(|file| file.name == name);
                let found = found.ok_or_else(|| io::ErrorKind::NotFound.into());
                found
                    .map(|file| file.sha256.to_owned())
                    .map_err(PackageError::read(&path))
            }
        }
    }

    /// The record of its training, if there is one.
    ///
    /// # Errors
    /// [`PackageError::BadFile`] when it is no such record, [`PackageError::Read`] when it cannot be read.
    pub fn record(&self) -> Result<Option<TrainingRecord>, PackageError> {
        let Some(text) = self.read(TRAINING)? else {
            return Ok(None);
        };
        let record = TrainingRecord::parse(&text).map_err(|error| PackageError::BadFile {
            problem: format!("is not a training record ({error}); restore it or move it away"),
            path: self.path(TRAINING),
        })?;
        Ok(Some(record))
    }

    /// The record of the training of `model`, the network of these files.
    ///
    /// # Errors
    /// Those of [`ModelFiles::record`], and [`PackageError::BadFile`] when it is that of another network: nothing that
    /// it says is true of this one.
    pub fn record_of(&self, model: &ModelDir) -> Result<Option<TrainingRecord>, PackageError> {
        let record = self.record()?;
        let is_own =
            |record: &TrainingRecord| record.model == model.model && record.config == model.config;
        match record {
            Some(record) if !is_own(&record) => Err(PackageError::BadFile {
                path: self.path(TRAINING),
                problem: "is the record of another network; restore its own, or move it away"
                    .to_owned(),
            }),
            record => Ok(record),
        }
    }

    /// The network with its parameters. Embedded files are held against the manifest first.
    ///
    /// # Errors
    /// [`PackageError::Model`] when the files are no sound model, [`PackageError::BadFile`] when an embedded one is not what
    /// the manifest says.
    pub fn load(&self) -> Result<ModelDir, PackageError> {
        let files = match self {
            Self::Directory(dir) => return Ok(model_dir::load(dir)?),
            Self::Embedded(_, files) => files,
        };
        if let Some(problem) = damaged(files).into_iter().next() {
            return Err(PackageError::BadFile {
                path: self.path(""),
                problem: format!("is damaged inside this binary: {problem}; install it again"),
            });
        }
        let bytes = |name: &str| {
            let found = files.iter().find(|file| file.name == name);
            found.map(|file| file.bytes)
        };
        Ok(ModelDir::from_bytes(
            &self.path(""),
            bytes(model_dir::CONFIG).unwrap_or_default(),
            bytes(model_dir::WEIGHTS).unwrap_or_default(),
            bytes(model_dir::PREPROCESSOR),
        )?)
    }

    /// The bytes of the weights.
    ///
    /// # Errors
    /// [`PackageError::Read`] when they cannot be read.
    pub fn weights(&self) -> Result<Vec<u8>, PackageError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(model_dir::WEIGHTS);
                std::fs::read(&path).map_err(PackageError::read(&path))
            }
            Self::Embedded(..) => Ok(self.read(model_dir::WEIGHTS)?.unwrap_or_default()),
        }
    }

    /// Compares the files with `SHA256SUMS` of the directory, or with the manifest inside the binary: what is wrong,
    /// a sentence each; `None` when there is no list.
    ///
    /// # Errors
    /// [`PackageError::Read`] when a file cannot be read.
    pub fn check_hashes(&self) -> Result<Option<Vec<String>>, PackageError> {
        match self {
            Self::Directory(dir) => sums::check(dir),
            Self::Embedded(_, files) => Ok(Some(damaged(files))),
        }
    }
}

/// The content of a plain file; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Asked before it is opened: opening a pipe would wait for its writer.
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if !metadata.is_file() || metadata.len() > MAX_TEXT {
        let what = format!("it is no plain file of at most {} MiB", MAX_TEXT >> 20);
        return Err(io::Error::other(what));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_TEXT)
        .read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The embedded files that are not what the manifest says.
fn damaged(files: &[weights::File]) -> Vec<String> {
    let wrong =
        |file: &&weights::File| sums::hexadecimal(&Sha256::digest(file.bytes)) != file.sha256;
    let names = files.iter().filter(wrong).map(|file| file.name);
    names
        .map(|name| format!("`{name}` is not what the manifest says it is"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_of_an_embedded_file_is_noticed() {
        const SOUND: weights::File = weights::File {
            name: "config.json",
            bytes: b"hello\n",
            sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        };
        const DAMAGED: &[weights::File] = &[weights::File {
            bytes: b"hellp\n",
            ..SOUND
        }];
        assert_eq!(damaged(&[SOUND]), [""; 0]);
        let files = ModelFiles::Embedded("m", DAMAGED);
        let error = files.load().unwrap_err().to_string();
        assert!(
            error.contains("`config.json` is not what the manifest"),
            "{error}"
        );
        assert_eq!(files.check_hashes().unwrap().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("README.md")).unwrap();
        let files = ModelFiles::Directory(dir.path().to_owned());
        assert!(files.read("README.md").is_err());
        assert_eq!(files.read("config.json").unwrap(), None);
        assert_eq!(files.names().unwrap(), ["README.md"]);
    }
}
