//! A model's directory: its files, its card, their hashes, and example outputs to check it by.

pub mod card;
pub mod examples;

mod contents;
mod error;
mod files;
pub(crate) mod sums;
mod verify;

pub use contents::{Contents, PackedFile, Source};
pub use error::PackageError;
pub use files::ModelFiles;
pub use verify::{Check, CheckOutcome, verify};

use std::path::Path;

use anyhow::Context;
use models::model_dir::{self, ModelDir, Storage};
use models::write::replace_file;

use crate::train::record::TrainingRecord;

/// Writes a trained network and its card into `dir`, all of a model's directory but the record of its training.
///
/// # Errors
/// When the system refuses.
pub fn write(dir: &Path, model: &ModelDir, record: &TrainingRecord) -> anyhow::Result<()> {
    model_dir::save(dir, model, Storage::Full)?;
    let text = card::render(model, Some(record), card::NO_LICENSE, None);
    let path = dir.join(crate::train::run_dir::CARD);
    replace_file(&path, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))
}
