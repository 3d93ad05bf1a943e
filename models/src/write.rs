//! Files are written whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The temporary files that this process is writing.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn temporary_files() -> MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts `bytes` at `path` in one step, as [`replace_with`] does.
///
/// # Errors
/// When the system refuses; what stood at `path` is then unchanged.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Lets `write` fill the file at `path` and puts it there in one step: it is written under a temporary name beside it,
/// synced and renamed. A link is followed to its file, which keeps its mode, and its owner where the system lets it.
///
/// What is no plain file (a pipe, a device) is written into: it must not be replaced.
///
/// # Errors
/// When the system refuses, or `path` is a directory; what stood in a plain file is then unchanged.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let present = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other?),
    };
    if present.as_ref().is_some_and(Metadata::is_dir) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if present.as_ref().is_some_and(|present| !present.is_file()) {
        return write(&mut open_stream(path)?);
    }
    let path = destination(path)?;
    let (temporary, mut file) = create_beside(&path, present.as_ref())?;
    let written = write(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&temporary);
    }
    temporary_files().retain(|path| *path != temporary);
    written
}

/// Whether a file of this name is one that is being written or was half-written by a process that was killed.
pub fn is_temporary(name: &str) -> bool {
    let numbers = name
        .strip_prefix(".zoo-")
        .and_then(|rest| rest.strip_suffix(".tmp"))
        .and_then(|numbers| numbers.split_once('-'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(process, count)| digits(process) && digits(count))
}

/// Removes the files in `dir` that processes which were killed left half-written.
///
/// # Errors
/// When the system refuses.
pub fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_temporary(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes what is half-written, and lets nothing more be written: for a process that ends at once.
pub fn abandon() {
    let mut files = temporary_files();
    for path in files.drain(..) {
        // One that was renamed in the meantime is whole.
        let _ = fs::remove_file(path);
    }
    std::mem::forget(files);
}

/// Opens what keeps nothing, as a pipe, to write into it. The end of a plain file, where it turns out to be one.
///
/// # Errors
/// When the system refuses.
pub fn open_stream(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// The real place of the file at `path`, all links followed, those included that lead to a file that is not there yet.
///
/// # Errors
/// When it has no name, as `..`, or its directory does not exist.
pub fn destination(path: &Path) -> io::Result<PathBuf> {
    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        match fs::read_link(&path) {
            Ok(target) => path = parent.join(target),
            Err(_) => {
                let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
                return Ok(parent.canonicalize()?.join(name));
            }
        }
    }
    Err(io::Error::other("it is a link to a link without an end"))
}

/// Whether a file can be made beside the one at `path`.
///
/// # Errors
/// When the system refuses.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let (temporary, _) = create_beside(&destination(path)?, None)?;
    let removed = fs::remove_file(&temporary);
    temporary_files().retain(|path| *path != temporary);
    removed
}

/// A new file in the directory of `path`, with what must be kept of the one that it is to replace.
fn create_beside(path: &Path, present: Option<&Metadata>) -> io::Result<(PathBuf, File)> {
    // Neither another process nor another thread may share it.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if present.is_some() {
        // Nobody else may look into it before it has the mode of the other.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".zoo-{}-{count}.tmp", std::process::id());
        let temporary = path.with_file_name(name);
        let mut files = temporary_files();
        match options.open(&temporary) {
            // Left by a process that was killed and had this number before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                if let Some(present) = present
                    && let Err(error) = keep(&file, present)
                {
                    let _ = fs::remove_file(&temporary);
                    return Err(error);
                }
                files.push(temporary.clone());
                return Ok((temporary, file));
            }
        }
    }
}

#[cfg(unix)]
fn keep(file: &File, present: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (present.uid(), present.gid()) {
        // Only root may give a file away; one that cannot be given stays with who wrote it.
        let _ = fchown(file, Some(present.uid()), Some(present.gid()))
            .or_else(|_| fchown(file, None, Some(present.gid())));
    }
    file.set_permissions(present.permissions())
}

#[cfg(not(unix))]
fn keep(_file: &File, _present: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_leads_to_its_file_and_the_mode_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "old").unwrap();
        fs::set_permissions(path("file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", path("link")).unwrap();
        symlink("absent", path("dangling")).unwrap();
        for (name, place) in [("file", "file"), ("link", "file"), ("dangling", "absent")] {
            replace_file(&path(name), name.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(path(place)).unwrap(), name);
        }
        assert!(path("link").is_symlink() && path("dangling").is_symlink());
        let mode = fs::metadata(path("file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_failure_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        let error = replace_with(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(error.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace_file(dir.path(), b"new").is_err());
        assert!(destination(&path.join("x")).is_err());
    }
}
