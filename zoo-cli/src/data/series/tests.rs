use models::forecaster::{SeriesFormat, Step, Weekdays};

use super::*;

fn read(text: &str, options: &SeriesOptions) -> Result<Series, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    Series::open(Some(path), SAMPLE, options).map_err(|error| error.to_string())
}

/// What a network keeps that was trained on `sales`, told from other series by `key`.
fn trained_on(key: &[&str]) -> SeriesFormat {
    SeriesFormat {
        columns: vec!["sales".into()],
        mean: vec![0.0],
        std: vec![1.0],
        step: Step::Seconds(86_400),
        key: key.iter().map(ToString::to_string).collect(),
    }
}

fn refused(text: &str) -> String {
    read(text, &SeriesOptions::default()).unwrap_err()
}

#[test]
fn headers_as_they_are_found_in_the_wild() {
    let with = |columns: &[&str], missing| SeriesOptions {
        columns: columns.iter().map(ToString::to_string).collect(),
        missing,
        held_out: 0.1,
        ..SeriesOptions::default()
    };
    let ett = "date,HUFL,OT\n2016-07-01 00:00:00,5.8,30.5\n2016-07-01 01:00:00,5.6,27.7\n";
    let series = read(ett, &SeriesOptions::default()).unwrap();
    assert_eq!(
        (series.columns.join(" "), series.rows()),
        ("HUFL OT".into(), 2)
    );
    assert_eq!(series.timeline.step, Step::Seconds(3600));
    assert_eq!(series.date(2).to_string(), "2016-07-01 02:00:00");
    assert_eq!(series.source.fingerprint.len(), 64);

    let exchange = "date,0,OT\n1990/1/1 0:00,0.7855,1.6\n1990/1/2 0:00,0.7818,1.61\n";
    let series = read(exchange, &with(&["OT"], Missing::Refuse)).unwrap();
    assert_eq!(
        (series.values, series.timeline.step),
        (vec![1.6, 1.61], Step::Seconds(86_400))
    );

    let beijing = "No,year,month,day,hour,pm2.5,TEMP,cbwd\n1,2010,1,1,22,NA,-11,NW\n2,2010,1,1,23,NA,-12,NW\n\
                   3,2010,1,2,0,129,-13,SE\n";
    let series = read(beijing, &with(&["TEMP", "pm2.5"], Missing::Forward)).unwrap();
    assert_eq!(series.values, [-11.0, 129.0, -12.0, 129.0, -13.0, 129.0]);
    let notice = series.source.notice.unwrap();
    assert!(
        notice.contains("2 missing, the first in line 2, column `pm2.5`"),
        "{notice}"
    );
    let error = read(beijing, &with(&[], Missing::Forward)).unwrap_err();
    assert!(
        error.contains("line 2, column `cbwd`: `NW` is no number"),
        "{error}"
    );

    let months = "month,x\n2020-01,1\n2020-02,2\n2020-03,3\n";
    let series = read(months, &SeriesOptions::default()).unwrap();
    assert_eq!(series.timeline.step, Step::Months(1));
    assert_eq!(series.date(12).to_string(), "2021-01-01 00:00:00");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (rows, expected) in [
        (
            "2016-07-01,1\n2016-07-02,x\n",
            "line 3, column `a`: `x` is no number",
        ),
        (
            "2016-07-01,1\n2016-07-02,inf\n",
            "line 3, column `a`: `inf` is no number",
        ),
        (
            "2016-07-01,1\n2016-07-02,NaN\n2016-07-03,\n",
            "values are missing (2 missing, the first in line 3, column `a`); fill them with `--set series.missing=",
        ),
        (
            "2016-07-01,1\n2016-07-01,2\n",
            "lines 2 and 3 have the same date (2016-07-01 00:00:00)",
        ),
        (
            "2016-07-02,1\n2016-07-01,2\n2016-07-03,2\n",
            "line 3 (2016-07-01 00:00:00) is earlier than line 2",
        ),
        (
            "2016-07-01,1\n2016-07-02,2\n2016-07-04,3\n",
            "line 4 is dated 2016-07-04 00:00:00 where 2016-07-03 00:00:00 follows at steps of 1 d",
        ),
        (
            "2016-07-01,1\nyesterday,2\n",
            "line 3: `yesterday` is no date",
        ),
        ("2016-07-01,1\n", "one row only"),
        ("2016-07-01,1\n2016-07-02\n", "line 3 has 1 cells"),
    ] {
        let error = refused(&format!("date,a\n{rows}"));
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("f.csv"), "{error}");
    }
    assert!(refused("a,b\n1,2\n3,4\n").contains("no column of dates"));
    assert!(refused("date\n2016-07-01\n2016-07-02\n").contains("no column of numbers"));
    let options = SeriesOptions {
        columns: vec!["c".into()],
        ..SeriesOptions::default()
    };
    let error = read("date,a\n2016-07-01,1\n2016-07-02,2\n", &options).unwrap_err();
    assert!(
        error.contains("no column `c`; it has `date`, `a`"),
        "{error}"
    );
}

