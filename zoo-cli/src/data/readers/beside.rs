//! What lies beside the files of a data set whose files have fixed names.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::{Survey, cifar, cifar_python, idx, stl10};
use crate::data::{DataError, parts::Parts, store::Store, walk};

/// Whether the name of a file ends so, in any case.
pub(super) fn has_extension(file: &Path, wanted: &str) -> bool {
    let extension = file.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// The one folder in which these files lie, within the store.
///
/// # Errors
/// When they lie in several: then they are several data sets, and all are named.
pub(super) fn one_folder(
    store: &Store,
    path: &Path,
    format: &'static str,
    files: impl Iterator<Item = usize>,
) -> Result<PathBuf, DataError> {
    let folders: BTreeSet<&Path> = files
        .map(|member| store.members()[member].parent().unwrap_or(Path::new("")))
        .collect();
    let mut names = folders.iter();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.to_path_buf()),
        _ => {
            let shown: Vec<String> = folders
                .iter()
                .take(5)
                .map(|folder| match folder.as_os_str().is_empty() {
                    true => "the top folder".into(),
                    false => format!("`{}`", folder.display()),
                })
                .collect();
            Err(DataError::Malformed {
                path: path.into(),
                format,
                problem: format!(
                    "it holds the files of {} data sets, in {}{}; {}",
                    folders.len(),
                    shown.join(", "),
                    if folders.len() > shown.len() {
                        ", …"
                    } else {
                        ""
                    },
                    choose(store, &folders),
                ),
            })
        }
    }
}

/// How one of several folders of a store is chosen.
fn choose(store: &Store, folders: &BTreeSet<&Path>) -> &'static str {
    let nested = |outer: &Path| {
        let mut others = folders.iter();
        others.any(|inner| *inner != outer && inner.starts_with(outer))
    };
    if store.is_archive() {
        "unpack it and give one of these folders"
    } else if folders.len() == 1 || folders.iter().any(|folder| nested(folder)) {
        "move the files of each into a folder of its own and give one of them"
    } else {
        "give one of these folders"
    }
}

/// A format whose files are known by their names.
struct Named {
    format: &'static str,
    is_named: fn(&Path) -> bool,
    /// Whether images may stand beside these files, as pictures stand beside the parquet file that tells of them.
    beside_images: bool,
}

impl Named {
    const fn new(format: &'static str, is_named: fn(&Path) -> bool, beside_images: bool) -> Self {
        Self {
            format,
            is_named,
            beside_images,
        }
    }
}

const NAMED: [Named; 6] = [
    Named::new("CIFAR record files", cifar::is_named, false),
    Named::new("CIFAR's Python files", cifar_python::is_named, false),
    Named::new("STL-10's binary files", stl10::is_named, false),
    Named::new("IDX files", idx::is_named, false),
    Named::new(".npz files", |file| has_extension(file, "npz"), true),
    Named::new("parquet files", |file| has_extension(file, "parquet"), true),
];

/// Refuses a store that holds files of several formats: they are several data sets, of which one would hide the others.
pub(super) fn mixed<'a>(store: &'a Store, path: &'a Path) -> Result<Option<Survey<'a>>, DataError> {
    let mut found: BTreeMap<&'static str, &Path> = BTreeMap::new();
    let mut beside_images = true;
    for file in store.members() {
        for named in &NAMED {
            if !found.contains_key(named.format) && (named.is_named)(file) {
                found.insert(named.format, file);
                beside_images &= named.beside_images;
            }
        }
    }
    if !beside_images && let Some(picture) = class_folders(store) {
        found.insert("an image folder", picture);
    }
    if found.len() < 2 {
        return Ok(None);
    }
    let folders = found
        .values()
        .map(|file| file.parent().unwrap_or(Path::new("")))
        .collect();
    let shown: Vec<String> = found
        .iter()
        .map(|(format, file)| format!("{format} (`{}`)", file.display()))
        .collect();
    Err(DataError::Malformed {
        path: path.into(),
        format: "one dataset",
        problem: format!(
            "it holds those of several formats, {}; {}",
            shown.join(", "),
            choose(store, &folders).replace("these folders", "their folders")
        ),
    })
}

/// A picture of the first of several folders of pictures, which can only be those of classes.
fn class_folders(store: &Store) -> Option<&Path> {
    let mut pictures = store
        .members()
        .iter()
        .map(PathBuf::as_path)
        .filter(|file| walk::has_image_name(file));
    let first = pictures.next()?;
    pictures
        .any(|file| file.parent() != first.parent())
        .then_some(first)
}

/// What lies in a store of which these files were read: all others are left out, for a reason that follows their count.
pub(super) fn survey<'a>(
    store: &Store,
    format: &'static str,
    mut parts: Parts,
    read: &[usize],
    reason: &'static str,
) -> Survey<'a> {
    parts.skipped.extend(store.failed().iter().cloned());
    let mut survey = Survey::of_parts(format, parts);
    for (reason, file) in store.left_out() {
        survey
            .inventory
            .leave_out(reason.clone(), file.display().to_string());
    }
    for (member, file) in store.members().iter().enumerate() {
        if !read.contains(&member) {
            survey
                .inventory
                .leave_out(reason, file.display().to_string());
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn error(files: &[&str]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let store = Store::open(directory.path()).unwrap();
        let found = mixed(&store, directory.path());
        found.err().map(|error| error.to_string())
    }

    #[test]
    fn data_sets_of_several_formats_are_all_named() {
        for (files, said) in [
            (
                &[
                    "MNIST/raw/train-images-idx3-ubyte",
                    "cifar-10-batches-py/data_batch_1",
                ][..],
                "CIFAR's Python files (`cifar-10-batches-py/data_batch_1`), IDX files (`MNIST/raw/train-images-idx3-ubyte`); give one of their folders",
            ),
            (
                &["data_batch_1", "data_batch_1.bin"],
                "move the files of each into a folder of its own",
            ),
            (&["stl/train_X.bin", "a.npz"], "move the files of each"),
            (
                &["a/x.parquet", "b/test_batch.bin"],
                "parquet files (`a/x.parquet`)",
            ),
        ] {
            let error = error(files).unwrap();
            assert!(error.contains(said), "{error}");
        }
        for files in [
            &["a/data_batch_1.bin", "b/data_batch_1.bin"][..],
            &["train", "test", "meta", "labels", "images.bin"],
            &["cat/1.png", "dog/1.png", "a.npz"],
            &["preview.png", "train-images-idx3-ubyte"],
        ] {
            assert_eq!(error(files), None, "{files:?}");
        }
    }
}
