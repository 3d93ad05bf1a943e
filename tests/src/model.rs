//! Model directories for the tests of the Hub, and directories as values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::zoo::{TINY, Workspace};

/// Every file below a directory, by its path inside; links are followed.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// Reads a directory; two with the same result are equal to `diff -r`.
///
/// # Panics
/// When the system refuses, like everything here.
pub fn tree(dir: &Path) -> Tree {
    let mut files = Tree::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(place) = pending.pop() {
        for item in fs::read_dir(&place).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Copies the pretrained `surface-fitter` to `name` in the workspace.
pub fn write_small(zoo: &Workspace, name: &str) {
    let pretrained = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights/surface-fitter");
    fs::create_dir(zoo.path(name)).unwrap();
    for (file, bytes) in tree(&pretrained) {
        fs::write(zoo.path(name).join(file), bytes).unwrap();
    }
}

/// Trains a classifier whose weights take 9 MiB, too many to travel inside a commit, into `name` of the workspace.
pub fn train_large(zoo: &Workspace, name: &str) {
    zoo.write_digits("digits", 16, 8);
    let model = "cifar-classifier.plain";
    let mut args = vec!["train", model, "--data", "digits", "--out", name];
    args.extend(TINY);
    args.extend([
        "--set",
        "model.widths=[512,512]",
        "--epochs",
        "1",
        "--quiet",
    ]);
    zoo.zoo(&args).expect(0);
    // Never uploaded: without it a download has the same files.
    fs::remove_file(zoo.path(name).join("data-path.txt")).unwrap();
    let size = fs::metadata(zoo.path(name).join("model.safetensors"));
    assert!(size.unwrap().len() > 9 << 20);
}
