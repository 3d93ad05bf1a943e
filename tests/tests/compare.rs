//! `zoo compare` of networks that learn from images, from outside.

use std::fs;
use std::path::Path;

use end_to_end::zoo::{TINY_GENERATOR, Workspace};

/// Small enough for 8×8 pixels and three stages, as every variant has.
const TINY_CLASSIFIERS: &[&str] = &[
    "--set",
    "model.widths=[4,4,4]",
    "--set",
    "model.convs=1",
    "--set",
    "batch_size=8",
];

fn compare<'a>(task: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "compare", task, "--data", "digits", "--seeds", "2", "--epochs", "2", "--out", out,
    ];
    args.extend(more);
    args
}

fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    zoo
}

/// The rows of `results.csv` without the times of steps.
fn results(zoo: &Workspace, dir: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(zoo.path(dir).join("results.csv")).unwrap();
    text.lines()
        .map(|line| {
            let mut cells: Vec<String> = line.split(',').map(str::to_string).collect();
            cells.remove(4);
            cells
        })
        .collect()
}

#[test]
fn generators_are_compared_seed_by_seed_and_a_stopped_comparison_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let ran = zoo
        .zoo(&compare("generation", "one", TINY_GENERATOR))
        .expect(0);
    assert!(
        ran.stderr.contains("changes every network"),
        "{}",
        ran.stderr
    );
    for part in ["## digits", "| image-generator.plain |", "×", "psnr"] {
        assert!(ran.stdout.contains(part), "`{part}`: {}", ran.stdout);
    }
    let rows = results(&zoo, "one");
    assert_eq!(
        rows[0],
        [
            "problem",
            "model",
            "seed",
            "parameters",
            "mse",
            "psnr",
            "ssim"
        ]
    );
    let cases: Vec<String> = rows[1..].iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(
        cases,
        [
            "digits image-generator 0",
            "digits image-generator.plain 0",
            "digits image-generator 1",
            "digits image-generator.plain 1"
        ]
    );
    assert!(rows[1][4..] != rows[3][4..], "two seeds gave the same");
    let figure = fs::read_to_string(zoo.path("one/curves.svg")).unwrap();
    assert!(figure.contains("held-out mse") && figure.contains("plain"));

    zoo.zoo(&compare("generation", "two", TINY_GENERATOR))
        .expect(0);
    assert_eq!(results(&zoo, "two"), rows);
    // The last run was finished but not entered, the one before it not even begun.
    let path = zoo.path("two/results.csv");
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(3).collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    fs::remove_dir_all(zoo.path("two/runs/digits/image-generator-seed-1")).unwrap();
    zoo.zoo(&compare("generation", "two", TINY_GENERATOR))
        .expect(0);
    assert_eq!(results(&zoo, "two"), rows);
    let figures = ["one", "two"].map(|dir| fs::read(zoo.path(dir).join("curves.svg")).unwrap());
    assert!(figures[0] == figures[1]);
}

#[test]
fn classifiers_are_compared_with_their_baselines_and_variants() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    // Patches of one pixel leave eight rows for three halvings.
    let small = &["--set", "model.stem.kernel=1"];
    for (task, ours, baseline, models, more) in [
        ("mnist", "cifar-classifier", ".mlp", 3, &[][..]),
        ("cifar", "cifar-classifier", ".mlp", 5, &[]),
        ("mnist-fast", "cifar-classifier.fast", "-mlp", 3, small),
        ("cifar-fast", "cifar-classifier.fast", "-mlp", 3, small),
    ] {
        let settings = [TINY_CLASSIFIERS, more].concat();
        let ran = zoo.zoo(&compare(task, task, &settings)).expect(0);
        assert!(
            ran.stdout.contains(&format!("| {ours}{baseline} |")),
            "{}",
            ran.stdout
        );
        let rows = results(&zoo, task);
        assert_eq!(rows[0][4..], ["accuracy", "loss"]);
        assert_eq!(rows.len(), 1 + 2 * models);
        let record = zoo.path(&format!("{task}/runs/digits/{ours}-seed-1/training.json"));
        let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        assert_eq!(
            (&record["seed"], &record["recipe"]["epochs"]),
            (&1.into(), &2.into())
        );
    }
}

#[test]
fn wrong_comparisons_are_refused_and_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let refused = |args: &[&str], parts: &[&str]| {
        zoo.zoo(&[&["compare"], args].concat()).refused(parts);
        assert!(!zoo.path("comparisons").exists(), "{args:?}");
    };
    refused(
        &["generation", "--set", "model.latnet=3"],
        &["model.latnet", "model.latent"],
    );
    refused(&["mnist", "--epochs", "0"], &["epochs"]);
    refused(&["poisson", "--epochs", "3"], &["--epochs", "--set"]);
    refused(
        &["poisson", "--models", "poisson-solver,cifar-classifier"],
        &["`--models cifar-classifier`", "poisson-solver.kan"],
    );
    // Data that cannot be had fail the first run, and no sample stands in for them.
    let ran = zoo.zoo(&[
        "compare",
        "generation",
        "--data",
        "nowhere",
        "--out",
        "lost",
    ]);
    ran.refused(&["nowhere", "image-generator"]);
    // Other settings do not mix with a comparison that is there.
    zoo.zoo(&compare("generation", "one", TINY_GENERATOR))
        .expect(0);
    let more = [TINY_GENERATOR, &["--set", "model.latent=5"]].concat();
    zoo.zoo(&compare("generation", "one", &more))
        .refused(&["`one`", "other settings", "--out"]);
}
