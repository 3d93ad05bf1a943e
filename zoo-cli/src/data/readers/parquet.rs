//! Parquet files as the Hugging Face Hub lays out image datasets: a column `img` or `image` that holds `bytes`
//! (an encoded image) and `path`, and a column `label`, or `fine_label` and `coarse_label`.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ::parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{FileReader, SerializedFileReader},
    },
};
use models::preprocessor::Preprocessor;
use rayon::prelude::*;

use super::Survey;
use crate::data::{
    DataError, ImageShape, Images, SkippedFile,
    decode::decode_bytes,
    fit, input,
    parts::{MAX_CLASSES, Parts},
    store::Store,
};

const FORMAT: &str = "a parquet file of images";
const IMAGE_COLUMNS: [&str; 2] = ["img.bytes", "image.bytes"];
const LABEL_COLUMNS: [&str; 4] = ["label", "labels", "fine_label", "coarse_label"];

/// Rows that are decoded together.
const CHUNK: usize = 1024;

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    }
}

fn damaged(path: &Path, error: &ParquetError) -> DataError {
    malformed(path, format!("{error}; fetch the file again"))
}

/// One file, opened, with its two columns found.
struct Shard {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    image: usize,
    label: usize,
    label_names: Option<Vec<String>>,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, DataError> {
        let file = File::open(&path).map_err(|reason| input::read_failed(&path, reason))?;
        let size = file
            .metadata()
            .map_err(|reason| input::read_failed(&path, reason))?
            .len();
        if size == 0 {
            return Err(DataError::Empty { path });
        }
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(&path, &error))?;
        let metadata = reader.metadata().file_metadata();
        let columns: Vec<String> = metadata
            .schema_descr()
            .columns()
            .iter()
            .map(|column| column.path().string())
            .collect();
        let find = |known: &[&str]| {
            known
                .iter()
                .find_map(|name| columns.iter().position(|c| c == name))
        };
        let (Some(image), Some(label)) = (find(&IMAGE_COLUMNS), find(&LABEL_COLUMNS)) else {
            return Err(malformed(
                &path,
                format!(
                    "it needs a column `img` or `image` with `bytes`, and `label` or `fine_label`, but has {}; \
                     rename its columns",
                    columns.join(", ")
                ),
            ));
        };
        // The parquet library panics at column chunks that begin before the file or end behind it.
        let within = |chunk: &ColumnChunkMetaData| {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or_else(|| chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            let offsets = [
                start,
                chunk.data_page_offset(),
                chunk.compressed_size(),
                chunk.num_values(),
            ];
            offsets.iter().all(|&offset| offset >= 0)
                && end
                    .and_then(|end| u64::try_from(end).ok())
                    .is_some_and(|end| end <= size)
        };
        let groups = reader.metadata().row_groups();
        if !groups.iter().all(|group| {
            [image, label]
                .iter()
                .all(|&column| within(group.column(column)))
        }) {
            return Err(malformed(
                &path,
                "its footer points outside of it; fetch the file again".into(),
            ));
        }
        let label_names = metadata
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|pair| pair.key == "huggingface")
            .and_then(|pair| names_in(pair.value.as_deref()?, &columns[label]));
        Ok(Self {
            path,
            image,
            label,
            label_names,
            reader,
        })
    }

    /// Decodes all rows and appends them to `images`. A file that is the first of its dataset gives `images`
    /// its shape.
    fn read(
        &self,
        to: Option<&Preprocessor>,
        images: &mut Option<Images>,
        skipped: &mut Vec<SkippedFile>,
    ) -> Result<(), DataError> {
        let failed = |error: ParquetError| damaged(&self.path, &error);
        let mut row = 0;
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).map_err(failed)?;
            let mut image_column = match group.get_column_reader(self.image).map_err(failed)? {
                ColumnReader::ByteArrayColumnReader(column) => column,
                _ => {
                    return Err(malformed(
                        &self.path,
                        "its images are not bytes; store encoded images".into(),
                    ));
                }
            };
            let mut label_column = group.get_column_reader(self.label).map_err(failed)?;
            loop {
                let encoded: Vec<ByteArray> = self.chunk(&mut image_column, row)?;
                let labels: Vec<i64> = match &mut label_column {
                    ColumnReader::Int64ColumnReader(column) => self.chunk(column, row)?,
                    ColumnReader::Int32ColumnReader(column) => self
                        .chunk(column, row)?
                        .into_iter()
                        .map(i64::from)
                        .collect(),
                    _ => {
                        return Err(malformed(
                            &self.path,
                            "its labels are not integers; number the classes".into(),
                        ));
                    }
                };
                if encoded.len() != labels.len() {
                    return Err(malformed(
                        &self.path,
                        "its columns differ in length; fetch the file again".into(),
                    ));
                }
                if encoded.is_empty() {
                    break;
                }
                self.append(row, &encoded, &labels, to, images, skipped)?;
                row += encoded.len();
            }
        }
        Ok(())
    }

    /// The next values of a column; each row must have one.
    fn chunk<T: DataType>(
        &self,
        column: &mut ColumnReaderImpl<T>,
        row: usize,
    ) -> Result<Vec<T::T>, DataError> {
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        let (records, found, levels) = column
            .read_records(
                CHUNK,
                Some(&mut definitions),
                Some(&mut repetitions),
                &mut values,
            )
            .map_err(|error| damaged(&self.path, &error))?;
        if records != found || (levels != 0 && levels != records) {
            return Err(malformed(
                &self.path,
                format!(
                    "between its rows {row} and {} one has no image or no label, or several; remove it",
                    row + records
                ),
            ));
        }
        Ok(values)
    }

    fn append(
        &self,
        row: usize,
        encoded: &[ByteArray],
        labels: &[i64],
        to: Option<&Preprocessor>,
        images: &mut Option<Images>,
        skipped: &mut Vec<SkippedFile>,
    ) -> Result<(), DataError> {
        let classes = self.label_names.as_ref().map_or(MAX_CLASSES, Vec::len);
        let name = |i: usize| self.path.join(format!("row {}", row + i));
        let mut decoded: Vec<_> = encoded
            .par_iter()
            .enumerate()
            .map(|(i, bytes)| decode_bytes(&name(i), bytes.data()))
            .collect();
        let first = decoded.iter().find_map(|image| image.as_ref().ok());
        let Some(first) =
            first.map(|image| ImageShape::new(image.height, image.width, image.channels))
        else {
            let reasons = decoded
                .into_iter()
                .enumerate()
                .filter_map(|(i, image)| Some((i, image.err()?)));
            skipped.extend(reasons.map(|(i, error)| SkippedFile {
                path: name(i),
                reason: error.to_string(),
            }));
            return Ok(());
        };
        let shape = to.map_or(first, |to| {
            ImageShape::new(to.height, to.width, to.channels)
        });
        let images = images.get_or_insert_with(|| Images::empty(shape));
        // Without a wish the first image decides, and any other that differs is brought to its shape.
        let own = Preprocessor {
            height: images.height,
            width: images.width,
            channels: images.channels,
            ..fit::default_input()
        };
        let fitted: Vec<_> = decoded
            .par_drain(..)
            .enumerate()
            .map(|(i, image)| {
                let image = image?;
                let (height, width, channels) = (image.height, image.width, image.channels);
                let one = Images {
                    pixels: image.pixels,
                    labels: vec![0],
                    height,
                    width,
                    channels,
                };
                if own.channels != 1 && own.channels != 3 {
                    return Err(DataError::Decode {
                        path: name(i),
                        problem: format!(
                            "the model takes {} channels, an image has 1 or 3",
                            own.channels
                        ),
                    });
                }
                Ok(fit::fit(one, to.unwrap_or(&own)).pixels)
            })
            .collect();
        for (i, (pixels, &label)) in fitted.into_iter().zip(labels).enumerate() {
            if usize::try_from(label).map_or(true, |label| label >= classes) {
                return Err(DataError::Label {
                    path: self.path.clone(),
                    index: row + i,
                    label,
                    classes,
                });
            }
            match pixels {
                Ok(pixels) => images.push(&pixels, label as u32),
                Err(error) => skipped.push(SkippedFile {
                    path: name(i),
                    reason: error.to_string(),
                }),
            }
        }
        Ok(())
    }
}

