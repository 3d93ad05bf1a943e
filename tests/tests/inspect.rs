//! `zoo inspect`, and what other commands say of data, from outside.

use std::fs;
use std::path::Path;

use end_to_end::picture::{CAT, DOG, classes, gif_of_two_frames, put, tiff_of_two_pages};
use end_to_end::zoo::{TINY, Workspace};
use serde_json::{Value, json};

const MODEL: &str = "cifar-classifier.plain";

/// `count` colour images of a class, 40×30 pixels, of which no two are alike.
fn write_images(dir: &Path, class: u32, count: u32) {
    fs::create_dir_all(dir).unwrap();
    let salt = dir.to_string_lossy().bytes().fold(class, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    for i in 0..count {
        let image = image::RgbImage::from_fn(40, 30, |x, y| {
            let cell = (x / 5 * 97 + y / 5 * 57 + i * 1009 + salt).wrapping_mul(0x9e37_79b9);
            let mixed = (cell ^ (cell >> 15)).wrapping_mul(0x85eb_ca6b) >> 25;
            let bright = if (x >= 20) == (class == 1) { 100 } else { 0 };
            image::Rgb([(mixed + bright) as u8, bright as u8, mixed as u8])
        });
        image.save(dir.join(format!("{i}.png"))).unwrap();
    }
}

fn inspected(zoo: &Workspace, args: &[&str], code: i32) -> Value {
    let ran = zoo.zoo(&[&["inspect"], args, &["--format", "json"]].concat());
    serde_json::from_str(&ran.expect(code).stdout).unwrap()
}

#[test]
fn an_image_folder_is_told_in_full() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for (part, count) in [("train", 12), ("val", 4), ("test", 5)] {
        write_images(&zoo.path(&format!("pets/{part}/cat")), 0, count);
        write_images(&zoo.path(&format!("pets/{part}/dog")), 1, count);
    }
    // One image thrice: twice to learn from, once to test on.
    for copy in ["train/cat/copy.png", "test/cat/copy.png"] {
        fs::copy(
            zoo.path("pets/train/cat/0.png"),
            zoo.path("pets").join(copy),
        )
        .unwrap();
    }
    fs::create_dir(zoo.path("pets/train/.cache")).unwrap();
    fs::copy(
        zoo.path("pets/train/cat/0.png"),
        zoo.path("pets/train/.cache/0.png"),
    )
    .unwrap();

    let found = inspected(&zoo, &["pets"], 0);
    assert_eq!(found["kind"], "images");
    assert_eq!(found["data"], "pets");
    assert_eq!(
        found["classes"],
        json!([
            {"name": "cat", "train": 13, "validation": 4, "test": 6},
            {"name": "dog", "train": 12, "validation": 4, "test": 5},
        ])
    );
    assert_eq!(
        found["sizes"],
        json!([{"height": 30, "width": 40, "images": 44}])
    );
    assert_eq!(found["input"], json!([30, 40, 3]));
    assert_eq!(
        found["duplicates"],
        json!({"compared": [30, 40, 3], "within_parts": 1, "between_parts": 1, "near": 0})
    );
    assert_eq!(found["left_out"][0]["count"], 1);
    assert_eq!(found["failed"], json!([]));
    let quick = inspected(&zoo, &["pets", "--quick"], 0);
    assert_eq!(quick["classes"], found["classes"]);
    assert!(quick.get("duplicates").is_none());
    let set = ["pets", "--quick", "--set", "image_size=[48, 24]"];
    assert_eq!(inspected(&zoo, &set, 0)["input"], json!([48, 24, 3]));
    let table = zoo.zoo(&["inspect", "pets"]).expect(0).stdout;
    for part in [
        "cat",
        "colour, 40×30",
        "1 equal an earlier image",
        "left out",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }

    // A file that fails is named and counted.
    fs::write(zoo.path("pets/train/dog/broken.png"), "no image").unwrap();
    let found = inspected(&zoo, &["pets"], 1);
    assert_eq!(found["failed"].as_array().unwrap().len(), 1);
    assert!(
        found["failed"][0]["path"]
            .as_str()
            .unwrap()
            .contains("broken.png")
    );
}

