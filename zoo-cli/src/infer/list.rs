//! A list of paths: one a line, or one before each NUL, as `find -print0` writes it.

use std::io::{BufRead, Chain, Cursor, Read};
use std::path::PathBuf;

/// What some editors and shells write before a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// No path is longer (`PATH_MAX` of Linux; other systems allow less), so that where NULs end paths the first comes
/// within so many bytes.
const LONGEST: u64 = 4096;

/// The paths of a list, read as they are needed. A NUL always ends a path; the end of a line does where none comes
/// within the first [`LONGEST`] bytes and until one has come, because with NULs a name may have several lines.
pub(super) struct PathList<R> {
    /// What was read to look for the first NUL, and the rest.
    reader: Chain<Cursor<Vec<u8>>, R>,
    is_first: bool,
    with_nul: bool,
    has_failed: bool,
}

impl<R: BufRead> PathList<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: Cursor::default().chain(reader),
            is_first: true,
            with_nul: false,
            has_failed: false,
        }
    }

    /// Looks for the first NUL, and steps over the mark of a text.
    fn begin(&mut self) -> std::io::Result<()> {
        let (start, rest) = self.reader.get_mut();
        let mut bytes = Vec::new();
        let limit = MARK.len() as u64 + LONGEST;
        rest.take(limit).read_until(0, &mut bytes)?;
        self.with_nul = bytes.ends_with(&[0]);
        if bytes.starts_with(MARK) {
            bytes.drain(..MARK.len());
        }
        *start = Cursor::new(bytes);
        Ok(())
    }

    /// What stands before the next end of a path, without it; nothing at the end of the list.
    fn entry(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        if std::mem::take(&mut self.is_first) {
            self.begin()?;
        }
        let mut entry = Vec::new();
        loop {
            let there = self.reader.fill_buf()?;
            if there.is_empty() {
                return Ok((!entry.is_empty()).then_some(entry));
            }
            let ends = |&byte: &u8| byte == 0 || (byte == b'\n' && !self.with_nul);
            match there.iter().position(ends) {
                None => {
                    let length = there.len();
                    entry.extend_from_slice(there);
                    self.reader.consume(length);
                }
                Some(at) => {
                    entry.extend_from_slice(&there[..at]);
                    self.with_nul |= there[at] == 0;
                    self.reader.consume(at + 1);
                    return Ok(Some(entry));
                }
            }
        }
    }
}

impl<R: BufRead> Iterator for PathList<R> {
    type Item = Result<PathBuf, String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_failed {
            let entry = match self.entry() {
                Ok(entry) => entry?,
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(format!("the list on stdin cannot be read ({error})")));
                }
            };
            let mut entry = entry.as_slice();
            if !self.with_nul {
                entry = entry.strip_suffix(b"\r").unwrap_or(entry);
            }
            if !entry.trim_ascii().is_empty() {
                return Some(path(entry));
            }
        }
        None
    }
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> Result<PathBuf, String> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    Ok(OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> Result<PathBuf, String> {
    let text = std::str::from_utf8(bytes);
    let unread = |error| format!("a path on stdin cannot be read ({error}); give paths as UTF-8");
    text.map(PathBuf::from).map_err(unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_nuls_end_paths() {
        for (text, expected) in [
            ("a\nb c\n\n  \nd", vec!["a", "b c", "d"]),
            ("a\r\nb\r\n", vec!["a", "b"]),
            ("\u{feff}a\nb", vec!["a", "b"]),
            ("\u{feff}a\0b\0", vec!["a", "b"]),
            ("a\0b\nc\0d\r\0", vec!["a", "b\nc", "d\r"]),
            ("a\nb\0c\0", vec!["a\nb", "c"]),
            ("\u{feff}\na\r\n\0c\0", vec!["\na\r\n", "c"]),
            ("one", vec!["one"]),
            ("", vec![]),
            ("\u{feff}", vec![]),
        ] {
            // However the text arrives.
            for capacity in [1, 2, 100] {
                let reader = std::io::BufReader::with_capacity(capacity, text.as_bytes());
                let found: Vec<PathBuf> = PathList::new(reader).map(Result::unwrap).collect();
                let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
                assert_eq!(found, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn the_longest_first_path_is_not_cut() {
        let first = format!("a\n{}", "b".repeat(LONGEST as usize - 3));
        let listed = format!("\u{feff}{first}\0c\0");
        let found: Vec<PathBuf> = PathList::new(listed.as_bytes())
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, [PathBuf::from(first), PathBuf::from("c")]);
    }

    #[cfg(unix)]
    #[test]
    fn paths_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let found = PathList::new(&b"\xff.png\n"[..]).next().unwrap().unwrap();
        assert_eq!(found.as_os_str().as_bytes(), b"\xff.png");
    }
}
