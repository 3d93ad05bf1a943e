//! Image folders: where the parts and the classes are.

use std::fs;

use crate::row::{Row, row};
use end_to_end::picture::{CAT, DOG, OWL, class, classes, files, png, put};

/// Two classes, six images each.
const BOTH: &str = "cat 6/0/0, dog 6/0/0";
/// The same with a test part of two images each.
const SPLIT: &str = "cat 6/0/2, dog 6/0/2";

/// `train` and `test` of cats and dogs in folders of these names below `d`.
fn split(name: &'static str, train: &'static str, test: &'static str) -> Row {
    row(name, move |root| {
        classes(&root.join("d").join(train), &["cat", "dog"], 6);
        classes(&root.join("d").join(test), &["cat", "dog"], 2);
    })
}

/// `train` and `test` of cats and dogs, and these further files below `d`, each a picture.
fn beside(name: &'static str, more: &'static [&'static str]) -> Row {
    row(name, move |root| {
        classes(&root.join("d/train"), &["cat", "dog"], 6);
        classes(&root.join("d/test"), &["cat", "dog"], 2);
        for (i, file) in more.iter().enumerate() {
            put(&root.join("d").join(file), png(OWL, i));
        }
    })
}

/// Folders of pictures below `d`, three cats in each.
fn flat(name: &'static str, folders: &'static [&'static str]) -> Row {
    row(name, move |root| {
        for (i, folder) in folders.iter().enumerate() {
            class(&root.join("d").join(folder), i, 3);
        }
    })
}

pub(crate) fn rows() -> Vec<Row> {
    [
        parts(),
        odd_parts(),
        strays(),
        ambiguous(),
        doubts(),
        names(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Names of parts.
fn parts() -> Vec<Row> {
    vec![
        row("two folders", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6)
        })
        .reads(BOTH),
        row("two folders below three others", |root| {
            classes(&root.join("d/a/b/c"), &["cat", "dog"], 6);
        })
        .reads(BOTH),
        split("train and test", "train", "test").reads(SPLIT),
        split("capitals", "TRAIN", "TEST").reads(SPLIT),
        split("training and testing", "Training", "Testing").reads(SPLIT),
        split("training_set and test_set", "training_set", "test_set").reads(SPLIT),
        split("pets_train and pets_test", "pets_train", "pets_test").reads(SPLIT),
        split(
            "train-images and test-images",
            "train-images",
            "test-images",
        )
        .reads(SPLIT),
        split(
            "each part within a folder of its name",
            "seg_train/seg_train",
            "seg_test/seg_test",
        )
        .reads(SPLIT),
        split(
            "parts below folders of their own",
            "train/images",
            "test/images",
        )
        .reads(SPLIT),
        split("train and eval", "train", "eval").reads(SPLIT),
        split("train and val", "train", "val").reads("cat 6/2/0, dog 6/2/0"),
        split("train and validation", "train", "validation").reads("cat 6/2/0, dog 6/2/0"),
        split("train and valid", "train", "valid").reads("cat 6/2/0, dog 6/2/0"),
        split("train and dev", "train", "dev").reads("cat 6/2/0, dog 6/2/0"),
        row("train, val and test", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/val"), &["cat", "dog"], 3);
            classes(&root.join("d/test"), &["cat", "dog"], 2);
        })
        .reads("cat 6/3/2, dog 6/3/2"),
        row("val and test without training images", |root| {
            classes(&root.join("d/val"), &["cat", "dog"], 3);
            classes(&root.join("d/test"), &["cat", "dog"], 2);
        })
        .reads("cat 0/3/2, dog 0/3/2"),
        row("a training part alone", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
        })
        .reads(BOTH),
        row("a test part alone", |root| {
            classes(&root.join("d/test"), &["cat", "dog"], 6)
        })
        .reads("cat 0/0/6, dog 0/0/6"),
        row("a folder whose path says test", |root| {
            classes(&root.join("my_test/pets"), &["cat", "dog"], 6);
        })
        .at("my_test/pets")
        .reads(BOTH),
        row("the training folder itself", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/test"), &["cat", "dog"], 6);
        })
        .at("d/train")
        .reads(BOTH),
    ]
}

