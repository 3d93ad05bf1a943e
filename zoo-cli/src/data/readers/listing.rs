//! Images in any folder with a list of their labels: `labels.csv` with the columns `file` and `label`, or a table for
//! each part.

use std::path::{Path, PathBuf};

use super::{
    Survey,
    folder::{self, Example, Files, Labelled, is_image},
};
use crate::data::{
    DataError, SkippedFile, input,
    inventory::{shown, shown_path},
    splits::{self, Split},
    store::Store,
};

mod entries;
mod names;
mod parts;
mod table;

use entries::{Follows, Listing, class_folders};
use names::{Named, Names};
use table::Table;

const FORMAT: &str = "images with a list of labels";

/// The largest table that is read: 256 MiB.
const MAX_TABLE: u64 = 256 << 20;

/// A table with the part that its file's name says.
struct List {
    member: usize,
    split: Option<Split>,
    table: Table,
}

/// The images of a store whose labels stand in tables, or nothing where there are no such tables, and where they say
/// the same as the folders. What contradicts itself is not followed where the folders say all.
///
/// # Errors
/// Tables that contradict themselves, each other or the folders, and those that name no file that is there.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let lists = match lists(store)? {
        Ok(lists) if lists.is_empty() => return Ok(None),
        Ok(lists) => lists,
        Err(error) => return follow_folders(store, path, error),
    };
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

/// What the folders say where a table is no list of labels (it may hold the boxes in each image), with a note of that.
///
/// # Errors
/// `error`, where the folders are no classes.
fn follow_folders<'a>(
    store: &'a Store,
    path: &'a Path,
    error: DataError,
) -> Result<Option<Survey<'a>>, DataError> {
    if class_folders(store, path)?.is_none() {
        return Err(error);
    }
    let note = format!("the folders are followed and no list of labels, because {error}");
    noted(store, path, note)
}

/// What the folders say, with a note.
fn noted<'a>(
    store: &'a Store,
    path: &'a Path,
    note: String,
) -> Result<Option<Survey<'a>>, DataError> {
    let mut survey = folder::survey(store, path)?;
    if let Some(survey) = &mut survey {
        survey.inventory.notes.push(note);
    }
    Ok(survey)
}

/// The tables of files and labels.
///
/// # Errors
/// When the store cannot be read; within, when a table contradicts itself.
fn lists(store: &Store) -> Result<Result<Vec<List>, DataError>, DataError> {
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
        return Ok(Ok(Vec::new()));
    }
    let (mut lists, mut wrong) = (Vec::new(), None);
    store.visit(&wanted, &mut |member, reader| {
        let path = store.path(member);
        let bytes = input::read_up_to(reader, MAX_TABLE + 1)
            .map_err(|reason| input::read_failed(&path, reason))?;
        if bytes.len() as u64 > MAX_TABLE {
            return Ok(());
        }
        let table = table::read(&bytes).unwrap_or_else(|problem| {
            wrong.get_or_insert(DataError::Malformed {
                path: path.clone(),
                format: "a list of labels",
                problem,
            });
            None
        });
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
    Ok(wrong.map_or(Ok(lists), Err))
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
    let settled = (0..lists.len())
        .try_for_each(|list| listing.add(store, &lists, list, &names))
        .and_then(|()| listing.check_boxes(store, &lists))
        .and_then(|()| listing.settle_labels(&lists[0].table.label_column));
    let by_number = match settled {
        Ok(by_number) => by_number,
        Err(problem) => {
            return match files {
                Files::Given(store) => follow_folders(store, path, malformed(problem)),
                Files::Opened(_) => Err(malformed(problem)),
            };
        }
    };
    if !is_chosen && let Follows::Folders(note) = listing.follows(store, path, &lists)? {
        return match (files, note) {
            (Files::Given(store), Some(note)) => noted(store, path, note),
            _ => Ok(None),
        };
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
    let trimmed: usize = lists.iter().map(|list| list.table.trimmed).sum();
    if trimmed > 0 {
        notes.push(format!(
            "spaces around the labels are taken away in {trimmed} rows of {table_names}"
        ));
    }
    for list in &lists {
        let table = members[list.member].display();
        if let Some(column) = &list.table.boxes {
            notes.push(format!(
                "whole images are read, and not the boxes in the columns of `{table}`, such as `{column}`"
            ));
        }
        let unused = list.table.no_parts.iter();
        notes.extend(unused.map(|(column, why)| {
            format!("the column `{column}` of `{table}` is not used as a split, because its {why}")
        }));
    }
    notes.extend(listing.note_on_missing());
    if listing.moved > 0 {
        notes.push(format!(
            "{table_names} put {} images in another part than the names of their folders do; the list is followed",
            listing.moved
        ));
    }
    let failed = listing.missing.iter().map(|(name, list, line)| {
        let table = lists[*list].member;
        SkippedFile {
            path: store.path(table).with_file_name(name),
            reason: format!(
                "`{}` does not exist, but line {line} of `{}` names it; add it, or remove the line",
                store.path(table).with_file_name(shown_path(name)).display(),
                members[table].display()
            ),
        }
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
    let is_read = |member: usize| is_image(&contents[member]) || is_list(&member);
    notes.extend(folder::lists_of_parts(members, &examples, is_read));
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
            shown_path(row.files.first().map_or("", String::as_str)),
            row.line,
            shown(list.table.file_columns.first().map_or("", String::as_str)),
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

#[cfg(test)]
mod tests;
