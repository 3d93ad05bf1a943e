//! One list of classes for all files: matched by name, because the same number may mean another class in another
//! file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::malformed;
use crate::data::{DataError, classes, inventory::shown, parts::MAX_CLASSES, splits::Split};

/// The number that the libraries write for a row without a class.
const UNLABELLED: i64 = -1;

/// The label of a row as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Null.
    Missing,
    Number(i64),
    /// An index into [`Labels::texts`].
    Text(u32),
}

/// The labels of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    /// The file, for errors.
    pub(super) path: PathBuf,
    pub(super) rows: Vec<Value>,
    /// The distinct names, where they are no numbers.
    pub(super) texts: Vec<String>,
    /// The names of the numbers.
    pub(super) names: Option<Vec<String>>,
    /// The part of each row, none where it belongs to none.
    pub(super) splits: Vec<Option<Split>>,
}

/// What a row is to be learned as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// An index into [`Classes::names`].
    Class(u32),
    /// Null: it is named.
    Missing,
    /// Marked as unlabelled: it is counted.
    Unlabelled,
}

/// The classes of all files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) names: Vec<String>,
    /// Of each file the label of each row.
    pub(super) rows: Vec<Vec<Label>>,
    pub(super) notes: Vec<String>,
}

/// The class of a row by name, before all names are known.
enum Named<'a> {
    Class(&'a str),
    /// A number that nothing names.
    Number(i64),
    Missing,
    Unlabelled,
}

/// The labels of a file, with those of a part that has none at all marked as unlabelled, as a test part may be.
pub(super) fn unlabelled_parts(rows: Vec<Value>, splits: &[Option<Split>]) -> Vec<Value> {
    let labelled: BTreeSet<Option<Split>> = rows
        .iter()
        .zip(splits)
        .filter(|(value, _)| **value != Value::Missing)
        .map(|(_, split)| *split)
        .collect();
    rows.into_iter()
        .zip(splits)
        .map(|(value, split)| match labelled.contains(split) {
            true => value,
            false => Value::Number(UNLABELLED),
        })
        .collect()
}

/// A file with its names in one form.
struct File<'a> {
    labels: &'a Labels,
    texts: Vec<String>,
    names: Option<Vec<String>>,
}

impl File<'_> {
    fn row(&self, index: usize, value: Value) -> Result<Named<'_>, DataError> {
        let (number, names) = match value {
            Value::Missing => return Ok(Named::Missing),
            Value::Text(text) => return Ok(Named::Class(&self.texts[text as usize])),
            Value::Number(UNLABELLED) => return Ok(Named::Unlabelled),
            Value::Number(number) => (number, self.names.as_ref()),
        };
        let classes = names.map_or(MAX_CLASSES, Vec::len);
        let place = usize::try_from(number)
            .ok()
            .filter(|&place| names.is_none() || place < classes);
        match (place, names) {
            (Some(place), Some(names)) => Ok(Named::Class(&names[place])),
            (Some(_), None) => Ok(Named::Number(number)),
            (None, _) => Err(DataError::Label {
                path: self.labels.path.clone(),
                index,
                label: number,
                classes,
            }),
        }
    }

    /// Whether it has an image to learn from.
    fn trains(&self) -> bool {
        let mut rows = self.labels.rows.iter().zip(&self.labels.splits);
        rows.any(|(value, &split)| {
            split == Some(Split::Train)
                && !matches!(value, Value::Missing | Value::Number(UNLABELLED))
        })
    }

    /// Whether it has numbers without names.
    fn has_numbers(&self) -> bool {
        self.names.is_none()
            && self
                .labels
                .rows
                .iter()
                .any(|value| matches!(value, Value::Number(number) if *number != UNLABELLED))
    }
}

