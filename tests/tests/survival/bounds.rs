//! Requests out of bounds, and places that take nothing.

use std::fs;

use end_to_end::zoo::Workspace;

use crate::given::{FIELD, checkpoints, train, workspace};

#[test]
fn more_threads_than_a_machine_has_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for threads in ["100000", "1025", "-1", "18446744073709551616"] {
        let ran = zoo
            .zoo(&[&format!("--threads={threads}"), "list"])
            .expect(2);
        assert!(ran.stderr.contains("from 0 to 1024"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    let help = zoo.zoo(&["train", "--help"]).expect(0).stdout;
    assert!(help.contains("at most 1024"), "{help}");
}

#[test]
fn an_error_is_one_line_whatever_the_environment_says() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let long = ["--epochs", "40", "--set", "ema.decay=0.5"];
    zoo.kill_once_saved(&train("run", &long), "run", 1);
    // The tensor library's own errors say where they were made: of the state that a set of tensors is missing in.
    for step in checkpoints(&zoo.path("run")) {
        for file in ["SHA256SUMS", "average.safetensors"] {
            fs::remove_file(zoo.path(&format!("run/checkpoints/{step}/{file}"))).unwrap();
        }
    }
    for args in [["train", "--resume", "run"], ["eval", "nothing", "--quiet"]] {
        let mut command = zoo.command(&args);
        command.env("RUST_BACKTRACE", "1");
        let ran = zoo.run(command).expect(2);
        let after = ran.stderr.split("error: ").nth(1).unwrap();
        assert_eq!(after.trim_end().lines().count(), 1, "{}", ran.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_named() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let commands = [
        train("run", &["--epochs", "1", "--overwrite"]),
        vec!["eval", "run"],
        vec!["list"],
        vec!["list", "--format", "json"],
        vec!["inspect", "digits"],
        vec!["verify", "cifar-classifier"],
        vec!["bench", "mixture-8-4-2-1", "--seconds", "0"],
        vec!["completions", "bash"],
        vec!["--help"],
        vec!["train", "--help"],
        vec!["--version"],
        vec!["help", "train"],
        [FIELD, &["--out", "field"]].concat(),
    ];
    for args in commands {
        let mut command = zoo.command(&args);
        command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        let ran = zoo.run(command).expect(2);
        assert!(
            ran.stderr.contains("cannot write to stdout"),
            "{args:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn the_command_on_the_card_makes_the_same_model() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    fs::rename(zoo.path("digits"), zoo.path("my digits")).unwrap();
    fs::write(zoo.path("mine.toml"), "optimizer.weight_decay = 0.25\n").unwrap();
    let mut first = train(
        "first",
        &["--seed", "7", "--epochs", "2", "--recipe", "mine.toml"],
    );
    first[3] = "my digits";
    let field = [
        FIELD,
        &["--out", "field", "--data", "ripple", "--epochs", "9"],
    ]
    .concat();
    for (args, out) in [(first, "first"), (field, "field")] {
        zoo.zoo(&args).expect(0);
        let card = fs::read_to_string(zoo.path(out).join("README.md")).unwrap();
        let mut blocks = card.split("```\n");
        let command = blocks.find(|block| block.starts_with("zoo train")).unwrap();
        let command = command.trim();
        assert!(command.contains("--set"), "{command}");
        if cfg!(unix) {
            let mut shell = std::process::Command::new("sh");
            let binary = end_to_end::zoo::binary();
            let script = format!(
                "PATH={}; {command} --out again",
                binary.parent().unwrap().display()
            );
            shell.args(["-c", &script]).current_dir(root.path());
            shell
                .env_clear()
                .env("RAYON_NUM_THREADS", "1")
                .env("HF_HUB_OFFLINE", "1");
            let ran = shell.output().unwrap();
            assert!(
                ran.status.success(),
                "{script}: {}",
                String::from_utf8_lossy(&ran.stderr)
            );
            let weights = |dir: &str| fs::read(zoo.path(dir).join("model.safetensors")).unwrap();
            assert!(weights(out) == weights("again"), "{command}");
            fs::remove_dir_all(zoo.path("again")).unwrap();
        }
    }
}
