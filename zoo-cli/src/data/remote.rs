//! The well-known datasets, from the cache or the Hugging Face Hub.

use std::path::{Path, PathBuf};

use super::{DataError, ImageDataset, OpenOptions, classes, parquet, store::Store};
use crate::hub::{
    self, HubError, Overrides, Progress, RepoKind, Request, Revision, Settings, Silent,
};

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
    pub(crate) fn fetch(
        &self,
        settings: Option<&Settings>,
        progress: Option<&dyn Progress>,
    ) -> Result<PathBuf, HubError> {
        let resolved;
        let settings = match settings {
            Some(settings) => settings,
            None => {
                resolved = Settings::resolve(&Overrides::default())?;
                &resolved
            }
        };
        let patterns = ["train", "test"].map(|part| format!("{}/{part}-*.parquet", self.folder));
        let snapshot = hub::download(
            &Request {
                repo: &self.repo.parse()?,
                kind: RepoKind::Dataset,
                revision: &Revision::main(),
                patterns: &patterns.each_ref().map(String::as_str),
            },
            settings,
            progress.unwrap_or(&Silent),
        )?;
        Ok(snapshot.dir.join(self.folder))
    }

    /// The dataset in this folder.
    pub(crate) fn read(
        &self,
        folder: &Path,
        options: &OpenOptions<'_>,
    ) -> Result<ImageDataset, DataError> {
        let store = Store::open(folder)?;
        let Some(mut parts) = parquet::read(&store, folder, options.preprocessor.as_ref())? else {
            return Err(DataError::Fetch {
                dataset: self.name.into(),
                problem: format!(
                    "`{}` holds no parquet files; remove it and try again",
                    folder.display()
                ),
            });
        };
        if !self.classes.is_empty() && parts.label_names.len() <= self.classes.len() {
            parts.label_names = classes::named(self.classes);
        }
        let mut data = parts.finish(folder, options)?;
        data.source.name = self.name.into();
        Ok(data)
    }
}