/// One list of classes for the labels of all files of the dataset at `path`.
///
/// # Errors
/// A number beyond the names or below −1, numbers whose names cannot be told, a class that the training part lacks.
pub(super) fn resolve(path: &Path, files: &[Labels]) -> Result<Classes, DataError> {
    let mut files: Vec<File<'_>> = files
        .iter()
        .map(|labels| File {
            labels,
            texts: labels
                .texts
                .iter()
                .map(|name| classes::normal(name.trim()))
                .collect(),
            names: labels.names.as_ref().map(|names| {
                names
                    .iter()
                    .map(|name| classes::normal(name.trim()))
                    .collect()
            }),
        })
        .collect();
    let mut notes: Vec<String> = trimmed(&files).into_iter().collect();
    lend_names(path, &mut files, &mut notes)?;
    if let Some(note) = differing_lists(&files) {
        notes.push(note);
    }
    let named: Vec<Vec<Named<'_>>> = files
        .iter()
        .map(|file| {
            let rows = file.labels.rows.iter().enumerate();
            rows.map(|(index, &value)| file.row(index, value)).collect()
        })
        .collect::<Result<_, _>>()?;

    let training = files.iter().any(File::trains);
    let decides = |split: Option<Split>| split == Some(Split::Train) || !training;
    let mut list = ClassList::default();
    for file in files.iter().filter(|file| file.trains() || !training) {
        file.names.iter().flatten().for_each(|name| list.add(name));
    }
    let used = |all: bool| {
        let files = files.iter().zip(&named);
        files.flat_map(move |(file, rows)| {
            let rows = rows.iter().zip(&file.labels.splits);
            rows.filter_map(move |(row, &split)| (all || decides(split)).then_some(row))
        })
    };
    let texts: BTreeSet<&str> = used(false)
        .filter_map(|row| match row {
            Named::Class(name) => Some(*name),
            _ => None,
        })
        .collect();
    // Names that the writer listed are what they are.
    let listed = |name: &str| {
        files
            .iter()
            .any(|file| file.names.iter().flatten().any(|known| known == name))
    };
    let unlisted = texts.iter().copied().filter(|name| !listed(name)).collect();
    if let Some((several, between)) = classes::several_in_one(&unlisted) {
        return Err(malformed(
            path,
            format!(
                "its column of classes holds several in a row, such as `{}`; give each image one class, or put `_` in place of \
                 `{between}` where it is the name of one class",
                shown(several)
            ),
        ));
    }
    let numbers: BTreeSet<i64> = used(false)
        .filter_map(|row| match row {
            Named::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    // Numbers from 0 are the places in a list of classes; others only tell the classes apart.
    let numbers: BTreeSet<i64> = match numbers.last() {
        Some(&last) if numbers.contains(&0) && last < MAX_CLASSES as i64 => (0..=last).collect(),
        _ => numbers,
    };
    numbers
        .iter()
        .for_each(|number| list.add(&number.to_string()));
    texts.into_iter().for_each(|name| list.add(name));
    if list.names.len() > MAX_CLASSES {
        return Err(malformed(
            path,
            format!(
                "it has {} classes, the limit is {MAX_CLASSES}; take a column of fewer classes for the labels",
                list.names.len()
            ),
        ));
    }

    let mut rows = Vec::with_capacity(files.len());
    let mut has_image = BTreeSet::new();
    for (file, named) in files.iter().zip(&named) {
        let mut labels = Vec::with_capacity(named.len());
        for (row, &split) in named.iter().zip(&file.labels.splits) {
            let number;
            let name = match row {
                Named::Missing => {
                    labels.push(Label::Missing);
                    continue;
                }
                Named::Unlabelled => {
                    labels.push(Label::Unlabelled);
                    continue;
                }
                Named::Class(name) => *name,
                Named::Number(value) => {
                    number = value.to_string();
                    &number
                }
            };
            labels.push(match (list.places.get(name), split) {
                (Some(&class), _) => {
                    if decides(split) {
                        has_image.insert(class);
                    }
                    Label::Class(class)
                }
                // The row is read by nobody.
                (None, None) => Label::Unlabelled,
                (None, Some(_)) => {
                    return Err(malformed(
                        &file.labels.path,
                        format!(
                            "it has the class `{}` that the training part lacks; add training images of it, or take \
                             its rows out",
                            shown(name)
                        ),
                    ));
                }
            });
        }
        rows.push(labels);
    }
    let without: Vec<&str> = (0u32..)
        .zip(&list.names)
        .filter(|(class, _)| !has_image.contains(class))
        .map(|(_, name)| name.as_str())
        .collect();
    if training && !without.is_empty() && !has_image.is_empty() {
        notes.push(lacking(&without));
    }
    Ok(Classes {
        names: list.names,
        rows,
        notes,
    })
}

/// Classes in their order.
#[derive(Default)]
struct ClassList {
    names: Vec<String>,
    places: BTreeMap<String, u32>,
}

impl ClassList {
    fn add(&mut self, name: &str) {
        if !self.places.contains_key(name) {
            self.places.insert(name.to_owned(), self.names.len() as u32);
            self.names.push(name.to_owned());
        }
    }
}

fn lacking(classes: &[&str]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = classes
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", shown(name)))
        .collect();
    match classes.len() {
        1 => format!("no training image is of the class {}", names.concat()),
        count if count <= SHOWN => {
            format!("no training image is of the classes {}", names.join(", "))
        }
        count => format!(
            "no training image is of the classes {} and {} more",
            names.join(", "),
            count - SHOWN
        ),
    }
}

/// Gives the names that one file has for its numbers to the files that have none, where only one list is there.
fn lend_names(
    path: &Path,
    files: &mut [File<'_>],
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let lists: BTreeSet<Vec<String>> = files.iter().filter_map(|file| file.names.clone()).collect();
    let numbered: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.has_numbers())
        .map(|file| file.labels.path.clone())
        .collect();
    let Some(first) = numbered.first() else {
        return Ok(());
    };
    let is_number = |name: &String| name.parse::<i64>().is_ok();
    let texts = files
        .iter()
        .flat_map(|file| file.texts.iter().map(move |name| (file, name)))
        .find(|(_, name)| !is_number(name));
    if let Some((file, name)) = texts {
        return Err(malformed(
            path,
            format!(
                "`{}` numbers its classes and `{}` names them, as `{}`; write the names in both",
                short(first),
                short(&file.labels.path),
                shown(name)
            ),
        ));
    }
    let mut lists = lists.into_iter();
    let (Some(list), rest) = (lists.next(), lists.next()) else {
        return Ok(());
    };
    if rest.is_some() {
        return Err(malformed(
            path,
            format!(
                "`{}` numbers its classes without their names, and other files disagree on the names; write the names in \
                 all files",
                short(first)
            ),
        ));
    }
    notes.push(format!(
        "`{}` has no names for its classes: they are taken from the other files",
        short(first)
    ));
    for file in files.iter_mut().filter(|file| file.has_numbers()) {
        file.names = Some(list.clone());
    }
    Ok(())
}

/// A note where the same number means different classes.
fn differing_lists(files: &[File<'_>]) -> Option<String> {
    let mut lists = files
        .iter()
        .filter_map(|file| Some((file, file.names.as_ref()?)));
    let (first, names) = lists.next()?;
    let (other, _) = lists.find(|(_, other)| other.iter().zip(names).any(|(a, b)| a != b))?;
    Some(format!(
        "the class numbers of `{}` and `{}` mean different classes: they are matched by name",
        short(&first.labels.path),
        short(&other.labels.path)
    ))
}

/// A note where spaces around names are taken away.
fn trimmed(files: &[File<'_>]) -> Option<String> {
    let (mut rows, mut first) = (0, None);
    for labels in files.iter().map(|file| file.labels) {
        for value in &labels.rows {
            let name = match *value {
                Value::Text(text) => labels.texts.get(text as usize),
                Value::Number(number) => usize::try_from(number)
                    .ok()
                    .and_then(|number| labels.names.as_ref()?.get(number)),
                Value::Missing => None,
            };
            if let Some(name) = name.filter(|name| name.trim().len() < name.len()) {
                rows += 1;
                first.get_or_insert(name);
            }
        }
    }
    Some(format!(
        "spaces around the names of classes are taken away in {rows} rows, as in `{}`",
        shown(first?)
    ))
}

fn short(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
