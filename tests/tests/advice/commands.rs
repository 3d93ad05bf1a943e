//! Advice of other commands than `zoo train`, and advice that names a command.

use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::archive::{tar, zip};
use end_to_end::formats::pixels;
use end_to_end::peer::{printed, python};
use end_to_end::picture::{CAT, OWL, class, classes, png, put};
use end_to_end::series::{ROWS, a, data_of, iso, plain, train as train_series};
use end_to_end::zoo::{Ran, TINY, Workspace};
use serde_json::Value;

use crate::arrays::two_classes;
use crate::follow::{BOTH, counted, parts, rename};
use crate::parquet::put_pets;
use crate::table::{Cells, put_columns};

fn train(zoo: &Workspace, data: &str, out: &str) -> Ran {
    let mut args = vec![
        "train",
        "cifar-classifier.plain",
        "--data",
        data,
        "--out",
        out,
    ];
    args.extend(["--epochs", "1", "--quiet"]);
    args.extend(TINY);
    zoo.zoo(&args)
}

/// A workspace with data `d` and a small classifier in `run` that learned from it.
fn trained(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    parts(&root.join("d"));
    train(&zoo, "d", "run").expect(0);
    zoo
}

fn inspected(zoo: &Workspace, data: &str) -> Value {
    let ran = zoo.zoo(&["inspect", data, "--format", "json"]).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The command in a sentence that stands in `python3 -c '…'`.
fn python_of(ran: &Ran) -> String {
    let (_, command) = ran.stderr.split_once("python3 -c '").unwrap();
    command.split_once('\'').unwrap().0.to_owned()
}

/// Runs what a sentence advises, where there is a Python that has what it needs.
fn run_python(zoo: &Workspace, module: &str, ran: &Ran) -> bool {
    let Some(python) = python(module) else {
        return false;
    };
    let mut command = Command::new(python);
    command.args(["-c", &python_of(ran)]);
    command.current_dir(zoo.path(""));
    printed(&command.output().unwrap());
    true
}

#[test]
fn a_model_given_as_data_is_named() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    let sentence = "`run` is not read: it is the directory of a model, not data; give data, or check the model with \
                    `zoo verify run`";
    zoo.zoo(&["inspect", "run"]).refused(&[sentence]);
    train(&zoo, "run", "other").refused(&[sentence]);
    let series = [
        "train",
        "series-forecaster.dlinear",
        "--data",
        "run",
        "--out",
        "other",
    ];
    zoo.zoo(&series).refused(&[sentence]);
    zoo.zoo(&["verify", "run"]).expect(0);
    assert_eq!(counted(&inspected(&zoo, "d")), "cat 8, dog 8");
    // Within data it is left out, as before.
    rename(root.path(), "run", "d/run");
    assert_eq!(counted(&inspected(&zoo, "d")), "cat 8, dog 8");
}

#[test]
fn a_test_part_alone_tests_a_model() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    put_pets(&zoo.path("p/pets.parquet"), 6);
    put_pets(&zoo.path("p/pets_test.parquet"), 2);
    zoo.zoo(&["eval", "run", "--data", "p"]).refused(&[
        "the file `pets.parquet` says no part, and beside it stands `pets_test.parquet` but no training part; put `train` into \
         its name, or move it elsewhere to test a model on the others",
    ]);
    rename(root.path(), "p/pets.parquet", "pets.parquet");
    let ran = zoo.zoo(&["eval", "run", "--data", "p", "--format", "json"]);
    let value: Value = serde_json::from_str(&ran.expect(0).stdout).unwrap();
    assert_eq!(value["examples"], 4);
    // A validation part alone tests nothing, so that nothing of the kind is said.
    rename(root.path(), "pets.parquet", "p/pets.parquet");
    rename(root.path(), "p/pets_test.parquet", "p/pets_val.parquet");
    let ran = zoo.zoo(&["eval", "run", "--data", "p"]).expect(2);
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.ends_with("put `train` into its name"), "{last}");
}

