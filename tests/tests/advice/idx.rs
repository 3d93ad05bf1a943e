//! Files of IDX: MNIST and the sets made like it.

use std::fs;
use std::path::Path;

use end_to_end::archive::{Member, tar};
use end_to_end::formats::{idx_array, put_idx};
use end_to_end::picture::put;

use crate::follow::{Refused, nothing, refused, rename, replaced};

const IMAGES: &str = "d/train-images-idx3-ubyte";
const LABELS: &str = "d/train-labels-idx1-ubyte";
const TRAIN: &str = "0 6, 1 6";
const ALL: &str = "0 8, 1 8";

fn train(folder: &Path) {
    put_idx(folder, "train", 6, &[0, 1]);
}

fn both(folder: &Path) {
    train(folder);
    put_idx(folder, "t10k", 2, &[0, 1]);
}

/// A training part of which one file is replaced.
fn wrong(
    name: &'static str,
    file: &'static str,
    wrong: impl Fn(Vec<u8>) -> Vec<u8> + 'static,
    sentence: &'static [&'static str],
) -> Refused {
    replaced(
        name,
        file,
        |root| train(&root.join("d")),
        wrong,
        sentence,
        TRAIN,
    )
}

pub(crate) fn cases() -> Vec<Refused> {
    [damaged(), pairs(), sets(), emnist()]
        .into_iter()
        .flatten()
        .collect()
}

fn damaged() -> Vec<Refused> {
    vec![
        wrong(
            "images that end within the header",
            IMAGES,
            |bytes| bytes[..6].to_vec(),
            &[
                "d/train-images-idx3-ubyte",
                "it ends within the header; fetch the file again",
            ],
        ),
        wrong(
            "images that are none",
            IMAGES,
            |_| b"<html>".to_vec(),
            &[
                "it starts with [3c, 68, 74, 6d] in place of 00 00 08 and 01 (labels) or 03 (images); give the original file",
            ],
        ),
        wrong(
            "images of floats",
            IMAGES,
            |_| idx_array(0x0d, &[12, 28, 28], &[0; 4 * 12 * 784]),
            &[
                "its elements are of type 0x0d, only whole numbers of up to 32 bits (0x08 to 0x0c) are read; convert it",
            ],
        ),
        wrong(
            "images of wide numbers",
            IMAGES,
            |_| idx_array(0x0b, &[12, 28, 28], &[0; 2 * 12 * 784]),
            &["its pixels are no unsigned bytes; convert them to 0 to 255"],
        ),
        wrong(
            "too many images",
            IMAGES,
            |_| idx_array(8, &[20_000_000, 28, 28], &[]),
            &[
                "is too large: its header claims [20000000, 28, 28] elements, the limit is 8589934592 bytes; write fewer or \
                 smaller images",
            ],
        ),
        wrong(
            "images that are cut",
            IMAGES,
            |bytes| bytes[..bytes.len() - 8].to_vec(),
            &["its header promises 9408 elements but 9400 are there; fetch the file again"],
        ),
        wrong(
            "images that go on",
            IMAGES,
            |bytes| [bytes, vec![0]].concat(),
            &["more follows the 9408 elements that its header promises; fetch the file again"],
        ),
        wrong(
            "a label that is none",
            LABELS,
            |_| idx_array(0x0c, &[12], &[0xff; 48]),
            &[
                "`d/train-labels-idx1-ubyte` gives example 0 the label -1, but there are 65536 classes (0 to 65535); repair or replace the file",
            ],
        ),
    ]
}

fn pairs() -> Vec<Refused> {
    let lacks = |file: &'static str| {
        move |root: &Path| {
            both(&root.join("d"));
            rename(root, file, "elsewhere");
        }
    };
    let back = |file: &'static str| move |root: &Path| rename(root, "elsewhere", file);
    let swap = |root: &Path| {
        rename(root, IMAGES, "swapped");
        rename(root, LABELS, IMAGES);
        rename(root, "swapped", LABELS);
    };
    vec![
        refused(
            "images without labels",
            lacks(LABELS),
            &["its labels `train-labels-idx1-ubyte` are missing; put them beside the images"],
        )
        .then(back(LABELS), ALL),
        refused(
            "labels without images",
            lacks(IMAGES),
            &["its images `train-images-idx3-ubyte` are missing; put them beside the labels"],
        )
        .then(back(IMAGES), ALL),
        refused(
            "images and labels under the names of each other",
            move |root| {
                train(&root.join("d"));
                swap(root);
            },
            &["it holds labels, not images; swap it and `d/train-labels-idx1-ubyte`"],
        )
        .then(swap, TRAIN),
        wrong(
            "labels twice",
            IMAGES,
            |_| idx_array(8, &[12], &[0; 12]),
            &["it holds labels, not images; put the file of images in its place"],
        ),
        wrong(
            "images twice",
            LABELS,
            |_| idx_array(8, &[12, 28, 28], &[0; 12 * 784]),
            &["it holds images, not labels; put the file of labels in its place"],
        ),
        wrong(
            "labels of several numbers",
            LABELS,
            |_| idx_array(8, &[12, 2], &[0; 24]),
            &["it has 2 numbers for each image, where one is a label, or 8 as in QMNIST; write the classes alone"],
        ),
        wrong(
            "labels of fewer images",
            LABELS,
            |_| idx_array(8, &[10], &[0; 10]),
            &["it holds 10 labels for the 12 images of `d/train-images-idx3-ubyte`; take both files from one source"],
        ),
        refused(
            "labels in another folder",
            |root| {
                train(&root.join("d/a"));
                rename(root, "d/a/train-labels-idx1-ubyte", "d/b/train-labels-idx1-ubyte");
            },
            &[
                "the labels of `a/train-images-idx3-ubyte` do not lie beside it, and `b/train-labels-idx1-ubyte` lies apart and \
                 may belong to other images; put the two files that belong together into one folder, named alike",
            ],
        )
        .then(
            |root| rename(root, "d/b/train-labels-idx1-ubyte", "d/a/train-labels-idx1-ubyte"),
            TRAIN,
        ),
    ]
}

