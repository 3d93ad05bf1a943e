//! `zoo train`, `zoo eval` and `zoo list` from outside.

use std::fs;
use std::path::Path;

use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

const MODEL: &str = "cifar-classifier.plain";

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    arguments_for(MODEL, out, more)
}

fn arguments_for<'a>(model: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "train", model, "--data", "digits", "--out", out, "--seed", "3",
    ];
    args.extend(TINY);
    args.extend(["--format", "json"]);
    args.extend(more);
    args
}

fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    zoo
}

fn read(zoo: &Workspace, path: &str) -> Vec<u8> {
    fs::read(zoo.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

const OUTPUTS: &[&str] = &[
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "metrics.csv",
    "metrics.jsonl",
    "curves.svg",
    "training.json",
    "README.md",
];

#[track_caller]
fn assert_same_bytes(zoo: &Workspace, one: &str, other: &str) {
    for name in OUTPUTS {
        let of = |dir: &str| read(zoo, &format!("{dir}/{name}"));
        assert!(
            of(one) == of(other),
            "{name} differs between {one} and {other}"
        );
    }
    assert!(!zoo.path(one).join("checkpoints").exists());
    assert!(!zoo.path(other).join("checkpoints").exists());
}

#[test]
fn what_can_be_uploaded_does_not_tell_where_the_data_lay() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let data = zoo.path("digits").display().to_string();
    let mut args = vec!["train", MODEL, "--data", &data, "--out", "run"];
    args.extend(TINY);
    args.extend(["--epochs", "1", "--quiet"]);
    zoo.zoo(&args).expect(0);
    for name in OUTPUTS {
        let text = String::from_utf8_lossy(&read(&zoo, &format!("run/{name}"))).into_owned();
        let place = root.path().to_str().unwrap();
        assert!(!text.contains(place), "{name}: {text}");
    }
    // On this machine it is still known.
    let again = ["eval", "run", "--format", "json"];
    let measured: Value = serde_json::from_str(&zoo.zoo(&again).expect(0).stdout).unwrap();
    assert_eq!(measured["examples"], 20);
}

#[test]
fn a_trained_model_evaluates_to_the_accuracy_that_training_printed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let ran = zoo.zoo(&arguments("run", &["--epochs", "8"])).expect(0);
    let trained: Value = serde_json::from_str(&ran.stdout).unwrap();
    let keys: Vec<&String> = trained.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "accuracy",
            "data",
            "device",
            "dir",
            "examples",
            "images_per_second",
            "loss",
            "model",
            "parameters",
            "seconds"
        ]
    );
    assert_eq!(trained["model"], MODEL);
    assert_eq!(trained["dir"], "run");
    assert_eq!(trained["device"], "cpu");
    assert!(trained["accuracy"].as_f64().unwrap() >= 0.9, "{trained}");
    for name in OUTPUTS {
        assert!(zoo.path("run").join(name).exists(), "{name}");
    }
    let ran = zoo
        .zoo(&["eval", "run", "--data", "digits", "--format", "json"])
        .expect(0);
    let evaluated: Value = serde_json::from_str(&ran.stdout).unwrap();
    for key in ["accuracy", "loss", "parameters", "model", "data"] {
        assert_eq!(evaluated[key], trained[key], "{key}");
    }
    assert_eq!(evaluated["examples"], 20);
    let metrics = String::from_utf8(read(&zoo, "run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(last["test_accuracy"], trained["accuracy"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for out in ["a", "b"] {
        zoo.zoo(&arguments(out, &["--epochs", "2"])).expect(0);
    }
    assert_same_bytes(&zoo, "a", "b");
    let mut args = arguments("c", &["--epochs", "2"]);
    let seed = args.iter().position(|a| *a == "3").unwrap();
    args[seed] = "4";
    zoo.zoo(&args).expect(0);
    let weights = |dir: &str| read(&zoo, &format!("{dir}/model.safetensors"));
    assert!(weights("a") != weights("c"));
}

