//! `shardline`, an independent server that speaks the Hub's protocol and keeps large files in a real Xet store.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::peer;

const STATE: &str = ".shardline";
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server with a store of its own; it ends when dropped.
#[derive(Debug)]
pub struct Shardline {
    program: PathBuf,
    root: TempDir,
    address: String,
    server: Child,
}

impl Shardline {
    /// Starts the program that `ZOO_SHARDLINE` names, or that is on the PATH, on a free port of loopback; `None` where
    /// there is none.
    ///
    /// # Panics
    /// When it does not start, or is missing and required.
    pub fn start() -> Option<Self> {
        let program = peer::program("ZOO_SHARDLINE", "shardline")?;
        let root = TempDir::new().unwrap();
        let setup = command(&program, root.path())
            .args(["providerless", "setup"])
            .output();
        peer::printed(&setup.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let file = root.path().join(STATE).join("providerless.env");
        let made = fs::read_to_string(&file).unwrap();
        let own = ["SHARDLINE_BIND_ADDR=", "SHARDLINE_PUBLIC_BASE_URL="];
        let kept = made
            .lines()
            .filter(|line| !own.iter().any(|key| line.starts_with(key)));
        let mut text: String = kept.map(|line| format!("{line}\n")).collect();
        text += &format!("SHARDLINE_BIND_ADDR={address}\n");
        text += &format!("SHARDLINE_PUBLIC_BASE_URL=http://{address}\n");
        text += "SHARDLINE_DEPLOYMENT_MODE=authenticated\n";
        text += &format!("SHARDLINE_HUB_WEBHOOK_SECRET_KEY={}\n", "k".repeat(32));
        fs::write(&file, text).unwrap();
        let log = File::create(root.path().join("log")).unwrap();
        let server = command(&program, root.path())
            .args(["serve", "--env-file"])
            .arg(&file)
            .args(["--frontend", "xet", "--frontend", "hub"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut started = Self {
            program,
            root,
            address,
            server,
        };
        started.wait();
        Some(started)
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.server.try_wait().unwrap().is_some();
            if ended || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.root.path().join("log")).unwrap();
                panic!("shardline does not start:\n{log}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token with the scope `read` or `write` for the repository `me/NAME` alone.
    ///
    /// # Panics
    /// When the program refuses.
    pub fn token(&self, scope: &str, name: &str) -> String {
        let key = self.root.path().join(STATE).join("token-signing-key");
        let output = command(&self.program, self.root.path())
            .args(["admin", "token", "--issuer", "local", "--subject", "me"])
            .args(["--scope", scope, "--provider", "generic"])
            .args(["--owner", "me", "--repo", name, "--ttl-seconds", "86400"])
            .arg("--key-file")
            .arg(key)
            .output();
        peer::printed(&output.unwrap()).trim().to_owned()
    }
}

impl Drop for Shardline {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn command(program: &Path, root: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .env_clear()
        .env("HOME", root)
        .stdin(Stdio::null());
    command
}
