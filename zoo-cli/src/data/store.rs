//! The files of a dataset, in a folder or in a tar archive (plain or gzipped), read without unpacking.

use std::{
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
};

use rayon::prelude::*;
use tar::{Archive, EntryType, Header};

use super::{DataError, decode, input, walk};

/// Files of an archive that are decoded together.
const CHUNK: usize = 256;

/// The most files that an archive may hold.
const MAX_MEMBERS: usize = 20_000_000;

enum Kind {
    Folder,
    /// The members, by their position among the archive's files.
    Archive(Vec<usize>),
}

/// The files below one path, sorted, with their paths relative to it.
pub(crate) struct Store {
    root: PathBuf,
    kind: Kind,
    members: Vec<PathBuf>,
}

fn archive_failed(path: &Path, reason: std::io::Error) -> DataError {
    match reason.kind() {
        std::io::ErrorKind::FileTooLarge => input::read_failed(path, reason),
        _ => refused(path, format!("{reason}; fetch it again")),
    }
}

fn refused(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: "a tar archive",
        problem,
    }
}

/// Whether these first bytes of a file are a tar header: its checksum holds.
fn is_tar(start: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(start) else {
        return false;
    };
    let header = Header::from_byte_slice(block);
    // The checksum counts its own field as spaces.
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, &byte)| u32::from(if (148..156).contains(&i) { b' ' } else { byte }))
        .sum();
    header.cksum().is_ok_and(|stated| stated == sum) && block.iter().any(|&byte| byte != 0)
}

/// Gets the position of a file among the archive's files, its path and its content.
type Visitor<'a> = &'a mut dyn FnMut(usize, &Path, &mut dyn Read) -> Result<(), DataError>;

/// Goes through the files of an archive in its order, until one fails.
fn walk_archive(root: &Path, visit: Visitor<'_>) -> Result<(), DataError> {
    let failed = |reason| archive_failed(root, reason);
    let mut archive = Archive::new(input::open(root)?);
    let mut position = 0;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Symlink | EntryType::Link => {
                return Err(refused(
                    root,
                    format!(
                        "its entry `{}` is a link; pack the files themselves",
                        path.display()
                    ),
                ));
            }
            _ => {
                return Err(refused(
                    root,
                    format!(
                        "its entry `{}` is not a file; pack files only",
                        path.display()
                    ),
                ));
            }
        }
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || path.as_os_str().is_empty() {
            return Err(refused(
                root,
                format!(
                    "its entry `{}` leads out of the archive; do not trust its source",
                    path.display()
                ),
            ));
        }
        visit(position, &path, &mut entry)?;
        position += 1;
    }
    Ok(())
}

