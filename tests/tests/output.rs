//! Where the files of a command go: nothing is lost that the user did not give up.

use std::fs;
use std::path::Path;

use end_to_end::zoo::{Ran, Workspace};
use tempfile::TempDir;

const FORECASTER: &str = "series-forecaster";
const GENERATOR: &str = "image-generator";

/// A series `in.csv` and an image `a.png` for the pretrained models.
fn workspace() -> (TempDir, Workspace) {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_hours("in.csv");
    fs::create_dir(zoo.path("photos")).unwrap();
    let photo = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8, y as u8, 90]));
    photo.save(zoo.path("a.png")).unwrap();
    photo.save(zoo.path("photos/b.png")).unwrap();
    (root, zoo)
}

fn forecast(zoo: &Workspace, more: &[&str]) -> Ran {
    zoo.zoo(&[&["forecast", FORECASTER, "in.csv"], more].concat())
}

fn generate(zoo: &Workspace, more: &[&str]) -> Ran {
    zoo.zoo(&[&["generate", GENERATOR, "--samples", "0"], more].concat())
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG")
}

#[test]
fn a_file_that_is_there_is_replaced_on_request_only() {
    let (_root, zoo) = workspace();
    let bench = ["bench", "--seconds", "0", "--plot"];
    for flag in ["--out", "--plot"] {
        fs::write(zoo.path("mine"), "mine").unwrap();
        forecast(&zoo, &[flag, "mine"]).refused(&["`mine` exists", "--overwrite", flag]);
        assert_eq!(fs::read(zoo.path("mine")).unwrap(), b"mine");
        forecast(&zoo, &[flag, "mine", "--overwrite"]).expect(0);
        assert!(fs::read(zoo.path("mine")).unwrap().len() > 100);
    }
    fs::write(zoo.path("mine"), "mine").unwrap();
    generate(&zoo, &["a.png", "--out", "mine"]).refused(&["`mine` exists", "--overwrite"]);
    zoo.zoo(&[&bench[..], &["mine"]].concat())
        .refused(&["`mine` exists", "--overwrite"]);
    assert_eq!(fs::read(zoo.path("mine")).unwrap(), b"mine");
    generate(&zoo, &["a.png", "--out", "mine", "--overwrite"]).expect(0);
    assert!(is_png(&fs::read(zoo.path("mine")).unwrap()));
    assert!(!leftovers(&zoo));
}

/// Whether a temporary file stayed behind.
fn leftovers(zoo: &Workspace) -> bool {
    let mut items = fs::read_dir(zoo.path(".")).unwrap();
    items.any(|item| item.unwrap().path().extension().is_some_and(|e| e == "tmp"))
}

#[test]
fn an_input_is_never_written_over() {
    let (_root, zoo) = workspace();
    let series = fs::read(zoo.path("in.csv")).unwrap();
    let photo = fs::read(zoo.path("a.png")).unwrap();
    fs::hard_link(zoo.path("in.csv"), zoo.path("second name.csv")).unwrap();
    for flag in ["--out", "--plot"] {
        for path in ["in.csv", "./photos/../in.csv", "second name.csv"] {
            forecast(&zoo, &[flag, path, "--overwrite"]).refused(&[flag, "the input `in.csv`"]);
        }
        // Without the flag it is no way out either.
        forecast(&zoo, &[flag, "in.csv"]).refused(&["in.csv"]);
    }
    // The series on standard input, under its own name.
    let mut command = zoo.command(&[
        "forecast",
        FORECASTER,
        "-",
        "--out",
        "in.csv",
        "--overwrite",
    ]);
    command.stdin(fs::File::open(zoo.path("in.csv")).unwrap());
    zoo.run(command).refused(&["in.csv"]);
    for (paths, out) in [
        (&["a.png"][..], "a.png"),
        (&["a.png", "photos"], "photos/b.png"),
        (&["photos", "a.png"], "a.png"),
    ] {
        generate(&zoo, &[paths, &["--out", out, "--overwrite"]].concat()).refused(&[
            "--out",
            "the input",
            "choose another file",
        ]);
    }
    let listed = ["generate", GENERATOR, "-", "--out", "a.png", "--overwrite"];
    zoo.zoo_with_stdin(&listed, "photos/b.png\na.png\n")
        .refused(&["the input `a.png`"]);
    assert_eq!(fs::read(zoo.path("in.csv")).unwrap(), series);
    assert_eq!(fs::read(zoo.path("a.png")).unwrap(), photo);
    assert_eq!(fs::read(zoo.path("photos/b.png")).unwrap(), photo);
    assert!(!leftovers(&zoo));
}

