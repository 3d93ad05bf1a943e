use super::*;

fn places(files: &[&str]) -> Result<(String, String), String> {
    let files: Vec<File> = files
        .iter()
        .map(|&name| File {
            name: name.trim_end_matches('*').into(),
            by_row: name.ends_with('*'),
        })
        .collect();
    let found = assign(Path::new("d"), &files, false).map_err(|error| error.to_string())?;
    let letters = found.places.iter().map(|place| match place {
        Place::Part(Split::Train) => 't',
        Place::Part(Split::Validation) => 'v',
        Place::Part(Split::Test) => 'e',
        Place::Rows => 'r',
        Place::LeftOut => '-',
    });
    Ok((letters.collect(), found.notes.join("; ")))
}

#[test]
fn parts_are_told_by_names_and_folders() {
    let cases: [(&[&str], &str); 22] = [
        (&["pets_test.parquet", "pets_train.parquet"], "et"),
        (&["train/0000.parquet", "test/0000.parquet"], "te"),
        (
            &[
                "default/partial-train/0000.parquet",
                "default/test/0000.parquet",
            ],
            "te",
        ),
        (
            &[
                "data/train-00000-of-00001.parquet",
                "data/validation-00000-of-00001.parquet",
            ],
            "tv",
        ),
        (&["train.parquet", "val.parquet", "test.parquet"], "tve"),
        (
            &[
                "train-00000-of-00002-1b2c3d4e.parquet",
                "train-00001-of-00002-9a8b7c6d.parquet",
            ],
            "tt",
        ),
        (
            &[
                "t/train-00001-of-00002.parquet",
                "t/train-00002-of-00002.parquet",
            ],
            "tt",
        ),
        (&["0000.parquet", "0001.parquet"], "tt"),
        (&["a.parquet"], "t"),
        (&["a.parquet", "b.parquet"], "tt"),
        (&["train.parquet", "test.parquet", "extra.parquet"], "te-"),
        (&["train/0.parquet", "old/0.parquet"], "t-"),
        (&["pets_train.parquet", "animals_test.parquet"], "te"),
        (
            &[
                "train/cats.parquet",
                "train/dogs.parquet",
                "test/cats.parquet",
            ],
            "tte",
        ),
        (&["all.parquet*"], "r"),
        (&["train.parquet*"], "t"),
        (&["all.parquet*", "test.parquet"], "re"),
        (&["all.parquet*", "more.parquet"], "r-"),
        (
            &[
                "part-00000-6f1c2f9e-c000.snappy.parquet",
                "part-00001-6f1c2f9e-c000.snappy.parquet",
            ],
            "tt",
        ),
        (&["split=train/0.parquet", "split=test/0.parquet"], "te"),
        (&["test-00000-of-00001.parquet"], "e"),
        (&["train_part1.parquet", "train_part2.parquet"], "tt"),
    ];
    for (files, expected) in cases {
        let (found, notes) = places(files).unwrap_or_else(|e| panic!("{files:?}: {e}"));
        assert_eq!(found, expected, "{files:?}");
        let joined = notes.contains("read as one training part");
        assert_eq!(
            joined,
            files == ["a.parquet", "b.parquet"],
            "{files:?}: {notes}"
        );
    }
}

#[test]
fn what_is_not_one_complete_dataset_is_refused() {
    let cases: [(&[&str], &str); 10] = [
        (
            &[
                "other/train.parquet",
                "plain_text/train.parquet",
                "plain_text/test.parquet",
            ],
            "several datasets, with `other`, `plain_text`; give one of them, as d/other",
        ),
        (
            &[
                "cats_train.parquet",
                "cats_test.parquet",
                "dogs_train.parquet",
                "dogs_test.parquet",
            ],
            "with `cats_train.parquet`, `dogs_train.parquet`; put the files of one of them into a folder",
        ),
        (
            &["train/a/0.parquet", "train/b/0.parquet"],
            "several datasets, with `train/a`, `train/b`",
        ),
        (
            &[
                "cats_train.parquet",
                "cats_test.parquet",
                "dogs_val.parquet",
            ],
            "several datasets",
        ),
        (&["x/0.parquet", "y/0.parquet"], "several datasets"),
        (
            &["train-00000-of-00002.parquet", "test.parquet"],
            "`train-00001-of-00002.parquet` is not there, only 1 of 2",
        ),
        (
            &[
                "a/train-00001-of-00003.parquet",
                "a/train-00002-of-00003.parquet",
            ],
            "`a/train-00000-of-00003.parquet` is not there, only 2 of 3",
        ),
        (
            &[
                "train-00000-of-00001.parquet",
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
            ],
            "`train-00000-of-00001.parquet` and `train-00000-of-00002.parquet` are not of one writing",
        ),
        (
            &[
                "train-00000-of-00001-aaaa1.parquet",
                "train-00000-of-00001-bbbb2.parquet",
            ],
            "are not of one writing",
        ),
        (
            &["pets.parquet", "pets_test.parquet"],
            "`pets.parquet` says no part, and beside it stands `pets_test.parquet` but no training part",
        ),
    ];
    for (files, said) in cases {
        let error = places(files).unwrap_err();
        assert!(error.contains(said), "{files:?}: {error}");
    }
}

#[test]
fn one_file_of_several_may_be_asked_for() {
    let file = File {
        name: "train-00000-of-00002.parquet".into(),
        by_row: false,
    };
    let found = assign(Path::new("d"), &[file], true).unwrap();
    assert_eq!(found.places, [Place::Part(Split::Train)]);
    assert!(
        found.notes[0].contains("one of 2 files"),
        "{:?}",
        found.notes
    );
}
