use std::fs;

use super::*;
use crate::data::{ImageDataset, OpenOptions, open_images};

fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(4, 4, image::Luma([value]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A folder with these images, each of the number of its place, and these texts.
fn folder(images: &[&str], texts: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let pixels = images
        .iter()
        .zip(1..)
        .map(|(name, value)| (*name, png(value)));
    let texts = texts
        .iter()
        .map(|(name, text)| (*name, text.as_bytes().to_vec()));
    for (name, bytes) in pixels.chain(texts) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    directory
}

fn open(path: &Path) -> Result<ImageDataset, String> {
    open_images(path.to_str(), "cifar10", &OpenOptions::default())
        .map_err(|error| error.to_string())
}

/// Each part as (number of the image, class), with what is held out in the training part.
fn read(data: &ImageDataset) -> String {
    let mut parts = Vec::new();
    let mut train = data.train.clone();
    let mut test = data.test.clone();
    if data.inventory.held_out > 0 {
        train.append(test.clone());
        test.keep(&[]);
    }
    for images in [Some(&train), data.validation.as_ref(), Some(&test)] {
        let mut shown: Vec<String> = images
            .into_iter()
            .flat_map(|images| (0..images.len()).map(|i| (images.image(i)[0], images.labels[i])))
            .map(|(value, label)| format!("{value}{}", data.label_names[label as usize]))
            .collect();
        shown.sort();
        parts.push(shown.join(" "));
    }
    parts.join("; ")
}

const FOUR: [&str; 4] = [
    "images/a.png",
    "images/b.png",
    "images/c.jpg",
    "images/d.png",
];

#[test]
fn rows_give_images_their_labels() {
    // Images, tables, what is read.
    type Case = (
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: [Case; 10] = [
        // A table for each part beside its images.
        (
            &[
                "train/images/1.png",
                "train/images/2.png",
                "test/images/1.png",
            ],
            &[
                ("train/labels.csv", "file,label\n1.png,x\n2.png,y\n"),
                ("test/labels.csv", "file,label\n1.png,y\n"),
            ],
            "1x 2y; ; 3y",
        ),
        (
            &FOUR,
            &[(
                "labels.csv",
                "file,label\na.png,x\nb.png,y\nc.jpg,x\nd.png,y\n",
            )],
            "1x 2y 3x 4y; ; ",
        ),
        (
            &FOUR,
            &[("labels.csv", "id,breed\na,x\nb,y\nc,x\nd,y\n")],
            "1x 2y 3x 4y; ; ",
        ),
        (
            &FOUR,
            &[(
                "meta/labels.csv",
                "path;class\nimages/a.png;10\nimages/b.png;9.0\nimages/c.jpg;10\nimages/d.png;9",
            )],
            "110 29 310 49; ; ",
        ),
        (
            &FOUR,
            &[
                ("train.csv", "file,label\na.png,x\nb.png,y\n"),
                ("test.csv", "file,label\nc.jpg,y\n"),
            ],
            "1x 2y; ; 3y",
        ),
        (
            &FOUR,
            &[(
                "all.csv",
                "file,label,split\na.png,x,train\nb.png,y,train\nc.jpg,y,val\nd.png,x,test",
            )],
            "1x 2y; 3y; 4x",
        ),
        // The folders say the parts; those of the test part have no labels.
        (
            &["train/1.png", "train/2.png", "test/1.png", "test/2.png"],
            &[
                ("train_labels.csv", "id,label\n1,x\n2,y\n"),
                ("sample_submission.csv", "id,label\n1,x\n2,x\n"),
            ],
            "1x 2y; ; ",
        ),
        (
            &["train/1.png", "train/2.png", "test/1.png"],
            &[(
                "labels.csv",
                "id,label\ntrain/1.png,x\ntrain/2.png,y\ntest/1.png,y\n",
            )],
            "1x 2y; ; 3y",
        ),
        // −1 is no label where labels count from 0.
        (
            &FOUR,
            &[(
                "labels.csv",
                "file,label\na.png,0\nb.png,1\nc.jpg,-1\nd.png,1\n",
            )],
            "10 21 41; ; ",
        ),
        (
            &FOUR,
            &[("labels.csv", "file,label\na.png,1\nb.png,-1\nc.jpg,-1\n")],
            "11 2-1 3-1; ; ",
        ),
    ];
    for (images, tables, expected) in cases {
        let directory = folder(images, tables);
        let data = open(directory.path()).unwrap();
        assert_eq!(read(&data), expected, "{tables:?}");
        assert_eq!(data.inventory.format, FORMAT);
        assert!(data.source.skipped.is_empty());
    }
}

#[test]
fn numbers_are_sorted_as_numbers() {
    let directory = folder(
        &FOUR,
        &[("l.csv", "file,label\na.png,10\nb.png,9\nc.jpg,10\nd.png,9")],
    );
    assert_eq!(open(directory.path()).unwrap().label_names, ["9", "10"]);
}

#[test]
fn what_is_not_read_is_counted_or_named() {
    let directory = folder(
        &FOUR,
        &[
            (
                "labels.csv",
                "file,label\na.png,x\nb.png,y\ngone.png,y\nd.png,\nb.png,y\n",
            ),
            ("notes.txt", "hello"),
        ],
    );
    let data = open(directory.path()).unwrap();
    assert_eq!(read(&data), "1x 2y; ; ");
    let left_out: Vec<_> = data
        .inventory
        .left_out
        .iter()
        .map(|group| (group.count, group.reason.as_str()))
        .collect();
    for expected in [
        (1, "that no row of `labels.csv` names"),
        (1, "without a label in `labels.csv`"),
        (1, "`.txt` that are no images"),
    ] {
        assert!(left_out.contains(&expected), "{left_out:?}");
    }
    assert_eq!(data.source.skipped.len(), 1);
    let reason = &data.source.skipped[0].reason;
    assert!(
        reason.contains("gone.png` does not exist, but line 4 of `labels.csv`"),
        "{reason}"
    );
    assert!(data.inventory.notes[0].contains("1 rows of `labels.csv` name a file again"));
}

#[test]
fn contradictions_are_refused() {
    type Case = (
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let ten = "file,label\n0.png,a0\n1.png,a1\n2.png,a2\n3.png,a3\n4.png,a4\n5.png,a5\n6.png,a6\n7.png,a7\n8.png,a8\n9.png,a9";
    let ten: &'static str = ten;
    type Owned = (Vec<String>, Vec<(&'static str, &'static str)>, &'static str);
    let cases: Vec<Owned> = {
        let fixed: [Case; 8] = [
            (
                &FOUR,
                &[("labels.csv", "file,label\na.png,x\n../../b.png,y\n")],
                "line 3 of `labels.csv` names `../../b.png`, which leads out",
            ),
            (
                &FOUR,
                &[("labels.csv", "file,width\na.png,1\nb.png,2\n")],
                "give `labels.csv` a column `file` and a column `label`",
            ),
            (
                &FOUR,
                &[("labels.csv", "file,label\na.png,x\na.png,y\n")],
                "line 2 of `labels.csv` and line 3 of `labels.csv` name `images/a.png` and give it the label `x` and the label `y`",
            ),
            (
                &FOUR,
                &[
                    ("train.csv", "file,label\na.png,x\nb.png,y"),
                    ("test.csv", "file,label\na.png,x"),
                ],
                "put it in the test and the training part",
            ),
            (
                &["images_1/1.png", "images_2/1.png"],
                &[("labels.csv", "file,label\n1.png,x\n")],
                "names `1.png`, which may be `images_1/1.png` or `images_2/1.png`",
            ),
            (
                &FOUR,
                &[("labels.csv", "file,target\na.png,0.5\nb.png,1\n")],
                "numbers such as 0.5",
            ),
            (
                &FOUR,
                &[("labels.csv", "file,label\nx.png,a\ny.png,b\n")],
                "none of the 2 files that `labels.csv` names is there, such as `x.png` in line 2",
            ),
            (
                &FOUR,
                &[
                    ("train.csv", "file,label\na.png,x\nb.png,y"),
                    ("test.csv", "file,label\nc.jpg,z"),
                ],
                "its test part has the class `z`",
            ),
        ];
        let mut cases: Vec<_> = fixed
            .into_iter()
            .map(|(images, tables, said)| {
                let images = images.iter().map(|name| (*name).to_owned()).collect();
                (images, tables.to_vec(), said)
            })
            .collect();
        cases.push((
            (0..10).map(|i| format!("i/{i}.png")).collect(),
            vec![("labels.csv", ten)],
            "each of 10 images has a label of its own",
        ));
        cases
    };
    for (images, tables, said) in cases {
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let error = open(folder(&images, &tables).path()).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_table_beside_class_folders_changes_nothing_or_is_asked_about() {
    let classes = ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"];
    for table in [
        ("notes.csv", "camera,iso\nx,100\n"),
        (
            "labels.csv",
            "file,label\n1.png,cat\n2.png,cat\n3.png,dog\n4.png,dog\n",
        ),
        ("labels.csv", "file,label\n9.png,cat\n"),
        // Several boxes in an image, numbers, and a damaged table.
        ("boxes.csv", "filename,class,x\n1.png,ear,3\n1.png,nose,4\n"),
        ("scores.csv", "id,target\n1,0.5\n2,0.25\n"),
        ("labels.csv", "file,label\n1.png,a,b\n"),
    ] {
        let data = open(folder(&classes, &[table]).path()).unwrap();
        let is_noted = data
            .inventory
            .notes
            .join(" ")
            .contains("no list of labels, because");
        let is_wrong = ["boxes.csv", "scores.csv"].contains(&table.0) || table.1.contains("a,b\n");
        assert_eq!(is_noted, is_wrong, "{table:?}");
        assert_eq!(read(&data), "1cat 2cat 3dog 4dog; ; ", "{table:?}");
        assert_eq!(data.inventory.format, "an image folder");
        assert_eq!(
            data.inventory.left_out[0].reason,
            "`.csv` that are no images"
        );
    }
    let split = (
        "labels.csv",
        "file,label,split\n1.png,cat,train\n2.png,cat,test\n3.png,dog,train\n4.png,dog,test\n",
    );
    let data = open(folder(&classes, &[split]).path()).unwrap();
    assert_eq!(read(&data), "1cat 3dog; ; 2cat 4dog");

    // Other names for the same classes are told; the names of each other are asked about.
    let renamed = "file,label\n1.png,x\n2.png,x\n3.png,y\n4.png,y\n";
    let data = open(folder(&classes, &[("labels.csv", renamed)]).path()).unwrap();
    assert_eq!(read(&data), "1cat 2cat 3dog 4dog; ; ");
    let notes = data.inventory.notes.concat();
    assert!(
        notes.contains("`labels.csv` gives their classes others, as `x` for `cat`"),
        "{notes}"
    );
    for swapped in [
        "file,label\n1.png,dog\n2.png,dog\n3.png,cat\n4.png,cat\n",
        "file,label\n1.png,dog\n2.png,dog\n",
    ] {
        let error = open(folder(&classes, &[("labels.csv", swapped)]).path()).unwrap_err();
        assert!(error.contains("`cat/1.png` lies in the folder of the class `cat` and `labels.csv` gives it the label `dog`"), "{error}");
    }

    let other = (
        "labels.csv",
        "file,label\n1.png,wild\n2.png,tame\n3.png,tame\n4.png,wild\n",
    );
    let directory = folder(&classes, &[other]);
    let error = open(directory.path()).unwrap_err();
    let table = directory.path().join("labels.csv");
    let advice = format!("give `{}` to follow the table", table.display());
    assert!(error.contains(&advice), "{error}");
    // What the error advises works.
    assert_eq!(read(&open(&table).unwrap()), "1wild 2tame 3tame 4wild; ; ");
}

#[test]
fn folders_whose_names_say_nothing_are_no_classes() {
    let images = [
        "images_1/1.png",
        "images_1/2.png",
        "images_2/3.png",
        "images_2/4.png",
    ];
    let table = (
        "labels.csv",
        "file,label\n1.png,x\n2.png,y\n3.png,x\n4.png,y\n",
    );
    let data = open(folder(&images, &[table]).path()).unwrap();
    assert_eq!(read(&data), "1x 2y 3x 4y; ; ");
}