/// Parts with other classes than the training part.
fn odd_parts() -> Vec<Row> {
    vec![
        row("a class that no test image has", |root| {
            classes(&root.join("d/train"), &["cat", "cow", "dog"], 6);
            classes(&root.join("d/test"), &["cat", "dog"], 2);
        })
        .reads("cat 6/0/2, cow 6/0/0, dog 6/0/2"),
        row("a class that no training image has", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/test"), &["cat", "dog", "owl"], 2);
        })
        .refused(&["owl"]),
        row("a class in capitals in one part", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            class(&root.join("d/test/Cat"), CAT, 2);
            class(&root.join("d/test/dog"), DOG, 2);
        })
        .refused(&["Cat"]),
        row("composed and decomposed letters", |root| {
            class(&root.join("d/train/caf\u{e9}"), CAT, 6);
            class(&root.join("d/train/dog"), DOG, 6);
            class(&root.join("d/test/cafe\u{301}"), CAT, 2);
            class(&root.join("d/test/dog"), DOG, 2);
        })
        .bars(|name| Some(if name == "dog" { DOG } else { CAT }))
        .reads("caf\u{e9} 6/0/2, dog 6/0/2"),
        row("decomposed letters of other scripts", |root| {
            class(&root.join("d/train/\u{d55c}"), CAT, 6);
            class(&root.join("d/train/\u{fc}ber"), DOG, 6);
            class(&root.join("d/val/\u{1112}\u{1161}\u{11ab}"), CAT, 2);
            class(&root.join("d/val/u\u{308}ber"), DOG, 2);
        })
        .bars(|name| Some(if name == "\u{d55c}" { CAT } else { DOG }))
        .reads("\u{fc}ber 6/2/0, \u{d55c} 6/2/0"),
        row(
            "composed and decomposed letters beside each other",
            |root| {
                class(&root.join("d/caf\u{e9}"), CAT, 3);
                class(&root.join("d/cafe\u{301}"), CAT, 3);
                class(&root.join("d/dog"), DOG, 6);
            },
        )
        .bars(|name| Some(if name == "dog" { DOG } else { CAT }))
        .reads("caf\u{e9} 6/0/0, dog 6/0/0"),
        row("names with spaces and marks", |root| {
            class(&root.join("d/big cat & co."), CAT, 6);
            class(&root.join("d/dog, small"), DOG, 6);
        })
        .bars(|name| Some(if name.contains("dog") { DOG } else { CAT }))
        .reads("big cat & co. 6/0/0, dog, small 6/0/0"),
        row("a class called train", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            class(&root.join("d/train"), OWL, 6);
        })
        .bars(|name| {
            ["cat", "", "dog", "train"]
                .iter()
                .position(|known| *known == name)
        })
        .reads("cat 6/0/0, dog 6/0/0, train 6/0/0"),
        row("a class called train in both parts", |root| {
            for (part, count) in [("train", 6), ("test", 2)] {
                class(&root.join("d").join(part).join("bus"), CAT, count);
                class(&root.join("d").join(part).join("train"), DOG, count);
            }
        })
        .bars(|name| Some(if name == "bus" { CAT } else { DOG }))
        .reads("bus 6/0/2, train 6/0/2"),
        row("a class called test set", |root| {
            for (part, count) in [("train", 6), ("val", 2)] {
                class(&root.join("d").join(part).join("cat"), CAT, count);
                class(&root.join("d").join(part).join("test tube"), DOG, count);
            }
        })
        .bars(|name| Some(if name == "cat" { CAT } else { DOG }))
        .reads("cat 6/2/0, test tube 6/2/0"),
        row("images in folders below a class", |root| {
            classes(&root.join("d"), &["cat", "dog"], 4);
            class(&root.join("d/cat/more"), CAT, 2);
            class(&root.join("d/dog/more"), DOG, 2);
        })
        .reads(BOTH),
    ]
}

/// Pictures that fit nowhere.
fn strays() -> Vec<Row> {
    vec![
        beside("a picture beside the parts", &["x.png"])
            .reads(SPLIT)
            .leaves_out(1, &[]),
        beside("a picture in the training part", &["train/x.png"])
            .reads(SPLIT)
            .leaves_out(1, &[]),
        beside("a picture in the test part", &["test/x.png"])
            .reads(SPLIT)
            .leaves_out(1, &[]),
        beside(
            "a folder of pictures beside the parts",
            &["figures/a.png", "figures/b.png"],
        )
        .reads(SPLIT)
        .leaves_out(2, &[]),
        beside(
            "class folders beside the parts",
            &["owl/a.png", "owl/b.png", "owl/c.png"],
        )
        .reads(SPLIT)
        .leaves_out(3, &[]),
        beside("pictures to label", &["seg_pred/a.png", "seg_pred/b.png"])
            .reads(SPLIT)
            .leaves_out(2, &[]),
        beside(
            "pictures to label, twice below",
            &["pred/pred/a.png", "pred/pred/b.png"],
        )
        .reads(SPLIT)
        .leaves_out(2, &[]),
        row("a picture beside the classes", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            put(&root.join("d/x.png"), png(OWL, 0));
        })
        .reads(BOTH)
        .leaves_out(1, &[]),
        row("a test part without labels", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            class(&root.join("d/test"), OWL, 4);
        })
        .reads(BOTH)
        .leaves_out(4, &[]),
        row("a test part without labels in one folder", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/val"), &["cat", "dog"], 3);
            class(&root.join("d/test/unknown"), OWL, 4);
        })
        .refused(&["unknown"]),
        row("a test part without labels, named test1", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            class(&root.join("d/test1"), OWL, 4);
        })
        .reads(BOTH)
        .leaves_out(4, &[]),
    ]
}