#[test]
fn pages_and_frames_that_are_not_used_are_told() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("pets"), &["cat", "dog"], 6);
    put(
        &zoo.path("pets/cat/moving.gif"),
        gif_of_two_frames(CAT, DOG),
    );
    put(&zoo.path("pets/dog/pages.tif"), tiff_of_two_pages(DOG, CAT));
    let said = "2 images have more than one page or frame, of which the first is used";
    for args in [&["pets"][..], &["pets", "--quick"]] {
        assert_eq!(inspected(&zoo, args, 0)["multi_frame"], 2);
        let table = zoo.zoo(&[&["inspect"], args].concat()).expect(0).stdout;
        let line = format!("note: {said}");
        assert!(table.lines().any(|found| found == line), "{table}");
    }
    let mut args = vec![
        "train", MODEL, "--data", "pets", "--out", "run", "--epochs", "1",
    ];
    args.extend(TINY);
    let ran = zoo.zoo(&args).expect(0);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let record = fs::read(zoo.path("run/training.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["data"]["inventory"]["multi_frame"], 2);
    let card = fs::read_to_string(zoo.path("run/README.md")).unwrap();
    assert!(card.contains(said), "{card}");
}

#[test]
fn a_quick_look_counts_what_it_looks_into() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("pets"), &["cat", "dog"], 6);
    put(&zoo.path("pets/cat/broken.png"), b"no image");
    put(&zoo.path("pets/cat/gone.jpg"), b"");
    put(&zoo.path("pets/notes.txt"), b"a text");
    let (quick, full) = (
        inspected(&zoo, &["pets", "--quick"], 1),
        inspected(&zoo, &["pets"], 1),
    );
    for key in ["classes", "parts", "left_out", "failed"] {
        assert_eq!(quick[key], full[key], "{key}");
    }
    assert_eq!(full["failed"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&quick["decoded"], &full["decoded"]),
        (&json!(false), &json!(true))
    );

    // What is damaged behind its header is found by those who look there, and that is said.
    let whole = fs::read(zoo.path("pets/cat/000.png")).unwrap();
    put(&zoo.path("pets/dog/cut.png"), &whole[..whole.len() / 2]);
    let (quick, full) = (
        inspected(&zoo, &["pets", "--quick"], 1),
        inspected(&zoo, &["pets"], 1),
    );
    assert_eq!(quick["failed"].as_array().unwrap().len(), 2);
    assert_eq!(full["failed"].as_array().unwrap().len(), 3);
    assert_eq!(quick["parts"]["train"], 13);
    assert_eq!(full["parts"]["train"], 12);
    let said = "leave out `--quick` to find the images that are damaged behind their headers";
    let ran = zoo.zoo(&["inspect", "pets", "--quick"]).expect(1);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn what_a_model_has_learned_from_is_told_where_it_is_tested_on_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("pets"), &["cat", "dog"], 10);
    classes(&zoo.path("others"), &["cat", "dog"], 14);
    for name in ["cat", "dog"] {
        for i in 0..10 {
            fs::remove_file(zoo.path(&format!("others/{name}/{i:03}.png"))).unwrap();
        }
    }
    let mut args = vec![
        "train", MODEL, "--data", "pets", "--out", "run", "--epochs", "1",
    ];
    args.extend(TINY);
    zoo.zoo(&args).expect(0);
    let said = |data: &[&str]| zoo.zoo(&[&["eval", "run"], data].concat()).expect(0).stderr;
    let seen = "that the model is tested on are among those that it was trained on";
    let changed = "has changed since `run` was trained on it";
    // The data of the training, of which some are held out, and data of which it has seen nothing.
    for data in [&[][..], &["--data", "pets"], &["--data", "others"]] {
        let stderr = said(data);
        assert!(
            !stderr.contains(seen) && !stderr.contains(changed),
            "{stderr}"
        );
    }
    // A copy of another name, and the same with one picture more.
    for name in ["cat", "dog"] {
        fs::create_dir_all(zoo.path("copy").join(name)).unwrap();
        for i in 0..10 {
            let file = format!("{name}/{i:03}.png");
            fs::copy(zoo.path("pets").join(&file), zoo.path("copy").join(&file)).unwrap();
        }
    }
    let stderr = said(&["--data", "copy"]);
    assert!(
        stderr.contains(&format!("18 of the 20 images {seen}")),
        "{stderr}"
    );
    let more = fs::read(zoo.path("others/cat/010.png")).unwrap();
    put(&zoo.path("copy/cat/more.png"), &more);
    let stderr = said(&["--data", "copy"]);
    assert!(
        stderr.contains(&format!("18 of the 21 images {seen}")),
        "{stderr}"
    );
    // The place of the training, with one more.
    put(&zoo.path("pets/cat/more.png"), &more);
    let stderr = said(&["--data", "pets"]);
    assert!(
        stderr.contains(&format!("`pets` {changed} (20 images then, 21 now)")),
        "{stderr}"
    );
    zoo.zoo(&["eval", "run"]).refused(&["another content"]);
}

