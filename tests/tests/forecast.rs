//! `zoo train`, `eval`, `forecast` and `compare` of series from outside.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::zoo::Workspace;
use serde_json::Value;

/// Arguments that shrink a forecaster so that a run takes moments.
const SMALL: &[&str] = &[
    "--set",
    "model.look_back=48",
    "--set",
    "model.horizon=12",
    "--set",
    "model.network.recurrent.segment=12",
    "--set",
    "model.network.recurrent.hidden=16",
    "--set",
    "model.network.recurrent.dropout=0",
    "--set",
    "batch_size=16",
];

/// Hourly rows of a daily cycle beside a slower one, from a fixed generator.
fn write_series(zoo: &Workspace, name: &str, rows: usize) {
    let mut text = String::from("date,power,heat\n");
    let mut state = 1u32;
    for row in 0..rows {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 20) / 4096.0 - 0.5;
        let day = std::f64::consts::TAU * row as f64 / 24.0;
        let (power, heat) = (
            10.0 + 3.0 * day.sin() + 0.5 * noise,
            200.0 + 50.0 * (day / 3.0).cos(),
        );
        let date = format!(
            "2021-{:02}-{:02} {:02}:00",
            1 + row / 672,
            1 + row / 24 % 28,
            row % 24
        );
        // 28 days are February's only: the rows stay within it.
        let date = if rows <= 672 {
            date.replacen("-01-", "-02-", 1)
        } else {
            date
        };
        writeln!(text, "{date},{power},{heat}").unwrap();
    }
    fs::write(zoo.path(name), text).unwrap();
}

fn trained(root: &Path) -> (Workspace, Value) {
    let zoo = Workspace::new(root);
    write_series(&zoo, "cycle.csv", 672);
    let mut args = vec![
        "train",
        "series-forecaster",
        "--data",
        "cycle.csv",
        "--out",
        "run",
        "--seed",
        "1",
    ];
    args.extend(SMALL);
    args.extend([
        "--set",
        "optimizer.learning_rate=0.01",
        "--epochs",
        "10",
        "--format",
        "json",
        "--quiet",
    ]);
    let ran = zoo.zoo(&args).expect(0);
    (zoo, serde_json::from_str(&ran.stdout).unwrap())
}

#[test]
fn a_trained_forecaster_beats_repeating_and_evaluates_to_what_training_printed() {
    let root = tempfile::tempdir().unwrap();
    let (zoo, summary) = trained(root.path());
    let mse = summary["mse"].as_f64().unwrap();
    // A daily sine of variance 1 that is repeated from its last value errs by about 2 on average.
    assert!(mse < 0.3, "{summary}");
    let ran = zoo.zoo(&["eval", "run", "--format", "json"]).expect(0);
    let again: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(again["mse"], summary["mse"]);
    assert_eq!(again["mae"], summary["mae"]);
    // The last fifth of 672 rows, every window of 12 in it.
    assert_eq!(again["examples"], 134 - 12 + 1);
    let config: Value =
        serde_json::from_slice(&fs::read(zoo.path("run/config.json")).unwrap()).unwrap();
    assert_eq!(config["architecture"], "forecaster");
    assert_eq!(
        config["series"]["columns"],
        serde_json::json!(["power", "heat"])
    );
    assert_eq!(config["series"]["step"]["seconds"], 3600);
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_series(&zoo, "cycle.csv", 672);
    // Within an epoch of some 25 steps, and between the first and the second.
    for (name, steps, every) in [
        ("within", 9, "checkpoint.every_steps=3"),
        ("between", 1, "checkpoint.every_steps=0"),
    ] {
        let broken = format!("{name}-broken");
        let arguments = |out| {
            let mut args = vec!["train", "series-forecaster", "--data", "cycle.csv"];
            args.extend(["--out", out, "--seed", "1", "--epochs", "6", "--set", every]);
            args.extend(SMALL);
            args.extend(["--set", "model.network.recurrent.dropout=0.3"]);
            args.extend(["--set", "ema.decay=0.9", "--quiet"]);
            args
        };
        zoo.zoo(&arguments(name)).expect(0);
        zoo.kill_once_saved(&arguments(&broken), &broken, steps);
        zoo.zoo(&["train", "--resume", &broken]).expect(0);
        for file in [
            "config.json",
            "model.safetensors",
            "metrics.csv",
            "README.md",
        ] {
            let of = |dir: &str| fs::read(zoo.path(dir).join(file)).unwrap();
            assert!(of(name) == of(&broken), "{name}: {file} differs");
        }
    }
}

