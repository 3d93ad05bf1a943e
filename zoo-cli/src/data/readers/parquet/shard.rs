//! One parquet file: its footer, and the values of its columns, streamed.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ::parquet::{
    basic::Compression,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{FileReader, RowGroupReader, SerializedFileReader},
    },
};
use bytes::Bytes;

use super::{
    columns::{Columns, ImageColumn},
    malformed,
};
use crate::data::{DataError, input};

/// Rows that are read and decoded together.
const CHUNK: usize = 256;

/// The most rows of a file: a damaged one may claim any number of nulls.
pub(super) const MAX_ROWS: usize = 100_000_000;

fn damaged(path: &Path, error: &ParquetError) -> DataError {
    malformed(
        path,
        match error {
            ParquetError::NYI(what) => format!(
                "it needs what is not built in ({what}); write it again with another encoding and codec, as snappy"
            ),
            error => format!("{error}; fetch the file again"),
        },
    )
}

/// Does some work on a file. The parquet library panics at some damaged files: that is an error like any other.
pub(super) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(malformed(
            path,
            "it is damaged; fetch the file again".into(),
        ))
    })
}

/// Where a parquet file lies.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Its content, where the path is one within an archive: the parts of a parquet file are not read in their order.
    pub(super) memory: Option<Bytes>,
}

/// A parquet file, opened.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) columns: Columns,
    size: u64,
    reader: Box<dyn FileReader>,
}

/// The image of a row.
#[derive(Debug, Clone)]
pub(super) enum Picture {
    /// Encoded.
    Bytes(ByteArray),
    /// In a file of its own.
    Path(String),
    /// Null.
    Missing,
}

impl Shard {
    pub(super) fn open(source: &Source) -> Result<Self, DataError> {
        let path = source.path.clone();
        let damaged = |error| damaged(&path, &error);
        let (reader, size): (Box<dyn FileReader>, u64) = match &source.memory {
            Some(bytes) => (
                Box::new(SerializedFileReader::new(bytes.clone()).map_err(damaged)?),
                bytes.len() as u64,
            ),
            None => {
                let failed = |reason| input::read_failed(&path, reason);
                let file = File::open(&path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                if size == 0 {
                    return Err(DataError::Empty { path });
                }
                (
                    Box::new(SerializedFileReader::new(file).map_err(damaged)?),
                    size,
                )
            }
        };
        let metadata = reader.metadata().file_metadata();
        let written = metadata
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|pair| pair.key == "huggingface")
            .and_then(|pair| serde_json::from_str(pair.value.as_deref()?).ok());
        let columns = Columns::find(metadata.schema_descr(), written.as_ref())
            .map_err(|problem| malformed(&path, problem))?;
        Ok(Self {
            path,
            columns,
            size,
            reader,
        })
    }

    fn failed(&self, error: &ParquetError) -> DataError {
        damaged(&self.path, error)
    }

