//! Datasets: from a path, a name or the embedded sample to images in memory.
//!
//! [`open_images`] finds out the format, reads it and says where the images came from. One file a format;
//! all of them give [`Images`]: bytes, channels last.

pub mod augment;
mod channels;
pub mod decode;
mod error;
pub mod idx;
mod images;
mod input;
pub mod loader;
mod resize;
mod sample;
pub mod split;
mod walk;

pub use error::DataError;
pub use images::{ImageDataset, ImageShape, Images, SkippedFile, Source};
pub use walk::walk_images;

use std::path::Path;

/// How to open a dataset.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The part of the training images that is held out for testing when the dataset has no test part.
    pub held_out: f64,
    /// Seed of that choice. Training and evaluation must agree on it, so it is not the seed of the training.
    pub split_seed: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            held_out: 0.1,
            split_seed: 0,
        }
    }
}

/// Opens the dataset that `--data` names.
///
/// `spec` is a path or a name (`cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `sample`). Without it the
/// dataset is `default`, from the cache or the Hub; when that cannot be had, it is the embedded sample, and
/// [`Source::notice`] says why.
///
/// # Errors
/// A sentence that names the file or dataset and the next step, see [`DataError`]. A dataset that was asked
/// for and cannot be had is an error, never the sample.
pub fn open_images(
    spec: Option<&str>,
    default: &str,
    options: &OpenOptions,
) -> Result<ImageDataset, DataError> {
    let data = match spec {
        Some("sample") => sample::load()?,
        None => {
            let mut data = sample::load()?;
            data.source.notify(format!(
                "this is the embedded sample, because `{default}` could not be fetched"
            ));
            data
        }
        Some(path) => open_path(Path::new(path), options)?,
    };
    Ok(data.seal())
}

/// Opens the dataset at a path, whatever its format.
fn open_path(path: &Path, _options: &OpenOptions) -> Result<ImageDataset, DataError> {
    let files = input::list(path)?;
    if files.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    if idx::recognises(&files)
        && let (Some(train), Some(test)) = idx::read(path, &files)?
    {
        return Ok(ImageDataset {
            train,
            test,
            label_names: sample::FASHION_CLASSES.map(String::from).to_vec(),
            source: Source {
                name: path.display().to_string(),
                ..Source::default()
            },
        });
    }
    Err(DataError::UnknownFormat {
        path: path.into(),
        looked_for: "IDX files".into(),
    })
}
