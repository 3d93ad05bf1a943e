//! What the readers of series advise: each sentence is taken at its word, ends in a working run, and loses nothing.

use std::fs;

use end_to_end::series::{ROWS, a, b, data_of, dated, hour, iso, lines, plain, train};
use end_to_end::zoo::Workspace;

/// A file that is refused, and each way out that the sentence gives.
struct Refused {
    name: &'static str,
    text: String,
    args: &'static [&'static str],
    /// Parts of the sentence.
    sentence: &'static [&'static str],
    ways: Vec<Way>,
}

/// A way out, and the rows and columns of numbers to which it must lead.
struct Way {
    /// Pairs of a flag and its value: each must stand in the sentence that the run without it ends in.
    flags: &'static [&'static str],
    /// Another text, as the sentence says.
    change: Option<fn(&str) -> String>,
    rows: usize,
    columns: usize,
}

fn refused(name: &'static str, text: String) -> Refused {
    Refused {
        name,
        text,
        args: &[],
        sentence: &[],
        ways: Vec::new(),
    }
}

impl Refused {
    fn with(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    fn says(self, sentence: &'static [&'static str]) -> Self {
        Self { sentence, ..self }
    }

    fn flags(mut self, flags: &'static [&'static str], rows: usize, columns: usize) -> Self {
        self.ways.push(Way {
            flags,
            change: None,
            rows,
            columns,
        });
        self
    }

    fn change(mut self, change: fn(&str) -> String, rows: usize, columns: usize) -> Self {
        self.ways.push(Way {
            flags: &[],
            change: Some(change),
            rows,
            columns,
        });
        self
    }

    fn fill(self, rows: usize, columns: usize) -> Self {
        self.flags(&["--set", "series.missing=forward"], rows, columns)
            .flags(&["--set", "series.missing=linear"], rows, columns)
    }
}

/// A text with each line changed, of which the header is the first.
fn by_line(text: &str, change: impl Fn(usize, &str) -> String) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(i, line)| change(i + 1, line) + "\n").collect()
}

/// [`plain`] with another cell in a line and a column.
fn with_cell(line: usize, column: usize, cell: &str) -> String {
    by_line(&plain(), |at, row| {
        let mut cells: Vec<&str> = row.split(',').collect();
        if at == line {
            cells[column] = cell;
        }
        cells.join(",")
    })
}

/// [`plain`] with further columns.
fn with_columns(header: &str, cells: impl Fn(usize) -> String) -> String {
    let columns = lines(header, ROWS, cells);
    let columns: Vec<&str> = columns.lines().collect();
    by_line(&plain(), |line, row| format!("{row},{}", columns[line - 1]))
}