#[test]
fn the_model_is_an_input() {
    let (_root, zoo) = workspace();
    let pretrained = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../weights")
        .join(FORECASTER);
    fs::create_dir(zoo.path("m")).unwrap();
    for name in ["config.json", "model.safetensors", "training.json"] {
        fs::copy(pretrained.join(name), zoo.path("m").join(name)).unwrap();
    }
    for name in ["config.json", "model.safetensors", "training.json"] {
        let out = format!("m/{name}");
        let before = fs::read(zoo.path(&out)).unwrap();
        zoo.zoo(&["forecast", "m", "in.csv", "--out", &out, "--overwrite"])
            .refused(&["the input", name]);
        assert!(fs::read(zoo.path(&out)).unwrap() == before);
    }
    // Beside it there is room.
    for _ in 0..2 {
        let out = ["--out", "m/next.csv", "--overwrite"];
        zoo.zoo(&[&["forecast", "m", "in.csv"], &out[..]].concat())
            .expect(0);
    }
}

#[test]
fn a_run_does_not_take_the_place_of_its_data() {
    let (_root, zoo) = workspace();
    fs::create_dir(zoo.path("d")).unwrap();
    // A name that a run uses too.
    fs::rename(zoo.path("in.csv"), zoo.path("d/metrics.csv")).unwrap();
    let series = fs::read(zoo.path("d/metrics.csv")).unwrap();
    fs::write(zoo.path("d/recipe.toml"), "epochs = 1\n").unwrap();
    for (model, flag, input) in [
        (FORECASTER, "--data", "d/metrics.csv"),
        ("cifar-classifier", "--data", "d"),
        (FORECASTER, "--recipe", "d/recipe.toml"),
    ] {
        let args = [
            "train",
            model,
            flag,
            input,
            "--out",
            "d/../d",
            "--overwrite",
        ];
        zoo.zoo(&args)
            .refused(&["`--out d/../d` holds the input", input]);
    }
    assert_eq!(fs::read(zoo.path("d/metrics.csv")).unwrap(), series);
    assert_eq!(fs::read_dir(zoo.path("d")).unwrap().count(), 2);
}

#[test]
fn two_outputs_are_two_files() {
    let (_root, zoo) = workspace();
    fs::write(zoo.path("old"), "old").unwrap();
    fs::hard_link(zoo.path("old"), zoo.path("older")).unwrap();
    for (out, plot) in [("x", "x"), ("x", "photos/../x"), ("old", "older")] {
        forecast(&zoo, &["--out", out, "--plot", plot, "--overwrite"]).refused(&[
            "--out",
            "--plot",
            "the same file",
        ]);
    }
    assert!(!zoo.path("x").exists());
    assert_eq!(fs::read(zoo.path("old")).unwrap(), b"old");
    // The forecast goes to standard output, which is the file of the plot.
    let mut command = zoo.command(&[
        "forecast",
        FORECASTER,
        "in.csv",
        "--plot",
        "old",
        "--overwrite",
    ]);
    command.stdout(
        fs::File::options()
            .append(true)
            .open(zoo.path("old"))
            .unwrap(),
    );
    let ran = zoo.run(command).expect(2);
    assert!(ran.stderr.contains("the same file"), "{}", ran.stderr);
    assert_eq!(fs::read(zoo.path("old")).unwrap(), b"old");
}

