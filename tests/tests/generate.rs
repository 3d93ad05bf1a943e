//! Image generators from outside: `zoo train`, `zoo eval` and `zoo generate`.

use std::fs;
use std::path::Path;

use end_to_end::zoo::{TINY_GENERATOR, Workspace};
use serde_json::Value;

fn train(zoo: &Workspace, out: &str, more: &[&str]) -> Value {
    let mut args = vec![
        "train",
        "image-generator",
        "--data",
        "digits",
        "--out",
        out,
        "--seed",
        "3",
        "--format",
        "json",
    ];
    args.extend(TINY_GENERATOR);
    args.extend(more);
    serde_json::from_str(&zoo.zoo(&args).expect(0).stdout).unwrap()
}

/// A dataset and a generator that was trained on it for two epochs.
fn prepared(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    train(&zoo, "run", &["--epochs", "2"]);
    zoo
}

fn write_image(zoo: &Workspace, name: &str, width: u32, height: u32) {
    let image =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 9 + y * 3) as u8; 3]));
    image.save(zoo.path(name)).unwrap();
}

#[test]
fn a_trained_generator_learns_and_evaluates_to_what_training_printed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 40, 20);
    let first = train(&zoo, "short", &["--epochs", "1"]);
    let trained = train(&zoo, "run", &["--epochs", "40"]);
    let keys: Vec<&String> = trained.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "data",
            "device",
            "dir",
            "examples",
            "images_per_second",
            "model",
            "mse",
            "parameters",
            "psnr",
            "seconds",
            "ssim"
        ]
    );
    let mse = |summary: &Value| summary["mse"].as_f64().unwrap();
    assert!(mse(&trained) < 0.5 * mse(&first), "{trained} after {first}");
    let ran = zoo
        .zoo(&["eval", "run", "--data", "digits", "--format", "json"])
        .expect(0);
    let evaluated: Value = serde_json::from_str(&ran.stdout).unwrap();
    for key in ["mse", "psnr", "ssim", "parameters", "model", "data"] {
        assert_eq!(evaluated[key], trained[key], "{key}");
    }
    let config: Value =
        serde_json::from_slice(&fs::read(zoo.path("run/config.json")).unwrap()).unwrap();
    assert_eq!(config["latent"], 6);
    assert_eq!(config["channels"], 1);
    zoo.zoo(&["verify", "run"]).expect(0);
    let card = fs::read_to_string(zoo.path("run/README.md")).unwrap();
    assert!(
        card.contains("| mse |") && card.contains("zoo generate"),
        "{card}"
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_also_after_an_interruption() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    train(&zoo, "again", &["--epochs", "2"]);
    let weights = |dir: &str| fs::read(zoo.path(dir).join("model.safetensors")).unwrap();
    assert!(weights("run") == weights("again"));
    // Without its result a run is one that was killed before its model was written.
    let record = zoo.path("again/training.json");
    let mut text: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    text["result"] = Value::Null;
    fs::write(&record, text.to_string()).unwrap();
    fs::remove_file(zoo.path("again/model.safetensors")).unwrap();
    zoo.zoo(&["train", "--resume", "again"]).expect(0);
    assert!(weights("run") == weights("again"));
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 40, 20);
    // Within the first epoch of four or five steps, and between the first and the second.
    for (name, steps, every) in [
        ("within", 2, "checkpoint.every_steps=1"),
        ("between", 1, "checkpoint.every_steps=0"),
    ] {
        let broken = format!("{name}-broken");
        let arguments = |out| {
            let mut args = vec!["train", "image-generator", "--data", "digits"];
            args.extend(["--out", out, "--seed", "3", "--epochs", "20"]);
            args.extend(TINY_GENERATOR);
            args.extend(["--set", every, "--set", "ema.decay=0.9", "--quiet"]);
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
fn images_of_another_size_are_brought_to_the_configured_one_or_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 40, 20);
    let mut args = vec![
        "train",
        "image-generator.plain",
        "--data",
        "digits",
        "--out",
        "wide",
        "--epochs",
        "1",
    ];
    args.extend(TINY_GENERATOR);
    let with = |more: &[&'static str]| [args.as_slice(), more].concat();
    let ran = zoo.zoo(&with(&["--set", "model.width=16"])).expect(0);
    assert!(
        ran.stderr.contains("grey, 16×8 by resizing from 8×8"),
        "{}",
        ran.stderr
    );
    zoo.zoo(&["eval", "wide", "--data", "digits"]).expect(0);
    args[5] = "never";
    let refused = |set: &'static str, parts: &[&str]| {
        let more = [args.as_slice(), &["--set", set]].concat();
        zoo.zoo(&more).refused(parts);
        assert!(!zoo.path("never").exists());
    };
    refused("model.height=10", &["10", "divisible by 4"]);
    refused("model.latent=0", &["latent", "1 to 4096"]);
    refused("model.channels=3", &["model.channels", "leave it out"]);
}

