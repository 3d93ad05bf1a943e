//! Files of well-known formats, tables of classes, and archives.

use std::fs;
use std::path::Path;

use end_to_end::picture::{classes, put};

use crate::follow::{BOTH, Refused, SPLIT, nothing, numbered, parts, refused, rename};

/// The big-endian header and the bytes of an IDX file.
fn idx(kind: u8, sizes: &[u32], bytes: Vec<u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, kind];
    sizes
        .iter()
        .for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(bytes);
    file
}

/// An IDX part of two classes of 8×8 pixels.
fn put_idx(folder: &Path, part: &str, count: u8) {
    let pixels = (0..count)
        .flat_map(|i| (0..64).map(move |p| (i % 2) * 100 + p + i))
        .collect();
    let labels = (0..count).map(|i| i % 2).collect();
    put(
        &folder.join(format!("{part}-images-idx3-ubyte")),
        idx(3, &[count.into(), 8, 8], pixels),
    );
    put(
        &folder.join(format!("{part}-labels-idx1-ubyte")),
        idx(1, &[count.into()], labels),
    );
}

fn tar_of(folder: &Path, archive: &Path) {
    let mut builder = tar::Builder::new(fs::File::create(archive).unwrap());
    builder.append_dir_all(".", folder).unwrap();
    builder.finish().unwrap();
}

/// What is advised about files of well-known formats, tables and archives.
pub(crate) fn cases() -> Vec<Refused> {
    vec![
        refused(
            "two sets of IDX files",
            |root| {
                for folder in ["d/a", "d/b"] {
                    put_idx(&root.join(folder), "train", 12);
                    put_idx(&root.join(folder), "t10k", 4);
                }
            },
            &["give one of these files, and the others of its set are taken with it"],
        )
        .give("d/a/train-images-idx3-ubyte", nothing, "0 8, 1 8")
        .give("d/b", nothing, "0 8, 1 8"),
        refused(
            "images of IDX without labels",
            |root| {
                put_idx(&root.join("d"), "train", 12);
                rename(root, "d/train-labels-idx1-ubyte", "elsewhere");
            },
            &["`train-labels-idx1-ubyte`", "put them beside the images"],
        )
        .then(
            |root| rename(root, "elsewhere", "d/train-labels-idx1-ubyte"),
            "0 6, 1 6",
        ),
        refused(
            "labels of IDX in another folder",
            |root| {
                put_idx(&root.join("d/a"), "train", 12);
                rename(
                    root,
                    "d/a/train-labels-idx1-ubyte",
                    "d/b/train-labels-idx1-ubyte",
                );
            },
            &["do not lie beside it"],
        )
        .then(
            |root| {
                rename(
                    root,
                    "d/b/train-labels-idx1-ubyte",
                    "d/a/train-labels-idx1-ubyte",
                )
            },
            "0 6, 1 6",
        ),
        refused(
            "an archive in a folder",
            |root| {
                classes(&root.join("pets"), &["cat", "dog"], 6);
                fs::create_dir(root.join("d")).unwrap();
                tar_of(&root.join("pets"), &root.join("d/pets.tar"));
                fs::remove_dir_all(root.join("pets")).unwrap();
            },
            &["pets.tar", "give this file, `d/pets.tar`"],
        )
        .give("d/pets.tar", nothing, BOTH),
        refused(
            "an archive of a data set within itself",
            |root| {
                parts(&root.join("x"));
                parts(&root.join("x/pets"));
                tar_of(&root.join("x"), &root.join("d"));
                fs::remove_dir_all(root.join("x")).unwrap();
            },
            &["unpack the archive and give its folder `pets`"],
        )
        .give(
            "x/pets",
            |root| {
                let mut archive = tar::Archive::new(fs::File::open(root.join("d")).unwrap());
                archive.unpack(root.join("x")).unwrap();
            },
            SPLIT,
        ),
        refused(
            "a table that gives a picture two classes",
            |root| {
                numbered(&root.join("d/images"));
                let line = |i| format!("{i:02}.png,{}\n", if i < 6 { "cat" } else { "dog" });
                let lines: String = (0..12).map(line).collect();
                put(
                    &root.join("d/labels.csv"),
                    format!("file,label\n{lines}00.png,dog\n"),
                );
            },
            &[
                "00.png",
                "the label `cat` and the label `dog`; correct one of them",
            ],
        )
        .then(
            |root| {
                let file = root.join("d/labels.csv");
                let text = fs::read_to_string(&file).unwrap();
                fs::write(file, text.replace("00.png,dog\n", "")).unwrap();
            },
            BOTH,
        ),
        refused(
            "a table without labels",
            |root| {
                numbered(&root.join("d/images"));
                let lines: String = (0..12).map(|i| format!("{i:02}.png,\n")).collect();
                put(&root.join("d/labels.csv"), format!("file,label\n{lines}"));
            },
            &["fill in the labels"],
        )
        .then(
            |root| {
                let line = |i| format!("{i:02}.png,{}\n", if i < 6 { "cat" } else { "dog" });
                let lines: String = (0..12).map(line).collect();
                put(&root.join("d/labels.csv"), format!("file,label\n{lines}"));
            },
            BOTH,
        ),
    ]
}
