//! Where a command writes what it makes: one rule for every file.
//!
//! A file that is there is replaced only when the user says so, an input never. Standard output, pipes and devices are
//! written into.

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use models::write::{check_writable, destination, open_stream, replace_file};

use crate::report::Printer;

/// Why a file may not be written, or could not be.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something stands there that the user did not give up.
    #[error(
        "`{}` exists; replace it with `--overwrite`, or choose another file with `{flag}`",
        path.display()
    )]
    Exists {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("`{flag} {}` is a directory; name a file in it", path.display())]
    Directory {
        /// The flag that names the file.
        flag: &'static str,
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something that the user did not give up.
    #[error(
        "`{}` exists; replace the files of an earlier command in it with `--overwrite`, or choose another directory \
         with `{flag}`",
        path.display()
    )]
    DirectoryExists {
        /// The flag that names the directory.
        flag: &'static str,
        /// The directory.
        path: PathBuf,
    },
    /// There is a file where a directory is to be.
    #[error("`{flag} {}` is a file; name a directory", path.display())]
    File {
        /// The flag that names the directory.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The command reads it.
    #[error(
        "`{flag} {}` would replace the input `{}`; choose another file",
        path.display(),
        input.display()
    )]
    Input {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The input.
        input: PathBuf,
    },
    /// The command would write into the directory that it reads from.
    #[error(
        "`{flag} {}` holds the input `{}`, which must not be written over; choose another directory",
        dir.display(),
        input.display()
    )]
    Holds {
        /// The flag that names the directory.
        flag: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The input.
        input: PathBuf,
    },
    /// The command would write into its input.
    #[error(
        "`{flag} {}` lies in the input `{}`, which must not be written into; choose another directory",
        dir.display(),
        input.display()
    )]
    Within {
        /// The flag that names the directory.
        flag: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The input.
        input: PathBuf,
    },
    /// Two outputs are one file.
    #[error(
        "{first} and {second} are the same file `{}`; choose another for one of them",
        path.display()
    )]
    Same {
        /// The first output.
        first: &'static str,
        /// The second one.
        second: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It is in a directory that does not exist.
    #[error(
        "the directory of `{flag} {}` does not exist; make it first, or choose another file",
        path.display()
    )]
    NoDirectory {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write `{}` (`{flag}`): {source}", path.display())]
    Write {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output failed.
    #[error(transparent)]
    Stdout(io::Error),
}

/// A file that a command is to write.
#[derive(Debug)]
pub struct Output {
    flag: &'static str,
    path: PathBuf,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A plain file, there already or not.
    File,
    /// What is written into: a pipe, a device, or an open file by its number.
    Stream,
    /// Standard output.
    Stdout,
}

impl Output {
    /// The file `path` that the user named with `flag`, proven writable. Nothing is written yet.
    ///
    /// # Errors
    /// When it is a directory, its directory does not exist or cannot be written, or it exists and `overwrite` is off.
    pub fn new(flag: &'static str, path: &Path, overwrite: bool) -> Result<Self, OutputError> {
        let output = Self {
            flag,
            path: path.to_path_buf(),
            place: place(path),
        };
        let exists = match fs::metadata(path) {
            _ if output.place != Place::File => return Ok(output),
            Ok(metadata) if metadata.is_dir() => return Err(output.is_directory()),
            Ok(_) => true,
            Err(_) if names_directory(path) => return Err(output.is_directory()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(output.failed(error)),
        };
        if exists && !overwrite {
            return Err(OutputError::Exists {
                flag,
                path: output.path,
            });
        }
        match check_writable(path) {
            Ok(()) => Ok(output),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = output.path;
                Err(OutputError::NoDirectory { flag, path })
            }
            Err(error) => Err(output.failed(error)),
        }
    }

    /// Standard output, for results that no flag sends elsewhere; `what` is said in place of a flag.
    pub fn stdout(what: &'static str) -> Self {
        Self {
            flag: what,
            path: PathBuf::from(STDOUT),
            place: Place::Stdout,
        }
    }

    /// The path as the user gave it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether results printed to stdout would mix with it.
    pub fn is_stdout(&self) -> bool {
        self.place == Place::Stdout
    }

    /// Refuses to write over `input` (`-` is standard input), or over a file in it where it is a directory.
    ///
    /// # Errors
    /// [`OutputError::Input`].
    pub fn keep(&self, input: &Path) -> Result<(), OutputError> {
        let input = match input == Path::new("-") {
            true => Path::new("/dev/stdin"),
            false => input,
        };
        let inside = || {
            let (Ok(dir), Ok(file)) = (input.canonicalize(), self.path.canonicalize()) else {
                return false;
            };
            dir.is_dir() && file.starts_with(&dir)
        };
        if self.place != Place::Stdout && (is_same(&self.path, input) || inside()) {
            return Err(OutputError::Input {
                flag: self.flag,
                path: self.path.clone(),
                input: input.to_path_buf(),
            });
        }
        Ok(())
    }

    /// Refuses to write both outputs to one file.
    ///
    /// # Errors
    /// [`OutputError::Same`].
    pub fn differ(&self, other: &Self) -> Result<(), OutputError> {
        let both_stdout = self.is_stdout() && other.is_stdout();
        if both_stdout || is_same(&self.path, &other.path) {
            return Err(OutputError::Same {
                first: self.flag,
                second: other.flag,
                path: other.path.clone(),
            });
        }
        Ok(())
    }

    /// Writes the file, in one step where it is a plain one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, bytes: &[u8], printer: &Printer) -> Result<(), OutputError> {
        let written = match self.place {
            Place::Stdout => {
                let written = printer.write_results(|out| out.write_all(bytes));
                return written.map_err(OutputError::Stdout);
            }
            Place::Stream => open_stream(&self.path).and_then(|mut file| file.write_all(bytes)),
            Place::File => replace_file(&self.path, bytes),
        };
        written.map_err(|error| self.failed(error))
    }

    fn is_directory(&self) -> OutputError {
        OutputError::Directory {
            flag: self.flag,
            path: self.path.clone(),
        }
    }

    fn failed(&self, source: io::Error) -> OutputError {
        OutputError::Write {
            flag: self.flag,
            path: self.path.clone(),
            source,
        }
    }
}

