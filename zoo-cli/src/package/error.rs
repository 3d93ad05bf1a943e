//! Why a model's directory is not what it should be.

use std::path::{Path, PathBuf};

use models::model_dir::ModelDirError;
use thiserror::Error;

/// Why a model's directory cannot be used, or not be passed on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Its files are no sound model.
    #[error(transparent)]
    Model(#[from] ModelDirError),
    /// A file does not hold what it should.
    #[error("`{}` {problem}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl PackageError {
    /// Ties an error of writing to its path, for `map_err`.
    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// Ties an error of reading to its path, for `map_err`.
    pub(super) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
