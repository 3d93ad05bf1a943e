//! What the folders of images say: which are parts, which are classes, and what fits nowhere.

use std::path::{Path, PathBuf};

use super::{
    labelled::Example,
    level::{Place, are_parts, is_data_set, lie, names, of_classes, split_of},
    tree::Folder,
};
use crate::data::{
    classes,
    inventory::count,
    splits::{self, Split},
};

/// What the folders say.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) examples: Vec<Example>,
    /// Images that are not read, and why, as in a `LeftOut`.
    pub(super) left_out: Vec<(String, usize)>,
    pub(super) notes: Vec<String>,
    /// The folders in which class folders lie.
    pub(super) class_levels: Vec<PathBuf>,
    /// Images beside the folders of classes or parts.
    strays: usize,
}

/// Finds parts and classes below `root`.
///
/// # Errors
/// What was seen and how to choose, where the folders say nothing or can be read in two ways.
pub(super) fn layout(root: &Folder, place: &Place<'_>) -> Result<Layout, String> {
    let mut layout = Layout::default();
    let mut folder = root;
    // A folder that holds everything is no class, as long as there are folders in it.
    loop {
        match folder.filled().as_slice() {
            [] => return Err(place.no_classes(root.below)),
            [only]
                if !only.filled().is_empty() && (split_of(only).is_none() || is_data_set(only)) =>
            {
                layout.stray(folder, "beside the folder of the data set");
                folder = only;
            }
            _ => break,
        }
    }
    if are_parts(folder, place, &mut layout.notes)? {
        layout.read_parts(folder)?;
    } else {
        layout.read_classes(folder, place)?;
    }
    if layout.strays > layout.examples.len() {
        return Err(format!(
            "{} beside its class folders and only {} in them; put the images of each class in a folder of its own",
            lie(layout.strays),
            layout.examples.len()
        ));
    }
    Ok(layout)
}

impl Layout {
    /// The images that lie directly in `folder` are left out.
    fn stray(&mut self, folder: &Folder, beside: &str) {
        self.strays += folder.images.len();
        for &member in &folder.images {
            self.left_out.push((beside.to_owned(), member));
        }
    }

    fn leave_out(&mut self, folder: &Folder, reason: &str) {
        for member in folder.all() {
            self.left_out.push((reason.to_owned(), member));
        }
    }

    /// The folders in `folder` are the parts.
    fn read_parts(&mut self, folder: &Folder) -> Result<(), String> {
        self.stray(folder, "beside the folders of the parts");
        let mut parts: Vec<(Split, &Folder)> = Vec::new();
        for inner in folder.filled() {
            match split_of(inner) {
                Some(split) => parts.push((split, inner)),
                None if splits::is_unlabelled(&inner.name()) => self.leave_out(
                    inner,
                    &format!("in `{}`, whose images have no labels", inner.name()),
                ),
                None => {
                    self.strays += inner.below;
                    self.leave_out(
                        inner,
                        &format!("in `{}`, which is none of the parts", inner.name()),
                    );
                }
            }
        }
        // `train_1` and `train_2` are pieces of one part, `cats_train` and `dogs_train` are not.
        let same = |a: &str, b: &str| {
            let word = |name: &str| {
                name.to_lowercase()
                    .replace(|c: char| !c.is_alphabetic(), "")
            };
            word(a) == word(b)
        };
        for (i, (split, first)) in parts.iter().enumerate() {
            if let Some((_, second)) = parts[i + 1..]
                .iter()
                .find(|(other, f)| other == split && !same(&f.name(), &first.name()))
            {
                return Err(format!(
                    "its folders `{}` and `{}` are both a {} part; keep one of them, or move those of each data set into a folder of its own and give that",
                    first.name(),
                    second.name(),
                    split.name()
                ));
            }
        }
        let mut levels: Vec<(&Folder, usize)> = Vec::new();
        for (split, part) in parts {
            let (inner, depth) = of_classes(part);
            let filled = inner.filled();
            let is_flat = match filled.as_slice() {
                [] => true,
                [only] => only.filled().is_empty() && splits::is_no_class(&only.name()),
                _ => false,
            };
            if is_flat && split == Split::Train {
                return Err(format!(
                    "its part `{0}` holds no class folders; put the images of each class in a folder of its own inside of `{0}`",
                    part.name()
                ));
            }
            if is_flat {
                self.leave_out(
                    part,
                    &format!(
                        "in `{}`, which has no class folders and so no labels",
                        part.name()
                    ),
                );
                continue;
            }
            if let Some((other, _)) = levels.iter().find(|(_, other)| *other != depth) {
                return Err(format!(
                    "the class folders of its parts lie in `{}` and in `{}`, on different levels; move them to one",
                    other.at.display(),
                    inner.at.display()
                ));
            }
            levels.push((inner, depth));
            // What lies on the way to the class folders.
            let mut on_the_way = part;
            while on_the_way.at != inner.at {
                self.stray(on_the_way, "beside the class folders");
                match on_the_way.filled()[..] {
                    [only] => on_the_way = only,
                    _ => break,
                }
            }
            self.read_class_folders(inner, split)?;
        }
        Ok(())
    }

