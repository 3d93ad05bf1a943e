//! Runs that take moments, and what they leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use end_to_end::zoo::{TINY, Workspace};

pub(crate) const MODEL: &str = "cifar-classifier.plain";

/// A network over the plane that is fitted in moments.
pub(crate) const FIELD: &[&str] = &[
    "train",
    "surface-fitter.mlp",
    "--set",
    "model.hidden=[3]",
    "--set",
    "points=8",
    "--set",
    "selection_points=0",
    "--set",
    "starts=1",
    "--set",
    "adam_iterations=2",
    "--set",
    "lbfgs_iterations=1",
    "--set",
    "levenberg_marquardt_iterations=1",
    "--set",
    "final_iterations=1",
];

/// A workspace with a few images in `digits`.
pub(crate) fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 24, 8);
    zoo
}

/// The command that trains a tiny classifier on them into `out`.
pub(crate) fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", MODEL, "--data", "digits", "--out", out];
    [&args[..], TINY, more].concat()
}

/// The files below `dir` with their bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(below) = todo.pop() {
        for entry in fs::read_dir(&below).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Checks that two directories hold the same files with the same bytes.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}

/// The names of a run's checkpoints, oldest first.
pub(crate) fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
    let names = entries
        .flatten()
        .map(|e| e.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("step-")).collect();
    names.sort();
    names
}

/// Copies a directory.
#[cfg(unix)]
pub(crate) fn copy(zoo: &Workspace, from: &str, to: &str) {
    let mut command = std::process::Command::new("cp");
    command.arg("-r").arg(zoo.path(from)).arg(zoo.path(to));
    assert!(command.status().unwrap().success());
}
