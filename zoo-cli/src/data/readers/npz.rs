//! NumPy's archives: MedMNIST's `.npz` files (`train_images`, `train_labels`, `val_images`, …) and those of Keras
//! (`x_train`, `y_train`, `x_test`, `y_test`), given themselves, alone in a folder, or as loose `.npy` files.

use std::path::Path;

use super::{Survey, beside, idx, numpy};
use crate::data::{
    DataError, classes,
    inventory::shown,
    parts::Parts,
    splits::{self, Split},
    store::Store,
    walk,
};

mod floats;
mod join;
mod names;
mod npy;

use join::{Arrays, add, join_all};

const FORMAT: &str = "a file of NumPy arrays";

fn malformed(path: &Path, problem: impl Into<String>) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem: problem.into(),
    }
}

/// What an array is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Images,
    Labels,
}

/// The part and the role of an array, by its name: `train_images`, `y_test`, `X_val`; without a part it is for training.
fn role(name: &str) -> Option<(Split, Role)> {
    let lower = name.to_lowercase();
    let roles: Vec<Role> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| match word {
            "images" | "image" | "imgs" | "img" | "x" | "data" => Some(Role::Images),
            "labels" | "label" | "y" | "targets" | "target" => Some(Role::Labels),
            _ => None,
        })
        .collect();
    match roles[..] {
        [role] => Some((splits::in_name(&lower).unwrap_or(Split::Train), role)),
        _ => None,
    }
}

/// What lies in the NumPy files of this store, or nothing where there are none, or images beside them.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let with = |extension: &str| -> Vec<usize> {
        (0..store.members().len())
            .filter(|&member| beside::has_extension(&store.members()[member], extension))
            .collect()
    };
    let archives = with("npz");
    let has_images = || {
        store
            .members()
            .iter()
            .any(|file| walk::has_image_name(file))
    };
    let format = "NumPy arrays";
    let rest = "beside the NumPy arrays";
    let (found, mut survey) = match archives[..] {
        [] => {
            let loose = with("npy");
            let named = loose
                .iter()
                .filter(|&&member| role_of(&store.members()[member]).is_some())
                .count();
            // An .npz that was given is a store of arrays and nothing else.
            let given = store.is_archive() && loose.len() == store.members().len();
            if named < 2 && !given || has_images() {
                return Ok(None);
            }
            let found = read(store, path, path, &loose)?;
            let survey = beside::survey(store, format, found.parts, &loose, rest);
            (found.unused, survey)
        }
        _ if has_images() => return Ok(None),
        [archive] => {
            let file = store.path(archive);
            if store.is_archive() {
                let problem =
                    "it is an archive within an archive; unpack the outer one and give this file";
                return Err(malformed(&file, problem));
            }
            let inner = Store::open(&file)?;
            let all: Vec<usize> = (0..inner.members().len()).collect();
            let found = read(&inner, &file, &file, &all)?;
            let survey = beside::survey(store, format, found.parts, &[archive], rest);
            (found.unused, survey)
        }
        _ => {
            let Some(found) = read_lone_arrays(store, path, &archives)? else {
                return Err(several(store, path, &archives));
            };
            let survey = beside::survey(store, format, found.parts, &archives, rest);
            (found.unused, survey)
        }
    };
    for name in found {
        survey
            .inventory
            .notes
            .push(format!("the array `{}` is left out", shown(&name)));
    }
    Ok(Some(survey))
}

fn several(store: &Store, path: &Path, archives: &[usize]) -> DataError {
    let shown: Vec<String> = archives
        .iter()
        .take(5)
        .map(|&member| format!("`{}`", store.members()[member].display()))
        .collect();
    malformed(
        path,
        format!(
            "it holds {} .npz files ({}{}); {}give one of them",
            archives.len(),
            shown.join(", "),
            if archives.len() > 5 { ", …" } else { "" },
            if store.is_archive() {
                "unpack it and "
            } else {
                ""
            },
        ),
    )
}

/// The name of the array that a file `NAME.npy` holds.
fn array_name(file: &Path) -> Option<String> {
    beside::has_extension(file, "npy")
        .then(|| Some(file.file_stem()?.to_string_lossy().into_owned()))
        .flatten()
}

fn role_of(file: &Path) -> Option<(Split, Role)> {
    array_name(file).and_then(|name| role(&name))
}

/// Reads archives that hold one array each and are named by its part and role, as `kmnist-train-imgs.npz`; nothing where
/// they are others.
fn read_lone_arrays(
    store: &Store,
    path: &Path,
    archives: &[usize],
) -> Result<Option<Found>, DataError> {
    let named = |member: &usize| role(&store.members()[*member].file_stem()?.to_string_lossy());
    let Some(roles) = archives.iter().map(named).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let one_folder = archives
        .windows(2)
        .all(|pair| store.members()[pair[0]].parent() == store.members()[pair[1]].parent());
    if store.is_archive() || !one_folder {
        return Ok(None);
    }
    let mut arrays = Arrays::new();
    for (&member, key) in archives.iter().zip(roles) {
        let file = store.path(member);
        let inner = Store::open(&file)?;
        if inner.members().len() != 1 {
            return Ok(None);
        }
        inner.visit(&[0], &mut |_, content| {
            let array = npy::read(&file, content)?;
            add(&mut arrays, key, file.clone(), array)
        })?;
    }
    let file = store.path(archives[0]);
    Ok(Some(Found {
        parts: name_classes(join_all(path, arrays)?, &file),
        unused: Vec::new(),
    }))
}

/// What was read: the parts, and the names of arrays that are of no part.
struct Found {
    parts: Parts,
    unused: Vec<String>,
}

/// Reads the arrays among these files of a store; `file` may name a known set.
fn read(store: &Store, path: &Path, file: &Path, members: &[usize]) -> Result<Found, DataError> {
    let (wanted, others): (Vec<usize>, Vec<usize>) = members
        .iter()
        .partition(|&&member| role_of(&store.members()[member]).is_some());
    let unused: Vec<String> = others
        .into_iter()
        .filter_map(|member| array_name(&store.members()[member]))
        .collect();
    if wanted.is_empty() {
        let shown: Vec<String> = unused
            .iter()
            .take(5)
            .map(|name| format!("`{}`", shown(name)))
            .collect();
        let held = match unused.len() {
            0 => "no arrays".into(),
            count if count > 5 => format!("{count} arrays named {}, …", shown.join(", ")),
            _ => format!("arrays named {}", shown.join(", ")),
        };
        let stem = file.file_stem().unwrap_or_default();
        let step = match role(&stem.to_string_lossy()) {
            Some(_) if unused.len() == 1 => {
                "give its folder, with the other arrays of the data set".into()
            }
            _ => format!("write it again with {}", numpy::SAVE),
        };
        return Err(malformed(path, format!("it holds {held}; {step}")));
    }
    let mut arrays = Arrays::new();
    store.visit(&wanted, &mut |member, content| {
        let at = store.path(member);
        let Some(key) = role_of(&at) else {
            return Ok(());
        };
        let array = npy::read(&at, content)?;
        add(&mut arrays, key, at, array)
    })?;
    Ok(Found {
        parts: name_classes(join_all(path, arrays)?, file),
        unused,
    })
}

/// The known names of the classes of this file.
fn name_classes(mut parts: Parts, file: &Path) -> Parts {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let names = names::of_file(file).or_else(|| idx::names_of(&stem, &parts));
    if let Some(names) = names.filter(|names| parts.label_names.len() == names.len()) {
        parts.label_names = classes::named(names);
    }
    parts
}

#[cfg(test)]
mod tests;