#[test]
fn the_scale_is_that_of_the_given_rows_and_refuses_constants() {
    let text = "date,a,b\n2016-07-01,1,7\n2016-07-02,3,7\n2016-07-03,100,8\n";
    let series = read(text, &SeriesOptions::default()).unwrap();
    let error = series.scale(0..2).unwrap_err().to_string();
    assert!(
        error.contains("column `b` is constant in the training part (2 rows)"),
        "{error}"
    );
    let options = SeriesOptions {
        exclude: vec!["b".into()],
        ..SeriesOptions::default()
    };
    let one = read(text, &options).unwrap();
    let scale = one.scale(0..2).unwrap();
    assert_eq!((&*scale.mean, &*scale.std), (&[2.0][..], &[1.0][..]));
    let scaled = one.scaled(&scale.mean, &scale.std).unwrap();
    assert_eq!(scaled, [-1.0, 1.0, 98.0]);
}

#[test]
fn values_that_cannot_be_scaled_are_named() {
    let text = "date,a,b\n2016-07-01,1,7\n2016-07-02,3,1e308\n2016-07-03,1e200,-1e308\n";
    let series = read(text, &SeriesOptions::default()).unwrap();
    let error = series.scale(0..3).unwrap_err().to_string();
    assert!(error.contains("column `a` holds a value"), "{error}");
    let error = series.scaled(&[2.0, 0.0], &[1.0, 1.0]).unwrap_err();
    assert!(
        error.to_string().contains("column `b` holds a value"),
        "{error}"
    );
}

#[test]
fn the_sample_is_the_same_everywhere_and_says_what_it_is() {
    let open = || Series::open(None, SAMPLE, &SeriesOptions::default()).unwrap();
    let sample = open();
    assert_eq!((sample.rows(), sample.columns.len()), (4000, 3));
    assert!(
        sample.source.is_sample
            && sample
                .source
                .notice
                .as_deref()
                .unwrap()
                .contains("synthetic")
    );
    assert_eq!(sample, open());
    assert!(sample.values.iter().all(|v| v.is_finite()));
    // A day later is more alike than half a day later.
    let apart = |hours: usize| -> f64 {
        let load = |row: usize| sample.values[row * 3 + 1];
        (0..3000)
            .map(|row| (load(row + hours) - load(row)).powi(2))
            .sum()
    };
    assert!(apart(24) < 0.5 * apart(12));
    let open = |columns: &[&str]| {
        let options = SeriesOptions {
            columns: columns.iter().map(ToString::to_string).collect(),
            ..SeriesOptions::default()
        };
        Series::open(Some(SAMPLE), SAMPLE, &options)
    };
    assert_eq!(open(&["wind", "load"]).unwrap().values[0], sample.values[2]);
    assert!(open(&["rain"]).is_err());
}

#[test]
fn filled_values_are_marked() {
    let text = "date,a,b\n2016-07-01,1,7\n2016-07-02,,9\n2016-07-04,3,8\n2016-07-05,4,8\n";
    let options = SeriesOptions {
        missing: Missing::Linear,
        ..SeriesOptions::default()
    };
    let series = read(text, &options).unwrap();
    assert_eq!(series.rows(), 5);
    let at = |row: usize| {
        (
            &series.values[2 * row..2 * row + 2],
            &series.filled[2 * row..2 * row + 2],
        )
    };
    assert_eq!(at(1), (&[1.0 + 2.0 / 3.0, 9.0][..], &[true, false][..]));
    assert_eq!(at(2), (&[1.0 + 4.0 / 3.0, 8.5][..], &[true, true][..]));
    let notice = series.source.notice.unwrap();
    for part in [
        "1 missing, the first in line 3, column `a`",
        "1 row is missing in 1 gap: line 4 is dated 2016-07-04 00:00:00 where 2016-07-03 00:00:00 follows",
    ] {
        assert!(notice.contains(part), "{notice}");
    }
    assert_eq!(series.inventory.gaps.rows, 1);
    assert_eq!(series.inventory.columns[0].missing, 2);
}