fn without_line(text: &str, line: usize) -> String {
    let kept = text.lines().enumerate().filter(|(i, _)| i + 1 != line);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// What a reader can do about single values.
fn values() -> Vec<Refused> {
    let absent = ["NA", "N/A", "null", "-", "#N/A", "<NA>"];
    vec![
        refused("an empty cell", with_cell(5, 1, ""))
            .says(&["values are missing (1 missing, the first in line 5, column `a`)"])
            .fill(ROWS, 2),
        refused("a question mark", with_cell(5, 2, "?"))
            .says(&["1 missing, the first in line 5, column `b`"])
            .fill(ROWS, 2),
        refused(
            "words for what is absent",
            by_line(&plain(), |line, row| match (11..17).contains(&line) {
                true => format!("{},{},{}", iso(line - 2), absent[line - 11], b(line)),
                false => row.to_string(),
            }),
        )
        .says(&["6 missing, the first in line 11, column `a`"])
        .fill(ROWS, 2),
        refused(
            "words of one's own",
            with_cell(7, 1, "off").replacen(&a(9), "ERR", 1),
        )
        .says(&["line 7, column `a`: `off` is no number; repair it, or count it as missing"])
        .flags(
            &[
                "--set",
                r#"series.missing_tokens=["off", "ERR"]"#,
                "--set",
                "series.missing=linear",
            ],
            ROWS,
            2,
        )
        .change(|text| text.replace("off", "1").replace("ERR", "2"), ROWS, 2),
        refused("a value out of all range", with_cell(9, 1, "1e300"))
            .says(&["column `a` holds a value that is too large to be scaled; repair it"])
            .flags(&["--set", r#"series.exclude=["a"]"#], ROWS, 1)
            .change(|text| text.replace("1e300", "1"), ROWS, 2),
        refused(
            "either thousands or decimals",
            lines("date;a", ROWS, |row| {
                format!("{};{},{:03}", iso(row), 1 + row % 80, row * 31 % 1000)
            }),
        )
        .says(&["line 2: `1,000` is either 1000 or 1; say which"])
        .flags(&["--set", "series.decimal=point"], ROWS, 1)
        .flags(&["--set", "series.decimal=comma"], ROWS, 1),
        refused(
            "both marks",
            plain().replace(',', ";").replacen('.', ",", 3),
        )
        .says(&["decimal point", "decimal comma", "write all alike"])
        .change(|text| text.replace(',', "."), ROWS, 2),
    ]
}

/// What a reader can do about columns and lines.
fn columns() -> Vec<Refused> {
    vec![
        refused(
            "a column of words",
            with_columns("wind,c", |row| {
                format!("{},{}", ["N", "SE"][row % 2], row * row)
            }),
        )
        .says(&["line 2, column `wind`: `N` is no number"])
        .flags(&["--set", r#"series.exclude=["wind"]"#], ROWS, 3),
        refused(
            "words, nothing, and what is constant",
            with_columns("wind,e,c,s d", |row| {
                format!("{},,5,{}", ["N", "SE"][row % 2], ["x", "y"][row / 3 % 2])
            }),
        )
        .says(&["and 2 more of the kind", "column `c` is constant, too"])
        .flags(
            &["--set", r#"series.exclude=["wind", "e", "s d", "c"]"#],
            ROWS,
            2,
        ),
        refused(
            "two constant columns",
            with_columns("c,it's", |_| "5,0.1".into()),
        )
        .says(&["columns `c` and `it's` are constant in the training part"])
        .flags(&["--set", r#"series.exclude=["c", "it's"]"#], ROWS, 2),
        refused(
            "one more after others",
            with_columns("wind,c", |row| format!("{},5", row % 7)),
        )
        .with(&["--set", r#"series.exclude=["wind"]"#])
        .says(&["column `c` is constant in the training part"])
        .flags(&["--set", r#"series.exclude=["wind", "c"]"#], ROWS, 2),
        refused("a name twice", plain().replacen("a,b", "a,a", 1))
            .says(&["line 1: two columns are called `a`; rename one"])
            .change(|text| text.replacen("a,a", "a,b", 1), ROWS, 2),
        refused("a column without a name", plain().replacen(",a,", ",,", 1))
            .says(&["line 1: column 2 has no name; give it one"])
            .change(|text| text.replacen(",,", ",a,", 1), ROWS, 2),
        refused(
            "a line that is cut",
            by_line(&plain(), |line, row| {
                row[..row.len() - if line == 9 { b(7).len() + 1 } else { 0 }].into()
            }),
        )
        .says(&["line 9 has 2 cells where the header has 3; repair the line"])
        .change(
            |text| {
                by_line(text, |line, row| {
                    if line == 9 {
                        format!("{row},{}", b(7))
                    } else {
                        row.into()
                    }
                })
            },
            ROWS,
            2,
        ),
        refused("an open quote", with_cell(9, 1, "\"5"))
            .says(&["line 9: a quote is never closed; repair the line"])
            .change(|text| text.replace('"', ""), ROWS, 2),
        refused(
            "series in rows",
            lines("country,2000,2001,2002,2003", 3, |row| {
                format!("x{row},1,2,3,4")
            }),
        )
        .says(&["each row is a series; transpose it: a row for each date"])
        .change(
            |_| {
                lines("year,x0,x1,x2", 40, |row| {
                    format!("{},{row},{},{}", 1970 + row, row * row, row % 5)
                })
            },
            40,
            3,
        ),
    ]
}

/// What a reader can do about dates and steps.
fn dates() -> Vec<Refused> {
    // Days of January, then days of February with the month first.
    let mixed = lines("date,a,b", 60, |row| match row {
        ..=30 => format!("{}/1/2024,{},{}", row + 1, a(row), b(row)),
        _ => format!("2/{}/2024,{},{}", row - 30, a(row), b(row)),
    });
    vec![
        refused("a row that is not there", without_line(&plain(), 3))
            .says(&[
                "1 row is missing in 1 gap: line 3 is dated 2024-01-01 02:00:00 where 2024-01-01 01:00:00 follows",
            ])
            .fill(ROWS, 2),
        refused(
            "nights",
            dated("date,a,b", |row| format!("2024-01-{:02} {}:{:02}", 1 + row / 20, 9 + row % 20 / 10, 6 * (row % 10))),
        )
        .says(&["1100 rows are missing in 5 gaps"])
        .flags(&["--set", "series.step=rows"], ROWS, 2)
        .fill(ROWS + 1100, 2),
        refused(
            "the day or the month first",
            lines("date,a,b", 12, |row| format!("{:02}/01/2024,{},{}", row + 1, a(row), b(row))),
        )
        // Few enough rows for both readings to be even.
        .with(&["--set", "model.look_back=4", "--set", "model.horizon=1"])
        .says(&["day, month, year or as month, day, year (line 3: 2024-01-02 or 2024-02-01)"])
        .flags(&["--set", "series.dates=dmy"], 12, 2)
        .flags(&["--set", "series.dates=mdy"], 12, 2),
        refused("both in one column", mixed)
            .says(&["cannot have the day first", "cannot have the month first", "write dates as 2016-07-01"])
            .change(
                |_| lines("date,a,b", 60, |row| match row {
                    ..=30 => format!("2024-01-{},{},{}", row + 1, a(row), b(row)),
                    _ => format!("2024-02-{},{},{}", row - 30, a(row), b(row)),
                }),
                60,
                2,
            ),
        refused("no such day", with_cell(9, 0, "2024-01-32"))
            .says(&["line 9: `2024-01-32` is no date; write dates as 2016-07-01 00:00:00"])
            .change(|text| text.replace("2024-01-32", &iso(7)), ROWS, 2),
        refused("the order chosen against the dates", dated("date,a,b", |row| {
            hour(row, |day, hour| format!("{}/1/2024 {hour}:00", day + 20))
        }))
        .with(&["--set", "series.dates=mdy"])
        .says(&["line 2: `21/1/2024 0:00` is no date in the order month, day, year; leave out `series.dates=mdy`"]),
        refused("a number that counts", dated("time,a,b", |row| (3600 * row).to_string()))
            .says(&["line 2: the number `0` is no date by itself"])
            .flags(&["--set", "series.dates=seconds"], ROWS, 2)
            .flags(&["--set", "series.dates=milliseconds"], ROWS, 2)
            .flags(&["--set", "series.dates=none"], ROWS, 2),
        refused("days of a spreadsheet", dated("date,a,b", |row| (45_292 + row).to_string()))
            .flags(&["--set", "series.dates=excel"], ROWS, 2),
        refused("no date", lines("a,b", ROWS, |row| format!("{},{}", a(row), b(row))))
            .says(&["no column of dates; call one `date` and write dates as 2016-07-01 00:00:00"])
            .flags(&["--set", "series.dates=none"], ROWS, 2)
            .change(
                |text| by_line(text, |line, row| match line {
                    1 => format!("date,{row}"),
                    line => format!("{},{row}", iso(line - 2)),
                }),
                ROWS,
                2,
            ),
        refused("times without days", dated("time,a,b", |row| format!("{:02}:{:02}", row / 60, row % 60)))
            .says(&["column `time` has times without a day; add a column `date` with days as 2016-07-01"])
            .change(
                |text| by_line(text, |line, row| format!("{},{row}", if line == 1 { "date" } else { "2016-07-01" })),
                ROWS,
                2,
            ),
        refused("no order", {
            let text = plain();
            let mut rows: Vec<&str> = text.lines().collect();
            rows.swap(4, 40);
            rows.join("\n")
        })
        .says(&["line 6 (2024-01-01 04:00:00) is earlier than line 5; sort the rows by date"])
        .change(
            |text| {
                let mut rows: Vec<&str> = text.lines().collect();
                rows[1..].sort_unstable();
                rows.join("\n")
            },
            ROWS,
            2,
        ),
        refused("odd minutes", dated("date,a,b", |row| {
            format!("2024-01-{:02} {:02}:{:02}", 1 + row / 24, row % 24, row * 7 % 11)
        }))
        .says(&["its rows are not evenly spaced", "round their dates to even steps"])
        .flags(&["--set", "series.step=rows"], ROWS, 2)
        .change(|_| plain(), ROWS, 2),
        refused("one odd minute", with_cell(20, 0, "2024-01-01 18:07:00"))
            .says(&["1 of 120 rows lie beside the steps of 1 h that most have, the first in line 20"])
            .flags(&["--set", "series.step=rows"], ROWS, 2)
            .change(|text| text.replace("18:07", "18:00"), ROWS, 2),
        refused("a date without end", with_cell(121, 0, "2999-01-01 00:00:00"))
            .says(&["its 120 rows are spread over"])
            .flags(&["--set", "series.step=rows"], ROWS, 2),
    ]
}

/// What a reader can do about clocks.
fn clocks() -> Vec<Refused> {
    // The clock of Berlin shows the hour from two on the 27th twice.
    let october = dated("date,a,b", |row| {
        let hour = if row < 75 { row } else { row - 1 };
        format!("2024-10-{:02} {:02}:00:00", 24 + hour / 24, hour % 24)
    });
    vec![
        refused("an hour that comes twice", october)
            .says(&["lines 76 and 77 have the same date (2024-10-27 02:00:00) and other values"])
            .flags(&["--set", "series.time_zone=Europe/Berlin"], ROWS, 2)
            .flags(&["--set", "series.step=rows"], ROWS, 2),
        refused("an hour that never was", dated("date,a,b", |row| {
            hour(row, |day, hour| format!("2024-03-{:02} {hour:02}:00", day + 26))
        }))
        .with(&["--set", "series.time_zone=Europe/Berlin"])
        .says(&["line 100: the clock of `Europe/Berlin` never showed 2024-03-31 02:00:00"]),
        refused("a zone that several places have", dated("date,a,b", |row| format!("{} BST", iso(row))))
            .says(&["line 2: `BST` does not say which time zone it is; name the place"])
            .flags(&["--set", "series.time_zone=Europe/London"], ROWS, 2),
        refused("a zone in one row", with_cell(9, 0, "2024-01-01 07:00:00Z"))
            .says(&["line 9 (`2024-01-01 07:00:00Z`) has a time zone and line 2", "write all alike"])
            .change(|text| text.replace('Z', ""), ROWS, 2),
        refused("no such zone", plain())
            .with(&["--set", "series.time_zone=Berlin"])
            .says(&["`series.time_zone=Berlin` is no time zone; write one as in `series.time_zone=Europe/Berlin`"])
            .flags(&["--set", "series.time_zone=Europe/Berlin"], ROWS, 2),
    ]
}

/// What a reader can do about many series in a file.
fn keys() -> Vec<Refused> {
    let sales = |row: usize| 7 * row % 50;
    let stores = |names: [&'static str; 2]| {
        lines("store,date,sales", 2 * ROWS, move |row| {
            format!("{},{},{}", names[row / ROWS], iso(row % ROWS), sales(row))
        })
    };
    let repeated = by_line(&plain(), |line, row| match line {
        8 => format!("{row}\n{row}"),
        _ => row.to_string(),
    });
    vec![
        refused("two series", stores(["1", "2"]))
            .says(&["it holds 2 series, told apart by `store`: `1`, `2`; choose one"])
            .flags(&["--key", "1"], ROWS, 1)
            .flags(&["--set", "series.key=1"], ROWS, 1),
        refused("two series with long names", stores(["the one", "it's"]))
            .says(&["`the one`, `it's`"])
            .flags(&["--key", "the one"], ROWS, 1),
        refused(
            "two ways to tell them apart",
            lines("shop,till,date,sales", 2 * ROWS, |row| {
                let (shop, row) = (row % 2, row / 2);
                format!("{shop},{},{},{}", (shop + row) % 2, iso(row), sales(row + shop))
            }),
        )
        .says(&["say which columns tell them apart"])
        .flags(&["--key", "shop=0"], ROWS, 2)
        .flags(&["--key", "till=0"], ROWS, 2),
        refused("none of that name", stores(["1", "2"]))
            .with(&["--key", "3"])
            .says(&["it has no series `3`; it holds 2 series"])
            .flags(&["--key", "1"], ROWS, 1),
        refused("one series", plain())
            .with(&["--key", "3"])
            .says(&["it holds one series, its dates come once; leave out `--key 3`"]),
        refused(
            "two series that nothing tells apart",
            lines("date,sales", 2 * ROWS, |row| format!("{},{}", iso(row / 2), sales(row))),
        )
        .says(&["lines 2 and 3 have the same date", "add a column that names these and choose one with `--key`"])
        .flags(&["--set", "series.step=rows"], 2 * ROWS, 1),
        refused("a repeated line", repeated)
            .says(&["lines 8 and 9 have the same date (2024-01-01 06:00:00) and the same values; remove one of them"])
            .change(|text| without_line(text, 9), ROWS, 2),
    ]
}

#[test]
fn advice_works_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let all = [values(), columns(), dates(), clocks(), keys()];
    for case in all.into_iter().flatten() {
        let name = case.name;
        let attempt = |flags: &[&str]| {
            fs::write(zoo.path("s.csv"), &case.text).unwrap();
            let ran = train(&zoo, "s.csv", &once(case.args, flags));
            assert_eq!(ran.code, 2, "{name}, {flags:?}: {}", ran.stderr);
            let sentence = ran.stderr.lines().last().unwrap_or_default().to_string();
            assert!(sentence.starts_with("error: `s.csv`"), "{name}: {sentence}");
            sentence
        };
        let sentence = attempt(&[]);
        for part in case.sentence {
            assert!(
                sentence.contains(part),
                "{name}: `{part}` is not in: {sentence}"
            );
        }
        for way in &case.ways {
            for (followed, pair) in way.flags.chunks(2).enumerate() {
                let sentence = attempt(&way.flags[..2 * followed]);
                let value = pair[1].replace('\'', r"'\''");
                assert!(
                    sentence.contains(&value),
                    "{name}: {value} is not in: {sentence}"
                );
            }
            let changed = way
                .change
                .map_or(case.text.clone(), |change| change(&case.text));
            fs::write(zoo.path("s.csv"), changed).unwrap();
            let ran = train(&zoo, "s.csv", &once(case.args, way.flags));
            assert_eq!(ran.code, 0, "{name}, {:?}: {}", way.flags, ran.stderr);
            let inventory = &data_of(&zoo.path("run"))["inventory"];
            let columns = inventory["columns"].as_array().unwrap().len();
            let there = (inventory["rows"].as_u64().unwrap() as usize, columns);
            assert_eq!(there, (way.rows, way.columns), "{name}, {:?}", way.flags);
        }
    }
}

/// Arguments with `flags` in the place of those for the same.
fn once<'a>(args: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    let keep = |pair: &&[&'a str]| pair[0] != "--key" || !flags.contains(&"--key");
    let kept = args.chunks(2).filter(keep).flatten();
    kept.chain(flags).copied().collect()
}

#[test]
fn a_series_without_a_name_is_given_one() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let text = lines("date,sales,shop", 2 * ROWS, |row| {
        format!("{},{},{}", iso(row / 2), row % 17, row % 2)
    });
    fs::write(zoo.path("s.csv"), text).unwrap();
    for shop in ["0", "1"] {
        train(&zoo, "s.csv", &["--key", shop]).expect(0);
        assert_eq!(data_of(&zoo.path("run"))["inventory"]["rows"], ROWS);
    }
}

#[test]
fn what_is_no_table_of_numbers_is_named_for_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let latin = plain().replacen(",a,", ",\u{b0}C,", 1);
    let latin: Vec<u8> = latin.chars().map(|c| c as u32 as u8).collect();
    let workbook = [&b"PK\x03\x04"[..], &[0; 40], b"xl/workbook.xml"].concat();
    for (bytes, sentence) in [
        (
            &b"PAR1 and more"[..],
            "it is a parquet file; write its table as CSV",
        ),
        (&workbook, "it is an Excel workbook; save its sheet as CSV"),
        (
            b"PK\x03\x04 and more",
            "it is a zip archive; unpack it and give the CSV file in it",
        ),
        (
            b"BZh91AY",
            "it is compressed with bzip2; unpack it with `bunzip2 -k`",
        ),
        (b"{\"a\": [1]}", "it is JSON; write its table as CSV"),
        (
            b"<!DOCTYPE html>",
            "it is a web page or XML; give a CSV file",
        ),
        (b"\x89PNG\r\n", "it is an image; give a CSV file"),
        (b"date,a\n\0\0", "it is no text; give a CSV file"),
        (b"\x1f\x8b\x08 and no more", "its gzip data are damaged"),
        (
            &latin,
            "line 1 is not UTF-8 text; if it comes from Windows, convert it with `iconv -f WINDOWS-1252 -t UTF-8`",
        ),
        (b"", "it is empty"),
        (
            b"date,a\n",
            "it has a header and no rows; give a longer series",
        ),
        (
            b"date,a\n2024-01-01,1\n",
            "it has one row only; give a longer series",
        ),
    ] {
        fs::write(zoo.path("s.csv"), bytes).unwrap();
        train(&zoo, "s.csv", &[]).refused(&["s.csv", sentence]);
        assert!(!zoo.path("run").exists());
    }
    fs::create_dir(zoo.path("folder")).unwrap();
    train(&zoo, "folder", &[]).refused(&["it is a folder; give the path of a CSV file"]);
    fs::write(zoo.path("folder/x.csv"), plain()).unwrap();
    train(&zoo, "folder", &[]).refused(&["give the file in it, `folder/x.csv`"]);
    train(&zoo, "folder/x.csv", &[]).expect(0);
    train(&zoo, "gone.csv", &[]).refused(&["gone.csv", "does not exist"]);
    // As `iconv` converts it.
    let converted: String = latin.iter().map(|&byte| char::from(byte)).collect();
    fs::write(zoo.path("s.csv"), converted).unwrap();
    train(&zoo, "s.csv", &[]).expect(0);
}
