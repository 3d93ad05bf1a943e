//! A table that names files and their labels.

use std::{borrow::Cow, collections::HashMap};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::parts::Parts;
use crate::data::{classes, inventory::shown, splits::Split};

const FILE_COLUMNS: [&str; 22] = [
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "filepaths",
    "path",
    "paths",
    "image",
    "images",
    "image_name",
    "image_file",
    "image_path",
    "image_id",
    "image_index",
    "img",
    "img_name",
    "img_path",
    "img_id",
    "name",
    "id_code",
    "id",
];

const LABEL_COLUMNS: [&str; 18] = [
    "label",
    "labels",
    "label_name",
    "class",
    "classes",
    "class_name",
    "class_label",
    "category",
    "category_name",
    "target",
    "targets",
    "species",
    "breed",
    "diagnosis",
    "dx",
    "label_id",
    "class_id",
    "y",
];

/// Columns of boxes around objects.
const BOX_COLUMNS: [&str; 7] = ["bbox", "bbox_x1", "boxes", "roi_x1", "x_min", "x1", "xmin"];

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: u64,
    /// What each column of files names.
    pub(super) files: Vec<String>,
    /// Nothing where the cell is empty.
    pub(super) label: Option<String>,
    pub(super) split: Option<Split>,
}

/// A table with a column of files and one of labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The names of the columns of files, for messages.
    pub(super) file_columns: Vec<String>,
    /// The name of the column of labels, for messages.
    pub(super) label_column: String,
    pub(super) rows: Vec<Row>,
    /// Rows whose label has spaces around it, beside others that have none.
    pub(super) trimmed: usize,
    /// Columns that are not read as parts, though they are named so, and why.
    pub(super) no_parts: Vec<(String, String)>,
    /// A column of boxes around objects.
    pub(super) boxes: Option<String>,
}

/// A column's name without case and with `_` for what separates words.
fn plain(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// The positions of these columns, in the order of `known`.
pub(super) fn columns(header: &[String], known: &[&str]) -> Vec<usize> {
    known
        .iter()
        .filter_map(|name| header.iter().position(|column| column == name))
        .collect()
}

/// Reads a table of files and labels; nothing where it has no such columns.
///
/// # Errors
/// What is wrong with it, where it has.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Table>, String> {
    let (text, broken) = decoded(bytes);
    // Lines are counted, and a carriage return would count as one.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let reader = |delimiter: u8| {
        ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(Trim::All)
            .from_reader(text.as_bytes())
    };
    for delimiter in *b",;\t" {
        let mut reader = reader(delimiter);
        let Ok(named) = reader.headers() else {
            continue;
        };
        let named: Vec<String> = named.iter().map(str::to_owned).collect();
        let header: Vec<String> = named.iter().map(|name| plain(name)).collect();
        let files = columns(&header, &FILE_COLUMNS);
        let labels = columns(&header, &LABEL_COLUMNS);
        if files.is_empty() || labels.is_empty() {
            continue;
        }
        if let Some(line) = broken {
            return Err(format!(
                "line {line} is not written in UTF-8, so that its letters cannot be told; save the table as UTF-8"
            ));
        }
        let records = reader
            .into_records()
            .collect::<Result<Vec<StringRecord>, _>>()
            .map_err(|error| format!("{}; repair it", error.to_string().trim_end_matches('.')))?;
        let label = label_column(&records, &labels, &named)?;
        let parts = Parts::read(&records, &header, &named)?;
        let rows = records
            .iter()
            .zip(parts.rows)
            .map(|(record, split)| Row {
                line: record.position().map_or(0, csv::Position::line),
                files: files
                    .iter()
                    .map(|&column| record.get(column).unwrap_or_default().to_owned())
                    .collect(),
                label: record
                    .get(label)
                    .filter(|label| !label.is_empty() && !label.eq_ignore_ascii_case("nan"))
                    .map(classes::normal),
                split,
            })
            .collect();
        return Ok(Some(Table {
            file_columns: files.iter().map(|&column| shown(&named[column])).collect(),
            label_column: shown(&named[label]),
            rows,
            trimmed: trimmed(&text, delimiter, label),
            no_parts: parts.unused,
            boxes: columns(&header, &BOX_COLUMNS)
                .first()
                .map(|&column| shown(&named[column])),
        }));
    }
    Ok(None)
}

/// A text in UTF-8, or in UTF-16 with a mark that says so, and the first line that is in neither.
fn decoded(bytes: &[u8]) -> (Cow<'_, str>, Option<usize>) {
    let units = |of: fn([u8; 2]) -> u16| bytes[2..].as_chunks().0.iter().map(move |pair| of(*pair));
    let wide: Option<Vec<u16>> = match bytes {
        [0xff, 0xfe, ..] => Some(units(u16::from_le_bytes).collect()),
        [0xfe, 0xff, ..] => Some(units(u16::from_be_bytes).collect()),
        _ => None,
    };
    let line = |text: &[u8]| 1 + text.iter().filter(|&&byte| byte == b'\n').count();
    match wide {
        Some(wide) => match String::from_utf16(&wide) {
            Ok(text) => (text.into(), None),
            Err(_) => (String::from_utf16_lossy(&wide).into(), Some(1)),
        },
        None => {
            let broken = std::str::from_utf8(bytes).err();
            let broken = broken.map(|error| line(&bytes[..error.valid_up_to()]));
            (String::from_utf8_lossy(bytes), broken)
        }
    }
}

