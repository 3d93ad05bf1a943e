//! Class folders: their names, what lies in them, and on which level.

use std::fs;
use std::path::Path;

use end_to_end::picture::{CAT, DOG, OWL, class, classes, files, png, put};

use crate::follow::{
    BOTH, Refused, SPLIT, noted, numbered, parts, refused, rename, rename_all, same,
};

/// Puts what lies in a folder into another, under names of its own, and removes the first.
fn merge(root: &Path, from: &str, to: &str, name: &'static str) {
    rename_all(root, from, to, |file| format!("{name}-{file}"));
    fs::remove_dir(root.join(from)).unwrap();
}

pub(crate) fn cases() -> Vec<Refused> {
    [contents(), levels(), names(), doubts()]
        .into_iter()
        .flatten()
        .collect()
}

/// What lies in class folders and beside them.
fn contents() -> Vec<Refused> {
    let pets = |root: &Path| classes(&root.join("d"), &["cat", "dog"], 6);
    let spoiled = |root: &Path| {
        class(&root.join("d/cat"), CAT, 6);
        class(&root.join("d/owl"), OWL, 6);
        files(&root.join("d/dog"), 3, "png", |_| b"no image".into());
    };
    vec![
        refused(
            "an empty class",
            move |root| {
                pets(root);
                fs::create_dir(root.join("d/owl")).unwrap();
            },
            &["its folder `owl` is empty; put images of the class in it, or remove it"],
        )
        .then(|root| class(&root.join("d/owl"), OWL, 3), "cat 6, dog 6, owl 3")
        .then(|root| fs::remove_dir(root.join("d/owl")).unwrap(), BOTH),
        refused(
            "a class of which nothing can be read",
            spoiled,
            &[
                "none of the 3 images of the class `dog` in its training part can be read: cannot decode `d/dog/000.png` (it is a \
                 text file); replace it by a png, jpg or webp image; or move the class out of the data set",
            ],
        )
        .then(|root| class(&root.join("d/dog"), DOG, 3), "cat 6, dog 3, owl 6")
        .then(|root| rename(root, "d/dog", "dog"), "cat 6, owl 6"),
        refused(
            "more images beside the classes than in them",
            |root| {
                numbered(&root.join("d"));
                classes(&root.join("d"), &["cat", "dog"], 1);
            },
            &[
                "12 images lie beside its class folders and only 2 in them; put the images of each class in a folder of its own",
            ],
        )
        .then(
            |root| {
                for i in 0..12 {
                    let to = if i < 6 { "cat" } else { "dog" };
                    rename(root, &format!("d/{i:02}.png"), &format!("d/{to}/{i:02}.png"));
                }
            },
            "cat 7, dog 7",
        ),
        refused(
            "one class",
            |root| class(&root.join("d/cat"), CAT, 6),
            &["it has the one class `cat`; add images of another class"],
        )
        .then(|root| class(&root.join("d/dog"), DOG, 6), BOTH),
        refused(
            "a class of texts",
            move |root| {
                pets(root);
                files(&root.join("d/owl"), 3, "txt", |_| b"a text".into());
            },
            &[
                "its folder `owl` holds 3 files and no image that can be read; convert them to png or jpg if it is a class, or move \
                 it out of the data set",
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

/// Class folders within class folders, and on different levels.
fn levels() -> Vec<Refused> {
    vec![
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
        .give("d/farm", |_| {}, "cow 6, pig 6")
        .give("d/home", |_| {}, BOTH)
        .then(
            |root| {
                for (folder, inner) in [("farm", ["cow", "pig"]), ("home", ["cat", "dog"])] {
                    for name in inner {
                        merge(root, &format!("d/{folder}/{name}"), &format!("d/{folder}"), name);
                    }
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
                "its folder `dog` holds no images but folders, such as `large`, `small`; give `d/dog` if these are the classes, or \
                 move their images up where `dog` is one",
            ],
        )
        .give("d/dog", |_| {}, "large 3, small 3")
        .then(
            |root| {
                merge(root, "d/dog/large", "d/dog", "large");
                merge(root, "d/dog/small", "d/dog", "small");
            },
            BOTH,
        ),
        refused(
            "a class folder of folders in each part",
            |root| {
                for part in ["train", "test"] {
                    let folder = root.join("d").join(part);
                    class(&folder.join("cat"), CAT, 4);
                    class(&folder.join("dog/large"), DOG, 2);
                    class(&folder.join("dog/small"), DOG, 2);
                }
            },
            &[
                "its class folder `test/dog` holds no images but the folders `large`, `small`; move their images up into it, or make \
                 each a class beside the others",
            ],
        )
        .then(
            |root| {
                for part in ["train", "test"] {
                    for name in ["large", "small"] {
                        merge(root, &format!("d/{part}/dog/{name}"), &format!("d/{part}/dog"), name);
                    }
                }
            },
            SPLIT,
        )
        .then(
            |root| {
                for part in ["train", "test"] {
                    for name in ["large", "small"] {
                        rename(root, &format!("d/{part}/dog/{name}"), &format!("d/{part}/{name}"));
                    }
                    fs::remove_dir(root.join(format!("d/{part}/dog"))).unwrap();
                }
            },
            "cat 8, large 4, small 4",
        ),
        refused(
            "class folders on different levels",
            |root| {
                classes(&root.join("d/train"), &["cat", "dog"], 6);
                classes(&root.join("d/test/images"), &["cat", "dog"], 2);
            },
            &["the class folders of its parts lie in `test/images` and in `train`, on different levels; move them to one"],
        )
        .then(
            |root| {
                rename_all(root, "d/test/images", "d/test", same);
                fs::remove_dir(root.join("d/test/images")).unwrap();
            },
            SPLIT,
        ),
        refused(
            "a part in a class folder",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                class(&root.join("d/cat/test"), CAT, 2);
            },
            &[
                "its folder `cat/test` has the name of a part but lies inside of a class folder, and not all of these hold parts; \
                 put the classes into the parts (`test/cat`), or rename it",
            ],
        )
        .then(
            |root| {
                rename(root, "d/cat/test", "d/test/cat");
                rename(root, "d/cat", "d/train/cat");
                rename(root, "d/dog", "d/train/dog");
            },
            "cat 8, dog 6",
        )
        .then(|root| rename(root, "d/cat/test", "d/cat/sleeping"), "cat 8, dog 6"),
    ]
}

/// Names that say no class, or the same one.
fn names() -> Vec<Refused> {
    let unlabelled = |root: &Path| {
        parts(&root.join("d"));
        class(&root.join("d/train/unlabeled"), OWL, 3);
    };
    vec![
        refused(
            "a folder without the name of a class",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                class(&root.join("d/images"), OWL, 3);
            },
            &[
                "its folder `images` has no name of a class and stands beside `cat`, `dog`; put the images of each class in a folder \
                 of its own, or list them in a `labels.csv` with the columns `file` and `label`",
            ],
        )
        .then(|root| rename(root, "d/images", "d/owl"), "cat 6, dog 6, owl 3")
        .then(
            |root| {
                let rows = |folder: &str, label: &str, count: usize| -> String {
                    let row = |i| format!("{folder}/{i:03}.png,{label}\n");
                    (0..count).map(row).collect()
                };
                let all = rows("cat", "cat", 6) + &rows("dog", "dog", 6) + &rows("images", "owl", 3);
                put(&root.join("d/labels.csv"), format!("file,label\n{all}"));
            },
            "cat 6, dog 6, owl 3",
        ),
        refused(
            "a folder of images without labels",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                class(&root.join("d/unlabeled"), OWL, 3);
            },
            &[
                "its folder `unlabeled` stands beside the class folders `cat`, `dog`; move it out of the data set where its images \
                 have no label, or rename it if it is a class",
            ],
        )
        .then(|root| rename(root, "d/unlabeled", "unlabeled"), BOTH)
        .then(|root| rename(root, "d/unlabeled", "d/owl"), "cat 6, dog 6, owl 3"),
        refused(
            "a folder of images without labels in a part",
            unlabelled,
            &[
                "its folder `train/unlabeled` stands beside class folders; move it out of the data set where its images have no \
                 label, or rename it if it is a class",
            ],
        )
        .then(|root| rename(root, "d/train/unlabeled", "unlabeled"), SPLIT)
        .then(|root| rename(root, "d/train/unlabeled", "d/train/owl"), "cat 8, dog 8, owl 3"),
        refused(
            "classes with the names of parts",
            |root| {
                class(&root.join("d/train/test"), CAT, 6);
                class(&root.join("d/train/dev"), DOG, 6);
                class(&root.join("d/val/test"), CAT, 2);
                class(&root.join("d/val/dev"), DOG, 2);
            },
            &["its class folders `dev`, `test` have the names of parts; rename them"],
        )
        .then(
            |root| {
                for part in ["train", "val"] {
                    rename(root, &format!("d/{part}/test"), &format!("d/{part}/exam"));
                    rename(root, &format!("d/{part}/dev"), &format!("d/{part}/team"));
                }
            },
            "exam 8, team 8",
        ),
        refused(
            "a class that only the test part has",
            |root| {
                parts(&root.join("d"));
                class(&root.join("d/test/owl"), OWL, 2);
            },
            &[
                "its test part has the class `owl` that its training part lacks; add training images of it, or move it out of the \
                 data set",
            ],
        )
        .then(|root| class(&root.join("d/train/owl"), OWL, 6), "cat 8, dog 8, owl 8")
        .then(|root| rename(root, "d/test/owl", "owl"), SPLIT),
        refused(
            "a class in two spellings",
            |root| {
                parts(&root.join("d"));
                rename(root, "d/test/cat", "d/test/Cat");
            },
            &["its test part has the class `Cat`, which its training part calls `cat`; give both one name"],
        )
        .then(|root| rename(root, "d/test/Cat", "d/test/cat"), SPLIT)
        .then(|root| rename(root, "d/train/cat", "d/train/Cat"), "Cat 8, dog 8"),
        refused(
            "images of one class in no folder",
            |root| put(&root.join("d/x.png"), png(CAT, 0)),
            &[
                "its 1 image lies in no class folders; put the images of each class in a folder of its own, or list them in a \
                 `labels.csv` with the columns `file` and `label`",
            ],
        )
        .then(
            |root| {
                rename(root, "d/x.png", "d/cat/x.png");
                class(&root.join("d/dog"), DOG, 6);
            },
            "cat 1, dog 6",
        ),
    ]
}

/// What names of files and folders say besides classes.
fn doubts() -> Vec<Refused> {
    let masked = |root: &Path| {
        classes(&root.join("d"), &["cat", "dog"], 6);
        put(&root.join("d/cat/000_mask.png"), png(OWL, 0));
        put(&root.join("d/cat/001_mask.png"), png(OWL, 1));
    };
    let each_mask = |root: &Path, to: fn(usize) -> String| {
        for i in 0..2 {
            rename(root, &format!("d/cat/{i:03}_mask.png"), &to(i));
        }
    };
    let into_parts = |root: &Path| {
        for name in ["cat", "dog"] {
            rename(
                root,
                &format!("d/{name}/000.png"),
                &format!("d/test/{name}/000.png"),
            );
            rename(root, &format!("d/{name}"), &format!("d/train/{name}"));
        }
    };
    vec![
        refused(
            "pieces of one set",
            |root| {
                numbered(&root.join("d/batch_1"));
                numbered(&root.join("d/batch_2"));
            },
            &[
                "its folders `batch_1` and `batch_2` differ in their numbers only and may be pieces of one set; put the images of each \
                 class in a folder of its own, or rename them if they are classes",
            ],
        )
        .then(
            |root| {
                for part in ["batch_1", "batch_2"] {
                    for i in 0..12 {
                        let to = if i < 6 { "cat" } else { "dog" };
                        rename(root, &format!("d/{part}/{i:02}.png"), &format!("d/{to}/{part}-{i:02}.png"));
                    }
                    fs::remove_dir(root.join("d").join(part)).unwrap();
                }
            },
            "cat 12, dog 12",
        )
        .then(
            |root| {
                rename(root, "d/batch_1", "d/red");
                rename(root, "d/batch_2", "d/green");
            },
            "green 12, red 12",
        ),
        refused(
            "masks beside the images",
            masked,
            &[
                "2 of its images are named as the masks of others, such as `cat/000_mask.png`; move the masks out of the data set, or \
                 rename them if they are images to learn from",
            ],
        )
        .then(move |root| each_mask(root, |i| format!("masks/{i}.png")), BOTH)
        .then(move |root| each_mask(root, |i| format!("d/cat/more-{i}.png")), "cat 8, dog 6"),
        noted(
            "a list of the test part",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                put(&root.join("d/test.txt"), "cat/000\ndog/000\n");
            },
            &[
                "`test.txt` may list parts or labels of the data set and is not read; put the images of each part into a folder `train`, \
                 `validation` or `test` to have them",
            ],
        )
        .then(into_parts, BOTH),
        noted(
            "names of images that say parts",
            |root| {
                for (name, bar) in [("cat", CAT), ("dog", DOG)] {
                    for i in 0..6 {
                        let part = if i == 0 { "test" } else { "train" };
                        put(&root.join(format!("d/{name}/{part}_{i}.png")), png(bar, i));
                    }
                }
            },
            &[
                "the names of images say parts and are not followed, such as `cat/test_0.png`; put the images of each part into a \
                 folder `train`, `validation` or `test` to have them",
            ],
        )
        .then(
            |root| {
                for name in ["cat", "dog"] {
                    rename(root, &format!("d/{name}/test_0.png"), &format!("d/test/{name}/test_0.png"));
                    rename(root, &format!("d/{name}"), &format!("d/train/{name}"));
                }
            },
            BOTH,
        ),
    ]
}
