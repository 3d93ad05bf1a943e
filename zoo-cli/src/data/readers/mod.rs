//! The formats of image datasets: one file each, and the table of all. A new format is a file here and a line in
//! `READERS`.

use std::path::Path;

use models::preprocessor::Preprocessor;

use super::{DataError, SkippedFile, inventory::Inventory, parts::Parts, store::Store};

mod beside;
mod cifar;
mod cifar_python;
mod folder;
pub mod idx;
pub(in crate::data) mod known;
mod listing;
mod npz;
mod numpy;
mod parquet;
mod pickle;
mod stl10;

/// Recognises a format in the files of a store and says what lies there; nothing where they are of another format.
type Reader = for<'a> fn(&'a Store, &'a Path) -> Result<Option<Survey<'a>>, DataError>;

/// All formats, in the order in which they are tried.
const READERS: &[Reader] = &[
    beside::mixed,
    cifar::survey,
    cifar_python::survey,
    stl10::survey,
    idx::survey,
    parquet::survey,
    npz::survey,
    listing::survey,
    known::annotated,
    folder::survey,
    known::refused,
];

/// Reads the images of a store, brought to an input.
pub(crate) type Load<'a> = Box<dyn FnOnce(&Preprocessor) -> Result<Parts, DataError> + 'a>;

/// What lies in a store, before (or without) its images being decoded.
pub(crate) struct Survey<'a> {
    /// What lies there.
    pub(crate) inventory: Inventory,
    /// What is known to fail before images are decoded. Those that are loaded name it again.
    pub(crate) failed: Vec<SkippedFile>,
    /// Reads the images, brought to this input.
    pub(crate) load: Load<'a>,
}

impl<'a> Survey<'a> {
    /// Of a format whose images are read at once, at a size of their own: `format` with its article.
    pub(crate) fn of_parts(format: &'static str, parts: Parts) -> Self {
        Self {
            inventory: Inventory::of_parts(format, &parts),
            failed: parts.skipped.clone(),
            load: Box::new(|_| Ok(parts)),
        }
    }
}

/// The survey of the first format that is recognised.
///
/// # Errors
/// When the files are of a format and break its rules.
pub(crate) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    for reader in READERS {
        if let Some(survey) = reader(store, path)? {
            return Ok(Some(survey));
        }
    }
    Ok(None)
}
