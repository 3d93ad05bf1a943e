//! Image folders.

use std::fs;

use end_to_end::picture::{CAT, DOG, OWL, class, classes, files, put};

use crate::follow::{
    BOTH, Refused, SPLIT, nothing, numbered, parts, refused, rename, rename_all, same,
};

/// What is advised about folders.
pub(crate) fn cases() -> Vec<Refused> {
    vec![
        refused(
            "no class folders",
            |root| numbered(&root.join("d")),
            &[
                "12 images lie in no class folders",
                "put the images of each class in a folder of its own",
                "list them in a `labels.csv` with the columns `file` and `label`",
            ],
        )
        .then(
            |root| {
                for i in 0..12 {
                    let to = if i < 6 { "cat" } else { "dog" };
                    rename(
                        root,
                        &format!("d/{i:02}.png"),
                        &format!("d/{to}/{i:02}.png"),
                    );
                }
            },
            BOTH,
        )
        .then(
            |root| {
                let line = |i| format!("{i:02}.png,{}\n", if i < 6 { "cat" } else { "dog" });
                let lines: String = (0..12).map(line).collect();
                put(&root.join("d/labels.csv"), format!("file,label\n{lines}"));
            },
            BOTH,
        ),
        refused(
            "one class",
            |root| class(&root.join("d/cat"), CAT, 6),
            &["it has the one class `cat`; add"],
        )
        .then(|root| class(&root.join("d/dog"), DOG, 6), BOTH),
        refused(
            "two test parts",
            |root| {
                parts(&root.join("d"));
                classes(&root.join("d/test_simple"), &["cat", "dog"], 1);
            },
            &["`test` and `test_simple` are both a test part; keep one of them"],
        )
        .then(
            |root| rename(root, "d/test_simple", "elsewhere/test_simple"),
            SPLIT,
        ),
        refused(
            "a data set within itself",
            |root| {
                parts(&root.join("d"));
                parts(&root.join("d/pets"));
            },
            &[
                "`pets` is a data set with parts of its own",
                "give `d/pets` for it, or move it away",
            ],
        )
        .give("d/pets", nothing, SPLIT)
        .then(|root| rename(root, "d/pets", "pets"), SPLIT),
        refused(
            "groups of classes",
            |root| {
                classes(&root.join("d/home"), &["cat", "dog"], 6);
                classes(&root.join("d/farm"), &["cow", "pig"], 6);
            },
            &[
                "its folders `farm`, `home` hold no images but folders, such as `cow`, `pig`; give `d/farm` if these are the classes, \
                 or move their images up where `farm` is one",
            ],
        )
        .give("d/farm", nothing, "cow 6, pig 6")
        .give("d/home", nothing, BOTH)
        .then(
            |root| {
                for (from, to) in [
                    ("farm/cow", "farm"),
                    ("farm/pig", "farm"),
                    ("home/cat", "home"),
                    ("home/dog", "home"),
                ] {
                    rename_all(root, &format!("d/{from}"), &format!("d/{to}"), |file| {
                        format!("{}-{file}", from.replace('/', "-"))
                    });
                    fs::remove_dir(root.join("d").join(from)).unwrap();
                }
            },
            "farm 12, home 12",
        ),
        refused(
            "a class folder of folders",
            |root| {
                class(&root.join("d/cat"), CAT, 6);
                class(&root.join("d/dog/large"), DOG, 3);
                class(&root.join("d/dog/small"), DOG, 3);
            },
            &[
                "`dog` holds no images but folders, such as `large`, `small`; give `d/dog` if these are the classes, or move their \
                 images up where `dog` is one",
            ],
        )
        .give("d/dog", nothing, "large 3, small 3")
        .then(
            |root| {
                for inner in ["large", "small"] {
                    rename_all(root, &format!("d/dog/{inner}"), "d/dog", |file| {
                        format!("{inner}-{file}")
                    });
                    fs::remove_dir(root.join("d/dog").join(inner)).unwrap();
                }
            },
            BOTH,
        ),
        refused(
            "parts without classes",
            |root| {
                numbered(&root.join("d/train"));
                numbered(&root.join("d/test"));
            },
            &[
                "put the images of each class in a folder of its own inside of each part",
                "rename them if they are classes",
            ],
        )
        .then(
            |root| {
                for part in ["train", "test"] {
                    for i in 0..12 {
                        let to = if i < 6 { "cat" } else { "dog" };
                        rename(
                            root,
                            &format!("d/{part}/{i:02}.png"),
                            &format!("d/{part}/{to}/{i:02}.png"),
                        );
                    }
                }
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
            "pictures to label beside the classes",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                class(&root.join("d/test"), OWL, 2);
            },
            &[
                "move these into a folder `train` if `test` is a part",
                "rename it if it is a class",
            ],
        )
        .then(
            |root| {
                rename(root, "d/cat", "d/train/cat");
                rename(root, "d/dog", "d/train/dog");
            },
            BOTH,
        )
        .then(
            |root| rename(root, "d/test", "d/owl"),
            "cat 6, dog 6, owl 2",
        ),
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
            &["give `d/train` to train on it alone, or move the others into it"],
        )
        .give("d/train", nothing, BOTH)
        .then(
            |root| rename(root, "d/owl", "d/train/owl"),
            "cat 6, dog 6, owl 6",
        ),
        refused(
            "a class that only the test part has",
            |root| {
                parts(&root.join("d"));
                class(&root.join("d/test/owl"), OWL, 2);
            },
            &["`owl`", "add training images of it"],
        )
        .then(
            |root| class(&root.join("d/train/owl"), OWL, 6),
            "cat 8, dog 8, owl 8",
        ),
        refused(
            "class folders on different levels",
            |root| {
                classes(&root.join("d/train"), &["cat", "dog"], 6);
                classes(&root.join("d/test/images"), &["cat", "dog"], 2);
            },
            &["on different levels; move them to one"],
        )
        .then(
            |root| {
                rename_all(root, "d/test/images", "d/test", same);
                fs::remove_dir(root.join("d/test/images")).unwrap();
            },
            SPLIT,
        ),
        refused(
            "a class of texts",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                files(&root.join("d/owl"), 3, "txt", |_| b"a text".into());
            },
            &[
                "`owl` holds 3 files and no image that can be read",
                "convert them to png or jpg if it is a class, or move it out of the data set",
            ],
        )
        .then(|root| rename(root, "d/owl", "owl"), BOTH)
        .then(
            |root| {
                fs::remove_dir_all(root.join("d/owl")).unwrap();
                class(&root.join("d/owl"), OWL, 3);
            },
            "cat 6, dog 6, owl 3",
        ),
    ]
}
