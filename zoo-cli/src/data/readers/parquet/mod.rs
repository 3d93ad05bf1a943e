//! Parquet files in the layout of the Hub's image datasets: a column of encoded images, or of paths of image files, and
//! a column of classes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use models::preprocessor::Preprocessor;

use super::Survey;
use crate::data::{
    DataError, SkippedFile, input,
    inventory::{Inventory, shown},
    parts::Parts,
    splits::Split,
    store::Store,
};

mod columns;
mod labels;
mod left_out;
mod load;
mod parts;
mod scan;
mod shard;
mod values;

use columns::Columns;
use labels::Labels;
use parts::Place;
use shard::{Shard, Source, guarded};
use values::Splits;

const FORMAT: &str = "a parquet file of images";

/// The most bytes of parquet files that are read from an archive.
const MAX_MEMORY: u64 = 2 << 30;

/// Extensions of parquet files, in lower case.
const EXTENSIONS: [&str; 3] = ["parquet", "parq", "pq"];

fn malformed(path: &Path, problem: String) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    }
}

/// A file, after a look at its footer.
struct File {
    /// Its path below that of the dataset.
    name: PathBuf,
    source: Source,
    columns: Columns,
    /// The part of each row, where a column says it.
    by_row: Option<Vec<Option<Split>>>,
}

/// What a row is read as: its class, and its part; without that it is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    class: u32,
    split: Option<Split>,
}

/// Everything found on the way.
#[derive(Default)]
struct Found {
    inventory: Inventory,
    skipped: Vec<SkippedFile>,
    /// Image files that rows name.
    images: BTreeSet<PathBuf>,
}

/// What lies in the parquet files of a folder, or nothing where there are none. Rows are counted from 0.
///
/// # Errors
/// A damaged file, one without the columns, parts or classes that can be read in two ways, no row that can be read.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let members: Vec<usize> = (0..store.members().len())
        .filter(|&member| is_parquet(&store.members()[member]))
        .collect();
    if members.is_empty() {
        return Ok(None);
    }
    let mut found = Found::default();
    found.inventory.format = FORMAT.into();
    found.skipped = store.failed().to_vec();
    let mut files = Vec::with_capacity(members.len());
    for (member, source) in sources(store, &members)? {
        let name = store.members()[member].clone();
        files.push(open(name, source, &mut found.inventory.notes)?);
    }
    let files = with_images(files, &mut found.inventory)?;
    let alone = matches!(store.members(), [_]) && store.path(0) == path;
    let (files, labels) = read_labels(path, files, alone, &mut found.inventory)?;
    let classes = labels::resolve(path, &labels)?;
    let splits: Vec<_> = labels.into_iter().map(|labels| labels.splits).collect();

    let mut rows = Vec::with_capacity(files.len());
    let mut unlabelled = BTreeMap::new();
    let mut counts = scan::Counts::default();
    for ((file, labels), splits) in files.iter().zip(&classes.rows).zip(splits) {
        left_out::unlabelled(file, labels, &splits, &mut unlabelled, &mut found.inventory);
        rows.push(guarded(&file.source.path, || {
            scan::scan(file, labels, &splits, &mut counts, &mut found)
        })?);
    }
    counts.check(path, &classes.names)?;
    counts.fill(&classes.names, &mut found.inventory);
    found.inventory.notes.extend(classes.notes);
    left_out::lost_parts(path, &unlabelled, &mut found.inventory)?;
    left_out::others(store, path, &found.images, &mut found.inventory)?;
    let (inventory, skipped) = (found.inventory, found.skipped);
    if inventory.parts.total() == 0 {
        return Err(match skipped.first() {
            Some(first) => malformed(path, format!("no image can be decoded: {}", first.reason)),
            None => DataError::Empty { path: path.into() },
        });
    }
    let names = classes.names;
    Ok(Some(Survey {
        inventory,
        failed: skipped.clone(),
        load: Box::new(move |to: &Preprocessor| {
            let mut parts = Parts {
                label_names: names,
                skipped,
                ..Parts::default()
            };
            load::load(path, &files, &rows, to, &mut parts)?;
            Ok(parts)
        }),
    }))
}

fn is_parquet(file: &Path) -> bool {
    file.extension().is_some_and(|extension| {
        let extension = extension.to_string_lossy().to_lowercase();
        EXTENSIONS.contains(&extension.as_str())
    })
}

/// Where these files lie; those of an archive are read into memory.
fn sources(store: &Store, members: &[usize]) -> Result<Vec<(usize, Source)>, DataError> {
    let source = |member| Source {
        path: store.path(member),
        memory: None,
    };
    if !store.is_archive() {
        let found = members.iter().map(|&member| (member, source(member)));
        return Ok(found.collect());
    }
    let mut left = MAX_MEMORY;
    let mut found = Vec::with_capacity(members.len());
    store.visit(members, &mut |member, content| {
        let mut source = source(member);
        let bytes = input::read_up_to(content, left + 1)
            .map_err(|reason| input::read_failed(&source.path, reason))?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            malformed(
                &source.path,
                format!(
                    "more than {} MiB of parquet files lie in an archive; unpack it and give the folder",
                    MAX_MEMORY >> 20
                ),
            )
        })?;
        source.memory = Some(bytes.into());
        found.push((member, source));
        Ok(())
    })?;
    found.sort_by_key(|(member, _)| *member);
    Ok(found)
}

