//! Files that no run wrote.

use std::fs;

use crate::given::{assert_same, files, train, workspace};

#[test]
fn overwriting_removes_no_file_that_no_run_wrote() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let once = ["--epochs", "1"];
    let again = ["--epochs", "1", "--overwrite"];
    zoo.zoo(&train("whole", &once)).expect(0);
    zoo.zoo(&train("run", &["--epochs", "2"])).expect(0);
    for name in ["README.md", "config.json", "metrics.csv", "checkpoints"] {
        let dir = format!("of-{name}");
        fs::create_dir(zoo.path(&dir)).unwrap();
        fs::write(zoo.path(&dir).join(name), "mine").unwrap();
        zoo.zoo(&train(&dir, &again)).refused(&[
            &format!("`{dir}/{name}`"),
            "move it away",
            "--out",
        ]);
        let left = files(&zoo.path(&dir));
        assert_eq!(left.keys().collect::<Vec<_>>(), [name]);
        assert_eq!(left[name], b"mine");
        // The advice works.
        fs::rename(zoo.path(&dir).join(name), zoo.path(name)).unwrap();
        zoo.zoo(&train(&dir, &again)).expect(0);
        assert_same(&zoo.path("whole"), &zoo.path(&dir));
    }
    // Beside a run: the owner's card, and a network of something else.
    for name in ["README.md", "config.json"] {
        let path = zoo.path("run").join(name);
        let ours = fs::read(&path).unwrap();
        fs::write(&path, "{\"model\": \"mine\"}").unwrap();
        let before = files(&zoo.path("run"));
        let file = format!("`run/{name}`");
        zoo.zoo(&train("run", &again)).refused(&[&file]);
        assert_eq!(files(&zoo.path("run")), before);
        fs::write(&path, ours).unwrap();
    }
    // What lies among checkpoints stays there.
    fs::create_dir(zoo.path("run/checkpoints")).unwrap();
    fs::write(zoo.path("run/checkpoints/other.pt"), "mine").unwrap();
    fs::write(zoo.path("run/notes.txt"), "mine").unwrap();
    zoo.zoo(&train("run", &again)).expect(0);
    for name in ["checkpoints/other.pt", "notes.txt"] {
        assert_eq!(fs::read(zoo.path("run").join(name)).unwrap(), b"mine");
    }
    fs::remove_file(zoo.path("run/notes.txt")).unwrap();
    fs::remove_dir_all(zoo.path("run/checkpoints")).unwrap();
    assert_same(&zoo.path("whole"), &zoo.path("run"));
}

#[test]
fn a_run_does_not_lie_in_its_data_nor_around_them() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    fs::create_dir(zoo.path("above")).unwrap();
    fs::rename(zoo.path("digits"), zoo.path("above/digits")).unwrap();
    let before = files(root.path());
    for (out, part) in [
        ("above/digits", "holds the input"),
        ("above", "holds the input"),
        (".", "holds the input"),
        ("above/digits/run", "lies in the input"),
        ("above/../above/digits/a/b", "lies in the input"),
    ] {
        for command in [
            &["train", "cifar-classifier", "--overwrite"][..],
            &["compare", "mnist"],
        ] {
            let args = [command, &["--data", "above/digits", "--out", out]].concat();
            let flag = format!("`--out {out}`");
            zoo.zoo(&args).refused(&[&flag, part, "`above/digits`"]);
        }
    }
    assert_eq!(files(root.path()), before);
}
