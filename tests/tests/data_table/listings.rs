//! Pictures in one folder, their classes in a table.

use std::fmt::Write as _;
use std::path::Path;

use crate::row::{Row, row, written};
use end_to_end::picture::{CAT, DOG, OWL, gif_of_two_frames, png, put};

const BOTH: &str = "cat 6/0/0, dog 6/0/0";

/// Six cats and six dogs in `images`, called by their number.
fn put_images(folder: &Path) {
    for i in 0..12 {
        let bar = if i < 6 { CAT } else { DOG };
        put(&folder.join(format!("images/{i}.png")), png(bar, i));
    }
}

fn label(i: usize) -> &'static str {
    if i < 6 { "cat" } else { "dog" }
}

/// A table with a line for each picture.
fn table(header: &str, line: impl Fn(usize) -> String) -> String {
    (0..12).fold(format!("{header}\n"), |mut text, i| {
        let _ = writeln!(text, "{}", line(i));
        text
    })
}

/// Pictures in `images` and this table beside them.
fn listed(name: &'static str, file: &'static str, table: impl Fn() -> String + 'static) -> Row {
    row(name, move |root| {
        put_images(&root.join("d"));
        put(&root.join("d").join(file), table());
    })
}

fn plain() -> String {
    table("file,label", |i| format!("{i}.png,{}", label(i)))
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        listed("a table of names and classes", "labels.csv", plain).reads(BOTH),
        listed("a table with paths", "labels.csv", || {
            table("file,label", |i| format!("images/{i}.png,{}", label(i)))
        })
        .reads(BOTH),
        listed("a table by Excel", "labels.csv", || {
            let lines = table("file;label", |i| format!("{i}.png;{}", label(i)));
            format!("\u{feff}{}", lines.replace('\n', "\r\n"))
        })
        .reads(BOTH),
        listed("a table with quotes", "labels.csv", || {
            table("file,label", |i| format!("\"{i}.png\",\"{}\"", label(i)))
        })
        .reads(BOTH),
        listed(
            "a table with the columns turned and one more",
            "labels.csv",
            || table("label,size,file", |i| format!("{},{i},{i}.png", label(i))),
        )
        .reads(BOTH),
        listed("a table of the Hub", "metadata.csv", || {
            table("file_name,label", |i| {
                format!("images/{i}.png,{}", label(i))
            })
        })
        .reads(BOTH),
        listed(
            "a table that names a picture that is not there",
            "labels.csv",
            || plain() + "gone.png,cat\n",
        )
        .reads(BOTH)
        .fails(&["gone.png"]),
        row("a table that names moving pictures", |root| {
            put_images(&root.join("d"));
            put(
                &root.join("d/images/moving.gif"),
                gif_of_two_frames(CAT, DOG),
            );
            put(&root.join("d/labels.csv"), plain() + "moving.gif,cat\n");
        })
        .reads("cat 7/0/0, dog 6/0/0")
        .holds("/multi_frame", 1),
        row("a picture that the table does not name", |root| {
            put_images(&root.join("d"));
            put(&root.join("d/labels.csv"), plain());
            put(&root.join("d/images/more.png"), png(OWL, 0));
        })
        .reads(BOTH)
        .leaves_out(1, &["labels.csv"]),
        listed("a table without a class in one line", "labels.csv", || {
            plain().replace("0.png,cat\n1.png,cat", "0.png,\n1.png,cat")
        })
        .reads("cat 5/0/0, dog 6/0/0")
        .leaves_out(1, &[]),
        listed("a table with a picture twice, alike", "labels.csv", || {
            plain() + "0.png,cat\n"
        })
        .reads(BOTH),
        listed(
            "a table with a picture in two classes",
            "labels.csv",
            || plain() + "0.png,dog\n",
        )
        .refused(&["0.png"]),
        listed("a table without a column of classes", "labels.csv", || {
            table("file,width", |i| format!("{i}.png,{i}"))
        })
        .refused(&["labels.csv", "label"]),
        listed("a table of one class", "labels.csv", || {
            table("file,label", |i| format!("{i}.png,cat"))
        })
        .refused(&["one class `cat`"]),
        listed("a table that leads out", "labels.csv", || {
            plain() + "../../x.png,cat\n"
        })
        .refused(&["x.png"]),
        row("a table of parts", |root| {
            for (part, count) in [("train", 12), ("test", 4)] {
                let folder = root.join("d").join(part);
                let mut lines = String::from("file,label\n");
                for i in 0..count {
                    let (name, bar) = if i % 2 == 0 {
                        ("cat", CAT)
                    } else {
                        ("dog", DOG)
                    };
                    put(&folder.join(format!("images/{i}.png")), png(bar, i));
                    let _ = writeln!(lines, "{i}.png,{name}");
                }
                put(&folder.join("labels.csv"), lines);
            }
        })
        .reads("cat 6/0/2, dog 6/0/2"),
        listed("a table with a column that may be a split", "labels.csv", || {
            table("file,label,dataset", |i| format!("{i}.png,{},coco", label(i)))
        })
        .reads(BOTH)
        .says(&["the column `dataset` of `labels.csv` is not used as a split, because its 12 values, such as `coco`"]),
        listed("a table with parts in some rows", "labels.csv", || {
            table("file,label,set", |i| format!("{i}.png,{},{}", label(i), if i % 2 == 0 { "train" } else { "x" }))
        })
        .refused(&["`set` has the value `x`"]),
        listed("a table with a column for each part", "labels.csv", || {
            table("file,label,train,val,test", |i| {
                let flags = ["1,0,0", "1,0,0", "0,1,0", "0,0,1", "1,0,0", "1,0,0"][i % 6];
                format!("{i}.png,{},{flags}", label(i))
            })
        })
        .reads("cat 4/1/1, dog 4/1/1"),
        listed("labels with semicolons", "labels.csv", || {
            table("file,label", |i| format!("{i}.png,{}", if i % 6 == 0 { "cat;dog" } else { label(i) }))
        })
        .refused(&["several labels in a cell", "`cat;dog`"]),
        listed("labels side by side that are also alone", "labels.csv", || {
            table("file,label", |i| format!("{i}.png,{}", if i % 6 == 0 { "cat dog" } else { label(i) }))
        })
        .refused(&["several labels in a cell", "`cat dog`"]),
        listed("one number in two ways", "labels.csv", || {
            table("file,label", |i| format!("{i}.png,{}", ["1", "01", "2"][i % 3]))
        })
        .refused(&["`1` and `01`", "one number"]),
        listed("a label that may be none", "labels.csv", || {
            table("file,label", |i| format!("{i}.png,{}", if i < 6 { "NA" } else { "dog" }))
        })
        .bars(|name| Some(if name == "NA" { CAT } else { DOG }))
        .reads("NA 6/0/0, dog 6/0/0")
        .says(&["the label `NA` of 6 images is read as the name of a class"]),
        row("a table in Latin-1", |root| {
            put_images(&root.join("d"));
            let table = plain().replace("cat", "k\u{e4}tzchen");
            let bytes: Vec<u8> = table.chars().map(|c| c as u8).collect();
            put(&root.join("d/labels.csv"), bytes);
        })
        .refused(&["labels.csv", "line 2 is not written in UTF-8"]),
        row("a table in UTF-16", |root| {
            put_images(&root.join("d"));
            let table = format!("\u{feff}{}", plain());
            let bytes: Vec<u8> = table.encode_utf16().flat_map(u16::to_le_bytes).collect();
            put(&root.join("d/labels.csv"), bytes);
        })
        .reads(BOTH),
        listed("a table of one box in each image", "labels.csv", || {
            table("file,label,xmin,ymin", |i| format!("{i}.png,{},1,2", label(i)))
        })
        .reads(BOTH)
        .says(&["whole images are read, and not the boxes", "`xmin`"]),
        listed("a table of boxes", "labels.csv", || {
            let boxes = table("file,label,xmin,ymin", |i| format!("{i}.png,{},1,2", label(i)));
            boxes + "0.png,cat,3,4\n"
        })
        .refused(&["`xmin`", "boxes around objects"]),
        row("a table of parts beside that of the labels", |root| {
            put_images(&root.join("d"));
            put(&root.join("d/labels.csv"), plain());
            let parts = table("file,partition", |i| format!("{i}.png,{}", i % 3));
            put(&root.join("d/list_eval_partition.csv"), parts);
        })
        .reads(BOTH)
        .leaves_out(1, &[])
        .says(&["`list_eval_partition.csv` may list parts or labels of the data set and is not read"]),
        row("a table of classes beside class folders", |root| {
            end_to_end::picture::classes(&root.join("d"), &["cat", "dog"], 6);
            put(&root.join("d/names.csv"), "id,name\n0,cat\n1,dog\n");
        })
        .reads(BOTH)
        .leaves_out(1, &[]),
    ]
}

/// Tables that pandas wrote.
pub(crate) fn by_libraries() -> Vec<Row> {
    vec![
        written("a table by pandas with its index", "tables/index").reads(BOTH),
        written("a table by pandas in semicolons", "tables/semicolons").reads(BOTH),
        written("a table by pandas of the Hub", "tables/hub").reads(BOTH),
    ]
}
