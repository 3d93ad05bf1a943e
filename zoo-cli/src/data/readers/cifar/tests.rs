use std::fs;

use proptest::prelude::*;

use super::*;

fn record(labels: &[u8], seed: usize) -> Vec<u8> {
    let mut bytes = labels.to_vec();
    bytes.extend((0..PIXELS).map(|i| ((i * 7 + i / 1000 + seed * 31) % 251) as u8));
    bytes
}

fn folder(files: &[(&str, Vec<u8>)]) -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("cifar")).unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join("cifar").join(name), bytes).unwrap();
    }
    (Store::open(directory.path()).unwrap(), directory)
}

fn failure(files: &[(&str, Vec<u8>)]) -> String {
    let (store, _directory) = folder(files);
    read(&store, Path::new("c")).err().unwrap().to_string()
}

#[test]
fn planes_become_channels() {
    let raw = record(&[3], 0);
    let files = [
        ("data_batch_2.bin", record(&[1], 1)),
        ("data_batch_1.bin", [raw.clone(), record(&[9], 2)].concat()),
        ("test_batch.bin", record(&[0], 3)),
    ];
    let (store, _directory) = folder(&files);
    let parts = read(&store, Path::new("c")).unwrap().unwrap().0;
    let train = parts.train.unwrap();
    assert_eq!(train.labels, [3, 9, 1]);
    assert_eq!(parts.label_names[3], "cat");
    assert_eq!(parts.test.unwrap().labels, [0]);
    for (y, x) in [(0, 0), (5, 17), (31, 31)] {
        for channel in 0..3 {
            let expected = raw[1 + channel * 1024 + y * 32 + x];
            assert_eq!(train.image(0)[(y * 32 + x) * 3 + channel], expected);
        }
    }
}

#[test]
fn cifar_100_uses_the_fine_label_and_the_names_beside_it() {
    let names: String = (0..100).map(|i| format!("class {i}\n")).collect();
    let (store, _directory) = folder(&[
        ("train.bin", record(&[19, 99], 0)),
        ("fine_label_names.txt", names.into()),
    ]);
    let parts = read(&store, Path::new("c")).unwrap().unwrap().0;
    assert_eq!(parts.train.unwrap().labels, [99]);
    assert_eq!(parts.label_names[99], "class 99");
    assert!(parts.test.is_none());
}

#[test]
fn missing_files_are_noted() {
    let ten = |name| (name, record(&[1], 0));
    let hundred = |name| (name, record(&[1, 1], 0));
    let batches = [
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];
    for (files, expected) in [
        (batches.map(ten).to_vec(), ""),
        (
            [0, 1, 4].map(|i| ten(batches[i])).to_vec(),
            "`data_batch_3.bin`, `data_batch_4.bin` and `test_batch.bin` of CIFAR-10 are not there",
        ),
        (
            batches[..5].iter().map(|name| ten(name)).collect(),
            "`test_batch.bin` of CIFAR-10 is not there",
        ),
        (["train.bin", "test.bin"].map(hundred).to_vec(), ""),
        (
            vec![hundred("train.bin")],
            "`test.bin` of CIFAR-100 is not there",
        ),
    ] {
        let (store, directory) = folder(&files);
        let survey = survey(&store, directory.path()).unwrap().unwrap();
        assert_eq!(survey.inventory.notes.concat(), expected);
    }
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    let two = [record(&[1], 0), record(&[2], 1)].concat();
    let error = failure(&[("data_batch_1.bin", two[..two.len() - 1].to_vec())]);
    assert!(
        error.contains("after 1 records of 3073 bytes come 3072 more"),
        "{error}"
    );
    let error = failure(&[("test_batch.bin", [two, vec![0]].concat())]);
    assert!(
        error.contains("test_batch.bin") && error.contains("1 more bytes"),
        "{error}"
    );
    let error = failure(&[("data_batch_1.bin", record(&[10], 0))]);
    assert!(
        error.contains("example 0 the label 10, but there are 10 classes (0 to 9)"),
        "{error}"
    );
    let error = failure(&[("train.bin", record(&[20, 0], 0))]);
    assert!(error.contains("label 20"), "{error}");
    assert!(failure(&[("test.bin", vec![])]).contains("is empty"));
    assert!(
        failure(&[("test.bin", vec![1]), ("test_batch.bin", vec![1])]).contains("another dataset")
    );
    let error = failure(&[
        ("train.bin", record(&[1, 1], 0)),
        ("fine_label_names.txt", b"one\n".to_vec()),
    ]);
    assert!(error.contains("1 names for 100 classes"), "{error}");
}

#[test]
fn a_file_beyond_the_largest_is_refused() {
    let mut endless = std::io::repeat(0);
    let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 3));
    let error = parse(
        Path::new("data_batch_1.bin"),
        &mut endless,
        Format::Cifar10,
        &mut images,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("more than 50000 records"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, records in 0usize..3, hundred: bool) {
        let format = if hundred { Format::Cifar100 } else { Format::Cifar10 };
        let mut file = record(&vec![1; format.labels().len()], 0).repeat(records);
        file.extend(&bytes);
        let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 3));
        let result = parse(Path::new("x"), &mut file.as_slice(), format, &mut images);
        prop_assert_eq!(result.is_ok(), bytes.is_empty() && records > 0);
        prop_assert_eq!(images.len(), records);
    }
}
