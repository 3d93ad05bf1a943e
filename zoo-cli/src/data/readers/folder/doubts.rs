//! What the names of files and folders say against the reading of their folders as classes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use super::labelled::Example;
use crate::data::{
    inventory::count,
    splits::{self, Split},
};

/// Words of the names of folders into which one set of images is cut.
const PIECES: [&str; 12] = [
    "part", "batch", "chunk", "shard", "piece", "image", "images", "img", "imgs", "photos",
    "pictures", "data",
];

/// How the files end that hold masks of the image that is named before.
const MASKS: [&str; 6] = [
    "_mask",
    "_seg",
    "_segmentation",
    "_gt",
    "_groundtruth",
    "_annotation",
];

/// Endings of files that may list images.
const LISTS: [&str; 5] = ["csv", "json", "lst", "tsv", "txt"];

/// That the classes are pieces of one set, where their names differ in numbers only and say nothing else.
pub(super) fn pieces(examples: &[Example]) -> Option<String> {
    let classes: BTreeSet<&str> = examples
        .iter()
        .map(|example| example.class.as_str())
        .collect();
    let without_numbers = |name: &str| -> Vec<String> {
        let words = name.split(|c: char| !c.is_alphabetic());
        words
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let mut names = classes.iter();
    let (first, second) = (names.next()?, names.next()?);
    let words = without_numbers(first);
    let are_pieces = words.iter().any(|word| PIECES.contains(&word.as_str()))
        && !words.iter().any(|word| word == "class")
        && classes.iter().all(|name| without_numbers(name) == words);
    are_pieces.then(|| {
        format!(
            "its folders `{first}` and `{second}` differ in their numbers only and may be pieces of one set; put the images of \
             each class in a folder of its own, or rename them if they are classes"
        )
    })
}

/// That images are the masks of others, where they are named so.
pub(super) fn masks(members: &[PathBuf], examples: &[Example]) -> Option<String> {
    let bare = |member: usize| members[member].with_extension("");
    let images: HashSet<PathBuf> = examples
        .iter()
        .map(|example| bare(example.member))
        .collect();
    let of = |example: &&Example| -> bool {
        let name = bare(example.member);
        let name = name.to_string_lossy();
        MASKS.iter().any(|ending| {
            let parts = name.len().checked_sub(ending.len());
            let parts = parts.and_then(|end| name.split_at_checked(end));
            parts.is_some_and(|(image, last)| {
                last.eq_ignore_ascii_case(ending) && images.contains(Path::new(image))
            })
        })
    };
    let mut found = examples.iter().filter(of);
    let first = found.next()?;
    let masks = 1 + found.count();
    Some(format!(
        "{} named as the masks of others, such as `{}`; move the masks out of the data set, or rename them if they are images \
         to learn from",
        match masks {
            1 => "1 of its images is".into(),
            _ => format!("{masks} of its images are"),
        },
        members[first.member].display()
    ))
}

/// A note on images in folders inside of those of their classes, beside other images or folders.
pub(super) fn nested(members: &[PathBuf], examples: &[Example]) -> Option<String> {
    // Of each class the folders in which its images lie.
    let mut folders: BTreeMap<(&str, Split), BTreeMap<&Path, usize>> = BTreeMap::new();
    for example in examples {
        let folder = members[example.member].parent().unwrap_or(Path::new(""));
        let class = folders.entry((&example.class, example.split)).or_default();
        *class.entry(folder).or_default() += 1;
    }
    let inner: Vec<(&Path, usize)> = folders
        .values()
        .flat_map(|folders| {
            let is_inner = |folder: &Path| {
                let mut above = folder.ancestors().skip(1);
                above.any(|outer| folders.contains_key(outer))
            };
            let inner = folders.iter().filter(move |(folder, _)| is_inner(folder));
            inner
                .map(|(folder, images)| (*folder, *images))
                .collect::<Vec<_>>()
        })
        .collect();
    let (first, _) = inner.first()?;
    let images = inner.iter().map(|(_, images)| images).sum();
    Some(format!(
        "{} in folders inside of class folders, such as `{}`, and {} with the class",
        match images {
            1 => "1 image lies".into(),
            _ => format!("{images} images lie"),
        },
        first.display(),
        if images == 1 { "is read" } else { "are read" },
    ))
}

/// A note on files beside the images that may list the parts, where nothing else says them; `is_read` tells those that
/// were read.
pub(in crate::data::readers) fn lists_of_parts(
    members: &[PathBuf],
    examples: &[Example],
    is_read: impl Fn(usize) -> bool,
) -> Option<String> {
    if examples.iter().any(|example| example.split != Split::Train) {
        return None;
    }
    let names_parts = |file: &Path| {
        let extension = file
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        LISTS.contains(&extension.as_str()) && splits::mentions_parts(&stem)
    };
    let mut found =
        (0..members.len()).filter(|&member| !is_read(member) && names_parts(&members[member]));
    let first = found.next()?;
    let more = match found.count() {
        0 => String::new(),
        more => format!(" and {}", count(more, "more file")),
    };
    Some(format!(
        "`{}`{more} may list parts or labels of the data set and {} not read; put the images of each part into a folder `train`, \
         `validation` or `test` to have them",
        members[first].display(),
        if more.is_empty() { "is" } else { "are" },
    ))
}

/// A note on names of images that say parts, where nothing else says them.
pub(super) fn parts_in_names(members: &[PathBuf], examples: &[Example]) -> Option<String> {
    let said: Option<Vec<Split>> = examples
        .iter()
        .map(|example| {
            let stem = members[example.member].file_stem()?.to_str()?;
            (example.split == Split::Train)
                .then(|| splits::in_name(stem))
                .flatten()
        })
        .collect();
    let said = said?;
    let other = said.iter().position(|split| *split != Split::Train)?;
    said.contains(&Split::Train).then(|| {
        format!(
            "the names of images say parts and are not followed, such as `{}`; put the images of each part into a folder \
             `train`, `validation` or `test` to have them",
            members[examples[other].member].display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images at these paths, each of the class of its first folder.
    fn of(paths: &[&str]) -> (Vec<PathBuf>, Vec<Example>) {
        let members: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let examples = members.iter().enumerate().map(|(member, path)| Example {
            member,
            split: Split::Train,
            class: path.iter().next().unwrap().to_string_lossy().into_owned(),
        });
        let examples = examples.collect();
        (members, examples)
    }

    #[test]
    fn pieces_of_one_set_are_no_classes() {
        for (first, second, expected) in [
            ("HAM10000_images_part_1", "HAM10000_images_part_2", true),
            ("batch_0", "batch_10", true),
            ("images_001", "images_002", true),
            ("class_1", "class_2", false),
            ("1", "2", false),
            ("digit1", "digit2", false),
            ("person_1", "person_2", false),
            ("cat images", "dog images", false),
            ("part", "batch", false),
        ] {
            let (_, examples) = of(&[&format!("{first}/a.png"), &format!("{second}/a.png")]);
            assert_eq!(pieces(&examples).is_some(), expected, "{first} {second}");
        }
    }

    #[test]
    fn masks_are_known_by_the_image_beside_them() {
        let (members, examples) = of(&[
            "benign/benign (1).png",
            "benign/benign (1)_mask.png",
            "benign/benign (2).png",
            "benign/benign (2)_Mask.png",
        ]);
        let said = masks(&members, &examples).unwrap();
        assert!(said.starts_with(
            "2 of its images are named as the masks of others, such as `benign/benign (1)_mask.png`"
        ));
        let (members, examples) = of(&["face/with_mask.png", "face/no_mask.png", "cat/1.png"]);
        assert_eq!(masks(&members, &examples), None);
    }

    #[test]
    fn folders_inside_of_class_folders_are_noted() {
        let (members, examples) = of(&[
            "cat/1.png",
            "cat/thumbs/1.png",
            "dog/a/1.png",
            "dog/a/2.png",
        ]);
        assert_eq!(
            nested(&members, &examples).as_deref(),
            Some(
                "1 image lies in folders inside of class folders, such as `cat/thumbs`, and is read with the class"
            )
        );
        let (members, examples) = of(&["n01/images/1.png", "n02/images/1.png"]);
        assert_eq!(nested(&members, &examples), None);
    }

    #[test]
    fn parts_that_stand_elsewhere_are_noted() {
        let (mut members, mut examples) = of(&["cat/1.png", "dog/1.png"]);
        let images = members.len();
        members.extend(
            [
                "meta/test.txt",
                "train_test_split.txt",
                "notes.txt",
                "test.py",
            ]
            .map(PathBuf::from),
        );
        let said = |members: &[PathBuf], examples: &[Example]| {
            lists_of_parts(members, examples, |member| member < images)
        };
        let note = said(&members, &examples).unwrap();
        assert!(
            note.starts_with("`meta/test.txt` and 1 more file may list parts or labels"),
            "{note}"
        );
        assert_eq!(lists_of_parts(&members, &examples, |_| true), None);
        examples[0].split = Split::Test;
        assert_eq!(said(&members, &examples), None);

        let (members, examples) = of(&["cat/train_1.png", "cat/test_2.png", "dog/train_3.png"]);
        let note = parts_in_names(&members, &examples).unwrap();
        assert!(note.contains("such as `cat/test_2.png`"), "{note}");
        for paths in [
            &["cat/train_1.png", "dog/train_2.png"][..],
            &["cat/train_1.png", "dog/test_2.png", "dog/3.png"],
        ] {
            let (members, examples) = of(paths);
            assert_eq!(parts_in_names(&members, &examples), None, "{paths:?}");
        }
    }
}
