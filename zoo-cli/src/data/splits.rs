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

impl Split {
    /// What its part is called, as in `training part`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Words that say nothing of what a folder holds.
const FILLERS: [&str; 13] = [
    "set", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo",
    "photos", "part", "split",
];

/// Columns that say the part of each row, an earlier one preferred; those of the second line may hold something else.
pub(crate) const COLUMNS: [&str; 3] = ["split", "subset", "partition"];
pub(crate) const PERHAPS_COLUMNS: [&str; 5] = ["set", "data_set", "dataset", "part", "phase"];

/// The part of which a column says yes or no, by its name: `is_valid`, `train`.
pub(crate) fn of_flag(column: &str) -> Option<Split> {
    let name = column.strip_prefix("is_").unwrap_or(column);
    in_name(name).filter(|_| is_plain(name))
}

/// The words of a name in lower case: between characters that are neither letters nor digits and where a capital follows
/// a small letter, without the numbers that are glued to them (`train2017`).
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_small && c.is_uppercase()) {
            words.push(String::new());
        }
        was_small = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words
        .iter()
        .map(|word| word.trim_matches(|c: char| c.is_ascii_digit()).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn of_word(word: &str) -> Option<Split> {
    match word {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
        "test" | "testing" | "eval" => Some(Split::Test),
        _ => None,
    }
}

fn is_unlabelled_word(word: &str) -> bool {
    matches!(word, "pred" | "unlabeled" | "unlabelled")
}

/// The split that one name of a folder or file says, as a word between separators: `train`, `pets_train.parquet`,
/// `seg_test`, `training_set`, `partial-train`, `val2017`. None where no word is that of a split, and where two words
/// are those of different ones.
pub(crate) fn in_name(name: &str) -> Option<Split> {
    let mut splits = words(name).into_iter().filter_map(|word| of_word(&word));
    let first = splits.next()?;
    splits.all(|split| split == first).then_some(first)
}

/// The split that a path says: the name nearest to the file that says one.
pub(crate) fn in_path(path: &Path) -> Option<Split> {
    let mut names: Vec<_> = path.components().collect();
    names.reverse();
    names
        .iter()
        .find_map(|name| in_name(&name.as_os_str().to_string_lossy()))
}

/// The words of a name besides those of splits and those that say nothing: `seg` of `seg_train`, `seg_test` and
/// `seg_pred`, none of `training_set`. Names of one dataset's splits have the same.
pub(crate) fn rest(name: &str) -> Vec<String> {
    words(name)
        .into_iter()
        .filter(|word| {
            of_word(word).is_none()
                && !is_unlabelled_word(word)
                && !FILLERS.contains(&word.as_str())
        })
        .collect()
}

/// Whether a word of a name is that of a part, or of the cutting into parts: `test`, `train_test_split`.
pub(crate) fn mentions_parts(name: &str) -> bool {
    let is_cut = |word: &str| matches!(word, "split" | "splits" | "partition" | "partitions");
    words(name)
        .iter()
        .any(|word| of_word(word).is_some() || is_cut(word))
}

/// Whether a name says a split and nothing else: `train`, `test_set`, `val2017`, but not `test_tube`.
pub(crate) fn is_plain(name: &str) -> bool {
    in_name(name).is_some() && rest(name).is_empty()
}

/// Whether a name is that of images without labels: `seg_pred`, `unlabeled`.
pub(crate) fn is_unlabelled(name: &str) -> bool {
    words(name).iter().any(|word| is_unlabelled_word(word))
}

/// Whether a name cannot be that of a class, because it says nothing of what a folder holds: `images`, `test_images`,
/// `unlabelled`.
pub(crate) fn is_no_class(name: &str) -> bool {
    !words(name).is_empty() && rest(name).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_a_word_between_separators() {
        use Split::{Test, Train, Validation};
        for (name, split) in [
            ("train", Some(Train)),
            ("Training", Some(Train)),
            ("pets_train.parquet", Some(Train)),
            ("seg_train", Some(Train)),
            ("training_set", Some(Train)),
            ("partial-train", Some(Train)),
            ("train-00000-of-00001.parquet", Some(Train)),
            ("train2017", Some(Train)),
            ("val", Some(Validation)),
            ("VALID", Some(Validation)),
            ("my validation part", Some(Validation)),
            ("val2017", Some(Validation)),
            ("dev.csv", Some(Validation)),
            ("seg.test", Some(Test)),
            ("pets-testing_2", Some(Test)),
            ("eval", Some(Test)),
            ("test test", Some(Test)),
            ("trainA", Some(Train)),
            ("TestSet", Some(Test)),
            ("TRAIN", Some(Train)),
            // No word of their own, or words of two splits.
            ("trainer", None),
            ("latest", None),
            ("contest", None),
            ("devices", None),
            ("valve", None),
            ("trainval", None),
            ("train_test_split", None),
            ("cat", None),
            ("", None),
        ] {
            assert_eq!(in_name(name), split, "{name}");
        }
    }

    #[test]
    fn the_name_nearest_to_the_file_decides() {
        for (path, split) in [
            ("default/partial-train/0000.parquet", Some(Split::Train)),
            ("train/test.parquet", Some(Split::Test)),
            ("a/validation/x/0.parquet", Some(Split::Validation)),
            ("a/0.parquet", None),
        ] {
            assert_eq!(in_path(Path::new(path)), split, "{path}");
        }
    }

    #[test]
    fn what_else_a_name_says() {
        assert_eq!(rest("seg_train"), ["seg"]);
        assert_eq!(rest("seg_train"), rest("seg_pred"));
        assert_ne!(rest("training-shoes"), rest("test_tube"));
        assert!(is_plain("training_set") && is_plain("val2017") && is_plain("Test images"));
        assert!(!is_plain("test_tube") && !is_plain("images"));
        assert!(is_unlabelled("seg_pred") && is_unlabelled("Unlabeled"));
        assert!(!is_unlabelled("predator"));
        assert!(is_no_class("test_images") && is_no_class("images_2"));
        assert!(!is_no_class("7") && !is_no_class("cat images"));
    }
}