/// The names of the classes in the metadata that the library `datasets` writes.
fn names_in(json: &str, column: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let names = value
        .pointer(&format!("/info/features/{column}/names"))?
        .as_array()?;
    names
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Whether a file belongs to the test part, by its name (`test-00000-of-00001.parquet`) or its folder's.
fn is_test(file: &Path) -> bool {
    let starts = |name: Option<&std::ffi::OsStr>| {
        let name = name
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        ["test", "val"].iter().any(|part| name.starts_with(part))
    };
    starts(file.file_name()) || starts(file.parent().and_then(Path::file_name))
}

/// Reads one file and gives the names of its classes. The parquet library panics at some damaged files: that is an
/// error like any other.
fn read_shard(
    path: PathBuf,
    to: Option<&Preprocessor>,
    images: &mut Option<Images>,
    skipped: &mut Vec<SkippedFile>,
) -> Result<Option<Vec<String>>, DataError> {
    let named = path.clone();
    catch_unwind(AssertUnwindSafe(|| {
        let shard = Shard::open(path)?;
        shard.read(to, images, skipped)?;
        Ok(shard.label_names)
    }))
    .unwrap_or_else(|_| {
        Err(malformed(
            &named,
            "it is damaged; fetch the file again".into(),
        ))
    })
}

/// What lies in the parquet files of a folder, or nothing where there are none.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    Ok(read(store, path, None)?.map(|parts| Survey::of_parts(FORMAT, parts)))
}

