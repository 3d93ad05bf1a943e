//! Uploads and downloads through a real, independent server, by this program and by Python's `huggingface_hub`.
#![cfg(feature = "hub")]

use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::model::{train_large, tree, write_small};
use end_to_end::peer;
use end_to_end::shardline::Shardline;
use end_to_end::zoo::{Ran, Workspace};
use serde_json::Value;
use tempfile::TempDir;

struct Fixture {
    hub: Shardline,
    zoo: Workspace,
    _home: TempDir,
}

impl Fixture {
    /// A server and the pretrained surface in `model`; `None` where a peer is missing.
    fn new() -> Option<Self> {
        peer::python("huggingface_hub")?;
        let hub = Shardline::start()?;
        let home = TempDir::new().unwrap();
        let zoo = Workspace::new(home.path());
        write_small(&zoo, "model");
        Some(Self {
            hub,
            zoo,
            _home: home,
        })
    }

    /// Runs `zoo` with this token; no output may hold it.
    fn zoo(&self, token: &str, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.zoo.command(args);
        command
            .env_remove("HF_HUB_OFFLINE")
            .env("HF_ENDPOINT", self.hub.endpoint())
            .env("HF_TOKEN", token)
            .envs(environment.iter().copied());
        let ran = self.zoo.run(command);
        assert!(token.is_empty() || !format!("{ran:?}").contains(token));
        ran
    }

    /// The commit that an upload prints.
    fn upload(&self, token: &str, args: &[&str]) -> String {
        let printed = self.zoo(token, args, &[]).expect(0).stdout;
        let mut lines = printed.lines();
        assert!(
            lines.next().unwrap().starts_with(&self.hub.endpoint()),
            "{printed}"
        );
        let commit = lines.next().unwrap();
        assert!(commit.len() == 40 && lines.next().is_none(), "{printed}");
        commit.to_owned()
    }

    /// Runs `peers/hub.py` with a home of its own.
    fn python(&self, token: &str, args: &[&str], environment: &[(&str, &str)]) -> Value {
        let output = Command::new(peer::python("huggingface_hub").unwrap())
            .arg(peer::script("hub.py"))
            .args(args)
            .current_dir(self.zoo.path(""))
            .env("HF_HOME", self.zoo.path("python"))
            .env("HF_ENDPOINT", self.hub.endpoint())
            .env("HF_TOKEN", token)
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        serde_json::from_str(&peer::printed(&output)).unwrap()
    }
}

#[test]
fn both_read_what_zoo_uploads_and_each_others_cache() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let token = fixture.hub.token("write", "ours");
    fixture.upload(&token, &["upload", "model", "me/ours"]);
    let printed = fixture
        .zoo(&token, &["download", "me/ours"], &[])
        .expect(0)
        .stdout;
    let ours = Path::new(printed.trim_end());
    let answer = fixture.python(&token, &["download", "me/ours"], &[]);
    let theirs = Path::new(answer["dir"].as_str().unwrap());
    assert_ne!(ours, theirs);
    assert_eq!(tree(ours), tree(theirs));
    let sent = tree(ours);
    for (name, bytes) in tree(&fixture.zoo.path("model")) {
        assert!(name == "README.md" || sent[&name] == bytes, "{name}");
    }
    assert!(sent.contains_key("modeling_gmnm.py") && sent.contains_key("SHA256SUMS"));
    fixture.zoo(&token, &["verify", "me/ours"], &[]).expect(0);
    let card = fixture.python(&token, &["validate", "me/ours"], &[]);
    assert_eq!(card["license"], "mit");

    let cache = |dir: &Path| dir.ancestors().nth(3).unwrap().to_str().unwrap().to_owned();
    let (our_cache, their_cache) = (cache(ours), cache(theirs));
    let offline = [
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HUB_CACHE", our_cache.as_str()),
    ];
    let answer = fixture.python("", &["download", "me/ours"], &offline);
    assert_eq!(answer["dir"], ours.to_str().unwrap());
    let offline = [
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HUB_CACHE", their_cache.as_str()),
    ];
    let printed = fixture
        .zoo("", &["download", "me/ours"], &offline)
        .expect(0)
        .stdout;
    assert_eq!(Path::new(printed.trim_end()), theirs);
}