#[test]
fn classes_that_a_model_does_not_know_are_renamed_or_learned() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    class(&zoo.path("e/owl"), OWL, 2);
    class(&zoo.path("e/cat"), CAT, 2);
    zoo.zoo(&["eval", "run", "--data", "e"]).refused(&[
        "`e` has the class `owl`, which the model does not know; train a model on this dataset, or rename the class",
    ]);
    train(&zoo, "e", "other").expect(0);
    rename(root.path(), "e/owl", "e/dog");
    zoo.zoo(&["eval", "run", "--data", "e"]).expect(0);
}

/// A table of pixels as Kaggle hands out MNIST.
fn kaggle(columns: impl Fn(&[String]) -> String) -> String {
    let header: Vec<String> = (0..784).map(|pixel| format!("pixel{pixel}")).collect();
    let mut text = columns(&[&["label".to_owned()], &header[..]].concat());
    for i in 0..12 {
        let cells = pixels(i % 2, i).into_iter().map(|value| value.to_string());
        text += &columns(
            &[(i % 2).to_string()]
                .into_iter()
                .chain(cells)
                .collect::<Vec<_>>(),
        );
    }
    text
}

#[test]
fn tables_of_pixels_are_turned_into_arrays() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    put(
        &zoo.path("d/train.csv"),
        kaggle(|cells| cells.join(",") + "\n"),
    );
    let sentence = "`d/train.csv` is not usable as a dataset to classify: it is a table of pixels, an image a row; turn it into \
                    arrays with `python3 -c 'import numpy; t = numpy.loadtxt(\"d/train.csv\", delimiter=\",\", skiprows=1, \
                    dtype=\"uint8\"); numpy.savez(\"train.npz\", x_train=t[:, 1:].reshape(-1, 28, 28), y_train=t[:, 0])'` and \
                    give `train.npz`";
    for data in ["d/train.csv", "d"] {
        train(&zoo, data, "run").refused(&[sentence]);
    }
    let by_name = zoo.zoo(&["inspect", "d/train.csv"]);
    assert!(
        by_name
            .stderr
            .contains("it is a table of pixels, an image a row; turn it into arrays with")
    );
    train_series(&zoo, "d/train.csv", &[])
        .refused(&["it is a table of pixels, an image a row; turn it into arrays with"]);
    if !run_python(&zoo, "numpy", &by_name) {
        put(&zoo.path("train.npz"), two_classes());
    }
    assert_eq!(counted(&inspected(&zoo, "train.npz")), "0 6, 1 6");
    train(&zoo, "train.npz", "run").expect(0);
    // Kaggle's own test part has no labels.
    put(
        &zoo.path("test.csv"),
        kaggle(|cells| cells[1..].join(",") + "\n"),
    );
    zoo.zoo(&["inspect", "test.csv"]).refused(&[
        "it is a table of pixels, an image a row without a column of labels; give the table that has them",
    ]);
    // In another form, and in an archive.
    let odd = kaggle(|cells| format!("{},{},{}\n", cells[1], cells[0], cells[2..].join(",")));
    put(
        &zoo.path("odd.zip"),
        zip(&[("odd.csv".into(), odd.into_bytes())]),
    );
    train(&zoo, "odd.zip", "other").refused(&[
        "it is a table of pixels, an image a row; save its arrays with numpy.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, \
         y_test=…) and give that file",
    ]);
}

