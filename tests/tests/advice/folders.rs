//! The parts of image folders.

use std::fs;
use std::path::Path;

use end_to_end::picture::{CAT, DOG, OWL, class, classes, put};

use crate::follow::{BOTH, Refused, SPLIT, nothing, numbered, parts, refused, rename};

/// Moves the images of [`numbered`] in a folder into folders of their classes.
fn into_classes(root: &Path, folder: &str) {
    for i in 0..12 {
        let to = if i < 6 { "cat" } else { "dog" };
        let file = format!("{i:02}.png");
        rename(
            root,
            &format!("{folder}/{file}"),
            &format!("{folder}/{to}/{file}"),
        );
    }
}

pub(crate) fn cases() -> Vec<Refused> {
    [flat(), several(), beside(), words()]
        .into_iter()
        .flatten()
        .collect()
}

/// Parts without class folders.
fn flat() -> Vec<Refused> {
    let both = |root: &Path| {
        numbered(&root.join("d/train"));
        numbered(&root.join("d/test"));
    };
    vec![
        refused(
            "no class folders",
            |root| numbered(&root.join("d")),
            &[
                "its 12 images lie in no class folders; put the images of each class in a folder of its own, or list them in a \
                 `labels.csv` with the columns `file` and `label`",
            ],
        )
        .then(|root| into_classes(root, "d"), BOTH)
        .then(
            |root| {
                let line = |i| format!("{i:02}.png,{}\n", if i < 6 { "cat" } else { "dog" });
                let lines: String = (0..12).map(line).collect();
                put(&root.join("d/labels.csv"), format!("file,label\n{lines}"));
            },
            BOTH,
        ),
        refused(
            "parts without classes",
            both,
            &[
                "its folders `test`, `train` have the names of parts, but `train` holds no class folders; put the images of each \
                 class in a folder of its own inside of each part, or rename them if they are classes",
            ],
        )
        .then(
            |root| {
                into_classes(root, "d/train");
                into_classes(root, "d/test");
            },
            "cat 12, dog 12",
        )
        .then(
            |root| {
                rename(root, "d/train", "d/exercise");
                rename(root, "d/test", "d/examination");
            },
            "examination 12, exercise 12",
        ),
        refused(
            "two pieces of a part without classes",
            |root| {
                numbered(&root.join("d/train_1"));
                numbered(&root.join("d/train_2"));
            },
            &[
                "its folders `train_1`, `train_2` have the names of parts, but hold no class folders; put the images of each class in \
                 a folder of its own inside of each part, or rename them if they are classes",
            ],
        )
        .then(
            |root| {
                into_classes(root, "d/train_1");
                into_classes(root, "d/train_2");
            },
            "cat 12, dog 12",
        )
        .then(
            |root| {
                rename(root, "d/train_1", "d/red");
                rename(root, "d/train_2", "d/green");
            },
            "green 12, red 12",
        ),
        refused(
            "a training part of one folder that is no class",
            |root| {
                numbered(&root.join("d/train/images"));
                classes(&root.join("d/test"), &["cat", "dog"], 2);
            },
            &["its part `train` holds no class folders; put the images of each class in a folder of its own inside of `train`"],
        )
        .then(
            |root| {
                into_classes(root, "d/train/images");
                rename(root, "d/train/images/cat", "d/train/cat");
                rename(root, "d/train/images/dog", "d/train/dog");
                fs::remove_dir(root.join("d/train/images")).unwrap();
            },
            SPLIT,
        ),
    ]
}

