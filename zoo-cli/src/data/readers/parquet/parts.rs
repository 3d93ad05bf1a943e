//! Which part of the dataset each parquet file is, by its name and folders; and whether the files are those of one
//! dataset.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::malformed;
use crate::data::{
    DataError,
    splits::{self, Split},
};

/// Words of names that say nothing about which dataset it is.
const FILLER: [&str; 19] = [
    "of", "part", "partial", "shard", "chunk", "batch", "file", "set", "split", "data", "dataset",
    "snappy", "zstd", "gz", "gzip", "brotli", "br", "lz4", "default",
];

/// A parquet file of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Its path below that of the dataset.
    pub(super) name: PathBuf,
    /// Whether a column says the part of each row.
    pub(super) by_row: bool,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// All its rows are of this part.
    Part(Split),
    /// Each row says its part.
    Rows,
    /// It says no part, and others do.
    LeftOut,
}

/// The place of each file, and what is to be said about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) places: Vec<Place>,
    pub(super) notes: Vec<String>,
}

/// Assigns the files of the dataset at `path`; `alone` where it is the path of one file.
///
/// # Errors
/// An incomplete part, several datasets, or a file that may be the training part or not.
pub(super) fn assign(path: &Path, files: &[File], alone: bool) -> Result<Places, DataError> {
    let said: Vec<Option<Split>> = files
        .iter()
        .map(|file| splits::in_path(&file.name))
        .collect();
    let any_said = said.iter().any(Option::is_some) || files.iter().any(|file| file.by_row);
    let trains = said.contains(&Some(Split::Train)) || files.iter().any(|file| file.by_row);
    let mut places = Vec::with_capacity(files.len());
    for (file, split) in files.iter().zip(&said) {
        places.push(match split {
            Some(split) => Place::Part(*split),
            None if file.by_row => Place::Rows,
            None if !any_said => Place::Part(Split::Train),
            None if trains => Place::LeftOut,
            None => {
                return Err(malformed(
                    path,
                    format!(
                        "the file `{}` says no part, and beside it stands {} but no training part; put `train` into its \
                         name{}",
                        file.name.display(),
                        said_by(files, &said),
                        match said.contains(&Some(Split::Test)) {
                            true => ", or move it elsewhere to test a model on the others",
                            false => "",
                        }
                    ),
                ));
            }
        });
    }
    let used: Vec<(&Path, Place)> = files
        .iter()
        .zip(&places)
        .filter(|(_, place)| **place != Place::LeftOut)
        .map(|(file, place)| (file.name.as_path(), *place))
        .collect();
    let mut notes = one_dataset(path, &used)?;
    notes.extend(complete(path, &used, alone)?);
    Ok(Places { places, notes })
}

/// A file that says its part, for an error.
fn said_by(files: &[File], said: &[Option<Split>]) -> String {
    let mut files = files.iter().zip(said);
    files
        .find(|(_, split)| split.is_some())
        .map(|(file, _)| format!("`{}`", file.name.display()))
        .unwrap_or_default()
}

/// The words of a name that may be those of a dataset.
fn words(name: &str) -> Vec<String> {
    let is_hash = |word: &str| {
        word.len() >= 4
            && word.chars().all(|c| c.is_ascii_hexdigit())
            && word.contains(|c: char| c.is_ascii_digit())
    };
    let lower = name.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| {
            // `part0` is a part like `part`.
            let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
            !stem.is_empty()
                && !FILLER.contains(&stem)
                && stem != "c"
                && !is_hash(word)
                && splits::in_name(word).is_none()
        })
        .map(str::to_owned)
        .collect()
}

/// Which dataset a file belongs to: what its folders say beside the part, and its own name where that says the part.
fn key(name: &Path) -> (String, String) {
    let folders: Vec<String> = name
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .map(|folder| folder.as_os_str().to_string_lossy().into_owned())
        .filter_map(|folder| match splits::in_name(&folder) {
            Some(_) => Some(words(&folder).join(" ")).filter(|words| !words.is_empty()),
            None => Some(folder),
        })
        .collect();
    let stem = name
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let own = match splits::in_name(&stem) {
        Some(_) => words(&stem).join(" "),
        None => String::new(),
    };
    (folders.join("/"), own)
}

