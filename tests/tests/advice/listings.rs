//! Tables of files and their classes.

use std::fs;
use std::path::Path;

use end_to_end::archive::zip;
use end_to_end::picture::{CAT, DOG, classes, png, put};

use crate::follow::{BOTH, Refused, noted, nothing, numbered, partial, refused, rename};

/// The table of [`numbered`] in which a cell is another: the class of an image by its number.
fn table(header: &str, row: impl Fn(usize, &str) -> String) -> String {
    let rows = (0..12).map(|i| row(i, if i < 6 { "cat" } else { "dog" }) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

fn right() -> String {
    table("file,label", |i, label| format!("{i:02}.png,{label}"))
}

fn put_table(root: &Path, text: &str) {
    put(&root.join("d/labels.csv"), text);
}

/// Images in a folder with a table that is corrected.
fn wrong(name: &'static str, text: String, sentence: &'static [&'static str]) -> Refused {
    let make = move |root: &Path| {
        numbered(&root.join("d/images"));
        put_table(root, &text);
    };
    refused(name, make, sentence).then(|root| put_table(root, &right()), BOTH)
}

/// Moves the images into folders of their classes.
fn into_folders(root: &Path) {
    for i in 0..12 {
        let class = if i < 6 { "cat" } else { "dog" };
        let file = format!("{i:02}.png");
        rename(
            root,
            &format!("d/images/{file}"),
            &format!("d/{class}/{file}"),
        );
    }
    fs::remove_dir(root.join("d/images")).unwrap();
}

pub(crate) fn cases() -> Vec<Refused> {
    [tables(), labels(), files(), folders()]
        .into_iter()
        .flatten()
        .collect()
}

fn tables() -> Vec<Refused> {
    let by_part = |root: &Path| {
        let part = |i: usize| if i.is_multiple_of(3) { "test" } else { "train" };
        let row = |i: usize, label: &str| format!("{i:02}.png,{label},{}", part(i));
        put_table(root, &table("file,label,split", row));
    };
    let label =
        |text: fn(usize) -> String| table("file,label", |i, _| format!("{i:02}.png,{}", text(i)));
    vec![
        wrong(
            "a table that gives a picture two classes",
            right() + "00.png,dog\n",
            &[
                "line 2 of `labels.csv` and line 14 of `labels.csv` name `images/00.png` and give it the label `cat` and the label \
                 `dog`; correct one of them",
            ],
        ),
        wrong(
            "a table that puts a picture into two parts",
            table("file,label,split", |i, label| format!("{i:02}.png,{label},train")) + "00.png,cat,test\n",
            &[
                "line 2 of `labels.csv` and line 14 of `labels.csv` name `images/00.png` and put it in the training and the test \
                 part; remove one of them",
            ],
        ),
        wrong(
            "a table without labels",
            label(|_| String::new()),
            &["`labels.csv` give no image a label; fill in the labels"],
        ),
        wrong(
            "a table of numbers",
            label(|i| format!("0.{}", i % 5)),
            &[
                "its column `label` holds numbers such as 0.1, which are no classes; give each image the name or the number of a \
                 class",
            ],
        ),
        wrong(
            "a label for each image",
            label(|i| format!("my cat {i}")),
            &[
                "each of 12 images has a label of its own in the column `label`, so that they are no classes; give images of one \
                 class one label",
            ],
        ),
        wrong(
            "a table with a row too long",
            right() + "a,b,c\n",
            &["`d/labels.csv` is not usable as a list of labels: ", "; repair it"],
        ),
        wrong(
            "two columns of labels",
            table("file,label,class", |i, label| format!("{i:02}.png,{label},{}", i % 4)),
            &["its columns `label` and `class` give different labels; rename or remove the one that is none"],
        )
        .then(
            |root| put_table(root, &table("file,label,shade", |i, label| format!("{i:02}.png,{label},{}", i % 4))),
            BOTH,
        ),
        wrong(
            "a part that is none",
            table("file,label,split", |i, label| format!("{i:02}.png,{label},{}", ["train", "7"][i / 11])),
            &["its column `split` has the value `7`, which is no part; write train, validation or test there"],
        )
        .then(by_part, BOTH),
        wrong(
            "a part that is none beside those that are",
            table("file,label,set", |i, label| format!("{i:02}.png,{label},{}", ["train", "7"][i / 11])),
            &[
                "its column `set` has the value `7`, which is no part, beside values that are; write train, validation or test there, \
                 or rename the column to read its rows without it",
            ],
        )
        .then(
            |root| put_table(root, &table("file,label,fold", |i, label| format!("{i:02}.png,{label},{}", ["train", "7"][i / 11]))),
            BOTH,
        ),
        wrong(
            "columns of parts that contradict each other",
            table("file,label,train,test", |i, label| format!("{i:02}.png,{label},1,{}", i / 11)),
            &[
                "its columns `train` and `test` contradict each other on the part of line 13; correct it, or rename those that are no \
                 parts",
            ],
        )
        .then(
            |root| put_table(root, &table("file,label,train,fold", |i, label| format!("{i:02}.png,{label},1,{}", i / 11))),
            BOTH,
        ),
        wrong(
            "columns of parts that say none",
            table("file,label,train,test", |i, label| format!("{i:02}.png,{label},{},0", u8::from(i < 11))),
            &["its columns `train` and `test` put line 13 in no part; correct it, or write the parts in one column `split`"],
        )
        .then(by_part, BOTH),
    ]
}

/// Labels that are several things.
fn labels() -> Vec<Refused> {
    let label =
        |text: fn(usize) -> String| table("file,label", |i, _| format!("{i:02}.png,{}", text(i)));
    let boxes = table("file,label,xmin", |i, label| {
        format!("{i:02}.png,{label},0")
    }) + "00.png,cat,7\n";
    let metadata = |root: &Path, ending: &str, text: String| {
        put(&root.join(format!("d/metadata.{ending}")), text)
    };
    vec![
        wrong(
            "boxes around objects",
            boxes,
            &[
                "`labels.csv` names images several times and has the column `xmin`, so that it holds boxes around objects, and whole \
                 images are classified here; cut the objects out into folders named by their classes, or keep one row of each image",
            ],
        )
        .then(into_folders, BOTH),
        wrong(
            "a number in two spellings",
            label(|i| ["01", "1", "2"][i % 3].into()),
            &["its column `label` holds `01` and `1`, which are one number; write it in one way, or give the classes names"],
        )
        .then(|root| put_table(root, &table("file,label", |i, _| format!("{i:02}.png,{}", 1 + i / 6))), "1 6, 2 6"),
        wrong(
            "several labels in a cell",
            label(|i| ["cat", "cat;dog"][i / 6].into()),
            &[
                "its column `label` holds several labels in a cell, such as `cat;dog`; give each image one label, or put `_` in place \
                 of `;` where it is the name of one class",
            ],
        )
        .then(
            |root| put_table(root, &table("file,label", |i, _| format!("{i:02}.png,{}", ["cat", "cat_dog"][i / 6]))),
            "cat 6, cat_dog 6",
        ),
        refused(
            "a table of another encoding",
            |root| {
                numbered(&root.join("d/images"));
                let text = right().replace("cat", "Bär");
                let latin: Vec<u8> = text.chars().map(|c| c as u32 as u8).collect();
                put(&root.join("d/labels.csv"), latin);
            },
            &["line 2 is not written in UTF-8, so that its letters cannot be told; save the table as UTF-8"],
        )
        .then(|root| put_table(root, &right().replace("cat", "Bär")), "Bär 6, dog 6"),
        noted(
            "a label that may stand for none",
            |root| {
                numbered(&root.join("d/images"));
                put_table(root, &right().replace("00.png,cat", "00.png,none").replace("01.png,cat", "01.png,none"));
            },
            &["the label `none` of 2 images is read as the name of a class; leave the cell empty where it stands for none"],
        )
        .then(
            |root| put_table(root, &right().replace("00.png,cat", "00.png,").replace("01.png,cat", "01.png,")),
            "cat 4, dog 6",
        ),
        refused(
            "lines of JSON in the place of a table",
            move |root| {
                numbered(&root.join("d"));
                let line = |i: usize| format!("{{\"file_name\": \"{i:02}.png\", \"label\": \"cat\"}}\n");
                metadata(root, "jsonl", (0..12).map(line).collect());
            },
            &[
                "`d/metadata.jsonl` is not usable as a dataset to classify: it describes the images beside it, and only tables are \
                 read; write it as `metadata.csv` in its place, with the columns `file_name` and `label`",
            ],
        )
        .then(
            move |root| {
                fs::remove_file(root.join("d/metadata.jsonl")).unwrap();
                metadata(root, "csv", right().replace("file,", "file_name,"));
            },
            BOTH,
        ),
    ]
}

/// Names of files.
fn files() -> Vec<Refused> {
    let more = |row: &str| right() + row;
    vec![
        wrong(
            "a name that leads out of the data set",
            more("../../x.png,cat\n"),
            &[
                "line 14 of `labels.csv` names `../../x.png`, which leads out of the data set; put the file into it, or remove the \
                 line",
            ],
        )
        .then(
            |root| {
                put(&root.join("d/images/x.png"), png(CAT, 12));
                put_table(root, &(right() + "x.png,cat\n"));
            },
            "cat 7, dog 6",
        ),
        refused(
            "a name that two files have",
            |root| {
                numbered(&root.join("d/images"));
                put(&root.join("d/more/00.png"), png(DOG, 12));
                put_table(root, &right());
            },
            &[
                "line 2 of `labels.csv` names `00.png`, which may be `images/00.png` or `more/00.png`; write their paths in its \
                 column `file`",
            ],
        )
        .then(
            |root| {
                let row = |i: usize, label: &str| format!("images/{i:02}.png,{label}");
                put_table(root, &(table("file,label", row) + "more/00.png,dog\n"));
            },
            "cat 6, dog 7",
        ),
        partial(
            "a file that is not there",
            |root| {
                numbered(&root.join("d/images"));
                put_table(root, &(right() + "images/12.png,dog\n"));
            },
            &["`d/images/12.png` does not exist, but line 14 of `labels.csv` names it; add it, or remove the line"],
        )
        .then(|root| put(&root.join("d/images/12.png"), png(DOG, 12)), "cat 6, dog 7")
        .then(|root| put_table(root, &right()), BOTH),
        wrong(
            "no file that is there",
            table("file,label", |i, label| format!("{i:02}.tif.png,{label}")),
            &[
                "none of the 12 files that `labels.csv` names is there, such as `00.tif.png` in line 2; correct its column `file`, \
                 or put the images of each class in a folder of its own",
            ],
        )
        .then(into_folders, BOTH),
        wrong(
            "a table without rows",
            "file,label\n".into(),
            &["`labels.csv` has no rows; fill it, or put the images of each class in a folder of its own"],
        )
        .then(into_folders, BOTH),
    ]
}

/// Tables beside class folders.
fn folders() -> Vec<Refused> {
    // The first cat is a dog.
    let table = |root: &Path| {
        let row = |class: &str, i: usize, label: &str| format!("{class}/{i:03}.png,{label}\n");
        let cats = (0..6).map(|i| row("cat", i, if i == 0 { "dog" } else { "cat" }));
        let rows: String = cats.chain((0..6).map(|i| row("dog", i, "dog"))).collect();
        put_table(root, &format!("file,label\n{rows}"));
    };
    let make = move |root: &Path| {
        classes(&root.join("d"), &["cat", "dog"], 6);
        table(root);
    };
    vec![
        refused(
            "a table that contradicts the folders",
            make,
            &[
                "`cat/000.png` lies in the folder of the class `cat` and `labels.csv` gives it the label `dog`; give \
                 `d/labels.csv` to follow the table, or move the table out of the data set to follow the folders",
            ],
        )
        .give("d/labels.csv", nothing, "cat 5, dog 7")
        .then(|root| rename(root, "d/labels.csv", "labels.csv"), BOTH),
        refused(
            "a table that contradicts the folders of an archive",
            move |root| {
                make(root);
                rename(root, "d", "x");
                let mut members = vec![(
                    "labels.csv".to_owned(),
                    fs::read(root.join("x/labels.csv")).unwrap(),
                )];
                for class in ["cat", "dog"] {
                    for i in 0..6 {
                        let name = format!("{class}/{i:03}.png");
                        let bytes = fs::read(root.join("x").join(&name)).unwrap();
                        members.push((name, bytes));
                    }
                }
                put(&root.join("d"), zip(&members));
            },
            &["; unpack the archive and give the table to follow the table, or move the table out of the data set"],
        )
        .give("x/labels.csv", nothing, "cat 5, dog 7"),
        refused(
            "a table of other things",
            |root| {
                numbered(&root.join("d"));
                let rows: String = (0..12).map(|i| format!("{i:02},cat\n")).collect();
                put(&root.join("d/names.csv"), format!("number,animal\n{rows}"));
            },
            &[
                "its 12 images lie in no class folders; put the images of each class in a folder of its own, or give `names.csv` a \
                 column `file` and a column `label`",
            ],
        )
        .then(|root| put(&root.join("d/names.csv"), right()), BOTH),
    ]
}
