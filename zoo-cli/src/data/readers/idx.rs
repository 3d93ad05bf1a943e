//! The IDX format of MNIST (<http://yann.lecun.com/exdb/mnist/>) and of the sets made like it (Fashion-MNIST, KMNIST,
//! QMNIST, EMNIST), plain or gzipped.
//!
//! A file is: two zero bytes, the element type (8 = unsigned byte), the number of dimensions, each dimension
//! as a big-endian `u32`, the elements. Images have three dimensions (count, rows, columns), labels one; those of
//! QMNIST are 32-bit numbers in eight columns, of which the first is the class.

use std::{collections::BTreeMap, io::Read, path::Path};

use super::Survey;
use crate::data::{
    DataError, ImageShape, Images, classes, input,
    parts::{MAX_CLASSES, Parts},
    splits::Split,
    store::Store,
};

mod files;
mod names;
mod naming;

use files::{Chosen, Files, Pair};
pub(super) use names::of_set as names_of;
pub(super) use naming::is_named;

/// The most bytes that are read from one file.
const MAX_BYTES: u64 = 8 << 30;

/// The columns of QMNIST's labels.
const QMNIST_COLUMNS: usize = 8;

const FORMAT: &str = "an IDX file";

/// The type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    U8,
    I8,
    I16,
    I32,
}

impl Element {
    fn of_code(code: u8) -> Option<Self> {
        match code {
            0x08 => Some(Self::U8),
            0x09 => Some(Self::I8),
            0x0b => Some(Self::I16),
            0x0c => Some(Self::I32),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
        }
    }
}

/// The dimensions and the elements of one file.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    dimensions: Vec<usize>,
    element: Element,
    /// The elements, big-endian.
    bytes: Vec<u8>,
}

impl Array {
    /// The elements as numbers.
    fn integers(&self) -> Vec<i64> {
        self.bytes
            .chunks_exact(self.element.size())
            .map(|bytes| match (self.element, bytes) {
                (Element::I8, &[byte]) => i64::from(byte as i8),
                (_, &[byte]) => i64::from(byte),
                (_, &[high, low]) => i64::from(i16::from_be_bytes([high, low])),
                (_, &[a, b, c, d]) => i64::from(i32::from_be_bytes([a, b, c, d])),
                _ => 0,
            })
            .collect()
    }
}

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    }
}

fn parse(path: &Path, reader: &mut dyn Read) -> Result<Array, DataError> {
    let mut read =
        |count: u64| input::read_up_to(reader, count).map_err(|e| input::read_failed(path, e));
    let too_short = || {
        malformed(
            path,
            "it ends within the header; fetch the file again".into(),
        )
    };

    let magic: [u8; 4] = read(4)?.try_into().map_err(|_| too_short())?;
    let [0, 0, code, rank @ 1..=3] = magic else {
        return Err(malformed(
            path,
            format!(
                "it starts with {magic:02x?} in place of 00 00 08 and 01 (labels) or 03 (images); give the original file"
            ),
        ));
    };
    let element = Element::of_code(code).ok_or_else(|| {
        malformed(
            path,
            format!(
                "its elements are of type {code:#04x}, only whole numbers of up to 32 bits (0x08 to 0x0c) are read; convert it"
            ),
        )
    })?;
    let dimensions = read(4 * u64::from(rank))?
        .chunks(4)
        .map(|bytes| Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| too_short())?) as usize))
        .collect::<Result<Vec<_>, DataError>>()?;
    if dimensions.len() < usize::from(rank) {
        return Err(too_short());
    }

    let size = element.size() as u64;
    let expected = dimensions
        .iter()
        .try_fold(size, |product, &n| product.checked_mul(n as u64))
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| DataError::TooLarge {
            path: path.into(),
            problem: format!("its header claims {dimensions:?} elements, the limit is {MAX_BYTES} bytes; write fewer or smaller images"),
        })?;
    let bytes = read(expected + 1)?;
    let problem = match bytes.len() as u64 {
        found if found < expected => {
            format!(
                "its header promises {} elements but {} are there; fetch the file again",
                expected / size,
                found / size
            )
        }
        found if found > expected => {
            format!(
                "more follows the {} elements that its header promises; fetch the file again",
                expected / size
            )
        }
        _ => {
            return Ok(Array {
                dimensions,
                element,
                bytes,
            });
        }
    };
    Err(malformed(path, problem))
}

