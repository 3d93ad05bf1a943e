//! A trained network becomes a model's directory.

use std::path::Path;

use anyhow::Context;
use models::model_dir::{self, ModelDir, Storage};
use models::write::replace_file;

use super::card;
use crate::layout::CARD;
use crate::train::record::TrainingRecord;

/// Writes a trained network and its card into `dir`, all of a model's directory but the record of its training.
///
/// # Errors
/// When the system refuses.
pub fn write(dir: &Path, model: &ModelDir, record: &TrainingRecord) -> anyhow::Result<()> {
    model_dir::save(dir, model, Storage::Full)?;
    let text = card::render(model, Some(record), card::NO_LICENSE, None);
    let path = dir.join(CARD);
    replace_file(&path, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))
}