#[test]
fn forecasts_are_written_with_dates_and_drawn_with_the_truth() {
    let root = tempfile::tempdir().unwrap();
    let (zoo, _) = trained(root.path());
    let ran = zoo.zoo(&["forecast", "run", "cycle.csv"]).expect(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((lines[0], lines.len()), ("date,power,heat", 13));
    assert!(lines[1].starts_with("2021-03-01 00:00:00,"), "{}", lines[1]);
    assert!(
        lines[12].starts_with("2021-03-01 11:00:00,"),
        "{}",
        lines[12]
    );

    let args = [
        "forecast",
        "run",
        "cycle.csv",
        "--out",
        "f.csv",
        "--plot",
        "f.svg",
        "--column",
        "power",
        "--back",
        "24",
    ];
    let ran = zoo.zoo(&args).expect(0);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr
            .contains("mean absolute error where the truth is known: power"),
        "{}",
        ran.stderr
    );
    let written = fs::read_to_string(zoo.path("f.csv")).unwrap();
    let rows: Vec<&str> = written.lines().collect();
    assert_eq!((rows[0], rows.len()), ("date,power", 13));
    assert!(rows[1].starts_with("2021-02-28 00:00:00,"), "{}", rows[1]);
    for row in &rows[1..] {
        let value: f64 = row.split(',').nth(1).unwrap().parse().unwrap();
        assert!((5.0..15.0).contains(&value), "{row}");
    }
    let drawn = fs::read_to_string(zoo.path("f.svg")).unwrap();
    for part in ["past", "forecast", "truth", "power", "Feb 28"] {
        assert!(drawn.contains(part), "{part}");
    }
    assert!(!drawn.contains("heat"));

    zoo.zoo(&["forecast", "run", "cycle.csv", "--column", "cold"])
        .refused(&["`cold`", "power, heat"]);
    zoo.zoo(&["forecast", "run", "cycle.csv", "--back", "650"])
        .refused(&["cycle.csv", "672 rows", "48", "--back"]);
    zoo.zoo(&["forecast", "run", "gone.csv"])
        .refused(&["gone.csv", "does not exist"]);
    fs::write(
        zoo.path("daily.csv"),
        "date,power,heat\n2021-01-01,1,2\n2021-01-02,1,2\n",
    )
    .unwrap();
    zoo.zoo(&["forecast", "run", "daily.csv"])
        .refused(&["steps of 1 d", "steps of 1 h"]);
    fs::write(
        zoo.path("other.csv"),
        "date,power\n2021-01-01,1\n2021-01-02,1\n",
    )
    .unwrap();
    zoo.zoo(&["forecast", "run", "other.csv"])
        .refused(&["no column `heat`"]);
    assert_eq!(fs::read_to_string(zoo.path("f.csv")).unwrap(), written);
}

#[test]
fn series_that_cannot_be_learned_from_are_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_series(&zoo, "cycle.csv", 672);
    let whole = fs::read_to_string(zoo.path("cycle.csv")).unwrap();
    let line = |n: usize| whole.lines().nth(n - 1).unwrap();
    let changed = |n: usize, to: &str| whole.replacen(line(n), to, 1);
    let power = |n: usize| line(n).split(',').nth(1).unwrap().to_string();
    let cases = [
        (
            changed(5, &line(5).replace(&power(5), "high")),
            "line 5, column `power`: `high` is no number",
        ),
        (
            changed(7, &line(7).replace(&power(7), "NaN")),
            "1 missing, the first in line 7, column `power`",
        ),
        (
            changed(11, &line(11).replace(&power(11), "1e308")),
            "column `power` holds a value that is too large",
        ),
        (changed(9, line(8)), "lines 8 and 9 have the same date"),
        (
            changed(9, &line(9).replace("2021-02", "2020-02")),
            "line 9 (2020-02-01 07:00:00) is earlier than line 8",
        ),
        (
            whole.replacen(&format!("{}\n", line(30)), "", 1),
            "line 30 is dated",
        ),
        (
            whole
                .lines()
                .take(60)
                .fold(String::new(), |text, l| text + l + "\n"),
            "too short",
        ),
        (
            whole
                .lines()
                .enumerate()
                .fold(String::new(), |text, (i, l)| {
                    let cut = l.rfind(',').unwrap();
                    text + if i == 0 { l } else { &l[..cut] } + if i == 0 { "\n" } else { ",7\n" }
                }),
            "column `heat` is constant",
        ),
    ];
    for (text, expected) in cases {
        fs::write(zoo.path("bad.csv"), text).unwrap();
        let mut args = vec![
            "train",
            "series-forecaster",
            "--data",
            "bad.csv",
            "--out",
            "run",
        ];
        args.extend(SMALL);
        zoo.zoo(&args).refused(&["bad.csv", expected]);
        assert!(!zoo.path("run").exists(), "{expected}");
    }
    // What is missing can be filled.
    fs::write(
        zoo.path("bad.csv"),
        changed(7, &line(7).replace(&power(7), "NaN")),
    )
    .unwrap();
    let mut args = vec![
        "train",
        "series-forecaster.dlinear",
        "--data",
        "bad.csv",
        "--out",
        "run",
        "--epochs",
        "1",
    ];
    args.extend([
        "--set",
        "series.missing=linear",
        "--set",
        "model.look_back=48",
        "--set",
        "model.horizon=12",
    ]);
    let ran = zoo.zoo(&args).expect(0);
    assert!(
        ran.stderr.contains("values were filled in (1 missing"),
        "{}",
        ran.stderr
    );
    zoo.zoo(&["eval", "run"]).expect(0);
}

