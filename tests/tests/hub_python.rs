//! One cache for this program and for Python's `huggingface_hub`, and cards that Python reads.
#![cfg(feature = "hub")]

use std::path::Path;
use std::process::Command;

use end_to_end::hub_server::{HubServer, RepoFile};
use end_to_end::model::tree;
use end_to_end::peer;
use end_to_end::zoo::{TINY, Workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `peers/hub.py` in a home of its own; `None` where there is no such Python.
fn python(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Option<Value> {
    let output = Command::new(peer::python("huggingface_hub")?)
        .arg(peer::script("hub.py"))
        .args(args)
        .env("HF_HOME", home)
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_XET", "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Some(serde_json::from_str(&peer::printed(&output)).unwrap())
}

fn server() -> HubServer {
    let files = vec![
        RepoFile::small("config.json", "{}\n"),
        RepoFile::large("model.safetensors", vec![9; 100_000]),
        RepoFile::small("sub/notes.txt", "hello\n"),
    ];
    HubServer::start(files).unwrap()
}

/// What `zoo download me/tiny` prints with this cache.
fn download(zoo: &Workspace, server: &HubServer, cache: &str, offline: &str) -> String {
    let mut command = zoo.command(&["download", "me/tiny"]);
    command
        .env("HF_ENDPOINT", server.endpoint())
        .env("HF_HUB_CACHE", cache)
        .env("HF_HUB_OFFLINE", offline);
    zoo.run(command).expect(0).stdout.trim_end().to_owned()
}

#[test]
fn each_reads_the_others_cache_offline() {
    let home = TempDir::new().unwrap();
    let zoo = Workspace::new(home.path());
    let server = server();
    let endpoint = server.endpoint();
    let (ours, theirs) = (zoo.path("ours"), zoo.path("theirs"));
    let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());

    let dir = download(&zoo, &server, ours, "0");
    server.take_seen();
    let offline = [("HF_HUB_CACHE", ours), ("HF_HUB_OFFLINE", "1")];
    let Some(answer) = python(home.path(), &["download", "me/tiny"], &offline) else {
        return;
    };
    let files = ["config.json", "model.safetensors", "sub/notes.txt"];
    assert_eq!(answer, json!({"dir": dir, "files": files, "warnings": []}));
    assert!(server.take_seen().is_empty());

    let online = [("HF_HUB_CACHE", theirs), ("HF_ENDPOINT", &endpoint)];
    let answer = python(home.path(), &["download", "me/tiny"], &online).unwrap();
    server.take_seen();
    let dir = download(&zoo, &server, theirs, "1");
    assert_eq!(answer["dir"], dir);
    assert!(server.take_seen().is_empty());
    assert_eq!(tree(Path::new(&dir))["model.safetensors"], [9; 100_000]);
}

/// Python reads the card of a model directory; its metrics are those of `training.json`.
fn assert_card_is_read(dir: &Path, home: &Path, license: &str, tag: &str) {
    let path = dir.join("README.md");
    let Some(answer) = python(home, &["card", path.to_str().unwrap()], &[]) else {
        return;
    };
    let record: Value = serde_json::from_slice(&tree(dir)["training.json"]).unwrap();
    let metrics = record.get("measures").unwrap_or(&record["result"]["test"]);
    let expected = json!({
        "license": license,
        "pipeline_tag": tag,
        "library_name": "candle",
        "datasets": null,
        "metrics": metrics,
    });
    assert_eq!(answer, expected);
}

#[test]
fn python_reads_the_cards_of_runs_and_of_pretrained_models() {
    let home = TempDir::new().unwrap();
    let zoo = Workspace::new(home.path());
    zoo.write_digits("digits", 16, 8);
    let model = "cifar-classifier.plain";
    let mut args = vec!["train", model, "--data", "digits", "--out", "run"];
    args.extend(TINY);
    args.extend(["--epochs", "1", "--quiet"]);
    zoo.zoo(&args).expect(0);
    let run = zoo.path("run");
    assert_card_is_read(&run, home.path(), "unknown", "image-classification");

    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    for (model, tag) in [
        ("surface-fitter", "tabular-regression"),
        ("poisson-solver", "other"),
    ] {
        assert_card_is_read(&weights.join(model), home.path(), "mit", tag);
    }
}

/// The list is that of the npm package `@huggingface/tasks`, installed in the directory `ZOO_HF_TASKS`.
#[test]
fn the_hub_knows_every_pipeline_tag() {
    let Some(node) = peer::program("ZOO_NODE", "node") else {
        return;
    };
    let package = std::env::var_os("ZOO_HF_TASKS").map(std::path::PathBuf::from);
    let installed = package.filter(|dir| dir.join("node_modules/@huggingface/tasks").is_dir());
    let Some(dir) = installed.or_else(|| peer::missing("`@huggingface/tasks` in ZOO_HF_TASKS"))
    else {
        return;
    };
    let script = "console.log(JSON.stringify(require('@huggingface/tasks').PIPELINE_TYPES))";
    let output = Command::new(node)
        .args(["-e", script])
        .current_dir(dir)
        .output()
        .unwrap();
    let known: Vec<String> = serde_json::from_str(&peer::printed(&output)).unwrap();
    assert!(known.iter().any(|tag| tag == "image-classification"));
    for entry in models::registry::entries() {
        let tag = zoo::families::of(&entry.config()).pipeline_tag();
        assert!(
            known.iter().any(|known| known == tag),
            "{}: {tag}",
            entry.name
        );
    }
}
