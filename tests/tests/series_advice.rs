//! What the readers of series advise: each sentence is taken at its word, ends in a working run, and loses nothing.

use std::fs;
use std::process::Command;

use end_to_end::archive::tar;
use end_to_end::peer::left_out;
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
    /// The arguments in the place of those of the case and the flags.
    args: Option<&'static [&'static str]>,
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
            args: None,
            rows,
            columns,
        });
        self
    }

    /// Other arguments than those that were refused.
    fn instead(mut self, args: &'static [&'static str], rows: usize, columns: usize) -> Self {
        self.ways.push(Way {
            flags: &[],
            change: None,
            args: Some(args),
            rows,
            columns,
        });
        self
    }

    fn change(mut self, change: fn(&str) -> String, rows: usize, columns: usize) -> Self {
        self.ways.push(Way {
            flags: &[],
            change: Some(change),
            args: None,
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

/// Two columns of numbers with two decimals, with these marks between the cells and before the decimals.
fn fractions(between: &str, mark: &str) -> String {
    let cells = |row: usize| {
        [
            iso(row),
            a(row).replace('.', mark),
            a(row + 3).replace('.', mark),
        ]
        .join(between)
    };
    lines(&["date", "a", "b"].join(between), ROWS, cells)
}

/// Cells for 14 numbered columns.
fn numbered(cell: impl Fn(usize) -> String) -> String {
    (1..15).map(cell).collect::<Vec<_>>().join(",")
}

/// A column of numbers with two decimals after this mark, without names.
fn commas(mark: &str) -> String {
    let row = |row: usize| {
        format!(
            "{},{}{mark}{:02}\n",
            iso(row),
            row * 37 % 90,
            row * 53 % 100
        )
    };
    (0..ROWS).map(row).collect()
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
            .says(&["values are missing (1 missing, the first in line 5, column `a`); fill them with `--set series.missing=forward` or `--set series.missing=linear`"])
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
        .says(&["line 7, column `a`: `off` is no number; repair it, or count it as missing with `--set"])
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
            .says(&["column `a` holds a value that is too large to be scaled; repair it, or leave the column out with `--set"])
            .flags(&["--set", r#"series.exclude=["a"]"#], ROWS, 1)
            .change(|text| text.replace("1e300", "1"), ROWS, 2),
        refused(
            "either thousands or decimals",
            lines("date;a", ROWS, |row| {
                format!("{};{},{:03}", iso(row), 1 + row % 80, row * 31 % 1000)
            }),
        )
        .says(&["line 2: `1,000` is either 1000 or 1; say which with `--set series.decimal=point` or `--set series.decimal=comma`"])
        .flags(&["--set", "series.decimal=point"], ROWS, 1)
        .flags(&["--set", "series.decimal=comma"], ROWS, 1),
        refused(
            "both marks",
            plain().replace(',', ";").replacen('.', ",", 3),
        )
        .says(&["line 4 has a number with a decimal point (`74.06`) and line 2 one with a decimal comma (`0,00`); write all alike"])
        .change(|text| text.replace(',', "."), ROWS, 2),
    ]
}

/// What a reader can do about columns and lines.
fn columns() -> Vec<Refused> {
    let alone = |header: &str, cell: fn(usize) -> String| {
        lines(header, ROWS, |row| format!("{},{}", iso(row), cell(row)))
    };
    vec![
        refused("a column of sums of money", with_columns("c", |row| format!("${}", row * row)))
            .says(&["line 2, column `c`: `$0` is no number; remove the `$` from its numbers, or leave out what is no number with `--set"])
            .change(|text| text.replace('$', ""), ROWS, 3)
            .flags(&["--set", r#"series.exclude=["c"]"#], ROWS, 2),
        refused("sums of money alone", alone("date,a", |row| format!("${}", row * row)))
            .says(&["line 2, column `a`: `$0` is no number; remove the `$` from its numbers"])
            .change(|text| text.replace('$', ""), ROWS, 1),
        refused("words alone", alone("date,a", |row| ["N", "SE"][row % 2].into()))
            .says(&["line 2, column `a`: `N` is no number; give a column of numbers"])
            .change(|_| plain(), ROWS, 2),
        refused("dates alone", lines("date", ROWS, iso))
            .says(&["it has no column of numbers beside the date; add one"])
            .change(|_| plain(), ROWS, 2),
        refused("many words among numbers", with_columns("c", |row| match row % 3 {
            0 => format!("x{row}"),
            _ => row.to_string(),
        }))
            .says(&["line 2, column `c`: `x0` is no number; repair it, or leave the column out with `--set"])
            .flags(&["--set", r#"series.exclude=["c"]"#], ROWS, 2)
            .change(|text| text.replace(",x", ","), ROWS, 3),
        refused("many words in a column that was asked for", with_columns("c", |row| match row % 3 {
            0 => format!("x{row}"),
            _ => row.to_string(),
        }))
            .with(&["--set", r#"series.columns=["a", "c"]"#])
            .says(&["line 2, column `c`: `x0` is no number; repair it, or name other columns in `series.columns`"])
            .instead(&["--set", r#"series.columns=["a", "b"]"#], ROWS, 2),
        refused("many words in the only column", alone("date,a", |row| match row % 3 {
            0 => format!("x{row}"),
            _ => row.to_string(),
        }))
            .says(&["line 2, column `a`: `x0` is no number; repair it, or give another column of numbers"])
            .change(|text| text.replace(",x", ","), ROWS, 1)
            .change(|_| plain(), ROWS, 2),
        refused("what never changes", alone("date,a", |_| "5".into()))
            .says(&["column `a` is constant in the training part (", " rows), so that nothing can be scaled; give a series that changes"])
            .change(|_| plain(), ROWS, 2),
        refused("a column without values that was asked for", with_columns("c", |_| String::new()))
            .with(&["--set", r#"series.columns=["a", "c"]"#, "--set", "series.missing=linear"])
            .says(&["column `c` has no value at all; give a series that has some"])
            .change(|_| with_columns("c", |row| (row * row).to_string()), ROWS, 2),
        refused("a comma in numbers", by_line(&plain(), |line, row| match line {
            9 => row.replace('.', ","),
            _ => row.into(),
        }))
            .says(&[
                "line 9 has 5 cells where the header has 3; if numbers have a thousands or decimal comma, put quotes around them or \
                 semicolons between the cells; repair the line",
            ])
            .change(|_| plain(), ROWS, 2),
        refused("commas in all numbers", fractions(",", ","))
            .says(&[
                "its rows have 2 cells more than the header (line 1 has 3, line 2 has 5); if numbers have a thousands or decimal \
                 comma, put quotes around them or semicolons between the cells; if a column has no name, give it one in line 1",
            ])
            .change(|_| fractions(";", ","), ROWS, 2)
            .change(
                |_| by_line(&fractions(";", ","), |line, row| match line {
                    1 => row.replace(';', ","),
                    _ => row.split(';').map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>().join(","),
                }),
                ROWS,
                2,
            )
            .change(|text| text.replacen("date,a,b", "date,a,a2,b,b2", 1), ROWS, 4),
        refused(
            "a column of words",
            with_columns("wind,c", |row| {
                format!("{},{}", ["N", "SE"][row % 2], row * row)
            }),
        )
        .says(&["line 2, column `wind`: `N` is no number; leave out what is no number with `--set"])
        .flags(&["--set", r#"series.exclude=["wind"]"#], ROWS, 3),
        refused(
            "words, nothing, and what is constant",
            with_columns("wind,e,c,s d", |row| {
                format!("{},,5,{}", ["N", "SE"][row % 2], ["x", "y"][row / 3 % 2])
            }),
        )
        .says(&["and 2 more of the kind; leave out what is no number with `--set", "(column `c` is constant, too)"])
        .flags(
            &["--set", r#"series.exclude=["wind", "e", "s d", "c"]"#],
            ROWS,
            2,
        ),
        refused(
            "two constant columns",
            with_columns("c,it's", |_| "5,0.1".into()),
        )
        .says(&["columns `c` and `it's` are constant in the training part (", " rows), so that nothing can be scaled; leave out what is constant with `--set"])
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
        refused("series in numbered rows", lines(&numbered(|column| format!("t{column}")), 40, |row| numbered(|column| (row * column % 17).to_string())))
            .says(&[
                "it has no column of dates; call one `date` and write dates as 2016-07-01 00:00:00, or take the rows as evenly spaced \
                 with `--set series.dates=none`; if each row is a series, as the numbers in the names of the columns suggest, \
                 transpose it: a row for each date, a column for each series",
            ])
            .flags(&["--set", "series.dates=none"], 40, 14)
            .change(|_| plain(), ROWS, 2),
        refused("words with blanks between them", plain().replace(' ', "T").replace(',', " "))
            .says(&[
                "line 2 has several words and nothing between them that parts cells; put commas, semicolons or tabs between its cells, \
                 and so in all lines",
            ])
            .change(|text| text.replace(' ', ","), ROWS, 2),
        refused("numbers that commas cut, without names", commas(","))
            .says(&[
                "line 1: `00` in column 3 may be the decimals of the number before it; if numbers have a decimal comma, put quotes \
                 around them or semicolons between the cells, and else give the columns names in a line above",
            ])
            .change(|_| commas(".").replace(',', ";").replace('.', ","), ROWS, 1)
            .change(|text| format!("date,a,b\n{text}"), ROWS, 2),
        refused(
            "series in rows",
            lines("country,2000,2001,2002,2003", 3, |row| {
                format!("x{row},1,2,3,4")
            }),
        )
        .says(&["its columns are called by dates, so that each row is a series; transpose it: a row for each date, a column for each series"])
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
        .says(&["values are missing (1100 rows are missing in 5 gaps", "); fill them with `--set series.missing=forward` or `--set series.missing=linear`, or take the rows as evenly spaced with `--set series.step=rows`"])
        .flags(&["--set", "series.step=rows"], ROWS, 2)
        .fill(ROWS + 1100, 2),
        refused(
            "the day or the month first",
            lines("date,a,b", 12, |row| format!("{:02}/01/2024,{},{}", row + 1, a(row), b(row))),
        )
        // Few enough rows for both readings to be even.
        .with(&["--set", "model.look_back=4", "--set", "model.horizon=1"])
        .says(&["its dates can be read as day, month, year or as month, day, year (line 3: 2024-01-02 or 2024-02-01); say which with `--set series.dates=dmy` or `--set series.dates=mdy`"])
        .flags(&["--set", "series.dates=dmy"], 12, 2)
        .flags(&["--set", "series.dates=mdy"], 12, 2),
        refused("both in one column", mixed)
            .says(&["line 45 (`2/13/2024`) cannot have the day first and line 14 (`13/1/2024`) cannot have the month first; write dates as 2016-07-01"])
            .change(
                |_| lines("date,a,b", 60, |row| match row {
                    ..=30 => format!("2024-01-{},{},{}", row + 1, a(row), b(row)),
                    _ => format!("2024-02-{},{},{}", row - 30, a(row), b(row)),
                }),
                60,
                2,
            ),
        refused("a row without a date", by_line(&plain(), |line, row| match line {
            9 => format!("{row}\n,1,2"),
            _ => row.into(),
        }))
            .says(&["line 10 has no date; write dates as 2016-07-01 00:00:00, or remove the line if it is no row of the series"])
            .change(|text| without_line(text, 10), ROWS, 2),
        refused("a line of sums", plain() + "total,1,2\n")
            .says(&["line 122: `total` is no date; write dates as 2016-07-01 00:00:00, or remove the line if it is no row of the series"])
            .change(|text| without_line(text, 122), ROWS, 2),
        refused("words for dates", dated("date,a,b", |row| format!("the {row}th hour")))
            .says(&["line 2: `the 0th hour` is no date; write dates as 2016-07-01 00:00:00"])
            .change(|_| plain(), ROWS, 2),
        refused("a month and a number", lines("date,a,b", 59, |row| {
            let (month, day) = if row < 31 { ("Jan", row) } else { ("Feb", row - 31) };
            format!("{month}-{:02},{},{}", day + 1, a(row), b(row))
        }))
            .says(&["line 2: `Jan-01` is either a month of a year or a day of a month; write dates as 2016-07-01 00:00:00"])
            .change(
                |text| text.replace("Jan-", "2024-01-").replace("Feb-", "2024-02-"),
                59,
                2,
            ),
        refused("no such day", with_cell(9, 0, "2024-01-32"))
            .says(&["line 9: `2024-01-32` is no date; write dates as 2016-07-01 00:00:00"])
            .change(|text| text.replace("2024-01-32", &iso(7)), ROWS, 2),
        refused("the order chosen against the dates", dated("date,a,b", |row| {
            hour(row, |day, hour| format!("{}/1/2024 {hour}:00", day + 20))
        }))
        .with(&["--set", "series.dates=mdy"])
        .says(&["line 2: `21/1/2024 0:00` is no date in the order month, day, year; leave out `series.dates=mdy`, or write dates as 2016-07-01 00:00:00"])
        .instead(&[], ROWS, 2)
        .change(|_| plain(), ROWS, 2),
        refused("a number that counts", dated("time,a,b", |row| (3600 * row).to_string()))
            .says(&["line 2: the number `0` is no date by itself; say what it counts with `--set series.dates=seconds` or `--set series.dates=milliseconds` (since 1970) or `--set series.dates=excel` (days of a spreadsheet), or take the rows as evenly spaced with `--set series.dates=none`"])
            .flags(&["--set", "series.dates=seconds"], ROWS, 2)
            .flags(&["--set", "series.dates=milliseconds"], ROWS, 2)
            .flags(&["--set", "series.dates=none"], ROWS, 2),
        refused("days of a spreadsheet", dated("date,a,b", |row| (45_292 + row).to_string()))
            .flags(&["--set", "series.dates=excel"], ROWS, 2),
        refused("no date", lines("a,b", ROWS, |row| format!("{},{}", a(row), b(row))))
            .says(&["it has no column of dates; call one `date` and write dates as 2016-07-01 00:00:00, or take the rows as evenly spaced with `--set series.dates=none`"])
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
        .says(&["its rows are not evenly spaced: ", " of 120 lie beside steps of ", ", the commonest; round their dates to even steps, or take the rows as evenly spaced with `--set series.step=rows`"])
        .flags(&["--set", "series.step=rows"], ROWS, 2)
        .change(|_| plain(), ROWS, 2),
        refused("one odd minute", with_cell(20, 0, "2024-01-01 18:07:00"))
            .says(&["1 of 120 rows lie beside the steps of 1 h that most have, the first in line 20 (2024-01-01 18:07:00); round their dates to such steps, or take the rows as evenly spaced with `--set series.step=rows`"])
            .flags(&["--set", "series.step=rows"], ROWS, 2)
            .change(|text| text.replace("18:07", "18:00"), ROWS, 2),
        refused("a date without end", with_cell(121, 0, "2999-01-01 00:00:00"))
            .says(&["its 120 rows are spread over ", " steps of ", "; take the rows as evenly spaced with `--set series.step=rows`"])
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
            .says(&["lines 76 and 77 have the same date (2024-10-27 02:00:00) and other values; if a clock was set back there, name its place with `--set series.time_zone=Europe/Berlin`, say; if they belong to several series, add a column that names these and choose one with `--key`; if the rows only follow each other, take them so with `--set series.step=rows`"])
            .flags(&["--set", "series.time_zone=Europe/Berlin"], ROWS, 2)
            .flags(&["--set", "series.step=rows"], ROWS, 2),
        refused("an hour that never was", dated("date,a,b", |row| {
            hour(row, |day, hour| format!("2024-03-{:02} {hour:02}:00", day + 26))
        }))
        .with(&["--set", "series.time_zone=Europe/Berlin"])
        .says(&["line 100: the clock of `Europe/Berlin` never showed 2024-03-31 02:00:00; name another place with `--set series.time_zone=…`, or repair the date"])
        .instead(&["--set", "series.time_zone=Africa/Lagos"], ROWS, 2)
        .change(
            // The hour that never was is the next one, and so are those after it.
            |_| dated("date,a,b", |row| {
                hour(row + usize::from(row >= 98), |day, hour| match day {
                    6 => format!("2024-04-01 {hour:02}:00"),
                    _ => format!("2024-03-{:02} {hour:02}:00", day + 26),
                })
            }),
            ROWS,
            2,
        ),
        refused("a zone that several places have", dated("date,a,b", |row| format!("{} BST", iso(row))))
            .says(&["line 2: `BST` does not say which time zone it is; name the place with `--set series.time_zone=Europe/London`, say"])
            .flags(&["--set", "series.time_zone=Europe/London"], ROWS, 2),
        refused("a zone in one row", with_cell(9, 0, "2024-01-01 07:00:00Z"))
            .says(&["line 9 (`2024-01-01 07:00:00Z`) has a time zone and line 2 (`2024-01-01 00:00:00`) has none; write all alike"])
            .change(|text| text.replace('Z', ""), ROWS, 2),
        refused("the end of all dates", dated("date,a,b", |row| {
            format!("9999-12-31 {:02}:00:00-{:02}:00", row % 24, 1 + row / 24)
        }))
        .says(&["its dates lie too far off; repair them"])
        .change(|_| plain(), ROWS, 2),
        refused("two zones", by_line(&plain(), |line, row| match line {
            1 => row.into(),
            9 => row.replacen(",", " IST,", 1),
            _ => row.replacen(",", " BST,", 1),
        }))
            .says(&[
                "line 9 (`2024-01-01 07:00:00 IST`) names another time zone than line 2 (`2024-01-01 00:00:00 BST`); write all with \
                 offsets, as in 2016-07-01 00:00:00+02:00",
            ])
            .change(|text| text.replace(" BST", "+01:00").replace(" IST", "+01:00"), ROWS, 2),
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
            .says(&["it holds 2 series, told apart by `store`: `1`, `2`; choose one with `--key 1` (`zoo compare`: `--set series.key=1`)"])
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
        .says(&["most dates come more than once, so it holds several series; say which columns tell them apart and which one is read, as in `--key"])
        .flags(&["--key", "shop=0"], ROWS, 2)
        .flags(&["--key", "till=0"], ROWS, 2),
        refused("none of that name", stores(["1", "2"]))
            .with(&["--key", "3"])
            .says(&["it has no series `3`; it holds 2 series"])
            .flags(&["--key", "1"], ROWS, 1),
        refused("one series", plain())
            .with(&["--key", "3"])
            .says(&["it holds one series, its dates come once; leave out `--key 3`"])
            .instead(&[], ROWS, 2),
        refused("one series that is named", lines("store,date,sales", ROWS, |row| format!("1,{},{}", iso(row), row % 17)))
            .with(&["--key", "3"])
            .says(&["it has no series `3`; it holds one, column `store` is `1` in every row; choose it with `--key 1` or give another file"])
            // The column is left out as the next sentence says.
            .flags(&["--key", "1", "--set", r#"series.exclude=["store"]"#], ROWS, 1)
            .change(
                |_| lines("store,date,sales", 2 * ROWS, |row| format!("{},{},{}", 3 + row / ROWS, iso(row % ROWS), row % 17)),
                ROWS,
                1,
            ),
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
    let mut wrong = Vec::new();
    for case in all.into_iter().flatten() {
        if case.ways.is_empty() {
            wrong.push(format!("{} has no way out", case.name));
        }
        for (i, way) in case.ways.iter().enumerate() {
            if let Err(what) = follow(&zoo, &case, way) {
                wrong.push(format!("{}, way {}: {what}", case.name, i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Takes a way out, flag by flag: each must be told by the sentence that the run without it ends in.
fn follow(zoo: &Workspace, case: &Refused, way: &Way) -> Result<(), String> {
    let attempt = |flags: &[&str]| {
        fs::write(zoo.path("s.csv"), &case.text).unwrap();
        let ran = train(zoo, "s.csv", &once(case.args, flags));
        let sentence = ran.stderr.lines().last().unwrap_or_default().to_string();
        match ran.code == 2 && sentence.starts_with("error: `s.csv`") {
            true => Ok(sentence),
            false => Err(format!("{flags:?}, exit code {}: {}", ran.code, ran.stderr)),
        }
    };
    let sentence = attempt(&[])?;
    for part in case.sentence {
        if !sentence.contains(part) {
            return Err(format!("`{part}` is not in: {sentence}"));
        }
    }
    for (followed, pair) in way.flags.chunks(2).enumerate() {
        let sentence = attempt(&way.flags[..2 * followed])?;
        let value = pair[1].replace('\'', r"'\''");
        if !sentence.contains(&value) {
            return Err(format!("{value} is not in: {sentence}"));
        }
    }
    let changed = way
        .change
        .map_or(case.text.clone(), |change| change(&case.text));
    fs::write(zoo.path("s.csv"), changed).unwrap();
    let args = way
        .args
        .map_or(once(case.args, way.flags), <[&str]>::to_vec);
    let ran = train(zoo, "s.csv", &args);
    if ran.code != 0 {
        return Err(format!("after it, exit code {}: {}", ran.code, ran.stderr));
    }
    let inventory = &data_of(&zoo.path("run"))["inventory"];
    let columns = inventory["columns"].as_array().unwrap().len();
    let there = (inventory["rows"].as_u64().unwrap() as usize, columns);
    match there == (way.rows, way.columns) {
        true => Ok(()),
        false => Err(format!(
            "{there:?} in place of {:?}",
            (way.rows, way.columns)
        )),
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
    let workbook = [&b"PK\x03\x04"[..], &[0; 40], b"xl/workbook.xml"].concat();
    let archive = tar(&[("s.csv".to_owned(), plain().into_bytes())]);
    for (bytes, sentence) in [
        (
            &b"PAR1 and more"[..],
            "it is a parquet file; write its table as CSV",
        ),
        (b"ARROW1", "it is an Arrow file; write its table as CSV"),
        (
            b"\x89HDF",
            "it is an HDF5 or netCDF file; write its table as CSV",
        ),
        (b"CDF\x01", "it is a netCDF file; write its table as CSV"),
        (
            b"\xd0\xcf\x11\xe0",
            "it is an Excel workbook; save its sheet as CSV",
        ),
        (&workbook, "it is an Excel workbook; save its sheet as CSV"),
        (
            b"PK\x03\x04 and more",
            "it is a zip archive; unpack it and give the CSV file in it",
        ),
        (
            &archive,
            "it is a tar archive; unpack it and give the CSV file in it",
        ),
        (
            b"7z\xbc\xaf",
            "it is a 7z archive; unpack it and give the CSV file in it",
        ),
        (b"{\"a\": [1]}", "it is JSON; write its table as CSV"),
        (b"[1]", "it is JSON; write its table as CSV"),
        (
            b"<!DOCTYPE html>",
            "it is a web page or XML; give a CSV file",
        ),
        (b"\x89PNG\r\n", "it is an image; give a CSV file"),
        (b"%PDF-1.7", "it is a PDF document; give a CSV file"),
        (b"date,a\n\0\0", "it is no text; give a CSV file"),
        (
            b"\xff\xfea",
            "its UTF-16 text is damaged; save it again, as UTF-8",
        ),
        (b"\x1f\x8b\x08 and no more", "its gzip data are damaged ("),
        (b"", "it is empty; give a CSV file with a header"),
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
    fs::write(zoo.path("s.csv"), b"\x1f\x8b\x08 and no more").unwrap();
    train(&zoo, "s.csv", &[]).refused(&["its gzip data are damaged (", "); copy it again"]);
    // All of them are followed by giving a table as CSV.
    fs::write(zoo.path("s.csv"), plain()).unwrap();
    train(&zoo, "s.csv", &[]).expect(0);
    train(&zoo, "gone.csv", &[])
        .refused(&["gone.csv", "it does not exist; give the path of a CSV file"]);
}

#[test]
fn a_folder_is_told_from_the_files_in_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    fs::create_dir(zoo.path("folder")).unwrap();
    train(&zoo, "folder", &[]).refused(&["it is a folder; give the path of a CSV file"]);
    fs::write(zoo.path("folder/x.csv"), plain()).unwrap();
    train(&zoo, "folder", &[]).refused(&["it is a folder; give the file in it, `folder/x.csv`"]);
    train(&zoo, "folder/x.csv", &[]).expect(0);
    fs::write(zoo.path("folder/y.csv"), plain()).unwrap();
    train(&zoo, "folder", &[])
        .refused(&["it is a folder with 2 files, `x.csv` to `y.csv`; give one of them"]);
    train(&zoo, "folder/y.csv", &[]).expect(0);
}

/// What a program of the system makes of the file in its last argument, where there is such a program.
fn piped(zoo: &Workspace, command: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(zoo.path(""))
        .output();
    match output {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => left_out(&format!("`{}`", command.join(" ")), false),
    }
}

#[test]
fn programs_that_are_named_make_a_text_of_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    fs::write(zoo.path("plain.csv"), plain()).unwrap();
    for (pack, unpack, name, sentence) in [
        (
            &["bzip2", "-c", "plain.csv"][..],
            &["bunzip2", "-k", "s.csv.bz2"][..],
            "s.csv.bz2",
            "it is compressed with bzip2; unpack it with `bunzip2 -k`",
        ),
        (
            &["xz", "-c", "plain.csv"],
            &["unxz", "-k", "s.csv.xz"],
            "s.csv.xz",
            "it is compressed with xz; unpack it with `unxz -k`",
        ),
        (
            &["zstd", "-c", "plain.csv"],
            &["unzstd", "s.csv.zst"],
            "s.csv.zst",
            "it is compressed with zstd; unpack it with `unzstd`",
        ),
    ] {
        let Some(packed) = piped(&zoo, pack) else {
            continue;
        };
        fs::write(zoo.path(name), packed).unwrap();
        train(&zoo, name, &[]).refused(&[name, sentence]);
        piped(&zoo, unpack).unwrap();
        train(&zoo, "s.csv", &[]).expect(0);
        fs::remove_file(zoo.path("s.csv")).unwrap();
        // What was packed is still there.
        assert!(zoo.path(name).exists());
    }
    let latin = plain().replacen(",a,", ",\u{b0}C,", 1);
    let latin: Vec<u8> = latin.chars().map(|c| c as u32 as u8).collect();
    fs::write(zoo.path("latin.csv"), latin).unwrap();
    train(&zoo, "latin.csv", &[]).refused(&[
        "line 1 is not UTF-8 text; if it comes from Windows, convert it with `iconv -f WINDOWS-1252 -t UTF-8`",
    ]);
    if let Some(text) = piped(
        &zoo,
        &["iconv", "-f", "WINDOWS-1252", "-t", "UTF-8", "latin.csv"],
    ) {
        fs::write(zoo.path("s.csv"), text).unwrap();
        train(&zoo, "s.csv", &[]).expect(0);
    }
}

#[test]
fn a_column_is_left_of_the_sample() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    train(&zoo, "sample", &[]).expect(0);
    let inventory = &data_of(&zoo.path("run"))["inventory"];
    let names: Vec<&str> = inventory["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    let exclude = |names: &[&str]| format!("series.exclude={names:?}");
    train(&zoo, "sample", &["--set", &exclude(&names)])
        .refused(&["every column is excluded; leave one of them out of `series.exclude`"]);
    train(&zoo, "sample", &["--set", &exclude(&names[1..])]).expect(0);
    let inventory = &data_of(&zoo.path("run"))["inventory"];
    assert_eq!(inventory["columns"].as_array().unwrap().len(), 1);
}

#[test]
fn columns_that_may_number_the_rows_are_left_out_or_joined() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let inspected = |args: &[&str]| {
        zoo.zoo(&[&["inspect", "s.csv"][..], args].concat())
            .expect(0)
            .stdout
    };
    let text = with_columns("count", |row| (row + 7).to_string());
    fs::write(zoo.path("s.csv"), &text).unwrap();
    let said = "column `count` is read as values and may only number the rows: ";
    let found = inspected(&[]);
    assert!(found.contains(said), "{found}");
    assert!(
        found.contains(r#"leave out what does with `--set 'series.exclude=["count"]'`"#),
        "{found}"
    );
    let found = inspected(&["--set", r#"series.exclude=["count"]"#]);
    assert!(!found.contains(said), "{found}");
    let alone = |row: usize| format!("{},{}", iso(row), row + 7);
    fs::write(zoo.path("s.csv"), lines("date,count", ROWS, alone)).unwrap();
    let found = inspected(&[]);
    assert!(
        found.contains(said) && found.contains("add a column of values"),
        "{found}"
    );
    fs::write(zoo.path("s.csv"), text).unwrap();
    train(&zoo, "s.csv", &[]).expect(0);
}

#[test]
fn the_series_of_a_file_is_chosen_for_a_model_of_another() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let stores = |names: &'static [&'static str]| {
        lines("store,date,sales", names.len() * ROWS, move |row| {
            format!("{},{},{}", names[row / ROWS], iso(row % ROWS), 7 * row % 50)
        })
    };
    fs::write(zoo.path("two.csv"), stores(&["1", "2"])).unwrap();
    fs::write(zoo.path("one.csv"), stores(&["3"])).unwrap();
    train(&zoo, "two.csv", &["--key", "1"]).expect(0);
    zoo.zoo(&["forecast", "run", "one.csv"]).refused(&[
        "it has no series `1`; it holds one, `3` by `store`; choose it with `--key 3` or give another file",
    ]);
    zoo.zoo(&["forecast", "run", "one.csv", "--key", "3"])
        .expect(0);
    zoo.zoo(&["forecast", "run", "two.csv"]).expect(0);
}