impl Store {
    /// Lists the files below `path`: a folder, an archive, or a single file.
    ///
    /// # Errors
    /// When something cannot be read, is empty, or is an archive with links or with paths that lead out of it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(|reason| input::read_failed(path, reason))?;
        if metadata.is_dir() {
            let visible = |file: &Path| {
                let name = file.file_name().map(|name| name.as_encoded_bytes());
                !name.unwrap_or_default().starts_with(b".")
            };
            let members: Vec<PathBuf> = walk::files_below(path, &visible)?
                .into_iter()
                .filter_map(|file| Some(file.strip_prefix(path).ok()?.to_path_buf()))
                .collect();
            if members.is_empty() {
                return Err(DataError::Empty { path: path.into() });
            }
            return Ok(Self {
                root: path.into(),
                kind: Kind::Folder,
                members,
            });
        }
        if !metadata.is_file() {
            return Err(DataError::UnknownFormat {
                path: path.into(),
                looked_for: "it is neither a file nor a folder".into(),
            });
        }
        let mut reader = input::open(path)?;
        let start = input::read_up_to(&mut reader, 512)
            .map_err(|reason| input::read_failed(path, reason))?;
        if is_tar(&start) {
            return Self::open_archive(path);
        }
        Ok(Self {
            root: path.parent().unwrap_or(Path::new("")).into(),
            kind: Kind::Folder,
            members: path.file_name().map(PathBuf::from).into_iter().collect(),
        })
    }

    fn open_archive(root: &Path) -> Result<Self, DataError> {
        let mut found: Vec<(PathBuf, usize)> = Vec::new();
        walk_archive(root, &mut |position, path, _| {
            if position >= MAX_MEMBERS {
                return Err(refused(
                    root,
                    format!("it holds more than {MAX_MEMBERS} files; split it"),
                ));
            }
            // `./a/b` and `a/b` are one path.
            let path = path
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect();
            found.push((path, position));
            Ok(())
        })?;
        if found.is_empty() {
            return Err(DataError::Empty { path: root.into() });
        }
        found.sort();
        if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(refused(
                root,
                format!("it holds `{}` twice; pack it afresh", pair[0].0.display()),
            ));
        }
        let mut order = vec![0; found.len()];
        for (member, (_, position)) in found.iter().enumerate() {
            order[*position] = member;
        }
        Ok(Self {
            root: root.into(),
            kind: Kind::Archive(order),
            members: found.into_iter().map(|(path, _)| path).collect(),
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
        matches!(self.kind, Kind::Archive(_))
    }

    /// Reads these files (ascending) one after the other, in the order in which they come fastest. A gzipped
    /// file of a folder is unpacked.
    pub(crate) fn visit(
        &self,
        wanted: &[usize],
        visit: &mut dyn FnMut(usize, &mut dyn Read) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        match &self.kind {
            Kind::Folder => {
                for &member in wanted {
                    visit(member, &mut input::open(&self.path(member))?)?;
                }
                Ok(())
            }
            Kind::Archive(order) => walk_archive(
                &self.root,
                &mut |position, _, content| match order.get(position) {
                    Some(member) if wanted.binary_search(member).is_ok() => visit(*member, content),
                    Some(_) => Ok(()),
                    None => Err(refused(
                        &self.root,
                        "it grew while it was read; start again".into(),
                    )),
                },
            ),
        }
    }

    /// Reads these image files (ascending) and hands each to `work`, in parallel and in any order. A file that
    /// cannot be read is handed on as an error; what is returned is a failure of the whole.
    pub(crate) fn visit_images(
        &self,
        wanted: &[usize],
        work: &(dyn Fn(usize, Result<Vec<u8>, DataError>) + Sync),
    ) -> Result<(), DataError> {
        if !self.is_archive() {
            wanted
                .par_iter()
                .for_each(|&member| work(member, decode::read_file(&self.path(member))));
            return Ok(());
        }
        // One thread unpacks, the others decode what it has read.
        let (sender, receiver) = sync_channel::<Vec<(usize, Result<Vec<u8>, DataError>)>>(4);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                self.visit(wanted, &mut |member, content| {
                    chunk.push((
                        member,
                        decode::read_image_bytes(&self.path(member), content),
                    ));
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
                Err(refused(
                    &self.root,
                    "reading it failed unexpectedly; unpack it and give the folder".into(),
                ))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    /// A tar of these (path, content) pairs; the paths are written as they are.
    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn open(bytes: &[u8]) -> Result<(Store, tempfile::TempDir), String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d.tar");
        fs::write(&path, bytes).unwrap();
        match Store::open(&path) {
            Ok(store) => Ok((store, directory)),
            Err(error) => Err(error.to_string()),
        }
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn archives_are_sorted_and_read_in_place() {
        let bytes = tar(&[
            ("d/", EntryType::Directory, b""),
            ("d/b", FILE, b"second"),
            ("./d/a", FILE, b"first"),
        ]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, &bytes).unwrap();
        for bytes in [bytes, encoder.finish().unwrap()] {
            let (store, _directory) = open(&bytes).unwrap();
            assert_eq!(store.members(), [Path::new("d/a"), Path::new("d/b")]);
            let mut seen = Vec::new();
            store
                .visit(&[0, 1], &mut |member, content| {
                    seen.push((member, std::io::read_to_string(content).unwrap()));
                    Ok(())
                })
                .unwrap();
            assert_eq!(seen, [(1, "second".into()), (0, "first".into())]);
            let seen = Mutex::new(Vec::new());
            store
                .visit_images(&[0], &|member, bytes| {
                    seen.lock().unwrap().push((member, bytes.unwrap()))
                })
                .unwrap();
            assert_eq!(seen.into_inner().unwrap(), [(0, b"first".to_vec())]);
        }
    }

    #[test]
    fn path_tricks_are_refused() {
        for (path, kind, said) in [
            ("../x", FILE, "leads out"),
            ("a/../../x", FILE, "leads out"),
            ("/etc/x", FILE, "leads out"),
            ("a/link", EntryType::Symlink, "is a link"),
            ("a/hard", EntryType::Link, "is a link"),
            ("a/pipe", EntryType::Fifo, "is not a file"),
        ] {
            let error = open(&tar(&[("fine", FILE, b"1"), (path, kind, b"")]))
                .err()
                .unwrap();
            assert!(
                error.contains(said) && error.contains("d.tar"),
                "{path}: {error}"
            );
        }
        let twice = open(&tar(&[("a", FILE, b"1"), ("./a", FILE, b"2")]))
            .err()
            .unwrap();
        assert!(twice.contains("`a` twice"), "{twice}");
    }

    #[test]
    fn a_truncated_archive_is_noticed() {
        let bytes = tar(&[("a", FILE, &[1; 5000]), ("b", FILE, &[2; 5000])]);
        let error = open(&bytes[..bytes.len() / 2]).err().unwrap();
        assert!(error.contains("tar archive"), "{error}");
    }

    proptest! {
        #[test]
        fn damaged_archives_never_panic(at in 0usize..3072, byte: u8, cut in 513usize..3072) {
            let mut bytes = tar(&[("a", FILE, b"1"), ("b/c", FILE, &[7; 600])]);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(cut);
            if let Ok((store, _directory)) = open(&bytes) {
                let all: Vec<usize> = (0..store.members().len()).collect();
                let _ = store.visit(&all, &mut |_, content| {
                    let _ = input::read_up_to(content, 1 << 16);
                    Ok(())
                });
            }
        }
    }
}
