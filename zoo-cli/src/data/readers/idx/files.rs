//! Which IDX files belong together: those of one folder whose names say one set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::naming::{Named, Role, recognise, without_gz, words};
use crate::data::{
    DataError, SkippedFile, input, inventory::Inventory, splits::Split, store::Store,
};

const FORMAT: &str = "a folder of IDX files";

/// The files among which sets are looked for.
pub(super) struct Files<'a> {
    store: &'a Store,
    /// The files of the folder where one file was given, which stands for its set.
    beside: Option<Vec<PathBuf>>,
    named: BTreeMap<usize, Named>,
}

/// The two files of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) images: usize,
    pub(super) labels: usize,
}

/// One set.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) pairs: BTreeMap<Split, Pair>,
    /// EMNIST's table of classes.
    pub(super) mapping: Option<usize>,
    /// The words of its name.
    pub(super) set: String,
    /// Packed copies of files of the set.
    copies: Vec<usize>,
}

impl Chosen {
    /// The files to read, ascending.
    pub(super) fn members(&self) -> Vec<usize> {
        let pairs = self.pairs.values();
        let mut members: Vec<usize> = pairs
            .flat_map(|pair| [pair.images, pair.labels])
            .chain(self.mapping)
            .collect();
        members.sort_unstable();
        members
    }

    pub(super) fn first(&self) -> usize {
        self.pairs.values().next().map_or(0, |pair| pair.images)
    }

    /// Whether rows and columns are exchanged.
    pub(super) fn is_emnist(&self) -> bool {
        words(&self.set).contains(&"emnist")
    }
}

impl<'a> Files<'a> {
    pub(super) fn list(store: &'a Store, path: &Path) -> Result<Self, DataError> {
        let single = match store.members() {
            [only] => !store.is_archive() && path.file_name() == Some(only.as_os_str()),
            _ => false,
        };
        let mut files = Self {
            store,
            beside: None,
            named: BTreeMap::new(),
        };
        if single && recognise(&store.members()[0]).is_some_and(|named| named.sure) {
            files.beside = Some(siblings(path)?);
        }
        files.named = files
            .names()
            .iter()
            .enumerate()
            .filter_map(|(member, file)| recognise(file).map(|named| (member, named)))
            .collect();
        files.keep_idx()?;
        Ok(files)
    }

    /// The files by their paths within the folder.
    fn names(&self) -> &[PathBuf] {
        match &self.beside {
            Some(files) => files,
            None => self.store.members(),
        }
    }

    /// The whole path of a file.
    pub(super) fn path(&self, member: usize) -> PathBuf {
        match &self.beside {
            Some(files) => self.store.path(0).with_file_name(&files[member]),
            None => self.store.path(member),
        }
    }

    /// Reads these files, ascending.
    pub(super) fn visit(
        &self,
        wanted: &[usize],
        visit: &mut dyn FnMut(usize, &mut dyn Read) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        if self.beside.is_none() {
            return self.store.visit(wanted, visit);
        }
        for &member in wanted {
            visit(member, &mut input::open(&self.path(member))?)?;
        }
        Ok(())
    }

    /// Forgets files whose names do not say IDX and whose content is of another kind.
    fn keep_idx(&mut self) -> Result<(), DataError> {
        let doubtful: Vec<usize> = self
            .named
            .iter()
            .filter(|(_, named)| !named.sure)
            .map(|(&member, _)| member)
            .collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        let mut others = Vec::new();
        self.visit(&doubtful, &mut |member, content| {
            // What cannot be read is not known to be IDX.
            let start = input::read_up_to(content, 4).unwrap_or_default();
            if !matches!(start[..], [0, 0, 0x08..=0x0e, 1..=4]) {
                others.push(member);
            }
            Ok(())
        })?;
        self.named.retain(|member, _| !others.contains(member));
        Ok(())
    }

    /// The one set of these files, or nothing where there is none.
    ///
    /// # Errors
    /// Several sets, or files of a pair that are absent or lie elsewhere.
    pub(super) fn choose(&self, path: &Path) -> Result<Option<Chosen>, DataError> {
        let given = match (&self.beside, path.file_name()) {
            (Some(files), Some(name)) => files.iter().position(|file| file == name),
            _ => None,
        };
        let given = given.and_then(|member| self.named.get(&member));
        let sets: BTreeSet<&(PathBuf, String)> = match given {
            Some(named) => [&named.set].into(),
            None => self.named.values().map(|named| &named.set).collect(),
        };
        let mut sets_left = sets.iter();
        match (sets_left.next(), sets_left.next()) {
            (None, _) => Ok(None),
            (Some(set), None) => self.pairs(set).map(Some),
            _ => Err(self.several(path, &sets)),
        }
    }

    /// The files of a set with this role.
    fn of_role(&self, set: &(PathBuf, String), role: Role) -> impl Iterator<Item = usize> {
        let set = set.clone();
        self.named
            .iter()
            .filter(move |(_, named)| named.set == set && named.role == role)
            .map(|(&member, _)| member)
    }

