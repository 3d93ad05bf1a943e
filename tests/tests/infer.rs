//! `zoo infer` from outside.

use std::fs;

use end_to_end::picture::{CAT, DOG, gif_of_two_frames, put};
use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

/// A grey image of 8×8 pixels, bright on one side.
fn write_image(zoo: &Workspace, name: &str, bright_right: bool) {
    let path = zoo.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = image::GrayImage::from_fn(8, 8, |x, _| {
        image::Luma([if (x >= 4) == bright_right { 160 } else { 40 }])
    });
    image.save(path).unwrap();
}

/// A trained model in `run` and four images, one of them broken.
fn prepared(root: &std::path::Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    let mut args = vec![
        "train",
        "cifar-classifier.plain",
        "--data",
        "digits",
        "--out",
        "run",
    ];
    args.extend(TINY);
    args.extend(["--epochs", "8", "--quiet"]);
    zoo.zoo(&args).expect(0);
    write_image(&zoo, "images/b.png", true);
    write_image(&zoo, "images/a.png", false);
    write_image(&zoo, "images/deep/c.png", true);
    write_image(&zoo, "other.png", false);
    fs::write(zoo.path("broken.png"), "no image").unwrap();
    zoo
}

#[test]
fn every_format_keeps_the_order_and_names_what_failed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());

    let paths = ["other.png", "images"];
    let ran = zoo
        .zoo(&[
            "infer",
            "run",
            paths[0],
            paths[1],
            "--format",
            "csv",
            "--batch-size",
            "2",
        ])
        .expect(0);
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(
        rows[0],
        [
            "path",
            "rank",
            "label",
            "index",
            "probability",
            "true_label"
        ]
    );
    let named: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(
        named,
        [
            "other.png",
            "images/a.png",
            "images/b.png",
            "images/deep/c.png"
        ]
    );
    // The trained network tells the bright sides apart.
    let indices: Vec<&str> = rows[1..].iter().map(|row| row[3]).collect();
    assert_eq!(indices, ["0", "0", "1", "1"]);
    for row in &rows[1..] {
        assert_eq!(row[1], "1");
        // None of these folders has the name of a class.
        assert_eq!(row[5], "");
        let probability: f64 = row[4].parse().unwrap();
        assert!((0.5..=1.0).contains(&probability), "{row:?}");
    }

    let args = [
        "infer",
        "run",
        "broken.png",
        "images/b.png",
        "gone.png",
        "--top-k",
        "2",
    ];
    let ran = zoo
        .zoo(&[&args[..], &["--format", "jsonl"]].concat())
        .expect(1);
    let objects: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[0]["path"], "broken.png");
    assert!(objects[0]["error"].as_str().unwrap().contains("broken.png"));
    assert!(objects[2]["error"].as_str().unwrap().contains("gone.png"));
    let predictions = objects[1]["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 2);
    let sum: f64 = predictions
        .iter()
        .map(|p| p["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9);
    // The same image has the same label in every format.
    assert_eq!(predictions[0]["index"], 1);
    assert!(predictions[0]["label"].is_string());
    assert!(
        ran.stderr.contains("failed:") && ran.stderr.contains("broken.png"),
        "{}",
        ran.stderr
    );

    let table = zoo
        .zoo(&["infer", "run", "other.png", "broken.png"])
        .expect(1);
    assert_eq!(table.stdout.lines().count(), 1);
    assert!(table.stdout.starts_with("other.png  "), "{}", table.stdout);

    // Of a film the first frame is labelled, and that is said.
    put(&zoo.path("moving.gif"), gif_of_two_frames(CAT, DOG));
    let args = [
        "infer",
        "run",
        "moving.gif",
        "other.png",
        "--format",
        "jsonl",
    ];
    let ran = zoo.zoo(&args).expect(0);
    let rows: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["multi_frame"], true);
    assert!(rows[1].get("multi_frame").is_none(), "{}", rows[1]);
    let said = "1 image has more than one page or frame, of which the first is used";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_list_on_stdin_is_read_line_by_line() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    let list = "images/b.png\n\nother.png\nimages\n";
    let ran = zoo
        .zoo_with_stdin(&["infer", "run", "-", "--format", "csv"], list)
        .expect(0);
    let named: Vec<&str> = ran
        .stdout
        .lines()
        .skip(1)
        .filter_map(|l| l.split(',').next())
        .collect();
    assert_eq!(
        named,
        [
            "images/b.png",
            "other.png",
            "images/a.png",
            "images/b.png",
            "images/deep/c.png"
        ]
    );
    zoo.zoo_with_stdin(&["infer", "run", "-", "--format", "jsonl"], "")
        .refused(&["no images"]);
}

#[test]
fn damaged_models_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    let weights = zoo.path("run/model.safetensors");
    let whole = fs::read(&weights).unwrap();
    let infer = ["infer", "run", "other.png"];
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    zoo.zoo(&infer).refused(&["model.safetensors"]);
    fs::write(&weights, "not safetensors").unwrap();
    zoo.zoo(&infer).refused(&["model.safetensors"]);
    fs::write(&weights, &whole).unwrap();
    zoo.zoo(&infer).expect(0);
    let config = zoo.path("run/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"convs\": 1", "\"convs\": 2")).unwrap();
    zoo.zoo(&infer).refused(&["model.safetensors"]);
    fs::remove_file(&config).unwrap();
    zoo.zoo(&infer).refused(&["config.json"]);
}
