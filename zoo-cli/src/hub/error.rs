//! Everything that can go wrong with the Hub, each as one sentence with the next step.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// An error of the Hub client. No message ever holds a token or a signed address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// This build has no Hub client.
    #[error(
        "this `zoo` was built without the Hub; build it with `cargo build --release --features hub`"
    )]
    Absent,
    /// A repository name that can't be one.
    #[error("`{0}` is not a repository; write `owner/name` or `owner/name@revision`")]
    BadRepo(String),
    /// A revision that can't be one.
    #[error("`{0}` is not a revision; give a branch, a tag or a commit")]
    BadRevision(String),
    /// A flag, variable or file with a value that can't be used.
    #[error("{origin} {problem}")]
    BadSetting {
        /// The flag, variable or file.
        origin: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The files are not in the cache and the network may not be used.
    #[error(
        "`{wanted}` is not in the cache `{}` and offline mode is on; unset HF_HUB_OFFLINE, or download it once with a connection",
        cache.display()
    )]
    Offline {
        /// The repository, or a file in it.
        wanted: String,
        /// The cache directory.
        cache: PathBuf,
    },
    /// No usable answer from the server, after retries.
    #[error("`{host}` cannot be reached ({reason}); check the connection, or try again later")]
    Unreachable {
        /// The host and port.
        host: String,
        /// The last failure.
        reason: String,
    },
    /// The server refused.
    #[error("the server answered {status} for `{wanted}`; {advice}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The repository or file.
        wanted: String,
        /// What to do.
        advice: String,
    },
    /// An answer that no honest Hub gives.
    #[error("`{host}` answered {problem}; nothing was kept: check the endpoint")]
    Protocol {
        /// The host and port.
        host: String,
        /// What was wrong with the answer.
        problem: String,
    },
    /// A file list with a path that would leave the snapshot directory.
    #[error(
        "the file list of `{repo}` holds the unsafe path `{path}`; nothing was written: report the repository"
    )]
    UnsafePath {
        /// The repository.
        repo: String,
        /// The path, escaped.
        path: String,
    },
    /// A requested file that the repository does not have.
    #[error("`{repo}` has no file that matches `{pattern}` at {revision}; it has {available}")]
    NoSuchFile {
        /// The repository.
        repo: String,
        /// The path or pattern.
        pattern: String,
        /// The commit.
        revision: String,
        /// Some of what it has instead.
        available: String,
    },
    /// The bytes are not those that the file list promises, twice in a row.
    #[error(
        "`{path}` of `{repo}` arrived damaged twice ({problem}); nothing was kept: try again later"
    )]
    Damaged {
        /// The repository.
        repo: String,
        /// The file.
        path: String,
        /// Size or hash, expected and found.
        problem: String,
    },
    /// A file of the cache is damaged and can't be fetched anew.
    #[error("`{}` in the cache is damaged ({problem}); {advice}", path.display())]
    DamagedCache {
        /// The file.
        path: PathBuf,
        /// Size or hash, expected and found.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// A file that only Xet can carry, and a server without it.
    #[error(
        "`{path}` has {mebibytes} MiB and the server does not take Xet; files above 8 MiB can't be uploaded there: train a smaller model, or use a server with Xet"
    )]
    NoXet {
        /// The file.
        path: String,
        /// Its size.
        mebibytes: u64,
    },
    /// An output directory that holds something already.
    #[error("`{}` is not empty; choose another directory, or add `--overwrite`", .0.display())]
    NotEmpty(PathBuf),
    /// Reading or writing a local file failed.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HubError {
    /// Whether the server could not be reached at all (or may not be), as opposed to a refusal.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Absent | Self::Offline { .. } | Self::Unreachable { .. }
        )
    }

    /// Whether nothing is known of the repository that was asked for: nobody could be asked, or it was not found.
    pub fn finds_nothing(&self) -> bool {
        self.is_unreachable()
            || matches!(
                self,
                Self::Refused {
                    status: 401 | 404,
                    ..
                }
            )
    }

    /// Ties an IO error to its path, for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
