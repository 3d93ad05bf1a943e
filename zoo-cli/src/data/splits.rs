//! The parts of a dataset by the names of its files and folders.

use std::path::Path;

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Split {
    /// Learned from.
    Train,
    /// Watched during training.
    Validation,
    /// Reported on.
    Test,
}

/// The split that one name of a folder or file says, as a word between separators: `train`, `pets_train.parquet`,
/// `seg_test`, `training_set`, `partial-train`. None where no word is that of a split.
pub(crate) fn in_name(name: &str) -> Option<Split> {
    let lower = name.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .find_map(|word| match word {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
            "test" | "testing" | "eval" => Some(Split::Test),
            _ => None,
        })
}

/// The split that a path says: the name nearest to the file that says one.
pub(crate) fn in_path(path: &Path) -> Option<Split> {
    let mut names: Vec<_> = path.components().collect();
    names.reverse();
    names
        .iter()
        .find_map(|name| in_name(&name.as_os_str().to_string_lossy()))
}
