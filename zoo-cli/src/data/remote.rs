//! The well-known datasets, from the cache or the Hugging Face Hub.

use std::path::{Path, PathBuf};

use super::{classes, walk};
use crate::layout::RUNS;

/// Where the datasets lie that have a name.
pub trait Remote {
    /// The folder with the files of the repository `repo`, `owner/name[@revision]`, whose paths match one of
    /// `patterns`, all of them where there are no patterns; fetched where it must be.
    ///
    /// # Errors
    /// When they cannot be had, or no file matches one of the patterns.
    fn fetch(&self, repo: &str, patterns: &[&str]) -> Result<PathBuf, RemoteError>;
}

/// Why a dataset was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RemoteError {
    /// The reason, and what to do.
    pub reason: String,
    /// Whether there was nobody to ask, so that something else may stand in.
    pub unreachable: bool,
    /// Whether the repository is there, and no such file in it.
    pub no_such_file: bool,
}

/// A dataset that has a name of its own.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    repo: &'static str,
    /// The folder of the parquet files in the repository.
    folder: &'static str,
    /// The names of the classes; none where they are numbered.
    classes: &'static [&'static str],
}

pub(super) const KNOWN: [Known; 4] = [
    Known {
        name: "cifar10",
        repo: "uoft-cs/cifar10",
        folder: "plain_text",
        classes: &classes::CIFAR10,
    },
    Known {
        name: "cifar100",
        repo: "uoft-cs/cifar100",
        folder: "cifar100",
        classes: &classes::CIFAR100,
    },
    Known {
        name: "mnist",
        repo: "ylecun/mnist",
        folder: "mnist",
        classes: &[],
    },
    Known {
        name: "fashion-mnist",
        repo: "zalando-datasets/fashion_mnist",
        folder: "fashion_mnist",
        classes: &classes::FASHION,
    },
];

/// The dataset of this name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The owner and the name in `owner/name`, where that can be the name of a repository of the Hub: each part has 1 to 96
/// letters, digits, `-`, `_` and `.`, holds neither `--` nor `..`, and begins and ends with none of `-` and `.`.
pub fn repository_name(text: &str) -> Option<(&str, &str)> {
    let valid = |part: &str| {
        (1..=96).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !part.contains("--")
            && !part.contains("..")
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
    };
    text.split_once('/')
        .filter(|(owner, name)| valid(owner) && valid(name))
}

/// Names of folders that are no owners: where runs are kept, and what the Hub keeps for its own addresses.
const NO_OWNERS: [&str; 4] = [RUNS, "datasets", "models", "spaces"];

/// Endings of names of files, besides those of images.
const FILES: [&str; 14] = [
    "csv",
    "gz",
    "json",
    "npy",
    "npz",
    "parquet",
    "safetensors",
    "tar",
    "tgz",
    "tsv",
    "txt",
    "xz",
    "zip",
    "zst",
];

/// Whether `spec` is taken for a repository of the Hub: `owner/name[@revision]`, where nothing lies at this path, there is
/// no folder `owner`, and neither part is the name of a folder of runs or of a file.
pub fn is_repository(spec: &str) -> bool {
    let (repo, revision) = spec.split_once('@').unwrap_or((spec, "main"));
    let Some((owner, name)) = repository_name(repo) else {
        return false;
    };
    let name = Path::new(name);
    let is_file = walk::has_image_name(name)
        || FILES.iter().any(|ending| {
            let extension = name.extension().unwrap_or_default();
            extension.eq_ignore_ascii_case(ending)
        });
    !revision.is_empty()
        && !is_file
        && !NO_OWNERS.contains(&owner)
        && !Path::new(owner).exists()
        && !Path::new(spec).exists()
}

/// The folder that holds the files of a repository: its parquet files, or all of them where it has none.
pub(crate) fn fetch_repository(
    repo: &str,
    remote: Option<&dyn Remote>,
) -> Result<PathBuf, RemoteError> {
    let remote = remote.ok_or_else(nobody)?;
    let parquet = remote.fetch(repo, &["*.parquet"]);
    match parquet {
        Err(error) if error.no_such_file => remote.fetch(repo, &[]),
        // What lies in the cache need not be parquet files.
        Err(error) if error.unreachable => remote.fetch(repo, &[]).map_err(|_| error),
        other => other,
    }
}

fn nobody() -> RemoteError {
    RemoteError {
        reason: "nobody was named to fetch it from".into(),
        unreachable: true,
        no_such_file: false,
    }
}

impl Known {
    /// The folder that holds the dataset's parquet files, in the cache; fetched from the Hub where it must be.
    pub(crate) fn fetch(&self, remote: Option<&dyn Remote>) -> Result<PathBuf, RemoteError> {
        let remote = remote.ok_or_else(nobody)?;
        let patterns = ["train", "test"].map(|part| format!("{}/{part}-*.parquet", self.folder));
        let fetched = remote.fetch(self.repo, &patterns.each_ref().map(String::as_str))?;
        Ok(fetched.join(self.folder))
    }

    /// The names of its classes; none where they are numbered.
    pub(crate) fn classes(&self) -> Option<&'static [&'static str]> {
        (!self.classes.is_empty()).then_some(self.classes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_repository_is_what_has_no_folder() {
        for (spec, expected) in [
            ("owner/name", true),
            ("owner/name@refs/pr/1", true),
            ("owner/na.me", true),
            ("owner", false),
            ("owner/name/more", false),
            ("./name", false),
            ("../name", false),
            ("/name", false),
            ("owner/", false),
            ("owner/name@", false),
            // The folder is there when tests run.
            ("src/name", false),
            ("runs/name", false),
            ("datasets/name", false),
            ("owner/labels.csv", false),
            ("owner/photos.tar.gz", false),
            ("owner/cat.JPG", false),
            ("owner/labels.csv@main", false),
        ] {
            assert_eq!(is_repository(spec), expected, "{spec}");
        }
    }

    /// A Hub whose repositories hold no parquet files.
    struct Pictures(RefCell<Vec<usize>>);

    impl Remote for Pictures {
        fn fetch(&self, repo: &str, patterns: &[&str]) -> Result<PathBuf, RemoteError> {
            self.0.borrow_mut().push(patterns.len());
            match patterns {
                [] => Ok(repo.into()),
                _ => Err(RemoteError {
                    no_such_file: true,
                    unreachable: false,
                    ..nobody()
                }),
            }
        }
    }

    #[test]
    fn all_files_are_fetched_where_none_is_parquet() {
        let hub = Pictures(RefCell::default());
        let folder = fetch_repository("owner/name", Some(&hub)).unwrap();
        assert_eq!(folder, PathBuf::from("owner/name"));
        assert_eq!(*hub.0.borrow(), [1, 0]);
        assert!(
            fetch_repository("owner/name", None)
                .unwrap_err()
                .unreachable
        );
    }
}
