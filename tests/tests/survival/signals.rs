//! Signals that ask a process to end.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use end_to_end::peer;
use end_to_end::zoo::{TINY_GENERATOR, Workspace, binary};

use crate::given::{FIELD, assert_same, checkpoints, files, train, workspace};

/// Each signal with the exit code that tells of it.
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];

/// Long enough to be interrupted, with a state only where a signal asks for one.
const LONG: &[&str] = &["--epochs", "200"];

fn send(signal: &str, child: &Child) {
    send_to(signal, &child.id().to_string());
}

/// Sends a signal to a process, or to a group of them by its number with a `-` before it.
fn send_to(signal: &str, whom: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, "--", whom])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until `holds`, for a minute at most.
#[track_caller]
fn until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The end of a process that was told to end, which must come soon.
#[track_caller]
fn end(child: Child, what: &str) -> Output {
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    // A second on a machine that does nothing else.
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{what}: {took:?}");
    output
}

/// The command that fits a surface from many starts.
fn field(out: &str) -> Vec<&str> {
    [FIELD, &["--set", "starts=300", "--out", out]].concat()
}

#[test]
fn every_signal_saves_and_the_resumed_run_ends_in_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&train("whole", LONG)).expect(0);
    zoo.zoo(&field("whole-field")).expect(0);
    for (signal, code) in SIGNALS {
        let (run, fitted) = (format!("run-{signal}"), format!("field-{signal}"));
        for (args, out, whole) in [
            (train(&run, LONG), &run, "whole"),
            (field(&fitted), &fitted, "whole-field"),
        ] {
            let child = zoo.command(&args).spawn().unwrap();
            until(|| !checkpoints(&zoo.path(out)).is_empty());
            send(signal, &child);
            let output = end(child, signal);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{stderr}");
            let advice = format!("zoo train --resume {out}");
            assert!(stderr.contains(&advice), "{stderr}");
            assert!(!zoo.path(out).join(".zoo-lock").exists());
            zoo.zoo(&["train", "--resume", out]).expect(0);
            assert_same(&zoo.path(whole), &zoo.path(out));
        }
    }
    let help = zoo.zoo(&["--help"]).expect(0).stdout;
    for part in ["130", "143", "129", "SIGTERM", "SIGHUP"] {
        assert!(help.contains(part), "`{part}`: {help}");
    }
}

/// The command that trains a generator and takes its time to measure it.
fn generator(out: &str) -> Vec<&str> {
    let model = ["train", "image-generator", "--data", "digits", "--out", out];
    let set = ["--epochs", "2", "--set", "validation.fraction=0.5"];
    let slow = ["--set", "evaluation_batch_size=1"];
    [&model[..], TINY_GENERATOR, &set, &slow].concat()
}

/// Wherever in an epoch a signal comes: in its steps, while held-out examples or the test part are measured, or while
/// what belongs to the trained network is found.
#[test]
fn a_signal_at_any_time_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.write_digits("digits", 200, 400);
    let started = Instant::now();
    zoo.zoo(&generator("whole")).expect(0);
    let whole = started.elapsed();
    let mut saved = 0;
    const MOMENTS: u32 = 8;
    for moment in 1..MOMENTS {
        let out = format!("run-{moment}");
        let child = zoo.command(&generator(&out)).spawn().unwrap();
        std::thread::sleep(whole * moment / MOMENTS);
        send("TERM", &child);
        let output = end(child, &out);
        match output.status.code() {
            // It was at its end, or at its start, with nothing to save.
            Some(0) => {}
            Some(143) if !zoo.path(&out).join("training.json").exists() => {
                zoo.zoo(&generator(&out)).expect(0);
            }
            Some(143) => {
                saved += 1;
                zoo.zoo(&["train", "--resume", &out]).expect(0);
            }
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
        assert_same(&zoo.path("whole"), &zoo.path(&out));
    }
    assert!(saved > 0);
}

#[test]
fn a_second_signal_ends_a_process_at_once() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let child = zoo.command(&train("run", LONG)).spawn().unwrap();
    until(|| !checkpoints(&zoo.path("run")).is_empty());
    for _ in 0..2 {
        send("TERM", &child);
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = end(child, "two signals");
    assert_eq!(output.status.code(), Some(143));
    zoo.zoo(&train("whole", LONG)).expect(0);
    zoo.zoo(&["train", "--resume", "run"]).expect(0);
    assert_same(&zoo.path("whole"), &zoo.path("run"));
}

/// A terminal that goes away does not end what was started to outlive it.
#[test]
fn a_run_under_nohup_lives_on() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let Some(nohup) = peer::program("NOHUP", "nohup") else {
        return;
    };
    let mut command = under(&zoo, nohup.to_str().unwrap(), &[], &train("run", LONG));
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    until(|| !checkpoints(&zoo.path("run")).is_empty());
    send("HUP", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(zoo.path("run/model.safetensors").exists());
}