fn sets() -> Vec<Refused> {
    let two = |root: &Path| {
        both(&root.join("d/a"));
        both(&root.join("d/b"));
    };
    vec![
        refused(
            "two sets",
            two,
            &[
                "it holds 2 sets of IDX files, those of `a/t10k-images-idx3-ubyte`, `b/t10k-images-idx3-ubyte`; give one of \
                 these files, and the others of its set are taken with it",
            ],
        )
        .give("d/a/t10k-images-idx3-ubyte", nothing, ALL)
        .give("d/b/t10k-images-idx3-ubyte", nothing, ALL),
        refused(
            "two sets in an archive",
            move |root| {
                two(root);
                let mut members: Vec<Member> = Vec::new();
                for set in ["a", "b"] {
                    for file in fs::read_dir(root.join("d").join(set)).unwrap() {
                        let file = file.unwrap();
                        let name = file.file_name().into_string().unwrap();
                        members.push((format!("{set}/{name}"), fs::read(file.path()).unwrap()));
                    }
                }
                rename(root, "d", "x");
                put(&root.join("d.tar"), tar(&members));
            },
            &["; unpack it and give one of these files"],
        )
        .of("d.tar")
        .give("x/a/t10k-images-idx3-ubyte", nothing, ALL),
        refused(
            "a part twice",
            |root| {
                both(&root.join("d"));
                for kind in ["images-idx3", "labels-idx1"] {
                    let file = |part: &str| root.join(format!("d/{part}-{kind}-ubyte"));
                    fs::copy(file("t10k"), file("test")).unwrap();
                }
            },
            &["it stands for the same part as `t10k-images-idx3-ubyte`; keep one of the two"],
        )
        .then(
            |root| {
                for kind in ["images-idx3", "labels-idx1"] {
                    let file = format!("test-{kind}-ubyte");
                    rename(root, &format!("d/{file}"), &format!("elsewhere/{file}"));
                }
            },
            ALL,
        ),
    ]
}

/// EMNIST under names of its own, with its table of classes.
fn emnist() -> Vec<Refused> {
    const TABLE: &str = "d/emnist-letters-mapping.txt";
    const LETTERS: &str = "A 6, B 6";
    let letters = |root: &Path| {
        put_idx(&root.join("d"), "emnist-letters-train", 6, &[1, 2]);
        put(&root.join(TABLE), "1 65 97\n2 66 98\n");
    };
    let wrong = |name, text: &'static str, sentence| {
        let wrong = move |_| text.as_bytes().to_vec();
        replaced(name, TABLE, letters, wrong, sentence, LETTERS)
    };
    let removed = |root: &Path| fs::remove_file(root.join(TABLE)).unwrap();
    let all: String = ('A'..='Z')
        .map(|letter| format!("{letter} {}", if letter < 'C' { 6 } else { 0 }))
        .collect::<Vec<_>>()
        .join(", ");
    let all: &'static str = all.leak();
    vec![
        wrong(
            "a table of classes with a word",
            "1 65\n2 b\n",
            &["line 2 is none of a label and a code point; correct it or remove the file"],
        )
        .then(removed, all),
        wrong(
            "a table of classes with a label twice",
            "1 65\n1 66\n",
            &["line 2 names a label or a character a second time; correct it or remove the file"],
        )
        .then(removed, all),
        wrong(
            "a table of one class",
            "1 65\n",
            &["it names fewer than two classes; correct it or remove it"],
        )
        .then(removed, all),
        wrong(
            "a table of another set",
            "1 65\n3 67\n",
            &[
                "example 1 has the label 2, which the table of classes lacks; take all files from one source",
            ],
        ),
    ]
}
