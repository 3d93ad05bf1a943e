//! What can be wrong with data, in one sentence each.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a dataset or an image cannot be used. Each message is one sentence that names the file or the
/// dataset and says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing stands at the path.
    #[error("`{path}` does not exist; check the path")]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Neither a path nor the name of a dataset, but nearly one.
    #[error("`{name}` does not exist, and no dataset is called so; did you mean `{nearest}`?")]
    Misspelt {
        /// What was asked for.
        name: String,
        /// The name that is nearest to it.
        nearest: &'static str,
    },
    /// The operating system refused to read.
    #[error("cannot read `{path}` ({reason}); check the path and its permissions")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// A file or directory with nothing in it.
    #[error("`{path}` is empty; give a file or folder that holds images")]
    Empty {
        /// The empty file or directory.
        path: PathBuf,
    },
    /// A directory whose files are no images.
    #[error("`{path}` holds no images; give a folder that does")]
    NoImages {
        /// The directory.
        path: PathBuf,
    },
    /// A path whose content is none of the known formats.
    #[error(
        "`{path}` is none of the known datasets ({looked_for}); give images in class folders or with a table `labels.csv`, files of CIFAR, STL-10, IDX, NumPy (`.npz`) or parquet, or a zip or tar archive of them"
    )]
    UnknownFormat {
        /// The path that was asked for.
        path: PathBuf,
        /// What was looked for, and what was found in its place.
        looked_for: String,
    },
    /// A file that claims a format and breaks its rules: CIFAR records, IDX, parquet, an archive, a folder.
    #[error("`{path}` is not usable as {format}: {problem}")]
    Malformed {
        /// The file or directory.
        path: PathBuf,
        /// The format with its article: `a CIFAR record file`.
        format: &'static str,
        /// What is wrong, and what to do next.
        problem: String,
    },
    /// A label beyond the classes of the dataset.
    #[error(
        "`{path}` gives example {index} the label {label}, but there are {classes} classes (0 to {}); repair or replace the file",
        classes.saturating_sub(1)
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The position of the example in the file, from 0.
        index: usize,
        /// The label found there.
        label: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// A file that is not a picture that can be decoded.
    #[error("cannot decode `{path}` ({problem}); replace it by a png, jpg or webp image")]
    Decode {
        /// The image.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },
    /// Something that is there and is not read: an image of another format, a link to nothing, a device.
    #[error("`{path}` is not read: {problem}")]
    NotRead {
        /// The file or directory.
        path: PathBuf,
        /// What it is, and what to do next.
        problem: String,
    },
    /// An image or a dataset above the stated budget; nothing of that size was allocated.
    #[error("`{path}` is too large: {problem}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, the limit, and what to do next.
        problem: String,
    },
    /// A class that the model does not know.
    #[error(
        "`{dataset}` has the class `{class}`, which the model does not know; train a model on this dataset, or rename the class"
    )]
    UnknownClass {
        /// The name of the dataset.
        dataset: String,
        /// The class.
        class: String,
    },
    /// A named dataset that could not be fetched.
    #[error("cannot fetch the dataset `{dataset}`: {problem}, or give its files with --data PATH")]
    Fetch {
        /// The name of the dataset.
        dataset: String,
        /// What went wrong on the way, and what to do next.
        problem: String,
    },
}

impl DataError {
    /// The file or directory that the error is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing { path }
            | Self::Read { path, .. }
            | Self::Empty { path }
            | Self::NoImages { path }
            | Self::UnknownFormat { path, .. }
            | Self::Malformed { path, .. }
            | Self::Label { path, .. }
            | Self::Decode { path, .. }
            | Self::NotRead { path, .. }
            | Self::TooLarge { path, .. } => Some(path),
            Self::Misspelt { .. } | Self::UnknownClass { .. } | Self::Fetch { .. } => None,
        }
    }
}
