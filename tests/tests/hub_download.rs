//! The guarded download against a server that tells lies: each fault is refused or repaired, the
//! error is one sentence, and the cache is left clean.
#![cfg(feature = "hub")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use end_to_end::hub_server::{COMMIT, Fault, HubServer, RepoFile};
use tempfile::TempDir;
use zoo::hub::{
    HubError, Overrides, Progress, RepoId, RepoKind, Request, Retry, Revision, Settings, Silent,
    Snapshot, Token, download,
};

const TOKEN: &str = "hf_do_not_tell";
/// Large enough that a cut connection leaves something behind.
const WEIGHTS: usize = 300_000;

struct Fixture {
    server: HubServer,
    settings: Settings,
    files: Vec<RepoFile>,
    home: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let weights: Vec<u8> = (0..WEIGHTS).map(|i| (i * i / 7 % 251) as u8).collect();
        Self::with_files(vec![
            RepoFile::small("config.json", "{\"architecture\": \"classifier\"}\n"),
            RepoFile::small("data/empty.txt", ""),
            RepoFile::large("model.safetensors", weights),
        ])
    }

    fn with_files(files: Vec<RepoFile>) -> Self {
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

    fn get(&self, patterns: &[&str]) -> Result<Snapshot, HubError> {
        self.get_with(patterns, &self.settings, &Silent)
    }

    fn get_offline(&self, patterns: &[&str]) -> Result<Snapshot, HubError> {
        let settings = Settings {
            offline: true,
            ..self.settings.clone()
        };
        self.get_with(patterns, &settings, &Silent)
    }

    fn get_with(
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

    fn repo(&self) -> PathBuf {
        self.settings.cache.join("models--me--tiny")
    }

    fn blob(&self, index: usize) -> PathBuf {
        self.repo().join("blobs").join(self.files[index].etag())
    }

    /// All files are there, as they should be.
    fn assert_whole(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.commit, COMMIT);
        assert_eq!(snapshot.files.len(), self.files.len());
        for (path, file) in snapshot.files.iter().zip(&self.files) {
            assert_eq!(path, &snapshot.dir.join(&file.path));
            assert!(fs::read(path).unwrap() == file.bytes, "{}", file.path);
        }
    }

    /// No snapshot, no reference, and among the blobs only what is whole (or `allowed`).
    fn assert_clean(&self, allowed: &[PathBuf]) {
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
    fn assert_refused(&self, fault: Fault, part: &str) -> HubError {
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
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in fs::read_dir(dir).into_iter().flatten().flatten() {
        match item.path() {
            path if path.is_dir() && !path.is_symlink() => files.extend(walk(&path)),
            path => files.push(path),
        }
    }
    files
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn start(&self, _files: usize, _bytes: u64) {}
    fn file(&self, _path: &str) {}
    fn position(&self, _bytes: u64) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
    fn finish(&self) {}
}

#[test]
fn an_honest_server_fills_the_cache_as_python_does() {
    let fixture = Fixture::new();
    let snapshot = fixture.get(&[]).unwrap();
    fixture.assert_whole(&snapshot);
    assert_eq!(snapshot.dir, fixture.repo().join("snapshots").join(COMMIT));
    let reference = fs::read_to_string(fixture.repo().join("refs/main")).unwrap();
    assert_eq!(reference, COMMIT);
    let depths = ["../..", "../../..", "../.."];
    for ((path, file), depth) in snapshot.files.iter().zip(&fixture.files).zip(depths) {
        let target = Path::new(depth).join("blobs").join(file.etag());
        assert_eq!(fs::read_link(path).unwrap(), target);
    }
    let bearer = format!("Bearer {TOKEN}");
    for seen in fixture.server.take_seen() {
        assert_eq!(
            seen.header("authorization"),
            Some(bearer.as_str()),
            "{seen:?}"
        );
    }

    // The second time no file travels; offline no request at all.
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let seen = fixture.server.take_seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter().all(|seen| seen.line.contains("/api/")),
        "{seen:?}"
    );
    fixture.assert_whole(&fixture.get_offline(&[]).unwrap());
    assert!(fixture.server.take_seen().is_empty());
}

#[test]
fn patterns_choose_and_name_what_is_missing() {
    let fixture = Fixture::new();
    let snapshot = fixture.get(&["*.json"]).unwrap();
    assert_eq!(snapshot.files, [snapshot.dir.join("config.json")]);
    let text = fixture.get(&["*.json", "*.bin"]).unwrap_err().to_string();
    assert!(
        text.contains("`*.bin`") && text.contains("model.safetensors"),
        "{text}"
    );
    // The cache knows the whole list, so that it does not pass for complete.
    match fixture.get_offline(&[]).unwrap_err() {
        HubError::Offline { wanted, .. } => assert_eq!(wanted, "me/tiny/data/empty.txt"),
        error => panic!("{error}"),
    }
    fixture.get_offline(&["config.json"]).unwrap();
}

#[test]
fn a_dataset_has_its_own_addresses_and_folder() {
    let fixture = Fixture::with_files(vec![
        RepoFile::large("plain_text/test-00000-of-00001.parquet", "PAR1 test"),
        RepoFile::large("plain_text/train-00000-of-00001.parquet", "PAR1 train"),
    ]);
    let repo: RepoId = "uoft-cs/cifar10".parse().unwrap();
    let request = Request {
        repo: &repo,
        kind: RepoKind::Dataset,
        revision: &"v1".parse().unwrap(),
        patterns: &["*/test-*.parquet"],
    };
    let snapshot = download(&request, &fixture.settings, &Silent).unwrap();
    let folder = fixture.settings.cache.join("datasets--uoft-cs--cifar10");
    assert!(snapshot.dir.starts_with(folder));
    assert_eq!(fs::read(&snapshot.files[0]).unwrap(), b"PAR1 test");
    let seen = fixture.server.take_seen();
    let lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let file = "plain_text/test-00000-of-00001.parquet";
    assert_eq!(
        lines,
        [
            "GET /api/datasets/uoft-cs/cifar10/revision/v1".to_owned(),
            format!("GET /api/datasets/uoft-cs/cifar10/tree/{COMMIT}?recursive=true"),
            format!("GET /datasets/uoft-cs/cifar10/resolve/{COMMIT}/{file}"),
        ]
    );
}

#[test]
fn a_web_page_is_never_cached() {
    let sentence = "the server answered 403 for `me/tiny/model.safetensors`";
    let error = Fixture::new().assert_refused(Fault::Forbidden, sentence);
    assert!(!error.is_unreachable());
    Fixture::new().assert_refused(Fault::WebPage, "a web page of 70 bytes came instead");
}

#[test]
fn an_endless_503_ends_after_bounded_tries() {
    let fixture = Fixture::new();
    let error =
        fixture.assert_refused(Fault::Unavailable, "503 Service Unavailable, after 3 tries");
    assert!(error.is_unreachable());
    let asked = fixture.server.take_seen();
    let file = "/model.safetensors";
    let tries = asked
        .iter()
        .filter(|seen| seen.line.ends_with(file))
        .count();
    assert_eq!(tries, 3 + 1, "three in vain and the one that worked");
}

#[test]
fn half_a_body_is_refused() {
    Fixture::new().assert_refused(
        Fault::HalfBody,
        "the server announces 150000 bytes where its file list says 300000",
    );
}

#[test]
fn one_flipped_byte_is_repaired_once_and_refused_twice() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::FlippedByte(1));
    fixture.assert_whole(&fixture.get(&["*"]).unwrap());
    Fixture::new().assert_refused(
        Fault::FlippedByte(100),
        "arrived damaged twice (its hash begins with",
    );
}