/// Looks at the footer of a file, and at its column of parts.
fn open(name: PathBuf, source: Source, notes: &mut Vec<String>) -> Result<File, DataError> {
    let (columns, by_row) = guarded(&source.path, || {
        let shard = Shard::open(&source)?;
        let mut by_row = None;
        if let Some((column, leaf)) = &shard.columns.split {
            match values::splits_of(&shard.texts(*leaf)?) {
                Splits::Of(splits) => by_row = Some(splits),
                Splits::Others(None) => {}
                Splits::Others(Some(value)) => notes.push(format!(
                    "the column `{column}` of `{}` is not used, because it holds `{}`",
                    name.display(),
                    shown(&value)
                )),
                Splits::Mixed(row, value) => {
                    return Err(malformed(
                        &source.path,
                        format!(
                            "its column `{column}` has the value `{}` in row {row}, which is no part, beside values that \
                             are; write train, validation or test there, or rename the column to read its rows without it",
                            shown(&value)
                        ),
                    ));
                }
            }
        }
        Ok((shard.columns, by_row))
    })?;
    Ok(File {
        name,
        source,
        columns,
        by_row,
    })
}

/// How a table becomes a series that is read.
fn as_series(source: &Source) -> String {
    let path = source.path.to_str();
    let can_be_quoted = |path: &&str| !path.contains(['\'', '"', '\\']);
    let stem = source.path.file_stem().unwrap_or_default();
    match path.filter(can_be_quoted) {
        Some(path) if source.memory.is_none() => format!(
            ", or, for a series, write it as CSV with `python3 -c 'from pyarrow import csv, parquet; \
             csv.write_csv(parquet.read_table(\"{path}\"), \"{0}.csv\")'` and give `{0}.csv`",
            stem.display()
        ),
        _ => ", or, for a series, write its table as CSV and give that".into(),
    }
}

/// The files that hold images.
fn with_images(files: Vec<File>, inventory: &mut Inventory) -> Result<Vec<File>, DataError> {
    let (files, others): (Vec<File>, Vec<File>) = files
        .into_iter()
        .partition(|file| file.columns.image.is_some());
    if files.is_empty()
        && let Some(first) = others.first()
    {
        return Err(malformed(
            &first.source.path,
            format!(
                "it needs a column `image` of encoded images (bytes, or a record of `bytes` and `path`) and a column \
                 `label`, but has {}; rename its columns{}",
                first.columns.all,
                match first.columns.is_series {
                    true => as_series(&first.source),
                    false => String::new(),
                }
            ),
        ));
    }
    for file in others {
        inventory.leave_out(
            "without a column of images",
            file.name.display().to_string(),
        );
    }
    for note in files.iter().flat_map(|file| &file.columns.notes) {
        if !inventory.notes.contains(note) {
            inventory.notes.push(note.clone());
        }
    }
    Ok(files)
}

/// The files that are read, each with its labels and the parts of its rows.
fn read_labels(
    path: &Path,
    files: Vec<File>,
    alone: bool,
    inventory: &mut Inventory,
) -> Result<(Vec<File>, Vec<Labels>), DataError> {
    let placed: Vec<parts::File> = files
        .iter()
        .map(|file| parts::File {
            name: file.name.clone(),
            by_row: file.by_row.is_some(),
        })
        .collect();
    let places = parts::assign(path, &placed, alone)?;
    inventory.notes.extend(places.notes);
    if files.iter().all(|file| file.columns.label.is_none())
        && let Some(first) = files.first()
    {
        return Err(malformed(
            &first.source.path,
            format!(
                "it has no column of classes but {}; give its classes in a column `label`",
                first.columns.all
            ),
        ));
    }
    let mut read = Vec::new();
    let mut all_labels = Vec::new();
    for (mut file, place) in files.into_iter().zip(places.places) {
        let shown = file.name.display().to_string();
        if place == Place::LeftOut {
            inventory.leave_out("that say no part, beside files that do", shown);
            continue;
        }
        let Some(label) = &file.columns.label else {
            inventory.leave_out("without a column of classes", shown);
            continue;
        };
        let (rows, texts) = guarded(&file.source.path, || {
            Shard::open(&file.source)?.labels(label)
        })?;
        let splits = match (place, file.by_row.take()) {
            (Place::Part(split), by_row) => {
                if let Some(by_row) = by_row {
                    agree(&file, split, &by_row)?;
                }
                vec![Some(split); rows.len()]
            }
            (_, by_row) => {
                inventory.notes.push(format!(
                    "the column `{}` of `{shown}` says the part of each row",
                    file.columns.split_name()
                ));
                by_row.unwrap_or_default()
            }
        };
        if splits.len() != rows.len() {
            return Err(shard::unequal(&file.source.path));
        }
        let rows = labels::unlabelled_parts(rows, &splits);
        all_labels.push(Labels {
            path: file.source.path.clone(),
            rows,
            texts,
            names: label.names.clone(),
            splits,
        });
        read.push(file);
    }
    Ok((read, all_labels))
}

/// Refuses a file whose name says another part than one of its rows.
fn agree(file: &File, split: Split, by_row: &[Option<Split>]) -> Result<(), DataError> {
    let other = |row: &Option<Split>| row.is_some_and(|row| row != split);
    match by_row.iter().position(other) {
        None => Ok(()),
        Some(row) => Err(malformed(
            &file.source.path,
            format!(
                "its name says the {} part and its column `{}` says another in row {row}; rename the file or the column",
                split.name(),
                file.columns.split_name()
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
