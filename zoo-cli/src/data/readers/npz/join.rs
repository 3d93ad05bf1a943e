//! Images and labels put together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Role, malformed, npy::Array};
use crate::data::{
    DataError, ImageShape, Images,
    parts::{MAX_CLASSES, Parts},
    splits::Split,
};

/// Arrays by their part and role, and where each stands.
pub(super) type Arrays = BTreeMap<(Split, Role), (PathBuf, Array)>;

/// Adds an array, of which there may be one for each part and role.
pub(super) fn add(
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

/// The parts that the arrays make.
pub(super) fn join_all(path: &Path, mut arrays: Arrays) -> Result<Parts, DataError> {
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
    Parts::unnamed(path, train, validation, test)
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
