//! The files of a dataset, in a folder or in an archive (zip; tar, plain or compressed), read without unpacking.
//!
//! A file is known by its content. Hidden files and folders, the notes of operating systems and, in a folder, the
//! directories of models are left out, and counted; what should be read and cannot be (links to nothing, devices) has failed, and is named.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{OnceLock, mpsc::sync_channel},
    thread,
};

use rayon::prelude::*;

use super::{
    DataError, SkippedFile, decode, input,
    sniff::{self, Kind},
    walk::{self, Walk},
};

mod archive;
mod content;
mod tape;
mod zip;

pub(crate) use content::Content;
use tape::Tape;
use zip::Zip;

/// Files of an archive that are decoded together.
const CHUNK: usize = 256;

/// A file that is left out: why, as it follows a count of files (`in hidden folders`), and its path relative to the
/// store.
pub(crate) type LeftOut = (String, PathBuf);

enum Place {
    Folder,
    /// The members, by their position among the archive's entries (ascending).
    Tar(Tape, Vec<(usize, usize)>),
    /// The entry of each member.
    Zip(Zip, Vec<usize>),
}

/// The files below one path, sorted, with their paths relative to it.
///
/// An `.npz` is a zip archive whose members are its arrays. A lone file is a store of one member, unpacked on the
/// way by [`Store::visit`] where it is compressed.
pub(crate) struct Store {
    root: PathBuf,
    place: Place,
    members: Vec<PathBuf>,
    contents: OnceLock<Vec<Content>>,
    left_out: Vec<LeftOut>,
    failed: Vec<SkippedFile>,
    empty_folders: Vec<PathBuf>,
}

