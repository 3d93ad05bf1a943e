use super::*;

#[test]
fn folders_are_walked_sorted_and_files_taken_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("b/deep")).unwrap();
    fs::create_dir_all(at("b/.cache")).unwrap();
    fs::create_dir_all(at("none")).unwrap();
    for name in [
        "b/2.PNG",
        "b/1.jpg",
        "b/deep/3.webp",
        "b/notes.txt",
        "b/.hidden.png",
        "b/.cache/4.png",
        "b/Thumbs.db",
        "a.jpeg",
    ] {
        fs::write(at(name), "x").unwrap();
    }
    fs::write(at("b/no-extension"), "GIF89a\x01").unwrap();
    let found = walk_images(&[
        at("b"),
        at("b/notes.txt"),
        at("absent"),
        at("none"),
        at("a.jpeg"),
    ]);
    let shown: Vec<String> = found
        .iter()
        .map(|entry| match entry {
            Ok(path) => path
                .strip_prefix(directory.path())
                .unwrap()
                .display()
                .to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        shown[..5],
        [
            "b/1.jpg",
            "b/2.PNG",
            "b/deep/3.webp",
            "b/no-extension",
            "b/notes.txt"
        ]
    );
    assert!(shown[5].contains("absent` does not exist"));
    assert!(shown[6].contains("none` holds no images"));
    assert_eq!(shown[7], "a.jpeg");
    assert_eq!(shown.len(), 8);
}

#[test]
fn what_is_left_out_is_said_by_its_name() {
    for (path, reason) in [
        ("cat/1.png", None),
        (
            "cat/.ipynb_checkpoints/1-checkpoint.png",
            Some("in hidden folders"),
        ),
        ("cat/._1.png", Some("that are hidden")),
        (".DS_Store", Some("that are hidden")),
        ("__MACOSX/cat/._1.png", Some("in `__MACOSX` folders")),
        ("cat/@eaDir/1.png/SYNO.jpg", Some("in `@eaDir` folders")),
        (
            "cat/THUMBS.DB",
            Some("in which an operating system keeps notes"),
        ),
        (
            "cat/desktop.ini",
            Some("in which an operating system keeps notes"),
        ),
    ] {
        assert_eq!(left_out_reason(Path::new(path)), reason, "{path}");
    }
}

#[test]
fn models_among_the_data_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for file in [
        "cat/1.png",
        // A finished run, one that has only begun, one on data with a name, and a model from elsewhere.
        "runs/M-1/config.json",
        "runs/M-1/model.safetensors",
        "runs/M-1/curves.svg",
        "runs/M-2/training.json",
        "runs/M-2/data-path.txt",
        "M-3/training.json",
        "M-3/checkpoints/5/state.json",
        "hub/config.json",
        "hub/model.safetensors",
        // Names that others use too.
        "dog/config.json",
        "owl/training.json",
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let found = |at: &Path| -> (Vec<PathBuf>, Vec<(String, PathBuf)>) {
        let walk = Walk::below(at).unwrap();
        let files = walk.found.into_iter().map(Result::unwrap).collect();
        (files, walk.left_out)
    };
    let (files, left_out) = found(root);
    assert_eq!(
        files,
        ["cat/1.png", "dog/config.json", "owl/training.json"].map(|file| root.join(file))
    );
    assert_eq!(left_out.len(), 9);
    assert!(left_out.iter().all(|(reason, _)| reason == OF_MODELS));
    assert!(
        left_out
            .iter()
            .any(|(_, file)| file.ends_with("M-3/checkpoints/5/state.json"))
    );
    // What is named itself is read.
    assert_eq!(found(&root.join("runs/M-1")).0.len(), 3);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_in_its_place() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener};
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("in")).unwrap();
    fs::create_dir(at("beside")).unwrap();
    fs::write(at("beside/4.png"), "x").unwrap();
    symlink(directory.path(), at("in/loop")).unwrap();
    symlink(at("gone"), at("in/dangling.png")).unwrap();
    symlink(at("beside"), at("in/one")).unwrap();
    symlink(at("beside"), at("in/two")).unwrap();
    symlink(at("in/self"), at("in/self")).unwrap();
    let _socket = UnixListener::bind(at("in/socket")).unwrap();
    let odd = at("in").join(OsStr::from_bytes(b"\xff\xfe.png"));
    fs::write(&odd, "x").unwrap();
    symlink(&odd, at("in/link.png")).unwrap();
    let found = walk_images(&[at("in")]);
    let expected: [Result<PathBuf, &str>; 8] = [
        Err("in/dangling.png` is not read: it is a link to `"),
        Ok(at("in/link.png")),
        Err("in/loop` is not read: it is a link back to `"),
        Ok(at("in/one/4.png")),
        Err("in/self` is not read: it is a link to `"),
        Err("in/socket` is not read: it is a socket, not a file; move it away"),
        Ok(at("in/two/4.png")),
        Ok(odd),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Ok(path), Ok(expected)) => assert_eq!(*path, expected),
            (Err(error), Err(said)) => {
                assert!(error.to_string().contains(said), "{error}");
            }
            (found, expected) => panic!("{found:?} in place of {expected:?}"),
        }
    }
}
