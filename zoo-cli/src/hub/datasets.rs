//! The Hub as a place where datasets lie.

use std::path::PathBuf;

use super::{HubError, Progress, RepoId, RepoKind, Request, Settings, Silent, download};
use crate::data::{Remote, RemoteError};

/// The datasets of the Hub, with somebody who watches their download.
#[derive(Clone, Copy)]
pub struct Datasets<'a> {
    settings: &'a Settings,
    progress: &'a dyn Progress,
}

impl Settings {
    /// The datasets of the Hub; `progress` watches their download.
    pub fn datasets<'a>(&'a self, progress: &'a dyn Progress) -> Datasets<'a> {
        Datasets {
            settings: self,
            progress,
        }
    }
}

impl Datasets<'_> {
    fn download(&self, repo: &str, patterns: &[&str]) -> Result<PathBuf, HubError> {
        let (repo, revision) = RepoId::parse_with_revision(repo)?;
        let request = Request {
            repo: &repo,
            kind: RepoKind::Dataset,
            revision: &revision,
            patterns,
        };
        Ok(download(&request, self.settings, self.progress)?.dir)
    }
}

impl Remote for Datasets<'_> {
    fn fetch(&self, repo: &str, patterns: &[&str]) -> Result<PathBuf, RemoteError> {
        self.download(repo, patterns).map_err(|error| RemoteError {
            unreachable: error.is_unreachable(),
            no_such_file: matches!(error, HubError::NoSuchFile { .. }),
            reason: error.to_string(),
        })
    }
}

/// Unwatched.
impl Remote for Settings {
    fn fetch(&self, repo: &str, patterns: &[&str]) -> Result<PathBuf, RemoteError> {
        self.datasets(&Silent).fetch(repo, patterns)
    }
}
