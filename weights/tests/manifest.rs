//! The manifest says what the directories hold, no more and no less.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Names of the entries of a directory that are themselves directories, or not.
fn entries(dir: &Path, directories: bool) -> BTreeSet<String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir() == directories)
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_embedded_file_has_the_hash_of_the_manifest() {
    for model in weights::names() {
        for file in weights::find(model).unwrap() {
            let digest = Sha256::digest(file.bytes);
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digits, file.sha256, "{model}/{}", file.name);
        }
    }
}

#[test]
fn every_file_of_every_model_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut directories = entries(root, true);
    directories.retain(|name| !matches!(name.as_str(), "src" | "tests"));
    let embedded: BTreeSet<String> = weights::names().map(str::to_owned).collect();
    assert_eq!(embedded, directories);
    for model in weights::names() {
        let files = weights::find(model).unwrap();
        let names: BTreeSet<String> = files.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(names, entries(&root.join(model), false), "{model}");
        for needed in ["config.json", "model.safetensors", "README.md"] {
            assert!(names.contains(needed), "{model} has no {needed}");
        }
    }
}

#[test]
fn all_models_together_stay_small() {
    let bytes: usize = weights::names()
        .flat_map(|model| weights::find(model).unwrap())
        .map(|file| file.bytes.len())
        .sum();
    assert!(bytes <= 12 << 20, "{bytes} bytes");
}

#[test]
fn a_model_that_is_not_there_is_none() {
    assert!(weights::find("no-such-model").is_none());
}
