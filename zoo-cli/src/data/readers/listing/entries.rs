//! What the tables say of each image, and whether that fits together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

use super::{
    FORMAT, List,
    names::{Named, Names, split_of_folders},
    table::is_one_to_one,
};
use crate::data::{
    DataError, classes,
    inventory::{count, shown, shown_path},
    readers::folder::{self, Example},
    splits::{self, Split},
    store::Store,
};

/// With so many rows, each with a label of its own, the labels are no classes.
const TOO_MANY_CLASSES: usize = 10;

/// What the tables say of an image.
pub(super) struct Entry {
    pub(super) label: Option<String>,
    pub(super) split: Split,
    /// The table and the line that say so.
    pub(super) list: usize,
    pub(super) line: u64,
}

/// What all tables say.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: BTreeMap<usize, Entry>,
    /// Files that are not there: as they are named, the table and its line.
    pub(super) missing: Vec<(String, usize, u64)>,
    /// Rows that say again what another says.
    pub(super) repeated: usize,
    /// Images that the tables put in another part than the folders in which they lie.
    pub(super) moved: usize,
}

/// The images of the class folders of a store, where it has such.
pub(super) fn class_folders(store: &Store, path: &Path) -> Result<Option<Vec<Example>>, DataError> {
    let Some(Ok(folders)) = folder::folders(store, path)? else {
        return Ok(None);
    };
    let examples = folders.examples;
    let first = examples.first().map(|example| example.class.as_str());
    let several = examples
        .iter()
        .any(|example| Some(example.class.as_str()) != first);
    let say_nothing = examples
        .iter()
        .all(|example| splits::is_no_class(&example.class));
    Ok((several && !say_nothing).then_some(examples))
}

/// What is followed where both tables and folders say something.
pub(super) enum Follows {
    Tables,
    /// With what is to be said of the tables.
    Folders(Option<String>),
}

fn labels_of(entries: &BTreeMap<usize, Entry>) -> impl Iterator<Item = &str> {
    entries.values().filter_map(|entry| entry.label.as_deref())
}

