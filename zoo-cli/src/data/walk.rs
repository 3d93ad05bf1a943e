//! Finding the images below the paths that a user names.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{DataError, input};

/// Directories may be nested this deeply.
const MAX_DEPTH: usize = 64;

/// Whether the name ends in `.png`, `.jpg`, `.jpeg` or `.webp`, in any case, and is not hidden.
pub(crate) fn has_image_name(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    !hidden
        && ["png", "jpg", "jpeg", "webp"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
}

/// All files below a directory for which `keep` holds, sorted by path. Symbolic links are followed, each
/// directory is entered once. A link that leads nowhere is left out.
///
/// # Errors
/// When a directory cannot be read.
pub(crate) fn files_below(
    directory: &Path,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    visit(directory, keep, &mut HashSet::new(), 0, &mut found);
    found.into_iter().collect()
}

/// Adds the files below a directory to `found`, and each directory that cannot be read as an error.
fn visit(
    directory: &Path,
    keep: &dyn Fn(&Path) -> bool,
    entered: &mut HashSet<PathBuf>,
    depth: usize,
    found: &mut Vec<Result<PathBuf, DataError>>,
) {
    match entries(directory, entered) {
        Err(reason) => found.push(Err(input::read_failed(directory, reason))),
        Ok(entries) => {
            for (path, is_directory) in entries {
                if is_directory && depth < MAX_DEPTH {
                    visit(&path, keep, entered, depth + 1, found);
                } else if !is_directory && keep(&path) {
                    found.push(Ok(path));
                }
            }
        }
    }
}

/// The files (`false`) and directories (`true`) in a directory, sorted; none when it was entered before.
fn entries(directory: &Path, entered: &mut HashSet<PathBuf>) -> io::Result<Vec<(PathBuf, bool)>> {
    if !entered.insert(fs::canonicalize(directory)?) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, mut kind) = (entry.path(), entry.file_type()?);
        if kind.is_symlink() {
            match fs::metadata(&path) {
                Ok(target) => kind = target.file_type(),
                Err(_) => continue,
            }
        }
        if kind.is_dir() || kind.is_file() {
            entries.push((path, kind.is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// The images that these paths stand for, in their order. A file is taken as it is, whatever its name; a
/// directory stands for the files below it whose names end in `.png`, `.jpg`, `.jpeg` or `.webp`, sorted.
/// Symbolic links are followed, loops are not. A path that is missing, a directory that cannot be read, and one
/// without images each give an error in their place.
pub fn walk_images(paths: &[PathBuf]) -> Vec<Result<PathBuf, DataError>> {
    let mut images = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Err(reason) => images.push(Err(input::read_failed(path, reason))),
            Ok(metadata) if !metadata.is_dir() => images.push(Ok(path.clone())),
            Ok(_) => {
                let before = images.len();
                visit(path, &has_image_name, &mut HashSet::new(), 0, &mut images);
                if images.len() == before {
                    images.push(Err(DataError::NoImages { path: path.clone() }));
                }
            }
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_sorted_and_files_taken_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        fs::create_dir_all(at("none")).unwrap();
        for name in [
            "b/2.PNG",
            "b/1.jpg",
            "b/deep/3.webp",
            "b/notes.txt",
            "b/.hidden.png",
            "a.jpeg",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        let found = walk_images(&[
            at("b"),
            at("b/notes.txt"),
            at("absent"),
            at("none"),
            at("a.jpeg"),
        ]);
        let shown: Vec<String> = found
            .iter()
            .map(|entry| match entry {
                Ok(path) => path
                    .strip_prefix(directory.path())
                    .unwrap()
                    .display()
                    .to_string(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(
            shown[..4],
            ["b/1.jpg", "b/2.PNG", "b/deep/3.webp", "b/notes.txt"]
        );
        assert!(shown[4].contains("absent` does not exist"));
        assert!(shown[5].contains("none` holds no images"));
        assert_eq!(shown[6], "a.jpeg");
        assert_eq!(shown.len(), 7);
    }

    #[cfg(unix)]
    #[test]
    fn loops_end_and_names_need_not_be_text() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("in")).unwrap();
        symlink(directory.path(), at("in/loop")).unwrap();
        symlink(at("gone"), at("in/dangling.png")).unwrap();
        let odd = at("in").join(OsStr::from_bytes(b"\xff\xfe.png"));
        fs::write(&odd, "x").unwrap();
        symlink(&odd, at("in/link.png")).unwrap();
        let found: Vec<PathBuf> = walk_images(&[at("in")])
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, [at("in/link.png"), odd]);
    }
}
