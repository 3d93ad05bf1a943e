//! A small repository, a server that lies about it on demand, and a cache of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use zoo::hub::{
    HubError, Overrides, Progress, RepoKind, Request, Retry, Revision, Settings, Silent, Snapshot,
    Token, download,
};

use crate::hub_server::{COMMIT, Fault, HubServer, RepoFile};

/// The token of every request.
pub const TOKEN: &str = "hf_do_not_tell";
/// Large enough that a cut connection leaves something behind.
const WEIGHTS: usize = 300_000;

/// Three files on a server, and settings to fetch them with.
pub struct Fixture {
    /// The server.
    pub server: HubServer,
    /// Three tries, without pauses worth naming.
    pub settings: Settings,
    /// What the server has.
    pub files: Vec<RepoFile>,
    /// Holds the cache in `hub`.
    pub home: TempDir,
}

impl Fixture {
    /// A configuration, an empty file and 300 kB of weights.
    ///
    /// # Panics
    /// When the system refuses, like everything here.
    #[allow(clippy::new_without_default)] // It starts a server.
    pub fn new() -> Self {
        let weights: Vec<u8> = (0..WEIGHTS).map(|i| (i * i / 7 % 251) as u8).collect();
        Self::with_files(vec![
            RepoFile::small("config.json", "{\"architecture\": \"classifier\"}\n"),
            RepoFile::small("data/empty.txt", ""),
            RepoFile::large("model.safetensors", weights),
        ])
    }

    /// A server with these files.
    pub fn with_files(files: Vec<RepoFile>) -> Self {
        let server = HubServer::start(files.clone()).unwrap();
        let home = TempDir::new().unwrap();
        let overrides = Overrides {
            endpoint: Some(server.endpoint()),
            token: Token::new(TOKEN, "the test").unwrap(),
            cache: Some(home.path().join("hub")),
            offline: false,
        };
        let mut settings = Settings::resolve_from(&overrides, &|_| None).unwrap();
        settings.retry = Retry {
            attempts: 3,
            pause: Duration::from_millis(1),
        };
        Self {
            server,
            settings,
            files,
            home,
        }
    }

    /// Downloads what matches.
    ///
    /// # Errors
    /// Those of [`download`].
    pub fn get(&self, patterns: &[&str]) -> Result<Snapshot, HubError> {
        self.get_with(patterns, &self.settings, &Silent)
    }

    /// Takes what matches from the cache.
    ///
    /// # Errors
    /// Those of [`download`].
    pub fn get_offline(&self, patterns: &[&str]) -> Result<Snapshot, HubError> {
        let settings = Settings {
            offline: true,
            ..self.settings.clone()
        };
        self.get_with(patterns, &settings, &Silent)
    }

    /// Downloads with other settings.
    ///
    /// # Errors
    /// Those of [`download`].
    pub fn get_with(
        &self,
        patterns: &[&str],
        settings: &Settings,
        progress: &dyn Progress,
    ) -> Result<Snapshot, HubError> {
        let request = Request {
            repo: &"me/tiny".parse().unwrap(),
            kind: RepoKind::Model,
            revision: &Revision::main(),
            patterns,
        };
        download(&request, settings, progress)
    }

    /// The repository in the cache.
    pub fn repo(&self) -> PathBuf {
        self.settings.cache.join("models--me--tiny")
    }

    /// The bytes of one file in the cache.
    pub fn blob(&self, index: usize) -> PathBuf {
        self.repo().join("blobs").join(self.files[index].etag())
    }

    /// All files are there, as they should be.
    pub fn assert_whole(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.commit, COMMIT);
        assert_eq!(snapshot.files.len(), self.files.len());
        for (path, file) in snapshot.files.iter().zip(&self.files) {
            assert_eq!(path, &snapshot.dir.join(&file.path));
            assert!(fs::read(path).unwrap() == file.bytes, "{}", file.path);
        }
    }

    /// No snapshot, no reference, and among the blobs only what is whole (or `allowed`).
    pub fn assert_clean(&self, allowed: &[PathBuf]) {
        assert!(!self.repo().join("snapshots").exists());
        assert!(!self.repo().join("refs").exists());
        for blob in walk(&self.repo().join("blobs")) {
            let whole = self
                .files
                .iter()
                .any(|file| blob.ends_with(file.etag()) && fs::read(&blob).unwrap() == file.bytes);
            assert!(
                whole || allowed.contains(&blob),
                "{} was left",
                blob.display()
            );
        }
    }

    /// The fault leads to one sentence with this part in it, the cache stays clean, and the same
    /// download works once the fault is gone.
    pub fn assert_refused(&self, fault: Fault, part: &str) -> HubError {
        self.server.set_fault(fault.clone());
        let error = self.get(&["model.safetensors"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{fault:?}: {text}");
        for forbidden in ["\n", TOKEN, "signature"] {
            assert!(!text.contains(forbidden), "{text}");
        }
        self.assert_clean(&[]);
        self.server.set_fault(Fault::None);
        self.assert_whole(&self.get(&[]).unwrap());
        error
    }
}

/// All files below a directory.
pub fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in fs::read_dir(dir).into_iter().flatten().flatten() {
        match item.path() {
            path if path.is_dir() && !path.is_symlink() => files.extend(walk(&path)),
            path => files.push(path),
        }
    }
    files
}

/// What a user is told.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Progress for Notes {
    fn start(&self, _files: usize, _bytes: u64) {}
    fn file(&self, _path: &str) {}
    fn position(&self, _bytes: u64) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
    fn finish(&self) {}
}