/// Whether the files are of one dataset.
fn one_dataset(path: &Path, used: &[(&Path, Place)]) -> Result<Vec<String>, DataError> {
    let mut datasets: BTreeMap<(String, String), Vec<(&Path, Place)>> = BTreeMap::new();
    for &(name, place) in used {
        datasets.entry(key(name)).or_default().push((name, place));
    }
    let part = |place: Place| match place {
        Place::Part(split) => split,
        Place::Rows | Place::LeftOut => Split::Train,
    };
    let parts_of = |files: &[(&Path, Place)]| -> BTreeSet<Split> {
        files.iter().map(|&(_, place)| part(place)).collect()
    };
    if datasets.len() > 1 {
        // `pets_train` and `animals_test` are the parts of one dataset: each name has its own part.
        let all: Vec<BTreeSet<Split>> = datasets.values().map(|files| parts_of(files)).collect();
        let distinct: BTreeSet<&Split> = all.iter().flatten().collect();
        if distinct.len() < all.len() || all.iter().any(|parts| parts.len() > 1) {
            return Err(malformed(path, several(path, &datasets)));
        }
    }
    // Files that say no part and are not merely numbered.
    let named: BTreeSet<Vec<String>> = used
        .iter()
        .filter(|(name, _)| splits::in_path(name).is_none())
        .map(|(name, _)| words(&name.file_stem().unwrap_or_default().to_string_lossy()))
        .collect();
    Ok(if named.len() > 1 {
        vec![format!(
            "{} files are read as one training part",
            used.len()
        )]
    } else {
        Vec::new()
    })
}

/// What to do about several datasets.
fn several(path: &Path, datasets: &BTreeMap<(String, String), Vec<(&Path, Place)>>) -> String {
    const SHOWN: usize = 3;
    let folders: Vec<PathBuf> = datasets.values().map(|files| common(files)).collect();
    let apart = folders.iter().enumerate().all(|(i, folder)| {
        let mut others = folders.iter().enumerate().filter(|(j, _)| *j != i);
        others.all(|(_, other)| !other.starts_with(folder))
    });
    let shown: Vec<String> = datasets
        .values()
        .zip(&folders)
        .take(SHOWN)
        .map(|(files, folder)| match (apart, files.first()) {
            (false, Some((name, _))) => format!("`{}`", name.display()),
            _ => format!("`{}`", folder.display()),
        })
        .collect();
    let more = match datasets.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let next = match folders.first() {
        Some(folder) if apart => format!("give one of them, as {}", path.join(folder).display()),
        _ => "put the files of one of them into a folder of their own and give that".into(),
    };
    format!(
        "it holds several datasets, with {}{more}; {next}",
        shown.join(", ")
    )
}

/// The folder that these files have in common.
fn common(files: &[(&Path, Place)]) -> PathBuf {
    let parent = |name: &Path| name.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut folders = files.iter().map(|(name, _)| parent(name));
    let Some(mut common) = folders.next() else {
        return PathBuf::new();
    };
    for folder in folders {
        while !folder.starts_with(&common) {
            common.pop();
        }
    }
    common
}

/// The place of a file in `NAME-00000-of-00002`: the name before it, the number and the count.
fn numbered(name: &Path) -> Option<(PathBuf, usize, usize)> {
    let stem = name.file_stem()?.to_str()?;
    let words: Vec<&str> = stem.split('-').collect();
    let at = words.windows(3).position(|three| three[1] == "of")?;
    let (number, count) = (words[at].parse().ok()?, words[at + 2].parse().ok()?);
    Some((name.with_file_name(words[..at].join("-")), number, count))
}

/// Whether all files of each `…-of-00002` are there.
fn complete(
    path: &Path,
    used: &[(&Path, Place)],
    alone: bool,
) -> Result<Option<String>, DataError> {
    let mut series: BTreeMap<PathBuf, BTreeMap<usize, (&Path, usize)>> = BTreeMap::new();
    for &(name, _) in used {
        let Some((before, number, count)) = numbered(name) else {
            continue;
        };
        if alone {
            return Ok((count > 1).then(|| {
                format!(
                    "`{}` is one of {count} files, the others are not read",
                    name.display()
                )
            }));
        }
        let files = series.entry(before).or_default();
        let other = match files.get(&number) {
            Some((other, _)) => Some(*other),
            None => files
                .values()
                .find(|(_, stated)| *stated != count)
                .map(|(other, _)| *other),
        };
        if let Some(other) = other {
            return Err(malformed(
                path,
                format!(
                    "its files `{}` and `{}` are not of one writing; move the files of one of them elsewhere",
                    other.display(),
                    name.display()
                ),
            ));
        }
        files.insert(number, (name, count));
    }
    for (before, files) in series {
        let Some((_, &(_, count))) = files.first_key_value() else {
            continue;
        };
        // Some writers count from 1.
        let first = usize::from(!files.contains_key(&0) && files.contains_key(&count));
        let missing =
            (first..first.saturating_add(count)).find(|number| !files.contains_key(number));
        if let Some(missing) = missing {
            let stem = before.display();
            return Err(malformed(
                path,
                format!(
                    "its `{stem}-{missing:05}-of-{count:05}.parquet` is not there, only {} of {count}; fetch the others, \
                     or rename what is there without `-of-`, as `{stem}-0.parquet`, to do without them",
                    files.len()
                ),
            ));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