#[test]
fn a_cut_connection_goes_on_where_it_stopped() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::CutAfter(110_000));
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let seen = fixture.server.take_seen();
    let mut starts = Vec::new();
    for seen in seen
        .iter()
        .filter(|seen| seen.line.ends_with("/model.safetensors"))
    {
        let range = seen.header("range").unwrap_or("bytes=0-");
        let start = range.trim_start_matches("bytes=").trim_end_matches('-');
        starts.push(start.parse::<usize>().unwrap());
    }
    assert_eq!(starts, [0, 110_000, 220_000]);
}

#[test]
fn a_download_that_was_given_up_is_taken_up_by_the_next_one() {
    let fixture = Fixture::new();
    fixture.server.set_fault(Fault::CutAfter(50_000));
    let error = fixture.get(&["model.safetensors"]).unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains("broke off"),
        "{error}"
    );
    let partial = fixture.blob(2).with_extension("incomplete");
    let had = fs::metadata(&partial).unwrap().len();
    assert_eq!(had, 150_000);
    fixture.assert_clean(std::slice::from_ref(&partial));

    fixture.server.set_fault(Fault::None);
    fixture.server.take_seen();
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    assert!(!partial.exists());
    let seen = fixture.server.take_seen();
    let resumed = seen
        .iter()
        .find(|seen| seen.line.ends_with("/model.safetensors"));
    let range = format!("bytes={had}-");
    assert_eq!(resumed.unwrap().header("range"), Some(range.as_str()));
}

