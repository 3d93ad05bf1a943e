//! The file list of a commit: read from the server or the cache, and never believed before every
//! path and hash in it is checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use super::client::Client;
use super::{HubError, RepoId, RepoKind, Revision};
use crate::package::sums::is_hex;

/// More files than any repository that this program has a use for.
const MAX_FILES: usize = 100_000;

/// One file of a commit.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Relative, `/` between directories, safe to join to a directory.
    pub(super) path: String,
    /// In bytes.
    pub(super) size: u64,
    /// Of the bytes.
    pub(super) checksum: Checksum,
    /// The git object: of the bytes themselves, or of the pointer that stands for them in git.
    blob_id: String,
    xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct RevisionInfo {
    sha: String,
}

/// A row of `/tree`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    oid: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    path: String,
    lfs: Option<Lfs>,
    xet_hash: Option<String>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "sha256")]
    oid: String,
    size: u64,
}

/// The list as Python's library keeps it in `trees/COMMIT.json`.
#[derive(Serialize, Deserialize)]
struct CachedTree {
    format_version: u32,
    files: BTreeMap<String, CachedRow>,
}

#[derive(Serialize, Deserialize)]
struct CachedRow {
    size: u64,
    blob_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xet_hash: Option<String>,
}

/// The commit that a revision stands for.
pub(super) fn commit(
    client: &Client,
    repo: &RepoId,
    kind: RepoKind,
    revision: &Revision,
) -> Result<String, HubError> {
    if revision.is_commit() {
        return Ok(revision.as_str().to_owned());
    }
    let url = client.url(&[
        "api",
        kind.plural(),
        repo.owner(),
        repo.name(),
        "revision",
        revision.as_str(),
    ]);
    let (info, _) = client.get_json::<RevisionInfo>(url, &format!("{repo}@{revision}"))?;
    if is_hex(&info.sha, 40) {
        Ok(info.sha)
    } else {
        Err(client.protocol("with a commit that is not 40 hexadecimal digits"))
    }
}

/// Every file of a commit, sorted by path.
pub(super) fn list(
    client: &Client,
    repo: &RepoId,
    kind: RepoKind,
    commit: &str,
) -> Result<Vec<Entry>, HubError> {
    let mut url = client.url(&[
        "api",
        kind.plural(),
        repo.owner(),
        repo.name(),
        "tree",
        commit,
    ]);
    url.set_query(Some("recursive=true"));
    let mut entries = Vec::new();
    let mut next = Some(url);
    let mut seen = BTreeSet::new();
    while let Some(url) = next {
        if !seen.insert(url.to_string()) || entries.len() > MAX_FILES {
            return Err(client.protocol("with a file list that has no end"));
        }
        let (rows, following) = client.get_json::<Vec<Row>>(url, &format!("{repo}@{commit}"))?;
        for row in rows.into_iter().filter(|row| row.kind != "directory") {
            let (size, lfs) = match row.lfs {
                Some(lfs) => (lfs.size, Some(lfs.oid)),
                None => (row.size.unwrap_or(0), None),
            };
            if !is_safe_path(&row.path) {
                return Err(HubError::UnsafePath {
                    repo: repo.to_string(),
                    path: row.path.escape_debug().to_string(),
                });
            }
            let oid = row.oid.unwrap_or_default();
            let entry = entry(row.path, size, oid, lfs, row.xet_hash);
            entries.push(entry.ok_or_else(|| {
                client.protocol("with a file list whose hashes are not 40 or 64 hexadecimal digits")
            })?);
        }
        next = following;
    }
    sorted(entries).ok_or_else(|| client.protocol("with a file list that names a path twice"))
}

/// Parses `trees/COMMIT.json`; `None` when it is damaged, unsafe or of another version.
pub(super) fn from_cache(text: &[u8]) -> Option<Vec<Entry>> {
    let tree: CachedTree = serde_json::from_slice(text).ok()?;
    if tree.format_version != 1 {
        return None;
    }
    let entries: Option<Vec<_>> = tree
        .files
        .into_iter()
        .map(|(path, row)| {
            let size = row.lfs_size.unwrap_or(row.size);
            is_safe_path(&path)
                .then(|| entry(path, size, row.blob_id, row.lfs_sha256, row.xet_hash))?
        })
        .collect();
    sorted(entries?)
}

/// The text of `trees/COMMIT.json`.
pub(super) fn to_cache(entries: &[Entry]) -> Vec<u8> {
    let files = entries.iter().map(|entry| {
        let lfs = match &entry.checksum {
            Checksum::Sha256(digits) => Some(digits.clone()),
            Checksum::Git(_) => None,
        };
        let row = CachedRow {
            size: entry.size,
            blob_id: entry.blob_id.clone(),
            lfs_size: lfs.as_ref().map(|_| entry.size),
            lfs_sha256: lfs,
            xet_hash: entry.xet_hash.clone(),
        };
        (entry.path.clone(), row)
    });
    let tree = CachedTree {
        format_version: 1,
        files: files.collect(),
    };
    serde_json::to_vec_pretty(&tree).unwrap_or_default()
}

fn entry(
    path: String,
    size: u64,
    blob_id: String,
    lfs: Option<String>,
    xet_hash: Option<String>,
) -> Option<Entry> {
    let git = Checksum::parse(&blob_id)?;
    let checksum = match lfs {
        Some(digits) => {
            Checksum::parse(&digits).filter(|sum| matches!(sum, Checksum::Sha256(_)))?
        }
        None => git,
    };
    Some(Entry {
        path,
        size,
        checksum,
        blob_id,
        xet_hash: xet_hash.filter(|hash| is_hex(hash, 64)),
    })
}

/// Sorts; `None` when a path occurs twice, or is both a file and a directory.
fn sorted(mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let sound = paths.len() == entries.len()
        && entries.iter().all(|entry| {
            entry
                .path
                .match_indices('/')
                .all(|(at, _)| !paths.contains(&entry.path[..at]))
        });
    sound.then_some(entries)
}

/// Whether a path stays inside any directory it is joined to, on every system.
fn is_safe_path(path: &str) -> bool {
    path.len() <= 1024
        && !path.contains(|c: char| c.is_control() || c == '\\')
        && !(cfg!(windows) && path.contains(':'))
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in [
            "a",
            "a/b.txt",
            ".gitattributes",
            "data/train-00000-of-00001.parquet",
            "a..b",
        ] {
            assert!(is_safe_path(good), "{good:?}");
        }
        for bad in [
            "", "/etc/x", "../../x", "a/../b", "a//b", "a/", "./a", "a\\b", "a\0b", "a\nb",
        ] {
            assert!(!is_safe_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_cached_list_round_trips_and_damage_is_seen() {
        let blob = "c".repeat(40);
        let lfs = "d".repeat(64);
        let entries = vec![
            entry("a/b".into(), 3, blob.clone(), None, None).unwrap(),
            entry("c".into(), 9, blob.clone(), Some(lfs), Some("e".repeat(64))).unwrap(),
        ];
        let text = to_cache(&entries);
        let read = from_cache(&text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{entries:?}"));
        assert!(from_cache(&text[..text.len() - 2]).is_none());
        let text = String::from_utf8(text).unwrap();
        for (from, to) in [
            ("a/b", "../b"),
            ("a/b", "c/b"),
            ("cccc", "c/cc"),
            (": 1", ": 2"),
        ] {
            assert!(
                from_cache(text.replace(from, to).as_bytes()).is_none(),
                "{from} -> {to}"
            );
        }
    }
}