impl Store {
    /// Lists the files below `path`: a folder, an archive, or a single file.
    ///
    /// # Errors
    /// When something cannot be read, is empty, is of a known format that is not read, or is an archive with paths
    /// that lead out of it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(|reason| input::read_failed(path, reason))?;
        if metadata.is_dir() {
            walk::refuse_model(path)?;
            return Self::open_folder(path);
        }
        if !metadata.is_file() {
            return Err(DataError::UnknownFormat {
                path: path.into(),
                looked_for: "it is neither a file nor a folder".into(),
            });
        }
        let mut reader = input::open(path)?;
        let start = input::read_up_to(&mut reader, sniff::LOOKED_AT as u64)
            .map_err(|reason| input::read_failed(path, reason))?;
        match Kind::of(&start) {
            Kind::Tar => Self::open_tar(path),
            Kind::Zip | Kind::Npz => Self::open_zip(path),
            kind if kind.next_step().is_some() => Err(decode::no_image(path, kind)),
            _ => Ok(Self {
                members: path.file_name().map(PathBuf::from).into_iter().collect(),
                ..Self::new(path.parent().unwrap_or(Path::new("")), Place::Folder)
            }),
        }
    }

    fn new(root: &Path, place: Place) -> Self {
        Self {
            root: root.into(),
            place,
            members: Vec::new(),
            contents: OnceLock::new(),
            left_out: Vec::new(),
            failed: Vec::new(),
            empty_folders: Vec::new(),
        }
    }

    fn open_folder(root: &Path) -> Result<Self, DataError> {
        let walk = Walk::below(root)?;
        let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_path_buf();
        let mut store = Self::new(root, Place::Folder);
        let mut first_error = None;
        for found in walk.found {
            match found {
                Ok(path) => store.members.push(relative(&path)),
                Err(error) => {
                    store.failed.push(SkippedFile {
                        path: error.path().unwrap_or(root).into(),
                        reason: error.to_string(),
                    });
                    first_error.get_or_insert(error);
                }
            }
        }
        let left_out = walk.left_out.into_iter();
        store.left_out = left_out
            .map(|(reason, path)| (reason, relative(&path)))
            .collect();
        match first_error {
            _ if !store.members.is_empty() => Ok(store),
            Some(error) => Err(error),
            None if !store.left_out.is_empty() => Err(DataError::NoImages { path: root.into() }),
            None => Err(DataError::Empty { path: root.into() }),
        }
    }

    fn open_tar(root: &Path) -> Result<Self, DataError> {
        let (tape, listing) = Tape::list(root)?;
        let listing = listing.sorted(root, tape::FORMAT)?;
        let mut store = Self::new(root, Place::Folder);
        (store.left_out, store.failed) = (listing.left_out, listing.failed);
        store.empty_folders = listing.folders;
        let mut order = Vec::with_capacity(listing.members.len());
        let mut contents = Vec::with_capacity(listing.members.len());
        for (member, (path, position, content)) in listing.members.into_iter().enumerate() {
            store.members.push(path);
            order.push((position, member));
            contents.extend(content);
        }
        order.sort_unstable();
        store.place = Place::Tar(tape, order);
        store.contents = OnceLock::from(contents);
        Ok(store)
    }

    fn open_zip(root: &Path) -> Result<Self, DataError> {
        let mut zip = Zip::open(root)?;
        let listing = zip.list()?.sorted(root, zip::FORMAT)?;
        let (members, order) = listing
            .members
            .into_iter()
            .map(|(path, index, _)| (path, index))
            .unzip();
        Ok(Self {
            members,
            left_out: listing.left_out,
            failed: listing.failed,
            empty_folders: listing.folders,
            ..Self::new(root, Place::Zip(zip, order))
        })
    }

    /// The files, sorted.
    pub(crate) fn members(&self) -> &[PathBuf] {
        &self.members
    }

    /// The whole path of a file, for opening it (in a folder) and for errors.
    pub(crate) fn path(&self, member: usize) -> PathBuf {
        self.root.join(&self.members[member])
    }

    /// Whether the files lie in an archive, and [`Store::path`] cannot be opened.
    pub(crate) fn is_archive(&self) -> bool {
        !matches!(self.place, Place::Folder)
    }

    /// What is left out because of its name (hidden, `__MACOSX`, `Thumbs.db`), lies in a directory of a model, or is a
    /// link in an archive.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What should be read and cannot be: links to nothing and loops of links, special files, folders without
    /// permission. Whoever goes on without them ends with 1.
    pub(crate) fn failed(&self) -> &[SkippedFile] {
        &self.failed
    }

    /// The folders of an archive in which nothing lies, as far as it names them. Those of a folder are not looked for.
    pub(crate) fn empty_folders(&self) -> &[PathBuf] {
        &self.empty_folders
    }

    /// What each member is, by its first bytes; found out once. A file that cannot be read is told as such in its
    /// place.
    ///
    /// # Errors
    /// When an archive cannot be read.
    pub(crate) fn contents(&self) -> Result<&[Content], DataError> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents);
        }
        let contents = match &self.place {
            Place::Folder => (0..self.members.len())
                .into_par_iter()
                .map(|member| Content::of_file(&self.path(member)))
                .collect(),
            // Listed with their contents.
            Place::Tar(..) => Vec::new(),
            Place::Zip(zip, order) => order
                .par_iter()
                .enumerate()
                .map_init(
                    || zip.clone(),
                    |zip, (member, &index)| {
                        let path = self.path(member);
                        zip.read(index, |reader, _| Content::of_entry(&path, reader))?
                            .map_err(|reason| archive::failed(&self.root, zip::FORMAT, reason))
                    },
                )
                .collect::<Result<_, DataError>>()?,
        };
        Ok(self.contents.get_or_init(|| contents))
    }

    /// Reads these files (ascending) one after the other, in the order in which they come fastest. A compressed file
    /// is unpacked on the way.
    pub(crate) fn visit(
        &self,
        wanted: &[usize],
        visit: &mut dyn FnMut(usize, &mut dyn Read) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        match &self.place {
            Place::Folder => {
                for &member in wanted {
                    visit(member, &mut input::open(&self.path(member))?)?;
                }
                Ok(())
            }
            Place::Tar(tape, order) => {
                self.visit_tar(tape, order, wanted, &mut |member, size, content| {
                    visit(member, &mut tape::unpacked(&self.root, content, size)?)
                })
            }
            Place::Zip(zip, order) => {
                let mut zip = zip.clone();
                for &member in wanted {
                    zip.read(order[member], |content, size| {
                        visit(member, &mut tape::unpacked(&self.root, content, size)?)
                    })??;
                }
                Ok(())
            }
        }
    }

    /// Hands on these members of a tar archive, with their sizes, as they lie there.
    fn visit_tar(
        &self,
        tape: &Tape,
        order: &[(usize, usize)],
        wanted: &[usize],
        visit: tape::Taker<'_>,
    ) -> Result<(), DataError> {
        let chosen = order
            .iter()
            .filter(|(_, member)| wanted.binary_search(member).is_ok());
        let positions: BTreeSet<usize> = chosen.map(|(position, _)| *position).collect();
        let mut seen = 0;
        tape.visit(&positions, &mut |position, size, content| {
            seen += 1;
            match order.binary_search_by_key(&position, |(position, _)| *position) {
                Ok(at) => visit(order[at].1, size, content),
                Err(_) => Ok(()),
            }
        })?;
        if seen < positions.len() {
            let problem = "it changed while it was read; start again";
            return Err(archive::refused(&self.root, tape::FORMAT, problem));
        }
        Ok(())
    }

    /// Reads these image files (ascending) and hands each to `work`, in parallel and in any order. A file that
    /// cannot be read is handed on as an error; what is returned is a failure of the whole.
    pub(crate) fn visit_images(
        &self,
        wanted: &[usize],
        work: &(dyn Fn(usize, Result<Vec<u8>, DataError>) + Sync),
    ) -> Result<(), DataError> {
        match &self.place {
            Place::Folder => {
                wanted
                    .par_iter()
                    .for_each(|&member| work(member, decode::read_file(&self.path(member))));
                Ok(())
            }
            Place::Zip(zip, order) => {
                wanted.par_iter().for_each_init(
                    || zip.clone(),
                    |zip, &member| {
                        let path = self.path(member);
                        let read = zip.read(order[member], |content, _| {
                            decode::read_image_bytes(&path, content)
                        });
                        work(member, read.and_then(|bytes| bytes));
                    },
                );
                Ok(())
            }
            Place::Tar(tape, order) => self.visit_tar_images(tape, order, wanted, work),
        }
    }

    /// One thread unpacks, the others decode what it has read.
    fn visit_tar_images(
        &self,
        tape: &Tape,
        order: &[(usize, usize)],
        wanted: &[usize],
        work: &(dyn Fn(usize, Result<Vec<u8>, DataError>) + Sync),
    ) -> Result<(), DataError> {
        let (sender, receiver) = sync_channel::<Vec<(usize, Result<Vec<u8>, DataError>)>>(4);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                self.visit_tar(tape, order, wanted, &mut |member, _, mut content| {
                    let path = self.path(member);
                    chunk.push((member, decode::read_image_bytes(&path, &mut content)));
                    if chunk.len() == CHUNK {
                        // The receiving side ends only after this one.
                        let _ =
                            sender.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)));
                    }
                    Ok(())
                })?;
                let _ = sender.send(chunk);
                Ok(())
            });
            receiver.into_iter().par_bridge().for_each(|chunk| {
                chunk
                    .into_iter()
                    .for_each(|(member, bytes)| work(member, bytes))
            });
            reader.join().unwrap_or_else(|_| {
                let problem = "reading it failed unexpectedly; unpack it and give the folder";
                Err(archive::refused(&self.root, tape::FORMAT, problem))
            })
        })
    }
}

#[cfg(test)]
mod tests;
