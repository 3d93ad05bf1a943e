//! The well-known datasets, from the cache or the Hugging Face Hub.

use std::path::{Path, PathBuf};

use super::{DataError, ImageDataset, OpenOptions, classes, open, store::Store};

/// Where the datasets lie that have a name.
pub trait Remote {
    /// The folder with the files of the repository `repo` whose paths match one of `patterns`; fetched where it must be.
    ///
    /// # Errors
    /// When they cannot be had.
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

const KNOWN: [Known; 4] = [
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

impl Known {
    /// The folder that holds the dataset's parquet files, in the cache; fetched from the Hub where it must be.
    pub(crate) fn fetch(&self, remote: Option<&dyn Remote>) -> Result<PathBuf, RemoteError> {
        let remote = remote.ok_or_else(|| RemoteError {
            reason: "nobody was named to fetch it from".into(),
            unreachable: true,
        })?;
        let patterns = ["train", "test"].map(|part| format!("{}/{part}-*.parquet", self.folder));
        let fetched = remote.fetch(self.repo, &patterns.each_ref().map(String::as_str))?;
        Ok(fetched.join(self.folder))
    }

    /// The dataset in this folder.
    pub(crate) fn read(
        &self,
        folder: &Path,
        options: &OpenOptions<'_>,
    ) -> Result<ImageDataset, DataError> {
        let store = Store::open(folder)?;
        let classes = (!self.classes.is_empty()).then_some(self.classes);
        let Some(mut data) = open::open_store(&store, folder, classes, options)? else {
            return Err(DataError::Fetch {
                dataset: self.name.into(),
                problem: format!(
                    "`{}` holds no images; remove it and try again",
                    folder.display()
                ),
            });
        };
        data.source.name = self.name.into();
        Ok(data)
    }
}
