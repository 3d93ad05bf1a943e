//! Opening files: plain or gzipped, found out from their first bytes, with errors that carry the path.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// No file of a dataset may unpack to more than this.
pub(crate) const MAX_UNPACKED: u64 = 8 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The error for a read that failed part-way: damaged compression is the file's fault, the rest the system's.
pub(crate) fn read_failed(path: &Path, reason: io::Error) -> DataError {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    match reason.kind() {
        InvalidData | InvalidInput | UnexpectedEof => DataError::Malformed {
            path: path.into(),
            format: "a gzip file",
            problem: format!("{reason}; fetch the file again"),
        },
        NotFound => DataError::Missing { path: path.into() },
        _ => DataError::Read {
            path: path.into(),
            reason,
        },
    }
}

/// A reader of the file's content; a gzipped file is unpacked on the way.
///
/// # Errors
/// [`DataError::Missing`], [`DataError::Empty`] or [`DataError::Read`].
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read + Send>, DataError> {
    let file = File::open(path).map_err(|reason| read_failed(path, reason))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader.fill_buf().map_err(|reason| DataError::Read {
        path: path.into(),
        reason,
    })?;
    if start.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    Ok(if start.starts_with(&GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    })
}

/// Reads `count` bytes, or fewer where the stream ends. Memory grows with what is really there, so that a
/// header cannot make the reader allocate what the file does not hold.
pub(crate) fn read_up_to(reader: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count.min(1 << 20) as usize);
    reader.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The entries of a directory, sorted by name.
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Read`].
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |reason| read_failed(directory, reason);
    let mut entries = fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    entries.sort();
    Ok(entries)
}
