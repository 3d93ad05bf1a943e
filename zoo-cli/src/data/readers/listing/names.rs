//! Which image a table names.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use crate::data::{
    classes,
    splits::{self, Split},
};

/// The images of a store by their names.
pub(super) struct Names {
    /// Of each member its path, in composed characters.
    paths: HashMap<usize, PathBuf>,
    by_name: HashMap<String, Vec<usize>>,
    by_stem: HashMap<String, Vec<usize>>,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    One(usize),
    Missing,
    /// It leads out of the dataset.
    Outside,
    /// Two of the images that it may stand for.
    Several(usize, usize),
}

/// The part that the folders of a file say.
pub(super) fn split_of_folders(path: &Path) -> Option<Split> {
    let folders = path.parent()?.components().rev();
    folders
        .map(|folder| folder.as_os_str().to_string_lossy())
        .filter(|name| splits::is_plain(name))
        .find_map(|name| splits::in_name(&name))
}

/// A path below the root without `.` and `..`; nothing where it leads out.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::ParentDir if !inside.pop() => return None,
            _ => {}
        }
    }
    Some(inside)
}

impl Names {
    pub(super) fn of(members: &[PathBuf], images: &[usize]) -> Self {
        let mut names = Self {
            paths: HashMap::new(),
            by_name: HashMap::new(),
            by_stem: HashMap::new(),
        };
        for &member in images {
            let path = PathBuf::from(classes::normal(&members[member].to_string_lossy()));
            let text = |part: Option<&std::ffi::OsStr>| {
                part.unwrap_or_default().to_string_lossy().into_owned()
            };
            let (name, stem) = (text(path.file_name()), text(path.file_stem()));
            names.by_name.entry(name).or_default().push(member);
            names.by_stem.entry(stem).or_default().push(member);
            names.paths.insert(member, path);
        }
        names
    }

    /// The image that a table in `folder` names `name`: by its path from there or from the root, by the last part of
    /// its path, or by these without the extension. Of several the one below
    /// `folder`, or whose folders say the part of the table.
    pub(super) fn find(&self, name: &str, folder: &Path, split: Option<Split>) -> Named {
        let name = classes::normal(&name.replace('\\', "/"));
        let named = Path::new(&name);
        let wanted = match named.components().any(|part| part == Component::ParentDir) {
            true => inside(&folder.join(named)),
            false => inside(named),
        };
        let Some(wanted) = wanted else {
            return Named::Outside;
        };
        let Some(last) = wanted.file_name().map(|last| last.to_string_lossy()) else {
            return Named::Missing;
        };
        let whole = self.fitting(self.by_name.get(last.as_ref()), &wanted, Path::to_path_buf);
        let found = match whole.is_empty() {
            true => self.fitting(self.by_stem.get(last.as_ref()), &wanted, |path| {
                path.with_extension("")
            }),
            false => whole,
        };
        match found.as_slice() {
            [] => return Named::Missing,
            [one] => return Named::One(*one),
            _ => {}
        }
        let path = |member: &usize| self.paths.get(member).map(PathBuf::as_path);
        let exact = |at: &Path| {
            found.iter().copied().find(|member| {
                path(member).is_some_and(|path| path == at || path.with_extension("") == at)
            })
        };
        if let Some(member) = exact(&folder.join(&wanted)).or_else(|| exact(&wanted)) {
            return Named::One(member);
        }
        let only = |fits: &dyn Fn(&Path) -> bool| {
            let mut fitting = found.iter().filter(|member| path(member).is_some_and(fits));
            fitting.next().filter(|_| fitting.next().is_none()).copied()
        };
        only(&|path| path.starts_with(folder))
            .or_else(|| only(&|path| split.is_some() && split_of_folders(path) == split))
            .map_or(Named::Several(found[0], found[1]), Named::One)
    }

    /// Those of `candidates` whose path, seen by `as_named`, ends in `wanted`; or that `wanted`, written on another
    /// machine, ends in.
    fn fitting(
        &self,
        candidates: Option<&Vec<usize>>,
        wanted: &Path,
        as_named: impl Fn(&Path) -> PathBuf,
    ) -> Vec<usize> {
        let fits = |member: &&usize| {
            self.paths.get(member).is_some_and(|path| {
                let path = as_named(path);
                path.ends_with(wanted) || (path.components().count() > 1 && wanted.ends_with(&path))
            })
        };
        candidates
            .into_iter()
            .flatten()
            .filter(fits)
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_or_their_ends() {
        let members: Vec<PathBuf> = [
            "labels.csv",
            "train/1.png",
            "test/1.png",
            "train/2.jpg",
            "train/cafe\u{301}.png",
            "7.png",
        ]
        .map(PathBuf::from)
        .to_vec();
        let names = Names::of(&members, &[1, 2, 3, 4, 5]);
        for (name, folder, split, expected) in [
            ("train/1.png", "", None, Named::One(1)),
            ("./train\\1.png", "", None, Named::One(1)),
            ("1.png", "", None, Named::Several(1, 2)),
            ("1.png", "test", None, Named::One(2)),
            ("1", "", Some(Split::Train), Named::One(1)),
            ("2", "", None, Named::One(3)),
            ("2.png", "", None, Named::Missing),
            ("/elsewhere/set/train/1.png", "", None, Named::One(1)),
            ("/elsewhere/val/7.png", "", None, Named::Missing),
            ("7.png", "meta", None, Named::One(5)),
            ("caf\u{e9}.png", "", None, Named::One(4)),
            ("1.png", "train", None, Named::One(1)),
            ("../train/1.png", "meta", None, Named::One(1)),
            ("../1.png", "", None, Named::Outside),
            ("../../train/1.png", "meta", None, Named::Outside),
            ("", "", None, Named::Missing),
        ] {
            assert_eq!(
                names.find(name, Path::new(folder), split),
                expected,
                "{name}"
            );
        }
    }
}