/// Folders that can be read in two ways, or in none.
fn ambiguous() -> Vec<Row> {
    vec![
        row("a data set within itself", |root| {
            for folder in ["d/chest_xray", "d/chest_xray/chest_xray"] {
                classes(&root.join(folder).join("train"), &["cat", "dog"], 6);
                classes(&root.join(folder).join("test"), &["cat", "dog"], 2);
            }
        })
        .refused(&["chest_xray"]),
        row("a data set within itself, classes alone", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            classes(&root.join("d/pets"), &["cat", "dog"], 6);
        })
        .refused(&["pets"]),
        row("two data sets with parts", |root| {
            for folder in ["d/a", "d/b"] {
                classes(&root.join(folder).join("train"), &["cat", "dog"], 6);
                classes(&root.join(folder).join("test"), &["cat", "dog"], 2);
            }
        })
        .refused(&["`a`", "`b`"]),
        row("two data sets of other classes", |root| {
            classes(&root.join("d/farm"), &["cow", "pig"], 6);
            classes(&root.join("d/home"), &["cat", "dog"], 6);
        })
        .refused(&["farm", "home"]),
        row("two sizes of one data set", |root| {
            for folder in ["d/small", "d/large"] {
                classes(&root.join(folder), &["cat", "dog"], 6);
            }
        })
        .refused(&["small", "large"]),
        row("folds", |root| {
            for folder in ["d/fold1", "d/fold2"] {
                classes(&root.join(folder).join("train"), &["cat", "dog"], 6);
                classes(&root.join(folder).join("val"), &["cat", "dog"], 2);
            }
        })
        .refused(&["fold1", "fold2"]),
        row("a class folder that only holds folders", |root| {
            class(&root.join("d/cat"), CAT, 6);
            class(&root.join("d/dog/small"), DOG, 6);
            class(&root.join("d/dog/large"), DOG, 6);
        })
        .refused(&["dog"]),
        flat("parts without classes", &["train", "test"]).refused(&["train", "test"]),
        flat("three parts without classes", &["train", "val", "test"]).refused(&["train"]),
        flat(
            "parts and domains in one name",
            &["trainA", "trainB", "testA", "testB"],
        )
        .refused(&["trainA"]),
        flat("classes and pictures to label", &["cat", "dog", "test"]).refused(&["test"]),
        row("two test parts", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/test"), &["cat", "dog"], 2);
            classes(&root.join("d/test_simple"), &["cat", "dog"], 2);
        })
        .refused(&["test_simple"]),
        row("parts within classes", |root| {
            for (part, count) in [("train", 6), ("test", 2)] {
                class(&root.join("d/cat").join(part), CAT, count);
                class(&root.join("d/dog").join(part), DOG, count);
            }
        })
        .reads(SPLIT),
        row("pictures and their masks", |root| {
            class(&root.join("d/images"), CAT, 6);
            class(&root.join("d/masks"), DOG, 6);
        })
        .refused(&["masks"]),
        row("pictures with boxes", |root| {
            for part in ["train", "val"] {
                class(&root.join("d/images").join(part), CAT, 3);
                files(&root.join("d/labels").join(part), 3, "txt", |_| {
                    b"0 0.5 0.5 1 1\n".into()
                });
            }
        })
        .refused(&["train"]),
        row("one class", |root| class(&root.join("d/cat"), CAT, 6)).refused(&["one class `cat`"]),
        row("no class", |root| class(&root.join("d"), CAT, 6)).refused(&["class"]),
        row("classes in the names of files", |root| {
            for i in 0..6 {
                put(&root.join(format!("d/train/cat.{i}.png")), png(CAT, i));
                put(&root.join(format!("d/train/dog.{i}.png")), png(DOG, i));
            }
        })
        .refused(&["class"]),
        row("a class without files", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            fs::create_dir(root.join("d/owl")).unwrap();
        })
        .refused(&["owl"]),
        row("an empty folder", |root| {
            fs::create_dir(root.join("d")).unwrap()
        })
        .refused(&["is empty"]),
        row("nothing", |_| ()).refused(&["does not exist"]),
        row("texts alone", |root| {
            files(&root.join("d"), 3, "txt", |_| b"text".into())
        })
        .refused(&["0"]),
    ]
}

