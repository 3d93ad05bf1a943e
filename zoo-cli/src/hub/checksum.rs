//! The two hashes that the Hub names files by.

use std::fs::File;
use std::io;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::package::sums::{digest, is_hex};

/// What the bytes of a file must hash to. Its digits are also the file's ETag and its name among
/// the blobs of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// A file in git: SHA-1 of `"blob {length}\0"` and the bytes, 40 digits.
    Git(String),
    /// A file in large file storage: SHA-256 of the bytes, 64 digits.
    Sha256(String),
}

impl Checksum {
    /// Tells the kind by the number of lower-case hexadecimal digits; `None` for anything else.
    pub(super) fn parse(digits: &str) -> Option<Self> {
        if is_hex(digits, 40) {
            Some(Self::Git(digits.to_owned()))
        } else if is_hex(digits, 64) {
            Some(Self::Sha256(digits.to_owned()))
        } else {
            None
        }
    }

    /// The digits.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Git(digits) | Self::Sha256(digits) => digits,
        }
    }

    /// Whether both are made by the same function.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Reads the file and says what is wrong with it: `None` when size and hash are right.
    pub(super) fn problem(&self, path: &Path, size: Option<u64>) -> io::Result<Option<String>> {
        let mut file = File::open(path)?;
        let found = file.metadata()?.len();
        if let Some(size) = size
            && found != size
        {
            return Ok(Some(format!("{found} bytes where {size} were expected")));
        }
        let digits = match self {
            Self::Git(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {found}\0"));
                digest(&mut file, hasher)?
            }
            Self::Sha256(_) => digest(&mut file, Sha256::new())?,
        };
        Ok((digits != self.digits()).then(|| {
            format!(
                "its hash begins with {} where {} was expected",
                &digits[..12],
                &self.digits()[..12]
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_git_and_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        for digits in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let right = Checksum::parse(digits).unwrap();
            assert_eq!(right.problem(&path, Some(6)).unwrap(), None);
            assert!(right.problem(&path, Some(5)).unwrap().is_some());
            let wrong = Checksum::parse(&digits.replace('0', "1")).unwrap();
            assert!(wrong.problem(&path, None).unwrap().is_some());
        }
        for bad in [
            "",
            "../x",
            &"g".repeat(40),
            &"A".repeat(64),
            &"0".repeat(41),
        ] {
            assert_eq!(Checksum::parse(bad), None);
        }
    }
}
