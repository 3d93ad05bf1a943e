//! Tar archives, plain or compressed: read from the first byte to the last, without unpacking to disk.

use std::{
    collections::BTreeSet,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use tar::{Archive, EntryType};

use super::{
    Content,
    archive::{self, Listing, MAX_MEMBERS, member_path, refused},
};
use crate::data::{DataError, input};

pub(super) const FORMAT: &str = "a tar archive";

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
fn walk(root: &Path, visit: Visitor<'_>) -> Result<(), DataError> {
    let failed = |reason| archive::failed(root, FORMAT, reason);
    let mut archive = Archive::new(input::open(root)?);
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

/// Lists the archive, with the content of each member.
pub(super) fn list(root: &Path) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    walk(root, &mut |entry| {
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
    Ok(listing)
}

/// Takes the content of a member: a number that names it, its size in bytes, and a reader.
pub(super) type Taker<'a> = &'a mut dyn FnMut(usize, u64, &mut dyn Read) -> Result<(), DataError>;

/// Hands on the entries at these positions, in the archive's order, with their positions and sizes.
pub(super) fn visit(
    root: &Path,
    wanted: &BTreeSet<usize>,
    visit: Taker<'_>,
) -> Result<(), DataError> {
    walk(root, &mut |entry| {
        if wanted.contains(&entry.position) {
            visit(entry.position, entry.size, entry.content)?;
        }
        Ok(())
    })
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