/// `zoo` started by another program.
fn under(zoo: &Workspace, program: &str, before: &[&str], args: &[&str]) -> Command {
    let plain = zoo.command(args);
    let mut command = Command::new(program);
    command.args(before).arg(binary()).args(args);
    command.current_dir(zoo.path("."));
    command.env_clear();
    command.envs(
        plain
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_time_limit_is_a_signal_like_any_other() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let Some(timeout) = peer::program("TIMEOUT", "timeout") else {
        return;
    };
    zoo.zoo(&train("whole", LONG)).expect(0);
    let limit = ["--preserve-status", "-s", "TERM", "1.5"];
    let endless = ["--epochs", "100000"];
    let mut command = under(
        &zoo,
        timeout.to_str().unwrap(),
        &limit,
        &train("run", &endless),
    );
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(143), "{stderr}");
    assert!(stderr.contains("zoo train --resume run"), "{stderr}");
}

/// What ends other programs by default does not end the first process of a container.
#[test]
fn the_first_process_of_a_container_takes_signals_too() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let enter: &[&str] = &[
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let works = |enter: &[&str]| {
        let tried = Command::new("unshare").args(enter).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(enter) = [enter, &enter[2..]].into_iter().find(|enter| works(enter)) else {
        return peer::left_out("`unshare` that may make a namespace of processes", false)
            .unwrap_or_default();
    };
    // The first process, and no child of it that could be told apart by nobody.
    let bench = ["bench", "mixture-4096-256-256-4", "--seconds", "600"];
    let long = train("run", &["--epochs", "100000"]);
    for (args, begun) in [(&long[..], true), (&bench, false)] {
        let parent = under(&zoo, "unshare", enter, args).spawn().unwrap();
        match begun {
            true => until(|| !checkpoints(&zoo.path("run")).is_empty()),
            false => std::thread::sleep(Duration::from_millis(700)),
        }
        let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", parent.id()));
        let child = child.unwrap().trim().to_string();
        send_to("TERM", &child);
        let output = end(parent, "container");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(143), "{stderr}");
        if begun {
            assert!(stderr.contains("zoo train --resume run"), "{stderr}");
        }
    }
}

#[test]
fn what_has_nothing_to_save_ends_with_the_code_of_the_signal() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    fs::create_dir(zoo.path("photos")).unwrap();
    for i in 0..400u32 {
        let image =
            image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * i) as u8, y as u8, 9]));
        image.save(zoo.path(&format!("photos/{i}.png"))).unwrap();
    }
    let before = files(root.path());
    let one = ["bench", "mixture-4096-256-256-4", "--seconds", "600"];
    let two = [
        "bench",
        "mixture-4096-256-256-4",
        "mixture-4096-256-256-1",
        "--seconds",
        "600",
    ];
    let plot = ["bench", "--seconds", "600", "--plot", "cost.svg"];
    let infer = ["infer", "cifar-classifier", "photos", "--batch-size", "1"];
    for args in [&one[..], &two, &plot, &infer] {
        for (signal, code) in SIGNALS {
            let mut child = zoo.command(args).process_group(0).spawn().unwrap();
            if args[0] == "infer" {
                // It has begun to print.
                let mut byte = [0];
                child
                    .stdout
                    .as_mut()
                    .unwrap()
                    .read_exact(&mut byte)
                    .unwrap();
            } else {
                std::thread::sleep(Duration::from_millis(500));
            }
            match args[0] == "bench" && args.len() > 4 {
                // As a terminal sends it, to all that runs there.
                true => send_to(signal, &format!("-{}", child.id())),
                false => send(signal, &child),
            }
            let output = end(child, &args.join(" "));
            assert_eq!(output.status.signal(), None);
            assert_eq!(output.status.code(), Some(code), "{args:?}");
            assert!(files(root.path()) == before, "{args:?} left a file");
        }
    }
}

/// The command that compares two seeds of one model.
fn compare(out: &str) -> Vec<&str> {
    let task = ["compare", "surfaces", "--data", "ripple", "--seeds", "2"];
    let models = ["--models", "surface-fitter.mlp", "--out", out];
    let starts = ["--set", "starts=300"];
    [&task[..], &models, &FIELD[2..], &starts].concat()
}

#[test]
fn a_comparison_that_is_told_to_end_goes_on_with_the_same_command() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    zoo.zoo(&compare("whole")).expect(0);
    for (signal, code) in SIGNALS {
        let out = format!("both-{signal}");
        let run = format!("{out}/runs/ripple/surface-fitter.mlp-seed-1");
        let child = zoo.command(&compare(&out)).spawn().unwrap();
        until(|| !checkpoints(&zoo.path(&run)).is_empty());
        send(signal, &child);
        let output = end(child, signal);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains("the same command goes on"), "{stderr}");
        zoo.zoo(&compare(&out)).expect(0);
        assert_same(&zoo.path("whole/runs"), &zoo.path(&format!("{out}/runs")));
        assert!(!zoo.path(&out).join(".zoo-lock").exists());
    }
}
