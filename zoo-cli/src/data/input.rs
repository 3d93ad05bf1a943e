//! Opening files: plain or gzipped, found out from their first bytes, with errors that carry the path.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// A gzipped file may always unpack to this much.
const UNPACKED_FLOOR: u64 = 1 << 30;

/// Beyond [`UNPACKED_FLOOR`] a gzipped file may unpack to this many times its size. Images hardly shrink; a
/// decompression bomb grows a thousandfold.
const UNPACKED_RATIO: u64 = 100;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The error for a read that failed part-way: damaged compression is the file's fault, the rest the system's.
pub(crate) fn read_failed(path: &Path, reason: io::Error) -> DataError {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, NotFound, UnexpectedEof};
    let path = path.to_path_buf();
    match reason.kind() {
        FileTooLarge => DataError::TooLarge {
            path,
            problem: reason.to_string(),
        },
        InvalidData | InvalidInput | UnexpectedEof => DataError::Malformed {
            path,
            format: "a gzip file",
            problem: format!("{reason}; fetch the file again"),
        },
        NotFound => DataError::Missing { path },
        _ => DataError::Read { path, reason },
    }
}

/// Fails once more than `left` bytes have come out.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!(
                    "it unpacks to more than {} MiB, {UNPACKED_RATIO} times its size; unpack it and give the folder",
                    self.limit >> 20
                ),
            )
        })?;
        Ok(count)
    }
}

/// A reader of the file's content; a gzipped file is unpacked on the way, up to a limit.
///
/// # Errors
/// [`DataError::Missing`], [`DataError::Empty`] or [`DataError::Read`].
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read + Send>, DataError> {
    let failed = |reason| read_failed(path, reason);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader.fill_buf().map_err(failed)?;
    if start.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    if !start.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(reader));
    }
    let limit = size.saturating_mul(UNPACKED_RATIO).max(UNPACKED_FLOOR);
    Ok(Box::new(Bounded {
        inner: MultiGzDecoder::new(reader),
        left: limit,
        limit,
    }))
}

/// Reads `count` bytes, or fewer where the stream ends. Memory grows with what is really there, so that a
/// header cannot make the reader allocate what the file does not hold, and small images take little.
pub(crate) fn read_up_to(reader: &mut (impl Read + ?Sized), count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count.min(1 << 13) as usize);
    reader.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_without_end_is_stopped() {
        let mut reader = Bounded {
            inner: io::repeat(0),
            left: 1 << 20,
            limit: 1 << 20,
        };
        let error = read_failed(
            Path::new("bomb.gz"),
            read_up_to(&mut reader, 1 << 30).unwrap_err(),
        );
        assert!(
            error.to_string().starts_with("`bomb.gz` is too large"),
            "{error}"
        );
    }
}
