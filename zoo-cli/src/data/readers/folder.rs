//! Image folders: `class/image.png`, or `train|val|test/class/image.png`, on disk or in an archive.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::Survey;
use crate::data::{DataError, classes, store::Store};

mod doubts;
mod labelled;
mod layout;
mod level;
mod tree;

pub(super) use doubts::lists_of_parts;
pub(super) use labelled::{Example, Files, Labelled, is_image, others};
use layout::Layout;
use tree::Folder;

const FORMAT: &str = "an image folder";

/// What the folders say of the images of a store.
pub(super) struct Folders {
    pub(super) examples: Vec<Example>,
    left_out: Vec<(String, usize)>,
    notes: Vec<String>,
}

/// What lies in an image folder, or nothing where the store holds no images. Classes are sorted by name.
///
/// # Errors
/// Folders that can be read in two ways or in none, a class of which nothing can be read, and a class that the
/// training part lacks.
pub(super) fn survey<'a>(
    store: &'a Store,
    path: &'a Path,
) -> Result<Option<Survey<'a>>, DataError> {
    let Some(folders) = folders(store, path)? else {
        return Ok(None);
    };
    let folders = folders.map_err(|problem| DataError::Malformed {
        path: path.into(),
        format: FORMAT,
        problem,
    })?;
    Labelled {
        format: FORMAT,
        files: Files::Given(store),
        examples: folders.examples,
        by_number: false,
        left_out: folders.left_out,
        notes: folders.notes,
        failed: Vec::new(),
    }
    .survey(path)
    .map(Some)
}

/// What the folders say, or what is wrong with them; nothing where there are no images.
pub(super) fn folders(
    store: &Store,
    path: &Path,
) -> Result<Option<Result<Folders, String>>, DataError> {
    let (members, contents) = (store.members(), store.contents()?);
    let is_image = |member: usize| labelled::is_image(&contents[member]);
    let tree = Folder::of(members, &is_image);
    if tree.below == 0 {
        return Ok(None);
    }
    let is_table = |path: &&PathBuf| {
        let extension = path.extension().unwrap_or_default();
        extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv")
    };
    let place = level::Place {
        path,
        is_archive: store.is_archive(),
        empty_folders: store.empty_folders(),
        table: members.iter().find(is_table).map(PathBuf::as_path),
    };
    let layout = layout::layout(&tree, &place).and_then(|layout| match empty(&layout, &place) {
        None => Ok(layout),
        Some(folder) => Err(format!(
            "its folder `{}` is empty; put images of the class in it, or remove it",
            folder.display()
        )),
    });
    Ok(Some(layout.and_then(|layout| {
        let Layout {
            examples,
            mut left_out,
            mut notes,
            ..
        } = layout;
        let doubt = doubts::pieces(&examples).or_else(|| doubts::masks(members, &examples));
        if let Some(problem) = doubt {
            return Err(problem);
        }
        notes.extend(doubts::nested(members, &examples));
        notes.extend(doubts::parts_in_names(members, &examples));
        notes.extend(doubts::lists_of_parts(members, &examples, is_image));
        let no_images = (0..members.len()).filter(|&member| !is_image(member));
        left_out.extend(others(members, no_images));
        Ok(Folders {
            examples,
            left_out,
            notes,
        })
    })))
}

/// An empty folder beside the class folders, whose class no other folder is.
fn empty(layout: &Layout, place: &level::Place<'_>) -> Option<PathBuf> {
    let known: BTreeSet<&str> = layout.examples.iter().map(|e| e.class.as_str()).collect();
    let is_unknown = |name: &str| {
        !name.starts_with(['.', '@', '_']) && !known.contains(classes::normal(name.trim()).as_str())
    };
    if place.is_archive {
        let mut empty = place.empty_folders.iter();
        let found = empty.find(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let level = folder.parent().unwrap_or(Path::new(""));
            layout.class_levels.iter().any(|known| known == level) && is_unknown(&name)
        });
        return found.cloned();
    }
    // A folder that cannot be read has been told when the files were looked for.
    let folders = |at: &Path| fs::read_dir(at).into_iter().flatten().flatten();
    layout.class_levels.iter().find_map(|level| {
        let mut empty = folders(&place.path.join(level)).filter(|entry| {
            is_unknown(&entry.file_name().to_string_lossy())
                && fs::read_dir(entry.path()).is_ok_and(|mut inner| inner.next().is_none())
        });
        empty.next().map(|entry| level.join(entry.file_name()))
    })
}

#[cfg(test)]
mod tests;
