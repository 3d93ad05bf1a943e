//! The binary in a directory of its own, and small datasets for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A fresh directory with an empty home, and `zoo` to run in it.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Results.
    pub stdout: String,
    /// Progress and logs.
    pub stderr: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// This, after checking the exit code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that the command was refused in one sentence which contains all of `parts`.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) {
        assert_eq!(self.code, 2, "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "{}", self.stderr);
        for part in parts {
            assert!(last.contains(part), "`{part}` is not in: {last}");
        }
    }
}

/// The binary that this run of the tests built.
///
/// # Panics
/// When there is none: run the tests of the whole workspace, which build it.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let target = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE");
    let path = target.join(format!("zoo{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "`{}` is missing; run `cargo test --workspace`",
        path.display()
    );
    path
}

impl Workspace {
    /// A workspace in `root`, which should be empty.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// A path within.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// `zoo` with these arguments, without network or home, on one thread.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(&self.root)
            .env_clear()
            .env("HOME", &self.root)
            .env("HF_HUB_OFFLINE", "1")
            .env("RAYON_NUM_THREADS", "1")
            // Where a program that was built for a GPU finds the libraries that it computes with.
            .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `zoo` to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn zoo(&self, args: &[&str]) -> Ran {
        self.run(self.command(args))
    }

    /// Runs a command, one of [`Workspace::command`] with another environment, to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, mut command: Command) -> Ran {
        Ran::new(command.output().expect("zoo starts"))
    }

    /// Runs `zoo` with `input` on stdin.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn zoo_with_stdin(&self, args: &[&str], input: &str) -> Ran {
        let file = self.path("stdin.txt");
        fs::write(&file, input).expect("the workspace is writable");
        let input = fs::File::open(&file).expect("it was just written");
        let output = self.command(args).stdin(input).output();
        Ran::new(output.expect("zoo starts"))
    }

    /// Starts a training run into `out` and kills it once `steps` steps of it are saved.
    ///
    /// # Panics
    /// When it ends before, takes two minutes, or leaves a model.
    pub fn kill_once_saved(&self, args: &[&str], out: &str, steps: u64) {
        let mut child = self.command(args).spawn().expect("zoo starts");
        let started = Instant::now();
        let checkpoints = self.path(out).join("checkpoints");
        loop {
            let saved = fs::read_dir(&checkpoints)
                .into_iter()
                .flatten()
                .filter_map(|e| {
                    let name = e.ok()?.file_name().into_string().ok()?;
                    name.strip_prefix("step-")?.parse::<u64>().ok()
                })
                .max();
            if saved.is_some_and(|saved| saved >= steps) {
                break;
            }
            let ended = child.try_wait().expect("it is a child");
            assert!(ended.is_none(), "it ended before the kill");
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::yield_now();
        }
        child.kill().expect("it is a child");
        child.wait().expect("it is a child");
        assert!(!self.path(out).join("model.safetensors").exists());
    }

    /// Writes a series that the pretrained forecaster takes: a load every hour of January 2024, as CSV.
    ///
    /// # Panics
    /// When the workspace cannot be written.
    pub fn write_hours(&self, name: &str) {
        let mut text = String::from("ts,y\n");
        for hour in 0..744 {
            let load = 2000.0 + 400.0 * (std::f64::consts::TAU * f64::from(hour) / 24.0).sin();
            let (day, hour) = (1 + hour / 24, hour % 24);
            text += &format!("2024-01-{day:02} {hour:02}:00:00,{load}\n");
        }
        fs::write(self.path(name), text).expect("the workspace is writable");
    }

    /// Starts `zoo`, interrupts it as Ctrl-C does once `saved` holds, and waits for its end.
    ///
    /// # Panics
    /// When it takes two minutes until then.
    #[cfg(unix)]
    pub fn interrupt_once(&self, args: &[&str], saved: impl Fn() -> bool) -> Ran {
        let child = self.command(args).spawn().expect("zoo starts");
        let started = Instant::now();
        while !saved() {
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::yield_now();
        }
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.expect("there is a `kill`").success());
        Ran::new(child.wait_with_output().expect("it is a child"))
    }

    /// Writes a small dataset of two easy classes in IDX files: `train` and `test` images of 8×8 grey pixels, bright on
    /// the left (0) or on the right (1), with noise.
    ///
    /// # Panics
    /// When the workspace cannot be written.
    pub fn write_digits(&self, name: &str, train: usize, test: usize) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).expect("the workspace is writable");
        let mut state = 1u32;
        for (part, count) in [("train", train), ("t10k", test)] {
            let mut images = vec![0, 0, 8, 3];
            let mut labels = vec![0, 0, 8, 1];
            for size in [count as u32, 8, 8] {
                images.extend(size.to_be_bytes());
            }
            labels.extend((count as u32).to_be_bytes());
            for i in 0..count {
                let label = (i % 2) as u8;
                labels.push(label);
                images.extend((0..64).map(|pixel| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = (state >> 25) as u8;
                    let right = u8::from(pixel % 8 >= 4);
                    noise + if right == label { 100 } else { 0 }
                }));
            }
            let write = |kind: &str, bytes: &[u8]| {
                fs::write(dir.join(format!("{part}-{kind}-ubyte")), bytes).expect("writable");
            };
            write("images-idx3", &images);
            write("labels-idx1", &labels);
        }
    }
}

/// Arguments that shrink the classifier so that a run takes moments. The two classes of
/// [`Workspace::write_digits`] are mirror images: no flips.
pub const TINY: &[&str] = &[
    "--set",
    "augment.flip=none",
    "--set",
    "optimizer.learning_rate=0.02",
    "--set",
    "ema.decay=0",
    "--set",
    "model.widths=[4,4]",
    "--set",
    "model.convs=1",
    "--set",
    "batch_size=8",
    "--set",
    "augment.translate=1",
];

/// Arguments that shrink the image generator so that a run takes moments.
pub const TINY_GENERATOR: &[&str] = &[
    "--set",
    "model.height=8",
    "--set",
    "model.width=8",
    "--set",
    "model.widths=[4,8]",
    "--set",
    "model.features=4",
    "--set",
    "model.latent=6",
    "--set",
    "batch_size=8",
];
