use super::*;

use Split::{Test, Train, Validation};

fn file(path: &str, split: Split, rows: Vec<Value>) -> Labels {
    Labels {
        path: path.into(),
        splits: vec![Some(split); rows.len()],
        rows,
        ..Labels::default()
    }
}

fn numbers(path: &str, split: Split, rows: &[i64], names: &[&str]) -> Labels {
    Labels {
        names: (!names.is_empty()).then(|| names.iter().map(|&name| name.into()).collect()),
        ..file(
            path,
            split,
            rows.iter().map(|&n| Value::Number(n)).collect(),
        )
    }
}

fn texts(path: &str, split: Split, rows: &[&str]) -> Labels {
    let mut distinct: Vec<String> = Vec::new();
    let rows = rows.iter().map(|&row| {
        let place = distinct.iter().position(|name| name == row);
        Value::Text(place.unwrap_or_else(|| {
            distinct.push(row.into());
            distinct.len() - 1
        }) as u32)
    });
    let rows = rows.collect();
    Labels {
        texts: distinct,
        ..file(path, split, rows)
    }
}

/// Names of classes, the labels of each file by name, and notes.
type Told = (Vec<String>, Vec<Vec<String>>, String);

/// What is tried, the files, the names, the labels of each file, and the note.
type Case = (
    &'static str,
    Vec<Labels>,
    &'static [&'static str],
    &'static [&'static [&'static str]],
    &'static str,
);

/// The names and the labels of all files as names, `-` for unlabelled and `?` for missing.
fn read(files: &[Labels]) -> Result<Told, String> {
    let classes = resolve(Path::new("d"), files).map_err(|error| error.to_string())?;
    let name = |label: &Label| match label {
        Label::Class(class) => classes.names[*class as usize].clone(),
        Label::Missing => "?".into(),
        Label::Unlabelled => "-".into(),
    };
    let rows = classes.rows.iter();
    let rows = rows.map(|rows| rows.iter().map(name).collect()).collect();
    Ok((classes.names.clone(), rows, classes.notes.join("; ")))
}

#[test]
fn classes_are_matched_by_name() {
    let cases: [Case; 10] = [
        (
            "a test file that lacks a class has a shorter list",
            vec![
                numbers("a", Train, &[0, 1, 2], &["cat", "cow", "dog"]),
                numbers("b", Test, &[0, 1], &["cat", "dog"]),
            ],
            &["cat", "cow", "dog"],
            &[&["cat", "cow", "dog"], &["cat", "dog"]],
            "matched by name",
        ),
        (
            "another order",
            vec![
                numbers("a", Train, &[0, 1], &["dog", "cat"]),
                numbers("b", Train, &[0, 1, 2], &["cat", "dog", "owl"]),
            ],
            &["dog", "cat", "owl"],
            &[&["dog", "cat"], &["cat", "dog", "owl"]],
            "`a` and `b` mean different classes",
        ),
        (
            "a class that no training image has",
            vec![numbers("a", Train, &[0, 2], &["cat", "cow", "dog"])],
            &["cat", "cow", "dog"],
            &[&["cat", "dog"]],
            "no training image is of the class `cow`",
        ),
        (
            "names are sorted over all files",
            vec![
                texts("a", Train, &["owl", "cat"]),
                texts("b", Train, &["dog"]),
                texts("c", Validation, &["cat"]),
            ],
            &["cat", "dog", "owl"],
            &[&["owl", "cat"], &["dog"], &["cat"]],
            "",
        ),
        (
            "composed and decomposed",
            vec![texts(
                "a",
                Train,
                &["b\u{e9}b\u{e9}", "be\u{301}be\u{301}", "z"],
            )],
            &["b\u{e9}b\u{e9}", "z"],
            &[&["b\u{e9}b\u{e9}", "b\u{e9}b\u{e9}", "z"]],
            "",
        ),
        (
            "places in a list",
            vec![
                numbers("a", Train, &[0, 3], &[]),
                numbers("b", Test, &[1], &[]),
            ],
            &["0", "1", "2", "3"],
            &[&["0", "3"], &["1"]],
            "no training image is of the classes `1`, `2`",
        ),
        (
            "numbers that start elsewhere",
            vec![numbers("a", Train, &[7, 2, 10], &[])],
            &["2", "7", "10"],
            &[&["7", "2", "10"]],
            "",
        ),
        (
            "no label",
            vec![
                numbers("a", Train, &[0, -1, 1], &["cat", "dog"]),
                file("b", Test, vec![Value::Missing, Value::Number(-1)]),
            ],
            &["cat", "dog"],
            &[&["cat", "-", "dog"], &["?", "-"]],
            "",
        ),
        (
            "names that one file lacks",
            vec![
                numbers("a", Train, &[0, 1], &["cat", "dog"]),
                numbers("b", Test, &[1], &[]),
            ],
            &["cat", "dog"],
            &[&["cat", "dog"], &["dog"]],
            "`b` has no names for its classes",
        ),
        (
            "digits as text",
            vec![
                texts("a", Train, &["0", "1"]),
                numbers("b", Test, &[1], &[]),
            ],
            &["0", "1"],
            &[&["0", "1"], &["1"]],
            "",
        ),
    ];
    for (case, files, names, rows, note) in cases {
        let (found, labels, notes) = read(&files).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(found, names, "{case}");
        assert_eq!(labels, rows, "{case}");
        assert!(notes.contains(note), "{case}: {notes}");
        assert_eq!(note.is_empty(), notes.is_empty(), "{case}: {notes}");
    }
}

#[test]
fn what_cannot_be_matched_is_refused() {
    let cases = [
        (
            vec![
                texts("a", Train, &["cat", "dog"]),
                texts("b", Test, &["owl"]),
            ],
            "`b` is not usable as a parquet file of images: it has the class `owl` that the training part lacks",
        ),
        (
            vec![
                numbers("a", Train, &[0, 1], &[]),
                numbers("b", Validation, &[2], &[]),
            ],
            "the class `2` that the training part lacks",
        ),
        (
            vec![
                numbers("a", Train, &[0, 1], &["cat", "dog"]),
                numbers("b", Test, &[2], &["cat", "dog", "owl"]),
            ],
            "the class `owl`",
        ),
        (
            vec![numbers("a", Train, &[0, 2], &["cat", "dog"])],
            "example 1 the label 2, but there are 2 classes",
        ),
        (
            vec![numbers("a", Train, &[0, -2], &[])],
            "example 1 the label -2",
        ),
        (
            vec![texts("a", Train, &["cat"]), numbers("b", Test, &[0], &[])],
            "`b` numbers its classes and `a` names them, as `cat`",
        ),
        (
            vec![
                numbers("a", Train, &[0], &["cat", "dog"]),
                numbers("b", Train, &[0], &["dog", "cat"]),
                numbers("c", Test, &[0], &[]),
            ],
            "`c` numbers its classes without their names",
        ),
    ];
    for (files, said) in cases {
        let error = read(&files).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn spaces_around_names_are_no_part_of_them() {
    let files = [
        texts("train", Train, &["dog", "dog ", " cat"]),
        texts("test", Test, &["dog"]),
    ];
    let classes = resolve(Path::new("d"), &files).unwrap();
    assert_eq!(classes.names, ["cat", "dog"]);
    let [cat, dog] = [Label::Class(0), Label::Class(1)];
    assert_eq!(classes.rows, [vec![dog, dog, cat], vec![dog]]);
    assert_eq!(
        classes.notes,
        ["spaces around the names of classes are taken away in 2 rows, as in `dog `"]
    );
}