#[test]
fn what_was_turned_or_left_out_is_said_in_three_lines() {
    let text =
        "Unnamed: 0;Datum;Wert;Ort\n3;03.01.2024;1.234,5;X\n2;02.01.2024;2,5;X\n1;01.01.2024;3;X\n";
    let series = read(text, &SeriesOptions::default()).unwrap();
    assert_eq!(series.values, [3.0, 2.5, 1234.5]);
    let lines = series.inventory.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        "3 rows of 1 column (Wert), 2024-01-01 00:00:00 to 2024-01-03 00:00:00, each 1 d apart"
    );
    for part in [
        "dates read as day, month, year",
        "decimal comma",
        "the newest row came first",
        "left out: column `Unnamed: 0` (it has no name and numbers the rows)",
        "left out: column `Ort` (it is `X` in every row)",
    ] {
        assert!(lines[2].contains(part), "{}", lines[2]);
    }
    let plain = read(
        "date,a\n2024-01-01,1\n2024-01-02,2\n",
        &SeriesOptions::default(),
    )
    .unwrap();
    assert_eq!(plain.inventory.lines().len(), 2);
    let json = serde_json::to_value(&series.inventory).unwrap();
    assert_eq!(json["left_out"][0]["what"], "column `Unnamed: 0`");
    assert_eq!(
        serde_json::from_value::<SeriesInventory>(json).unwrap(),
        series.inventory
    );
}

#[test]
fn one_of_many_series_is_read_by_its_key() {
    let mut text = String::from("store,date,sales\n");
    for store in 1..=2 {
        for day in 1..=20 {
            text += &format!("{store},2024-01-{day:02},{}\n", 100 * store + day);
        }
    }
    let error = refused(&text);
    assert!(
        error.contains(
            "it holds 2 series, told apart by `store`: `1`, `2`; choose one with `--key 1`"
        ),
        "{error}"
    );
    let with = |key: &str, only_of_many| {
        let options = SeriesOptions {
            key: Key {
                text: key.into(),
                only_of_many,
                ..Key::default()
            },
            ..SeriesOptions::default()
        };
        read(&text, &options)
    };
    for key in ["2", "store=2"] {
        let series = with(key, false).unwrap();
        assert_eq!(
            (series.columns.join(" "), series.rows()),
            ("sales".into(), 20)
        );
        assert_eq!(series.values[0], 201.0);
        assert_eq!(series.inventory.keys.unwrap().read.as_deref(), Some("2"));
    }
    assert!(
        with("3", false)
            .unwrap_err()
            .contains("it has no series `3`")
    );
    let one = "date,a\n2024-01-01,1\n2024-01-02,2\n";
    let options = |only_of_many| SeriesOptions {
        key: Key {
            text: "2".into(),
            only_of_many,
            ..Key::default()
        },
        ..SeriesOptions::default()
    };
    assert!(
        read(one, &options(false))
            .unwrap_err()
            .contains("leave out `--key 2`")
    );
    assert!(read(one, &options(true)).is_ok());
}

#[test]
fn the_only_series_of_a_file_is_read_for_no_other_key() {
    let with = |header: &str, cells: &str, key: &str| {
        let rows = (1..=9).map(|day| format!("2024-01-0{day},{cells}{day}\n"));
        let text = format!("date,{header}sales\n{}", rows.collect::<String>());
        let mut options = SeriesOptions::default();
        options.key.text = key.into();
        options.of_trained(&trained_on(&[]));
        read(&text, &options)
    };
    for (header, cells, key) in [
        ("", "", "1"),
        ("store,", "1,", "1"),
        ("store,", "1,", "store=1"),
        ("shop,", "1,", "store=1"),
        ("unit,", "MW,", "1"),
        ("store,promo,", "1,0,", "1"),
    ] {
        let series = with(header, cells, key);
        assert!(series.is_ok(), "{header}{cells} {key}: {series:?}");
    }
    for (header, cells, key) in [
        ("store,", "2,", "1"),
        ("store,", "2,", "store=1"),
        ("shop,", "2,", "store=1"),
        ("store,", "b,", "a"),
        ("store,", "2,", "store=1,item=a"),
        ("id,promo,", "2,1,", "1"),
    ] {
        let error = with(header, cells, key).unwrap_err();
        let expected = format!("it has no series `{key}`; it holds");
        assert!(error.contains(&expected), "{header}{cells} {key}: {error}");
        let value = cells.split(',').next().unwrap();
        assert!(error.contains(&format!("--key {value}")), "{error}");
        assert!(with(header, cells, value).is_ok(), "{header}{cells}");
    }
}