/// Reads the parquet files of a folder, or nothing where there are none.
///
/// # Errors
/// A file that is not parquet, lacks the columns, or has a row without an image or a label; no row that can be
/// decoded.
fn read(store: &Store, path: &Path, to: Option<&Preprocessor>) -> Result<Option<Parts>, DataError> {
    let files: Vec<usize> = (0..store.members().len())
        .filter(|&member| {
            store.members()[member]
                .extension()
                .is_some_and(|end| end == "parquet")
        })
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    if store.is_archive() {
        return Err(malformed(
            path,
            "it lies in an archive; unpack it and give the folder".into(),
        ));
    }
    let mut parts = Parts::default();
    let mut names: Option<Vec<String>> = None;
    let mut shape: Option<ImageShape> = None;
    for test in [false, true] {
        let mut images = shape.map(Images::empty);
        let mut any = false;
        for &member in files
            .iter()
            .filter(|&&member| is_test(&store.members()[member]) == test)
        {
            let label_names = read_shard(store.path(member), to, &mut images, &mut parts.skipped)?;
            names = names.or(label_names);
            any = true;
        }
        let images = images.filter(|images| any && !images.is_empty());
        shape = images.as_ref().map(Images::shape).or(shape);
        if test {
            parts.test = images;
        } else {
            parts.train = images;
        }
    }
    if parts.train.is_none() && parts.test.is_none() {
        return Err(match parts.skipped.first() {
            Some(first) => malformed(path, format!("no image can be decoded: {}", first.reason)),
            None => DataError::Empty { path: path.into() },
        });
    }
    match names {
        Some(names) => {
            parts.label_names = names;
            parts.check_labels(path)?;
        }
        None => {
            let unnamed = Parts::unnamed(path, parts.train.take(), parts.test.take())?;
            let (skipped, notices) = (parts.skipped, parts.notices);
            parts = Parts {
                skipped,
                notices,
                ..unnamed
            };
        }
    }
    Ok(Some(parts))
}

#[cfg(test)]
mod tests;