/// Several data sets.
fn several() -> Vec<Refused> {
    vec![
        refused(
            "two test parts",
            |root| {
                parts(&root.join("d"));
                classes(&root.join("d/test_simple"), &["cat", "dog"], 1);
            },
            &[
                "its folders `test` and `test_simple` are both a test part; keep one of them, or move those of each data set into a \
                 folder of its own and give that",
            ],
        )
        .then(|root| rename(root, "d/test_simple", "elsewhere/test_simple"), SPLIT),
        refused(
            "two data sets side by side",
            |root| {
                for (name, bar) in [("wild", CAT), ("tame", DOG)] {
                    for part in ["train", "test"] {
                        class(&root.join(format!("d/{name}_{part}/cat")), bar, 3);
                        class(&root.join(format!("d/{name}_{part}/dog")), bar, 3);
                    }
                }
            },
            &["its folders `tame_test` and `wild_test` are both a test part"],
        )
        .give(
            "d/wild",
            |root| {
                for part in ["train", "test"] {
                    rename(root, &format!("d/wild_{part}"), &format!("d/wild/wild_{part}"));
                }
            },
            BOTH,
        ),
        refused(
            "a data set within itself",
            |root| {
                parts(&root.join("d"));
                parts(&root.join("d/pets"));
            },
            &["its folder `pets` is a data set with parts of its own, beside `test`, `train`; give `d/pets` for it, or move it away"],
        )
        .give("d/pets", nothing, SPLIT)
        .then(|root| rename(root, "d/pets", "pets"), SPLIT),
    ]
}

/// Parts beside classes.
fn beside() -> Vec<Refused> {
    vec![
        refused(
            "pictures to label beside the classes",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                class(&root.join("d/test"), OWL, 2);
            },
            &[
                "its folder `test` stands beside `cat`, `dog` and there is no `train`; move these into a folder `train` if `test` is \
                 a part, or rename it if it is a class",
            ],
        )
        .then(
            |root| {
                rename(root, "d/cat", "d/train/cat");
                rename(root, "d/dog", "d/train/dog");
            },
            BOTH,
        )
        .then(|root| rename(root, "d/test", "d/owl"), "cat 6, dog 6, owl 2"),
        refused(
            "a training part under another name",
            |root| {
                parts(&root.join("d"));
                rename(root, "d/train", "d/pictures");
            },
            &["there is no `train`; call `pictures` `train` if `test` is a part, or rename it if it is a class"],
        )
        .then(|root| rename(root, "d/pictures", "d/train"), SPLIT),
        refused(
            "a class that is called test beside one of folders",
            |root| {
                class(&root.join("d/test"), OWL, 6);
                class(&root.join("d/cat/images"), CAT, 6);
            },
            &["call `cat` `train` if `test` is a part, or rename it if it is a class"],
        )
        .then(|root| rename(root, "d/test", "d/owl"), "cat 6, owl 6"),
        refused(
            "a validation part alone",
            |root| classes(&root.join("d/val"), &["cat", "dog"], 6),
            &["it has only the validation part `val`; give `d/val` to use its images"],
        )
        .give("d/val", nothing, BOTH),
        refused(
            "a training part beside classes",
            |root| {
                classes(&root.join("d/train"), &["cat", "dog"], 6);
                class(&root.join("d/owl"), OWL, 6);
            },
            &[
                "its folder `train` holds class folders and stands beside `owl`; give `d/train` to train on it alone, or move the \
                 others into it",
            ],
        )
        .give("d/train", nothing, BOTH)
        .then(|root| rename(root, "d/owl", "d/train/owl"), "cat 6, dog 6, owl 6"),
    ]
}

/// Names with the words of parts.
fn words() -> Vec<Refused> {
    vec![
        refused(
            "parts of two names beside something else",
            |root| {
                parts(&root.join("d"));
                rename(root, "d/train", "d/pets_train");
                rename(root, "d/test", "d/wild_test");
                class(&root.join("d/boots"), OWL, 2);
            },
            &[
                "its folders `pets_train`, `wild_test` may be parts or, with `boots`, classes; name parts `train` and `test`, or give \
                 classes names without such words",
            ],
        )
        .then(
            |root| {
                rename(root, "d/pets_train", "d/train");
                rename(root, "d/wild_test", "d/test");
            },
            SPLIT,
        ),
        refused(
            "classes with the words of parts",
            |root| {
                class(&root.join("d/training_shoes/images"), CAT, 6);
                class(&root.join("d/test_tubes/images"), DOG, 6);
                class(&root.join("d/boots/images"), OWL, 6);
            },
            &["its folders `test_tubes`, `training_shoes` may be parts or, with `boots`, classes"],
        )
        .then(
            |root| {
                rename(root, "d/training_shoes", "d/sneakers");
                rename(root, "d/test_tubes", "d/tubes");
            },
            "boots 6, sneakers 6, tubes 6",
        ),
    ]
}
