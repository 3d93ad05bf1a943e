//! The Hugging Face Hub: downloads that can be trusted, and uploads.
//!
//! [`Settings::resolve`] reads flags, environment and files once; [`download`] fetches a model or
//! a dataset into the cache that Python's `huggingface_hub` uses too, with the hash of every file
//! checked. Without the feature `hub` everything here still compiles, and whatever would talk to
//! a server answers with [`HubError::Absent`].

mod error;
mod export;
mod progress;
mod repo;
mod settings;

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

pub use error::HubError;
pub use progress::{Progress, Silent};
pub use repo::{RepoId, RepoKind, Revision};
pub use settings::{Overrides, Retry, Settings, Token};
#[cfg(feature = "hub")]
pub use upload::{Target, Uploaded, upload};

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

/// Fetches the requested files into the cache, or finds them there, and checks each one's size and
/// hash.
///
/// With [`Settings::offline`], or when the server can't be reached, the cached copy serves if it
/// holds what was asked for; every cached file is checked against the hash that names it.
///
/// # Errors
///
/// See [`HubError`]; [`HubError::is_unreachable`] tells "no network" from a refusal. After an
/// error the cache holds whole, checked files, and at most a partial one that the next try goes on
/// with; the requested snapshot does not appear.
#[cfg(feature = "hub")]
pub fn download(
    request: &Request<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    download::snapshot(request, settings, progress)
}

/// Answers that this build has no Hub.
///
/// # Errors
///
/// Always [`HubError::Absent`].
#[cfg(not(feature = "hub"))]
pub fn download(
    _request: &Request<'_>,
    _settings: &Settings,
    _progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    Err(HubError::Absent)
}
