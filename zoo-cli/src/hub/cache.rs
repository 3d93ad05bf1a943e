//! The cache on disk, laid out as Python's `huggingface_hub` does it:
//!
//! ```text
//! CACHE/models--owner--name/blobs/ETAG               the bytes, named by their hash
//! CACHE/models--owner--name/refs/REVISION            the commit, as text
//! CACHE/models--owner--name/snapshots/COMMIT/PATH    a link to ../../blobs/ETAG
//! CACHE/models--owner--name/trees/COMMIT.json        the file list of the commit
//! CACHE/.locks/models--owner--name/ETAG.lock         held while a blob is fetched
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use models::write::replace_file;

use super::checksum::Checksum;
use super::tree::{self, Entry};
use super::{HubError, RepoId, RepoKind, Revision};
use crate::package::sums::is_hex;

/// One repository's part of the cache.
pub(super) struct RepoCache {
    cache: PathBuf,
    folder: String,
}

/// Holds a file lock until it is dropped.
pub(super) struct Lock {
    _file: File,
}

impl RepoCache {
    pub(super) fn new(cache: &Path, repo: &RepoId, kind: RepoKind) -> Self {
        Self {
            cache: cache.to_owned(),
            folder: repo.folder(kind),
        }
    }

    fn dir(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    /// Where the bytes with this checksum lie.
    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.dir().join("blobs").join(checksum.digits())
    }

    /// Where a download of these bytes grows. Python's library gives its own a random infix, so
    /// that this name is ours to go on with while we hold the lock.
    pub(super) fn partial(&self, checksum: &Checksum) -> PathBuf {
        self.dir()
            .join("blobs")
            .join(format!("{}.incomplete", checksum.digits()))
    }

    /// The directory of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir().join("snapshots").join(commit)
    }

    /// Waits for the lock on these bytes, which Python's library takes too.
    pub(super) fn lock(&self, checksum: &Checksum) -> Result<Lock, HubError> {
        let dir = self.cache.join(".locks").join(&self.folder);
        fs::create_dir_all(&dir).map_err(HubError::io(&dir))?;
        let path = dir.join(format!("{}.lock", checksum.digits()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::io(&path))?;
        match file.lock() {
            // A file system without locks: the rename at the end still keeps the blob whole.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                Err(HubError::io(&path)(error))
            }
            _ => Ok(Lock { _file: file }),
        }
    }

    /// The commit that a revision stood for when it was last seen.
    pub(super) fn commit(&self, revision: &Revision) -> Option<String> {
        if revision.is_commit() {
            return Some(revision.as_str().to_owned());
        }
        let text = fs::read_to_string(self.dir().join("refs").join(revision.as_str())).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_hex(commit, 40))
    }

    /// Remembers what a branch or tag stands for.
    pub(super) fn remember(&self, revision: &Revision, commit: &str) -> Result<(), HubError> {
        if revision.is_commit() || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.dir().join("refs").join(revision.as_str());
        write_whole(&path, commit.as_bytes())
    }

    /// The file list of a commit, if this library or Python's left one that is sound.
    pub(super) fn tree(&self, commit: &str) -> Option<Vec<Entry>> {
        let text = fs::read(self.tree_path(commit)).ok()?;
        tree::from_cache(&text)
    }

    /// Keeps the file list of a commit.
    pub(super) fn remember_tree(&self, commit: &str, entries: &[Entry]) -> Result<(), HubError> {
        write_whole(&self.tree_path(commit), &tree::to_cache(entries))
    }

    fn tree_path(&self, commit: &str) -> PathBuf {
        self.dir().join("trees").join(format!("{commit}.json"))
    }

    /// Makes the file at `path` of the snapshot point to its blob; gives its place.
    pub(super) fn link(&self, commit: &str, entry: &Entry) -> Result<PathBuf, HubError> {
        let pointer = self.snapshot(commit).join(&entry.path);
        let blob = self.blob(&entry.checksum);
        let parent = pointer.parent().unwrap_or(&pointer);
        fs::create_dir_all(parent).map_err(HubError::io(parent))?;
        self.refuse_outside(commit, parent)?;
        let depth = 2 + entry.path.matches('/').count();
        let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
        target.push("blobs");
        target.push(entry.checksum.digits());
        if fs::read_link(&pointer).is_ok_and(|present| present == target) {
            return Ok(pointer);
        }
        if pointer.symlink_metadata().is_ok() {
            fs::remove_file(&pointer).map_err(HubError::io(&pointer))?;
        }
        // Another process may have made the same link meanwhile; a system without links gets a copy.
        match symlink(&target, &pointer) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(_) => fs::copy(&blob, &pointer).map(drop),
            Ok(()) => Ok(()),
        }
        .map_err(HubError::io(&pointer))?;
        Ok(pointer)
    }

    /// A directory inside a snapshot may be a link that other software planted.
    fn refuse_outside(&self, commit: &str, parent: &Path) -> Result<(), HubError> {
        let snapshot = self.snapshot(commit);
        let real = |path: &Path| path.canonicalize().map_err(HubError::io(path));
        if real(parent)?.starts_with(real(&snapshot)?) {
            Ok(())
        } else {
            Err(HubError::DamagedCache {
                path: parent.to_owned(),
                problem: "it leads out of its snapshot".to_owned(),
                advice: "delete it and try again".to_owned(),
            })
        }
    }

    /// The paths in a snapshot, sorted, with `/` between directories.
    pub(super) fn snapshot_paths(&self, commit: &str) -> Vec<String> {
        let root = self.snapshot(commit);
        let mut paths = Vec::new();
        let mut pending = vec![root.clone()];
        while let Some(dir) = pending.pop() {
            for item in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = item.path();
                if item.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(path);
                } else if let Ok(inside) = path.strip_prefix(&root) {
                    let parts: Vec<_> = inside
                        .components()
                        .filter_map(|part| match part {
                            Component::Normal(name) => name.to_str(),
                            _ => None,
                        })
                        .collect();
                    paths.push(parts.join("/"));
                }
            }
        }
        paths.sort();
        paths
    }

    /// What a file of the snapshot must hash to when no file list is at hand: the name of the blob
    /// that it points to. `None` when it is no link, or one to something that is not a blob.
    pub(super) fn checksum_by_name(&self, pointer: &Path) -> Option<Checksum> {
        let target = pointer.canonicalize().ok()?;
        let blobs = self.dir().join("blobs").canonicalize().ok()?;
        if target.parent() != Some(&blobs) {
            return None;
        }
        Checksum::parse(target.file_name()?.to_str()?)
    }
}

/// Writes a whole file, so that no reader ever sees a part. A link that other software planted there is not followed.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(HubError::io(parent))?;
    if path.is_symlink() {
        fs::remove_file(path).map_err(HubError::io(path))?;
    }
    replace_file(path, bytes).map_err(HubError::io(path))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