#[test]
fn a_sheet_shows_every_original_and_repeats_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    write_image(&zoo, "a.png", 20, 10);
    write_image(&zoo, "b.png", 8, 8);
    let draw = |out: &str, more: &[&str]| {
        let args = [&["generate", "run", "--out", out, "--format", "json"], more].concat();
        let ran = zoo.zoo(&args);
        let sheet = image::open(zoo.path(out)).unwrap().into_rgb8();
        (ran, sheet)
    };
    // Tiles of 8 × 8 pixels are drawn 8 times as large, with 2 pixels between and 12 around each group: a row of
    // originals and one of reconstructions, two rows of samples, one interpolation. The longest of the names beside
    // them has 14 letters of 7 pixels.
    let (ran, sheet) = draw("a-sheet.png", &["a.png", "b.png", "--samples", "10"]);
    let said: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(
        (&said["originals"], &said["samples"]),
        (&2.into(), &10.into())
    );
    assert!(said["mse"].as_f64().unwrap() > 0.0 && said["sheet"] == "a-sheet.png");
    let names = 14 * 7 + 12;
    assert_eq!(sheet.dimensions(), (names + 8 * 66 + 24, 5 * 66 + 4 * 12));
    // The last pixel of the second original.
    assert_eq!(
        sheet.get_pixel(names + 12 + 66 + 63, 12 + 63).0,
        [7 * 9 + 7 * 3; 3]
    );

    let (_, again) = draw("b-sheet.png", &["a.png", "b.png", "--samples", "10"]);
    assert!(sheet == again);
    let more = ["a.png", "b.png", "--samples", "10", "--seed", "1"];
    let (_, other) = draw("c-sheet.png", &more);
    assert!(sheet != other);

    // A broken file costs itself only.
    fs::write(zoo.path("broken.png"), "no image").unwrap();
    let (ran, _) = draw("d-sheet.png", &["broken.png", "a.png"]);
    let ran = ran.expect(1);
    assert!(ran.stderr.contains("broken.png"), "{}", ran.stderr);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["originals"], 1);

    // Without paths the test images of the data that it was trained on.
    let (ran, _) = draw("e-sheet.png", &[]);
    let said: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(said["originals"], 16);
}

#[test]
fn wrong_requests_draw_nothing() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    write_image(&zoo, "a.png", 8, 8);
    let refused = |args: &[&str], parts: &[&str]| {
        zoo.zoo(&[&["generate"], args].concat()).refused(parts);
        assert!(!zoo.path("sheet.png").exists());
    };
    refused(&["run", "none.png"], &["none of the paths"]);
    refused(&["run", "--data", "nowhere"], &["`nowhere`"]);
    refused(&["nowhere", "a.png"], &["nowhere"]);
    refused(
        &["run", "a.png", "--out", "no/sheet.png"],
        &["no/sheet.png"],
    );
    fs::write(zoo.path("mine.png"), "mine").unwrap();
    refused(
        &["run", "a.png", "--out", "mine.png"],
        &["`mine.png`", "--overwrite"],
    );
    assert_eq!(fs::read(zoo.path("mine.png")).unwrap(), b"mine");
    zoo.zoo(&["infer", "run", "a.png"])
        .refused(&["`zoo generate run photo.jpg`"]);
    let args = [
        "train",
        "cifar-classifier.plain",
        "--data",
        "digits",
        "--out",
        "labels",
    ];
    let tiny = [
        "--epochs",
        "1",
        "--set",
        "model.widths=[4,4]",
        "--set",
        "batch_size=8",
    ];
    zoo.zoo(&[args, tiny].concat()).expect(0);
    refused(&["labels", "a.png"], &["`zoo infer labels photo.jpg`"]);
    // Weights that no longer fit the configuration.
    let config = fs::read_to_string(zoo.path("run/config.json")).unwrap();
    let wrong = config.replace("\"latent\": 6", "\"latent\": 7");
    assert_ne!(config, wrong);
    fs::write(zoo.path("run/config.json"), wrong).unwrap();
    refused(&["run", "a.png"], &["latent_factor", "model.safetensors"]);
}