    fn several(&self, path: &Path, sets: &BTreeSet<&(PathBuf, String)>) -> DataError {
        let shown = |member: usize| format!("`{}`", self.names()[member].display());
        let malformed = |problem| DataError::Malformed {
            path: path.into(),
            format: FORMAT,
            problem,
        };
        let complete = sets.iter().filter(|set| {
            let has = |role| self.of_role(set, role).next().is_some();
            has(Role::Images) && has(Role::Labels)
        });
        if complete.count() == 0 {
            let first = |role| {
                let mut found = sets.iter().filter_map(|set| self.of_role(set, role).next());
                found.next().map(shown)
            };
            if let (Some(images), Some(labels)) = (first(Role::Images), first(Role::Labels)) {
                return malformed(format!(
                    "the labels of {images} do not lie beside it, and {labels} lies apart and may belong to other images; \
                     put the two files that belong together into one folder, named alike"
                ));
            }
        }
        let firsts: Vec<usize> = sets
            .iter()
            .filter_map(|set| {
                let mut files = self.of_role(set, Role::Images);
                files
                    .next()
                    .or_else(|| self.of_role(set, Role::Labels).next())
            })
            .collect();
        let list: Vec<String> = firsts.iter().take(8).map(|&member| shown(member)).collect();
        malformed(format!(
            "it holds {} sets of IDX files, those of {}{}; {}give one of these files, and the others of its set are taken with it",
            firsts.len(),
            list.join(", "),
            if firsts.len() > list.len() {
                ", …"
            } else {
                ""
            },
            if self.store.is_archive() {
                "unpack it and "
            } else {
                ""
            },
        ))
    }

    fn pairs(&self, set: &(PathBuf, String)) -> Result<Chosen, DataError> {
        let mut found: BTreeMap<(Split, Role), usize> = BTreeMap::new();
        let mut copies = Vec::new();
        for (&member, named) in self.named.iter().filter(|(_, named)| named.set == *set) {
            let Some(&before) = found.get(&(named.split, named.role)) else {
                found.insert((named.split, named.role), member);
                continue;
            };
            // A download and what was unpacked from it: `a` sorts before `a.gz`.
            let [one, other] = [before, member].map(|member| &self.names()[member]);
            if one.parent() == other.parent() && without_gz(one) == without_gz(other) {
                copies.push(member);
                continue;
            }
            return Err(DataError::Malformed {
                path: self.path(member),
                format: FORMAT,
                problem: format!(
                    "it stands for the same part as `{}`; keep one of the two",
                    one.display()
                ),
            });
        }
        let splits: BTreeSet<Split> = found.keys().map(|(split, _)| *split).collect();
        let mut pairs = BTreeMap::new();
        for split in splits {
            let file = |role| found.get(&(split, role)).copied();
            match (file(Role::Images), file(Role::Labels)) {
                (Some(images), Some(labels)) => {
                    pairs.insert(split, Pair { images, labels });
                }
                (Some(images), None) => return Err(self.lacks(images, Role::Labels)),
                (_, Some(labels)) => return Err(self.lacks(labels, Role::Images)),
                (None, None) => {}
            }
        }
        let name = match set.1.as_str() {
            "" => "mapping.txt".to_owned(),
            set => format!("{set}-mapping.txt"),
        };
        let mapping = self.names().iter().position(|file| {
            file.parent() == Some(&set.0)
                && file
                    .file_name()
                    .is_some_and(|file| file.eq_ignore_ascii_case(&name))
        });
        Ok(Chosen {
            pairs,
            mapping,
            set: set.1.clone(),
            copies,
        })
    }

    /// The other file of a pair is absent.
    fn lacks(&self, member: usize, role: Role) -> DataError {
        let file = self.path(member);
        let name = without_gz(&file).unwrap_or_default();
        let absent = match role {
            Role::Labels if name.contains("qmnist") => name
                .replace("images", "labels")
                .replace("idx3-ubyte", "idx2-int"),
            Role::Labels => name.replace("images", "labels").replace("idx3", "idx1"),
            Role::Images => name
                .replace("labels", "images")
                .replace("idx1", "idx3")
                .replace("idx2-int", "idx3-ubyte"),
        };
        let (what, other) = match role {
            Role::Labels => ("labels", "images"),
            Role::Images => ("images", "labels"),
        };
        DataError::Malformed {
            path: file,
            format: FORMAT,
            problem: format!("its {what} `{absent}` are missing; put them beside the {other}"),
        }
    }

    /// What should be read and cannot be; beside one file that was given lies what nobody asked for.
    pub(super) fn failed(&self) -> &[SkippedFile] {
        match self.beside {
            Some(_) => &[],
            None => self.store.failed(),
        }
    }

    /// Notes the files that are not read.
    pub(super) fn leave_out_rest(&self, inventory: &mut Inventory, chosen: &Chosen) {
        let read = chosen.members();
        if self.beside.is_none() {
            for (reason, file) in self.store.left_out() {
                inventory.leave_out(reason.clone(), file.display().to_string());
            }
        }
        for (member, file) in self.names().iter().enumerate() {
            let asked = self.beside.is_none() || chosen.copies.contains(&member);
            if read.contains(&member) || !asked {
                continue;
            }
            let reason = match chosen.copies.contains(&member) {
                true => "packed, beside their unpacked copies",
                false => "that are no IDX files of this set",
            };
            inventory.leave_out(reason, file.display().to_string());
        }
    }
}

/// The names of the files in the folder of this file, sorted.
fn siblings(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |reason| input::read_failed(folder, reason);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            names.push(PathBuf::from(entry.file_name()));
        }
    }
    names.sort();
    Ok(names)
}
