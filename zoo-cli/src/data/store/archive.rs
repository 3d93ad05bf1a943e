//! What tar and zip archives have in common: which of their entries are members.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use super::{Content, LeftOut};
use crate::data::{DataError, SkippedFile, input, walk};

/// The most files that an archive may hold.
pub(super) const MAX_MEMBERS: usize = 20_000_000;

/// What an archive holds.
#[derive(Default)]
pub(super) struct Listing {
    /// Path, position among the archive's entries, and content, where that was found out in passing.
    pub(super) members: Vec<(PathBuf, usize, Option<Content>)>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) failed: Vec<SkippedFile>,
    /// The folders that it names; after [`Listing::sorted`] those with nothing in them.
    pub(super) folders: Vec<PathBuf>,
}

pub(super) fn refused(root: &Path, format: &'static str, problem: impl Into<String>) -> DataError {
    DataError::Malformed {
        path: root.into(),
        format,
        problem: problem.into(),
    }
}

/// The error for an archive whose reading failed part-way.
pub(super) fn failed(root: &Path, format: &'static str, reason: io::Error) -> DataError {
    match reason.kind() {
        io::ErrorKind::FileTooLarge => input::read_failed(root, reason),
        io::ErrorKind::Unsupported => refused(root, format, reason.to_string()),
        _ => refused(root, format, format!("{reason}; fetch it again")),
    }
}

/// Whether an entry is the archive's own root, which some programs pack as `./`.
pub(super) fn is_root(path: &Path) -> bool {
    path.components().all(|part| part == Component::CurDir)
}

/// The path of an entry as a member: `./a/b` and `a/b` are one.
///
/// # Errors
/// When it leads out of the archive.
pub(super) fn member_path(
    root: &Path,
    format: &'static str,
    path: &Path,
) -> Result<PathBuf, DataError> {
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let member: PathBuf = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    if !inside || member.as_os_str().is_empty() {
        return Err(leads_out(root, format, path));
    }
    Ok(member)
}

fn leads_out(root: &Path, format: &'static str, path: &Path) -> DataError {
    let problem = format!(
        "its entry `{}` leads out of the archive; fetch it from a source that you trust",
        path.display()
    );
    refused(root, format, problem)
}

impl Listing {
    /// Whether a file at this path is left out because of its name; it is noted then.
    pub(super) fn leaves_out(&mut self, path: &Path) -> bool {
        let Some(reason) = walk::left_out_reason(path) else {
            return false;
        };
        self.left_out.push((reason.into(), path.into()));
        true
    }

    /// Notes a link, which is not followed. Targets of hard links are paths in the archive, those of symbolic links
    /// are relative to the link's folder.
    ///
    /// # Errors
    /// When it leads out of the archive.
    pub(super) fn link(
        &mut self,
        root: &Path,
        format: &'static str,
        path: PathBuf,
        target: &Path,
        hard: bool,
    ) -> Result<(), DataError> {
        let mut depth = if hard {
            0
        } else {
            path.components().count() as i64 - 1
        };
        for part in target.components() {
            match part {
                Component::Normal(_) => depth += 1,
                Component::CurDir => {}
                Component::ParentDir => depth -= 1,
                Component::RootDir | Component::Prefix(_) => depth = -1,
            }
            if depth < 0 {
                return Err(leads_out(root, format, &path));
            }
        }
        let reason = "that are links (pack the files themselves: `tar --dereference --hard-dereference`, zip without `-y`)";
        self.left_out.push((reason.into(), path));
        Ok(())
    }

    /// Notes a device, a pipe and the like.
    pub(super) fn special(&mut self, root: &Path, path: &Path) {
        let path = root.join(path);
        self.failed.push(SkippedFile {
            reason: DataError::NotRead {
                path: path.clone(),
                problem: "it is neither a file nor a folder; pack files only".into(),
            }
            .to_string(),
            path,
        });
    }

    /// The members, sorted.
    ///
    /// # Errors
    /// When there are none, or two of one path.
    pub(super) fn sorted(mut self, root: &Path, format: &'static str) -> Result<Self, DataError> {
        if self.members.is_empty() {
            return Err(DataError::Empty { path: root.into() });
        }
        self.members.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = self.members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let problem = format!("it holds `{}` twice; pack it afresh", pair[0].0.display());
            return Err(refused(root, format, problem));
        }
        let (members, left_out) = (&self.members, &self.left_out);
        self.folders.retain(|folder| {
            let next = members.partition_point(|(member, ..)| member < folder);
            let is_in = |file: &PathBuf| file.starts_with(folder);
            !members.get(next).is_some_and(|(member, ..)| is_in(member))
                && !left_out.iter().any(|(_, file)| is_in(file))
        });
        Ok(self)
    }
}
