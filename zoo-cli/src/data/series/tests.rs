use super::*;

fn read(text: &str, options: &SeriesOptions) -> Result<Series, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.csv");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    Series::open(Some(path), SAMPLE, options).map_err(|error| error.to_string())
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
    };
    let ett = "date,HUFL,OT\n2016-07-01 00:00:00,5.8,30.5\n2016-07-01 01:00:00,5.6,27.7\n";
    let series = read(ett, &SeriesOptions::default()).unwrap();
    assert_eq!(
        (series.columns.join(" "), series.rows()),
        ("HUFL OT".into(), 2)
    );
    assert_eq!(series.step, Step::Seconds(3600));
    assert_eq!(date::format(series.date(2)), "2016-07-01 02:00:00");
    assert_eq!(series.source.fingerprint.len(), 64);

    let exchange = "date,0,OT\n1990/1/1 0:00,0.7855,1.6\n1990/1/2 0:00,0.7818,1.61\n";
    let series = read(exchange, &with(&["OT"], Missing::Refuse)).unwrap();
    assert_eq!(
        (series.values, series.step),
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
    assert_eq!(series.step, Step::Months(1));
    assert_eq!(date::format(series.date(12)), "2021-01-01 00:00:00");
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
            "2016-07-02,1\n2016-07-01,2\n",
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
    let one = series.select(&["a".into()]).unwrap();
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