#[test]
fn names_from_files_are_no_commands_for_a_terminal() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("pets"), &["cat", "dog"], 6);
    put(&zoo.path("pets/cat/\u{1b}[31mred.png"), b"no image");
    put(&zoo.path("pets/cat/two\nlines.png"), b"no image");
    let ran = zoo.zoo(&["inspect", "pets"]).expect(1);
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
    for name in ["\\u{1b}[31mred.png", "two\\nlines.png"] {
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
}

#[test]
fn data_that_cannot_be_inspected_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 8, 4);
    zoo.write_hours("hours.csv");
    for (args, parts) in [
        (&["gone"][..], &["`gone` does not exist"][..]),
        (&["cifar-10"], &["`cifar-10`", "did you mean `cifar10`?"]),
        (&["fashionmnist"], &["did you mean `fashion-mnist`?"]),
        (&["digits/gone"], &["`digits/gone` does not exist"]),
        (
            &["owner/name"],
            &["/owner/name` does not exist", "offline mode"],
        ),
        // A name that no repository has.
        (&["owner/labels.csv"], &["`owner/labels.csv`"]),
        (&["runs/photos"], &["`runs/photos` does not exist"]),
        (&["digits", "--set", "image_size=0"], &["1 to 1024"]),
        (&["digits", "--set", "image_size=[1,2,3]"], &["one height"]),
        (
            &["digits", "--set", "epochs=3"],
            &["`image_size` can be set"],
        ),
        (&["hours.csv", "--set", "epochs=3"], &["keys of `series`"]),
    ] {
        zoo.zoo(&[&["inspect"], args].concat()).refused(parts);
    }
}

#[test]
fn a_series_is_told_and_what_it_lacks() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_hours("hours.csv");
    let found = inspected(&zoo, &["hours.csv"], 0);
    assert_eq!(found["kind"], "series");
    assert_eq!(found["rows"], 744);
    assert_eq!(found["problem"], Value::Null);
    assert_eq!(found["columns"][0]["name"], "y");

    let text = fs::read_to_string(zoo.path("hours.csv")).unwrap();
    let gap = text.replacen("2024-01-02 00:00:00,", "2024-01-02 00:00:00,?", 1);
    let without = gap.lines().map(|line| match line.contains('?') {
        true => "2024-01-02 00:00:00,",
        false => line,
    });
    let without = without.collect::<Vec<_>>().join("\n");
    let ran = zoo.zoo_with_stdin(&["inspect", "-", "--format", "json"], &without);
    let found: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(found["columns"][0]["missing"], 1);
    let problem = found["problem"].as_str().unwrap();
    assert!(
        problem.contains("--set series.missing=forward"),
        "{problem}"
    );
    let args = ["inspect", "-", "--set", "series.missing=forward"];
    let table = zoo.zoo_with_stdin(&args, &without).expect(0).stdout;
    assert!(!table.contains("before training"), "{table}");
    let sample = inspected(&zoo, &["sample", "--as", "series"], 0);
    assert_eq!(sample["kind"], "series");
    assert_eq!(inspected(&zoo, &["sample", "--quick"], 0)["kind"], "images");
}

