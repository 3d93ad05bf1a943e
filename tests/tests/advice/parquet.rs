//! Parquet files.

use std::fs;
use std::path::Path;

use end_to_end::picture::{CAT, DOG, classes, files, png, put};

use crate::follow::{BOTH, Refused, SPLIT, nothing, partial, refused, rename, replaced};
use crate::table::{Cells, pictures, put_columns, put_parquet, turns};

const PETS: [&str; 2] = ["cat", "dog"];
const NUMBERS: &str = "0 6, 1 6";

/// Writes `count` cats and as many dogs.
pub(crate) fn put_pets(file: &Path, count: usize) {
    put_parquet(file, &PETS, count);
}

fn no_bytes(rows: usize) -> Cells {
    Cells::Bytes(vec![Some(vec![0]); rows])
}

/// A file of these columns in the place of which the right one is put.
fn wrong(
    name: &'static str,
    columns: fn() -> Vec<(&'static str, Cells)>,
    sentence: &'static [&'static str],
) -> Refused {
    let make = move |root: &Path| put_columns(&root.join("d.parquet"), &[], &columns());
    refused(name, make, sentence)
        .of("d.parquet")
        .then(|root| put_pets(&root.join("d.parquet"), 6), BOTH)
}

/// Twelve pictures with these labels.
fn labels(name: &'static str, labels: fn() -> Cells, sentence: &'static [&'static str]) -> Refused {
    let make = move |root: &Path| {
        let columns = [("image", pictures(&PETS, 6)), ("label", labels())];
        put_columns(&root.join("d.parquet"), &[], &columns);
    };
    refused(name, make, sentence)
        .of("d.parquet")
        .then(|root| put_pets(&root.join("d.parquet"), 6), BOTH)
}

pub(crate) fn cases() -> Vec<Refused> {
    [parts(), damaged(), columns(), values(), names(), rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// Which file is which part.
fn parts() -> Vec<Refused> {
    let by_column = |file: &Path, column: &str| {
        let parts = (0..12).map(|row| if row < 8 { "train" } else { "test" });
        let columns = [
            ("image", pictures(&PETS, 6)),
            ("label", turns(2, 6)),
            (column, Cells::texts(parts)),
        ];
        put_columns(file, &PETS, &columns);
    };
    vec![
        refused(
            "a shard that is not there",
            |root| put_pets(&root.join("d/train-00000-of-00002.parquet"), 6),
            &[
                "its `train-00001-of-00002.parquet` is not there, only 1 of 2; fetch the others, or rename what is there without \
                 `-of-`, as `train-0.parquet`, to do without them",
            ],
        )
        .then(|root| put_pets(&root.join("d/train-00001-of-00002.parquet"), 2), SPLIT)
        .then(|root| rename(root, "d/train-00000-of-00002.parquet", "d/train-0.parquet"), BOTH),
        refused(
            "shards of two writings",
            |root| {
                put_pets(&root.join("d/train-00000-of-00001.parquet"), 6);
                put_pets(&root.join("d/train-00000-of-00002.parquet"), 3);
                put_pets(&root.join("d/train-00001-of-00002.parquet"), 3);
            },
            &[
                "its files `train-00000-of-00001.parquet` and `train-00000-of-00002.parquet` are not of one writing; move the files \
                 of one of them elsewhere",
            ],
        )
        .then(|root| rename(root, "d/train-00000-of-00001.parquet", "elsewhere.parquet"), BOTH)
        .then(
            |root| {
                rename(root, "d/train-00000-of-00002.parquet", "elsewhere-0.parquet");
                rename(root, "d/train-00001-of-00002.parquet", "elsewhere-1.parquet");
            },
            BOTH,
        ),
        refused(
            "two configurations",
            |root| {
                for (name, count) in [("large", 6), ("small", 2)] {
                    put_pets(&root.join(format!("d/{name}/train-00000-of-00001.parquet")), count);
                }
            },
            &["it holds several datasets, with `large`, `small`; give one of them, as d/large"],
        )
        .give("d/large", nothing, BOTH)
        .give("d/small", nothing, "cat 2, dog 2"),
        refused(
            "two data sets in one folder",
            |root| {
                put_pets(&root.join("d/pets_train.parquet"), 6);
                put_pets(&root.join("d/home_train.parquet"), 2);
            },
            &[
                "it holds several datasets, with `home_train.parquet`, `pets_train.parquet`; put the files of one of them into a \
                 folder of their own and give that",
            ],
        )
        .give("d/pets", |root| rename(root, "d/pets_train.parquet", "d/pets/pets_train.parquet"), BOTH),
        refused(
            "parquet beside class folders",
            |root| {
                put_pets(&root.join("d/train.parquet"), 6);
                classes(&root.join("d"), &["cow", "owl"], 6);
            },
            &[
                "it holds parquet files, as `train.parquet`, and images that these do not name, in `cow` and `owl`; move the ones \
                 or the others into a folder of their own and give that",
            ],
        )
        .give("d/table", |root| rename(root, "d/train.parquet", "d/table/train.parquet"), BOTH)
        .give(
            "d/images",
            |root| {
                rename(root, "d/cow", "d/images/cow");
                rename(root, "d/owl", "d/images/owl");
            },
            "cow 6, owl 6",
        ),
        refused(
            "a file that says no part beside a test part",
            |root| {
                put_pets(&root.join("d/pets.parquet"), 6);
                put_pets(&root.join("d/pets_test.parquet"), 2);
            },
            &[
                "the file `pets.parquet` says no part, and beside it stands `pets_test.parquet` but no training part; put `train` \
                 into its name",
            ],
        )
        .then(|root| rename(root, "d/pets.parquet", "d/pets_train.parquet"), SPLIT),
        refused(
            "a column that says another part than the name",
            move |root| by_column(&root.join("d/train.parquet"), "split"),
            &["its name says the training part and its column `split` says another in row 8; rename the file or the column"],
        )
        .then(|root| rename(root, "d/train.parquet", "d/pets.parquet"), BOTH)
        .then(move |root| by_column(&root.join("d/train.parquet"), "fold"), BOTH),
        refused(
            "a column of parts with another word",
            |root| {
                let parts = (0..12).map(|row| if row < 10 { "train" } else { "spare" });
                let columns = [
                    ("image", pictures(&PETS, 6)),
                    ("label", turns(2, 6)),
                    ("split", Cells::texts(parts)),
                ];
                put_columns(&root.join("d/pets.parquet"), &PETS, &columns);
            },
            &[
                "its column `split` has the value `spare` in row 10, which is no part, beside values that are; write train, \
                 validation or test there, or rename the column to read its rows without it",
            ],
        )
        .then(move |root| by_column(&root.join("d/pets.parquet"), "split"), BOTH)
        .then(move |root| by_column(&root.join("d/pets.parquet"), "fold"), BOTH),
    ]
}

/// Files that are fetched again.
fn damaged() -> Vec<Refused> {
    let again = |name, wrong: fn(Vec<u8>) -> Vec<u8>, sentence| {
        let right = |root: &Path| put_pets(&root.join("d.parquet"), 6);
        replaced(name, "d.parquet", right, wrong, sentence, BOTH).of("d.parquet")
    };
    vec![
        again(
            "a file that is cut",
            |bytes| bytes[..bytes.len() / 2].to_vec(),
            &[
                "`d.parquet` is not usable as a parquet file of images: ",
                "; fetch the file again",
            ],
        ),
        again(
            "a file whose beginning is lost",
            |bytes| [b"PAR1", &bytes[bytes.len() - 1000..]].concat(),
            &["its footer points outside of it; fetch the file again"],
        ),
    ]
}

/// What the columns are.
fn columns() -> Vec<Refused> {
    vec![
        wrong(
            "a table of other columns",
            || vec![("photo", Cells::texts(["a", "b"])), ("animal", Cells::texts(["cat", "dog"]))],
            &[
                "it needs a column `image` of encoded images (bytes, or a record of `bytes` and `path`) and a column `label`, but \
                 has `photo` and `animal`; rename its columns",
            ],
        ),
        wrong(
            "no classes",
            || vec![("image", pictures(&PETS, 6)), ("kind", turns(2, 6))],
            &["it has no column of classes but `image` and `kind`; give its classes in a column `label`"],
        ),
        wrong(
            "two columns of images",
            || vec![("left", pictures(&PETS, 6)), ("right", pictures(&PETS, 6)), ("label", turns(2, 6))],
            &["its columns `left` and `right` may each be the images; leave one of them, or call that one `image`"],
        ),
        wrong(
            "images that are numbers",
            || vec![("image", turns(2, 6)), ("label", turns(2, 6))],
            &[
                "its column `image` holds no encoded images but other values; store each image as the bytes of a png or jpg file",
            ],
        ),
        wrong(
            "two columns of classes",
            || vec![("image", pictures(&PETS, 6)), ("label", turns(2, 6)), ("class", turns(2, 6))],
            &[
                "its columns `label` and `class` may each be the classes; leave one of them, or give the others names that are not \
                 those of classes, as `meta_1`",
            ],
        )
        .then(
            |root| {
                let columns = [("image", pictures(&PETS, 6)), ("label", turns(2, 6)), ("meta_1", turns(2, 6))];
                put_columns(&root.join("d.parquet"), &[], &columns);
            },
            NUMBERS,
        ),
    ]
}

/// The values of the labels.
fn values() -> Vec<Refused> {
    vec![
        labels(
            "several classes a row",
            || Cells::Lists(vec![[0, 1]; 12]),
            &[
                "its column `label` holds lists or records; store one class a row, as a number or a name",
            ],
        ),
        labels(
            "dates",
            || Cells::Days(vec![9; 12]),
            &[
                "its column `label` holds dates, decimals or other values; store each class as a number or a name",
            ],
        ),
        labels(
            "fractions",
            || Cells::Fraction(vec![0.5; 12]),
            &[
                "row 0 of its column `label` holds 0.5, which is no class; store each class as a whole number or a name",
            ],
        ),
        labels(
            "numbers beyond all",
            || Cells::Unsigned(vec![u64::MAX; 12]),
            &[
                "row 0 of its column `label` holds 18446744073709551615, which is beyond any class; number the classes from 0",
            ],
        ),
        labels(
            "bytes that are no text",
            || Cells::Bytes(vec![Some(vec![0xff]); 12]),
            &["row 0 of its column `label` is no text; store each class as a number or a name"],
        ),
        labels(
            "several names in a row",
            || Cells::texts((0..12).map(|row| ["cat", "cat|dog"][row / 6])),
            &[
                "its column of classes holds several in a row, such as `cat|dog`; give each image one class, or put `_` in place of \
                 `|` where it is the name of one class",
            ],
        )
        .then(
            |root| {
                let names = Cells::texts((0..12).map(|row| ["cat", "cat_dog"][row / 6]));
                let columns = [("image", pictures(&PETS, 6)), ("label", names)];
                put_columns(&root.join("d.parquet"), &[], &columns);
            },
            "cat 6, cat_dog 6",
        ),
        labels(
            "labels that nobody has",
            || Cells::numbers([-1; 12]),
            &["none of its rows has a label (all are null or -1); give labelled images"],
        ),
        labels(
            "numbers below -1",
            || Cells::numbers([-7; 12]),
            &[
                "gives example 0 the label -7, but there are 65536 classes (0 to 65535); repair or replace the file",
            ],
        ),
        wrong(
            "a class for each row",
            || {
                vec![
                    ("image", no_bytes(65_537)),
                    ("label", Cells::numbers(1..=65_537)),
                ]
            },
            &[
                "it has 65537 classes, the limit is 65536; take a column of fewer classes for the labels",
            ],
        ),
        wrong(
            "a name for each row",
            || {
                let names: Vec<String> = (0..65_537).map(|i| format!("my cat {i}")).collect();
                let names = Cells::texts(names.iter().map(String::as_str));
                vec![("image", no_bytes(65_537)), ("label", names)]
            },
            &[
                "its labels have more than 65536 names; take a column of fewer classes for the labels",
            ],
        ),
    ]
}

/// The names of the classes of several files.
fn names() -> Vec<Refused> {
    let unnamed = |root: &Path| {
        let columns = [("image", pictures(&PETS, 2)), ("label", turns(2, 2))];
        put_columns(&root.join("d/test.parquet"), &[], &columns);
    };
    vec![
        refused(
            "a class that no training row has",
            |root| {
                put_pets(&root.join("d/train.parquet"), 6);
                put_parquet(&root.join("d/test.parquet"), &["cat", "dog", "cow"], 2);
            },
            &["it has the class `cow` that the training part lacks; add training images of it, or take its rows out"],
        )
        .then(
            |root| put_parquet(&root.join("d/train.parquet"), &["cat", "dog", "cow"], 6),
            "cat 8, dog 8, cow 8",
        )
        .then(|root| put_pets(&root.join("d/test.parquet"), 2), SPLIT),
        refused(
            "numbers beside names",
            move |root| {
                unnamed(root);
                let texts = (0..6).flat_map(|_| PETS);
                let columns = [("image", pictures(&PETS, 6)), ("label", Cells::texts(texts))];
                put_columns(&root.join("d/train.parquet"), &[], &columns);
            },
            &["`test.parquet` numbers its classes and `train.parquet` names them, as `cat`; write the names in both"],
        )
        .then(|root| put_pets(&root.join("d/test.parquet"), 2), SPLIT),
        refused(
            "numbers beside two lists of names",
            move |root| {
                unnamed(root);
                put_pets(&root.join("d/train-0.parquet"), 3);
                put_parquet(&root.join("d/train-1.parquet"), &["dog", "cat"], 3);
            },
            &[
                "`test.parquet` numbers its classes without their names, and other files disagree on the names; write the names in \
                 all files",
            ],
        )
        .then(|root| put_pets(&root.join("d/test.parquet"), 2), SPLIT),
    ]
}

/// Rows that cannot be used.
fn rows() -> Vec<Refused> {
    let with = |file: &Path, images: Vec<Option<Vec<u8>>>, labels: Vec<Option<i64>>| {
        let columns = [
            ("image", Cells::Bytes(images)),
            ("label", Cells::Whole(labels)),
        ];
        put_columns(file, &PETS, &columns);
    };
    let images = || (0..12).map(|row| Some(png(if row % 2 == 0 { CAT } else { DOG }, row)));
    let labels = || (0..12).map(|row| Some(row % 2));
    let whole = |root: &Path| put_pets(&root.join("d.parquet"), 6);
    let paths = |root: &Path| {
        let names: Vec<String> = (0..12).map(|row| format!("p/{row:03}.png")).collect();
        let names = Cells::texts(names.iter().map(String::as_str));
        put_columns(
            &root.join("d/pets.parquet"),
            &PETS,
            &[("image", names), ("label", turns(2, 6))],
        );
    };
    let pictures = |folder: &Path, count: usize| {
        files(folder, count, "png", |row| {
            png(if row % 2 == 0 { CAT } else { DOG }, row)
        });
    };
    vec![
        partial(
            "a row without an image",
            move |root| {
                let mut images: Vec<_> = images().collect();
                images[3] = None;
                with(&root.join("d.parquet"), images, labels().collect());
            },
            &["row 3 of `d.parquet` has no image (null); add it or take the row out"],
        )
        .of("d.parquet")
        .then(whole, BOTH)
        .then(
            move |root| {
                let without = |row: &usize| *row != 3;
                let kept: Vec<usize> = (0..12).filter(without).collect();
                let (all, named): (Vec<_>, Vec<_>) = (images().collect(), labels().collect());
                let images = kept.iter().map(|&row| all[row].clone()).collect();
                let labels = kept.iter().map(|&row| named[row]).collect();
                with(&root.join("d.parquet"), images, labels);
            },
            "cat 6, dog 5",
        ),
        partial(
            "rows without a label",
            move |root| {
                let mut labels: Vec<_> = labels().collect();
                labels[3..5].fill(None);
                with(&root.join("d.parquet"), images().collect(), labels);
            },
            &["rows 3 to 4 of `d.parquet` have no label (null); add it or take the row out"],
        )
        .of("d.parquet")
        .then(whole, BOTH),
        refused(
            "a class of which no image can be read",
            move |root| {
                let spoiled = images().enumerate().map(|(row, image)| match row % 2 {
                    0 => image,
                    _ => Some(b"no image".to_vec()),
                });
                with(&root.join("d.parquet"), spoiled.collect(), labels().collect());
            },
            &[
                "none of 6 images of the class `dog` in its training part can be read: cannot decode `d.parquet/row 1` (it is a text \
                 file); replace it by a png, jpg or webp image; or take the rows of this class out",
            ],
        )
        .of("d.parquet")
        .then(whole, BOTH),
        partial(
            "a row with the path of a file that is gone",
            move |root| {
                paths(root);
                pictures(&root.join("d/p"), 11);
            },
            &[
                "row 11 of `d/pets.parquet` has no image, only the path `p/011.png`, where there is none; put the image there or \
                 take the row out",
            ],
        )
        .then(|root| put(&root.join("d/p/011.png"), png(DOG, 11)), BOTH),
        refused(
            "rows with the paths of files that are gone",
            paths,
            &[
                "it holds no images, only the paths of 12, as `p/000.png`, where there is none; give the folder of images itself, or \
                 write their bytes where they lie: `ds.with_format(\"arrow\").map(datasets.table.embed_table_storage, \
                 batched=True).to_parquet(…)`",
            ],
        )
        .give("pets", |root| classes(&root.join("pets"), &PETS, 6), BOTH)
        .then(|root| put_pets(&root.join("d/pets.parquet"), 6), BOTH),
        refused(
            "a file without rows",
            |root| {
                let columns = [("image", Cells::Bytes(Vec::new())), ("label", Cells::Whole(Vec::new()))];
                put_columns(&root.join("d/pets.parquet"), &PETS, &columns);
            },
            &["is empty; give a file or folder that holds images"],
        )
        .then(|root| put_pets(&root.join("d/pets.parquet"), 6), BOTH)
        .give("pets", |root| classes(&root.join("pets"), &PETS, 6), BOTH)
        .then(
            |root| {
                fs::remove_file(root.join("d/pets.parquet")).unwrap();
                classes(&root.join("d"), &PETS, 6);
            },
            BOTH,
        ),
    ]
}
