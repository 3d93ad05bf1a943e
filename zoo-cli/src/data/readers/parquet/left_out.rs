//! Rows and files that are not read, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{File, is_parquet, labels::Label, malformed, scan::whole};
use crate::data::{
    DataError,
    inventory::{Inventory, LeftOut, shown},
    splits::Split,
    store::Store,
    walk,
};

/// Counts the rows that are marked as unlabelled, and those that belong to no part.
pub(super) fn unlabelled(
    file: &File,
    labels: &[Label],
    splits: &[Option<Split>],
    counts: &mut BTreeMap<Split, usize>,
    inventory: &mut Inventory,
) {
    let name = file.name.display();
    let mut leave_out = |reason: String, rows: Vec<usize>| {
        if !rows.is_empty() {
            inventory.left_out.push(LeftOut {
                reason,
                count: rows.len(),
                examples: rows
                    .iter()
                    .take(3)
                    .map(|row| format!("row {row}"))
                    .collect(),
            });
        }
    };
    let rows = || labels.iter().zip(splits).enumerate();
    let mut without = Vec::new();
    for (row, (label, split)) in rows() {
        if let (Label::Unlabelled, Some(split)) = (label, split) {
            *counts.entry(*split).or_default() += 1;
            without.push(row);
        }
    }
    let nowhere: Vec<usize> = rows()
        .filter(|(_, (_, split))| split.is_none())
        .map(|(row, _)| row)
        .collect();
    leave_out(format!("`{name}` rows without a label"), without);
    leave_out(format!("`{name}` rows that say no part"), nowhere);
}

/// Says which parts have no labelled image.
pub(super) fn lost_parts(
    path: &Path,
    unlabelled: &BTreeMap<Split, usize>,
    inventory: &mut Inventory,
) -> Result<(), DataError> {
    if inventory.parts.total() == 0 && !unlabelled.is_empty() {
        return Err(malformed(
            path,
            "none of its rows has a label (all are null or -1); give labelled images".into(),
        ));
    }
    for (split, count) in unlabelled {
        let labelled = match split {
            Split::Train => inventory.parts.train,
            Split::Validation => inventory.parts.validation,
            Split::Test => inventory.parts.test,
        };
        if labelled == 0 {
            inventory.notes.push(format!(
                "all {count} rows of the {0} part are without a label, so that there is no {0} part",
                split.name()
            ));
        }
    }
    Ok(())
}

/// Counts the files that are neither parquet nor images that rows name.
///
/// # Errors
/// When folders of images lie there too, which may be the dataset as well.
pub(super) fn others(
    store: &Store,
    path: &Path,
    images: &BTreeSet<PathBuf>,
    inventory: &mut Inventory,
) -> Result<(), DataError> {
    for (reason, file) in store.left_out() {
        inventory.leave_out(reason.as_str(), file.display().to_string());
    }
    let (mut folders, mut parquet) = (BTreeSet::new(), None);
    for (member, name) in store.members().iter().enumerate() {
        if is_parquet(name) {
            parquet = parquet.or(Some(name));
            continue;
        }
        if !images.is_empty() && images.contains(&whole(&store.path(member))) {
            continue;
        }
        if walk::has_image_name(name) {
            folders.extend(name.parent());
        }
        let reason = match name.extension() {
            Some(extension) => format!(
                "`.{}` beside the parquet files",
                shown(&extension.to_string_lossy())
            ),
            None => "beside the parquet files".into(),
        };
        inventory.leave_out(reason, name.display().to_string());
    }
    let mut folders = folders.into_iter();
    match (folders.next(), folders.next(), parquet) {
        (Some(one), Some(other), Some(parquet)) => Err(malformed(
            path,
            format!(
                "it holds parquet files, as `{}`, and images that these do not name, in `{}` and `{}`; move the ones or the \
                 others into a folder of their own and give that",
                parquet.display(),
                one.display(),
                other.display()
            ),
        )),
        _ => Ok(()),
    }
}
