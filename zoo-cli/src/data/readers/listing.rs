//! Images in any folder with a list of their labels: `labels.csv` with the columns `file` and `label`, or a table for
//! each part.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{
    Survey,
    folder::{self, Example, Files, Labelled, is_image},
};
use crate::data::{
    DataError, SkippedFile, input,
    splits::{self, Split},
    store::Store,
};

mod names;
mod table;

use names::{Named, Names, split_of_folders};
use table::{Table, is_one_to_one};

const FORMAT: &str = "images with a list of labels";

/// The largest table that is read: 256 MiB.
const MAX_TABLE: u64 = 256 << 20;

/// With so many rows, each with a label of its own, the labels are no classes.
const TOO_MANY_CLASSES: usize = 10;

/// A table with the part that its file's name says.
struct List {
    member: usize,
    split: Option<Split>,
    table: Table,
}

/// The images of a store whose labels stand in tables, or nothing where there are no such tables, and where they say
/// the same as the folders.
///
/// # Errors
/// Tables that contradict themselves, each other or the folders, and those that name no file that is there.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let lists = lists(store)?;
    if lists.is_empty() {
        return Ok(None);
    }
    let is_file = !store.is_archive() && store.members().len() == 1;
    if !is_file || path.is_dir() {
        return survey_lists(Files::Given(store), lists, path, false);
    }
    // One table is given: its images lie beside it.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let opened = Store::open(folder.unwrap_or(Path::new(".")))?;
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let Ok(member) = opened.members().binary_search(&name) else {
        return Ok(None);
    };
    let lists = lists
        .into_iter()
        .map(|list| List { member, ..list })
        .collect();
    survey_lists(Files::Opened(Box::new(opened)), lists, path, true)
}

/// The tables of files and labels.
fn lists(store: &Store) -> Result<Vec<List>, DataError> {
    let is_table = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // A form for predictions names test images and gives each the same label.
        ["csv", "tsv"].contains(&extension.to_lowercase().as_str())
            && !name.to_lowercase().contains("submission")
    };
    let wanted: Vec<usize> = (0..store.members().len())
        .filter(|&member| is_table(&store.members()[member]))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut lists = Vec::new();
    store.visit(&wanted, &mut |member, reader| {
        let path = store.path(member);
        let bytes = input::read_up_to(reader, MAX_TABLE + 1)
            .map_err(|reason| input::read_failed(&path, reason))?;
        if bytes.len() as u64 > MAX_TABLE {
            return Ok(());
        }
        let table = table::read(&bytes).map_err(|problem| DataError::Malformed {
            path: path.clone(),
            format: "a list of labels",
            problem,
        })?;
        if let Some(table) = table {
            let name = store.members()[member].file_name().unwrap_or_default();
            lists.push(List {
                member,
                split: splits::in_name(&name.to_string_lossy()),
                table,
            });
        }
        Ok(())
    })?;
    lists.sort_by_key(|list| list.member);
    Ok(lists)
}

/// What the tables say of an image.
struct Entry {
    label: Option<String>,
    split: Split,
    /// The table and the line that say so.
    list: usize,
    line: u64,
}

/// What all tables say.
#[derive(Default)]
struct Listing {
    entries: BTreeMap<usize, Entry>,
    /// Files that are named and not there: their paths, the table and its line.
    missing: Vec<(PathBuf, usize, u64)>,
    /// Rows that say again what another says.
    repeated: usize,
    /// Images that the tables put in another part than the folders in which they lie.
    moved: usize,
}

