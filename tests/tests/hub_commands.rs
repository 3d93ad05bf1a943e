//! `zoo download`, `zoo upload` and `zoo verify`, against a Hub on loopback.
#![cfg(feature = "hub")]

use std::fs;

use end_to_end::hub_server::{COMMIT, Fault, HubServer, RepoFile};
use end_to_end::model::{train_large, tree, write_small};
use end_to_end::zoo::{Ran, Workspace};
use serde_json::Value;
use tempfile::TempDir;

const TOKEN: &str = "hf_do_not_tell";
const UPLOAD: [&str; 3] = ["upload", "model", "me/tiny"];

struct Fixture {
    zoo: Workspace,
    server: HubServer,
    _home: TempDir,
}

impl Fixture {
    /// The pretrained surface in the directory `model`, and a server that has its files.
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let zoo = Workspace::new(home.path());
        write_small(&zoo, "model");
        let files = tree(&zoo.path("model")).into_iter().map(|(name, bytes)| {
            match name.ends_with(".safetensors") {
                true => RepoFile::large(&name, bytes),
                false => RepoFile::small(&name, bytes),
            }
        });
        Self {
            server: HubServer::start(files.collect()).unwrap(),
            zoo,
            _home: home,
        }
    }

    /// Runs `zoo` with the server and what else a test sets in its environment.
    fn zoo(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.zoo.command(args);
        command
            .env_remove("HF_HUB_OFFLINE")
            .env("HF_ENDPOINT", self.server.endpoint())
            .envs(environment.iter().copied());
        let ran = self.zoo.run(command);
        assert!(!format!("{ran:?}").contains(TOKEN), "{ran:?}");
        ran
    }

    fn zoo_with_token(&self, args: &[&str]) -> Ran {
        self.zoo(args, &[("HF_TOKEN", TOKEN)])
    }

    /// Whether a commit was asked for since the last look.
    fn committed(&self) -> bool {
        let mut seen = self.server.take_seen().into_iter();
        seen.any(|seen| seen.line.contains("/commit/"))
    }
}

#[test]
fn a_download_is_copied_verified_and_there_offline() {
    let fixture = Fixture::new();
    let download = ["download", "me/tiny", "--out", "copy"];
    assert_eq!(fixture.zoo(&download, &[]).expect(0).stdout, "copy\n");
    let copy = fixture.zoo.path("copy");
    assert_eq!(tree(&copy), tree(&fixture.zoo.path("model")));
    assert!(!copy.join("config.json").is_symlink());
    fixture
        .zoo(&download, &[])
        .refused(&["`copy` is not empty"]);
    fixture
        .zoo(&[&download[..], &["--overwrite"]].concat(), &[])
        .expect(0);

    fixture.server.take_seen();
    let offline = [("HF_HUB_OFFLINE", "1")];
    let printed = fixture
        .zoo(&["download", "me/tiny"], &offline)
        .expect(0)
        .stdout;
    let snapshot = format!(".cache/huggingface/hub/models--me--tiny/snapshots/{COMMIT}\n");
    assert!(printed.ends_with(&snapshot), "{printed}");
    fixture.zoo(&["verify", "me/tiny"], &offline).expect(0);
    fixture.zoo(&["eval", "me/tiny"], &offline).expect(0);
    fixture
        .zoo(&["download", "me/other"], &offline)
        .refused(&["offline mode is on"]);
    assert!(fixture.server.take_seen().is_empty());
}

#[test]
fn what_cannot_be_downloaded_is_one_sentence_without_the_token() {
    let fixture = Fixture::new();
    for (repo, part) in [
        ("tiny", "`tiny` is not a repository"),
        ("../tiny", "`../tiny` is not a repository"),
        ("me/tiny@../x", "`../x` is not a revision"),
    ] {
        fixture.zoo_with_token(&["download", repo]).refused(&[part]);
    }
    assert!(fixture.server.take_seen().is_empty());
    for (status, part) in [
        (
            "401 Unauthorized",
            "or the token is wrong: check the name and HF_TOKEN",
        ),
        (
            "403 Forbidden",
            "answered 403 for `me/tiny@main`; the token has no right to it",
        ),
    ] {
        fixture.server.set_fault(Fault::Status(status));
        fixture
            .zoo_with_token(&["download", "me/tiny"])
            .refused(&[part]);
    }
    fixture
        .server
        .set_fault(Fault::TreePath("../../x".to_owned()));
    fixture
        .zoo_with_token(&["download", "me/tiny"])
        .refused(&["the unsafe path `../../x`"]);
    assert!(!fixture.zoo.path(".cache").exists());
}

#[test]
fn a_dry_run_lists_what_would_go_and_asks_nobody() {
    let fixture = Fixture::new();
    fs::write(fixture.zoo.path("model/.env"), "SECRET=1").unwrap();
    let before = tree(&fixture.zoo.path("model"));
    let expected = [
        "README.md",
        "config.json",
        "examples.safetensors",
        "model.safetensors",
        "modeling_gmnm.py",
        "training.json",
        "SHA256SUMS",
    ];
    for model in ["model", "surface-fitter"] {
        let ran = fixture
            .zoo(&["upload", model, "me/tiny", "--dry-run"], &[])
            .expect(0);
        let lines = ran.stdout.lines();
        let listed: Vec<_> = lines.filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(listed, expected);
        assert_eq!(ran.stderr.contains("left out: .env"), model == "model");
    }
    assert!(fixture.server.take_seen().is_empty());
    assert_eq!(tree(&fixture.zoo.path("model")), before);
}