#[test]
fn zoo_reads_what_python_uploads() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let token = fixture.hub.token("write", "theirs");
    fixture.python(&token, &["upload", "model", "me/theirs"], &[]);
    let args = ["download", "me/theirs", "--out", "copy"];
    fixture.zoo(&token, &args, &[]).expect(0);
    let mut copy = tree(&fixture.zoo.path("copy"));
    // The server may add this one.
    copy.remove(".gitattributes");
    assert_eq!(copy, tree(&fixture.zoo.path("model")));
    fixture.zoo(&token, &["eval", "me/theirs"], &[]).expect(0);
}

#[test]
fn large_weights_go_through_xet() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let token = fixture.hub.token("write", "large");
    train_large(&fixture.zoo, "large");
    fixture.upload(&token, &["upload", "large", "me/large"]);
    let names = ["model.safetensors", "config.json"];
    let files = fixture.python(&token, &["xet", "me/large", names[0], names[1]], &[]);
    assert!(files["model.safetensors"].is_string(), "{files}");
    assert!(files["config.json"].is_null(), "{files}");
    let args = ["download", "me/large", "--out", "copy"];
    fixture.zoo(&token, &args, &[]).expect(0);
    let answer = fixture.python(&token, &["download", "me/large"], &[]);
    let copy = tree(&fixture.zoo.path("copy"));
    assert_eq!(copy, tree(Path::new(answer["dir"].as_str().unwrap())));
    let weights = fs::read(fixture.zoo.path("large/model.safetensors")).unwrap();
    assert!(copy["model.safetensors"] == weights);
}

#[test]
fn private_repositories_commits_and_branches() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let token = fixture.hub.token("write", "mine");
    let first = fixture.upload(&token, &["upload", "model", "me/mine", "--private"]);
    let card = fixture.zoo.path("model/README.md");
    let text = fs::read_to_string(&card).unwrap();
    let (head, _) = text.split_once("<!--").unwrap();
    fs::write(&card, format!("{head}# Mine\n")).unwrap();
    let upload = [
        "upload",
        "model",
        "me/mine",
        "--private",
        "--message",
        "Second",
    ];
    let second = fixture.upload(&token, &upload);
    assert_ne!(first, second);
    let branch = [&upload[..], &["--revision", "trial"]].concat();
    fs::write(&card, format!("{head}# Trial\n")).unwrap();
    let third = fixture.upload(&token, &branch);
    for (revision, commit, own) in [
        ("main", &second, "# Mine"),
        ("trial", &third, "# Trial"),
        (first.as_str(), &first, "written by zoo"),
    ] {
        let repo = format!("me/mine@{revision}");
        let printed = fixture
            .zoo(&token, &["download", &repo], &[])
            .expect(0)
            .stdout;
        let dir = Path::new(printed.trim_end());
        assert!(dir.ends_with(commit), "{printed}");
        let card = fs::read_to_string(dir.join("README.md")).unwrap();
        assert!(card.contains(own), "{card}");
    }
    let again = ["--cache", "another"];
    let download = [&["download", "me/mine"][..], &again].concat();
    fixture
        .zoo("", &download, &[])
        .refused(&["answered 401", "HF_TOKEN"]);
}

#[test]
fn tokens_without_the_right_are_refused() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let token = fixture.hub.token("write", "mine");
    fixture.upload(&token, &["upload", "model", "me/mine"]);
    let upload = ["upload", "model", "me/mine"];
    let download = ["download", "me/mine"];
    fixture
        .zoo("hf_wrong", &upload, &[])
        .refused(&["answered 401", "HF_TOKEN"]);
    fixture
        .zoo("hf_wrong", &download, &[])
        .refused(&["answered 401", "HF_TOKEN"]);
    let reader = fixture.hub.token("read", "mine");
    fixture.zoo(&reader, &download, &[]).expect(0);
    fixture
        .zoo(&reader, &upload, &[])
        .refused(&["answered 403", "no right"]);
    let other = fixture.hub.token("write", "other");
    fixture.zoo(&other, &upload, &[]).refused(&["answered 403"]);
}
