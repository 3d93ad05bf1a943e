//! Pretrained models by name, offline, and folders that are a test part alone.

use std::collections::BTreeSet;
use std::fs;

use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;
use tempfile::TempDir;

/// The object that `zoo` prints for these arguments.
fn json(zoo: &Workspace, args: &[&str]) -> Value {
    let ran = zoo.zoo(&[args, &["--format", "json"]].concat()).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn networks_over_the_plane_measure_what_their_records_say() {
    let home = TempDir::new().unwrap();
    let zoo = Workspace::new(home.path());
    let listed = json(&zoo, &["list"]);
    let mut measured = 0;
    for entry in listed.as_array().unwrap() {
        let model = entry["model"].as_str().unwrap();
        let pretrained = &entry["pretrained"];
        if !matches!(
            entry["task"].as_str(),
            Some("surface fitting" | "Poisson equation")
        ) {
            continue;
        }
        if pretrained.is_null() {
            let args = ["eval", model];
            zoo.zoo(&args).refused(&[&format!("zoo train {model}")]);
            continue;
        }
        let now = json(&zoo, &["eval", model]);
        assert_eq!(now["data"], pretrained["data"]);
        for (name, recorded) in pretrained["test"].as_object().unwrap() {
            let (now, then) = (now[name].as_f64().unwrap(), recorded.as_f64().unwrap());
            assert!(
                (now - then).abs() <= 1e-3 * then,
                "{model} {name}: {now}, {then}"
            );
        }
        measured += 1;
    }
    assert!(measured >= 2, "{listed}");
}

/// 20 images of each of two classes.
fn write_folder(zoo: &Workspace, name: &str) {
    for class in ["left", "right"] {
        let dir = zoo.path(name).join(class);
        fs::create_dir_all(&dir).unwrap();
        for i in 0..20u8 {
            let image = image::GrayImage::from_fn(8, 8, |x, _| {
                image::Luma([i + if (x >= 4) == (class == "right") {
                    160
                } else {
                    40
                }])
            });
            image.save(dir.join(format!("{i}.png"))).unwrap();
        }
    }
}

#[test]
fn a_folder_of_classes_is_a_test_part_unless_the_model_learned_from_it() {
    let home = TempDir::new().unwrap();
    let zoo = Workspace::new(home.path());
    write_folder(&zoo, "photos");
    write_folder(&zoo, "others");
    let model = "cifar-classifier.plain";
    let mut args = vec!["train", model, "--data", "photos", "--out", "run"];
    args.extend(TINY);
    args.extend(["--epochs", "1", "--quiet"]);
    zoo.zoo(&args).expect(0);
    for (data, examples) in [("photos", 4), ("others", 40)] {
        let measured = json(&zoo, &["eval", "run", "--data", data]);
        assert_eq!(measured["examples"], examples, "{measured}");
    }
}

#[test]
fn every_pretrained_model_passes_its_checks_and_does_its_work() {
    let home = TempDir::new().unwrap();
    let zoo = Workspace::new(home.path());
    let photo = image::RgbImage::from_fn(48, 40, |x, y| image::Rgb([x as u8, y as u8, 90]));
    photo.save(zoo.path("photo.png")).unwrap();
    zoo.write_hours("hours.csv");
    let mut tasks = BTreeSet::new();
    for entry in json(&zoo, &["list"]).as_array().unwrap() {
        let (model, task) = (entry["model"].as_str().unwrap(), entry["task"].as_str());
        if entry["pretrained"].is_null() {
            continue;
        }
        zoo.zoo(&["verify", model]).expect(0);
        match task {
            Some("image classification") => {
                let args = ["infer", model, "photo.png", "--format", "jsonl"];
                let found: Value = serde_json::from_str(&zoo.zoo(&args).expect(0).stdout).unwrap();
                let probability = found["predictions"][0]["probability"].as_f64().unwrap();
                assert!(probability > 0.1, "{found}");
            }
            Some("image generation") => {
                let args = ["generate", model, "photo.png", "--out", "sheet.png"];
                zoo.zoo(&args).expect(0);
                let sheet = image::open(zoo.path("sheet.png")).unwrap();
                assert!(sheet.width() > 64 && sheet.height() > 64);
            }
            Some("forecasting") => {
                let args = ["forecast", model, "hours.csv", "--out", "next.csv"];
                zoo.zoo(&args).expect(0);
                let steps = fs::read_to_string(zoo.path("next.csv")).unwrap();
                assert!(steps.contains("2024-02-01 00:00"), "{steps}");
            }
            _ => {}
        }
        tasks.insert(task.map(str::to_owned));
    }
    assert_eq!(tasks.len(), 5, "{tasks:?}");
}
