//! What of a model's directory goes out to others.

use std::fs;

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