/// The rows with spaces around their label, where others have none: their classes are one.
fn trimmed(text: &str, delimiter: u8, label: usize) -> usize {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut with, mut without) = (0, 0);
    for record in reader.records().flatten() {
        match record.get(label) {
            Some(label) if label.trim().len() < label.len() => with += 1,
            _ => without += 1,
        }
    }
    if without > 0 { with } else { 0 }
}

/// The column of labels: of several that say the same the first with names, not numbers.
fn label_column(
    records: &[StringRecord],
    columns: &[usize],
    named: &[String],
) -> Result<usize, String> {
    let first = columns[0];
    let values = |column: usize| {
        records
            .iter()
            .map(move |record| record.get(column).unwrap_or(""))
    };
    for &other in &columns[1..] {
        if !is_one_to_one(values(first).zip(values(other))) {
            return Err(format!(
                "its columns `{}` and `{}` give different labels; rename or remove the one that is none",
                shown(&named[first]),
                shown(&named[other])
            ));
        }
    }
    let is_text = |column: &usize| values(*column).any(|value| value.parse::<f64>().is_err());
    Ok(columns.iter().copied().find(is_text).unwrap_or(first))
}

/// Whether each value on the left goes with one on the right, and the other way round.
pub(super) fn is_one_to_one<'v>(pairs: impl Iterator<Item = (&'v str, &'v str)>) -> bool {
    let (mut forth, mut back) = (HashMap::new(), HashMap::new());
    for (a, b) in pairs {
        if *forth.entry(a).or_insert(b) != b || *back.entry(b).or_insert(a) != a {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, String, Option<String>, Option<Split>)> {
        let table = read(text.as_bytes()).unwrap().unwrap();
        let rows = table.rows.into_iter();
        rows.map(|row| (row.line, row.files.join("|"), row.label, row.split))
            .collect()
    }

    #[test]
    fn columns_are_known_by_their_names() {
        for text in [
            "file,label\na.png,cat\n",
            "\u{feff}Filename;Class\na.png;cat\n",
            "x\tImage Name\tCategory\n1\ta.png\tcat\n",
            "\"file\",\"label\"\r\n\"a.png\",\" cat \"\r\n",
            "image,label_id,class\na.png,0,cat",
        ] {
            assert_eq!(
                rows(text),
                [(2, "a.png".into(), Some("cat".into()), None)],
                "{text}"
            );
        }
        for text in ["", "a,b\n1,2\n", "id,score\na,1\n", "label\ncat\n"] {
            assert_eq!(read(text.as_bytes()), Ok(None), "{text}");
        }
    }

    #[test]
    fn parts_come_from_columns_of_theirs() {
        let found: Vec<_> = rows("id,label,Data set\n1,a,test\n2,b,train")
            .into_iter()
            .map(|row| row.3)
            .collect();
        assert_eq!(found, [Some(Split::Test), Some(Split::Train)]);
        let table = read(b"id,label,Data set\n1,a,coco").unwrap().unwrap();
        assert_eq!(table.rows[0].split, None);
        assert_eq!(table.no_parts[0].0, "Data set");
    }

    #[test]
    fn labels_that_are_trimmed_beside_others_are_counted() {
        for (text, expected) in [
            ("id,label\n1,dog\n2,dog \n3,cat", 1),
            ("id, label\n1, dog\n2, cat", 0),
            ("id;label\n1;\" dog\"\n2;\tdog\n3;dog", 2),
        ] {
            let table = read(text.as_bytes()).unwrap().unwrap();
            assert_eq!(table.trimmed, expected, "{text}");
        }
    }

    #[test]
    fn letters_are_told_or_asked_about() {
        let text = "file,label\na.png,B\u{e4}r\n";
        let wide = |of: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}"
                .encode_utf16()
                .chain(text.encode_utf16())
                .flat_map(of)
                .collect()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            let table = read(&bytes).unwrap().unwrap();
            assert_eq!(table.rows[0].label.as_deref(), Some("B\u{e4}r"));
        }
        let error = read(b"file,label\na.png,Bar\nb.png,B\xe4r\n").unwrap_err();
        assert!(
            error.starts_with("line 3 is not written in UTF-8"),
            "{error}"
        );
        // What is no list of labels is not looked into.
        assert_eq!(read(b"a,b\n1,\xe4\n"), Ok(None));
    }

    #[test]
    fn what_cannot_be_settled_is_asked() {
        for (text, said) in [
            (
                "id,label,split\n1,a,train\n2,b,0",
                "column `split` has the value `0`",
            ),
            (
                "id,label,class\n1,a,x\n2,a,y",
                "`label` and `class` give different labels",
            ),
            ("id,label\n1,a,b\n", "repair it"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(
            rows("id,label\n1,\n2,NaN\n3,x")[..2]
                .iter()
                .filter(|r| r.2.is_some())
                .count(),
            0
        );
    }
}
