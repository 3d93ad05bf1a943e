//! Whether the folders on one level are parts of a dataset or classes.

use std::path::{Path, PathBuf};

use super::tree::Folder;
use crate::data::splits::{self, Split};

/// What a layout is read below, for its advice.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) is_archive: bool,
    /// The folders of an archive in which nothing lies.
    pub(super) empty_folders: &'a [PathBuf],
    /// A table that lies there and is no list of labels.
    pub(super) table: Option<&'a Path>,
}

impl Place<'_> {
    /// That there are no class folders, and what to do.
    pub(super) fn no_classes(&self, images: usize) -> String {
        format!(
            "its {} in no class folders; put the images of each class in a folder of its own, or {}",
            lie(images),
            match self.table {
                Some(table) => format!(
                    "give `{}` a column `file` and a column `label`",
                    table.display()
                ),
                None => "list them in a `labels.csv` with the columns `file` and `label`".into(),
            }
        )
    }

    /// How to name a folder in it as the data.
    pub(super) fn give(&self, folder: &Folder) -> String {
        if self.is_archive {
            format!(
                "unpack the archive and give its folder `{}`",
                folder.at.display()
            )
        } else {
            format!("give `{}`", self.path.join(&folder.at).display())
        }
    }
}

/// So many images that lie somewhere.
pub(super) fn lie(images: usize) -> String {
    match images {
        1 => "1 image lies".into(),
        _ => format!("{images} images lie"),
    }
}

/// The first names of folders, for a sentence.
pub(super) fn names(folders: &[&Folder]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = folders
        .iter()
        .take(SHOWN)
        .map(|folder| format!("`{}`", folder.name()))
        .collect();
    match folders.len() {
        count if count > SHOWN => format!("{} and {} more", shown.join(", "), count - SHOWN),
        _ => shown.join(", "),
    }
}

pub(super) fn split_of(folder: &Folder) -> Option<Split> {
    splits::in_name(&folder.name())
}

/// Whether a folder holds a training part with class folders and another part: a data set of its own.
pub(super) fn is_data_set(folder: &Folder) -> bool {
    let filled = folder.core().filled();
    let has_train = |f: &&Folder| split_of(f) == Some(Split::Train) && !f.filled().is_empty();
    let has_other = |f: &&Folder| split_of(f).is_some_and(|split| split != Split::Train);
    filled.iter().any(has_train) && filled.iter().any(has_other)
}

/// Whether the folders in `folder` are parts; otherwise they are classes.
pub(super) fn are_parts(
    folder: &Folder,
    place: &Place<'_>,
    notes: &mut Vec<String>,
) -> Result<bool, String> {
    let filled = folder.filled();
    let (parts, rest): (Vec<&Folder>, Vec<&Folder>) =
        filled.iter().partition(|f| split_of(f).is_some());
    let (unlabelled, others): (Vec<&Folder>, Vec<&Folder>) =
        rest.iter().partition(|f| splits::is_unlabelled(&f.name()));
    let (train, watched): (Vec<&Folder>, Vec<&Folder>) = parts
        .iter()
        .partition(|f| split_of(f) == Some(Split::Train));

    let sets: Vec<&Folder> = filled.iter().copied().filter(|f| is_data_set(f)).collect();
    if let Some(set) = sets.first() {
        let others: Vec<&Folder> = filled.iter().copied().filter(|f| f.at != set.at).collect();
        return Err(format!(
            "its folder `{}` is a data set with parts of its own, beside {}; {} for it, or move it away",
            set.name(),
            names(&others),
            place.give(set.core()),
        ));
    }
    if parts.is_empty() {
        if let Some(folder) = unlabelled.iter().find(|f| splits::is_no_class(&f.name()))
            && !others.is_empty()
            && folder.name().to_lowercase().contains("unlabel")
        {
            return Err(format!(
                "its folder `{}` stands beside the class folders {}; move it out of the data set where its images have no \
                 label, or rename it if it is a class",
                folder.name(),
                names(&others)
            ));
        }
        return Ok(false);
    }
    let with_classes = |folders: &[&Folder]| folders.iter().any(|f| !f.filled().is_empty());
    if !train.is_empty() && !watched.is_empty() {
        let rest = splits::rest(&parts[0].name());
        let of_one_set = parts.iter().all(|f| splits::rest(&f.name()) == rest);
        return match (with_classes(&train), of_one_set, others.is_empty()) {
            (true, true, _) | (true, false, true) => Ok(true),
            // `training-shoes`, `test_tube` and `boots`.
            (false, false, false) => Ok(false),
            (true, false, false) => Err(format!(
                "its folders {} may be parts or, with {}, classes; name parts `train` and `test`, or give classes names \
                 without such words",
                names(&parts),
                names(&others)
            )),
            (false, ..) => Err(format!(
                "its folders {} have the names of parts, but `{}` holds no class folders; put the images of each class in a \
                 folder of its own inside of each part, or rename them if they are classes",
                names(&parts),
                train[0].name()
            )),
        };
    }
    if others.is_empty() {
        let all = || names(&parts);
        if !with_classes(&parts) {
            return Err(format!(
                "its folders {} have the names of parts, but hold no class folders; put the images of each class in a \
                 folder of its own inside of each part, or rename them if they are classes",
                all()
            ));
        }
        if watched
            .iter()
            .all(|f| split_of(f) == Some(Split::Validation))
            && train.is_empty()
        {
            return Err(format!(
                "it has only the validation part {}; {} to use its images",
                all(),
                place.give(watched[0])
            ));
        }
        return Ok(true);
    }
    let plain = |folders: &[&Folder]| -> Option<String> {
        let names = folders.iter().map(|f| f.name());
        names.into_iter().find(|name| splits::is_plain(name))
    };
    if let Some(name) = plain(&watched) {
        let step = match others[..] {
            [one] if !one.filled().is_empty() => format!("call `{}` `train`", one.name()),
            _ => "move these into a folder `train`".into(),
        };
        return Err(format!(
            "its folder `{name}` stands beside {} and there is no `train`; {step} if `{name}` is a part, or rename it if it \
             is a class",
            names(&others)
        ));
    }
    if let Some(name) = plain(&train) {
        if with_classes(&train) {
            return Err(format!(
                "its folder `{name}` holds class folders and stands beside {}; {} to train on it alone, or move the others \
                 into it",
                names(&others),
                place.give(train[0])
            ));
        }
        notes.push(format!(
            "the folder `{name}` is read as a class, because it stands beside the class folders {}",
            names(&others)
        ));
    }
    Ok(false)
}

/// The folder of a part that holds its classes, and how many folders below it lies; a folder inside of one of the same
/// name (`train/train`) does not count.
pub(super) fn of_classes(part: &Folder) -> (&Folder, usize) {
    let (mut folder, mut depth) = (part, 0);
    while let [only] = folder.filled()[..] {
        if only.name() == folder.name() {
            folder = only;
        } else if (splits::is_no_class(&only.name()) && !only.filled().is_empty())
            || (folder.images.is_empty() && only.images.is_empty() && only.filled().len() > 1)
        {
            folder = only;
            depth += 1;
        } else {
            break;
        }
    }
    (folder, depth)
}
