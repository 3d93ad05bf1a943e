//! NumPy's archives: MedMNIST's `.npz` files (`train_images`, `train_labels`, `val_images`, …) and those of Keras
//! (`x_train`, `y_train`, `x_test`, `y_test`), given themselves, alone in a folder, or as loose `.npy` files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Survey, beside, idx};
use crate::data::{
    DataError, ImageShape, Images, classes,
    parts::{MAX_CLASSES, Parts},
    splits::{self, Split},
    store::Store,
    walk,
};

mod names;
mod npy;

use npy::Array;

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
                .filter(|&&member| role_of(&store.members()[member]).is_some());
            if named.count() < 2 || has_images() {
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
        _ => return Err(several(store, path, &archives)),
    };
    for name in found {
        survey
            .inventory
            .notes
            .push(format!("the array `{name}` is left out"));
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

/// What was read: the parts, and the names of arrays that are of no part.
struct Found {
    parts: Parts,
    unused: Vec<String>,
}

/// Arrays by their part and role, and where each stands.
type Arrays = BTreeMap<(Split, Role), (PathBuf, Array)>;

fn add(
    arrays: &mut Arrays,
    key: (Split, Role),
    at: PathBuf,
    array: Array,
) -> Result<(), DataError> {
    let problem = arrays.get(&key).map(|(before, _)| {
        let kind = match key.1 {
            Role::Images => "images",
            Role::Labels => "labels",
        };
        format!(
            "it holds the {kind} of the {} part, as `{}` does; keep one of the two",
            key.0.name(),
            before.display()
        )
    });
    if let Some(problem) = problem {
        return Err(malformed(&at, problem));
    }
    arrays.insert(key, (at, array));
    Ok(())
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
            .map(|name| format!("`{name}`"))
            .collect();
        return Err(malformed(
            path,
            format!(
                "it holds {}; write it again with numpy.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, y_test=…)",
                match unused.len() {
                    0 => "no arrays".into(),
                    count if count > 5 => format!("{count} arrays named {}, …", shown.join(", ")),
                    _ => format!("arrays named {}", shown.join(", ")),
                }
            ),
        ));
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

fn join_all(path: &Path, mut arrays: Arrays) -> Result<Parts, DataError> {
    let mut part = |split: Split| {
        let images = arrays.remove(&(split, Role::Images));
        let labels = arrays.remove(&(split, Role::Labels));
        match (images, labels) {
            (Some((at, images)), Some((labels_at, labels))) => {
                join(&at, images, &labels_at, &labels).map(Some)
            }
            (None, None) => Ok(None),
            (Some((at, _)), None) => Err(malformed(
                &at,
                format!(
                    "there are no labels of the {} part beside it; add them",
                    split.name()
                ),
            )),
            (None, Some((at, _))) => Err(malformed(
                &at,
                format!(
                    "there are no images of the {} part beside it; add them",
                    split.name()
                ),
            )),
        }
    };
    let (train, validation, test) = (
        part(Split::Train)?,
        part(Split::Validation)?,
        part(Split::Test)?,
    );
    let mut parts = Parts::unnamed(path, train, test)?;
    parts.validation = validation;
    parts.check_labels(path)?;
    Ok(parts)
}

fn join(at: &Path, array: Array, labels_at: &Path, labels: &Array) -> Result<Images, DataError> {
    if !array.layout.dtype.is_byte() {
        return Err(malformed(
            at,
            "its elements are no unsigned bytes; write the images as uint8 with values of 0 to 255",
        ));
    }
    let (count, shape) = match array.layout.shape[..] {
        [count, height, width] => (count, ImageShape::new(height, width, 1)),
        [count, height, width, channels @ (1 | 3)] => {
            (count, ImageShape::new(height, width, channels))
        }
        [_, 1 | 3, height, width] => {
            return Err(malformed(
                at,
                format!(
                    "its axes {:?} have the channels before the {height} rows of {width}; write it channels last (numpy.moveaxis(images, 1, -1))",
                    array.layout.shape
                ),
            ));
        }
        [_, _, _, 2 | 4] => {
            return Err(malformed(
                at,
                format!(
                    "its axes {:?} have channels besides red, green and blue; write images[..., :3] or a grey image",
                    array.layout.shape
                ),
            ));
        }
        [_, depth, height, width] | [_, depth, height, width, _] => {
            return Err(malformed(
                at,
                format!(
                    "it holds volumes of {depth}×{height}×{width}, and only flat images are learned from; write one slice of each as an image"
                ),
            ));
        }
        _ => {
            return Err(malformed(
                at,
                format!(
                    "its axes {:?} are none of images; write it as count × height × width, with × 3 for colour",
                    array.layout.shape
                ),
            ));
        }
    };
    if count == 0 || shape.is_empty() {
        return Err(DataError::Empty { path: at.into() });
    }
    let given = match labels.layout.shape[..] {
        [given] | [given, 1] => given,
        [_, several] => {
            return Err(malformed(
                labels_at,
                format!(
                    "it holds {several} labels for each image, and one class an image is learned; where just one of them is set write labels.argmax(1)"
                ),
            ));
        }
        _ => {
            return Err(malformed(
                labels_at,
                format!(
                    "its axes {:?} are none of labels; write one whole number an image",
                    labels.layout.shape
                ),
            ));
        }
    };
    if given != count {
        return Err(malformed(
            labels_at,
            format!(
                "it holds {given} labels for the {count} images of `{}`; take both from one source",
                at.display()
            ),
        ));
    }
    let labels = labels
        .layout
        .integers(&labels.data)
        .into_iter()
        .enumerate()
        .map(|(index, label)| match u32::try_from(label) {
            Ok(known) if (known as usize) < MAX_CLASSES => Ok(known),
            _ => Err(DataError::Label {
                path: labels_at.into(),
                index,
                label,
                classes: MAX_CLASSES,
            }),
        })
        .collect::<Result<Vec<u32>, DataError>>()?;
    Ok(Images {
        pixels: array.layout.last_index_fastest(array.data),
        labels,
        ..Images::empty(shape)
    })
}

/// The known names of the classes of this file.
fn name_classes(mut parts: Parts, file: &Path) -> Parts {
    let names = names::of_file(file).or_else(|| idx::names_of_folder(file));
    if let Some(names) = names.filter(|names| parts.label_names.len() == names.len()) {
        parts.label_names = classes::named(names);
    }
    parts
}

#[cfg(test)]
mod tests;
