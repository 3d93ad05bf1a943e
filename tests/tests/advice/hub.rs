//! Names of datasets, with a Hub on loopback.

use std::fs;

use end_to_end::hub_server::{HubServer, RepoFile};
use end_to_end::picture::classes;
use end_to_end::zoo::{Ran, Workspace};
use serde_json::Value;

use crate::follow::{BOTH, SPLIT, counted};
use crate::parquet::put_pets;

/// `zoo inspect` of these data as JSON, with a Hub that has these files.
fn inspect(zoo: &Workspace, files: Vec<RepoFile>, data: &str) -> Ran {
    let server = HubServer::start(files).unwrap();
    let mut command = zoo.command(&["inspect", data, "--format", "json"]);
    command
        .env_remove("HF_HUB_OFFLINE")
        .env("HF_ENDPOINT", server.endpoint());
    zoo.run(command)
}

fn classes_of(ran: &Ran) -> String {
    counted(&serde_json::from_str::<Value>(&ran.stdout).unwrap())
}

/// Cats and dogs in the layout of the Hub's MNIST.
fn mnist(zoo: &Workspace) -> Vec<RepoFile> {
    let part = |name: &str, count: usize| {
        let file = zoo.path("part.parquet");
        put_pets(&file, count);
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        RepoFile::large(&format!("mnist/{name}-00000-of-00001.parquet"), bytes)
    };
    vec![part("test", 2), part("train", 6)]
}

#[test]
fn a_folder_called_as_a_dataset_is_given_by_its_path() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("mnist"), &["cat", "dog"], 6);
    let ran = inspect(&zoo, mnist(&zoo), "mnist").expect(0);
    assert_eq!(classes_of(&ran), SPLIT);
    let notice = "`mnist` is the dataset of this name; for what lies here, give `./mnist`";
    assert!(ran.stderr.contains(notice), "{}", ran.stderr);
    let ran = inspect(&zoo, mnist(&zoo), "./mnist").expect(0);
    assert_eq!(classes_of(&ran), BOTH);
    assert!(!ran.stderr.contains("of this name"), "{}", ran.stderr);
}

#[test]
fn a_dataset_without_images_is_named() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    let texts = vec![
        RepoFile::small("a.txt", "a text"),
        RepoFile::small("b.txt", "another"),
    ];
    inspect(&zoo, texts, "someone/texts").refused(&[
        "cannot fetch the dataset `someone/texts`: it holds no images in a form that is read here (it holds `a.txt`, `b.txt`); \
         name one that does, or give its files with --data PATH",
    ]);
    let ran = inspect(&zoo, mnist(&zoo), "someone/pets").expect(0);
    assert_eq!(classes_of(&ran), SPLIT);
}