#[test]
fn what_cannot_be_a_file_is_named_before_any_work() {
    let (_root, zoo) = workspace();
    for (out, part) in [
        ("photos", "`--out photos` is a directory"),
        ("photos/", "`--out photos/` is a directory"),
        ("new/", "`--out new/` is a directory"),
        ("..", "`--out ..` is a directory"),
        ("new/x", "the directory of `--out new/x` does not exist"),
        ("in.csv/x", "in.csv/x"),
    ] {
        // The model is not looked for: there is none of that name.
        zoo.zoo(&["forecast", "none", "in.csv", "--out", out, "--overwrite"])
            .refused(&[part]);
        zoo.zoo(&["generate", "none", "a.png", "--out", out])
            .refused(&[part]);
    }
    let nothing = zoo
        .zoo(&["forecast", "none", "in.csv", "--out", ""])
        .expect(2);
    assert!(
        nothing.stderr.contains("a value is required for '--out"),
        "{}",
        nothing.stderr
    );
    assert!(!zoo.path("new").exists());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_a_link_leads_to_its_file() {
        let (_root, zoo) = workspace();
        let secret = zoo.path("secret.csv");
        fs::write(&secret, "old").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("secret.csv", zoo.path("link.csv")).unwrap();
        symlink("absent.csv", zoo.path("dangling.csv")).unwrap();
        forecast(&zoo, &["--out", "link.csv"]).refused(&["`link.csv` exists"]);
        forecast(&zoo, &["--out", "link.csv", "--overwrite"]).expect(0);
        assert!(zoo.path("link.csv").is_symlink());
        assert!(fs::read_to_string(&secret).unwrap().starts_with("date,y\n"));
        let mode = fs::metadata(&secret).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        forecast(&zoo, &["--out", "dangling.csv"]).expect(0);
        assert!(zoo.path("dangling.csv").is_symlink() && zoo.path("absent.csv").is_file());

        // A link to an input is that input.
        symlink("in.csv", zoo.path("to-input.csv")).unwrap();
        forecast(&zoo, &["--out", "to-input.csv", "--overwrite"]).refused(&["the input `in.csv`"]);
        symlink("loop", zoo.path("loop")).unwrap();
        forecast(&zoo, &["--out", "loop", "--overwrite"]).refused(&["`loop`"]);
    }

    #[test]
    fn a_pipe_is_written_into() {
        let (_root, zoo) = workspace();
        let pipe = zoo.path("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        symlink("pipe", zoo.path("to-pipe")).unwrap();
        for out in ["pipe", "to-pipe"] {
            let reader = Command::new("cat")
                .arg(&pipe)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            forecast(&zoo, &["--out", out]).expect(0);
            let read = reader.wait_with_output().unwrap().stdout;
            assert!(read.starts_with(b"date,y\n"));
            assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        }
        let reader = Command::new("cat")
            .arg(&pipe)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        generate(&zoo, &["a.png", "--out", "pipe"]).expect(0);
        assert!(is_png(&reader.wait_with_output().unwrap().stdout));
    }

    /// A device of this number in the workspace; only root can make one, and not everywhere.
    fn device(zoo: &Workspace, name: &str, minor: &str) -> bool {
        let mut command = Command::new("mknod");
        command
            .arg(zoo.path(name))
            .args(["c", "1", minor])
            .stderr(Stdio::null());
        // It can be made and not be opened where the file system allows no devices.
        command.status().is_ok_and(|status| status.success())
            && fs::File::options().write(true).open(zoo.path(name)).is_ok()
    }

    #[test]
    fn a_device_stays_a_device() {
        let (_root, zoo) = workspace();
        if !device(&zoo, "null", "3") || !device(&zoo, "full", "7") {
            return;
        }
        symlink("full", zoo.path("to-full")).unwrap();
        forecast(&zoo, &["--out", "null"]).expect(0);
        forecast(&zoo, &["--out", "null", "--plot", "null"]).expect(0);
        for name in ["full", "to-full"] {
            forecast(&zoo, &["--out", name]).refused(&[&format!("cannot write `{name}`")]);
            generate(&zoo, &["a.png", "--out", name, "--overwrite"])
                .refused(&[&format!("cannot write `{name}`")]);
        }
        for name in ["null", "full"] {
            let kind = fs::symlink_metadata(zoo.path(name)).unwrap().file_type();
            assert!(kind.is_char_device(), "{name}");
        }
    }

    #[test]
    fn standard_output_takes_a_file_and_nothing_beside_it() {
        let (_root, zoo) = workspace();
        for name in ["/dev/stdout", "-", "/dev/fd/1"] {
            let ran = forecast(&zoo, &["--out", name, "--plot", "f.svg", "--overwrite"]).expect(0);
            assert!(ran.stdout.starts_with("date,y\n"), "{name}: {}", ran.stdout);
            forecast(&zoo, &["--out", name, "--plot", name]).refused(&["the same file"]);
            forecast(&zoo, &["--plot", name]).refused(&["the same file"]);
            let output = zoo
                .command(&[
                    "generate",
                    GENERATOR,
                    "a.png",
                    "--samples",
                    "0",
                    "--out",
                    name,
                ])
                .output()
                .unwrap();
            assert!(output.status.success() && is_png(&output.stdout));
            assert!(image::load_from_memory(&output.stdout).is_ok());
        }
        let bench = zoo
            .zoo(&["bench", "--seconds", "0", "--plot", "/dev/stdout"])
            .expect(0);
        assert!(bench.stdout.starts_with("<svg") && bench.stdout.ends_with("</svg>\n"));

        // A file behind it is gone on with, not replaced.
        let log = zoo.path("log");
        fs::write(&log, "before\n").unwrap();
        let mut command = zoo.command(&["forecast", FORECASTER, "in.csv", "--out", "/dev/stdout"]);
        command.stdout(fs::File::options().append(true).open(&log).unwrap());
        zoo.run(command).expect(0);
        assert!(
            fs::read_to_string(&log)
                .unwrap()
                .starts_with("before\ndate,y\n")
        );
    }

    #[test]
    fn a_full_stdout_is_named_and_a_closed_one_is_success() {
        let (_root, zoo) = workspace();
        let commands: [&[&str]; 5] = [
            &["forecast", FORECASTER, "in.csv"],
            &["forecast", FORECASTER, "in.csv", "--out", "/dev/stdout"],
            &["generate", GENERATOR, "a.png", "--out", "-"],
            &["infer", "cifar-classifier", "a.png"],
            &["list"],
        ];
        for args in commands {
            if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
                let mut command = zoo.command(args);
                command.stdout(full);
                let ran = zoo.run(command).expect(2);
                assert!(
                    ran.stderr.contains("cannot write to stdout"),
                    "{}",
                    ran.stderr
                );
            }
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = zoo.command(args);
            command.stdout(writer);
            zoo.run(command).expect(0);
        }
    }
}
