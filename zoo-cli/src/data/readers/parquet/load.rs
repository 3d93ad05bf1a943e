//! The pixels of parquet files, brought to the input of a model.

use std::path::Path;

use models::preprocessor::Preprocessor;
use rayon::prelude::*;

use super::{
    File, Row, malformed,
    scan::Place,
    shard::{Picture, Shard, guarded, unequal},
};
use crate::data::{
    DataError, ImageShape, Images, SkippedFile, decode::decode_bytes, fit, parts::Parts,
    splits::Split,
};

/// Decodes the rows of all files into their parts.
///
/// # Errors
/// When a file is damaged, or no image of a part can be decoded.
pub(super) fn load(
    path: &Path,
    files: &[File],
    rows: &[Vec<Row>],
    to: &Preprocessor,
    parts: &mut Parts,
) -> Result<(), DataError> {
    let shape = ImageShape::new(to.height, to.width, to.channels);
    for split in [Split::Train, Split::Validation, Split::Test] {
        let wanted = rows.iter().flatten().filter(|row| row.split == Some(split));
        let wanted = wanted.count();
        if wanted > 0 {
            let mut images = Images::empty(shape);
            let bytes = wanted.saturating_mul(shape.len());
            images
                .pixels
                .try_reserve_exact(bytes)
                .map_err(|_| DataError::TooLarge {
                    path: path.into(),
                    problem: format!(
                        "its images take {} MiB at {}×{}; take fewer or smaller ones",
                        bytes >> 20,
                        to.width,
                        to.height
                    ),
                })?;
            *part(parts, split) = Some(images);
        }
    }
    let before = parts.skipped.len();
    for (file, rows) in files.iter().zip(rows) {
        guarded(&file.source.path, || load_file(file, rows, to, parts))?;
    }
    for split in [Split::Train, Split::Validation, Split::Test] {
        if part(parts, split).as_ref().is_some_and(Images::is_empty) {
            let first = parts.skipped.get(before);
            return Err(malformed(
                path,
                format!(
                    "no image of its {} part can be decoded: {}",
                    split.name(),
                    first.map_or("", |first| first.reason.as_str())
                ),
            ));
        }
    }
    Ok(())
}

fn part(parts: &mut Parts, split: Split) -> &mut Option<Images> {
    match split {
        Split::Train => &mut parts.train,
        Split::Validation => &mut parts.validation,
        Split::Test => &mut parts.test,
    }
}

fn load_file(
    file: &File,
    rows: &[Row],
    to: &Preprocessor,
    parts: &mut Parts,
) -> Result<(), DataError> {
    let Some(image) = &file.columns.image else {
        return Ok(());
    };
    if rows.iter().all(|row| row.split.is_none()) {
        return Ok(());
    }
    let mut seen = 0;
    Shard::open(&file.source)?.pictures(image, &mut |first, pictures| {
        let Some(rows) = rows.get(first..first + pictures.len()) else {
            return Err(unequal(&file.source.path));
        };
        seen += rows.len();
        let name = |i: usize| file.source.path.join(format!("row {}", first + i));
        let pixels: Vec<Option<Result<Vec<u8>, DataError>>> = pictures
            .into_par_iter()
            .zip(rows)
            .enumerate()
            .map(|(i, (picture, row))| {
                row.split?;
                Some(decode(&file.source.path, &name(i), picture, to))
            })
            .collect();
        for (i, (pixels, row)) in pixels.into_iter().zip(rows).enumerate() {
            let (Some(pixels), Some(split)) = (pixels, row.split) else {
                continue;
            };
            match pixels {
                Ok(pixels) => {
                    if let Some(images) = part(parts, split) {
                        images.push(&pixels, row.class);
                    }
                }
                Err(error) => parts.skipped.push(SkippedFile {
                    path: name(i),
                    reason: error.to_string(),
                }),
            }
        }
        Ok(())
    })?;
    if seen == rows.len() {
        Ok(())
    } else {
        Err(unequal(&file.source.path))
    }
}

/// The pixels of the image of one row at the input of a model.
fn decode(
    file: &Path,
    name: &Path,
    picture: Picture,
    to: &Preprocessor,
) -> Result<Vec<u8>, DataError> {
    let failed = |problem: String| DataError::Decode {
        path: name.into(),
        problem,
    };
    if to.channels != 1 && to.channels != 3 {
        return Err(failed(format!(
            "the model takes {} channels, an image has 1 or 3",
            to.channels
        )));
    }
    let place = match Place::of(file, picture) {
        Some(Ok(place)) => place,
        _ => return Err(failed("its file is gone".into())),
    };
    let image = place.with(|bytes| decode_bytes(name, bytes))?;
    let one = Images {
        pixels: image.pixels,
        labels: vec![0],
        height: image.height,
        width: image.width,
        channels: image.channels,
    };
    Ok(fit::fit(one, to).pixels)
}
