//! Series as CSV.

use std::io::Write as _;

use end_to_end::series::{ROWS, a, b, dated, hour, iso, lines, plain};
use serde_json::{Value, json};

use crate::row::{Row, row};
use end_to_end::picture::put;

/// A CSV file of this text, and what is expected of all that are read: the rows of `plain`, an hour apart.
fn csv(name: &'static str, text: impl Into<Vec<u8>>) -> Row {
    file(name, "s.csv", text)
        .holds("/rows", ROWS)
        .holds("/first", "2024-01-01 00:00:00")
        .holds("/last", "2024-01-05 23:00:00")
        .holds("/step", "1 h")
        .holds("/columns/0/name", "a")
        .holds("/columns/1/name", "b")
        .holds("/columns/2", Value::Null)
}

/// A file of this name, of which nothing is expected yet.
fn file(name: &'static str, file: &'static str, text: impl Into<Vec<u8>>) -> Row {
    let text = text.into();
    row(name, move |root| put(&root.join(file), &text))
        .at(file)
        .with(&[&[]])
}

/// A file of `rows` rows at these dates.
fn at(name: &'static str, rows: usize, date: impl Fn(usize) -> String) -> Row {
    let line = |row| format!("{},{},{}", date(row), a(row), b(row));
    file(name, "s.csv", lines("date,a,b", rows, line)).holds("/columns/1/name", "b")
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

fn last_day(year: usize, month: usize) -> usize {
    match month {
        2 => 28 + usize::from(year.is_multiple_of(4)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day that follows the first of January 2024 by `days` before the end of March.
fn day(days: usize) -> String {
    match days {
        ..31 => format!("2024-01-{:02}", days + 1),
        31..60 => format!("2024-02-{:02}", days - 30),
        _ => format!("2024-03-{:02}", days - 59),
    }
}

fn without(text: &str, from: usize, count: usize) -> String {
    let kept = text
        .lines()
        .enumerate()
        .filter(|(i, _)| !(from..from + count).contains(i));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

pub(crate) fn rows() -> Vec<Row> {
    [
        tables(),
        headers(),
        numbered(),
        dates(),
        steps(),
        values(),
        stand_ins(),
        many(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Tables, their headers and columns.
fn tables() -> Vec<Row> {
    let counted = |header: &str| {
        lines(&format!("{header},date,a,b"), ROWS, |row| {
            format!("{row},{},{},{}", iso(row), a(row), b(row))
        })
    };
    let newest: Vec<String> = plain().lines().rev().take(ROWS).map(String::from).collect();
    vec![
        csv("a plain table", plain()).holds("/left_out", json!([])),
        csv("no header", without(&plain(), 0, 1))
            .holds("/named", false)
            .holds("/columns/0/name", "column_2")
            .holds("/columns/1/name", "column_3"),
        csv("an index without a name", counted("")).holds("/left_out/0/what", "column 1"),
        csv("an index called Unnamed: 0", counted("Unnamed: 0"))
            .holds("/left_out/0/what", "column `Unnamed: 0`"),
        csv(
            "an index of dates without a name",
            plain().replacen("date,", ",", 1),
        ),
        csv("decimal commas", {
            let comma = |number: String| number.replace('.', ",");
            lines("date;a;b", ROWS, |row| {
                format!("{};{};{}", iso(row), comma(a(row)), comma(b(row)))
            })
        })
        .holds("/decimal_comma", true),
        csv("newest first", format!("date,a,b\n{}\n", newest.join("\n")))
            .holds("/newest_first", true),
        csv("tabs", plain().replace(',', "\t")),
        csv("a byte-order mark", format!("\u{feff}{}", plain())),
        csv("line ends of Windows", plain().replace('\n', "\r\n")),
        csv("UTF-16", {
            let units = std::iter::once(0xfeff).chain(plain().encode_utf16().collect::<Vec<_>>());
            units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
        }),
        csv(
            "a name on two lines",
            plain().replacen(",b\n", ",\"b\nin kW\"\n", 1),
        )
        .holds("/columns/1/name", "b\nin kW"),
        csv(
            "comments above the header",
            format!("# station 5\n{}", plain()),
        ),
        file("a table packed by gzip", "s.csv.gz", gzipped(&plain()))
            .holds("/rows", ROWS)
            .holds("/step", "1 h"),
        csv("a column of words", {
            let text = plain();
            let marked = text.lines().enumerate().map(|(i, line)| match i {
                0 => format!("{line},wind\n"),
                _ => format!("{line},{}\n", ["N", "SE"][i % 2]),
            });
            marked.collect::<String>()
        })
        .says(&["wind"]),
        csv("two constant columns", {
            let text = plain();
            let more = text.lines().enumerate().map(|(i, line)| match i {
                0 => format!("{line},c,d\n"),
                _ => format!("{line},5,7\n"),
            });
            more.collect::<String>()
        })
        .holds(
            "/columns/2",
            json!({"name": "c", "missing": 0, "constant": true, "stand_in": null, "numbers_rows": false}),
        )
        .holds("/columns/3/constant", true)
        .says(&["columns `c` and `d` are constant"]),
    ]
}

/// [`plain`] below other first lines.
fn under(header: &str) -> String {
    let text = plain();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    format!("{header}\n{}\n", rows.join("\n"))
}

/// Headers of several lines, and rows that are longer than theirs.
fn headers() -> Vec<Row> {
    let prices = |name, header: &str| {
        csv(name, under(header))
            .holds("/columns/0/name", "Close AAPL")
            .holds("/columns/1/name", "Close MSFT")
    };
    let decimals = |name, row: fn(usize) -> String| {
        let refused = file(name, "s.csv", lines("date,a,b", ROWS, row));
        refused.refused(&[
            "line 2 has 5",
            "decimal comma, put quotes around them or semicolons",
        ])
    };
    vec![
        prices(
            "three lines of names",
            "Price,Close,Close\nTicker,AAPL,MSFT\nDate,,",
        )
        .holds("/date_columns", json!(["Date"]))
        .holds("/header_lines", 3),
        prices("two lines of names", ",Close,Close\n,AAPL,MSFT").holds("/header_lines", 2),
        csv("units below the names", under("date,a,b\n,kW,m/s"))
            .holds("/columns/0/name", "a kW")
            .holds("/columns/1/name", "b m/s")
            .holds("/date_columns", json!(["date"])),
        file(
            "a remark below the names",
            "s.csv",
            under("date,a,b\nremark,,"),
        )
        .refused(&["line 2"]),
        csv(
            "a title as wide as the table",
            under("Station 5,,\nmade on,2024-02-01,\ndate,a,b"),
        )
        .holds("/left_out/0/what", "2 lines before the header"),
        csv("names between the rows", {
            let text = plain();
            let (header, _) = text.split_once('\n').unwrap_or_default();
            text.replacen(&iso(60), &format!("{header}\n{}", iso(60)), 1)
        })
        .holds(
            "/left_out",
            json!([{"what": "1 line", "why": "they repeat the header"}]),
        ),
        file(
            "a sum below the rows",
            "s.csv",
            format!("{}Total,1,2\n", plain()),
        )
        .refused(&[
            "line 122: `Total` is no date; write dates as 2016-07-01 00:00:00, or remove the line",
        ]),
        file("a sum below years", "s.csv", {
            lines("date,a", 40, |row| format!("{},{row}", 1980 + row)) + "Total,1\n"
        })
        .refused(&["line 42: `Total` is no date"]),
        file(
            "blanks between the cells",
            "s.csv",
            plain().replace(',', "  "),
        )
        .refused(&["line 2 has several words", "put commas"]),
        file("decimal commas below no names", "s.csv", {
            let text = lines("", ROWS, |row| {
                format!("{},{},{:02}", iso(row), row % 90, row % 100)
            });
            text.replacen('\n', "", 1)
        })
        .refused(&[
            "line 1: `00` in column 3 may be the decimals",
            "put quotes around them",
        ]),
        file("a series in each row", "s.csv", {
            let names: Vec<String> = (2..40).map(|i| format!("V{i}")).collect();
            let header = format!("V1,{}", names.join(","));
            lines(&header, 9, |row| {
                format!("Y{row},{}", vec!["1.5"; 38].join(","))
            })
        })
        .refused(&[
            "no column of dates",
            "if each row is a series",
            "transpose it",
        ]),
        csv("commas at the end of rows", plain().replace("5\n", "5,,\n")),
        decimals("decimal commas between commas", |row| {
            format!("{},{},{},-{},5", iso(row), row % 90, row % 100, row % 70)
        }),
        decimals("decimal commas in some numbers", |row| {
            let half = if row % 4 == 0 { ",5" } else { "" };
            format!("{},{row}{half},-{row}{half}", iso(row))
        }),
        csv("the same with semicolons", {
            lines("date;a;b", ROWS, |row| {
                format!("{};{},{};-{},5", iso(row), row % 90, row % 100, row % 70)
            })
        })
        .holds("/decimal_comma", true),
    ]
}

/// Columns that number the rows.
fn numbered() -> Vec<Row> {
    let numbered = |name: &'static str, first: usize, step: usize| {
        let header = format!("{name},date,a,b");
        let number = move |row: usize| first + row * step;
        csv(
            name,
            lines(&header, ROWS, |row| {
                format!("{},{},{},{}", number(row), iso(row), a(row), b(row))
            }),
        )
    };
    let left_out = |name: &'static str, first| {
        numbered(name, first, 1)
            .holds("/left_out/0/what", format!("column `{name}`"))
            .holds(
                "/left_out/0/why",
                "it numbers the rows; to read it, name it in `series.columns`",
            )
    };
    // What the column is called then, and where it stands.
    let said = |name: &'static str, first, step| {
        numbered(name, first, step)
            .holds("/columns/0/name", name)
            .holds("/columns/0/numbers_rows", true)
            .holds("/columns/1/name", "a")
            .holds("/columns/1/numbers_rows", false)
            .holds("/columns/2", json!({"name": "b", "missing": 0, "constant": false, "stand_in": null, "numbers_rows": false}))
            .holds("/left_out", json!([]))
    };
    vec![
        left_out("No", 1),
        left_out("id", 0),
        left_out("index", 0),
        left_out("row", 1),
        left_out("#", 1),
        left_out("Nr.", 1),
        left_out("S. No", 1),
        said("trend", 1, 1),
        said("number", 13, 1),
        said("ID", 4, 3),
        csv(
            "a number of the row that is asked for",
            lines("No,date,a", ROWS, |row| {
                format!("{row},{},{}", iso(row), a(row))
            }),
        )
        .with(&[&["--set", r#"series.columns=["No", "a"]"#]])
        .holds("/columns/0/name", "No")
        .holds("/columns/0/numbers_rows", false)
        .holds("/columns/1/name", "a"),
        csv("a number of the row and nothing else", {
            lines("date,id", ROWS, |row| format!("{},{row}", iso(row)))
        })
        .holds("/columns/0/name", "id")
        .holds("/columns/0/numbers_rows", true)
        .holds("/columns/1/name", Value::Null),
        csv(
            "a number of the row that repeats",
            lines("No,date,a,b", ROWS, |row| {
                format!("{},{},{},{}", row % 24, iso(row), a(row), b(row))
            }),
        )
        .holds("/columns/0/name", "No")
        .holds("/columns/0/numbers_rows", false)
        .holds("/columns/1/name", "a")
        .holds("/columns/2", json!({"name": "b", "missing": 0, "constant": false, "stand_in": null, "numbers_rows": false})),
    ]
}

/// Values that may stand for missing ones, and values that do not.
fn stand_ins() -> Vec<Row> {
    // Each tenth value of a column that otherwise runs from 5 to 65.
    let with = |name, value: &'static str, every: usize| {
        csv(
            name,
            lines("date,a,b", ROWS, |row| match row % every {
                3 => format!("{},{value},{}", iso(row), b(row)),
                _ => format!("{},{}.5,{}", iso(row), 5 + row * 37 % 60, b(row)),
            }),
        )
    };
    let held = |name, value: &'static str, number: f64| {
        with(name, value, 10).holds("/columns/0/stand_in", json!([number, 12]))
    };
    let none =
        |name, value, every| with(name, value, every).holds("/columns/0/stand_in", Value::Null);
    vec![
        held("-200 for what is missing", "-200", -200.0),
        held("-99 for what is missing", "-99", -99.0).holds("/left_out", json!([])),
        held("-999.9 for what is missing", "-999.9", -999.9),
        held("9999 for what is missing", "9999", 9999.0),
        held("1e20 for what is missing", "1e20", 1e20),
        none("nothing at times", "0", 10),
        none("the same value near others", "4.5", 10),
        none("a value far off that comes once", "-200", 1000),
        csv("codes of a few kinds", {
            lines("date,a,b", ROWS, |row| {
                format!("{},{},{}", iso(row), [1, 2, 3, 9][row % 4], b(row))
            })
        })
        .holds("/columns/0/stand_in", Value::Null),
    ]
}

/// Ways to write dates.
fn dates() -> Vec<Row> {
    let of = |format: fn(usize, usize) -> String| dated("date,a,b", move |row| hour(row, format));
    let zoned = |name, text, zone: &'static str, first: &'static str, last: &'static str| {
        file(name, "s.csv", text)
            .holds("/rows", ROWS)
            .holds("/step", "1 h")
            .holds("/time_zone", zone)
            .holds("/first", first)
            .holds("/last", last)
    };
    vec![
        zoned(
            "offsets of zero",
            of(|day, hour| format!("2024-01-{day:02} {hour:02}:00:00+00:00")),
            "UTC",
            "2024-01-01 00:00:00+00:00",
            "2024-01-05 23:00:00+00:00",
        ),
        zoned(
            "a Z",
            of(|day, hour| format!("2024-01-{day:02}T{hour:02}:00:00Z")),
            "UTC",
            "2024-01-01 00:00:00+00:00",
            "2024-01-05 23:00:00+00:00",
        ),
        zoned(
            "an offset that changes while the clock goes on",
            dated("date,a,b", |row| {
                let offset = if row < 60 { "+01:00" } else { "+00:00" };
                format!("{}{offset}", iso(row))
            }),
            "UTC",
            "2023-12-31 23:00:00+00:00",
            "2024-01-05 23:00:00+00:00",
        )
        .holds("/rows", ROWS + 1)
        .holds("/gaps/rows", 1)
        .holds("/gaps/first/0/from", "2024-01-03 11:00:00+00:00"),
        at("days of two digits each as one number", 12, |row| {
            format!("24{:02}01", row + 1)
        })
        .refused(&["line 2: the number `240101` is no date by itself"]),
        at("days or years", 12, |row| format!("Jan-{:02}", row + 1))
            .refused(&["line 2: `Jan-01` is either a month of a year or a day of a month"]),
        csv(
            "days with points",
            of(|day, hour| format!("{day:02}.01.2024 {hour:02}:00")),
        )
        .holds("/dates_written", "day, month, year"),
        csv(
            "the month first",
            of(|day, hour| format!("01/{:02}/2024 {hour:02}:00", day)),
        )
        .holds("/dates_written", "month, day, year"),
        csv(
            "halves of the day",
            of(|day, hour| {
                let half = if hour < 12 { "AM" } else { "PM" };
                format!(
                    "1/{day}/2024 {}:00 {half}",
                    if hour % 12 == 0 { 12 } else { hour % 12 }
                )
            }),
        ),
        csv(
            "date and time in two columns",
            dated("Date,Time,a,b", |row| {
                hour(row, |day, hour| format!("2024-01-{day:02},{hour:02}:00:00"))
            }),
        )
        .holds("/date_columns", json!(["Date", "Time"])),
        csv(
            "parts of the date in columns",
            dated("year,month,day,hour,a,b", |row| {
                hour(row, |day, hour| format!("2024,1,{day},{hour}"))
            }),
        ),
        file(
            "seconds since 1970",
            "s.csv",
            dated("timestamp,a,b", |row| {
                (1_704_067_200 + 3600 * row).to_string()
            }),
        )
        .holds("/rows", ROWS)
        .holds("/step", "1 h")
        .holds("/dates_written", "seconds since 1970"),
        csv(
            "fractions of zero",
            of(|day, hour| format!("2024-01-{day:02} {hour:02}:00:00.000")),
        ),
        csv(
            "digits without marks",
            of(|day, hour| format!("202401{day:02}{hour:02}00")),
        ),
        at("the day or the month first", 12, |row| {
            format!("{:02}/01/2024", row + 1)
        })
        .holds("/columns/1/name", "b")
        .refused(&["day, month, year or as month, day, year"]),
        at("two orders in one column", 60, |row| match row {
            ..=30 => format!("{}/1/2024", row + 1),
            _ => format!("2/{}/2024", row - 30),
        })
        .refused(&["write dates as 2016-07-01"]),
        at("a day that never was", 60, |row| {
            if row == 7 {
                "2024-02-30".into()
            } else {
                day(row)
            }
        })
        .refused(&["line 9", "2024-02-30"]),
        file(
            "no dates",
            "s.csv",
            lines("a,b", ROWS, |row| format!("{},{}", a(row), b(row))),
        )
        .refused(&["no column of dates"]),
    ]
}

/// Steps and gaps.
fn steps() -> Vec<Row> {
    vec![
        at("ends of months", 60, |row| {
            let (year, month) = (2000 + row / 12, row % 12 + 1);
            format!("{year}-{month:02}-{:02}", last_day(year, month))
        })
        .holds("/rows", 60)
        .holds("/step", "1 month")
        .holds("/last", "2004-12-31 00:00:00"),
        at("quarters", 60, |row| {
            format!("{}-{:02}-01", 2000 + row / 4, row % 4 * 3 + 1)
        })
        .holds("/rows", 60)
        .holds("/step", "1 quarter"),
        at("business days", 60, |row| day(row / 5 * 7 + row % 5))
            .holds("/rows", 60)
            .holds("/step", "1 d from Monday to Friday")
            .holds("/last", "2024-03-22 00:00:00"),
        at("years", 60, |row| (1950 + row).to_string())
            .holds("/rows", 60)
            .holds("/step", "1 year"),
        at("weeks", 12, |row| day(7 * row))
            .holds("/rows", 12)
            .holds("/step", "1 week"),
        csv("a gap in row 2", without(&plain(), 2, 1))
            .holds("/gaps/count", 1)
            .holds("/gaps/rows", 1)
            .holds("/gaps/first/0/from", "2024-01-01 01:00:00"),
        csv("two gaps", without(&without(&plain(), 60, 10), 30, 1))
            .holds("/gaps/count", 2)
            .holds("/gaps/rows", 11),
        at("rows in no order", 60, |row| match row {
            3 => day(30),
            30 => day(3),
            _ => day(row),
        })
        .refused(&["sort the rows by date"]),
        at("the same day twice", 60, |row| {
            if row == 9 { day(8) } else { day(row) }
        })
        .refused(&["lines 10 and 11 have the same date"]),
    ]
}

/// Values that are missing.
fn values() -> Vec<Row> {
    let with = |cell: &str| plain().replacen(&format!(",{},", a(3)), &format!(",{cell},"), 1);
    let missing = |name, cell| {
        csv(name, with(cell))
            .holds("/columns/0/missing", 1)
            .says(&["1 missing, the first in line 5, column `a`"])
    };
    vec![
        missing("an empty cell", ""),
        missing("a question mark", "?"),
        missing("NA", "NA"),
        missing("N/A", "N/A"),
        missing("null", "null"),
        missing("a dash", "-"),
        missing("NaN", "NaN"),
        csv("-999 for what is missing", with("-9999"))
            .holds("/columns/0/stand_in", json!([-9999.0, 1])),
        csv("a word in a column of numbers", with("off")).says(&["off"]),
        file("a header alone", "s.csv", "date,a\n").refused(&["no rows"]),
        file("an empty file", "s.csv", "").refused(&["is empty"]),
        file(
            "a workbook",
            "s.xlsx",
            [&b"PK\x03\x04"[..], &[0; 40], b"xl/workbook.xml"].concat(),
        )
        .refused(&["s.xlsx"]),
        row("a folder of tables", |root| {
            put(&root.join("d/s.csv"), plain())
        })
        .refused(&["d/s.csv"]),
        file("JSON", "s.json", r#"{"date": ["2024-01-01"], "a": [1]}"#).refused(&["s.json"]),
    ]
}

/// Many series in a file.
fn many() -> Vec<Row> {
    let long = |header: &str| {
        lines(header, 2 * ROWS, |row| {
            let store = if row < ROWS { "x" } else { "y" };
            format!("{store},{},{}", iso(row % ROWS), a(row))
        })
    };
    let keyed = |name, header: &'static str, key: &'static str| {
        file(name, "s.csv", long(header))
            .with(&[&["--key", "x"]])
            .holds("/rows", ROWS)
            .holds("/step", "1 h")
            .holds("/keys/count", 2)
            .holds("/keys/columns", json!([key]))
            .holds("/keys/read", "x")
    };
    vec![
        keyed("series by unique_id", "unique_id,ds,y", "unique_id"),
        keyed("series by store", "store,date,sales", "store"),
        file(
            "series of which none is chosen",
            "s.csv",
            long("store,date,sales"),
        )
        .says(&["2 series", "`x`", "`y`"]),
        file("two series that nothing tells apart", "s.csv", {
            lines("date,sales", 2 * ROWS, |row| {
                format!("{},{}", iso(row / 2), a(row))
            })
        })
        .refused(&["lines 2 and 3 have the same date"]),
    ]
}
