//! CIFAR's files, of records and of Python, and those of STL-10.

use std::fs;
use std::path::Path;

use end_to_end::archive::{gzip, tar};
use end_to_end::formats::{by_columns, record};
use end_to_end::picture::{class, put};

use crate::arrays::two_classes;
use crate::follow::{Refused, nothing, refused, rename, replaced};
use crate::pickle::{array, dictionary, names, numbers, text};

/// The first two classes of CIFAR-10 and their images; the others have none.
const TEN: &str =
    "airplane 6, automobile 6, bird 0, cat 0, deer 0, dog 0, frog 0, horse 0, ship 0, truck 0";
const STL: &str =
    "airplane 6, bird 6, car 0, cat 0, deer 0, dog 0, horse 0, monkey 0, ship 0, truck 0";

fn images(one: impl Fn(u8, usize) -> Vec<u8>) -> Vec<u8> {
    let each = (0..6).flat_map(|i| [(0, i), (1, i)]);
    each.flat_map(|(class, i)| one(class, i)).collect()
}

fn ten() -> Vec<u8> {
    images(|class, i| record(&[class], class.into(), i))
}

/// Records of CIFAR-100 in a folder.
fn put_hundred(folder: &Path) {
    let records = images(|class, i| record(&[0, class], class.into(), i));
    put(&folder.join("train.bin"), records);
}

pub(crate) fn cases() -> Vec<Refused> {
    [records(), together(), python(), stl()]
        .into_iter()
        .flatten()
        .collect()
}