/// The images of one file with the labels of the other.
fn join(images: &Path, pixels: Array, labels: &Path, classes: Array) -> Result<Images, DataError> {
    let &[count, height, width] = pixels.dimensions.as_slice() else {
        return Err(malformed(
            images,
            match classes.dimensions.len() {
                3 => format!(
                    "it holds labels, not images; swap it and `{}`",
                    labels.display()
                ),
                _ => "it holds labels, not images; put the file of images in its place".into(),
            },
        ));
    };
    if pixels.element != Element::U8 {
        return Err(malformed(
            images,
            "its pixels are no unsigned bytes; convert them to 0 to 255".into(),
        ));
    }
    if count == 0 || height == 0 || width == 0 {
        return Err(DataError::Empty {
            path: images.into(),
        });
    }
    let columns = match classes.dimensions[..] {
        [_] | [_, 1] => 1,
        [_, QMNIST_COLUMNS] => QMNIST_COLUMNS,
        [_, columns] => {
            return Err(malformed(
                labels,
                format!(
                    "it has {columns} numbers for each image, where one is a label, or {QMNIST_COLUMNS} as in QMNIST; write the classes alone"
                ),
            ));
        }
        _ => {
            return Err(malformed(
                labels,
                "it holds images, not labels; put the file of labels in its place".into(),
            ));
        }
    };
    if classes.dimensions[0] != count {
        return Err(malformed(
            labels,
            format!(
                "it holds {} labels for the {count} images of `{}`; take both files from one source",
                classes.dimensions[0],
                images.display()
            ),
        ));
    }
    let labels = classes
        .integers()
        .into_iter()
        .step_by(columns)
        .enumerate()
        .map(|(index, label)| match u32::try_from(label) {
            Ok(known) if (known as usize) < MAX_CLASSES => Ok(known),
            _ => Err(DataError::Label {
                path: labels.into(),
                index,
                label,
                classes: MAX_CLASSES,
            }),
        })
        .collect::<Result<Vec<u32>, DataError>>()?;
    Ok(Images {
        pixels: pixels.bytes,
        labels,
        ..Images::empty(ImageShape::new(height, width, 1))
    })
}

/// Reads one file of images and the file of their labels.
///
/// # Errors
/// A file that is not IDX, is cut short or too long, or two files that do not belong together.
pub fn read_pair(images: &Path, labels: &Path) -> Result<Images, DataError> {
    let array = |path| parse(path, &mut input::open(path)?);
    join(images, array(images)?, labels, array(labels)?)
}

/// Rows and columns exchanged.
fn upright(images: Images) -> Images {
    let (height, width) = (images.width, images.height);
    let mut pixels = Vec::with_capacity(images.pixels.len());
    for i in 0..images.len() {
        let stored = images.image(i);
        for y in 0..height {
            pixels.extend((0..width).map(|x| stored[x * images.width + y]));
        }
    }
    Images {
        pixels,
        height,
        width,
        ..images
    }
}

/// What lies in the IDX files of this store, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let files = Files::list(store, path)?;
    let Some(chosen) = files.choose(path)? else {
        return Ok(None);
    };
    let mut parts = read(&files, &chosen, path)?;
    parts.skipped.extend(files.failed().iter().cloned());
    let mut survey = Survey::of_parts("IDX files", parts);
    if chosen.is_emnist() {
        survey.inventory.notes.push(
            "the images of EMNIST are stored with rows and columns exchanged, and are turned upright"
                .into(),
        );
    }
    files.leave_out_rest(&mut survey.inventory, &chosen);
    Ok(Some(survey))
}

/// Reads the chosen set: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k-…` (or `test-…`) files,
/// under any of the spellings of [`files`]. Classes have the names of the set where it is known, otherwise numbers.
///
/// # Errors
/// As [`read_pair`], and a label that the mapping of EMNIST lacks.
fn read(files: &Files<'_>, chosen: &Chosen, path: &Path) -> Result<Parts, DataError> {
    let mut arrays = BTreeMap::new();
    let mut mapping = None;
    files.visit(&chosen.members(), &mut |member, content| {
        let path = files.path(member);
        if Some(member) == chosen.mapping {
            mapping = Some(names::Mapping::parse(&path, content)?);
        } else {
            arrays.insert(member, parse(&path, content)?);
        }
        Ok(())
    })?;
    let mut part = |split: Split| {
        let Some(&Pair { images, labels }) = chosen.pairs.get(&split) else {
            return Ok(None);
        };
        let (Some(pixels), Some(classes)) = (arrays.remove(&images), arrays.remove(&labels)) else {
            return Ok(None);
        };
        let mut joined = join(&files.path(images), pixels, &files.path(labels), classes)?;
        if chosen.is_emnist() {
            joined = upright(joined);
        }
        Ok(Some((files.path(labels), joined)))
    };
    let mut found = Vec::new();
    for split in [Split::Train, Split::Validation, Split::Test] {
        found.push(part(split)?);
    }
    let mapping = mapping.or_else(|| names::Mapping::of_emnist(&chosen.set));
    let mut label_names = None;
    if let Some(mapping) = mapping {
        for (path, images) in found.iter_mut().flatten() {
            mapping.apply(path, &mut images.labels)?;
        }
        label_names = Some(mapping.names());
    }
    let mut found = found.into_iter().map(|part| part.map(|(_, images)| images));
    let mut next = || found.next().flatten();
    let (train, validation, test) = (next(), next(), next());
    let mut parts = match label_names {
        Some(label_names) => Parts {
            train,
            validation,
            test,
            label_names,
            ..Parts::default()
        },
        None => Parts::unnamed(path, train, validation, test)?,
    };
    parts.check_labels(path)?;
    if !chosen.is_emnist() {
        let known = names::of_set(&chosen.set, &parts)
            .or_else(|| names::of_folder(&files.path(chosen.first()), &parts));
        if let Some(names) = known.filter(|names| parts.label_names.len() <= names.len()) {
            parts.label_names = classes::named(names);
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
