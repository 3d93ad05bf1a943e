//! The folders of a store, with the images in each.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// One folder and all below it.
#[derive(Default)]
pub(super) struct Folder {
    /// Its path below the root.
    pub(super) at: PathBuf,
    folders: BTreeMap<OsString, Folder>,
    /// The images that lie in it, not in a folder of it.
    pub(super) images: Vec<usize>,
    /// How many of its files are no images.
    others: usize,
    /// The images in it and below it.
    pub(super) below: usize,
}

impl Folder {
    /// The tree of these files.
    pub(super) fn of(members: &[PathBuf], is_image: &dyn Fn(usize) -> bool) -> Self {
        let mut root = Self::default();
        for (member, path) in members.iter().enumerate() {
            root.add(member, path, is_image(member));
        }
        root
    }

    fn add(&mut self, member: usize, path: &Path, is_image: bool) {
        let mut folder = self;
        folder.below += usize::from(is_image);
        for part in path.parent().unwrap_or(Path::new("")).components() {
            let Component::Normal(name) = part else {
                continue;
            };
            if !folder.folders.contains_key(name) {
                let inner = Self {
                    at: folder.at.join(name),
                    ..Self::default()
                };
                folder.folders.insert(name.to_owned(), inner);
            }
            let Some(inner) = folder.folders.get_mut(name) else {
                return;
            };
            folder = inner;
            folder.below += usize::from(is_image);
        }
        if is_image {
            folder.images.push(member);
        } else {
            folder.others += 1;
        }
    }

    /// Its own name; empty for the root.
    pub(super) fn name(&self) -> String {
        let name = self.at.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The folders in it that hold images, here or deeper.
    pub(super) fn filled(&self) -> Vec<&Folder> {
        self.folders.values().filter(|f| f.below > 0).collect()
    }

    /// A folder in it that holds files and no images, and how many.
    pub(super) fn without_images(&self) -> Option<(&Folder, usize)> {
        let mut without = self.folders.values().filter(|folder| folder.below == 0);
        without.next().map(|folder| (folder, folder.count_others()))
    }

    fn count_others(&self) -> usize {
        self.others + self.folders.values().map(Self::count_others).sum::<usize>()
    }

    /// The images in it and below it.
    pub(super) fn all(&self) -> Vec<usize> {
        let mut all = self.images.clone();
        for folder in self.folders.values() {
            all.extend(folder.all());
        }
        all
    }

    /// The folder that it comes down to: while it holds no image but one folder that does, that folder.
    pub(super) fn core(&self) -> &Folder {
        match self.filled().as_slice() {
            [only] if self.images.is_empty() => only.core(),
            _ => self,
        }
    }
}
