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
    /// Its files that may be examples, but are no images.
    unreadable: Vec<usize>,
    /// The images in it and below it.
    pub(super) below: usize,
}

/// What a file is to the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Image,
    /// It may be an example, but is no image.
    Unreadable,
    /// A text or a file of something else.
    Other,
}

impl Folder {
    /// The tree of these files; `role` says what each is.
    pub(super) fn of(members: &[PathBuf], role: &dyn Fn(usize) -> Role) -> Self {
        let mut root = Self::default();
        for (member, path) in members.iter().enumerate() {
            let role = role(member);
            if role != Role::Other {
                root.add(member, path, role);
            }
        }
        root
    }

    fn add(&mut self, member: usize, path: &Path, role: Role) {
        let mut folder = self;
        folder.below += usize::from(role == Role::Image);
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
            folder.below += usize::from(role == Role::Image);
        }
        match role {
            Role::Image => folder.images.push(member),
            _ => folder.unreadable.push(member),
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

    /// The folders in it that hold no images, but files that may be examples.
    pub(super) fn unreadable(&self) -> Option<(&Folder, usize)> {
        self.folders.values().find_map(|folder| {
            let unreadable = folder.count_unreadable();
            (folder.below == 0 && unreadable > 0).then_some((folder, unreadable))
        })
    }

    fn count_unreadable(&self) -> usize {
        let deeper: usize = self.folders.values().map(Self::count_unreadable).sum();
        self.unreadable.len() + deeper
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
