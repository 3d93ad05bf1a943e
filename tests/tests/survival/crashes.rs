//! A kill at every change on disk.
//!
//! `crash.c` is loaded into the program and ends it at the Nth call that changes something below a directory. Whatever
//! state that leaves, the same command or the one that its error advises must lead to the bytes of an undisturbed run,
//! with nothing else beside them. With `ZOO_EVERY_CRASH=1` every N is tried, without it some.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::peer;
use end_to_end::zoo::{Ran, Workspace};

use crate::given::{FIELD, assert_same, copy, files, train, workspace};

/// Points that are tried of each command where not all are.
const SOME: u64 = 9;

/// The library that ends a process; nothing without a C compiler.
fn library(root: &Path) -> Option<PathBuf> {
    let compiler = peer::program("CC", "cc")?;
    let path = root.join("crash.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survival/crash.c");
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&path)
        .arg(source)
        .arg("-ldl");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(path)
}

/// One command under test.
struct Case<'a> {
    name: &'a str,
    /// The command, which writes into the directory `run`.
    args: Vec<&'a str>,
    /// Makes the state that it begins in.
    prepare: &'a dyn Fn(&Workspace),
    /// Whether the result is what an undisturbed command left in `whole`.
    check: &'a dyn Fn(&Path, &Path),
}

/// The workspace with the library that kills.
struct Killer<'a> {
    zoo: &'a Workspace,
    library: &'a Path,
}

impl Killer<'_> {
    /// Runs a command that ends at its change number `at` below `run`; 0 for none.
    fn run(&self, args: &[&str], at: u64) -> Ran {
        let mut command = self.zoo.command(args);
        command
            .env("LD_PRELOAD", self.library)
            .env("ZOO_CRASH_BELOW", self.zoo.path("run"))
            .env("ZOO_CRASH_AT", at.to_string())
            .env("ZOO_CRASH_COUNT", self.zoo.path("count"));
        self.zoo.run(command)
    }

    fn begin(&self, case: &Case<'_>) {
        if self.zoo.path("run").exists() {
            fs::remove_dir_all(self.zoo.path("run")).unwrap();
        }
        (case.prepare)(self.zoo);
    }

    /// Goes on after a kill: by the same command, or by the one that its error advises.
    fn recover(&self, args: &[&str]) -> Ran {
        let ran = self.zoo.zoo(args);
        if ran.code != 2 {
            return ran;
        }
        let advised = ran
            .stderr
            .split('`')
            .find_map(|part| part.strip_prefix("zoo "));
        match advised.filter(|command| command.starts_with("train --resume ")) {
            Some(command) => self.zoo.zoo(&command.split(' ').collect::<Vec<_>>()),
            None => ran,
        }
    }

    /// Kills `case` at every change, or at some of them.
    fn everywhere(&self, case: &Case<'_>) {
        self.begin(case);
        self.run(&case.args, 0).expect(0);
        let whole = self.zoo.path("whole");
        if whole.exists() {
            fs::remove_dir_all(&whole).unwrap();
        }
        fs::rename(self.zoo.path("run"), &whole).unwrap();
        let changes = fs::read_to_string(self.zoo.path("count")).unwrap();
        let changes: u64 = changes.trim().parse().unwrap();
        assert!(changes > 20, "{}: {changes} changes", case.name);
        let all = std::env::var_os("ZOO_EVERY_CRASH").is_some_and(|value| value == "1");
        let step = if all { 1 } else { changes.div_ceil(SOME) };
        let mut tried = 0;
        // The last changes are always among them.
        for at in (1..=changes).rev().step_by(step as usize) {
            self.begin(case);
            let killed = self.run(&case.args, at);
            assert_eq!(killed.code, 137, "{} at {at}: {}", case.name, killed.stderr);
            let state: Vec<String> = files(&self.zoo.path(".")).into_keys().collect();
            // One who does not know how far it came may try to go on with it first.
            if at % 2 == 0 && case.args[0] == "train" {
                let resumed = self.zoo.zoo(&["train", "--resume", "run"]);
                let begin = ["again", "no such directory"];
                let again = begin.iter().any(|part| resumed.stderr.contains(part));
                let done = resumed.code == 0 || (resumed.code == 2 && again);
                assert!(done, "{} at {at}: {}{state:?}", case.name, resumed.stderr);
            }
            let ran = self.recover(&case.args);
            let refused = ran.code == 2 && ran.stderr.contains("holds a run");
            let what = format!("{} at {at}: {} {state:?}", case.name, ran.stderr);
            assert!(ran.code == 0 && !refused, "{what}");
            (case.check)(&whole, &self.zoo.path("run"));
            tried += 1;
        }
        // The count belongs to what a run of all points reports.
        #[expect(clippy::print_stdout)]
        {
            let name = case.name;
            println!("{name}: {tried} of {changes} changes tried, every state left");
        }
    }
}

#[test]
fn every_state_of_a_killed_command_is_left_by_it_or_by_what_it_advises() {
    let root = tempfile::tempdir().unwrap();
    // As the system calls it.
    let place = root.path().canonicalize().unwrap();
    let zoo = workspace(&place);
    let Some(library) = library(&place) else {
        return;
    };
    let killer = Killer {
        zoo: &zoo,
        library: &library,
    };
    let two_steps = [
        "--epochs",
        "1",
        "--set",
        "checkpoint.every_steps=1",
        "--set",
        "batch_size=12",
    ];
    let nothing = |_: &Workspace| {};
    let trained = train("run", &two_steps);
    killer.everywhere(&Case {
        name: "train",
        args: trained.clone(),
        prepare: &nothing,
        check: &assert_same,
    });
    let field = [FIELD, &["--set", "starts=2", "--out", "run"]].concat();
    killer.everywhere(&Case {
        name: "train, a field",
        args: field,
        prepare: &nothing,
        check: &assert_same,
    });
    // Over a run of another network, beside a file of somebody else.
    let earlier = [FIELD, &["--out", "earlier", "--seed", "1"]].concat();
    zoo.zoo(&earlier).expect(0);
    fs::write(zoo.path("earlier/mine.txt"), "mine").unwrap();
    killer.everywhere(&Case {
        name: "train --overwrite",
        args: [&trained[..], &["--overwrite"]].concat(),
        prepare: &|zoo| copy(zoo, "earlier", "run"),
        check: &assert_same,
    });
    // From the first of two checkpoints on.
    let long = ["--epochs", "2", "--set", "checkpoint.every_steps=1"];
    zoo.kill_once_saved(&train("stopped", &long), "stopped", 1);
    killer.everywhere(&Case {
        name: "train --resume",
        args: vec!["train", "--resume", "run"],
        prepare: &|zoo| copy(zoo, "stopped", "run"),
        check: &assert_same,
    });
    let task = ["compare", "surfaces", "--data", "ripple", "--seeds", "1"];
    let models = ["--models", "surface-fitter.mlp", "--out", "run"];
    killer.everywhere(&Case {
        name: "compare",
        args: [&task[..], &models, &FIELD[2..], &["--set", "starts=2"]].concat(),
        prepare: &nothing,
        check: &|whole, run| {
            assert_same(&whole.join("runs"), &run.join("runs"));
            let names = |dir: &Path| files(dir).into_keys().collect::<Vec<_>>();
            assert_eq!(names(whole), names(run));
        },
    });
}
