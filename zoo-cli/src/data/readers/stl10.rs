//! The binary files of STL-10 (<https://cs.stanford.edu/~acoates/stl10/>), in a folder or an archive: `train_X.bin`,
//! `train_y.bin`, `test_X.bin`, `test_y.bin`, `class_names.txt`.
//!
//! An image is 96 columns of 96 red bytes, as many of green and of blue; a label is a byte, 1 to 10. `unlabeled_X.bin`
//! has no labels and is left out.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Survey, beside};
use crate::data::{DataError, ImageShape, Images, classes, input, parts::Parts, store::Store};

const FORMAT: &str = "a binary file of STL-10";
const SIDE: usize = 96;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;

/// The test part has 8,000.
const MAX_IMAGES: usize = 50_000;

const CLASSES: [&str; 10] = [
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
];

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    }
}

fn unpacked_name(file: &Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?;
    Some(name.strip_suffix(".gz").unwrap_or(name))
}

/// What a file of this name holds: (of the test part, labels).
fn kind(file: &Path) -> Option<(bool, bool)> {
    match unpacked_name(file)? {
        "train_X.bin" => Some((false, false)),
        "train_y.bin" => Some((false, true)),
        "test_X.bin" => Some((true, false)),
        "test_y.bin" => Some((true, true)),
        _ => None,
    }
}

/// Whether a file has a name that only these files have.
pub(super) fn is_named(file: &Path) -> bool {
    kind(file).is_some()
}

/// What lies in the files of STL-10 in this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let Some((parts, read)) = read(store, path)? else {
        return Ok(None);
    };
    let unlabelled = unlabelled(store)?;
    let read: Vec<usize> = read
        .into_iter()
        .chain(unlabelled.iter().map(|(member, _)| *member))
        .collect();
    let rest = "that are not needed to read STL-10";
    let format = "STL-10's binary files";
    let mut survey = beside::survey(store, format, parts, &read, rest);
    for &(member, images) in &unlabelled {
        let file = store.members()[member].display();
        let inventory = &mut survey.inventory;
        inventory.leave_out("of images without labels", file.to_string());
        inventory.notes.push(format!(
            "the {images} images of `{file}` have no labels and are left out"
        ));
    }
    Ok(Some(survey))
}

/// The files of images without labels, and how many images each holds.
fn unlabelled(store: &Store) -> Result<Vec<(usize, u64)>, DataError> {
    let wanted: Vec<usize> = (0..store.members().len())
        .filter(|&member| unpacked_name(&store.members()[member]) == Some("unlabeled_X.bin"))
        .collect();
    let mut found = Vec::new();
    store.visit(&wanted, &mut |member, content| {
        let path = store.path(member);
        let failed = |reason| input::read_failed(&path, reason);
        // Gigabytes, that only an archive or a packed file must be read through for.
        let bytes = if store.is_archive() || beside::has_extension(&path, "gz") {
            io::copy(content, &mut io::sink()).map_err(failed)?
        } else {
            fs::metadata(&path).map_err(failed)?.len()
        };
        found.push((member, bytes / PIXELS as u64));
        Ok(())
    })?;
    Ok(found)
}

