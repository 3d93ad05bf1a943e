//! `--device`: what is refused and how, and, on each GPU that this build can open, the same learning as on the CPU.
//!
//! A GPU that cannot be opened is left out with a note on stderr; where `ZOO_REQUIRE_DEVICES` is set one at least must be there.

use std::fs;
use std::path::Path;

use end_to_end::peer::left_out;
use end_to_end::zoo::{TINY, TINY_GENERATOR, Workspace};
use serde_json::Value;

/// Every command that computes with a network, none of which gets as far as to need what it names.
const COMMANDS: &[&[&str]] = &[
    &[
        "train",
        "cifar-classifier.plain",
        "--data",
        "digits",
        "--out",
        "new",
    ],
    &[
        "train",
        "series-forecaster",
        "--data",
        "sample",
        "--out",
        "new",
    ],
    &["train", "--resume", "run"],
    &["eval", "cifar-classifier", "--data", "digits"],
    &["infer", "cifar-classifier", "image.png"],
    &["generate", "image-generator", "--data", "digits"],
    &["forecast", "series-forecaster", "sample", "--out", "new"],
    &["compare", "mnist", "--data", "digits", "--out", "new"],
    &["compare", "forecast", "--out", "new"],
    &["bench", "mixture-8-3-5-2"],
];

fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    zoo
}

#[test]
fn a_device_that_was_not_built_for_is_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for (device, feature, built) in [
        ("cuda", "cuda", cfg!(feature = "cuda")),
        ("cuda:3", "cuda", cfg!(feature = "cuda")),
        ("metal", "metal", cfg!(feature = "metal")),
    ] {
        if built {
            continue;
        }
        let name = if device == "cuda" { "cuda:0" } else { device };
        for command in COMMANDS {
            let args = [command, &["--device", device][..]].concat();
            zoo.zoo(&args).refused(&[
                &format!("built without `{feature}`, which `--device {name}` needs"),
                &format!("`cargo build --release -p zoo-cli --features {feature}`"),
            ]);
        }
    }
    let left = fs::read_dir(root.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["digits"]);
}

#[test]
fn what_is_no_device_is_refused_with_those_there_are() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for command in COMMANDS {
        for device in ["cuda:x", "cuda:", "gpu", "metal:1", ""] {
            let ran = zoo.zoo(&[command, &["--device", device][..]].concat());
            let ran = ran.expect(2);
            assert_eq!(ran.stdout, "");
            let problem = format!("`{device}` is no device; use auto, cpu, cuda, cuda:N");
            assert!(ran.stderr.contains(&problem), "{}", ran.stderr);
        }
    }
    assert!(!zoo.path("new").exists());
}

#[test]
fn a_run_says_where_it_computes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let on = |out: &str, device: &[&str]| {
        let ran = zoo
            .zoo(&[&classifier(out, "1")[..], device].concat())
            .expect(0);
        let said: Value = serde_json::from_str(&ran.stdout).unwrap();
        (said["device"].as_str().unwrap().to_string(), ran.stderr)
    };
    let (device, log) = on("named", &["--device", "cpu"]);
    assert_eq!(device, "cpu");
    assert!(log.contains("seed 3, on the CPU, into `named`"), "{log}");
    let (device, log) = on("auto", &[]);
    assert!(log.contains("seed 3, on "), "{log}");
    if !cfg!(any(feature = "cuda", feature = "metal")) {
        // Nothing is missing, so nothing is said.
        assert!(device == "cpu" && !log.contains("warning"), "{log}");
    }
    // The same device, asked for or not: the same bytes.
    if device == "cpu" {
        let weights = |out: &str| fs::read(zoo.path(out).join("model.safetensors")).unwrap();
        assert_eq!(weights("named"), weights("auto"));
    }
    let ran = zoo.zoo(&["eval", "named", "--format", "json", "--device", "cpu"]);
    let said: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(said["device"], "cpu");
}

#[test]
fn fits_in_f64_stay_on_the_cpu_and_say_so() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let few = [
        "--set",
        "adam_iterations=2",
        "--set",
        "lbfgs_iterations=2",
        "--set",
        "levenberg_marquardt_iterations=1",
    ];
    let train = [
        "train",
        "surface-fitter",
        "--out",
        "run",
        "--device",
        "cuda",
    ];
    let ran = zoo.zoo(&[&train[..], &few].concat()).expect(0);
    let said = "fitted in f64 on the CPU; `--device cuda:0` does nothing here";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let ran = zoo.zoo(&["eval", "run", "--device", "metal"]).expect(0);
    assert!(
        ran.stderr.contains("`--device metal` does nothing"),
        "{}",
        ran.stderr
    );
    let ran = zoo.zoo(&["eval", "run", "--device", "cpu"]).expect(0);
    assert!(!ran.stderr.contains("does nothing"), "{}", ran.stderr);
}