#[test]
fn tables_in_archives_and_parquet_files_become_series() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    put(&zoo.path("data.csv"), plain());
    let member = [("data.csv".to_owned(), plain().into_bytes())];
    put(&zoo.path("x/data.zip"), zip(&member));
    put(&zoo.path("x/data.tar"), tar(&member));
    for (file, kind) in [
        ("x/data.zip", "a zip archive"),
        ("x/data.tar", "a tar archive"),
    ] {
        zoo.zoo(&["inspect", file]).refused(&[
            file,
            "it holds no images but tables, as `data.csv`; for a series unpack it and give that file",
        ]);
        let advice = format!("it is {kind}; unpack it and give the CSV file in it");
        train_series(&zoo, file, &[]).refused(&[file, &advice]);
    }
    assert_eq!(inspected(&zoo, "data.csv")["rows"], ROWS);
    train_series(&zoo, "data.csv", &[]).expect(0);
    assert_eq!(data_of(&zoo.path("run"))["inventory"]["rows"], ROWS);

    let dates: Vec<String> = (0..ROWS).map(iso).collect();
    let values = (0..ROWS).map(|row| a(row).parse().unwrap()).collect();
    let columns = [
        ("date", Cells::texts(dates.iter().map(String::as_str))),
        ("value", Cells::Fraction(values)),
    ];
    put_columns(&zoo.path("s/ts.parquet"), &[], &columns);
    let ran = zoo.zoo(&["inspect", "s/ts.parquet"]);
    let made = run_python(&zoo, "pyarrow", &ran);
    ran.refused(&[
        "`s/ts.parquet`",
        "but has `date` and `value`; rename its columns, or, for a series, write it as CSV with `python3 -c 'from pyarrow import \
         csv, parquet; csv.write_csv(parquet.read_table(\"s/ts.parquet\"), \"ts.csv\")'` and give `ts.csv`",
    ]);
    if made {
        assert_eq!(inspected(&zoo, "ts.csv")["rows"], ROWS);
        train_series(&zoo, "ts.csv", &[]).expect(0);
    }
}

#[test]
fn an_output_directory_that_cannot_be_made_is_chosen_anew() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("d"), &["cat", "dog"], 6);
    put(&zoo.path("file"), "mine");
    for out in ["file", "file/run"] {
        let sentence = format!(
            "output directory `{out}` cannot be made, because `file` is a file; choose another with `--out`"
        );
        train(&zoo, "d", out).refused(&[&sentence]);
        let mut args = vec![
            "train",
            "cifar-classifier.plain",
            "--data",
            "d",
            "--out",
            out,
        ];
        args.extend(["--overwrite", "--epochs", "1", "--quiet"]);
        args.extend(TINY);
        zoo.zoo(&args).refused(&[&sentence]);
    }
    assert_eq!(fs::read(zoo.path("file")).unwrap(), b"mine");
    train(&zoo, "d", "run").expect(0);
    assert_eq!(counted(&inspected(&zoo, "d")), BOTH);
}

#[test]
fn data_that_cannot_be_fetched_are_given_as_files() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    classes(&zoo.path("pets"), &["cat", "dog"], 6);
    train(&zoo, "mnist", "run").refused(&[
        "cannot fetch the dataset `mnist`: ",
        ", or give its files with --data PATH",
    ]);
    train(&zoo, "owner/pets", "run").refused(&[
        "cannot fetch the dataset `owner/pets`: `",
        "/owner/pets` does not exist, and from the Hub it cannot be had (",
        "), or give its files with --data PATH",
    ]);
    train(&zoo, "pets", "run").expect(0);
    zoo.zoo(&["inspect", "samples", "--quick"]).refused(&[
        "`samples` does not exist, and no dataset is called so; did you mean `sample`?",
    ]);
    zoo.zoo(&["inspect", "sample", "--quick"]).expect(0);
}

#[test]
fn images_to_label_are_named() {
    let root = tempfile::tempdir().unwrap();
    let zoo = trained(root.path());
    fs::create_dir(zoo.path("empty")).unwrap();
    let ran = zoo.zoo(&["infer", "run", "empty"]).expect(1);
    assert!(
        ran.stderr
            .contains("`empty` holds no images; give a folder that does"),
        "{}",
        ran.stderr
    );
    put(&zoo.path("empty/x.png"), png(CAT, 0));
    zoo.zoo(&["infer", "run", "empty"]).expect(0);
    // A list whose first name has two lines.
    #[cfg(unix)]
    {
        rename(root.path(), "empty/x.png", "two/a\nb.png");
        class(&zoo.path("two"), CAT, 1);
        let list = "two/a\nb.png\0two/000.png\0";
        let ran = zoo.zoo_with_stdin(&["infer", "run", "-", "--format", "jsonl"], list);
        let lines: Vec<Value> = ran
            .expect(0)
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let paths: Vec<&Value> = lines.iter().map(|line| &line["path"]).collect();
        assert_eq!(paths, ["two/a\nb.png", "two/000.png"]);
    }
}