/// The parts and the files that were read.
fn read(store: &Store, path: &Path) -> Result<Option<(Parts, Vec<usize>)>, DataError> {
    let kind = |member: usize| kind(&store.members()[member]);
    let mut wanted: Vec<usize> = (0..store.members().len())
        .filter(|&member| kind(member).is_some())
        .collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let folder: PathBuf = beside::one_folder(store, path, FORMAT, wanted.iter().copied())?;
    let names_path = folder.join("class_names.txt");
    let names_member = store.members().iter().position(|file| *file == names_path);
    wanted.extend(names_member);
    wanted.sort_unstable();

    let mut label_names = classes::named(&CLASSES);
    let mut images: BTreeMap<bool, (PathBuf, Images)> = BTreeMap::new();
    let mut labels: BTreeMap<bool, (PathBuf, Vec<u8>)> = BTreeMap::new();
    store.visit(&wanted, &mut |member, content| {
        let path = store.path(member);
        let twice = || {
            malformed(
                &path,
                "it is there plain and packed; remove one of the two".into(),
            )
        };
        let before = match kind(member) {
            None => {
                label_names = class_names(&path, content)?;
                return Ok(());
            }
            Some((test, true)) => {
                let bytes = input::read_up_to(content, MAX_IMAGES as u64 + 1)
                    .map_err(|reason| input::read_failed(&path, reason))?;
                labels.insert(test, (path.clone(), bytes)).is_some()
            }
            Some((test, false)) => {
                let read = parse(&path, content)?;
                images.insert(test, (path.clone(), read)).is_some()
            }
        };
        if before { Err(twice()) } else { Ok(()) }
    })?;

    let mut part = |test: bool| {
        let (of, name) = match test {
            true => ("test_X.bin", "test_y.bin"),
            false => ("train_X.bin", "train_y.bin"),
        };
        match (images.remove(&test), labels.remove(&test)) {
            (Some((path, images)), Some((labels_path, labels))) => {
                join(&path, images, &labels_path, &labels).map(Some)
            }
            (None, None) => Ok(None),
            (Some((path, _)), None) => Err(malformed(
                path.as_path(),
                format!("`{name}` is missing; put it beside"),
            )),
            (None, Some((path, _))) => Err(malformed(
                path.as_path(),
                format!("`{of}` is missing; put it beside"),
            )),
        }
    };
    let parts = Parts {
        train: part(false)?,
        test: part(true)?,
        label_names,
        ..Parts::default()
    };
    Ok(Some((parts, wanted)))
}

/// The images of one file, upright, channels last.
fn parse(path: &Path, content: &mut dyn Read) -> Result<Images, DataError> {
    let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 3));
    let mut upright = vec![0u8; PIXELS];
    for index in 0.. {
        let record = input::read_up_to(content, PIXELS as u64)
            .map_err(|reason| input::read_failed(path, reason))?;
        if record.is_empty() {
            break;
        }
        if record.len() < PIXELS {
            return Err(malformed(
                path,
                format!(
                    "after {index} images of {PIXELS} bytes come {} more bytes; fetch the file again",
                    record.len()
                ),
            ));
        }
        if index == MAX_IMAGES {
            return Err(malformed(
                path,
                format!("it holds more than {MAX_IMAGES} images; fetch the file again"),
            ));
        }
        for (i, pixel) in upright.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let at = i % SIDE * SIDE + i / SIDE;
            *pixel = [record[at], record[PLANE + at], record[2 * PLANE + at]];
        }
        // Labels follow from their own file.
        images.push(&upright, 0);
    }
    if images.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(images)
}

fn join(
    path: &Path,
    mut images: Images,
    labels_path: &Path,
    labels: &[u8],
) -> Result<Images, DataError> {
    if labels.len() != images.len() {
        return Err(malformed(
            labels_path,
            format!(
                "it holds {} labels for the {} images of `{}`; take both files from one source",
                labels.len(),
                images.len(),
                path.display()
            ),
        ));
    }
    for (index, (to, &label)) in images.labels.iter_mut().zip(labels).enumerate() {
        match label {
            1..=10 => *to = u32::from(label) - 1,
            other => {
                return Err(malformed(
                    labels_path,
                    format!(
                        "example {index} has the label {other}, and labels are 1 to 10; fetch the file again"
                    ),
                ));
            }
        }
    }
    Ok(images)
}

fn class_names(path: &Path, content: &mut dyn Read) -> Result<Vec<String>, DataError> {
    let bytes =
        input::read_up_to(content, 1 << 12).map_err(|reason| input::read_failed(path, reason))?;
    let names: Vec<String> = String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if names.len() == CLASSES.len() {
        return Ok(names);
    }
    Err(malformed(
        path,
        format!(
            "it holds {} names for {} classes; correct it or remove it",
            names.len(),
            CLASSES.len()
        ),
    ))
}

#[cfg(test)]
mod tests;