#[test]
fn an_upload_is_one_commit_and_prints_where_it_is() {
    let fixture = Fixture::new();
    let args = [&UPLOAD[..], &["--message", "First weights"]].concat();
    let printed = fixture.zoo_with_token(&args).expect(0).stdout;
    assert_eq!(
        printed,
        format!("https://hub.example/me/tiny/commit/{COMMIT}\n{COMMIT}\n")
    );
    let mut commits = fixture.server.take_seen();
    commits.retain(|seen| seen.line.contains("/commit/"));
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0].line, "POST /api/models/me/tiny/commit/main");
    let text = String::from_utf8(commits[0].body.clone()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["value"]["summary"], "First weights");
    assert_eq!(lines.len(), 1 + 7);
    assert!(lines[1..].iter().all(|line| line["key"] == "file"));
}

#[test]
fn uploads_that_cannot_be_are_refused_before_anything_is_committed() {
    let fixture = Fixture::new();
    let private = [&UPLOAD[..], &["--private"]].concat();
    fixture
        .zoo_with_token(&private)
        .refused(&["`me/tiny` exists and is public"]);
    fixture.zoo(&UPLOAD, &[]).refused(&["the token is missing"]);
    let offline = [("HF_TOKEN", TOKEN), ("HF_HUB_OFFLINE", "1")];
    fixture
        .zoo(&UPLOAD, &offline)
        .refused(&["offline mode is on"]);
    let no_xet = [("HF_TOKEN", TOKEN), ("HF_HUB_DISABLE_XET", "1")];
    fixture
        .zoo(&UPLOAD, &no_xet)
        .refused(&["HF_HUB_DISABLE_XET is set"]);
    for (status, part) in [
        (
            "401 Unauthorized",
            "answered 401 for `me/tiny`; the token is wrong",
        ),
        (
            "403 Forbidden",
            "answered 403 for `me/tiny`; the token has no right",
        ),
    ] {
        fixture.server.set_fault(Fault::Status(status));
        fixture.zoo_with_token(&UPLOAD).refused(&[part]);
    }
    assert!(!fixture.committed());

    let weights = fixture.zoo.path("model/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 4]).unwrap();
    fixture
        .zoo_with_token(&UPLOAD)
        .refused(&["model.safetensors"]);
    assert!(fixture.server.take_seen().is_empty());
}

#[test]
fn large_weights_do_not_travel_without_xet() {
    let fixture = Fixture::new();
    train_large(&fixture.zoo, "large");
    fixture
        .zoo_with_token(&["upload", "large", "me/tiny"])
        .refused(&["`model.safetensors` has 9 MiB", "does not take Xet"]);
    assert!(!fixture.committed());
}

#[test]
fn an_upload_that_is_sent_elsewhere_takes_no_token_along() {
    let fixture = Fixture::new();
    let other = HubServer::start(Vec::new()).unwrap();
    fixture.server.set_fault(Fault::Elsewhere(other.endpoint()));
    fixture.zoo_with_token(&UPLOAD);
    let there = other.take_seen();
    assert!(!there.is_empty());
    for seen in there {
        assert!(!format!("{seen:?}").contains(TOKEN), "{seen:?}");
    }
}

/// The result of one check in the output of `zoo verify --format json`.
fn check(ran: &Ran, name: &str) -> String {
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = summary["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == name).unwrap();
    found["result"].as_str().unwrap().to_owned()
}

#[test]
fn verify_names_what_is_wrong() {
    let fixture = Fixture::new();
    let verify = |model| fixture.zoo(&["verify", model, "--format", "json"], &[]);
    let pretrained = verify("surface-fitter").expect(0);
    for name in ["hashes", "model", "card", "examples"] {
        assert_eq!(check(&pretrained, name), "passed", "{name}");
    }
    let sound = verify("model").expect(0);
    assert_eq!(check(&sound, "hashes"), "skipped");
    for name in ["model", "card", "examples"] {
        assert_eq!(check(&sound, name), "passed", "{name}");
    }
    let path = |name: &str| fixture.zoo.path("model").join(name);
    fs::write(path("README.md"), "# No front matter\n").unwrap();
    assert_eq!(check(&verify("model").expect(1), "card"), "failed");
    fs::remove_file(path("README.md")).unwrap();
    assert_eq!(check(&verify("model").expect(0), "card"), "skipped");

    // Another output than the network gives.
    let mut bytes = fs::read(path("examples.safetensors")).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 0x40;
    fs::write(path("examples.safetensors"), bytes).unwrap();
    assert_eq!(check(&verify("model").expect(1), "examples"), "failed");
    fixture
        .zoo_with_token(&UPLOAD)
        .refused(&["examples.safetensors", "made anew"]);

    let sums = format!("{}  config.json\n", "0".repeat(64));
    fs::write(path("SHA256SUMS"), sums).unwrap();
    assert_eq!(check(&verify("model").expect(1), "hashes"), "failed");
    fixture
        .zoo(&["verify", "nothing"], &[])
        .refused(&["no model `nothing`"]);
}
