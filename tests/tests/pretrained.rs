//! Pretrained models by name, offline, and folders that are a test part alone.

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
