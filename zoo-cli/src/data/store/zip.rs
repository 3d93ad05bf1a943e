//! Zip archives: read entry by entry, in any order, without unpacking to disk.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ::zip::{ZipArchive, result::ZipError};

use super::archive::{self, Listing, MAX_MEMBERS, member_path, refused};
use crate::data::{DataError, input};

pub(super) const FORMAT: &str = "a zip archive";

/// What a program for zip on Unix notes of a file's type.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;

/// A file that several threads read, each from a place of its own.
#[derive(Clone)]
struct Shared {
    file: Arc<Mutex<File>>,
    at: u64,
    length: u64,
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let count = file.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// An opened archive; a clone is cheap, and reads beside the first.
#[derive(Clone)]
pub(super) struct Zip {
    root: PathBuf,
    archive: ZipArchive<Buffered>,
}

/// [`Shared`] with a buffer of its own in each clone.
struct Buffered(BufReader<Shared>);

impl Clone for Buffered {
    fn clone(&self) -> Self {
        Self(BufReader::new(self.0.get_ref().clone()))
    }
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Buffered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            // Keeps the buffer where it can, as between an entry's header and its content.
            SeekFrom::Start(at) => {
                let now = self.0.stream_position()?;
                let by = i64::try_from(i128::from(at) - i128::from(now));
                match by {
                    Ok(by) => self.0.seek_relative(by).map(|()| at),
                    Err(_) => self.0.seek(to),
                }
            }
            _ => self.0.seek(to),
        }
    }
}

/// Fails where an entry unpacks to more than it states.
struct Stated<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Stated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A method that is not built in shows only here.
        let described = |reason: io::Error| match reason.downcast() {
            Ok(error) => io::Error::new(io::ErrorKind::Unsupported, described(error)),
            Err(reason) => reason,
        };
        let count = self.inner.read(buffer).map_err(described)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it unpacks to more than it states",
            )
        })?;
        Ok(count)
    }
}

fn described(error: ZipError) -> String {
    match error {
        ZipError::Io(reason) => format!("{reason}; fetch it again"),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            "it is encrypted; unpack it with its password and give the folder".into()
        }
        ZipError::CompressionMethodNotSupported(method) => {
            format!("its compression (method {method}) is not read; unpack it and give the folder")
        }
        ZipError::UnsupportedArchive(what) => {
            format!("{what}; unpack it and give the folder")
        }
        ZipError::InvalidArchive(what) if what.contains("not supported") => {
            format!("{what}; unpack it and give the folder")
        }
        ZipError::InvalidArchive(what) => format!("{what}; fetch it again"),
        error => format!("{error}; fetch it again"),
    }
}

impl Zip {
    pub(super) fn open(root: &Path) -> Result<Self, DataError> {
        let failed = |reason| input::read_failed(root, reason);
        let file = File::open(root).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let shared = Shared {
            file: Arc::new(Mutex::new(file)),
            at: 0,
            length,
        };
        let archive = ZipArchive::new(Buffered(BufReader::new(shared)))
            .map_err(|error| refused(root, FORMAT, described(error)))?;
        Ok(Self {
            root: root.into(),
            archive,
        })
    }

    pub(super) fn list(&mut self) -> Result<Listing, DataError> {
        let root = self.root.clone();
        let damaged = |error| refused(&root, FORMAT, described(error));
        if self.archive.len() > MAX_MEMBERS {
            let problem = format!("it holds more than {MAX_MEMBERS} files; split it");
            return Err(refused(&root, FORMAT, problem));
        }
        if let Some(name) = self
            .twice()
            .map_err(|reason| input::read_failed(&root, reason))?
        {
            let problem = format!("it holds `{}` twice; pack it afresh", name.escape_debug());
            return Err(refused(&root, FORMAT, problem));
        }
        let file_size = self.archive.clone().into_inner().0.get_ref().length;
        let limit = input::unpacked_limit(file_size);
        let mut total = 0u64;
        let mut listing = Listing::default();
        for index in 0..self.archive.len() {
            let entry = self.archive.by_index_data(index).map_err(damaged)?;
            // Programs that do not mark a name as UTF-8 often write it so all the same.
            let name = match std::str::from_utf8(entry.name_raw()) {
                Ok(name) => name.to_owned(),
                Err(_) => entry.name().map_err(damaged)?.into_owned(),
            };
            // Some programs on Windows separate folders as Windows does.
            let name = if name.contains('/') {
                name
            } else {
                name.replace('\\', "/")
            };
            if entry.is_dir() {
                let name = Path::new(&name);
                if !archive::is_root(name) {
                    listing.folders.push(member_path(&root, FORMAT, name)?);
                }
                continue;
            }
            let path = member_path(&root, FORMAT, Path::new(&name))?;
            if entry.encrypted() {
                let problem = "it is encrypted; unpack it with its password and give the folder";
                return Err(refused(&root, FORMAT, problem));
            }
            total = total.saturating_add(entry.size());
            if total > limit {
                return Err(input::read_failed(&root, input::unpacks_too_far(limit)));
            }
            let kind = entry.unix_mode().unwrap_or_default() & TYPE_MASK;
            if listing.leaves_out(&path) {
                continue;
            }
            match kind {
                0 | TYPE_FILE => listing.members.push((path, index, None)),
                TYPE_LINK => {
                    let mut target = String::new();
                    let mut archive = self.archive.clone();
                    archive
                        .by_index(index)
                        .map_err(damaged)?
                        .take(1 << 12)
                        .read_to_string(&mut target)
                        .map_err(|reason| archive::failed(&root, FORMAT, reason))?;
                    listing.link(&root, FORMAT, path, Path::new(&target), false)?;
                }
                _ => listing.special(&root, &path),
            }
        }
        Ok(listing)
    }

    /// A name that two entries have. The library keeps the last of them and forgets the others, so that the names are
    /// read once more, from the headers of the central directory (46 bytes each, then name, extra field and comment).
    fn twice(&self) -> io::Result<Option<String>> {
        let mut directory = self.archive.clone().into_inner();
        directory.seek(SeekFrom::Start(self.archive.central_directory_start()))?;
        let mut names = HashSet::new();
        let mut header = [0; 46];
        loop {
            match directory.read_exact(&mut header) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            if !header.starts_with(b"PK\x01\x02") {
                return Ok(None);
            }
            let length = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
            let mut name = vec![0; usize::from(length(28))];
            directory.read_exact(&mut name)?;
            let rest = i64::from(length(30)) + i64::from(length(32));
            directory.0.seek_relative(rest)?;
            // A folder twice is harmless.
            if !name.ends_with(b"/")
                && let Some(name) = names.replace(name)
            {
                return Ok(Some(String::from_utf8_lossy(&name).into_owned()));
            }
        }
    }

    /// Hands on the content of an entry, and its size.
    pub(super) fn read<T>(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut dyn Read, u64) -> T,
    ) -> Result<T, DataError> {
        let entry = self
            .archive
            .by_index(index)
            .map_err(|error| refused(&self.root, FORMAT, described(error)))?;
        let size = entry.size();
        let mut content = Stated {
            inner: entry,
            left: size,
        };
        Ok(read(&mut content, size))
    }
}
