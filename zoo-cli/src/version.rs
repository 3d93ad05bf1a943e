//! What `zoo --version` says.

/// Length of a commit as it is shown.
const DIGITS: usize = 12;

/// A commit, the first digits of its hash.
pub type Commit = [u8; DIGITS];

/// The commit that git's `log` of what was checked out ends with: lines of `OLD NEW NAME …`, each a commit's hash.
pub const fn commit(log: &[u8]) -> Option<Commit> {
    let mut start = log.len().saturating_sub(1);
    while start > 0 && log[start - 1] != b'\n' {
        start -= 1;
    }
    while start < log.len() && log[start] != b' ' {
        start += 1;
    }
    match log.split_at(start).1 {
        [b' ', rest @ ..] => rest.first_chunk::<DIGITS>().copied(),
        _ => None,
    }
}

/// The version, the commit that was built where it is known, the optional features that it was built with, and the
/// instruction set that its kernels take on this processor.
pub fn long(commit: Option<&Commit>) -> String {
    let features = [
        ("hub", cfg!(feature = "hub")),
        ("cuda", cfg!(feature = "cuda")),
        ("cudnn", cfg!(feature = "cudnn")),
        ("metal", cfg!(feature = "metal")),
    ];
    let mut built: Vec<&str> = features.iter().filter(|f| f.1).map(|f| f.0).collect();
    if built.is_empty() {
        built.push("none");
    }
    let commit = commit.map_or(String::new(), |commit| {
        format!("\ncommit {}", String::from_utf8_lossy(commit))
    });
    format!(
        "{}{commit}\nfeatures {}\nkernels {}",
        env!("CARGO_PKG_VERSION"),
        built.join(" "),
        gmnm_core::instruction_set()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_the_last_that_was_checked_out() {
        let zeros = "0".repeat(40);
        let (first, second) = ("a1".repeat(20), "b2".repeat(32));
        let one = format!("{zeros} {first} A Name <a@b> 1 +0000\tclone: from x\n");
        let two = format!("{one}{first} {second} A <a@b> 2 +0000\tcommit: y\n");
        assert_eq!(&commit(one.as_bytes()).unwrap(), b"a1a1a1a1a1a1");
        assert_eq!(&commit(two.as_bytes()).unwrap(), b"b2b2b2b2b2b2");
        for broken in ["", "\n", "word", "word \n", &one[..50]] {
            assert_eq!(commit(broken.as_bytes()), None, "{broken:?}");
        }
    }

    #[test]
    fn a_version_without_a_commit_has_no_line_for_it() {
        let text = long(None);
        assert!(text.starts_with(env!("CARGO_PKG_VERSION")) && !text.contains("commit"));
        assert!(long(Some(b"0123456789ab")).contains("\ncommit 0123456789ab\n"));
        assert!(text.contains("\nfeatures ") && text.contains("\nkernels "));
    }
}