#[test]
fn a_key_is_looked_up_in_the_column_that_it_was_chosen_by() {
    let with = |text: &str, key: &str, column: &[&str]| {
        let mut options = SeriesOptions::default();
        options.key.text = key.into();
        options.of_trained(&trained_on(column));
        read(text, &options)
    };
    // Nothing but the name of the column tells these two apart: their dates come once.
    let days = |store: usize| {
        let days = 9 * store - 8..=9 * store;
        days.map(move |day| format!("{store},2024-01-{day:02},{day}\n"))
    };
    let rows: String = days(1).chain(days(2)).collect();
    let text = format!("store,date,sales\n{rows}");
    for (key, first) in [("1", 1.0), ("store=2", 10.0)] {
        let series = with(&text, key, &["store"]).unwrap();
        assert_eq!((series.rows(), series.values[0]), (9, first), "{key}");
    }
    let series = with(&text, "2", &["store"]).unwrap();
    assert_eq!(series.inventory.keys.unwrap().columns, ["store"]);
    // Of two columns that are constant, only one is the key.
    let rows = (1..=9).map(|day| format!("2,1,2024-01-0{day},{day}\n"));
    let text = format!("store,promo,date,sales\n{}", rows.collect::<String>());
    let error = with(&text, "1", &["store"]).unwrap_err();
    let advice = "it holds one, `2` by `store`; choose it with `--key 2`";
    assert!(error.contains(advice), "{error}");
    assert_eq!(with(&text, "2", &["store"]).unwrap().rows(), 9);
    // Where the column is not there, values that are the same in every row are compared.
    assert_eq!(with(&text, "1", &["shop"]).unwrap().rows(), 9);
    assert!(with(&text, "3", &["shop"]).is_err());
}

#[test]
fn times_may_have_points() {
    let text = "Date;Time;CO(GT);PT;;\n13/03/2004;18.00.00;2,6;-200;;\n13/03/2004;19.00.00;2;1;;\n\
                13/03/2004;20.00.00;2,2;3;;\n;;;;;\n";
    let series = read(text, &SeriesOptions::default()).unwrap();
    assert_eq!(series.timeline.step, Step::Seconds(3600));
    assert_eq!(series.values, [2.6, -200.0, 2.0, 1.0, 2.2, 3.0]);
}

#[test]
fn signs_of_the_only_numbers_are_removed_not_the_column() {
    for (cells, sign) in [(["$1,000.00", "-$7.00"], "$"), (["5%", "6 %"], "%")] {
        let [a, b] = cells;
        let error = refused(&format!("date;A\n2024-01-01;{a}\n2024-01-02;{b}\n"));
        let expected = format!("remove the `{sign}` from its numbers");
        assert!(
            error.contains(&expected) && !error.contains("exclude"),
            "{error}"
        );
    }
    let error = refused("date,A\n2024-01-01,x\n2024-01-02,y\n");
    assert!(error.contains("give a column of numbers"), "{error}");
    assert!(!error.contains("exclude"), "{error}");
    let error = refused("date,A,B\n2024-01-01,5%,1\n2024-01-02,6%,2\n");
    assert!(
        error.contains("remove the `%` from its numbers, or leave out"),
        "{error}"
    );
}

#[test]
fn days_off_are_no_gaps() {
    let days = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15];
    let rows = days.map(|day| format!("2024-01-{day:02},{day}\n")).concat();
    let series = read(&format!("date,a\n{rows}"), &SeriesOptions::default()).unwrap();
    assert_eq!(series.timeline.step, Step::Weekdays(Weekdays::BUSINESS));
    assert_eq!(series.date(11).to_string(), "2024-01-16 00:00:00");
}
