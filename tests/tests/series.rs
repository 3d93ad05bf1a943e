//! Series as people have them: each row of a table is a file, and what is to come of it.

use std::fs;
use std::io::Write as _;

use end_to_end::series::{ROWS, a, b, data_of, dated, hour, iso, lines, plain, train};
use end_to_end::zoo::Workspace;
use serde_json::{Value, json};

/// A file with the numbers of [`plain`], written in another way.
struct Same {
    name: &'static str,
    text: Vec<u8>,
    args: &'static [&'static str],
    /// What the inventory is to say.
    inventory: Vec<(&'static str, Value)>,
    /// What the program is to say before it trains.
    said: &'static [&'static str],
}

fn same(name: &'static str, text: impl Into<Vec<u8>>) -> Same {
    Same {
        name,
        text: text.into(),
        args: &[],
        inventory: Vec::new(),
        said: &[],
    }
}

impl Same {
    fn with(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    fn inventory(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.inventory.push((key, value.into()));
        self
    }

    fn said(self, said: &'static [&'static str]) -> Self {
        Self { said, ..self }
    }
}

/// A column before each line of [`plain`].
fn with_first(header: &str, cell: impl Fn(usize) -> String) -> String {
    lines(&format!("{header},date,a,b"), ROWS, |row| {
        format!("{},{},{},{}", cell(row), iso(row), a(row), b(row))
    })
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn comma(number: String) -> String {
    number.replace('.', ",")
}

fn semicolons(date: impl Fn(usize) -> String) -> String {
    lines("Datum;a;b", ROWS, |row| {
        format!("{};{};{}", date(row), comma(a(row)), comma(b(row)))
    })
}

fn epoch(row: usize) -> u64 {
    1_704_067_200 + 3600 * row as u64
}

/// All the ways in which the same numbers are written.
fn ways() -> Vec<Same> {
    let day_first = "/dates_written";
    let of = |format: fn(usize, usize) -> String| dated("date,a,b", move |row| hour(row, format));
    let text = plain();
    let newest: Vec<&str> = text.lines().rev().take(ROWS).collect();
    let long = |header: &str| {
        lines(header, 2 * ROWS, |row| match row < ROWS {
            true => format!("x,{},{},{}", iso(row), a(row), b(row)),
            false => format!("y,{},{},{}", iso(row - ROWS), b(row), a(row)),
        })
    };
    let by_date = lines("store,date,a,b", 2 * ROWS, |row| match row % 2 {
        0 => format!("7,{},{},{}", iso(row / 2), a(row / 2), b(row / 2)),
        _ => format!("12,{},1,{row}", iso(row / 2)),
    });
    let two_keys = lines("date,shop,item,a,b", 4 * ROWS, |row| {
        let (shop, item, row) = (row % 2, row / 2 % 2, row / 4);
        format!(
            "{},{shop},{item},{},{}",
            iso(row),
            a(row),
            if shop + item == 2 { b(row) } else { a(9) }
        )
    });
    let key_read = |read: &str, by: &[&str], count: usize| (json!(read), json!(by), json!(count));
    let mut ways = vec![
        same(
            "an unnamed index of dates",
            plain().replacen("date,", ",", 1),
        ),
        same(
            "an unnamed counting column",
            with_first("", |row| row.to_string()),
        )
        .inventory("/left_out/0/what", "column 1")
        .said(&["left out: column 1 (it has no name and numbers the rows)"]),
        same("two of them", {
            let once = with_first("Unnamed: 0", |row| (row + 1).to_string());
            once.lines()
                .enumerate()
                .fold(String::new(), |text, (i, line)| {
                    let first = if i == 0 {
                        String::new()
                    } else {
                        (i - 1).to_string()
                    };
                    text + &first + "," + line + "\n"
                })
        })
        .said(&["left out: column 1 (", "left out: column `Unnamed: 0` ("]),
        same(
            "the numbers that rows had in a larger table",
            with_first("Unnamed: 0", |row| (3 * row + row % 2).to_string()),
        ),
        same(
            "offsets of zero",
            of(|day, hour| format!("2024-01-{day:02} {hour:02}:00:00+00:00")),
        )
        .inventory("/time_zone", "UTC")
        .inventory("/last", "2024-01-05 23:00:00+00:00"),
        same(
            "a Z and fractions of 0",
            of(|day, hour| format!("2024-01-{day:02}T{hour:02}:00:00.000Z")),
        ),
        same(
            "the same offset in all rows",
            of(|day, hour| format!("2024-01-{day:02} {hour:02}:00:00-05:00")),
        )
        .inventory("/first", "2024-01-01 00:00:00-05:00"),
        same(
            "seconds since 1970",
            dated("timestamp,a,b", |row| epoch(row).to_string()),
        )
        .inventory(day_first, "seconds since 1970"),
        same(
            "milliseconds since 1970",
            dated("unix,a,b", |row| format!("{}000", epoch(row))),
        )
        .inventory(day_first, "milliseconds since 1970"),
        same(
            "numbers that can only be dates",
            dated("t,a,b", |row| epoch(row).to_string()),
        ),
        same(
            "digits without marks",
            of(|day, hour| format!("202401{day:02}{hour:02}00")),
        ),
        same(
            "days with points, decimal commas",
            semicolons(|row| hour(row, |day, hour| format!("{day:02}.01.2024 {hour:02}:00"))),
        )
        .inventory(day_first, "day, month, year")
        .inventory("/decimal_comma", true)
        .said(&["dates read as day, month, year", "decimal comma"]),
        same(
            "decimal commas in quotes",
            lines("date,a,b", ROWS, |row| {
                format!("{},\"{}\",\"{}\"", iso(row), comma(a(row)), comma(b(row)))
            }),
        ),
        same(
            "the day before the month",
            of(|day, hour| format!("{:02}/01/2024 {hour:02}:00", day)),
        )
        .inventory(day_first, "day, month, year"),
        same(
            "the month before the day",
            of(|day, hour| format!("01/{day:02}/2024 {hour:02}:00")),
        )
        .inventory(day_first, "month, day, year"),
        same(
            "halves of the day",
            of(|day, hour| {
                let half = if hour < 12 { "AM" } else { "PM" };
                format!(
                    "1/{day}/2024 {}:00:00 {half}",
                    if hour % 12 == 0 { 12 } else { hour % 12 }
                )
            }),
        ),
        same(
            "years of two digits, chosen",
            of(|day, hour| format!("01/{day:02}/24 {hour:02}:00")),
        )
        .with(&["--set", "series.dates=mdy"]),
        same(
            "names of months",
            of(|day, hour| format!("{day:02}-Jan-2024 {hour:02}:00")),
        ),
        same(
            "names of days, too",
            of(|day, hour| {
                let name = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][day % 7];
                format!("\"{name}, {day:02} Jan 2024 {hour:02}:00:00 GMT\"")
            }),
        ),
        same(
            "date and time in two columns",
            dated("Date,Time,a,b", |row| {
                hour(row, |day, hour| format!("{day:02}/01/2024,{hour:02}:00:00"))
            }),
        )
        .inventory("/date_columns", json!(["Date", "Time"])),
        same(
            "date and hour",
            dated("date,hour,a,b", |row| {
                hour(row, |day, hour| format!("2024-01-{day:02},{hour}"))
            }),
        ),
        same(
            "parts of the date",
            dated("year,month,day,hour,a,b", |row| {
                hour(row, |day, hour| format!("2024,1,{day},{hour}"))
            }),
        )
        .inventory("/date_columns", json!(["year", "month", "day", "hour"])),
        same(
            "the day of the year",
            dated("YEAR,DOY,HR,a,b", |row| {
                hour(row, |day, hour| format!("2024,{day},{hour}"))
            }),
        ),
        same(
            "intervals",
            of(|day, hour| {
                format!("{day:02}.01.2024 {hour:02}:00 - {day:02}.01.2024 {hour:02}:59")
            }),
        ),
        same("newest first", format!("date,a,b\n{}\n", newest.join("\n")))
            .inventory("/newest_first", true)
            .said(&["reversed, because the newest row came first"]),
        same("gzip", gzipped(&plain())),
        same("a byte-order mark", format!("\u{feff}{}", plain())),
        same("UTF-16 with tabs", utf16(&plain().replace(',', "\t"))),
        same("ends of lines of old", plain().replace('\n', "\r")),
        same("bars", plain().replace(',', "|")),
        same(
            "the mark named by a spreadsheet",
            format!("sep=;\r\n{}", plain().replace(',', ";")),
        ),
        same(
            "comments above",
            format!("# station 5\n# 48 N\n{}", plain()),
        )
        .said(&["left out: 2 lines at the top"]),
        same("a title above", format!("Station 5\n\n{}", plain()))
            .said(&["left out: 1 line before the header"]),
        same("empty lines below", format!("{},,\n,,\n", plain()))
            .said(&["left out: 2 lines (all their cells are empty)"]),
        same("a comma too many", plain().replace('\n', ",\n"))
            .said(&["left out: column 4 (it has neither a name nor values)"]),
        same(
            "a word in every row",
            with_first("site", |_| "Vienna, east".into())
                .replace("Vienna, east", "\"Vienna, east\""),
        )
        .said(&["left out: column `site` (it is `Vienna, east` in every row)"]),
        same(
            "columns that are not wanted",
            with_first("wind", |row| ["N", "SE"][row % 2].into()),
        )
        .with(&["--set", r#"series.exclude=["wind"]"#])
        .said(&["left out: column `wind` (`series.exclude` names it)"]),
        same(
            "excluded by the choice of others",
            with_first("c", |_| "5".into()),
        )
        .with(&["--set", r#"series.columns=["a", "b"]"#])
        .said(&["left out: 1 column"]),
        same(
            "groups of digits",
            lines("date,a,b", ROWS, |row| {
                format!("{},\"{}\",\"{}\"", iso(row), a(row), b(row))
            }),
        ),
        same("one series of two, by a word", long("unique_id,ds,a,b"))
            .with(&["--key", "x"])
            .said(&["series `x` of 2 by `unique_id`: "]),
        same("by a column and a value", long("anything,date,a,b")).with(&["--key", "anything=x"]),
        same("by a number, sorted by date", by_date).with(&["--key", "7"]),
    ];
    let (read, by, count) = key_read("shop=1,item=1", &["shop", "item"], 4);
    ways.push(
        same("by two numbers", two_keys)
            .with(&["--key", "shop=1,item=1"])
            .inventory("/keys/read", read)
            .inventory("/keys/columns", by)
            .inventory("/keys/count", count),
    );
    ways
}

#[test]
fn the_same_numbers_are_read_from_every_way_of_writing_them() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    fs::write(zoo.path("plain.csv"), plain()).unwrap();
    let ran = train(&zoo, "plain.csv", &[]).expect(0);
    let expected = format!(
        "{ROWS} rows of 2 columns (a, b), 2024-01-01 00:00:00 to 2024-01-05 23:00:00, each 1 h apart"
    );
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let fingerprint = |data: &Value| data["fingerprint"].as_str().unwrap().to_string();
    let plain = fingerprint(&data_of(&zoo.path("run")));
    for way in ways() {
        let name = way.name;
        fs::write(zoo.path("way.csv"), &way.text).unwrap();
        let ran = train(&zoo, "way.csv", way.args);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let data = data_of(&zoo.path("run"));
        assert_eq!(fingerprint(&data), plain, "{name}: {}", ran.stderr);
        assert_eq!(data["inventory"]["step"], "1 h", "{name}");
        for (key, value) in &way.inventory {
            assert_eq!(
                data["inventory"].pointer(key),
                Some(value),
                "{name}, {key}: {}",
                data["inventory"]
            );
        }
        for said in way.said {
            assert!(
                ran.stderr.contains(said),
                "{name}: `{said}` is not in {}",
                ran.stderr
            );
        }
        let warnings = ran.stderr.contains("warning:");
        assert!(!warnings, "{name}: {}", ran.stderr);
    }
}

#[test]
fn steps_are_the_commonest_and_gaps_are_listed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let month = |row: usize| (2000 + row / 12, row % 12 + 1);
    let last_day = |year: usize, month: usize| match month {
        2 => 28 + usize::from(year.is_multiple_of(4)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let ends = move |row| {
        let (year, month) = month(row);
        format!("{year}-{month:02}-{:02}", last_day(year, month))
    };
    // The first of January 2024 is a Monday.
    let weekday = |row: usize| 1 + row / 5 * 7 + row % 5;
    let of_january = |day: usize| match day {
        ..=31 => format!("2024-01-{day:02}"),
        32..=60 => format!("2024-02-{:02}", day - 31),
        _ => format!("2024-03-{:02}", day - 60),
    };
    let rows = |count: usize, date: &dyn Fn(usize) -> String| {
        lines("date,a,b", count, |row| {
            format!("{},{},{}", date(row), a(row), b(row))
        })
    };
    // Hour after hour by the clock of Berlin, over the end of March.
    let zones = |row: usize| {
        let ahead = if row >= 25 { 2 } else { 1 };
        let (days, hour) = ((row + ahead) / 24, (row + ahead) % 24);
        let day = ["03-30", "03-31", "04-01"][days];
        format!("2024-{day} {hour:02}:00:00+0{ahead}:00")
    };
    let without = |text: String, lines: std::ops::Range<usize>| {
        let kept = text.lines().enumerate().filter(|(i, _)| !lines.contains(i));
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let fill = &["--set", "series.missing=linear"][..];
    let none: &[&str] = &[];
    let cases = [
        (
            "ends of months",
            rows(60, &ends),
            none,
            "1 month",
            "2000-01-31 00:00:00",
            "2004-12-31 00:00:00",
            0,
        ),
        (
            "ends of quarters",
            rows(60, &move |row| ends(3 * row + 2)),
            none,
            "1 quarter",
            "2000-03-31 00:00:00",
            "2014-12-31 00:00:00",
            0,
        ),
        (
            "quarters",
            rows(60, &|row| format!("{}Q{}", 2000 + row / 4, row % 4 + 1)),
            none,
            "1 quarter",
            "2000-01-01 00:00:00",
            "2014-10-01 00:00:00",
            0,
        ),
        (
            "months by name",
            rows(60, &move |row| {
                let names = [
                    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
                    "Dec",
                ];
                format!("{}-{:02}", names[row % 12], row / 12)
            }),
            none,
            "1 month",
            "2000-01-01 00:00:00",
            "2004-12-01 00:00:00",
            0,
        ),
        (
            "years",
            rows(60, &|row| (1950 + row).to_string()),
            none,
            "1 year",
            "1950-01-01 00:00:00",
            "2009-01-01 00:00:00",
            0,
        ),
        (
            "business days",
            rows(60, &move |row| of_january(weekday(row))),
            none,
            "1 d from Monday to Friday",
            "2024-01-01 00:00:00",
            "2024-03-22 00:00:00",
            0,
        ),
        (
            "a holiday",
            without(rows(60, &move |row| of_january(weekday(row))), 17..18),
            fill,
            "1 d from Monday to Friday",
            "2024-01-01 00:00:00",
            "2024-03-22 00:00:00",
            1,
        ),
        (
            "weeks",
            rows(60, &|row| {
                format!("{}-W{:02}", 2023 + row / 52, row % 52 + 1)
            }),
            none,
            "1 week",
            "2023-01-02 00:00:00",
            "2024-02-19 00:00:00",
            0,
        ),
        (
            "fractions of seconds",
            rows(60, &|row| {
                format!("2024-01-01 00:00:{:02}.{}", row / 4, 25 * (row % 4))
            }),
            none,
            "250 ms",
            "2024-01-01 00:00:00",
            "2024-01-01 00:00:14.75",
            0,
        ),
        (
            "a gap after the first row",
            without(plain(), 2..3),
            fill,
            "1 h",
            "2024-01-01 00:00:00",
            "2024-01-05 23:00:00",
            1,
        ),
        (
            "two gaps",
            without(without(plain(), 60..70), 30..31),
            fill,
            "1 h",
            "2024-01-01 00:00:00",
            "2024-01-05 23:00:00",
            11,
        ),
        (
            "a clock that is set forward",
            rows(60, &zones),
            none,
            "1 h",
            "2024-03-30 00:00:00+00:00",
            "2024-04-01 11:00:00+00:00",
            0,
        ),
    ];
    for (name, text, args, step, first, last, missing) in cases {
        fs::write(zoo.path("s.csv"), text).unwrap();
        let ran = train(&zoo, "s.csv", args);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let inventory = &data_of(&zoo.path("run"))["inventory"];
        assert_eq!(inventory["step"], step, "{name}");
        assert_eq!(
            (&inventory["first"], &inventory["last"]),
            (&json!(first), &json!(last)),
            "{name}"
        );
        assert_eq!(inventory["gaps"]["rows"], missing, "{name}");
        assert_eq!(
            ran.stderr.contains("values were filled in"),
            missing > 0,
            "{name}"
        );
    }
}

#[test]
fn stdin_and_pipes_are_read_and_asked_for_again() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    fs::write(zoo.path("plain.csv"), plain()).unwrap();
    train(&zoo, "plain.csv", &[]).expect(0);
    let plain_fingerprint = data_of(&zoo.path("run"))["fingerprint"].clone();
    let mut args = vec!["train", "series-forecaster.dlinear", "--epochs", "1"];
    args.extend(["--set", "model.look_back=8", "--set", "model.horizon=2"]);
    for (out, data) in [("one", "-"), ("two", "/dev/stdin")] {
        let args = [&args[..], &["--data", data, "--out", out]].concat();
        zoo.zoo_with_stdin(&args, &plain()).expect(0);
        assert_eq!(data_of(&zoo.path(out))["fingerprint"], plain_fingerprint);
    }
    zoo.zoo(&["eval", "one"]).refused(&["`--data`", "stdin"]);
    let asked = zoo.zoo_with_stdin(&["eval", "one", "--data", "-"], &plain());
    asked.expect(0);
    let forecast = zoo
        .zoo_with_stdin(&["forecast", "one", "-"], &plain())
        .expect(0);
    assert_eq!(
        forecast.stdout,
        zoo.zoo(&["forecast", "one", "plain.csv"]).expect(0).stdout
    );
    assert!(
        forecast.stdout.contains("2024-01-06 00:00:00,"),
        "{}",
        forecast.stdout
    );
}

#[test]
fn a_forecaster_reads_other_files_than_the_one_it_learned_from() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let long = lines("store,date,a,b", 2 * ROWS, |row| {
        let (store, row) = (row / ROWS, row % ROWS);
        format!(
            "{store},{},{},{}",
            iso(row),
            if store == 0 { a(row) } else { a(row + 7) },
            b(row)
        )
    });
    fs::write(zoo.path("long.csv"), &long).unwrap();
    fs::write(zoo.path("plain.csv"), plain()).unwrap();
    train(&zoo, "long.csv", &["--key", "0"]).expect(0);
    // Without a word it is the series of the training.
    let own = zoo.zoo(&["forecast", "run", "long.csv"]).expect(0).stdout;
    assert_eq!(
        zoo.zoo(&["forecast", "run", "long.csv", "--key", "0"])
            .expect(0)
            .stdout,
        own
    );
    assert_ne!(
        zoo.zoo(&["forecast", "run", "long.csv", "--key", "store=1"])
            .expect(0)
            .stdout,
        own
    );
    assert_eq!(
        zoo.zoo(&["forecast", "run", "plain.csv"]).expect(0).stdout,
        own
    );
    zoo.zoo(&["forecast", "run", "plain.csv", "--key", "1"])
        .refused(&["holds one series"]);
    zoo.zoo(&["forecast", "run", "long.csv", "--key", "2"])
        .refused(&["no series `2`", "`0`, `1`"]);
    let measured = |args: &[&str]| -> Value {
        let all = [&["eval", "run", "--format", "json"], args].concat();
        serde_json::from_str(&zoo.zoo(&all).expect(0).stdout).unwrap()
    };
    assert_eq!(
        measured(&[])["mse"],
        measured(&["--data", "plain.csv"])["mse"]
    );
    assert_ne!(measured(&[])["mse"], measured(&["--key", "1"])["mse"]);
    // The file of the day may be written in another way.
    fs::write(
        zoo.path("d.csv"),
        dated("date,a,b", |row| {
            hour(row, |day, hour| format!("01/{day:02}/2024 {hour:02}:00"))
        }),
    )
    .unwrap();
    assert_eq!(zoo.zoo(&["forecast", "run", "d.csv"]).expect(0).stdout, own);
    let asked = zoo.zoo(&["forecast", "run", "d.csv", "--set", "series.dates=dmy"]);
    asked.refused(&["line 26", "2808 rows", "leave out `series.dates=dmy`"]);
    zoo.zoo(&["eval", "run", "--set", "series.loss=squared"])
        .refused(&["series.dates"]);
}

#[test]
fn a_forecaster_keeps_the_column_of_its_key() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let sold = |store: usize, row: usize| a(row + 7 * store);
    // In the file of training the dates of both stores are the same, in the other one they follow each other.
    let long = lines("store,date,sales", 2 * ROWS, |row| {
        let (store, row) = (row / ROWS, row % ROWS);
        format!("{store},{},{}", iso(row), sold(store, row))
    });
    let apart = lines("store,date,sales", 2 * ROWS, |row| {
        format!(
            "{},{},{}",
            row / ROWS,
            iso(row),
            sold(row / ROWS, row % ROWS)
        )
    });
    fs::write(zoo.path("long.csv"), long).unwrap();
    fs::write(zoo.path("apart.csv"), apart).unwrap();
    train(&zoo, "long.csv", &["--key", "1"]).expect(0);
    let config = fs::read_to_string(zoo.path("run/config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["series"]["key"], json!(["store"]));
    let values = |file: &str, args: &[&str]| -> Vec<String> {
        let ran = zoo.zoo(&[&["forecast", "run", file], args].concat());
        let lines = ran.expect(0).stdout;
        let cells = lines
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','));
        cells.map(|(_, value)| value.to_string()).collect()
    };
    for (args, key) in [(&[][..], "1"), (&["--key", "0"], "store=0")] {
        assert_eq!(
            values("apart.csv", args),
            values("long.csv", &["--key", key])
        );
    }
    zoo.zoo(&["forecast", "run", "apart.csv", "--key", "2"])
        .refused(&["no series `2`", "`0`, `1`"]);
    let of_day = zoo.zoo(&["eval", "run", "--data", "apart.csv"]).expect(0);
    assert!(
        of_day.stderr.contains("series `1` of 2 by `store`"),
        "{}",
        of_day.stderr
    );
    // A model of before does not tell, and is used as before.
    let expected = values("long.csv", &[]);
    config["series"].as_object_mut().unwrap().remove("key");
    fs::write(zoo.path("run/config.json"), config.to_string()).unwrap();
    assert_eq!(values("long.csv", &[]), expected);
}

#[test]
fn what_is_said_of_columns_can_be_followed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let text = lines("date,a,t,b,u", ROWS, |row| {
        let (a, b) = if row % 9 == 4 {
            ("-200".into(), "9999".into())
        } else {
            (a(row), b(row))
        };
        format!("{},{a},{row},{b},{}", iso(row), row + 5)
    });
    fs::write(zoo.path("s.csv"), text).unwrap();
    let ran = train(&zoo, "s.csv", &[]).expect(0);
    let tokens = r#"series.missing_tokens=["-200", "9999"]"#;
    let exclude = r#"series.exclude=["t", "u"]"#;
    for part in [
        &format!(
            "column `a` holds -200 13 times, column `b` holds 9999 13 times: if it stands for a missing value, say so with `--set '{tokens}'`"
        ),
        &format!(
            "columns `t` and `u` are read as values and may only number the rows: leave out what does with `--set '{exclude}'`"
        ),
    ] {
        assert!(ran.stderr.contains(part.as_str()), "{part}: {}", ran.stderr);
    }
    let ran = train(&zoo, "s.csv", &["--set", tokens, "--set", exclude]);
    ran.refused(&[
        "26 missing, the first in line 6, column `a`",
        "series.missing=linear",
    ]);
    let fill = "series.missing=linear";
    let ran = train(
        &zoo,
        "s.csv",
        &["--set", tokens, "--set", exclude, "--set", fill],
    )
    .expect(0);
    for part in ["may only number", "stands for a missing"] {
        assert!(!ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let inventory = &data_of(&zoo.path("run"))["inventory"];
    assert_eq!(inventory["columns"].as_array().unwrap().len(), 2);
    assert_eq!(inventory["columns"][0]["missing"], 13);
}

#[test]
fn a_wrong_kind_of_model_names_the_right_command() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    fs::write(zoo.path("plain.csv"), plain()).unwrap();
    train(&zoo, "plain.csv", &[]).expect(0);
    for command in ["infer", "generate"] {
        let ran = zoo.zoo(&[command, "run", "x.jpg"]);
        ran.refused(&["`run`", "`zoo forecast run series.csv`"]);
    }
    for (model, right) in [
        ("cifar-classifier", "`zoo infer cifar-classifier photo.jpg`"),
        (
            "image-generator",
            "`zoo generate image-generator photo.jpg`",
        ),
    ] {
        zoo.zoo(&["forecast", model, "plain.csv"]).refused(&[right]);
    }
}
