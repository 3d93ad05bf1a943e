//! Series as CSV, and what `zoo train` makes of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::zoo::{Ran, Workspace};

/// The rows of [`plain`].
pub const ROWS: usize = 120;

/// Arguments that shrink a forecaster so that it is trained in a moment.
const SMALL: [&str; 8] = [
    "--epochs",
    "1",
    "--set",
    "model.look_back=8",
    "--set",
    "model.horizon=2",
    "--set",
    "series.epoch_windows=32",
];

/// A value of the first column, with two decimals.
pub fn a(row: usize) -> String {
    format!("{}.{:02}", row * 37 % 90, row * 53 % 100)
}

/// A value of the second column.
pub fn b(row: usize) -> String {
    format!("-{}.5", row * 29 % 70)
}

/// The hour of a row: from the first of January 2024 on, in a format of day and hour.
pub fn hour(row: usize, format: fn(usize, usize) -> String) -> String {
    format(1 + row / 24, row % 24)
}

/// Lines under a header, with a line for each row.
pub fn lines(header: &str, rows: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = format!("{header}\n");
    for row in 0..rows {
        text += &line(row);
        text.push('\n');
    }
    text
}

/// Two columns under dates in a format of their own.
pub fn dated(header: &str, date: impl Fn(usize) -> String) -> String {
    lines(header, ROWS, |row| {
        format!("{},{},{}", date(row), a(row), b(row))
    })
}

/// The date of a row as most programs write it.
pub fn iso(row: usize) -> String {
    hour(row, |day, hour| format!("2024-01-{day:02} {hour:02}:00:00"))
}

/// Two columns of numbers, each hour from the first of January 2024 on.
pub fn plain() -> String {
    dated("date,a,b", iso)
}

/// Trains a small forecaster on `file` into `run`.
pub fn train(zoo: &Workspace, file: &str, args: &[&str]) -> Ran {
    let mut all = vec!["train", "series-forecaster.dlinear", "--data", file];
    all.extend(["--out", "run", "--overwrite"]);
    all.extend(SMALL);
    all.extend(args);
    zoo.zoo(&all)
}

/// What the run in `run` learned from.
///
/// # Panics
/// When there is no run.
pub fn data_of(run: &Path) -> Value {
    let text = fs::read_to_string(run.join("training.json")).expect("there is a run");
    let record: Value = serde_json::from_str(&text).expect("it is JSON");
    record["data"].clone()
}
