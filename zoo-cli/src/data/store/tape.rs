//! Tar archives, plain or compressed: read from the first byte to the last, without unpacking to disk.

use std::{
    collections::BTreeSet,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use tar::{Archive, EntryType};

use super::{
    Content,
    archive::{self, Listing, MAX_MEMBERS, member_path, refused},
};
use crate::data::{DataError, input};

pub(super) const FORMAT: &str = "a tar archive";

/// An archive is read twice: to see what it holds, and for its pixels. Up to this many unpacked bytes are kept from the
/// first time, which spares unpacking them again.
const KEPT: usize = 128 << 20;

/// A tar archive.
pub(super) struct Tape {
    root: PathBuf,
    /// All that was read to list it, unpacked, where that is not too much.
    pub(super) kept: Option<Vec<u8>>,
}

/// Keeps what passes through, where it is at most `limit` bytes.
struct Keeper<R> {
    inner: R,
    kept: Option<Vec<u8>>,
    limit: usize,
}

impl<R: Read> Read for Keeper<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(mut kept) = self.kept.take()
            && kept.len() + count <= self.limit
        {
            kept.extend_from_slice(&buffer[..count]);
            self.kept = Some(kept);
        }
        Ok(count)
    }
}

/// Gets the position of an entry, its path, its type, where it links to, its size and its content.
type Visitor<'a> = &'a mut dyn FnMut(Entry<'_>) -> Result<(), DataError>;

struct Entry<'a> {
    position: usize,
    path: PathBuf,
    kind: EntryType,
    target: Option<PathBuf>,
    size: u64,
    content: &'a mut dyn Read,
}

/// Goes through the entries of an archive, in its order, until one fails.
fn walk(root: &Path, content: impl Read, visit: Visitor<'_>) -> Result<(), DataError> {
    let failed = |reason| archive::failed(root, FORMAT, reason);
    let mut archive = Archive::new(content);
    for (position, entry) in archive.entries().map_err(failed)?.enumerate() {
        let mut entry = entry.map_err(failed)?;
        let kind = entry.header().entry_type();
        let path = entry.path().map_err(failed)?;
        let is_folder = kind == EntryType::Directory;
        if kind == EntryType::XGlobalHeader || is_folder && archive::is_root(&path) {
            continue;
        }
        let path = member_path(root, FORMAT, &path)?;
        let target = entry.link_name().map_err(failed)?.map(Into::into);
        let size = entry.size();
        visit(Entry {
            position,
            path,
            kind,
            target,
            size,
            content: &mut entry,
        })?;
    }
    Ok(())
}

/// Takes the content of a member: a number that names it, its size in bytes, and a reader.
pub(super) type Taker<'a> = &'a mut dyn FnMut(usize, u64, &mut dyn Read) -> Result<(), DataError>;

impl Tape {
    /// Lists the archive, with the content of each member.
    pub(super) fn list(root: &Path) -> Result<(Self, Listing), DataError> {
        let mut listing = Listing::default();
        let mut content = Keeper {
            inner: input::open(root)?,
            kept: Some(Vec::new()),
            limit: KEPT,
        };
        walk(root, &mut content, &mut |entry| {
            let (path, kind) = (entry.path, entry.kind);
            if kind == EntryType::Directory {
                listing.folders.push(path);
                return Ok(());
            }
            if listing.leaves_out(&path) {
                return Ok(());
            }
            match kind {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.target.unwrap_or_default();
                    return listing.link(root, FORMAT, path, &target, kind == EntryType::Link);
                }
                _ => {
                    listing.special(root, &path);
                    return Ok(());
                }
            }
            if listing.members.len() >= MAX_MEMBERS {
                let problem = format!("it holds more than {MAX_MEMBERS} files; split it");
                return Err(refused(root, FORMAT, problem));
            }
            let content = Content::of_entry(&root.join(&path), entry.content)
                .map_err(|reason| archive::failed(root, FORMAT, reason))?;
            listing.members.push((path, entry.position, Some(content)));
            Ok(())
        })?;
        let tape = Self {
            root: root.into(),
            kept: content.kept,
        };
        Ok((tape, listing))
    }

    /// Hands on the entries at these positions, in the archive's order, with their positions and sizes.
    pub(super) fn visit(
        &self,
        wanted: &BTreeSet<usize>,
        visit: Taker<'_>,
    ) -> Result<(), DataError> {
        let content: Box<dyn Read + '_> = match &self.kept {
            Some(kept) => Box::new(kept.as_slice()),
            None => input::open(&self.root)?,
        };
        walk(&self.root, content, &mut |entry| {
            if wanted.contains(&entry.position) {
                visit(entry.position, entry.size, entry.content)?;
            }
            Ok(())
        })
    }
}

/// The content of an entry, unpacked where it is compressed.
pub(super) fn unpacked<'a>(
    root: &Path,
    content: &'a mut dyn Read,
    size: u64,
) -> Result<Box<dyn Read + 'a>, DataError> {
    input::unpacked(BufReader::new(content), size)
        .map_err(|reason| archive::failed(root, FORMAT, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_not_kept() {
        for (limit, kept) in [(5, Some(b"abcde".to_vec())), (4, None)] {
            let mut keeper = Keeper {
                inner: b"abcde".as_slice(),
                kept: Some(Vec::new()),
                limit,
            };
            let mut read = Vec::new();
            keeper.read_to_end(&mut read).unwrap();
            assert_eq!((read.as_slice(), keeper.kept), (b"abcde".as_slice(), kept));
        }
    }
}
