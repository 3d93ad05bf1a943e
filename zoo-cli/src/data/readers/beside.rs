//! What lies beside the files of a data set whose files have fixed names.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::Survey;
use crate::data::{DataError, parts::Parts, store::Store};

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
                    choose(
                        store,
                        folders.iter().any(|folder| folder.as_os_str().is_empty())
                    ),
                ),
            })
        }
    }
}

/// How one of several folders of a store is chosen; `top` where one of them is the store itself, which holds the others.
fn choose(store: &Store, top: bool) -> &'static str {
    match (store.is_archive(), top) {
        (true, _) => "unpack it and give one of these folders",
        (false, false) => "give one of these folders",
        (false, true) => {
            "move the files of the top folder into a folder of their own and give one of the folders"
        }
    }
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
