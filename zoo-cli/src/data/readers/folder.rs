//! Image folders: `class/image.png`, or `train|val|test/class/image.png`, on disk or in an archive.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::{Component, Path},
    sync::Mutex,
};

use models::preprocessor::Preprocessor;

use super::Survey;
use crate::data::{
    DataError, ImageShape, Images, SkippedFile, decode, fit, parts::Parts, store::Store, walk,
};

const FORMAT: &str = "an image folder";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Validation,
    Test,
}

fn split_named(name: &OsStr) -> Option<Split> {
    match name.to_str()?.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// One image and where its folders put it.
struct Entry {
    member: usize,
    split: Split,
    class: OsString,
}

/// What the folders of the images say.
struct Layout {
    entries: Vec<Entry>,
    /// Images that lie beside the class folders.
    outside: usize,
}

/// Finds splits and classes in the paths of the images, below the folders that all of them share.
fn layout(store: &Store, images: &[usize]) -> Layout {
    let folders: Vec<Vec<&OsStr>> = images
        .iter()
        .map(|&member| {
            let parent = store.members()[member].parent().unwrap_or(Path::new(""));
            let names = parent.components().filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            });
            names.collect()
        })
        .collect();
    // A shared folder is no class, as long as each image lies in another folder below it.
    let mut shared = 0;
    while let Some(name) = folders.first().and_then(|names| names.get(shared)) {
        let common = folders
            .iter()
            .all(|names| names.len() > shared + 1 && names[shared] == *name);
        if !common || split_named(name).is_some() {
            break;
        }
        shared += 1;
    }
    let has_splits = folders
        .iter()
        .all(|names| names.len() > shared + 1 && split_named(names[shared]).is_some());
    let mut layout = Layout {
        entries: Vec::with_capacity(images.len()),
        outside: 0,
    };
    for (&member, names) in images.iter().zip(&folders) {
        let below = &names[shared..];
        let (split, class) = match below {
            [split, class, ..] if has_splits => (split_named(split), class),
            [class, ..] => (Some(Split::Train), class),
            [] => {
                layout.outside += 1;
                continue;
            }
        };
        layout.entries.push(Entry {
            member,
            split: split.unwrap_or(Split::Train),
            class: (*class).to_owned(),
        });
    }
    layout
}

/// Decodes these images in parallel. What cannot be decoded is left out and listed.
fn decode_all(
    store: &Store,
    entries: &[(usize, u32)],
    to: &Preprocessor,
    skipped: &mut Vec<SkippedFile>,
) -> Result<Images, DataError> {
    let shape = ImageShape::new(to.height, to.width, to.channels);
    let mut pixels = vec![0u8; entries.len() * shape.len()];
    let failures = Mutex::new(Vec::new());
    {
        let slots: Vec<Mutex<&mut [u8]>> = pixels
            .chunks_exact_mut(shape.len())
            .map(Mutex::new)
            .collect();
        let wanted: Vec<usize> = entries.iter().map(|(member, _)| *member).collect();
        store.visit_images(&wanted, &|member, bytes| {
            let path = store.path(member);
            let decoded = bytes.and_then(|bytes| decode::preprocess_bytes(&path, &bytes, to));
            // Each member is wanted once, and `wanted` is ascending.
            let Ok(slot) = wanted.binary_search(&member) else {
                return;
            };
            match decoded {
                Ok(decoded) => {
                    if let Ok(mut output) = slots[slot].lock() {
                        output.copy_from_slice(&decoded);
                    }
                }
                Err(error) => {
                    if let Ok(mut failures) = failures.lock() {
                        failures.push((slot, path, error.to_string()));
                    }
                }
            }
        })?;
    }
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|(slot, ..)| *slot);
    let broken: BTreeSet<usize> = failures.iter().map(|(slot, ..)| *slot).collect();
    skipped.extend(
        failures
            .into_iter()
            .map(|(_, path, reason)| SkippedFile { path, reason }),
    );

    let mut images = Images {
        pixels,
        labels: entries.iter().map(|(_, label)| *label).collect(),
        ..Images::empty(shape)
    };
    if !broken.is_empty() {
        let whole: Vec<usize> = (0..entries.len())
            .filter(|slot| !broken.contains(slot))
            .collect();
        images.keep(&whole);
    }
    Ok(images)
}

/// What lies in an image folder, or nothing where the store holds no images.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    Ok(read(store, path, &fit::default_input())?.map(|parts| Survey::of_parts(FORMAT, parts)))
}

/// Reads an image folder, or nothing where the store holds no images. Classes are sorted by name. Without a
/// folder `test`, the folder `val` is the test part; beside one, `val` joins the training images.
///
/// # Errors
/// Images without class folders, a class that only the test part has, or no image that can be decoded.
fn read(store: &Store, path: &Path, to: &Preprocessor) -> Result<Option<Parts>, DataError> {
    let malformed = |problem| DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    };
    let images: Vec<usize> = (0..store.members().len())
        .filter(|&member| walk::has_image_name(&store.members()[member]))
        .collect();
    if images.is_empty() {
        return Ok(None);
    }
    let Layout { entries, outside } = layout(store, &images);
    if entries.is_empty() {
        return Err(malformed(format!(
            "its {outside} images lie in no class folders; put the images of each class in a folder of its own"
        )));
    }
    let mut parts = Parts::default();
    if outside > 0 {
        parts.notices.push(format!(
            "{outside} images beside the class folders are left out"
        ));
    }

    let has = |split| entries.iter().any(|entry| entry.split == split);
    let test_split = if has(Split::Test) {
        Split::Test
    } else {
        Split::Validation
    };
    if has(Split::Test) && has(Split::Validation) {
        parts
            .notices
            .push("the images of `val` join those of `train`".into());
    }
    let is_test = |entry: &Entry| entry.split == test_split;
    let classes_of = |test: bool| -> BTreeSet<&OsString> {
        let chosen = entries.iter().filter(|entry| is_test(entry) == test);
        chosen.map(|entry| &entry.class).collect()
    };
    let (train_classes, test_classes) = (classes_of(false), classes_of(true));
    if !train_classes.is_empty()
        && let Some(class) = test_classes.difference(&train_classes).next()
    {
        return Err(malformed(format!(
            "its test part has the class `{}` that its training part lacks; add training images of it",
            class.display()
        )));
    }
    let classes: Vec<&OsString> = train_classes.union(&test_classes).copied().collect();
    parts.label_names = classes
        .iter()
        .map(|class| class.to_string_lossy().into_owned())
        .collect();
    if classes.len() == 1 {
        return Err(malformed(format!(
            "it has the one class `{}`; add a folder of another class",
            parts.label_names[0]
        )));
    }

    for test in [false, true] {
        let chosen: Vec<(usize, u32)> = entries
            .iter()
            .filter(|entry| is_test(entry) == test)
            .map(|entry| {
                let label = classes.binary_search(&&entry.class).unwrap_or_default();
                (entry.member, label as u32)
            })
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let images = decode_all(store, &chosen, to, &mut parts.skipped)?;
        if images.is_empty() {
            let first = parts.skipped.first().map(|file| file.reason.as_str());
            return Err(malformed(format!(
                "none of {} images can be decoded: {}",
                chosen.len(),
                first.unwrap_or_default()
            )));
        }
        if test {
            parts.test = Some(images);
        } else {
            parts.train = Some(images);
        }
    }
    Ok(Some(parts))
}

#[cfg(test)]
mod tests;
