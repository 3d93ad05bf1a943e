//! Where the files of a dataset lie: a path, a name, or a repository of the Hub.

use std::path::{Path, PathBuf};

use models::registry::edit_distance;

use super::{
    DataError, ImageDataset, OpenOptions,
    open::{self, SAMPLE},
    remote::{self, KNOWN, Known, Remote, RemoteError},
    store::Store,
};

/// The files of a dataset.
pub(super) struct Place {
    pub(super) store: Store,
    pub(super) path: PathBuf,
    /// The names of its classes, where it has only numbers for them.
    pub(super) classes: Option<&'static [&'static str]>,
    /// What it is called, where that is not its path.
    name: Option<String>,
    /// What the user must be told of the choice.
    pub(super) notice: Option<String>,
}

/// Why the files of a dataset are not there.
pub(super) enum Unavailable {
    /// They were not fetched.
    Fetch(RemoteError),
    /// They cannot be read.
    Read(DataError),
}

impl Unavailable {
    pub(super) fn into_data_error(self, dataset: &str) -> DataError {
        match self {
            Self::Fetch(error) => DataError::Fetch {
                dataset: dataset.into(),
                problem: error.to_string(),
            },
            Self::Read(error) => error,
        }
    }
}

impl Place {
    /// The place that `spec` says.
    pub(super) fn find(spec: &str, remote: Option<&dyn Remote>) -> Result<Self, Unavailable> {
        if let Some(known) = remote::find(spec) {
            return Self::known(known, remote);
        }
        let path = Path::new(spec);
        // What may not be looked at is there: reading it says why it cannot be read.
        if path.try_exists().unwrap_or(true) {
            return Self::at(path.into()).map_err(Unavailable::Read);
        }
        if remote::is_repository(spec) {
            let fetched = remote::fetch_repository(spec, remote).map_err(|error| {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
                Unavailable::Fetch(RemoteError {
                    reason: format!(
                        "`{}` does not exist, and from the Hub it cannot be had ({error})",
                        absolute.display()
                    ),
                    ..error
                })
            })?;
            let mut place = Self::at(fetched).map_err(Unavailable::Read)?;
            place.name = Some(spec.into());
            return Ok(place);
        }
        Err(Unavailable::Read(match nearest_name(spec) {
            Some(nearest) => DataError::Misspelt {
                name: spec.into(),
                nearest,
            },
            None => DataError::Missing { path: path.into() },
        }))
    }

    /// The place of a dataset that has a name.
    pub(super) fn known(known: &Known, remote: Option<&dyn Remote>) -> Result<Self, Unavailable> {
        let folder = known.fetch(remote).map_err(Unavailable::Fetch)?;
        let mut place = Self::at(folder).map_err(Unavailable::Read)?;
        place.classes = known.classes();
        place.name = Some(known.name.into());
        let name = known.name;
        place.notice = Path::new(name).exists().then(|| {
            format!("`{name}` is the dataset of this name; for what lies here, give `./{name}`")
        });
        Ok(place)
    }

    fn at(path: PathBuf) -> Result<Self, DataError> {
        Ok(Self {
            store: Store::open(&path)?,
            path,
            classes: None,
            name: None,
            notice: None,
        })
    }

    /// Reads the dataset.
    pub(super) fn open(self, options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
        let mut data = open::open_store(&self.store, &self.path, self.classes, options)?
            .ok_or_else(|| self.unknown_format())?;
        if let Some(name) = self.name {
            data.source.name = name;
        }
        if let Some(notice) = self.notice {
            data.source.notify(notice);
        }
        Ok(data)
    }

    /// The error where the files are of no known format.
    pub(super) fn unknown_format(&self) -> DataError {
        match &self.name {
            None => DataError::UnknownFormat {
                path: self.path.clone(),
                looked_for: found(&self.store),
            },
            Some(name) => DataError::Fetch {
                dataset: name.clone(),
                problem: format!(
                    "it holds no images in a form that is read here ({}); name one that does",
                    found(&self.store)
                ),
            },
        }
    }
}

/// The dataset's name that is meant by `spec`, where it is nearly one.
fn nearest_name(spec: &str) -> Option<&'static str> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    if spec.contains(['/', '\\']) {
        return None;
    }
    let wanted = plain(spec);
    let names = KNOWN.iter().map(|known| known.name).chain([SAMPLE]);
    let near = names.map(|name| (edit_distance(&wanted, &plain(name)), name));
    let (distance, name) = near.min()?;
    (distance <= 2 && 2 * distance < wanted.chars().count()).then_some(name)
}

/// The first files of a store, for an error.
fn found(store: &Store) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = store
        .members()
        .iter()
        .take(SHOWN)
        .map(|member| format!("`{}`", member.display()))
        .collect();
    match store.members().len() {
        count if count > SHOWN => format!(
            "it holds {} and {} more files",
            names.join(", "),
            count - SHOWN
        ),
        _ => format!("it holds {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        for (spec, nearest) in [
            ("cifar-10", Some("cifar10")),
            ("CIFAR_100", Some("cifar100")),
            ("fashionmnist", Some("fashion-mnist")),
            ("FashionMNIST", Some("fashion-mnist")),
            ("minst", Some("mnist")),
            ("samples", Some("sample")),
            ("pets", None),
            ("data/cifar-10", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest_name(spec), nearest, "{spec}");
        }
    }
}