    /// The folders in `folder` are the classes of all images.
    fn read_classes(&mut self, folder: &Folder, place: &Place<'_>) -> Result<(), String> {
        let filled = folder.filled();
        if let [only] = filled[..]
            && only.filled().is_empty()
            && splits::is_no_class(&only.name())
        {
            return Err(place.no_classes(only.below));
        }
        // `cat/train`, `cat/test`, `dog/train`, `dog/test`.
        let is_part = |f: &Folder| splits::is_plain(&f.name());
        let inner: Vec<&Folder> = filled.iter().flat_map(|f| f.filled()).collect();
        let has = |wanted: fn(Split) -> bool| inner.iter().any(|f| split_of(f).is_some_and(wanted));
        let are_divided = filled
            .iter()
            .all(|f| !f.filled().is_empty() && f.filled().iter().all(|f| is_part(f)));
        if are_divided && has(|split| split == Split::Train) && has(|split| split != Split::Train) {
            self.stray(folder, "beside the class folders");
            for class in filled {
                self.stray(class, "beside the folders of the parts");
                for part in class.filled() {
                    self.add(part, split_of(part).unwrap_or(Split::Train), class);
                }
            }
            self.class_levels.push(folder.at.clone());
            return Ok(());
        }
        if let Some(part) = inner
            .iter()
            .find(|f| is_part(f) && split_of(f).is_some_and(|split| split != Split::Train))
        {
            let class = part.at.parent().and_then(Path::file_name);
            return Err(format!(
                "its folder `{}` has the name of a part but lies inside of a class folder, and not all of these hold parts; \
                 put the classes into the parts (`{}/{}`), or rename it",
                part.at.display(),
                part.name(),
                class.unwrap_or_default().display(),
            ));
        }
        // Several data sets without parts of their own.
        let grouped = |f: &&Folder| f.core().images.is_empty() && f.core().filled().len() > 1;
        let groups: Vec<&Folder> = filled.iter().copied().filter(|f| grouped(f)).collect();
        if let Some(group) = groups.first() {
            return Err(format!(
                "its {} {} no images but folders, such as {}; {} if these are the classes, or move their images up where \
                 `{}` is one",
                if groups.len() == 1 {
                    "folder"
                } else {
                    "folders"
                }
                .to_owned()
                    + " "
                    + &names(&groups),
                if groups.len() == 1 { "holds" } else { "hold" },
                names(&group.core().filled()),
                place.give(group.core()),
                group.name(),
            ));
        }
        self.read_class_folders(folder, Split::Train)
    }

    fn add(&mut self, folder: &Folder, split: Split, class: &Folder) {
        let name = class.name();
        if name.trim().len() < name.len() {
            self.notes.push(format!(
                "spaces around the name of the folder `{}` are taken away ({})",
                class.at.display(),
                count(class.below, "image")
            ));
        }
        let class = classes::normal(name.trim());
        for member in folder.all() {
            self.examples.push(Example {
                member,
                split,
                class: class.clone(),
            });
        }
    }

    fn read_class_folders(&mut self, folder: &Folder, split: Split) -> Result<(), String> {
        self.stray(folder, "beside the class folders");
        let filled = folder.filled();
        if let Some((without, files)) = folder.without_images() {
            return Err(format!(
                "its folder `{}` holds {} and no image that can be read; convert them to png or jpg if it is a class, or \
                 move it out of the data set",
                without.at.display(),
                count(files, "file"),
            ));
        }
        let says_nothing = |f: &&&Folder| {
            let name = f.name();
            splits::is_no_class(&name) && !splits::is_plain(&name) && !splits::is_unlabelled(&name)
        };
        if let Some(unnamed) = filled
            .iter()
            .find(says_nothing)
            .filter(|_| filled.len() > 1)
        {
            let others: Vec<&Folder> = filled
                .iter()
                .copied()
                .filter(|f| f.at != unnamed.at)
                .collect();
            return Err(format!(
                "its folder `{}` has no name of a class and stands beside {}; put the images of each class in a folder of \
                 its own, or list them in a `labels.csv` with the columns `file` and `label`",
                unnamed.at.display(),
                names(&others)
            ));
        }
        if filled.len() > 1 && filled.iter().all(|f| splits::is_plain(&f.name())) {
            return Err(format!(
                "its class folders {} have the names of parts; rename them",
                names(&filled)
            ));
        }
        let is_one_of_many = filled.len() > 1;
        for class in filled {
            let core = class.core();
            if core.images.is_empty() && core.filled().len() > 1 {
                return Err(format!(
                    "its class folder `{}` holds no images but the folders {}; move their images up into it, or make each a \
                     class beside the others",
                    class.at.display(),
                    names(&core.filled())
                ));
            }
            if is_one_of_many
                && splits::is_no_class(&class.name())
                && class.name().to_lowercase().contains("unlabel")
            {
                return Err(format!(
                    "its folder `{}` stands beside class folders; move it out of the data set where its images have no label, \
                     or rename it if it is a class",
                    class.at.display()
                ));
            }
            self.add(class, split, class);
        }
        self.class_levels.push(folder.at.clone());
        Ok(())
    }
}
