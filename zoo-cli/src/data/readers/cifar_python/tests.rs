use std::fs;

use proptest::prelude::*;

use super::*;

/// A dictionary as cPickle of Python 2 wrote CIFAR's files: byte texts, protocol 2.
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}q\x01(".to_vec();
    for (key, value) in entries {
        bytes.extend([b'U', key.len() as u8]);
        bytes.extend(key.bytes());
        bytes.extend(value);
    }
    bytes.extend(b"u.");
    bytes
}

fn integer(value: i32) -> Vec<u8> {
    let mut bytes = vec![b'J'];
    bytes.extend(value.to_le_bytes());
    bytes
}

fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = b"](".to_vec();
    items.into_iter().for_each(|item| bytes.extend(item));
    bytes.push(b'e');
    bytes
}

fn numbers(values: &[i32]) -> Vec<u8> {
    list(values.iter().map(|&value| integer(value)))
}

fn names(names: &[String]) -> Vec<u8> {
    list(names.iter().map(|name| {
        let mut bytes = vec![b'U', name.len() as u8];
        bytes.extend(name.bytes());
        bytes
    }))
}

fn array(dtype: &str, rows: usize, columns: usize, fortran: bool, data: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01".to_vec();
    bytes.extend(integer(rows as i32));
    bytes.extend(integer(columns as i32));
    bytes.extend(b"\x86cnumpy\ndtype\nU\x02");
    bytes.extend(dtype.bytes());
    bytes.extend(b"K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb");
    bytes.push(if fortran { 0x88 } else { 0x89 });
    bytes.push(b'T');
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend(b"tb");
    bytes
}

fn row(seed: usize) -> Vec<u8> {
    (0..cifar::PIXELS)
        .map(|i| ((i * 7 + i / 1000 + seed * 31) % 251) as u8)
        .collect()
}

fn batch(key: &str, labels: &[i32]) -> Vec<u8> {
    let data: Vec<u8> = labels
        .iter()
        .flat_map(|&label| row(label as usize))
        .collect();
    dictionary(&[
        ("batch_label", b"U\x01x".to_vec()),
        (key, numbers(labels)),
        (
            "data",
            array("u1", labels.len(), cifar::PIXELS, false, &data),
        ),
    ])
}

fn open(files: &[(&str, Vec<u8>)]) -> Result<Option<(Parts, Vec<usize>)>, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    read(&store, directory.path()).map_err(|error| error.to_string())
}

