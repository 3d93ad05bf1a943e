//! One process at a time works in a directory.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::TrainError;
use crate::layout::LOCK;

/// How often a lock is tried that others take away.
const TRIES: usize = 100;

/// A directory that this process alone works in. The system takes the lock away when the process ends, however it ends;
/// the file that it is on then stays behind and locks nothing.
///
/// On a file system that knows no locks, nobody is kept out.
#[derive(Debug)]
pub struct Lock {
    dir: PathBuf,
    file: File,
    found: bool,
}

impl Lock {
    /// Whether a process that was killed had locked `dir`, without a trace.
    ///
    /// # Errors
    /// [`TrainError::Busy`] when one works there now, [`TrainError::Io`] when the system refuses.
    pub fn was_left(dir: &Path) -> Result<bool, TrainError> {
        let path = dir.join(LOCK);
        match File::open(&path) {
            Ok(file) => try_lock(&file, dir).map(|()| true),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(e) => Err(TrainError::io("read", &path)(e)),
        }
    }

    /// Locks `dir`, which must exist.
    ///
    /// # Errors
    /// [`TrainError::Busy`] when another process works there, [`TrainError::Io`] when the system refuses.
    pub fn acquire(dir: &Path) -> Result<Self, TrainError> {
        let path = dir.join(LOCK);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        for _ in 0..TRIES {
            let found = path.exists();
            let file = options.open(&path);
            let file = file.map_err(TrainError::io("write", &path))?;
            try_lock(&file, dir)?;
            let lock = Self {
                dir: dir.to_path_buf(),
                file,
                found,
            };
            // The one who held it before may have removed the file after it was opened here.
            if lock.is_in_place() {
                lock.sign().map_err(TrainError::io("write", &path))?;
                return Ok(lock);
            }
        }
        Err(TrainError::Lost(dir.to_path_buf()))
    }

    /// Whether the process that had locked the directory before was killed.
    pub fn follows_a_kill(&self) -> bool {
        self.found
    }

    /// Checks that the directory is still the one that was locked.
    ///
    /// # Errors
    /// [`TrainError::Lost`] when it was removed, moved or replaced.
    pub fn check(&self) -> Result<(), TrainError> {
        match self.is_in_place() {
            true => Ok(()),
            false => Err(TrainError::Lost(self.dir.clone())),
        }
    }

    /// Writes into the file which process it is.
    fn sign(&self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).write_all(format!("{}\n", std::process::id()).as_bytes())
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let number = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let there = fs::metadata(self.dir.join(LOCK)).map(number);
        there.ok() == self.file.metadata().map(number).ok()
    }

    /// The file is open here, and cannot make room for another before it is closed.
    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        self.dir.join(LOCK).exists()
    }
}

/// Locks the `file` in `dir`, where the file system can.
fn try_lock(file: &File, dir: &Path) -> Result<(), TrainError> {
    let path = dir.join(LOCK);
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let process = fs::read_to_string(&path).ok();
            Err(TrainError::Busy {
                path: dir.to_path_buf(),
                process: process.and_then(|text| text.trim().parse().ok()),
            })
        }
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(e)) => Err(TrainError::io("lock", &path)(e)),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_in_place() {
            // A file that stays behind locks nothing.
            let _ = fs::remove_file(self.dir.join(LOCK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_stays_behind() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::acquire(dir.path()).unwrap();
        assert!(!first.follows_a_kill());
        let second = Lock::acquire(dir.path()).unwrap_err().to_string();
        if cfg!(unix) {
            let process = format!("process {}", std::process::id());
            assert!(second.contains(&process), "{second}");
        }
        drop(first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // What a killed process leaves.
        assert!(!Lock::was_left(dir.path()).unwrap());
        fs::write(dir.path().join(LOCK), "1\n").unwrap();
        assert!(Lock::was_left(dir.path()).unwrap());
        let third = Lock::acquire(dir.path()).unwrap();
        assert!(third.follows_a_kill());
        third.check().unwrap();
        assert!(Lock::was_left(dir.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_was_replaced_is_noticed_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run");
        fs::create_dir(&dir).unwrap();
        let lock = Lock::acquire(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(lock.check(), Err(TrainError::Lost(_))));
        fs::create_dir(&dir).unwrap();
        let other = Lock::acquire(&dir).unwrap();
        assert!(matches!(lock.check(), Err(TrainError::Lost(_))));
        drop(lock);
        other.check().unwrap();
    }
}