/// Starts a run, kills it once it has saved `steps` steps, and goes on with it.
fn kill_and_resume(model: &str, more: &[&str], steps: u64) {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let mut settings = vec!["--epochs", "12", "--set", "ema.decay=0.9"];
    settings.extend(more);
    zoo.zoo(&arguments_for(model, "whole", &settings)).expect(0);
    let broken = arguments_for(model, "broken", &settings);
    zoo.kill_once_saved(&broken, "broken", steps);
    zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    assert_same_bytes(&zoo, "whole", "broken");
    // A finished run has nothing to go on with, and says again what came of it.
    let again = zoo
        .zoo(&["train", "--resume", "broken", "--format", "json"])
        .expect(0);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["seconds"], 0.0);
    assert_same_bytes(&zoo, "whole", "broken");
}

#[test]
fn a_run_killed_between_epochs_resumes_to_the_same_bytes() {
    kill_and_resume(MODEL, &[], 1);
}

#[test]
fn a_run_killed_within_an_epoch_resumes_to_the_same_bytes() {
    // Four or five steps an epoch: a state of step 2 lies within the first.
    kill_and_resume(MODEL, &["--set", "checkpoint.every_steps=1"], 2);
}

/// Before every family had a section of its own, a record held the keys of all.
#[test]
fn a_run_that_was_recorded_in_the_former_way_resumes_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let settings = ["--epochs", "12", "--set", "label_smoothing=0.2"];
    zoo.zoo(&arguments("whole", &settings)).expect(0);
    zoo.kill_once_saved(&arguments("broken", &settings), "broken", 1);
    let mut record: Value = serde_json::from_slice(&read(&zoo, "broken/training.json")).unwrap();
    let recipe = record["recipe"].as_object_mut().unwrap();
    let section = recipe.remove("classification").unwrap();
    recipe.extend(section.as_object().unwrap().clone());
    // There were no such keys.
    for key in ["image_size", "class_weights", "sampling", "mixup", "cutmix"] {
        recipe.remove(key).unwrap();
    }
    let series = r#"{"columns": [], "missing": "refuse", "loss": "squared", "epoch_windows": 0}"#;
    recipe.insert("series".into(), serde_json::from_str(series).unwrap());
    assert_eq!(recipe["label_smoothing"], 0.2);
    fs::write(zoo.path("broken/training.json"), record.to_string()).unwrap();
    // Nor were there hashes of a state.
    for place in fs::read_dir(zoo.path("broken/checkpoints")).unwrap() {
        fs::remove_file(place.unwrap().path().join("SHA256SUMS")).unwrap();
    }
    zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    assert_same_bytes(&zoo, "whole", "broken");
}

#[test]
fn a_stem_that_is_whitened_and_later_frozen_resumes_to_the_same_bytes() {
    let fast = "cifar-classifier.fast-plain";
    let settings = ["--set", "stem_epochs=2", "--set", "ema.norm_batches=3"];
    // Within the epochs that train the stem's bias, and after them.
    kill_and_resume(fast, &settings, 5);
    kill_and_resume(fast, &settings, 15);
}

#[test]
fn early_stopping_and_both_optimizers_resume_to_the_same_bytes() {
    let settings = [
        "--set",
        "optimizer.rule=sgd",
        "--set",
        "optimizer.learning_rate=0.05",
        "--set",
        "optimizer.clip_norm=1",
        "--set",
        "early_stopping.patience=5",
        "--set",
        "validation.fraction=0.2",
    ];
    kill_and_resume(MODEL, &settings, 1);
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_how_to_go_on() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let settings = ["--epochs", "40", "--set", "checkpoint.every_steps=1"];
    zoo.zoo(&arguments("whole", &settings)).expect(0);
    let begun = || zoo.path("broken/checkpoints").exists();
    let ran = zoo.interrupt_once(&arguments("broken", &settings), begun);
    let stderr = ran.expect(130).stderr;
    assert!(stderr.contains("zoo train --resume broken"), "{stderr}");
    zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    assert_same_bytes(&zoo, "whole", "broken");
}

#[test]
fn a_diverging_run_stops_and_keeps_its_last_good_state() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let settings = [
        "--epochs",
        "50",
        "--set",
        "optimizer.rule=sgd",
        "--set",
        "optimizer.learning_rate=1e18",
        "--set",
        "checkpoint.every_steps=1",
        "--set",
        "schedule.warmup=0.9",
    ];
    zoo.zoo(&arguments("run", &settings)).refused(&[
        "NaN",
        "step",
        "optimizer.learning_rate=",
        "optimizer.clip_norm=1",
    ]);
    assert!(!zoo.path("run/model.safetensors").exists());
}