fn classifier<'a>(out: &'a str, epochs: &'a str) -> Vec<&'a str> {
    let model = [
        "train",
        "cifar-classifier",
        "--data",
        "digits",
        "--out",
        out,
    ];
    let how = ["--seed", "3", "--epochs", epochs, "--format", "json"];
    // Images of 8×8 can be halved three times.
    [&model[..], TINY, &["--set", "model.widths=[4,4,4]"], &how].concat()
}

fn generator<'a>(out: &'a str, epochs: &'a str) -> Vec<&'a str> {
    let model = ["train", "image-generator", "--data", "digits", "--out", out];
    let how = ["--seed", "3", "--epochs", epochs, "--format", "json"];
    [&model[..], TINY_GENERATOR, &how].concat()
}

fn forecaster<'a>(out: &'a str, epochs: &'a str) -> Vec<&'a str> {
    let model = [
        "train",
        "series-forecaster",
        "--data",
        "sample",
        "--out",
        out,
    ];
    let how = [
        "--seed",
        "3",
        "--epochs",
        epochs,
        "--format",
        "json",
        "--set",
        "model.look_back=48",
        "--set",
        "model.horizon=12",
        "--set",
        "model.network.recurrent.segment=12",
        "--set",
        "model.network.recurrent.hidden=16",
        "--set",
        "batch_size=16",
        "--set",
        "series.epoch_windows=160",
    ];
    [&model[..], &how].concat()
}

/// The GPUs that this build opens here.
fn gpus(zoo: &Workspace) -> Vec<&'static str> {
    let found = ["cuda", "metal"].into_iter().filter(|device| {
        let args = [
            "bench",
            "mixture-8-3-5-2",
            "--seconds",
            "0",
            "--device",
            device,
        ];
        let ran = zoo.zoo(&args);
        let reason = ran.stderr.lines().last().unwrap_or_default();
        let note = || left_out::<()>(&format!("GPU for `--device {device}`: {reason}"), false);
        ran.code == 0 || note().is_some()
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        let required = std::env::var_os("ZOO_REQUIRE_DEVICES").is_some();
        left_out::<()>("GPU: training there is not compared with the CPU", required);
    }
    found
}

/// A measure after each epoch of a run.
fn epochs(zoo: &Workspace, run: &str, measure: &str) -> Vec<f64> {
    let text = fs::read_to_string(zoo.path(run).join("metrics.jsonl")).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row[measure].as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_near(a: f64, b: f64, tolerance: f64, what: &str) {
    let apart = (a - b).abs() / a.abs().max(b.abs()).max(1e-9);
    assert!(apart <= tolerance, "{what}: {a} and {b}");
}

#[test]
fn every_gpu_learns_what_the_cpu_learns() {
    type Arguments = for<'a> fn(&'a str, &'a str) -> Vec<&'a str>;
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for gpu in gpus(&zoo) {
        let families: [(&str, Arguments, &str); 3] = [
            ("classifier", classifier, "loss"),
            ("generator", generator, "mse"),
            ("forecaster", forecaster, "mse"),
        ];
        for (family, arguments, measure) in families {
            let outs = [("host", "cpu"), ("gpu", gpu)].map(|(place, device)| {
                let out = format!("{family}-on-{place}-{gpu}");
                let args = [&arguments(&out, "8")[..], &["--device", device]].concat();
                let ran = zoo.zoo(&args).expect(0);
                let said: Value = serde_json::from_str(&ran.stdout).unwrap();
                assert!(said["device"].as_str().unwrap().starts_with(device));
                out
            });
            // The first steps are the same but for rounding; later ones drift apart, and learn as much.
            let [cpu, there] = outs
                .each_ref()
                .map(|o| epochs(&zoo, o, &format!("train_{measure}")));
            assert_near(
                cpu[0],
                there[0],
                0.01,
                &format!("{family} on {gpu}, first epoch"),
            );
            let gains = [&cpu, &there].map(|all| all[0] - all[7]);
            assert!(
                gains[0] > 0.0 && gains[1] > 0.5 * gains[0],
                "{family}: {gains:?}"
            );
            // The same weights measure the same anywhere.
            for run in &outs {
                let [here, there] = ["cpu", gpu].map(|device| {
                    let ran = zoo.zoo(&["eval", run, "--format", "json", "--device", device]);
                    let said: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
                    said[measure].as_f64().unwrap()
                });
                assert_near(here, there, 1e-3, &format!("{run} evaluated"));
            }
        }
    }
}

#[test]
fn a_checkpoint_of_one_device_goes_on_on_another() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for gpu in gpus(&zoo) {
        for (from, to) in [("cpu", gpu), (gpu, "cpu"), (gpu, gpu)] {
            let out = format!("{from}-{to}");
            let more = ["--set", "checkpoint.every_steps=1", "--device", from];
            let args = [&classifier(&out, "8")[..], &more].concat();
            zoo.kill_once_saved(&args, &out, 7);
            let ran = zoo.zoo(&[
                "train", "--resume", &out, "--device", to, "--format", "json",
            ]);
            let said: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
            assert!(said["accuracy"].as_f64().unwrap() >= 0.9, "{said}");
            assert_eq!(epochs(&zoo, &out, "train_loss").len(), 8);
        }
    }
}
