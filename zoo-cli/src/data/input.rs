//! Opening files: plain or compressed (gzip, xz, bzip2, zstd), found out from their first bytes, with errors that
//! carry the path.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::{DataError, sniff::Kind};

/// A compressed file may always unpack to this much.
const UNPACKED_FLOOR: u64 = 1 << 30;

/// Beyond [`UNPACKED_FLOOR`] a compressed file may unpack to this many times its size. Images hardly shrink; a
/// decompression bomb grows a thousandfold.
const UNPACKED_RATIO: u64 = 100;

/// The memory that unpacking xz may take, in KiB: eight times that of `xz -9`.
const XZ_MEMORY: u32 = 512 << 10;

/// What a file of this size may unpack to.
pub(crate) fn unpacked_limit(size: u64) -> u64 {
    size.saturating_mul(UNPACKED_RATIO).max(UNPACKED_FLOOR)
}

/// The error for what unpacks to more than [`unpacked_limit`] allows.
pub(crate) fn unpacks_too_far(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!(
            "it unpacks to more than {} MiB, {UNPACKED_RATIO} times its size; unpack it and give the folder",
            limit >> 20
        ),
    )
}

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
            format: "a compressed file",
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
        let count = self
            .inner
            .read(buffer)
            .map_err(|reason| match reason.kind() {
                // What a decoder says of damaged data, where it has no better word.
                io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, reason),
                _ => reason,
            })?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| unpacks_too_far(self.limit))?;
        Ok(count)
    }
}

/// A reader of a file's content, `size` bytes long; a compressed file is unpacked on the way, up to a limit.
///
/// # Errors
/// When the first bytes cannot be read.
pub(crate) fn unpacked<'a>(
    mut reader: impl BufRead + 'a,
    size: u64,
) -> io::Result<Box<dyn Read + 'a>> {
    let kind = Kind::of(reader.fill_buf()?);
    let inner: Box<dyn Read + 'a> = match kind {
        Kind::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Kind::Xz => Box::new(XzReader::new_mem_limit(reader, true, XZ_MEMORY)),
        Kind::Bzip2 => Box::new(MultiBzDecoder::new(reader)),
        Kind::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
        _ => return Ok(Box::new(reader)),
    };
    let limit = unpacked_limit(size);
    Ok(Box::new(Bounded {
        inner,
        left: limit,
        limit,
    }))
}

/// A reader of the file's content; a compressed file is unpacked on the way, up to a limit.
///
/// # Errors
/// [`DataError::Missing`], [`DataError::Empty`] or [`DataError::Read`].
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let failed = |reason| read_failed(path, reason);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    if reader.fill_buf().map_err(failed)?.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    unpacked(reader, size).map_err(failed)
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