/// A directory that a command is to fill.
#[derive(Debug)]
pub struct OutputDir {
    flag: &'static str,
    path: PathBuf,
    /// The names of all files that the command may write.
    own: &'static [&'static str],
}

impl OutputDir {
    /// The directory `path` that the user named with `flag`, for a command that writes files of the names `own`. Nothing
    /// is written yet.
    ///
    /// # Errors
    /// When it is a file, or holds something and `overwrite` is off.
    pub fn new(
        flag: &'static str,
        path: &Path,
        overwrite: bool,
        own: &'static [&'static str],
    ) -> Result<Self, OutputError> {
        let output = Self {
            flag,
            path: path.to_path_buf(),
            own,
        };
        match fs::read_dir(path) {
            Ok(mut items) => match items.next() {
                Some(_) if !overwrite => {
                    let path = output.path;
                    Err(OutputError::DirectoryExists { flag, path })
                }
                _ => Ok(output),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(output),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let path = output.path;
                Err(OutputError::File { flag, path })
            }
            Err(error) => Err(output.failed(path, error)),
        }
    }

    /// The path as the user gave it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to write where files could take the place of `input` or become a part of it; see [`keep_apart`].
    ///
    /// # Errors
    /// [`OutputError::Holds`] or [`OutputError::Within`].
    pub fn keep_apart(&self, input: &Path) -> Result<(), OutputError> {
        keep_apart(self.flag, &self.path, input)
    }

    /// Writes `files` by name in their order, after the files that an earlier command of this kind left are gone; others
    /// stay. The directory is made with its parents where it is missing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, files: &[(&str, Vec<u8>)]) -> Result<(), OutputError> {
        let made = fs::create_dir_all(&self.path);
        made.map_err(|error| self.failed(&self.path, error))?;
        for name in self.own {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(&path, error));
                }
                _ => {}
            }
        }
        for (name, bytes) in files {
            let path = self.path.join(name);
            replace_file(&path, bytes).map_err(|error| self.failed(&path, error))?;
        }
        Ok(())
    }

    fn failed(&self, path: &Path, source: io::Error) -> OutputError {
        OutputError::Write {
            flag: self.flag,
            path: path.to_path_buf(),
            source,
        }
    }
}

/// Refuses to write files into `dir`, the directory of `flag`, where they could take the place of `input` or become a
/// part of it: it is the directory itself, lies in it, or holds it.
///
/// # Errors
/// [`OutputError::Holds`] or [`OutputError::Within`].
pub fn keep_apart(flag: &'static str, dir: &Path, input: &Path) -> Result<(), OutputError> {
    let (Ok(real), Ok(place)) = (input.canonicalize(), future(dir)) else {
        return Ok(());
    };
    let (dir, input) = (dir.to_path_buf(), input.to_path_buf());
    if real.starts_with(&place) {
        return Err(OutputError::Holds { flag, dir, input });
    }
    match place.starts_with(&real) {
        true => Err(OutputError::Within { flag, dir, input }),
        false => Ok(()),
    }
}

/// The real place of a directory that may have to be made with those over it.
fn future(dir: &Path) -> io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    let mut there = dir.ancestors();
    let real = there.find_map(|above| Some((above.canonicalize().ok()?, above)));
    let (real, above) = real.ok_or(io::ErrorKind::NotFound)?;
    Ok(real.join(dir.strip_prefix(above).unwrap_or(Path::new(""))))
}

const STDOUT: &str = "/dev/stdout";

/// Where a path leads. The names of open files are told by their words: behind them may lie a plain file, which must
/// not be replaced under the feet of the one who opened it.
fn place(path: &Path) -> Place {
    const OPEN_FILES: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/dev/stderr"];
    let mut at = path.to_path_buf();
    loop {
        if [STDOUT, "/dev/fd/1", "/proc/self/fd/1", "-"]
            .map(Path::new)
            .contains(&&*at)
        {
            return Place::Stdout;
        }
        if OPEN_FILES.iter().any(|open| at.starts_with(open)) {
            return Place::Stream;
        }
        // A link to itself has no metadata, and ends here.
        match (fs::metadata(path), fs::read_link(&at)) {
            (Ok(_), Ok(target)) => at = at.parent().unwrap_or(Path::new("")).join(target),
            (Ok(metadata), Err(_)) if is_stream(&metadata) => return Place::Stream,
            _ => return Place::File,
        }
    }
}

/// Whether bytes that are written to it replace none: a pipe, a terminal, `/dev/null`.
fn is_stream(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    }
    #[cfg(not(unix))]
    {
        !metadata.is_file() && !metadata.is_dir()
    }
}

/// Whether a path that leads nowhere is written as that of a directory.
fn names_directory(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.ends_with(std::path::is_separator)
        || !matches!(path.components().next_back(), Some(Component::Normal(_)))
}

/// Whether two paths lead to one file that could lose what it holds: a device keeps nothing.
fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        #[cfg(unix)]
        (Ok(a), Ok(b)) => {
            use std::os::unix::fs::{FileTypeExt, MetadataExt};
            let same = (a.dev(), a.ino()) == (b.dev(), b.ino());
            same && !a.file_type().is_char_device()
        }
        _ => matches!((destination(a), destination(b)), (Ok(a), Ok(b)) if a == b),
    }
}
