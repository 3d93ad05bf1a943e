//! What the name of an IDX file says.
//!
//! A name is taken apart into words: `images` or `labels`, the split (`train`, `t10k`, `test`, …), `idx3` and the type,
//! and what is left, the name of the set: nothing for MNIST, `qmnist`, `emnist-letters`. Files of one folder with one
//! such name are a set.

use std::path::{Path, PathBuf};

use crate::data::splits::{self, Split};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Images,
    Labels,
}

/// What the name of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) role: Role,
    pub(super) split: Split,
    /// The folder of the set and the words of its name.
    pub(super) set: (PathBuf, String),
    /// Whether the name says IDX; otherwise the content must.
    pub(super) sure: bool,
}

pub(super) fn words(name: &str) -> Vec<&str> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect()
}

fn is_idx(word: &str) -> bool {
    let rank = word.strip_prefix("idx");
    rank.is_some_and(|rank| rank.bytes().all(|digit| digit.is_ascii_digit()))
}

pub(super) fn without_gz(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?.to_lowercase();
    Some(name.strip_suffix(".gz").unwrap_or(&name).to_owned())
}

fn split_of(name: &str) -> Option<Split> {
    match words(name).contains(&"t10k") {
        true => Some(Split::Test),
        false => splits::in_name(name),
    }
}

pub(super) fn recognise(file: &Path) -> Option<Named> {
    let name = without_gz(file)?;
    // Most files of a large folder are none of these.
    if !name.contains("im") && !name.contains("label") {
        return None;
    }
    let words = words(&name);
    let roles: Vec<Role> = words
        .iter()
        .filter_map(|word| match *word {
            "images" | "image" | "imgs" => Some(Role::Images),
            "labels" | "label" => Some(Role::Labels),
            _ => None,
        })
        .collect();
    let [role] = roles[..] else { return None };
    let sure = words.iter().any(|word| is_idx(word));
    let extension = Path::new(&name).extension().and_then(|e| e.to_str());
    if !sure && !matches!(extension, None | Some("bin" | "ubyte")) {
        return None;
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let folder_split = folder
        .file_name()
        .and_then(|name| splits::in_name(&name.to_string_lossy()));
    let split = split_of(&name).or(folder_split).unwrap_or(Split::Train);
    // Parts in folders of their own, `train/` and `test/`, are one set.
    let folder = match folder_split == Some(split) {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    };
    let rest: Vec<&str> = words
        .into_iter()
        .filter(|word| {
            let said = matches!(
                *word,
                "images"
                    | "image"
                    | "imgs"
                    | "labels"
                    | "label"
                    | "t10k"
                    | "ubyte"
                    | "byte"
                    | "int"
                    | "short"
                    | "bin"
            );
            !said && !is_idx(word) && splits::in_name(word).is_none()
        })
        .collect();
    Some(Named {
        role,
        split,
        set: (folder.into(), rest.join("-")),
        sure,
    })
}

/// Whether a file has a name that only IDX files have.
pub(in crate::data::readers) fn is_named(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let has_idx = name
        .windows(3)
        .any(|part| part.eq_ignore_ascii_case(b"idx"));
    has_idx && recognise(file).is_some_and(|named| named.sure)
}
