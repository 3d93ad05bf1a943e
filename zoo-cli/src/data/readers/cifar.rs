//! The binary files of CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>), in a folder or
//! an archive.
//!
//! A record of CIFAR-10 is one label byte and 3,072 pixel bytes; of CIFAR-100 a coarse label, a fine label (the
//! one that is used) and the pixels. Pixels are 1,024 red, 1,024 green, 1,024 blue, each 32 rows of 32.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::{Survey, beside};
use crate::data::{DataError, ImageShape, Images, classes, input, parts::Parts, store::Store};

pub(super) const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
pub(super) const PIXELS: usize = 3 * PLANE;

/// No file of either dataset has more records.
const MAX_RECORDS: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Cifar10,
    Cifar100,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "a CIFAR-10 record file",
            Self::Cifar100 => "a CIFAR-100 record file",
        }
    }

    /// The number of classes of each label byte of a record; the last is the label.
    fn labels(self) -> &'static [usize] {
        match self {
            Self::Cifar10 => &[10],
            Self::Cifar100 => &[20, 100],
        }
    }

    /// The files of the whole dataset, without their extensions.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Cifar10 => &[
                "data_batch_1",
                "data_batch_2",
                "data_batch_3",
                "data_batch_4",
                "data_batch_5",
                "test_batch",
            ],
            Self::Cifar100 => &["train", "test"],
        }
    }

    /// A sentence on the files of the dataset that are not among these, named without their extensions.
    pub(super) fn note_missing(self, there: &[&str], extension: &str) -> Option<String> {
        let missing: Vec<String> = self
            .files()
            .iter()
            .filter(|name| !there.contains(name))
            .map(|name| format!("`{name}{extension}`"))
            .collect();
        let (last, rest) = missing.split_last()?;
        let dataset = match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
        };
        Some(match rest {
            [] => format!("{last} of {dataset} is not there"),
            _ => format!("{} and {last} of {dataset} are not there", rest.join(", ")),
        })
    }

    /// The file of class names beside the records, and the names without it.
    pub(super) fn class_names(self) -> (&'static str, Vec<String>) {
        match self {
            Self::Cifar10 => ("batches.meta.txt", classes::named(&classes::CIFAR10)),
            Self::Cifar100 => ("fine_label_names.txt", classes::named(&classes::CIFAR100)),
        }
    }
}

/// The name of a record file without its extensions.
fn stem(file: &Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?;
    name.strip_suffix(".gz")
        .unwrap_or(name)
        .strip_suffix(".bin")
}

/// The format of a file of this name, and whether it belongs to the test part.
fn recognise(file: &Path) -> Option<(Format, bool)> {
    let name = stem(file)?;
    match name {
        "train" => Some((Format::Cifar100, false)),
        "test" => Some((Format::Cifar100, true)),
        "test_batch" => Some((Format::Cifar10, true)),
        _ => name
            .starts_with("data_batch_")
            .then_some((Format::Cifar10, false)),
    }
}

/// Whether a file has a name that only record files have.
pub(super) fn is_named(file: &Path) -> bool {
    // `train.bin` may be anybody's.
    matches!(recognise(file), Some((Format::Cifar10, _)))
}

/// The pixels of an image channels last, from its three planes.
pub(super) fn interleaved(planes: &[u8]) -> [u8; PIXELS] {
    let mut pixels = [0u8; PIXELS];
    for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [planes[i], planes[PLANE + i], planes[2 * PLANE + i]];
    }
    pixels
}

/// Appends the records of one file to `images`, channels last.
fn parse(
    path: &Path,
    reader: &mut dyn Read,
    format: Format,
    images: &mut Images,
) -> Result<(), DataError> {
    let malformed = |problem| DataError::Malformed {
        path: path.into(),
        format: format.name(),
        problem,
    };
    let limits = format.labels();
    let size = limits.len() + PIXELS;
    for index in 0.. {
        let record = input::read_up_to(reader, size as u64)
            .map_err(|reason| input::read_failed(path, reason))?;
        if record.is_empty() {
            if index == 0 {
                return Err(DataError::Empty { path: path.into() });
            }
            break;
        }
        if record.len() < size {
            return Err(malformed(format!(
                "after {index} records of {size} bytes come {} more bytes; fetch the file again",
                record.len()
            )));
        }
        if index == MAX_RECORDS {
            return Err(malformed(format!(
                "it holds more than {MAX_RECORDS} records; fetch the file again"
            )));
        }
        let (labels, planes) = record.split_at(limits.len());
        for (&label, &classes) in labels.iter().zip(limits) {
            if usize::from(label) >= classes {
                return Err(DataError::Label {
                    path: path.into(),
                    index,
                    label: i64::from(label),
                    classes,
                });
            }
        }
        images.push(&interleaved(planes), u32::from(labels[limits.len() - 1]));
    }
    Ok(())
}