/// Folders of classes of which names say that they may be something else.
fn doubts() -> Vec<Row> {
    vec![
        row("pieces of one set", |root| {
            class(&root.join("d/HAM10000_images_part_1"), CAT, 6);
            class(&root.join("d/HAM10000_images_part_2"), DOG, 6);
        })
        .refused(&["HAM10000_images_part_1", "pieces of one set"]),
        row("numbers for classes", |root| {
            class(&root.join("d/1"), CAT, 6);
            class(&root.join("d/10"), DOG, 6);
            class(&root.join("d/2"), OWL, 6);
        })
        .bars(|name| Some(match name {
            "1" => CAT,
            "10" => DOG,
            _ => OWL,
        }))
        .reads("1 6/0/0, 10 6/0/0, 2 6/0/0"),
        row("masks beside the pictures", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            for i in 0..6 {
                put(&root.join(format!("d/cat/00{i}_mask.png")), png(OWL, i));
            }
        })
        .refused(&["6 of its images are named as the masks of others", "000_mask.png"]),
        row("small copies in a folder of a class", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            class(&root.join("d/cat/thumbs"), CAT, 2);
        })
        .reads("cat 8/0/0, dog 6/0/0")
        .says(&["2 images lie in folders inside of class folders, such as `cat/thumbs`"]),
        row("parts in the names of pictures", |root| {
            for (name, bar) in [("cat", CAT), ("dog", DOG)] {
                for i in 0..6 {
                    let part = if i < 4 { "train" } else { "test" };
                    put(&root.join(format!("d/{name}/{part}_{i}.png")), png(bar, i));
                }
            }
        })
        .reads(BOTH)
        .says(&["the names of images say parts and are not followed", "cat/test_4.png"]),
        row("lists of parts", |root| {
            classes(&root.join("d/images"), &["cat", "dog"], 6);
            put(&root.join("d/meta/train.txt"), "cat/000\n");
            put(&root.join("d/meta/test.txt"), "cat/001\n");
            put(&root.join("d/README.txt"), "Pets\n");
        })
        .reads(BOTH)
        .leaves_out(3, &[])
        .says(&["`meta/test.txt` and 1 more file may list parts or labels of the data set and are not read"]),
        row("a list of the parts that the folders are", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            classes(&root.join("d/test"), &["cat", "dog"], 2);
            put(&root.join("d/test.txt"), "cat/000\n");
        })
        .reads(SPLIT)
        .leaves_out(1, &[])
        .holds("/notes/1", serde_json::Value::Null),
        row("metadata in lines of JSON", |root| {
            class(&root.join("d/train"), CAT, 6);
            put(&root.join("d/train/metadata.jsonl"), "{\"file_name\": \"000.png\", \"label\": 0}\n");
        })
        .refused(&["metadata.jsonl", "`metadata.csv`"]),
    ]
}

/// Names of files and folders that programs leave behind.
fn names() -> Vec<Row> {
    vec![
        row("checkpoints of notebooks beside the classes", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            class(&root.join("d/.ipynb_checkpoints"), OWL, 2);
        })
        .reads(BOTH)
        .leaves_out(2, &["hidden"]),
        row("checkpoints of notebooks within a class", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            class(&root.join("d/cat/.ipynb_checkpoints"), OWL, 2);
        })
        .reads(BOTH)
        .leaves_out(2, &["hidden"]),
        row("thumbnails of a file server", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            class(&root.join("d/@eaDir/cat"), OWL, 2);
            class(&root.join("d/cat/@eaDir/000.png"), OWL, 1);
        })
        .reads(BOTH)
        .leaves_out(3, &[]),
        row("what a Mac packs beside the files", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            for name in [
                "d/__MACOSX/d/cat/._000.png",
                "d/cat/._000.png",
                "d/.DS_Store",
            ] {
                put(&root.join(name), b"\0\x05\x16\x07 Mac OS X");
            }
        })
        .reads(BOTH)
        .leaves_out(3, &[]),
        row("a repository", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            put(&root.join("d/.git/HEAD"), b"ref: refs/heads/main\n");
            put(&root.join("d/.gitattributes"), b"*.png filter=lfs\n");
            put(&root.join("d/README.md"), b"Pets\n");
        })
        .reads(BOTH)
        .leaves_out(3, &[]),
        row("what Windows leaves in folders", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            put(
                &root.join("d/cat/Thumbs.db"),
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            );
            put(&root.join("d/dog/desktop.ini"), b"[.ShellClassInfo]\n");
        })
        .reads(BOTH)
        .leaves_out(2, &[]),
    ]
}
