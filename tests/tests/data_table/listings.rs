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