fn survey_lists<'a>(
    files: Files<'a>,
    mut lists: Vec<List>,
    path: &'a Path,
    is_chosen: bool,
) -> Result<Option<Survey<'a>>, DataError> {
    let store = files.store();
    let malformed = |problem| DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    };
    let (members, contents) = (store.members(), store.contents()?);
    let (images, no_images): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|&member| is_image(&contents[member]));
    if images.is_empty() {
        return Ok(None);
    }
    let names = Names::of(members, &images);
    let unmatched = lists.first().map(|list| nothing_found(store, list));
    lists.retain_mut(|list| choose_files(list, &names, &members[list.member]));
    if lists.is_empty() {
        // The folders may say all; where they do not, the table was meant.
        return match folder::folders(store, path)? {
            Some(Err(_)) => Err(malformed(unmatched.unwrap_or_default())),
            _ => Ok(None),
        };
    }
    let mut listing = Listing::default();
    for list in 0..lists.len() {
        listing
            .add(store, &lists, list, &names)
            .map_err(malformed)?;
    }
    let by_number = settle_labels(&mut listing, &lists).map_err(malformed)?;
    if !is_chosen && !listing.is_wanted(store, path, &lists)? {
        return Ok(None);
    }

    let table_names = quoted(store, &lists);
    let mut left_out = Vec::new();
    for &member in &images {
        match listing.entries.get(&member) {
            None => left_out.push((format!("that no row of {table_names} names"), member)),
            Some(entry) if entry.label.is_none() => {
                left_out.push((format!("without a label in {table_names}"), member));
            }
            Some(_) => {}
        }
    }
    let is_list = |member: &usize| lists.iter().any(|list| list.member == *member);
    let others = no_images.into_iter().filter(|member| !is_list(member));
    left_out.extend(folder::others(members, others));
    let mut notes = Vec::new();
    if listing.repeated > 0 {
        notes.push(format!(
            "{} rows of {table_names} name a file again and give it the same label",
            listing.repeated
        ));
    }
    if listing.moved > 0 {
        notes.push(format!(
            "{table_names} put {} images in another part than the names of their folders do; the list is followed",
            listing.moved
        ));
    }
    let failed = listing
        .missing
        .iter()
        .map(|(path, list, line)| SkippedFile {
            path: path.clone(),
            reason: format!(
                "`{}` does not exist, but line {line} of `{}` names it; add it, or remove the line",
                path.display(),
                members[lists[*list].member].display()
            ),
        });
    let failed = failed.collect();
    let examples = listing.entries.into_iter().filter_map(|(member, entry)| {
        Some(Example {
            member,
            split: entry.split,
            class: entry.label?,
        })
    });
    let examples: Vec<Example> = examples.collect();
    if examples.is_empty() {
        return Err(malformed(format!(
            "{table_names} give no image a label; fill in the labels"
        )));
    }
    Labelled {
        format: FORMAT,
        examples,
        by_number,
        left_out,
        notes,
        failed,
        files,
    }
    .survey(path)
    .map(Some)
}

/// The tables by their names.
fn quoted(store: &Store, lists: &[List]) -> String {
    let names = lists
        .iter()
        .map(|list| format!("`{}`", store.members()[list.member].display()));
    names.collect::<Vec<_>>().join(", ")
}

/// What is wrong with a table that names no file of the store.
fn nothing_found(store: &Store, list: &List) -> String {
    let table = store.members()[list.member].display();
    match list.table.rows.first() {
        Some(row) => format!(
            "none of the {} files that `{table}` names is there, such as `{}` in line {}; correct its column `{}`, or put the \
             images of each class in a folder of its own",
            list.table.rows.len(),
            row.files.first().map_or("", String::as_str),
            row.line,
            list.table.file_columns.first().map_or("", String::as_str),
        ),
        None => format!(
            "`{table}` has no rows; fill it, or put the images of each class in a folder of its own"
        ),
    }
}

/// Keeps the one column of files that names the most images; false where none names any.
fn choose_files(list: &mut List, names: &Names, path: &Path) -> bool {
    let folder = path.parent().unwrap_or(Path::new(""));
    let found = |column: usize| {
        let rows = list.table.rows.iter();
        rows.filter(|row| names.find(&row.files[column], folder, None) != Named::Missing)
            .count()
    };
    let counts: Vec<usize> = (0..list.table.file_columns.len()).map(found).collect();
    let Some(&most) = counts.iter().max().filter(|&&most| most > 0) else {
        return false;
    };
    let column = counts.iter().position(|&count| count == most).unwrap_or(0);
    list.table.file_columns = vec![list.table.file_columns[column].clone()];
    for row in &mut list.table.rows {
        row.files = vec![row.files[column].clone()];
    }
    true
}

