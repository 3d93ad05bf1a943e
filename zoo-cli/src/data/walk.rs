//! Finding the files below the paths that a user names.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, FileType},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use models::model_dir::{CONFIG, WEIGHTS};

use super::{
    DataError, input,
    sniff::{self, Kind},
};
use crate::layout::{CHECKPOINTS, DATA_PATH, METRICS_CSV, METRICS_JSONL, TRAINING};

/// Directories may be nested this deeply.
const MAX_DEPTH: usize = 64;

/// The most files below one path, links followed.
const MAX_FILES: usize = 20_000_000;

/// Whether the name ends as that of an image, in any case. What a file is says its content; this says what its owner
/// takes it for.
pub(crate) fn has_image_name(path: &Path) -> bool {
    const KNOWN: [&str; 20] = [
        "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "pnm",
        "ppm", "pgm", "pbm", "pam", "heic", "heif", "avif", "jxl",
    ];
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    KNOWN
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Why a file or folder of this name is left out, as it follows a count of files; nothing for what is read.
fn set_aside(name: &OsStr, is_folder: bool) -> Option<&'static str> {
    let name = name.as_encoded_bytes();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    Some(match is_folder {
        true if name.starts_with(b".") => "in hidden folders",
        true if is("__MACOSX") => "in `__MACOSX` folders",
        true if is("@eaDir") => "in `@eaDir` folders",
        false if name.starts_with(b".") => "that are hidden",
        false if is("Thumbs.db") || is("desktop.ini") || is("ehthumbs.db") => {
            "in which an operating system keeps notes"
        }
        _ => return None,
    })
}

/// Why a file at this path, relative to the root of its store, is left out.
pub(crate) fn left_out_reason(path: &Path) -> Option<&'static str> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let folder = folders
        .filter_map(|part| match part {
            Component::Normal(name) => set_aside(name, true),
            _ => None,
        })
        .next();
    folder.or_else(|| set_aside(path.file_name()?, false))
}

/// Why the files of a model are left out, as it follows a count of files.
const OF_MODELS: &str = "in directories of models";

/// Whether a directory of this content is that of a model or of a run, finished or not: one that was written among
/// the data is no part of them. A record of training is taken for ours only beside another file of a run.
fn is_model(entries: &[(OsString, FileType)]) -> bool {
    let has = |name: &str| entries.iter().any(|(entry, _)| entry == name);
    let run = [CONFIG, DATA_PATH, METRICS_CSV, METRICS_JSONL, CHECKPOINTS];
    has(CONFIG) && has(WEIGHTS) || has(TRAINING) && run.into_iter().any(has)
}

/// Refuses the directory of a model or of a run where data are asked for.
///
/// # Errors
/// That it is one, and what to do.
pub(crate) fn refuse_model(directory: &Path) -> Result<(), DataError> {
    match entries(directory) {
        Ok(entries) if is_model(&entries) => Err(DataError::NotRead {
            path: directory.into(),
            problem: format!(
                "it is the directory of a model, not data; give data, or check the model with `zoo verify {}`",
                directory.display()
            ),
        }),
        // What cannot be read is told where it is read.
        _ => Ok(()),
    }
}

/// What lies below a directory.
#[derive(Default)]
pub(crate) struct Walk {
    /// Its files, sorted by path, and in their places what should be read and cannot: links to nothing or back to
    /// a folder above, devices, folders that cannot be entered.
    pub(crate) found: Vec<Result<PathBuf, DataError>>,
    /// What is left out, and why.
    pub(crate) left_out: Vec<(String, PathBuf)>,
}

impl Walk {
    /// Walks through a directory. Symbolic links are followed. Directories of models below it are left out.
    ///
    /// # Errors
    /// When the directory itself cannot be read.
    pub(crate) fn below(directory: &Path) -> Result<Self, DataError> {
        let failed = |reason| input::read_failed(directory, reason);
        let canonical = fs::canonicalize(directory).map_err(failed)?;
        let entries = entries(directory).map_err(failed)?;
        let mut walk = Self::default();
        walk.add(directory, entries, &mut vec![canonical]);
        Ok(walk)
    }

    fn fail(&mut self, path: PathBuf, problem: impl Into<String>) {
        self.found.push(Err(DataError::NotRead {
            path,
            problem: problem.into(),
        }));
    }

