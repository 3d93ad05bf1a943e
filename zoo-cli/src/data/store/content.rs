//! What each file of a store is, by its first bytes.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};

use crate::data::{
    DataError,
    decode::{self, Header, Look},
    input,
    sniff::Kind,
    walk,
};

/// How many bytes of a file are read at first: all of a small image, the header of most others.
const FIRST: usize = 4 << 10;

/// How far the second look goes: behind the thumbnail of a photo.
const SECOND: usize = 128 << 10;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// By its first bytes. A compressed file is what it is as it lies there: [`Kind::Gzip`] and so on.
    pub(crate) kind: Kind,
    /// Nothing for what nobody takes for an image. Otherwise the size, or one sentence that names the file, says why
    /// it cannot be used, and what to do next: for an image whose header is damaged or above the limits, for one of
    /// another format (HEIC), for what is no image though its name says so, and for a file that cannot be read.
    pub(crate) header: Option<Result<Header, String>>,
}

impl Content {
    fn failed(kind: Kind, error: &DataError) -> Self {
        Self {
            kind,
            header: Some(Err(error.to_string())),
        }
    }

    /// Of a file in a folder.
    pub(super) fn of_file(path: &Path) -> Self {
        let read = || -> std::io::Result<Self> {
            let mut file = File::open(path)?;
            let first = first_bytes(&mut file)?;
            // Its directory often stands at its end.
            if Kind::of(&first) == Kind::Tiff {
                file.rewind()?;
                let header = decode::tiff_header(BufReader::new(file));
                return Ok(Self::of_look(path, Kind::Tiff, header));
            }
            Self::of_rest(path, first, &mut file)
        };
        read().unwrap_or_else(|reason| {
            Self::failed(Kind::Unreadable, &input::read_failed(path, reason))
        })
    }

    /// Of a file in an archive; `path` is only named.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub(super) fn of_entry(path: &Path, reader: &mut dyn Read) -> std::io::Result<Self> {
        let first = first_bytes(reader)?;
        Self::of_rest(path, first, reader)
    }

    /// Of a file that begins with these bytes; the reader stands behind them.
    fn of_rest(path: &Path, mut bytes: Vec<u8>, reader: &mut dyn Read) -> std::io::Result<Self> {
        let kind = Kind::of(&bytes);
        if !kind.is_decoded() {
            let taken = kind.is_image() || walk::has_image_name(path);
            return Ok(Self {
                kind,
                header: taken.then(|| Err(decode::no_image(path, kind).to_string())),
            });
        }
        let mut found = decode::look(kind, &bytes);
        for up_to in [SECOND as u64, decode::MAX_FILE] {
            if !matches!(found, Look::More | Look::Perhaps(_)) || bytes.len() < FIRST {
                break;
            }
            let more = up_to.saturating_sub(bytes.len() as u64);
            reader.take(more).read_to_end(&mut bytes)?;
            found = decode::look(kind, &bytes);
        }
        Ok(Self::of_look(path, kind, found))
    }

    fn of_look(path: &Path, kind: Kind, look: Look) -> Self {
        let header = match look {
            Look::Found(header) | Look::Perhaps(header) => decode::checked(path, header),
            Look::More => Err(decode::undecodable(path, "it ends within its header")),
            Look::Broken(problem) => Err(decode::undecodable(path, problem)),
        };
        Self {
            kind,
            header: Some(header.map_err(|error| error.to_string())),
        }
    }
}

/// The first [`FIRST`] bytes, or all that there are.
fn first_bytes(reader: &mut (impl Read + ?Sized)) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST];
    let mut length = 0;
    while length < FIRST {
        match reader.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(reason) if reason.kind() == std::io::ErrorKind::Interrupted => {}
            Err(reason) => return Err(reason),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