impl Listing {
    /// Adds what the rows of a table say.
    ///
    /// # Errors
    /// A name of two files, and a file with two labels or in two parts.
    fn add(
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
                    let path = store.path(list.member).with_file_name(name);
                    self.missing.push((path, number, row.line));
                    continue;
                }
                Named::Several(a, b) => {
                    return Err(format!(
                        "line {} of `{}` names `{name}`, which may be `{}` or `{}`; write their paths in its column `{}`",
                        row.line,
                        table(number),
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
                let shown = |label: &Option<String>| match label {
                    Some(label) => format!("the label `{label}`"),
                    None => "no label".into(),
                };
                return Err(format!(
                    "{both} name `{}` and give it {} and {}; correct one of them",
                    members[member].display(),
                    shown(&known.label),
                    shown(&entry.label)
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

    /// Whether the tables are followed, and not the folders: where the folders are no classes, or where the tables
    /// give parts to the classes of the folders.
    ///
    /// # Errors
    /// When the folders are classes too, and other ones.
    fn is_wanted(&self, store: &Store, path: &Path, lists: &[List]) -> Result<bool, DataError> {
        let Some(Ok(folders)) = folder::folders(store, path)? else {
            return Ok(true);
        };
        let examples = folders.examples;
        let first = examples.first().map(|example| example.class.as_str());
        let several = examples
            .iter()
            .any(|example| Some(example.class.as_str()) != first);
        if !several
            || examples
                .iter()
                .all(|example| splits::is_no_class(&example.class))
        {
            return Ok(true);
        }
        let both: Vec<(&Example, &str)> = examples
            .iter()
            .filter_map(|example| {
                let label = self.entries.get(&example.member)?.label.as_deref()?;
                Some((example, label))
            })
            .collect();
        if is_one_to_one(
            both.iter()
                .map(|(example, label)| (example.class.as_str(), *label)),
        ) {
            let is_split = |split: Split| split != Split::Train;
            let by_table = self.entries.values().any(|entry| is_split(entry.split));
            let by_folder = examples.iter().any(|example| is_split(example.split));
            return Ok(by_table && !by_folder);
        }
        let (mut labels, mut differing) = (HashMap::new(), None);
        for (example, label) in &both {
            let other = labels.entry(example.class.as_str()).or_insert(*label);
            if *other != *label || *label != example.class {
                differing = Some((example, *label));
                break;
            }
        }
        let list = &lists[0];
        let table = store.path(list.member);
        let Some((example, label)) = differing else {
            return Ok(false);
        };
        Err(DataError::Malformed {
            path: path.into(),
            format: FORMAT,
            problem: format!(
                "`{}` lies in the folder of the class `{}` and `{}` gives it the label `{label}`; {} to follow the table, or \
                 move the table out of the data set to follow the folders",
                store.members()[example.member].display(),
                example.class,
                store.members()[list.member].display(),
                match store.is_archive() {
                    true => "unpack the archive and give the table".into(),
                    false => format!("give `{}`", table.display()),
                }
            ),
        })
    }
}

/// Brings the labels to one form: whole numbers without a fraction, and −1 for none where the others count from 0. Says
/// whether all are numbers.
///
/// # Errors
/// Labels that are no classes.
fn settle_labels(listing: &mut Listing, lists: &[List]) -> Result<bool, String> {
    let column = &lists[0].table.label_column;
    let labels = || listing.entries.values().filter_map(|e| e.label.as_deref());
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
        let from_zero = numbers.contains(&0.0);
        for entry in listing.entries.values_mut() {
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
    let mut images: HashMap<&str, usize> = HashMap::new();
    for label in listing.entries.values().filter_map(|e| e.label.as_deref()) {
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

#[cfg(test)]
mod tests;
