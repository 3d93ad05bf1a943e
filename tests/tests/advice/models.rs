//! The search for a model, and the data of its training.

use std::fs;
use std::path::Path;

use end_to_end::picture::{CAT, COW, OWL, class, png, put};
use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

use crate::follow::{parts, rename};

/// A workspace with data `d` and a small classifier in `run` that learned from it.
fn trained(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    parts(&root.join("d"));
    let mut args = vec![
        "train",
        "cifar-classifier.plain",
        "--data",
        "d",
        "--out",
        "run",
    ];
    args.extend(["--epochs", "1", "--quiet"]);
    args.extend(TINY);
    zoo.zoo(&args).expect(0);
    zoo
}

#[test]
fn advice_about_models_works() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    put(&root.path().join("x.png"), png(CAT, 1));
    let infer = |model: &str| zoo.zoo(&["infer", model, "x.png"]);
    fs::create_dir(zoo.path("runs")).unwrap();
    fs::rename(zoo.path("run"), zoo.path("runs/pets")).unwrap();
    infer("runs/no-such").refused(&["`runs/no-such` does not exist", "such as `runs/pets`"]);
    infer("runs/pets/config.json").refused(&["is a file; give the model's directory"]);
    infer("runs").refused(&["`runs` holds no model itself", "`runs/pets`"]);
    infer("runs/pets").expect(0);
    infer("cifar-clasifier").refused(&["did you mean `cifar-classifier`?"]);
    infer("cifar-classifier").expect(0);
    infer("cifar-classifier.plain").refused(&["train it with `zoo train cifar-classifier.plain`"]);
    infer("nobody/nothing").refused(&["nobody/nothing"]);
    zoo.zoo(&["eval", "runs/pets", "--data", "cifar11"])
        .refused(&["did you mean `cifar10`?"]);
    zoo.zoo(&["eval", "runs/pets", "--data", "gone"])
        .refused(&["`gone` does not exist"]);
    for (command, right) in [
        ("forecast", "`zoo infer runs/pets photo.jpg`"),
        ("generate", "`zoo infer runs/pets"),
    ] {
        zoo.zoo(&[command, "runs/pets", "x.png"]).refused(&[right]);
    }
    let existing = zoo.zoo(&[
        "train",
        "cifar-classifier.plain",
        "--data",
        "d",
        "--out",
        "runs/pets",
    ]);
    existing.refused(&["runs/pets", "--overwrite"]);
}

#[test]
fn advice_about_moved_data_works() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    let measured = |args: &[&str]| {
        let ran = zoo.zoo(&[&["eval", "run", "--format", "json"], args].concat());
        let value: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
        value["accuracy"].clone()
    };
    let own = measured(&[]);
    // Other data under the old path: nothing is measured by accident.
    rename(root.path(), "d", "moved");
    zoo.zoo(&["eval", "run"])
        .refused(&["/d`, where nothing is now; give them with `--data`"]);
    assert_eq!(measured(&["--data", "moved"]), own);
    class(&root.path().join("d/cat"), COW, 6);
    class(&root.path().join("d/dog"), OWL, 6);
    zoo.zoo(&["eval", "run"]).refused(&[
        "/d` has another content",
        "give the data with `--data`",
        "use what lies there now with `--data ",
    ]);
    assert_eq!(measured(&["--data", "moved"]), own);
    let there = zoo.path("d").display().to_string();
    zoo.zoo(&["eval", "run", "--data", &there]).expect(0);
    // A run that is moved knows where its data lie.
    fs::remove_dir_all(zoo.path("d")).unwrap();
    rename(root.path(), "moved", "d");
    rename(root.path(), "run", "runs/moved");
    let mut elsewhere = zoo.command(&["eval", "moved", "--format", "json"]);
    elsewhere.current_dir(zoo.path("runs"));
    let value: Value = serde_json::from_str(&zoo.run(elsewhere).expect(0).stdout).unwrap();
    assert_eq!(value["accuracy"], own);
    // One that somebody else gave away does not.
    fs::remove_file(zoo.path("runs/moved/data-path.txt")).unwrap();
    zoo.zoo(&["eval", "runs/moved"])
        .refused(&["runs/moved", "`d`", "give it with `--data`"]);
    zoo.zoo(&["eval", "runs/moved", "--data", "d"]).expect(0);
}

#[test]
fn advice_about_interrupted_runs_works() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    parts(&root.path().join("d"));
    put(&root.path().join("x.png"), png(CAT, 1));
    let mut args = vec![
        "train",
        "cifar-classifier.plain",
        "--data",
        "d",
        "--out",
        "run",
    ];
    args.extend([
        "--epochs",
        "40",
        "--quiet",
        "--set",
        "checkpoint.every_steps=1",
    ]);
    args.extend(TINY);
    zoo.kill_once_saved(&args, "run", 2);
    for command in [
        &["infer", "run", "x.png"][..],
        &["eval", "run"],
        &["generate", "run", "x.png"],
        &["verify", "run"],
    ] {
        zoo.zoo(command).refused(&["`zoo train --resume run`"]);
    }
    zoo.zoo(&args).refused(&["run", "--resume"]);
    rename(root.path(), "d", "moved");
    zoo.zoo(&["train", "--resume", "run"])
        .refused(&["/d`, where nothing is now; give them with `--data`"]);
    zoo.zoo(&["train", "--resume", "run", "--data", "moved", "--quiet"])
        .expect(0);
    zoo.zoo(&["infer", "run", "x.png"]).expect(0);
}