#[test]
fn a_partial_file_that_is_damaged_does_not_stay() {
    let fixture = Fixture::new();
    let partial = fixture.blob(2).with_extension("incomplete");
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, vec![7; 1000]).unwrap();
    fixture.assert_whole(&fixture.get(&[]).unwrap());

    // And a server that continues at the wrong place is not believed.
    fs::remove_file(fixture.blob(2)).unwrap();
    fs::write(&partial, &fixture.files[2].bytes[..1000]).unwrap();
    fixture.server.set_fault(Fault::WrongPart);
    fixture.assert_whole(&fixture.get(&[]).unwrap());
}

#[test]
fn hostile_paths_write_nothing_anywhere() {
    for path in [
        "../../x",
        "/etc/x",
        "data/../../../x",
        "..\\..\\x",
        "C\\x",
        "a\0b",
        "x\u{1b}[2J",
        "",
        ".",
        "a//b",
    ] {
        let fixture = Fixture::new();
        fixture.server.set_fault(Fault::TreePath(path.to_owned()));
        let error = fixture.get(&[]).unwrap_err();
        assert!(
            matches!(error, HubError::UnsafePath { .. }),
            "{path:?}: {error}"
        );
        assert!(
            !error.to_string().contains(['\0', '\u{1b}', '\n']),
            "{error}"
        );
        assert!(walk(fixture.home.path()).is_empty(), "{path:?}");
    }
    // A file that is also a directory, and a path that comes twice.
    for path in ["config.json/x", "config.json"] {
        let fixture = Fixture::new();
        fixture.server.set_fault(Fault::TreePath(path.to_owned()));
        let error = fixture.get(&[]).unwrap_err();
        assert!(
            matches!(error, HubError::Protocol { .. }),
            "{path}: {error}"
        );
        assert!(walk(fixture.home.path()).is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_planted_link_does_not_lead_out_of_the_cache() {
    let fixture = Fixture::new();
    let outside = fixture.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let snapshot = fixture.repo().join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    std::os::unix::fs::symlink(&outside, snapshot.join("data")).unwrap();
    let error = fixture.get(&[]).unwrap_err();
    assert!(
        error.to_string().contains("leads out of its snapshot"),
        "{error}"
    );
    assert!(walk(&outside).is_empty());
}

#[test]
fn the_token_stays_with_its_host() {
    let fixture = Fixture::new();
    let other = HubServer::start(fixture.files.clone()).unwrap();
    fixture.server.set_fault(Fault::Redirect(other.endpoint()));
    fixture.assert_whole(&fixture.get(&[]).unwrap());
    let there = other.take_seen();
    assert_eq!(there.len(), fixture.files.len());
    for seen in there {
        assert!(!format!("{seen:?}").contains(TOKEN), "{seen:?}");
        assert_eq!(seen.header("authorization"), None);
    }
    let here = fixture.server.take_seen();
    assert!(
        here.iter()
            .all(|seen| seen.header("authorization").is_some())
    );
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    // The host that broke is named, the signature in its address is not.
    let fixture = Fixture::new();
    let other = HubServer::start(fixture.files.clone()).unwrap();
    other.set_fault(Fault::Unavailable);
    let error = fixture.assert_refused(Fault::Redirect(other.endpoint()), "503");
    let host = other.endpoint();
    let host = host.trim_start_matches("http://");
    assert!(error.to_string().contains(host), "{error}");

    let fixture = Fixture::new();
    let circle = Fault::Redirect(fixture.server.endpoint());
    fixture.assert_refused(circle, "goes round in circles");
    let local = Fault::Redirect("file://".to_owned());
    Fixture::new().assert_refused(local, "a redirect to nowhere");
}

#[test]
fn a_file_list_may_not_continue_elsewhere() {
    let fixture = Fixture::new();
    let other = HubServer::start(Vec::new()).unwrap();
    let path = format!("/api/models/me/tiny/tree/{COMMIT}?recursive=true");
    let next = Fault::NextPage(format!("{}{path}", other.endpoint()));
    fixture.assert_refused(next, "continues on another host");
    assert!(other.take_seen().is_empty());
    Fixture::new().assert_refused(Fault::NextPage(path), "a file list that has no end");
}

#[test]
fn etags_must_be_the_hashes_of_the_file_list() {
    let upper = format!("\"{}\"", "A".repeat(64));
    for etag in ["\"../../../x\"", "\"\"", "\"abc\"", "W/\"0123\"", &upper] {
        let fault = Fault::Etag(etag.to_owned());
        Fixture::new().assert_refused(fault, "is not 40 or 64 hexadecimal digits");
    }
    let other = Fault::Etag(format!("\"{}\"", "0".repeat(64)));
    Fixture::new().assert_refused(other, "is not the hash in its file list");
}

#[test]
fn a_byte_flipped_in_the_cache_is_noticed_and_repaired() {
    let fixture = Fixture::new();
    fixture.get(&[]).unwrap();
    for index in [0, 2] {
        let mut bytes = fs::read(fixture.blob(index)).unwrap();
        bytes[5] ^= 1;
        fs::write(fixture.blob(index), bytes).unwrap();
        let error = fixture.get_offline(&[]).unwrap_err();
        assert!(matches!(error, HubError::DamagedCache { .. }), "{error}");
        // Without the list the names of the blobs tell.
        fs::remove_dir_all(fixture.repo().join("trees")).unwrap();
        let error = fixture.get_offline(&[]).unwrap_err();
        assert!(matches!(error, HubError::DamagedCache { .. }), "{error}");

        let notes = Notes::default();
        fixture.assert_whole(&fixture.get_with(&[], &fixture.settings, &notes).unwrap());
        let notes = notes.0.into_inner().unwrap();
        assert!(
            notes.len() == 1 && notes[0].contains("is damaged"),
            "{notes:?}"
        );
        fixture.assert_whole(&fixture.get_offline(&[]).unwrap());
    }
}

#[test]
fn without_a_network_the_cache_serves_and_says_so() {
    let online = Fixture::new();
    online.get(&[]).unwrap();
    // A server at another port takes the place of the one that the settings name.
    let fixture = Fixture {
        server: HubServer::start(Vec::new()).unwrap(),
        settings: online.settings,
        files: online.files,
        home: online.home,
    };
    drop(online.server);
    let notes = Notes::default();
    fixture.assert_whole(&fixture.get_with(&[], &fixture.settings, &notes).unwrap());
    let notes = notes.0.into_inner().unwrap();
    let sentence = "the cached copy of `me/tiny`";
    assert!(notes.len() == 1 && notes[0].contains(sentence), "{notes:?}");

    fs::remove_dir_all(&fixture.settings.cache).unwrap();
    let error = fixture.get(&[]).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    let error = fixture.get_offline(&[]).unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains("HF_HUB_OFFLINE"),
        "{error}"
    );
    assert!(walk(fixture.home.path()).is_empty());
}

#[test]
fn two_downloads_at_once_fetch_each_file_once() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.get(&[]))).collect();
        for task in tasks {
            fixture.assert_whole(&task.join().unwrap().unwrap());
        }
    });
    let seen = fixture.server.take_seen();
    let fetched = seen
        .iter()
        .filter(|seen| seen.line.contains("/resolve/"))
        .count();
    assert_eq!(fetched, fixture.files.len());
}
