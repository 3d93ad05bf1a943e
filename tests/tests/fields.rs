//! Networks over the plane from outside: trained, stopped, resumed, measured and compared like all others.

use std::fs;
use std::path::Path;

use end_to_end::zoo::Workspace;
use serde_json::Value;

/// Settings by which a training takes moments.
const FEW: &[&str] = &[
    "--set",
    "points=60",
    "--set",
    "adam_iterations=6",
    "--set",
    "lbfgs_iterations=6",
    "--set",
    "levenberg_marquardt_iterations=8",
    "--set",
    "final_iterations=9",
];

const OUTPUTS: &[&str] = &[
    "config.json",
    "model.safetensors",
    "metrics.csv",
    "curves.svg",
    "picture.svg",
    "training.json",
    "README.md",
];

fn train<'a>(model: &'a str, out: &'a str, starts: &'a str) -> Vec<&'a str> {
    let mut args = vec!["train", model, "--out", out, "--seed", "3", "--set", starts];
    args.extend(FEW);
    args.extend(["--format", "json"]);
    args
}

fn read(zoo: &Workspace, path: &str) -> Vec<u8> {
    fs::read(zoo.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn assert_same_bytes(zoo: &Workspace, one: &str, other: &str) {
    for name in OUTPUTS {
        let of = |dir: &str| read(zoo, &format!("{dir}/{name}"));
        assert!(
            of(one) == of(other),
            "{name} differs between {one} and {other}"
        );
    }
    assert!(!zoo.path(other).join("checkpoints").exists());
}

#[test]
fn a_surface_is_summarised_like_any_other_data() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let few = [&["--seed", "3", "--set", "starts=2"], FEW].concat();
    let mut dirs = Vec::new();
    for (model, data) in [
        ("surface-fitter", "peak"),
        ("surface-fitter.mlp", "ripple"),
        ("surface-fitter.mlp", "ripple"),
        ("poisson-solver", "sine-square"),
    ] {
        let args = ["train", model, "--data", data, "--format", "json"];
        let ran = zoo.zoo(&[&args[..], &few].concat()).expect(0);
        let trained = json(&ran.stdout);
        let measures: &[&str] = match model {
            "poisson-solver" => &["boundary_mse", "residual_mse", "squared_l2"],
            _ => &["test_rmse", "train_rmse"],
        };
        let shared = [
            "data",
            "device",
            "dir",
            "examples",
            "model",
            "parameters",
            "points_per_second",
            "seconds",
        ];
        let mut expected = [&shared, measures].concat();
        expected.sort_unstable();
        let keys: Vec<&String> = trained.as_object().unwrap().keys().collect();
        assert_eq!(keys, expected);
        assert_eq!(
            (&trained["model"], &trained["data"]),
            (&model.into(), &data.into())
        );
        assert_eq!(trained["device"], "cpu");
        let boundary = if model == "poisson-solver" { 240 } else { 0 };
        assert_eq!(trained["examples"], 60 + boundary);
        let dir = trained["dir"].as_str().unwrap().to_string();
        for part in [
            "Levenberg-Marquardt: all iterations made",
            "into `runs/",
            "in f64 on",
        ] {
            assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
        }
        // What was measured at the end is measured again, on the problem that it was trained on.
        let again = zoo.zoo(&["eval", &dir, "--format", "json"]).expect(0);
        let again = json(&again.stdout);
        for key in measures.iter().chain(&["data", "parameters"]) {
            assert_eq!(again[*key], trained[*key], "{key}");
        }
        let record = json(&String::from_utf8(read(&zoo, &format!("{dir}/training.json"))).unwrap());
        assert_eq!(record["recipe"]["field"]["points"], 60);
        assert_eq!(record["data"]["name"], data);
        dirs.push(dir);
    }
    // One rule for the names of directories.
    let rule = [
        "surface-fitter-1",
        "surface-fitter-mlp-1",
        "surface-fitter-mlp-2",
        "poisson-solver-1",
    ];
    assert_eq!(dirs, rule.map(|name| format!("runs/{name}")));

    // The columns of the table in the order of all tables.
    let table = zoo
        .zoo(&[&["train", "surface-fitter"], &few[..]].concat())
        .expect(0)
        .stdout;
    let places = [
        "model",
        "data",
        "test_rmse",
        "train_rmse",
        "examples",
        "seconds",
        "points/s",
        "dir",
    ];
    let places: Vec<usize> = places
        .iter()
        .map(|name| table.find(name).unwrap())
        .collect();
    assert!(places.is_sorted(), "{table}");
}

#[test]
fn a_killed_training_resumes_without_the_name_of_its_model_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for model in ["surface-fitter", "surface-fitter.kan", "poisson-solver"] {
        let (whole, broken) = (format!("{model}-whole"), format!("{model}-broken"));
        zoo.zoo(&train(model, &whole, "starts=60")).expect(0);
        zoo.kill_once_saved(&train(model, &broken, "starts=60"), &broken, 1);
        let ran = zoo
            .zoo(&["train", "--resume", &broken, "--format", "json"])
            .expect(0);
        assert!(json(&ran.stdout)["points_per_second"].as_f64().unwrap() > 0.0);
        assert_same_bytes(&zoo, &whole, &broken);
        // A finished run has nothing to go on with, and says again what came of it.
        let again = zoo.zoo(&["train", model, "--resume", &broken, "--format", "json"]);
        let again = json(&again.expect(0).stdout);
        let first = json(&ran.stdout);
        assert_eq!(again["seconds"], 0.0);
        for key in ["parameters", "data", "model", "examples"] {
            assert_eq!(again[key], first[key], "{key}");
        }
        assert_same_bytes(&zoo, &whole, &broken);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_within_a_start_saves_and_says_how_to_go_on() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let begun = |dir: &str| zoo.path(dir).join("checkpoints").exists();
    zoo.zoo(&train("poisson-solver", "whole", "starts=60"))
        .expect(0);
    let args = train("poisson-solver", "broken", "starts=60");
    let ran = zoo.interrupt_once(&args, || begun("broken")).expect(130);
    assert!(ran.stderr.contains("stopped in start"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("zoo train --resume broken"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.is_empty() && !zoo.path("broken/model.safetensors").exists());
    zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    assert_same_bytes(&zoo, "whole", "broken");

    // A state that does not fit, or is none, is refused and left as it is, by a version that kept no hashes, too.
    let args = train("poisson-solver", "cut", "starts=60");
    zoo.interrupt_once(&args, || begun("cut")).expect(130);
    let place = fs::read_dir(zoo.path("cut/checkpoints")).unwrap().next();
    let place = place.unwrap().unwrap().path();
    fs::remove_file(place.join("SHA256SUMS")).unwrap();
    let state = place.join("state.toml");
    let sound = fs::read_to_string(&state).unwrap();
    let (before, after) = sound.split_once("parameters = [").unwrap();
    fs::write(&state, format!("{before}parameters = [0.5, {after}")).unwrap();
    let resume = ["train", "--resume", "cut"];
    zoo.zoo(&resume)
        .refused(&["`cut`", "of another network", "start the run anew"]);
    fs::write(&state, "iterations = 3\n").unwrap();
    zoo.zoo(&resume)
        .refused(&["`state.toml` is damaged", "remove that directory"]);
    fs::write(&state, sound).unwrap();
    zoo.zoo(&resume).expect(0);
    assert_same_bytes(&zoo, "whole", "cut");
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_goes_on_within_the_run_that_it_was_in() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let args = |out| {
        let task = [
            "compare", "surfaces", "--data", "ripple", "--seeds", "2", "--out", out,
        ];
        let models = [
            "--models",
            "surface-fitter,surface-fitter.kan",
            "--set",
            "starts=40",
        ];
        [&task[..], &models, FEW].concat()
    };
    let results = |out: &str| -> Vec<String> {
        let text = String::from_utf8(read(&zoo, &format!("{out}/results.csv"))).unwrap();
        let row = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            // The time of a step.
            cells.remove(4);
            cells.join(",")
        };
        text.lines().map(row).collect()
    };
    let table = zoo.zoo(&args("whole")).expect(0).stdout;
    for part in [
        "## ripple",
        "| surface-fitter.kan |",
        "test rmse",
        "starts in turn of the shapes",
    ] {
        assert!(table.contains(part), "`{part}`: {table}");
    }
    let whole = results("whole");
    assert_eq!(
        whole[0],
        "problem,model,seed,parameters,test_rmse,train_rmse"
    );
    assert_eq!(whole.len(), 1 + 4);
    let curves = String::from_utf8(read(&zoo, "whole/curves.svg")).unwrap();
    assert!(
        curves.contains("ripple: test rmse") && curves.contains("kan"),
        "{curves}"
    );

    let run = "broken/runs/ripple/surface-fitter.kan-seed-0";
    let ran = zoo.interrupt_once(&args("broken"), || {
        zoo.path(run).join("checkpoints").exists()
    });
    assert!(ran.expect(130).stderr.contains("the same command goes on"));
    assert!(zoo.path(run).join("checkpoints").exists());
    zoo.zoo(&args("broken")).expect(0);
    assert_eq!(results("broken"), whole);
    let weights = |out: &str| {
        let run = Path::new(out).join("runs/ripple/surface-fitter.kan-seed-0/model.safetensors");
        read(&zoo, run.to_str().unwrap())
    };
    assert!(weights("broken") == weights("whole"));
    zoo.zoo(&["compare", "surfaces", "--data", "ripples", "--out", "lost"])
        .refused(&["`ripples`", "did you mean `ripple`"]);
    assert!(!zoo.path("lost").exists());
}

#[test]
fn wrong_requests_are_refused_in_one_sentence_and_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let refused = |more: &[&str], parts: &[&str]| {
        let args = ["train", "surface-fitter", "--out", "never"];
        zoo.zoo(&[&args[..], more].concat()).refused(parts);
        assert!(!zoo.path("never").exists(), "{more:?}");
    };
    refused(
        &["--set", "label_smoothing=0.3"],
        &["no key `label_smoothing`", "did you mean"],
    );
    refused(&["--set", "epochs=3"], &["no key `epochs`"]);
    refused(&["--set", "point=3"], &["did you mean `points`"]);
    refused(
        &["--data", "peek"],
        &["no surface `peek`", "did you mean `peak`"],
    );
    refused(&["--epochs", "0"], &["--epochs 0"]);
    zoo.zoo(&["eval", "surface-fitter", "--data", "sine-sine"])
        .refused(&["no surface `sine-sine`"]);
}

/// What a run left behind before fields were recorded like all other data.
#[test]
fn a_run_that_was_recorded_in_the_former_way_says_how_to_go_on() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.zoo(&train("surface-fitter", "old", "starts=1"))
        .expect(0);
    let record = r#"{
        "model": "surface-fitter", "version": "0.1.0", "problem": "peak", "seed": 7,
        "recipe": {"points": 60}, "measures": {"test_rmse": 0.5}, "stops": [["Adam", "converged"]]
    }"#;
    fs::write(zoo.path("old/training.json"), record).unwrap();
    let again = "zoo train surface-fitter --data peak --seed 7";
    for args in [
        &["train", "--resume", "old"][..],
        &["eval", "old"],
        &["upload", "old", "me/old", "--dry-run"],
    ] {
        zoo.zoo(args)
            .refused(&["training.json", "earlier version", again]);
    }
    fs::remove_file(zoo.path("old/training.json")).unwrap();
    zoo.zoo(&["eval", "old", "--data", "peak"]).expect(0);
}