/// What lies in the record files of this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let Some((parts, read)) = read(store, path)? else {
        return Ok(None);
    };
    let rest = "that hold no CIFAR records";
    let format = "CIFAR record files";
    let mut survey = beside::survey(store, format, parts, &read, rest);
    let files = || read.iter().map(|&member| store.members()[member].as_path());
    if let Some((format, _)) = files().find_map(recognise) {
        let there: Vec<&str> = files().filter_map(stem).collect();
        let note = format.note_missing(&there, ".bin");
        survey.inventory.notes.extend(note);
    }
    Ok(Some(survey))
}

/// Reads the record files of this store, or nothing where there are none; the parts and the files that were read.
///
/// # Errors
/// A file that is empty, ends within a record, holds too many or has a label out of range; files of both datasets.
fn read(store: &Store, path: &Path) -> Result<Option<(Parts, Vec<usize>)>, DataError> {
    let files: Vec<(usize, Format, bool)> = store
        .members()
        .iter()
        .enumerate()
        .filter_map(|(member, file)| recognise(file).map(|(format, test)| (member, format, test)))
        .collect();
    let Some(&(first, format, _)) = files.first() else {
        return Ok(None);
    };
    let folder: PathBuf =
        beside::one_folder(store, path, format.name(), files.iter().map(|file| file.0))?;
    if let Some(&(other, ..)) = files.iter().find(|file| file.1 != format) {
        return Err(DataError::Malformed {
            path: store.path(other),
            format: format.name(),
            problem: format!(
                "it stands beside `{}` of another dataset; move the files of one of them into a folder of its own and give that",
                store.path(first).display()
            ),
        });
    }

    let (names_file, mut label_names) = format.class_names();
    let names_member = store
        .members()
        .iter()
        .position(|file| *file == folder.join(names_file));
    let mut parts = [false, true].map(|test| {
        let count = files.iter().filter(|file| file.2 == test).count();
        (count > 0).then(|| Images::empty(ImageShape::new(SIDE, SIDE, 3)))
    });
    let mut wanted: Vec<usize> = files
        .iter()
        .map(|file| file.0)
        .chain(names_member)
        .collect();
    wanted.sort_unstable();
    // An archive may hold its files in any order; the images keep the order of the files' names.
    let mut blocks: Vec<(usize, Images)> = Vec::new();
    store.visit(&wanted, &mut |member, content| {
        let path = store.path(member);
        if Some(member) == names_member {
            label_names = class_names(&path, content, label_names.len())?;
            return Ok(());
        }
        let mut block = Images::empty(ImageShape::new(SIDE, SIDE, 3));
        parse(&path, content, format, &mut block)?;
        blocks.push((member, block));
        Ok(())
    })?;
    blocks.sort_by_key(|(member, _)| *member);
    for (member, block) in blocks {
        let test = files.iter().any(|file| file.0 == member && file.2);
        if let Some(images) = &mut parts[usize::from(test)] {
            images.append(block);
        }
    }
    let [train, test] = parts;
    let parts = Parts {
        train,
        test,
        label_names,
        ..Parts::default()
    };
    Ok(Some((parts, wanted)))
}

/// The names in a `batches.meta.txt`: one a line, empty lines don't count.
fn class_names(
    path: &Path,
    content: &mut dyn Read,
    count: usize,
) -> Result<Vec<String>, DataError> {
    let bytes =
        input::read_up_to(content, 1 << 16).map_err(|reason| input::read_failed(path, reason))?;
    let names: Vec<String> = String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if names.len() == count {
        return Ok(names);
    }
    Err(DataError::Malformed {
        path: path.into(),
        format: "a list of class names",
        problem: format!(
            "it holds {} names for {count} classes; correct it or remove it",
            names.len()
        ),
    })
}

#[cfg(test)]
mod tests;
