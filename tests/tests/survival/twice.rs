//! Two processes and one directory.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use end_to_end::zoo::Workspace;

use crate::given::{FIELD, assert_same, checkpoints, train, workspace};

const LONG: &[&str] = &["--epochs", "60", "--set", "checkpoint.every_steps=1"];

/// Starts a run into `out`, and waits until it has saved a state.
fn start(zoo: &Workspace, args: &[&str], out: &str) -> Child {
    let child = zoo.command(args).spawn().unwrap();
    let started = Instant::now();
    while checkpoints(&zoo.path(out)).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    child
}

#[test]
fn the_second_process_in_a_run_is_refused_and_the_first_is_not_disturbed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("whole", LONG)).expect(0);
    let first = start(&zoo, &train("run", LONG), "run");
    let process = format!("process {}", first.id());
    for args in [
        vec!["train", "--resume", "run"],
        train("run", LONG),
        train("run", &[LONG, &["--overwrite"]].concat()),
    ] {
        zoo.zoo(&args).refused(&[&process, "`run`", ".zoo-lock"]);
    }
    assert!(first.wait_with_output().unwrap().status.success());
    assert_same(&zoo.path("whole"), &zoo.path("run"));
    // What a killed process leaves locks nothing.
    zoo.kill_once_saved(&train("killed", LONG), "killed", 1);
    assert!(zoo.path("killed/.zoo-lock").exists());
    zoo.zoo(&["train", "--resume", "killed"]).expect(0);
    assert_same(&zoo.path("whole"), &zoo.path("killed"));
}

/// Of all that begin in one directory at the same moment one trains, and those that are refused leave it alone.
#[test]
fn of_many_that_begin_at_once_one_trains() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let args = ["--epochs", "4"];
    zoo.zoo(&train("whole", &args)).expect(0);
    for round in 0..4 {
        let out = format!("run-{round}");
        let start = |_| zoo.command(&train(&out, &args)).spawn().unwrap();
        let children: Vec<Child> = (0..4).map(start).collect();
        let ends = children.into_iter().map(|c| c.wait_with_output().unwrap());
        let (done, refused): (Vec<_>, Vec<_>) = ends.partition(|end| end.status.success());
        assert_eq!(done.len(), 1);
        for end in refused {
            assert_eq!(end.status.code(), Some(2));
            let stderr = String::from_utf8(end.stderr).unwrap();
            let busy = stderr.contains(".zoo-lock") || stderr.contains("holds a run");
            assert!(busy && stderr.lines().count() == 1, "{stderr}");
        }
        assert_same(&zoo.path("whole"), &zoo.path(&out));
    }
}

#[test]
fn the_second_process_in_a_comparison_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let task = ["compare", "surfaces", "--data", "ripple", "--seeds", "1"];
    let models = ["--models", "surface-fitter.mlp", "--out", "both"];
    let long = ["--set", "starts=1000"];
    let args = [&task[..], &models, &FIELD[2..], &long].concat();
    let mut first = start(&zoo, &args, "both/runs/ripple/surface-fitter.mlp-seed-0");
    let process = format!("process {}", first.id());
    zoo.zoo(&args).refused(&[&process, "`both`", ".zoo-lock"]);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_directory_that_is_removed_under_a_run_is_not_made_again() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let run = start(&zoo, &train("run", LONG), "run");
    // In one step: while a tree is being removed, the run goes on to write into it.
    fs::rename(zoo.path("run"), zoo.path("gone")).unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.starts_with("error: ") && last.contains("`run`") && last.contains("removed or moved"),
        "{stderr}"
    );
    assert!(!zoo.path("run").exists());
    // It was moved: what it has is there.
    zoo.zoo(&train("whole", LONG)).expect(0);
    zoo.zoo(&["train", "--resume", "gone"]).expect(0);
    assert_same(&zoo.path("whole"), &zoo.path("gone"));
}
