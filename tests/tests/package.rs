//! What of a model's directory goes out to others.

use std::fs;
use std::path::Path;

use end_to_end::model::write_small;
use end_to_end::zoo::{Ran, TINY, Workspace};

/// The files that an upload of `dir` would send.
fn sent(zoo: &Workspace, dir: &str) -> (Vec<String>, Ran) {
    let ran = zoo.zoo(&["upload", dir, "me/tiny", "--dry-run"]).expect(0);
    let names = ran
        .stdout
        .lines()
        .filter_map(|line| line.split('\t').next());
    (names.map(str::to_owned).collect(), ran)
}

#[test]
fn nothing_of_the_model_before_is_sent() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 16, 8);
    let surface = [
        "train",
        "surface-fitter",
        "--set",
        "points=50",
        "--set",
        "adam_iterations=5",
        "--set",
        "lbfgs_iterations=5",
        "--set",
        "levenberg_marquardt_iterations=5",
        "--set",
        "starts=1",
        "--out",
        "d",
    ];
    zoo.zoo(&surface).expect(0);
    let (files, _) = sent(&zoo, "d");
    assert!(files.contains(&"picture.svg".into()), "{files:?}");

    let classifier = [
        "train",
        "cifar-classifier.plain",
        "--data",
        "digits",
        "--epochs",
        "1",
    ];
    let place = ["--out", "d", "--overwrite"];
    zoo.zoo(&[&classifier[..], TINY, &place].concat()).expect(0);
    assert!(!zoo.path("d/picture.svg").exists());
    // Also one that another program put there.
    fs::write(zoo.path("d/picture.svg"), "<svg/>").unwrap();
    let (files, ran) = sent(&zoo, "d");
    assert_eq!(
        files,
        [
            "README.md",
            "config.json",
            "curves.svg",
            "examples.safetensors",
            "metrics.csv",
            "metrics.jsonl",
            "model.safetensors",
            "modeling_gmnm.py",
            "preprocessor_config.json",
            "training.json",
            "SHA256SUMS",
        ]
    );
    assert!(
        ran.stderr.contains("left out: data-path.txt, picture.svg"),
        "{}",
        ran.stderr
    );

    // And back: a network over the plane reads no images.
    zoo.zoo(&[&surface[..], &["--overwrite"]].concat())
        .expect(0);
    let (files, _) = sent(&zoo, "d");
    assert!(
        !files.contains(&"preprocessor_config.json".into()),
        "{files:?}"
    );
}

#[test]
fn a_record_of_another_network_is_told() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_small(&zoo, "d");
    zoo.zoo(&["verify", "d"]).expect(0);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let other = weights.join("poisson-solver/training.json");
    fs::copy(other, zoo.path("d/training.json")).unwrap();
    let ran = zoo.zoo(&["verify", "d"]).expect(1);
    assert!(
        ran.stdout.contains("the record of another network"),
        "{}",
        ran.stdout
    );
    let upload = ["upload", "d", "me/tiny", "--dry-run"];
    zoo.zoo(&upload)
        .refused(&["d/training.json", "move it away"]);
    // What the sentence advises works.
    fs::rename(zoo.path("d/training.json"), zoo.path("elsewhere.json")).unwrap();
    zoo.zoo(&upload).expect(0);

    // A file of that name that is none of ours does not tell what to measure on.
    fs::write(zoo.path("d/training.json"), "{\"lr\": 0.1}").unwrap();
    zoo.zoo(&["eval", "d"])
        .refused(&["is not a training record", "name the data with `--data`"]);
    let ran = zoo.zoo(&["eval", "d", "--data", "exponential"]).expect(0);
    assert!(
        ran.stderr.contains("is not a training record"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_license_is_not_given_in_vain() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    write_small(&zoo, "d");
    let upload =
        |license: &str| zoo.zoo(&["upload", "d", "me/tiny", "--dry-run", "--license", license]);
    upload("apache-2.0").expect(0);
    let card = fs::read_to_string(zoo.path("d/README.md")).unwrap();
    let own = card
        .lines()
        .filter(|line| !line.contains("written by zoo"))
        .collect::<Vec<_>>();
    fs::write(zoo.path("d/README.md"), own.join("\n")).unwrap();
    upload("apache-2.0").refused(&["d/README.md", "--license"]);
    upload("mit").expect(0);
}