#[test]
fn training_says_what_it_learns_from_and_keeps_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for (class, name) in ["left", "right"].iter().enumerate() {
        write_images(&zoo.path(&format!("photos/train/{name}")), class as u32, 12);
        write_images(&zoo.path(&format!("photos/val/{name}")), class as u32, 3);
        write_images(&zoo.path(&format!("photos/test/{name}")), class as u32, 4);
    }
    let mut args = vec![
        "train", MODEL, "--data", "photos", "--out", "run", "--epochs", "2",
    ];
    args.extend(TINY);
    args.extend(["--set", "image_size=16"]);
    let ran = zoo.zoo(&args).expect(0);
    let line = "2 classes (left, right): 24 training, 6 validation, 8 test";
    assert!(
        ran.stderr.lines().any(|l| l.starts_with(line)),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("16×16 by resizing from 40×30"),
        "{}",
        ran.stderr
    );
    // All training images are learned from, the validation part is watched.
    let metrics = fs::read_to_string(zoo.path("run/metrics.csv")).unwrap();
    assert!(
        metrics
            .lines()
            .next()
            .unwrap()
            .contains("validation_accuracy"),
        "{metrics}"
    );
    let record = fs::read(zoo.path("run/training.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["data"]["inventory"]["parts"]["validation"], 6);
    assert_eq!(
        record["recipe"]["classification"]["image_size"],
        json!([16])
    );
    assert_eq!(record["data"]["argument"], "photos");
    let card = fs::read_to_string(zoo.path("run/README.md")).unwrap();
    assert!(
        card.contains("left (12 training, 3 validation, 4 test)"),
        "{card}"
    );
    assert!(!card.contains(root.path().to_str().unwrap()), "{card}");

    // From anywhere the same data are found again, and nothing else is measured.
    let from = |dir: &str, args: &[&str]| {
        fs::create_dir_all(zoo.path(dir)).unwrap();
        let mut command = zoo.command(args);
        command.current_dir(zoo.path(dir));
        zoo.run(command)
    };
    fs::create_dir_all(zoo.path("else/photos")).unwrap();
    let first = from("else", &["eval", "../run", "--format", "json"]).expect(0);
    let first: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(first["accuracy"], record["result"]["test"]["accuracy"]);
    fs::rename(zoo.path("photos"), zoo.path("moved")).unwrap();
    let place = zoo.path("photos").display().to_string();
    zoo.zoo(&["eval", "run"]).refused(&[&place, "`--data`"]);
    zoo.zoo(&["train", "--resume", "run"])
        .refused(&[&place, "`--data`"]);
    zoo.zoo(&["eval", "run", "--data", "moved"]).expect(0);
    zoo.zoo(&["train", "--resume", "run", "--data", "moved"])
        .expect(0);
    zoo.zoo(&["eval", "run"]).expect(0);
    fs::remove_file(zoo.path("moved/test/left/0.png")).unwrap();
    zoo.zoo(&["eval", "run"])
        .refused(&["another content", "`--data`"]);
    zoo.zoo(&["eval", "run", "--data", "moved"]).expect(0);
}

#[test]
fn a_wrong_model_gets_the_right_command() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 40, 20);
    fs::create_dir_all(zoo.path("runs/cut")).unwrap();
    fs::write(zoo.path("runs/cut/training.json"), "{}").unwrap();
    for (args, parts) in [
        (
            &["infer", "runs/no-such", "x.png"][..],
            &["`runs/no-such` does not exist"][..],
        ),
        (
            &["infer", "runs/cut", "x.png"],
            &["`zoo train --resume runs/cut`"],
        ),
        (&["eval", "runs/cut"], &["`zoo train --resume runs/cut`"]),
        (&["verify", "runs/cut"], &["`zoo train --resume runs/cut`"]),
        (
            &["upload", "runs/cut", "me/x", "--dry-run"],
            &["`zoo train --resume runs/cut`"],
        ),
        (
            &["generate", "runs/cut"],
            &["`zoo train --resume runs/cut`"],
        ),
        (
            &["forecast", "runs/cut", "x.csv"],
            &["`zoo train --resume runs/cut`"],
        ),
        (
            &["infer", "series-forecaster", "x.jpg"],
            &["`zoo forecast series-forecaster series.csv`"],
        ),
        (
            &["forecast", "cifar-classifier", "x.csv"],
            &["`zoo infer cifar-classifier photo.jpg`"],
        ),
    ] {
        zoo.zoo(args).refused(parts);
    }
}