#[test]
fn a_key_of_another_family_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let refused = |model: &str, set: &[&str], parts: &[&str]| {
        let mut args = vec!["train", model, "--data", "digits", "--out", "never"];
        args.extend(set.iter().flat_map(|set| ["--set", *set]));
        zoo.zoo(&args).refused(parts);
        assert!(!zoo.path("never").exists(), "{set:?} left a directory");
    };
    let generator = "image-generator";
    let both = ["label_smoothing=0.3", "series.missing=forward"];
    let suggests = "did you mean";
    refused(generator, &both, &["no key `label_smoothing`", suggests]);
    refused(
        generator,
        &both[1..],
        &["no key `series.missing`", suggests],
    );
    refused(MODEL, &both[1..], &["no key `series.missing`", suggests]);
    let augment = ["reconstruction.augment.flip=none"];
    let nearest = "`classification.augment.flip`";
    refused(
        MODEL,
        &augment,
        &["no key `reconstruction.augment.flip`", nearest],
    );
    refused(
        "series-forecaster",
        &["augment.flip=none"],
        &["no key `augment.flip`"],
    );
    fs::write(zoo.path("mine.toml"), "[field]\npoints = 3\n").unwrap();
    zoo.zoo(&["train", MODEL, "--data", "digits", "--recipe", "mine.toml"])
        .refused(&["`mine.toml`", "no key `field`", suggests]);
}

#[test]
fn wrong_requests_are_refused_in_one_sentence_and_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let refused = |more: &[&str], parts: &[&str]| {
        zoo.zoo(&arguments("never", more)).refused(parts);
        assert!(!zoo.path("never").exists(), "{more:?} left a directory");
    };
    refused(&["--epochs", "0"], &["epochs", "at least 1"]);
    for value in ["-0.1", "nan", "0", "inf"] {
        let set = format!("optimizer.learning_rate={value}");
        refused(&["--set", &set], &["optimizer.learning_rate", "above 0"]);
    }
    refused(
        &["--set", "optimizer.learning_rat=1"],
        &[
            "`optimizer.learning_rat`",
            "did you mean `optimizer.learning_rate`",
        ],
    );
    refused(&["--set", "epochs=many"], &["epochs", "a whole number"]);
    refused(&["--set", "epochs"], &["key=value"]);
    refused(&["--recipe", "none.toml"], &["none.toml"]);
    refused(
        &["--set", "model.classes=7"],
        &["model.classes", "2 classes"],
    );
    refused(
        &["--set", "model.widths=[4,4,4,4,4]"],
        &["8×8", "model.widths"],
    );
    zoo.zoo(&["train", "cifar-clasifier", "--data", "digits"])
        .refused(&["`cifar-clasifier`", "did you mean `cifar-classifier`"]);
    zoo.zoo(&["train", MODEL, "--data", "nowhere", "--out", "never"])
        .refused(&["`nowhere`"]);
    fs::create_dir(zoo.path("empty")).unwrap();
    zoo.zoo(&["train", MODEL, "--data", "empty", "--out", "never"])
        .refused(&["`empty`"]);
    assert!(!zoo.path("never").exists());
    zoo.zoo(&["train", "--resume", "empty"])
        .refused(&["`empty`", "no run"]);
    zoo.zoo(&["eval", "empty", "--data", "digits"])
        .refused(&["config.json"]);
    zoo.zoo(&["eval", "cifar-clasifier", "--data", "digits"])
        .refused(&["did you mean `cifar-classifier`"]);
    zoo.zoo(&["list", "nothing-*"]).refused(&["nothing-*"]);
    // The parser's own refusals are longer, but have the same exit code.
    assert_eq!(zoo.zoo(&["train", MODEL, "--epochs", "-1"]).code, 2);
    assert_eq!(zoo.zoo(&["trian"]).code, 2);
}