    /// Checks that a column lies within the file and that its codec is built in.
    pub(super) fn check(&self, leaf: usize) -> Result<(), DataError> {
        for group in self.reader.metadata().row_groups() {
            let column = group.column(leaf);
            if !within(column, self.size) {
                return Err(malformed(
                    &self.path,
                    "its footer points outside of it; fetch the file again".into(),
                ));
            }
            if column.compression() == Compression::LZO {
                return Err(malformed(
                    &self.path,
                    format!(
                        "its column `{}` is compressed with LZO, which is not built in; write it again with another \
                         codec, as zstd or snappy",
                        column.column_path().string()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Goes through the row groups.
    pub(super) fn groups(
        &self,
        visit: &mut dyn FnMut(&dyn RowGroupReader) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        for group in 0..self.reader.num_row_groups() {
            let group = self
                .reader
                .get_row_group(group)
                .map_err(|error| self.failed(&error))?;
            visit(group.as_ref())?;
        }
        Ok(())
    }

    pub(super) fn column(
        &self,
        group: &dyn RowGroupReader,
        leaf: usize,
    ) -> Result<ColumnReader, DataError> {
        group
            .get_column_reader(leaf)
            .map_err(|error| self.failed(&error))
    }

    /// The text of each row of a column.
    pub(super) fn texts(&self, leaf: usize) -> Result<Vec<Option<String>>, DataError> {
        self.check(leaf)?;
        let mut rows = Vec::new();
        self.groups(&mut |group| {
            let ColumnReader::ByteArrayColumnReader(mut column) = self.column(group, leaf)? else {
                return Ok(());
            };
            loop {
                let chunk = self.chunk(leaf, &mut column)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                rows.extend(chunk.into_iter().map(|value| text(value.as_ref())));
                if rows.len() > MAX_ROWS {
                    return Err(too_many(&self.path));
                }
            }
        })?;
        Ok(rows)
    }

    /// Hands on the images, some rows at a time, with the number of the first of these.
    pub(super) fn pictures(
        &self,
        image: &ImageColumn,
        visit: &mut dyn FnMut(usize, Vec<Picture>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        for leaf in image.bytes.iter().chain(&image.path) {
            self.check(*leaf)?;
        }
        let mut row = 0;
        self.groups(&mut |group| {
            let mut columns = Vec::new();
            for leaf in [image.bytes, image.path] {
                columns.push(match leaf {
                    None => None,
                    Some(leaf) => match self.column(group, leaf)? {
                        ColumnReader::ByteArrayColumnReader(column) => Some((leaf, column)),
                        _ => {
                            return Err(malformed(
                                &self.path,
                                "its images are not bytes; store encoded images".into(),
                            ));
                        }
                    },
                });
            }
            loop {
                let mut values = [None, None];
                for (column, values) in columns.iter_mut().zip(&mut values) {
                    if let Some((leaf, column)) = column {
                        *values = Some(self.chunk(*leaf, column)?);
                    }
                }
                let [bytes, paths] = values;
                let pictures = self.pair(bytes, paths)?;
                if pictures.is_empty() {
                    return Ok(());
                }
                let count = pictures.len();
                visit(row, pictures)?;
                row += count;
                if row > MAX_ROWS {
                    return Err(too_many(&self.path));
                }
            }
        })
    }

    /// Bytes where a row has them, otherwise its path.
    fn pair(
        &self,
        bytes: Option<Vec<Option<ByteArray>>>,
        paths: Option<Vec<Option<ByteArray>>>,
    ) -> Result<Vec<Picture>, DataError> {
        let count = bytes.as_ref().or(paths.as_ref()).map_or(0, Vec::len);
        if paths.as_ref().is_some_and(|paths| paths.len() != count) {
            return Err(unequal(&self.path));
        }
        let bytes = bytes.unwrap_or_else(|| vec![None; count]);
        let paths = paths.unwrap_or_else(|| vec![None; count]);
        let pairs = bytes.into_iter().zip(paths);
        Ok(pairs
            .map(|(bytes, path)| match (bytes, text(path.as_ref())) {
                (Some(bytes), None) => Picture::Bytes(bytes),
                (Some(bytes), Some(_)) if !bytes.is_empty() => Picture::Bytes(bytes),
                (_, Some(path)) => Picture::Path(path),
                (None, None) => Picture::Missing,
            })
            .collect())
    }

    /// The next values of a column, at most [`CHUNK`].
    pub(super) fn chunk<T: DataType>(
        &self,
        leaf: usize,
        column: &mut ColumnReaderImpl<T>,
    ) -> Result<Vec<Option<T::T>>, DataError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        // The level of a value that is there itself, with all records around it.
        let whole = schema.column(leaf).max_def_level();
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (records, found, _) = column
            .read_records(CHUNK, Some(&mut levels), None, &mut values)
            .map_err(|error| self.failed(&error))?;
        if whole == 0 {
            return if records == found {
                Ok(values.into_iter().map(Some).collect())
            } else {
                Err(unequal(&self.path))
            };
        }
        let mut values = values.into_iter();
        let rows: Vec<Option<T::T>> = levels
            .iter()
            .map(|&level| if level == whole { values.next() } else { None })
            .collect();
        let held = rows.iter().flatten().count();
        if rows.len() != records || held != found || values.next().is_some() {
            return Err(unequal(&self.path));
        }
        Ok(rows)
    }
}

fn text(value: Option<&ByteArray>) -> Option<String> {
    let text = value?.as_utf8().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a column's bytes lie in the file. The parquet library panics at those that begin before it or end behind it.
fn within(chunk: &ColumnChunkMetaData, size: u64) -> bool {
    let start = chunk
        .dictionary_page_offset()
        .unwrap_or_else(|| chunk.data_page_offset());
    let offsets = [
        start,
        chunk.data_page_offset(),
        chunk.compressed_size(),
        chunk.num_values(),
    ];
    offsets.iter().all(|&offset| offset >= 0)
        && start
            .checked_add(chunk.compressed_size())
            .and_then(|end| u64::try_from(end).ok())
            .is_some_and(|end| end <= size)
}

pub(super) fn unequal(path: &Path) -> DataError {
    malformed(
        path,
        "its columns differ in length; fetch the file again".into(),
    )
}

pub(super) fn too_many(path: &Path) -> DataError {
    malformed(
        path,
        format!("it claims more than {MAX_ROWS} rows; write it as several files"),
    )
}