fn records() -> Vec<Refused> {
    const BATCH: &str = "d/data_batch_1.bin";
    const NAMES: &str = "d/batches.meta.txt";
    let put_ten = |root: &Path| put(&root.join(BATCH), ten());
    vec![
        replaced(
            "records that are cut",
            BATCH,
            put_ten,
            |bytes| bytes[..bytes.len() - 3].to_vec(),
            &["after 11 records of 3073 bytes come 3070 more bytes; fetch the file again"],
            TEN,
        ),
        replaced(
            "more records than any file has",
            BATCH,
            put_ten,
            |_| gzip(&vec![0; 50_001 * 3073]),
            &["it holds more than 50000 records; fetch the file again"],
            TEN,
        ),
        replaced(
            "a record with a label of its own",
            BATCH,
            put_ten,
            |bytes| [&[10], &bytes[1..]].concat(),
            &[
                "gives example 0 the label 10, but there are 10 classes (0 to 9); repair or replace the file",
            ],
            TEN,
        ),
        replaced(
            "no records",
            BATCH,
            put_ten,
            |_| Vec::new(),
            &["`d/data_batch_1.bin` is empty; give a file or folder that holds images"],
            TEN,
        ),
        refused(
            "too few names of classes",
            move |root| {
                put_ten(root);
                put(&root.join(NAMES), "cat\ndog\n");
            },
            &["it holds 2 names for 10 classes; correct it or remove it"],
        )
        .then(|root| fs::remove_file(root.join(NAMES)).unwrap(), TEN)
        .then(
            |root| put(&root.join(NAMES), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"),
            "a 6, b 6, c 0, d 0, e 0, f 0, g 0, h 0, i 0, j 0",
        ),
    ]
}

/// Several data sets.
fn together() -> Vec<Refused> {
    let put_ten = |folder: &Path| put(&folder.join("data_batch_1.bin"), ten());
    vec![
        refused(
            "records of both sets",
            move |root| {
                put_ten(&root.join("d"));
                put_hundred(&root.join("d"));
            },
            &["it stands beside `d/data_batch_1.bin` of another dataset; move the files of one of them into a folder of its own \
               and give that"],
        )
        .give("d/own", |root| rename(root, "d/data_batch_1.bin", "d/own/data_batch_1.bin"), TEN),
        refused(
            "records in two folders",
            move |root| {
                put_ten(&root.join("d/a"));
                put_ten(&root.join("d/b"));
            },
            &["it holds the files of 2 data sets, in `a`, `b`; give one of these folders"],
        )
        .give("d/b", nothing, TEN),
        refused(
            "records in a folder and one below it",
            move |root| {
                put_ten(&root.join("d"));
                put_ten(&root.join("d/b"));
            },
            &["in the top folder, `b`; move the files of each into a folder of its own and give one of them"],
        )
        .give(
            "d/own",
            |root| rename(root, "d/data_batch_1.bin", "d/own/data_batch_1.bin"),
            TEN,
        ),
        refused(
            "records in two folders of an archive",
            move |root| {
                put_ten(&root.join("x/a"));
                let file = |folder: &str| (format!("{folder}/data_batch_1.bin"), ten());
                put(&root.join("d"), tar(&[file("a"), file("b")]));
            },
            &["it holds the files of 2 data sets, in `a`, `b`; unpack it and give one of these folders"],
        )
        .give("x/a", nothing, TEN),
        refused(
            "records beside class folders",
            move |root| {
                put_ten(&root.join("d/records"));
                class(&root.join("d/pets/cat"), 0, 6);
                class(&root.join("d/pets/dog"), 2, 6);
            },
            &[
                "it holds those of several formats, CIFAR record files (`records/data_batch_1.bin`), an image folder \
                 (`pets/cat/000.png`); give one of their folders",
            ],
        )
        .give("d/records", nothing, TEN),
    ]
}

fn python() -> Vec<Refused> {
    const BATCH: &str = "d/data_batch_1";
    const META: &str = "d/batches.meta";
    const LABELS: [i32; 12] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
    let data = || {
        array(
            "u1",
            &[12, 3072],
            &images(|class, i| record(&[], class.into(), i)),
        )
    };
    let batch = move || dictionary(&[("labels", numbers(&LABELS)), ("data", data())]);
    let put_batch = move |root: &Path| put(&root.join(BATCH), batch());
    let wrong = |name, bytes: Vec<u8>, sentence| {
        replaced(
            name,
            BATCH,
            put_batch,
            move |_| bytes.clone(),
            sentence,
            TEN,
        )
    };
    // Its arrays are given instead.
    let saved = |name, bytes: Vec<u8>, sentence| {
        refused(name, move |root| put(&root.join(BATCH), &bytes), sentence).give(
            "d/data.npz",
            |root| put(&root.join("d/data.npz"), two_classes()),
            "0 6, 1 6",
        )
    };
    let labels = || ("labels", numbers(&LABELS));
    let meta = |name, bytes: Vec<u8>, sentence| {
        let both = move |root: &Path| {
            put_batch(root);
            let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
            put(
                &root.join(META),
                dictionary(&[("label_names", names(&ten))]),
            );
        };
        let named = "a 6, b 6, c 0, d 0, e 0, f 0, g 0, h 0, i 0, j 0";
        replaced(name, META, both, move |_| bytes.clone(), sentence, named)
            .then(|root| fs::remove_file(root.join(META)).unwrap(), TEN)
    };
    vec![
        wrong(
            "a batch without images",
            dictionary(&[labels()]),
            &["it has no `data`; give the original file of CIFAR"],
        ),
        wrong(
            "images in a list",
            dictionary(&[labels(), ("data", numbers(&[1, 2]))]),
            &["its `data` is no array; give the original file of CIFAR"],
        ),
        wrong(
            "images of another size",
            dictionary(&[labels(), ("data", array("u1", &[12, 9], &[0; 108]))]),
            &["its `data` is an array of [12, 9] in place of rows of 3072 bytes; give the original file of CIFAR"],
        ),
        wrong(
            "images of wide numbers",
            dictionary(&[labels(), ("data", array("u2", &[1, 3072], &[0; 6144]))]),
            &["the elements of its `data` are no unsigned bytes; give the original file of CIFAR"],
        ),
        wrong(
            "labels that are words",
            dictionary(&[("labels", names(&["cat"])), ("data", data())]),
            &["its `labels` are no whole numbers; give the original file of CIFAR"],
        ),
        wrong(
            "labels of fewer images",
            dictionary(&[("labels", numbers(&[0, 1])), ("data", data())]),
            &["it holds 2 labels for 12 images; fetch the file again"],
        ),
        wrong(
            "a batch that is cut",
            batch()[..1000].to_vec(),
            &["it ends too early; fetch the file again"],
        ),
        saved(
            "a batch that would run a program",
            b"\x80\x02cos\nsystem\nU\x02ls\x85R.".to_vec(),
            &[
                "it holds `os.system`, and only numbers, text, lists, dictionaries and NumPy arrays of whole numbers are read; \
                 save the arrays with numpy.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, y_test=…) and give that file",
            ],
        ),
        saved(
            "a batch of more steps than any has",
            [&b"\x80\x02"[..], &vec![b'N'; (4 << 20) + 1], b"."].concat(),
            &[
                "it takes more than 4194304 steps to read; save its arrays with numpy.savez(\"data.npz\", x_train=…, y_train=…, \
                 x_test=…, y_test=…) and give that file",
            ],
        ),
        wrong(
            "a batch of a protocol to come",
            b"\x80\x09}.".to_vec(),
            &["it is of protocol 9, and 0 to 5 are read; save it again with protocol=5"],
        ),
        meta(
            "too few names of classes",
            dictionary(&[("label_names", names(&["cat", "dog"]))]),
            &["it holds 2 names for 10 classes; give the original file of CIFAR or remove it"],
        ),
        meta(
            "names of classes under another key",
            dictionary(&[("names", text("cat"))]),
            &["it has no list of texts `label_names`; give the original file of CIFAR or remove it"],
        ),
        refused(
            "Python's files of both sets",
            move |root| {
                put_batch(root);
                let hundred = dictionary(&[("fine_labels", numbers(&LABELS)), ("data", data())]);
                put(&root.join("d/train"), hundred);
            },
            &["it stands beside `d/data_batch_1` of another dataset; move the files of one of them into a folder of its own and \
               give that"],
        )
        .give("d/own", |root| rename(root, BATCH, "d/own/data_batch_1"), TEN),
    ]
}

fn stl() -> Vec<Refused> {
    const IMAGES: &str = "d/train_X.bin";
    const LABELS: &str = "d/train_y.bin";
    const NAMES: &str = "d/class_names.txt";
    let put_stl = |root: &Path| {
        put(
            &root.join(IMAGES),
            images(|class, i| by_columns(class.into(), i)),
        );
        put(&root.join(LABELS), images(|class, _| vec![1 + class]));
    };
    let lacks = move |file: &'static str| {
        move |root: &Path| {
            put_stl(root);
            rename(root, file, "elsewhere");
        }
    };
    let back = |file: &'static str| move |root: &Path| rename(root, "elsewhere", file);
    let wrong = move |name, file, wrong: fn(Vec<u8>) -> Vec<u8>, sentence| {
        replaced(name, file, put_stl, wrong, sentence, STL)
    };
    vec![
        refused(
            "STL-10 without labels",
            lacks(LABELS),
            &["`train_y.bin` is missing; put it beside"],
        )
        .then(back(LABELS), STL),
        refused(
            "STL-10 without images",
            lacks(IMAGES),
            &["`train_X.bin` is missing; put it beside"],
        )
        .then(back(IMAGES), STL),
        refused(
            "STL-10 plain and packed",
            move |root| {
                put_stl(root);
                let packed = gzip(&fs::read(root.join(LABELS)).unwrap());
                put(&root.join("d/train_y.bin.gz"), packed);
            },
            &["it is there plain and packed; remove one of the two"],
        )
        .then(|root| fs::remove_file(root.join(LABELS)).unwrap(), STL)
        .then(
            |root| fs::remove_file(root.join("d/train_y.bin.gz")).unwrap(),
            STL,
        ),
        wrong(
            "images of STL-10 that are cut",
            IMAGES,
            |bytes| bytes[..bytes.len() - 48].to_vec(),
            &["after 11 images of 27648 bytes come 27600 more bytes; fetch the file again"],
        ),
        wrong(
            "labels of fewer images of STL-10",
            LABELS,
            |bytes| bytes[..5].to_vec(),
            &[
                "it holds 5 labels for the 12 images of `d/train_X.bin`; take both files from one source",
            ],
        ),
        wrong(
            "a label of STL-10 that counts from 0",
            LABELS,
            |bytes| bytes.iter().map(|label| label - 1).collect(),
            &["example 0 has the label 0, and labels are 1 to 10; fetch the file again"],
        ),
        refused(
            "too few names of STL-10",
            move |root| {
                put_stl(root);
                put(&root.join(NAMES), "airplane\nbird\n");
            },
            &["it holds 2 names for 10 classes; correct it or remove it"],
        )
        .then(|root| fs::remove_file(root.join(NAMES)).unwrap(), STL),
    ]
}