#[test]
fn an_output_directory_is_never_mixed_up() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    fs::create_dir(zoo.path("used")).unwrap();
    fs::write(zoo.path("used/mine.txt"), "mine").unwrap();
    zoo.zoo(&arguments("used", &["--epochs", "1"])).refused(&[
        "`used`",
        "not empty",
        "--overwrite",
        "--out",
    ]);
    assert_eq!(fs::read_dir(zoo.path("used")).unwrap().count(), 1);
    zoo.zoo(&arguments("used", &["--epochs", "1", "--overwrite"]))
        .expect(0);
    assert_eq!(read(&zoo, "used/mine.txt"), b"mine");
    assert!(zoo.path("used/model.safetensors").exists());
    zoo.zoo(&arguments("used", &["--epochs", "1"])).refused(&[
        "`used` holds a run",
        "`zoo train --resume used`",
        "--overwrite",
        "--out",
    ]);
    // A wrong request does not cost the earlier run.
    zoo.zoo(&arguments("used", &["--epochs", "0", "--overwrite"]))
        .refused(&["epochs"]);
    assert!(zoo.path("used/model.safetensors").exists());
    fs::write(zoo.path("file"), "").unwrap();
    zoo.zoo(&arguments("file", &[])).refused(&["`file`"]);
    zoo.zoo(&arguments("file/below", &[]))
        .refused(&["`file/below`"]);
    // Left out, the directory is numbered.
    let mut args = arguments("out", &["--epochs", "1"]);
    let at = args.iter().position(|a| *a == "--out").unwrap();
    args.drain(at..at + 2);
    let ran = zoo.zoo(&args).expect(0);
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["dir"], "runs/cifar-classifier-plain-1");
}

#[test]
fn the_list_names_models_and_takes_wildcards() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let all = zoo.zoo(&["list"]).expect(0).stdout;
    assert!(
        all.contains("cifar-classifier.plain") && all.contains("parameters"),
        "{all}"
    );
    let some = zoo
        .zoo(&["list", "*.plain", "--format", "json"])
        .expect(0)
        .stdout;
    let some: Value = serde_json::from_str(&some).unwrap();
    for entry in some.as_array().unwrap() {
        assert!(entry["model"].as_str().unwrap().ends_with(".plain"));
        assert!(entry["parameters"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_run_says_and_records_its_precision_and_resumes_in_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let mut runs = Vec::new();
    for precision in ["f32", "bf16", "bf16x3"] {
        let more = ["--epochs", "2", "--precision", precision];
        let ran = zoo.zoo(&arguments(precision, &more)).expect(0);
        assert!(
            ran.stderr.contains(&format!(" in {precision} on ")),
            "{}",
            ran.stderr
        );
        let record: Value =
            serde_json::from_slice(&read(&zoo, &format!("{precision}/training.json"))).unwrap();
        assert_eq!(record["recipe"]["precision"], precision);
        let trained: Value = serde_json::from_str(&ran.stdout).unwrap();
        runs.push(trained["loss"].as_f64().unwrap());
    }
    // Each computes in other numbers, and all learn the same.
    let [f32, bf16, bf16x3] = runs[..] else {
        panic!("{runs:?}")
    };
    assert!(f32 != bf16 && (f32 - bf16).abs() < 0.1, "{runs:?}");
    assert!((f32 - bf16x3).abs() < 0.01, "{runs:?}");

    let refused = zoo
        .zoo(&arguments("none", &["--precision", "fp8"]))
        .expect(2);
    assert!(refused.stderr.contains("bf16x3"), "{}", refused.stderr);
    let refused = zoo
        .zoo(&["train", "--resume", "bf16", "--precision", "f32"])
        .expect(2);
    assert!(refused.stderr.contains("--precision"), "{}", refused.stderr);
    let refused = zoo
        .zoo(&["train", "poisson-solver", "--precision", "bf16"])
        .expect(2);
    assert!(refused.stderr.contains("f64"), "{}", refused.stderr);
    assert!(!zoo.path("none").exists() && !zoo.path("runs").exists());
}

#[test]
fn a_run_in_bf16_killed_within_an_epoch_resumes_to_the_same_bytes() {
    kill_and_resume(
        MODEL,
        &["--precision", "bf16", "--set", "checkpoint.every_steps=1"],
        2,
    );
}
