//! The Python files of CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>), in a folder or an
//! archive: `data_batch_1`, …, `test_batch` and `batches.meta`; `train`, `test` and `meta` (fine labels).
//!
//! Each is the pickle of a dictionary: `data` holds a row of 3,072 bytes for an image (red, green, blue, each 32 rows of
//! 32), `labels` or `fine_labels` its class; the meta file holds the names of the classes.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    Survey, beside,
    cifar::{self, Format},
    pickle::{self, Pickle},
};
use crate::data::{DataError, ImageShape, Images, input, parts::Parts, store::Store};

const FORMAT: &str = "a Python file of CIFAR";

/// The format of a file of this name, and whether it belongs to the test part.
fn recognise(file: &Path) -> Option<(Format, bool)> {
    match file.file_name()?.to_str()? {
        "train" => Some((Format::Cifar100, false)),
        "test" => Some((Format::Cifar100, true)),
        "test_batch" => Some((Format::Cifar10, true)),
        name => (name.starts_with("data_batch_") && !name.contains('.'))
            .then_some((Format::Cifar10, false)),
    }
}

/// Whether a file has a name that only these files have.
pub(super) fn is_named(file: &Path) -> bool {
    // `train` may be anybody's.
    matches!(recognise(file), Some((Format::Cifar10, _)))
}

/// The file of class names and its key.
fn meta(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Cifar10 => ("batches.meta", "label_names"),
        Format::Cifar100 => ("meta", "fine_label_names"),
    }
}

fn malformed(path: &Path, problem: impl Into<String>) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem: problem.into(),
    }
}

/// What lies in the Python files of this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let Some((parts, read)) = read(store, path)? else {
        return Ok(None);
    };
    let rest = "that are none of CIFAR's Python files";
    let format = "CIFAR's Python files";
    let mut survey = beside::survey(store, format, parts, &read, rest);
    let files = || read.iter().map(|&member| store.members()[member].as_path());
    if let Some((format, _)) = files().find_map(recognise) {
        let names = files().filter_map(|file| file.file_name()?.to_str());
        let there: Vec<&str> = names.collect();
        survey
            .inventory
            .notes
            .extend(format.note_missing(&there, ""));
    }
    Ok(Some(survey))
}

/// The parts and the files that were read.
fn read(store: &Store, path: &Path) -> Result<Option<(Parts, Vec<usize>)>, DataError> {
    let mut files: Vec<(usize, Format, bool)> = store
        .members()
        .iter()
        .enumerate()
        .filter_map(|(member, file)| recognise(file).map(|(format, test)| (member, format, test)))
        .collect();
    keep_pickles(store, &mut files)?;
    let Some(&(first, format, _)) = files.first() else {
        return Ok(None);
    };
    let folder = beside::one_folder(store, path, FORMAT, files.iter().map(|file| file.0))?;
    if let Some(&(other, ..)) = files.iter().find(|file| file.1 != format) {
        return Err(malformed(
            &store.path(other),
            format!(
                "it stands beside `{}` of another dataset; move the files of one of them into a folder of its own and give that",
                store.path(first).display()
            ),
        ));
    }

    let (meta_name, names_key) = meta(format);
    let meta_path = folder.join(meta_name);
    let meta_member = store.members().iter().position(|file| *file == meta_path);
    let (_, mut label_names) = format.class_names();
    let mut wanted: Vec<usize> = files.iter().map(|file| file.0).chain(meta_member).collect();
    wanted.sort_unstable();
    // An archive may hold its files in any order; the images keep the order of the files' names.
    let mut blocks: Vec<(usize, Images)> = Vec::new();
    store.visit(&wanted, &mut |member, content| {
        let path = store.path(member);
        if Some(member) == meta_member {
            label_names = class_names(&path, content, names_key, label_names.len())?;
        } else {
            blocks.push((member, parse(&path, content, format)?));
        }
        Ok(())
    })?;
    blocks.sort_by_key(|(member, _)| *member);
    let mut parts = Parts {
        label_names,
        ..Parts::default()
    };
    for (member, block) in blocks {
        let test = files.iter().any(|file| file.0 == member && file.2);
        let part = if test {
            &mut parts.test
        } else {
            &mut parts.train
        };
        part.get_or_insert_with(no_images).append(block);
    }
    Ok(Some((parts, wanted)))
}