/// The first image whose label is not that of its folder, or of the other images there.
fn contradiction<'e, 'v>(both: &'e [(&'v Example, &'v str)]) -> Option<&'e (&'v Example, &'v str)> {
    let mut labels = HashMap::new();
    both.iter().find(|(example, label)| {
        let other = labels.entry(example.class.as_str()).or_insert(*label);
        *other != *label || *label != example.class
    })
}

impl Listing {
    /// Adds what the rows of a table say.
    ///
    /// # Errors
    /// A name of two files, and a file with two labels or in two parts.
    pub(super) fn add(
        &mut self,
        store: &Store,
        lists: &[List],
        number: usize,
        names: &Names,
    ) -> Result<(), String> {
        let list = &lists[number];
        let members = store.members();
        let table = |list: usize| members[lists[list].member].display();
        let folder = members[list.member].parent().unwrap_or(Path::new(""));
        for row in &list.table.rows {
            let split = row.split.or(list.split);
            let name = row.files.first().map_or("", String::as_str);
            let member = match names.find(name, folder, split) {
                Named::One(member) => member,
                Named::Missing => {
                    self.missing.push((name.to_owned(), number, row.line));
                    continue;
                }
                Named::Outside => {
                    return Err(format!(
                        "line {} of `{}` names `{}`, which leads out of the data set; put the file into it, or remove the \
                         line",
                        row.line,
                        table(number),
                        shown_path(name)
                    ));
                }
                Named::Several(a, b) => {
                    return Err(format!(
                        "line {} of `{}` names `{}`, which may be `{}` or `{}`; write their paths in its column `{}`",
                        row.line,
                        table(number),
                        shown_path(name),
                        members[a].display(),
                        members[b].display(),
                        list.table.file_columns[0],
                    ));
                }
            };
            let own = split_of_folders(&members[member]);
            self.moved += usize::from(split.is_some() && own.is_some() && own != split);
            let entry = Entry {
                label: row.label.clone(),
                split: split.or(own).unwrap_or(Split::Train),
                list: number,
                line: row.line,
            };
            let Some(known) = self.entries.get(&member) else {
                self.entries.insert(member, entry);
                continue;
            };
            let both = format!(
                "line {} of `{}` and line {} of `{}`",
                known.line,
                table(known.list),
                entry.line,
                table(entry.list)
            );
            if known.label != entry.label {
                let given = |label: &Option<String>| match label {
                    Some(label) => format!("the label `{}`", shown(label)),
                    None => "no label".into(),
                };
                return Err(format!(
                    "{both} name `{}` and give it {} and {}; correct one of them",
                    members[member].display(),
                    given(&known.label),
                    given(&entry.label)
                ));
            }
            if known.split != entry.split {
                return Err(format!(
                    "{both} name `{}` and put it in the {} and the {} part; remove one of them",
                    members[member].display(),
                    known.split.name(),
                    entry.split.name()
                ));
            }
            self.repeated += 1;
        }
        Ok(())
    }

    /// Whether the tables are followed: where the folders are no classes, or where the tables give parts to the
    /// classes of the folders.
    ///
    /// # Errors
    /// When the folders are classes too, and other ones.
    pub(super) fn follows(
        &self,
        store: &Store,
        path: &Path,
        lists: &[List],
    ) -> Result<Follows, DataError> {
        let Some(examples) = class_folders(store, path)? else {
            return Ok(Follows::Tables);
        };
        let both: Vec<(&Example, &str)> = examples
            .iter()
            .filter_map(|example| {
                let label = self.entries.get(&example.member)?.label.as_deref()?;
                Some((example, label))
            })
            .collect();
        // A class under another name is the same class, unless that is the name of another class.
        let classes: HashSet<&str> = examples.iter().map(|e| e.class.as_str()).collect();
        let renamed = both.iter().find(|(example, label)| *label != example.class);
        let swapped = both
            .iter()
            .find(|(example, label)| *label != example.class && classes.contains(label));
        let pairs = both
            .iter()
            .map(|(example, label)| (example.class.as_str(), *label));
        let differing = match is_one_to_one(pairs) {
            true => swapped,
            false => contradiction(&both),
        };
        let Some((example, label)) = differing else {
            let is_split = |split: Split| split != Split::Train;
            let by_table = self.entries.values().any(|entry| is_split(entry.split));
            let by_folder = examples.iter().any(|example| is_split(example.split));
            return Ok(match (by_table && !by_folder, renamed) {
                (true, _) => Follows::Tables,
                (false, None) => Follows::Folders(None),
                (false, Some((example, label))) => Follows::Folders(Some(format!(
                    "the names of the folders are followed, and `{}` gives their classes others, as `{}` for `{}`",
                    store.members()[lists[0].member].display(),
                    shown(label),
                    example.class
                ))),
            });
        };
        let list = &lists[0];
        let table = store.path(list.member);
        Err(DataError::Malformed {
            path: path.into(),
            format: FORMAT,
            problem: format!(
                "`{}` lies in the folder of the class `{}` and `{}` gives it the label `{}`; {} to follow the table, or \
                 move the table out of the data set to follow the folders",
                store.members()[example.member].display(),
                example.class,
                store.members()[list.member].display(),
                shown(label),
                match store.is_archive() {
                    true => "unpack the archive and give the table".into(),
                    false => format!("give `{}`", table.display()),
                }
            ),
        })
    }

    /// Refuses boxes around objects, of which an image has several.
    ///
    /// # Errors
    /// When a table names images again and has columns of boxes.
    pub(super) fn check_boxes(&self, store: &Store, lists: &[List]) -> Result<(), String> {
        let boxes = |list: &List| Some((list.member, list.table.boxes.clone()?));
        let (true, Some((member, column))) = (self.repeated > 0, lists.iter().find_map(boxes))
        else {
            return Ok(());
        };
        Err(format!(
            "`{}` names images several times and has the column `{column}`, so that it holds boxes around objects, and whole \
             images are classified here; cut the objects out into folders named by their classes, or keep one row of each \
             image",
            store.members()[member].display()
        ))
    }

    /// A note on labels that often stand for none.
    pub(super) fn note_on_missing(&self) -> Option<String> {
        const PERHAPS_NONE: [&str; 5] = ["na", "n/a", "<na>", "none", "null"];
        let labels = || labels_of(&self.entries);
        let perhaps = |label: &&str| {
            let mut known = PERHAPS_NONE.iter();
            known.any(|known| label.eq_ignore_ascii_case(known))
        };
        let first = labels().find(perhaps)?;
        let images = labels().filter(|label| *label == first).count();
        Some(format!(
            "the label `{first}` of {} is read as the name of a class; leave the cell empty where it stands for none",
            count(images, "image")
        ))
    }

    /// Brings the labels to one form: whole numbers without a fraction, and −1 for none where the others count from 0. Says
    /// whether all are numbers.
    ///
    /// # Errors
    /// Labels that are no classes.
    pub(super) fn settle_labels(&mut self, column: &str) -> Result<bool, String> {
        let labels = || labels_of(&self.entries);
        let numbers: Option<Vec<f64>> = labels().map(|label| label.parse::<f64>().ok()).collect();
        let mut by_number = false;
        if let Some(numbers) = numbers {
            if let Some(number) = numbers.iter().find(|number| number.fract() != 0.0) {
                return Err(format!(
                    "its column `{column}` holds numbers such as {number}, which are no classes; give each image the name or the \
                     number of a class"
                ));
            }
            by_number = true;
            let mut written: HashMap<u64, &str> = HashMap::new();
            for (label, number) in labels().zip(&numbers) {
                // Whole numbers may be written with a fraction of 0.
                let whole = label.split('.').next().unwrap_or(label);
                let other = *written.entry(number.to_bits()).or_insert(whole);
                if other != whole && !label.contains(['e', 'E']) {
                    return Err(format!(
                        "its column `{column}` holds `{}` and `{}`, which are one number; write it in one way, or give the \
                         classes names",
                        shown(other),
                        shown(whole)
                    ));
                }
            }
            let from_zero = numbers.contains(&0.0);
            for entry in self.entries.values_mut() {
                let Some(label) = &entry.label else { continue };
                if label.contains(['.', 'e', 'E']) {
                    entry.label = label
                        .parse::<f64>()
                        .ok()
                        .map(|number| format!("{number:.0}"));
                }
                if from_zero && entry.label.as_deref() == Some("-1") {
                    entry.label = None;
                }
            }
        }
        let distinct: BTreeSet<&str> = labels_of(&self.entries).collect();
        if let Some((several, between)) = classes::several_in_one(&distinct) {
            return Err(format!(
                "its column `{column}` holds several labels in a cell, such as `{}`; give each image one label, or put `_` in \
                 place of `{between}` where it is the name of one class",
                shown(several)
            ));
        }
        let mut images: HashMap<&str, usize> = HashMap::new();
        for label in labels_of(&self.entries) {
            *images.entry(label).or_default() += 1;
        }
        if images.len() >= TOO_MANY_CLASSES && images.values().all(|&count| count == 1) {
            return Err(format!(
                "each of {} images has a label of its own in the column `{column}`, so that they are no classes; give images of \
                 one class one label",
                images.len()
            ));
        }
        Ok(by_number)
    }
}
