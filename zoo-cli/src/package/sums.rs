//! `SHA256SUMS`: the hash of every file of a model directory, as `sha256sum --check` reads it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use models::write::replace_file;
use sha2::{Digest, Sha256};

use super::PackageError;
use crate::layout::SUMS;

/// The digits of the SHA-256 of a file.
pub(super) fn sha256_of_file(path: &Path) -> io::Result<String> {
    digest(&mut File::open(path)?, Sha256::new())
}

/// The digits of the hash of all that `file` still gives.
pub(crate) fn digest<D: Digest>(file: &mut File, mut hasher: D) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Lower-case digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` is exactly `digits` lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The list, one `DIGITS  NAME` a line.
pub(super) fn render<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    files
        .map(|(name, digits)| format!("{digits}  {name}\n"))
        .collect()
}

/// Brings the line of the file `name` in the list of a directory up to date, which has one now where the directory has a
/// list.
///
/// # Errors
///
/// [`PackageError::Read`] or [`PackageError::Write`] when the system refuses.
pub(super) fn update(dir: &Path, name: &str) -> Result<(), PackageError> {
    let path = dir.join(SUMS);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(PackageError::read(&path)(error)),
    };
    let file = dir.join(name);
    let digits = sha256_of_file(&file).map_err(PackageError::read(&file))?;
    let is_its = |line: &&str| line.split_once("  ").is_some_and(|(_, own)| own == name);
    let mut lines: Vec<&str> = text.lines().filter(|line| !is_its(line)).collect();
    let line = format!("{digits}  {name}");
    lines.push(&line);
    replace_file(&path, (lines.join("\n") + "\n").as_bytes()).map_err(PackageError::write(&path))
}

/// Compares the files of a directory with its list; `None` when it has none, else what is wrong,
/// a sentence each.
///
/// # Errors
///
/// [`PackageError::Read`] when a file can't be read.
pub(super) fn check(dir: &Path) -> Result<Option<Vec<String>>, PackageError> {
    let path = dir.join(SUMS);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PackageError::read(&path)(error)),
    };
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let parsed = line.split_once("  ").filter(|(digits, name)| {
            is_hex(digits, 64)
                && !name.is_empty()
                && !name.contains(['/', '\\', '\0'])
                && !matches!(*name, "." | "..")
        });
        let Some((digits, name)) = parsed else {
            problems.push(format!(
                "line {} of `{SUMS}` is not `HASH  NAME`",
                number + 1
            ));
            continue;
        };
        let file = dir.join(name);
        if !file.is_file() {
            problems.push(format!("`{name}` is in `{SUMS}`, but not in the directory"));
        } else if sha256_of_file(&file).map_err(PackageError::read(&file))? != digits {
            problems.push(format!("`{name}` is not what `{SUMS}` says it is"));
        }
    }
    Ok(Some(problems))
}