fn no_images() -> Images {
    Images::empty(ImageShape::new(cifar::SIDE, cifar::SIDE, 3))
}

/// Files of the common names `train` and `test` are CIFAR's where they stand beside `meta`, or are pickles.
fn keep_pickles(store: &Store, files: &mut Vec<(usize, Format, bool)>) -> Result<(), DataError> {
    let doubtful: Vec<usize> = files
        .iter()
        .filter(|(member, format, _)| {
            let meta: PathBuf = store.members()[*member].with_file_name(meta(*format).0);
            *format == Format::Cifar100 && !store.members().contains(&meta)
        })
        .map(|file| file.0)
        .collect();
    if doubtful.is_empty() {
        return Ok(());
    }
    let mut others = Vec::new();
    store.visit(&doubtful, &mut |member, content| {
        let start = input::read_up_to(content, 8)
            .map_err(|reason| input::read_failed(&store.path(member), reason))?;
        if !pickle::starts_like_one(&start) {
            others.push(member);
        }
        Ok(())
    })?;
    files.retain(|file| !others.contains(&file.0));
    Ok(())
}

/// The images of one file.
fn parse(path: &Path, content: &mut dyn Read, format: Format) -> Result<Images, DataError> {
    let pickle = Pickle::read(content).map_err(|fault| fault.of_file(path))?;
    let classes = format.class_names().1.len();
    let labels_key = match format {
        Format::Cifar10 => "labels",
        Format::Cifar100 => "fine_labels",
    };
    let found = |key: &str| {
        pickle.get(pickle.root(), key).ok_or_else(|| {
            malformed(
                path,
                format!("it has no `{key}`; give the original file of CIFAR"),
            )
        })
    };
    let (layout, data) = pickle.array(found("data")?).ok_or_else(|| {
        malformed(
            path,
            "its `data` is no array; give the original file of CIFAR",
        )
    })?;
    let &[count, cifar::PIXELS] = layout.shape.as_slice() else {
        return Err(malformed(
            path,
            format!(
                "its `data` is an array of {:?} in place of rows of {} bytes; give the original file of CIFAR",
                layout.shape,
                cifar::PIXELS
            ),
        ));
    };
    if !layout.dtype.is_byte() {
        return Err(malformed(
            path,
            "the elements of its `data` are no unsigned bytes; give the original file of CIFAR",
        ));
    }
    if count == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    let labels = pickle.integers(found(labels_key)?).ok_or_else(|| {
        malformed(
            path,
            format!("its `{labels_key}` are no whole numbers; give the original file of CIFAR"),
        )
    })?;
    if labels.len() != count {
        return Err(malformed(
            path,
            format!(
                "it holds {} labels for {count} images; fetch the file again",
                labels.len()
            ),
        ));
    }
    let turned = layout
        .fortran
        .then(|| layout.last_index_fastest(data.to_vec()));
    let data = turned.as_deref().unwrap_or(data);
    let mut images = no_images();
    images.pixels.reserve_exact(data.len());
    for (index, (planes, &label)) in data.chunks_exact(cifar::PIXELS).zip(&labels).enumerate() {
        let known = u32::try_from(label)
            .ok()
            .filter(|&l| (l as usize) < classes);
        let known = known.ok_or_else(|| DataError::Label {
            path: path.into(),
            index,
            label,
            classes,
        })?;
        images.push(&cifar::interleaved(planes), known);
    }
    Ok(images)
}

/// The names of the classes in a meta file.
fn class_names(
    path: &Path,
    content: &mut dyn Read,
    key: &str,
    count: usize,
) -> Result<Vec<String>, DataError> {
    let pickle = Pickle::read(content).map_err(|fault| fault.of_file(path))?;
    let names: Option<Vec<String>> = pickle
        .get(pickle.root(), key)
        .and_then(|names| pickle.sequence(names))
        .and_then(|names| names.iter().map(|&name| pickle.text(name)).collect());
    match names {
        Some(names) if names.len() == count => Ok(names),
        Some(names) => Err(malformed(
            path,
            format!(
                "it holds {} names for {count} classes; give the original file of CIFAR or remove it",
                names.len()
            ),
        )),
        None => Err(malformed(
            path,
            format!(
                "it has no list of texts `{key}`; give the original file of CIFAR or remove it"
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
