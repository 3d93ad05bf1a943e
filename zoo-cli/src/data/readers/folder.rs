//! Image folders: `class/image.png`, or `train|val|test/class/image.png`, on disk or in an archive.

use std::path::Path;

use super::Survey;
use crate::data::{
    DataError,
    sniff::Kind,
    store::{Content, Store},
};

mod labelled;
mod layout;
mod level;
mod tree;

pub(super) use labelled::{Example, Files, Labelled, is_image, others};
use tree::{Folder, Role};

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
    let role = |member: usize| role(&contents[member]);
    let tree = Folder::of(members, &role);
    if tree.below == 0 {
        return Ok(None);
    }
    let place = level::Place {
        path,
        is_archive: store.is_archive(),
    };
    Ok(Some(layout::layout(&tree, &place).map(|layout| {
        let no_images = (0..members.len()).filter(|&member| role(member) != Role::Image);
        let mut left_out = layout.left_out;
        left_out.extend(others(members, no_images));
        Folders {
            examples: layout.examples,
            left_out,
            notes: layout.notes,
        }
    })))
}

fn role(content: &Content) -> Role {
    if is_image(content) {
        return Role::Image;
    }
    match content.kind {
        Kind::Unknown
        | Kind::Unreadable
        | Kind::Video
        | Kind::Npy
        | Kind::Npz
        | Kind::Gzip
        | Kind::Zip
        | Kind::Tar => Role::Unreadable,
        _ => Role::Other,
    }
}

#[cfg(test)]
mod tests;