#[test]
fn without_data_the_sample_is_used_and_said_loudly() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let args = [
        "train",
        "series-forecaster.dlinear",
        "--out",
        "run",
        "--epochs",
        "1",
        "--quiet",
    ];
    let ran = zoo.zoo(&args).expect(0);
    assert!(
        ran.stderr.contains("warning:") && ran.stderr.contains("synthetic"),
        "{}",
        ran.stderr
    );
    for file in ["metrics.jsonl", "README.md"] {
        let text = fs::read_to_string(zoo.path("run").join(file)).unwrap();
        assert!(text.contains("synthetic"), "{file}");
    }
}

#[test]
fn a_comparison_has_every_baseline_and_resumes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_series(&zoo, "cycle.csv", 672);
    let args = [
        "compare",
        "forecast",
        "--seeds",
        "2",
        "--data",
        "cycle.csv",
        "--horizons",
        "6,12",
        "--out",
        "c",
        "--set",
        "model.look_back=48",
        "--set",
        "epochs=1",
        "--set",
        "series.epoch_windows=64",
    ];
    let ran = zoo.zoo(&args).expect(0);
    let models = [
        "series-forecaster",
        "series-forecaster.plain",
        "series-forecaster.mlp",
        "series-forecaster.dlinear",
        "series-forecaster.lstm",
    ];
    for row in models.iter().chain(&["seasonal-naive", "naive"]) {
        let found = ran.stdout.matches(&format!("| {row} |")).count();
        assert_eq!(found, 2, "{row}: {}", ran.stdout);
    }
    let results = fs::read_to_string(zoo.path("c/results.csv")).unwrap();
    assert_eq!(results.lines().count(), 1 + 2 * 7 * 2);
    assert!(
        fs::read_to_string(zoo.path("c/horizons.svg"))
            .unwrap()
            .contains("GMNM")
    );
    // All but the first run are lost: they are made again, with the same errors.
    let kept: Vec<&str> = results.lines().take(2).collect();
    fs::write(zoo.path("c/results.csv"), kept.join("\n") + "\n").unwrap();
    zoo.zoo(&args).expect(0);
    let errors = |text: &str| -> Vec<String> {
        let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.map(|cells| [cells[0], cells[1], cells[2], cells[5], cells[6]].join(","))
            .collect()
    };
    let again = fs::read_to_string(zoo.path("c/results.csv")).unwrap();
    assert_eq!(errors(&again), errors(&results));
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_goes_on_within_the_run_that_it_was_in() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_series(&zoo, "cycle.csv", 672);
    let args = |out| {
        let mut args = vec!["compare", "forecast", "--data", "cycle.csv", "--out", out];
        args.extend(["--seeds", "1", "--horizons", "6", "--epochs", "40"]);
        args.extend(["--models", "series-forecaster.dlinear"]);
        for set in [
            "model.look_back=48",
            "early_stopping.patience=0",
            "checkpoint.every_steps=1",
        ] {
            args.extend(["--set", set]);
        }
        args
    };
    let errors = |out: &str| -> Vec<String> {
        let results = fs::read_to_string(zoo.path(out).join("results.csv")).unwrap();
        let row = results.lines().nth(1).unwrap();
        row.split(',').skip(5).map(str::to_string).collect()
    };
    zoo.zoo(&args("whole")).expect(0);

    let run = zoo.path("broken/runs/horizon-6/series-forecaster.dlinear-seed-0");
    let ran = zoo.interrupt_once(&args("broken"), || saved(&run).is_some());
    let stderr = ran.expect(130).stderr;
    assert!(stderr.contains("the same command goes on"), "{stderr}");

    // What was saved is what it goes on with: a damaged state is an error, not a reason to begin anew.
    let weights = saved(&run).unwrap().join("weights.safetensors");
    let sound = fs::read(&weights).unwrap();
    fs::write(&weights, "short").unwrap();
    zoo.zoo(&args("broken"))
        .refused(&["series-forecaster.dlinear", "is not what was saved"]);
    fs::write(&weights, sound).unwrap();
    zoo.zoo(&args("broken")).expect(0);
    assert_eq!(errors("broken"), errors("whole"));
    let bytes = |out: &str| {
        let run = format!("{out}/runs/horizon-6/series-forecaster.dlinear-seed-0");
        fs::read(zoo.path(&run).join("model.safetensors")).unwrap()
    };
    assert!(bytes("broken") == bytes("whole"));
}

/// The newest state of a run.
#[cfg(unix)]
fn saved(run: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).ok()?.flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("step-"))
        })
        .max()
}
