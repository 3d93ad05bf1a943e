//! The Hugging Face Hub: downloads that can be trusted, and uploads.
//!
//! [`Settings::resolve`] reads flags, environment and files once; [`download`] fetches a model or
//! a dataset into the cache that Python's `huggingface_hub` uses too, with the hash of every file
//! checked. Without the feature `hub` everything here still compiles, and whatever would talk to
//! a server answers with [`HubError::Absent`].

mod datasets;
mod error;
mod export;
mod progress;
mod repo;
mod settings;

#[cfg(not(feature = "hub"))]
mod absent;
#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod checksum;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod tree;
#[cfg(feature = "hub")]
mod upload;

use std::path::PathBuf;

#[cfg(not(feature = "hub"))]
pub use absent::{download, upload};
pub use datasets::Datasets;
#[cfg(feature = "hub")]
pub use download::download;
pub use error::HubError;
pub use progress::{Progress, Silent};
pub use repo::{RepoId, RepoKind, Revision};
pub use settings::{Overrides, Retry, Settings, Token};
#[cfg(feature = "hub")]
pub use upload::upload;

/// What to fetch from one repository.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The repository.
    pub repo: &'a RepoId,
    /// A model or a dataset.
    pub kind: RepoKind,
    /// A branch, a tag or a commit.
    pub revision: &'a Revision,
    /// Which files: paths inside the repository in which `*` stands for any characters (`/`
    /// included) and `?` for one. None at all means every file.
    pub patterns: &'a [&'a str],
}

/// Files of one commit, lying in the cache.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The directory `snapshots/COMMIT` of the cache.
    pub dir: PathBuf,
    /// The requested files inside `dir`, sorted by path.
    pub files: Vec<PathBuf>,
}

/// Where and how to upload.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The repository, created if it does not exist.
    pub repo: &'a RepoId,
    /// Only its owner and whom they let in may see it.
    pub private: bool,
    /// The branch, created if it does not exist.
    pub revision: &'a Revision,
    /// The title of the commit.
    pub message: &'a str,
    /// Proposes the commit as a pull request.
    pub create_pr: bool,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The page of the commit, or of the pull request.
    pub url: String,
    /// The commit, 40 hexadecimal digits, if the server tells.
    pub commit: Option<String>,
}