    /// Adds these entries of a directory; `above` are it and the directories over it, links resolved.
    fn add(
        &mut self,
        directory: &Path,
        entries: Vec<(OsString, FileType)>,
        above: &mut Vec<PathBuf>,
    ) {
        for (name, mut kind) in entries {
            let path = directory.join(&name);
            if let Some(reason) = set_aside(&name, kind.is_dir()) {
                self.set_aside(reason, path, kind);
                continue;
            }
            let is_link = kind.is_symlink();
            if is_link {
                match fs::metadata(&path) {
                    Ok(target) => kind = target.file_type(),
                    Err(reason) => {
                        self.found.push(Err(dead_link(&path, reason)));
                        continue;
                    }
                }
            }
            if kind.is_file() {
                if self.found.len() >= MAX_FILES {
                    self.fail(
                        directory.into(),
                        format!("more than {MAX_FILES} files lie here; split it"),
                    );
                    return;
                }
                self.found.push(Ok(path));
            } else if kind.is_dir() {
                self.enter(path, &name, is_link, above);
            } else {
                self.fail(
                    path,
                    format!("it is {}, not a file; move it away", special(kind)),
                );
            }
        }
    }

    fn enter(&mut self, path: PathBuf, name: &OsStr, is_link: bool, above: &mut Vec<PathBuf>) {
        if above.len() > MAX_DEPTH {
            let problem = format!("it lies more than {MAX_DEPTH} folders deep; move it up");
            return self.fail(path, problem);
        }
        let canonical = match above.last() {
            Some(parent) if !is_link => Ok(parent.join(name)),
            _ => fs::canonicalize(&path),
        };
        let content = canonical.and_then(|canonical| Ok((canonical, entries(&path)?)));
        match content {
            Err(reason) => self.found.push(Err(input::read_failed(&path, reason))),
            Ok((canonical, _)) if above.iter().any(|folder| folder.starts_with(&canonical)) => {
                let problem = format!(
                    "it is a link back to `{}`, a folder that it lies in; remove it",
                    canonical.display()
                );
                self.fail(path, problem);
            }
            Ok((_, entries)) if is_model(&entries) => {
                for (name, kind) in entries {
                    self.set_aside(OF_MODELS, path.join(name), kind);
                }
            }
            Ok((canonical, entries)) => {
                above.push(canonical);
                self.add(&path, entries, above);
                above.pop();
            }
        }
    }

    /// Counts a file that is left out, or the files of such a folder.
    fn set_aside(&mut self, reason: &str, path: PathBuf, kind: FileType) {
        if !kind.is_dir() {
            self.left_out.push((reason.into(), path));
            return;
        }
        // Nothing of it is read, so that nothing is lost if it cannot be.
        for (name, kind) in entries(&path).unwrap_or_default() {
            self.set_aside(reason, path.join(name), kind);
        }
    }
}

/// What stands in a directory, sorted by name.
fn entries(directory: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let mut entries = fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), entry.file_type()?))
        })
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

fn dead_link(path: &Path, reason: io::Error) -> DataError {
    let target = fs::read_link(path).unwrap_or_default();
    let problem = match reason.kind() {
        io::ErrorKind::NotFound => "which does not exist; restore it or remove the link".into(),
        // Links that lead to each other.
        _ => format!("which cannot be followed ({reason}); mend or remove the link"),
    };
    DataError::NotRead {
        path: path.into(),
        problem: format!("it is a link to `{}`, {problem}", target.display()),
    }
}

/// What is neither a file, a folder nor a link.
#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "a device"
}

/// The kind of a file by its first bytes.
fn kind_of(path: &Path) -> io::Result<Kind> {
    let mut start = Vec::with_capacity(sniff::LOOKED_AT);
    File::open(path)?
        .take(sniff::LOOKED_AT as u64)
        .read_to_end(&mut start)?;
    Ok(Kind::of(&start))
}

/// The images that these paths stand for, in their order. A file is taken as it is; a directory stands for the files
/// below it that are images by their content, sorted, and for those that are named as images: why they are none is
/// found out when they are read. Hidden files and folders and directories of models are passed over. Symbolic links are followed. A path that is
/// missing, a directory that cannot be read and one without images, a link to nothing or back to a folder above it,
/// and a special file each give an error in their place.
pub fn walk_images(paths: &[PathBuf]) -> Vec<Result<PathBuf, DataError>> {
    let mut images = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Err(reason) => images.push(Err(input::read_failed(path, reason))),
            Ok(metadata) if !metadata.is_dir() => images.push(Ok(path.clone())),
            Ok(_) => {
                let before = images.len();
                match Walk::below(path) {
                    Err(error) => images.push(Err(error)),
                    Ok(walk) => images.extend(walk.found.into_iter().filter(|found| match found {
                        Ok(file) => has_image_name(file) || kind_of(file).is_ok_and(Kind::is_image),
                        Err(_) => true,
                    })),
                }
                if images.len() == before {
                    images.push(Err(DataError::NoImages { path: path.clone() }));
                }
            }
        }
    }
    images
}

#[cfg(test)]
mod tests;