#[test]
fn the_images_are_those_of_the_binary_version() {
    let labels: Vec<String> = (0..10).map(|i| format!("class {i}")).collect();
    let (parts, used) = open(&[
        ("c/data_batch_2", batch("labels", &[1])),
        ("c/data_batch_1", batch("labels", &[3, 9])),
        ("c/test_batch", batch("labels", &[0])),
        (
            "c/batches.meta",
            dictionary(&[("label_names", names(&labels))]),
        ),
        ("c/readme.html", b"<html>".to_vec()),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(used.len(), 4);
    assert_eq!(parts.label_names, labels);
    let train = parts.train.unwrap();
    assert_eq!(train.labels, [3, 9, 1]);
    assert_eq!(parts.test.unwrap().labels, [0]);
    let raw = row(3);
    for (y, x) in [(0, 0), (5, 17), (31, 31)] {
        for channel in 0..3 {
            let expected = raw[channel * 1024 + y * 32 + x];
            assert_eq!(train.image(0)[(y * 32 + x) * 3 + channel], expected);
        }
    }
    assert_eq!(train.image(2)[..3], [row(1)[0], row(1)[1024], row(1)[2048]]);
}

#[test]
fn cifar_100_has_its_fine_labels() {
    let fine: Vec<String> = (0..100).map(|i| format!("fine {i}")).collect();
    let coarse: Vec<String> = (0..20).map(|i| format!("coarse {i}")).collect();
    let train = dictionary(&[
        ("coarse_labels", numbers(&[4])),
        ("fine_labels", numbers(&[99])),
        ("data", array("u1", 1, cifar::PIXELS, false, &row(0))),
    ]);
    let meta = dictionary(&[
        ("coarse_label_names", names(&coarse)),
        ("fine_label_names", names(&fine)),
    ]);
    let (parts, _) = open(&[("train", train.clone()), ("meta", meta)])
        .unwrap()
        .unwrap();
    assert_eq!(parts.train.unwrap().labels, [99]);
    assert_eq!(parts.label_names[99], "fine 99");
    // Without the file of names they are the known ones.
    let (parts, _) = open(&[("train", train)]).unwrap().unwrap();
    assert_eq!(parts.label_names[99], "worm");
}

#[test]
fn rows_in_fortran_order_are_turned() {
    let rows = [row(0), row(1)];
    let stored: Vec<u8> = (0..cifar::PIXELS)
        .flat_map(|i| [rows[0][i], rows[1][i]])
        .collect();
    let file = dictionary(&[
        ("labels", numbers(&[0, 1])),
        ("data", array("u1", 2, cifar::PIXELS, true, &stored)),
    ]);
    let (parts, _) = open(&[("test_batch", file)]).unwrap().unwrap();
    let test = parts.test.unwrap();
    assert_eq!(test.image(1), cifar::interleaved(&rows[1]));
}

#[test]
fn files_of_other_kinds_are_left_to_others() {
    assert!(
        open(&[("train", b"text".to_vec()), ("test", b"text".to_vec())])
            .unwrap()
            .is_none()
    );
    assert!(
        open(&[("data_batch_1.bin", b"x".to_vec())])
            .unwrap()
            .is_none()
    );
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    let good = || batch("labels", &[1]);
    let with = |entries: &[(&str, Vec<u8>)]| dictionary(entries);
    let data = || array("u1", 1, cifar::PIXELS, false, &row(0));
    let short = good()[..900].to_vec();
    for (files, said) in [
        (vec![("data_batch_1", short)], "ends too early"),
        (
            vec![("data_batch_1", b"cos\nsystem\n.".to_vec())],
            "`os.system`",
        ),
        (
            vec![("data_batch_1", with(&[("labels", numbers(&[1]))]))],
            "no `data`",
        ),
        (
            vec![("data_batch_1", with(&[("data", data())]))],
            "no `labels`",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[("data", numbers(&[1])), ("labels", numbers(&[1]))]),
            )],
            "is no array",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[("data", data()), ("labels", names(&["a".into()]))]),
            )],
            "no whole numbers",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[("data", data()), ("labels", numbers(&[1, 2]))]),
            )],
            "2 labels for 1 images",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[("data", data()), ("labels", numbers(&[10]))]),
            )],
            "example 0 the label 10, but there are 10 classes",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[("data", data()), ("labels", numbers(&[-1]))]),
            )],
            "the label -1",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[
                    ("data", array("u1", 1, 3, false, &[1, 2, 3])),
                    ("labels", numbers(&[1])),
                ]),
            )],
            "[1, 3] in place of rows of 3072",
        ),
        (
            vec![(
                "data_batch_1",
                with(&[
                    ("data", array("i1", 1, cifar::PIXELS, false, &row(0))),
                    ("labels", numbers(&[1])),
                ]),
            )],
            "no unsigned bytes",
        ),
        (
            vec![
                ("data_batch_1", good()),
                (
                    "batches.meta",
                    with(&[("label_names", names(&["a".into()]))]),
                ),
            ],
            "1 names for 10 classes",
        ),
        (
            vec![("data_batch_1", good()), ("batches.meta", with(&[]))],
            "no list of texts `label_names`",
        ),
        (
            vec![("a/data_batch_1", good()), ("b/test_batch", good())],
            "2 data sets, in `a`, `b`; give one of these folders",
        ),
        (
            vec![("test_batch", good()), ("test", batch("fine_labels", &[1]))],
            "of another dataset",
        ),
    ] {
        let error = open(&files).err().unwrap();
        assert!(error.contains(said), "{said}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_files_never_panic(at in 0usize..400, byte: u8, cut in 0usize..3600) {
        let mut bytes = batch("labels", &[1]);
        bytes[at] = byte;
        bytes.truncate(cut);
        let _ = parse(Path::new("x"), &mut bytes.as_slice(), Format::Cifar10);
        let _ = class_names(Path::new("x"), &mut bytes.as_slice(), "labels", 1);
    }
}

#[test]
fn missing_files_are_noted() {
    for (files, expected) in [
        (
            &[
                "data_batch_1",
                "data_batch_2",
                "data_batch_3",
                "data_batch_5",
                "test_batch",
            ][..],
            "`data_batch_4` of CIFAR-10 is not there",
        ),
        (
            &[
                "data_batch_1",
                "data_batch_2",
                "data_batch_3",
                "data_batch_5",
            ],
            "`data_batch_4` and `test_batch` of CIFAR-10 are not there",
        ),
        (&["train", "test"], ""),
        (&["test"], "`train` of CIFAR-100 is not there"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        for name in files {
            let key = match files.contains(&"test") {
                true => "fine_labels",
                false => "labels",
            };
            fs::write(directory.path().join(name), batch(key, &[1])).unwrap();
        }
        let store = Store::open(directory.path()).unwrap();
        let survey = survey(&store, directory.path()).unwrap().unwrap();
        assert_eq!(survey.inventory.notes.concat(), expected);
    }
}
