use std::{fs, io::Write};

use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::data::ImageShape;

/// A `.npy` file as NumPy writes it: version 1, the header padded to 64 bytes.
fn npy(dtype: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let axes: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let shape = match shape.len() {
        1 => axes.trim_end().to_owned(),
        _ => axes.trim_end_matches(", ").to_owned(),
    };
    let mut header =
        format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

fn npz(arrays: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Grey 2×2 images whose pixels count up from `from`.
fn grey(count: usize, from: u8) -> Vec<u8> {
    let data: Vec<u8> = (0..count * 4).map(|i| from + i as u8).collect();
    npy("|u1", false, &[count, 2, 2], &data)
}

fn labels(values: &[u8]) -> Vec<u8> {
    npy("|u1", false, &[values.len(), 1], values)
}

fn long_labels(values: &[i64]) -> Vec<u8> {
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    npy("<i8", false, &[values.len()], &data)
}

/// The parts and the inventory of these files in a folder; of the one file, where it is one.
fn open(
    files: &[(&str, Vec<u8>)],
) -> Result<Option<(Parts, crate::data::inventory::Inventory)>, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let in_folder = open_at(directory.path())?;
    if let [(name, _)] = files {
        let given = open_at(&directory.path().join(name))?;
        let parts =
            |found: &Option<(Parts, _)>| found.as_ref().map(|(parts, _)| parts.train.clone());
        assert_eq!(parts(&given), parts(&in_folder));
        return Ok(given);
    }
    Ok(in_folder)
}

fn open_at(path: &Path) -> Result<Option<(Parts, crate::data::inventory::Inventory)>, String> {
    let store = Store::open(path).map_err(|error| error.to_string())?;
    let survey = survey(&store, path).map_err(|error| error.to_string())?;
    Ok(survey.map(|survey| {
        let parts = (survey.load)(&crate::data::fit::input(2, 2, 1)).unwrap();
        (parts, survey.inventory)
    }))
}

fn medmnist() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train_images", grey(3, 0)),
        ("val_images", grey(1, 50)),
        ("test_images", grey(2, 80)),
        ("train_labels", labels(&[0, 1, 0])),
        ("val_labels", labels(&[1])),
        ("test_labels", labels(&[1, 0])),
    ]
}

#[test]
fn medmnist_has_three_parts() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let file = npz(&medmnist(), method);
        let (parts, _) = open(&[("breastmnist_64.npz", file)]).unwrap().unwrap();
        let train = parts.train.unwrap();
        assert_eq!(train.shape(), ImageShape::new(2, 2, 1));
        assert_eq!(
            (train.image(1), &train.labels[..]),
            (&[4, 5, 6, 7][..], &[0, 1, 0][..])
        );
        assert_eq!(parts.validation.unwrap().pixels, [50, 51, 52, 53]);
        assert_eq!(parts.test.unwrap().labels, [1, 0]);
        assert_eq!(parts.label_names, ["malignant", "normal, benign"]);
    }
}

#[test]
fn keras_has_two_parts_and_numbers_of_eight_bytes() {
    let file = npz(
        &[
            ("x_test", grey(1, 9)),
            (
                "x_train",
                npy("|u1", false, &[2, 1, 2, 3], &(0..12).collect::<Vec<u8>>()),
            ),
            ("y_train", long_labels(&[2, 0])),
            ("y_test", long_labels(&[1])),
            ("ids", long_labels(&[1])),
        ],
        CompressionMethod::Deflated,
    );
    let (parts, inventory) = open(&[("mnist.npz", file)]).unwrap().unwrap();
    let train = parts.train.unwrap();
    assert_eq!(train.shape(), ImageShape::new(1, 2, 3));
    assert_eq!(train.image(1), [6, 7, 8, 9, 10, 11]);
    assert_eq!(train.labels, [2, 0]);
    assert_eq!(parts.test.unwrap().labels, [1]);
    assert_eq!(parts.label_names, ["0", "1", "2"]);
    assert!(inventory.notes[0].contains("`ids`"));
}

#[test]
fn loose_arrays_and_fortran_order() {
    // Two images of 2×3: element (i, y, x) is 100 i + 10 y + x, the first index moves fastest.
    let mut stored = Vec::new();
    for x in 0..3u8 {
        for y in 0..2 {
            stored.extend([10 * y + x, 100 + 10 * y + x]);
        }
    }
    let (parts, inventory) = open(&[
        ("X_train.npy", npy("|u1", true, &[2, 2, 3], &stored)),
        ("y_train.npy", npy(">i2", false, &[2], &[0, 1, 0, 0])),
        ("notes.txt", b"text".to_vec()),
    ])
    .unwrap()
    .unwrap();
    let train = parts.train.unwrap();
    assert_eq!(
        train.pixels,
        [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]
    );
    assert_eq!(train.labels, [1, 0]);
    assert_eq!(inventory.left_out[0].examples, ["notes.txt"]);
}

#[test]
fn archives_of_one_array_are_named_by_their_files() {
    let one = |array: Vec<u8>| npz(&[("arr_0", array)], CompressionMethod::Deflated);
    let files = [
        ("kmnist-train-imgs.npz", one(grey(2, 0))),
        ("kmnist-train-labels.npz", one(labels(&[1, 0]))),
        ("kmnist-test-imgs.npz", one(grey(1, 9))),
        ("kmnist-test-labels.npz", one(labels(&[1]))),
        ("kmnist_classmap.csv", b"index,codepoint,char".to_vec()),
    ];
    let (parts, inventory) = open(&files).unwrap().unwrap();
    assert_eq!(parts.train.unwrap().labels, [1, 0]);
    assert_eq!(parts.test.unwrap().pixels, [9, 10, 11, 12]);
    assert_eq!(inventory.left_out[0].examples, ["kmnist_classmap.csv"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(files[0].0);
    fs::write(&path, &files[0].1).unwrap();
    let error = open_at(&path).err().unwrap();
    assert!(error.contains("give its folder"), "{error}");
}

#[test]
fn other_files_are_left_to_others() {
    assert!(open(&[("a.txt", b"x".to_vec())]).unwrap().is_none());
    let with_images = open(&[
        ("a.png", b"x".to_vec()),
        ("mnist.npz", npz(&medmnist(), CompressionMethod::Stored)),
    ]);
    assert!(with_images.unwrap().is_none());
    assert!(
        open(&[("a.npy", grey(1, 0)), ("b.npy", grey(1, 0))])
            .unwrap()
            .is_none()
    );
}

#[test]
fn what_is_no_dataset_of_images_says_why() {
    let pair = |images: Vec<u8>, labels: Vec<u8>| {
        let arrays = [("x_train", images), ("y_train", labels)];
        vec![("a.npz", npz(&arrays, CompressionMethod::Stored))]
    };
    let one = |name: &'static str, array: Vec<u8>| {
        vec![("a.npz", npz(&[(name, array)], CompressionMethod::Stored))]
    };
    let bytes = |count: usize| vec![1; count];
    for (files, said) in [
        (
            pair(grey(1, 0), npy("|u1", false, &[1, 14], &bytes(14))),
            "14 labels for each image",
        ),
        (
            pair(grey(1, 0), labels(&[1, 2])),
            "2 labels for the 1 images",
        ),
        (pair(grey(1, 0), long_labels(&[-1])), "the label -1"),
        (
            pair(grey(1, 0), long_labels(&[1 << 40])),
            "the label 1099511627776",
        ),
        (
            pair(grey(1, 0), npy("<f4", false, &[1], &bytes(4))),
            "type `<f4`",
        ),
        (
            pair(
                npy("<f4", false, &[1, 1, 1], &0.5f32.to_le_bytes()),
                labels(&[1]),
            ),
            "multiply images by 255 and write them as uint8",
        ),
        (
            pair(
                npy("<f4", false, &[1, 1, 1], &200f32.to_le_bytes()),
                labels(&[1]),
            ),
            "bring images to 0 to 255 and write them as uint8",
        ),
        (
            pair(npy("|u1", false, &[1, 5, 5, 5], &bytes(125)), labels(&[1])),
            "volumes of 5×5×5",
        ),
        (
            pair(
                npy("|u1", false, &[1, 5, 5, 5, 1], &bytes(125)),
                labels(&[1]),
            ),
            "volumes of 5×5×5",
        ),
        (
            pair(npy("|u1", false, &[1, 3, 5, 5], &bytes(75)), labels(&[1])),
            "channels last",
        ),
        (
            pair(npy("|u1", false, &[1, 5, 5, 4], &bytes(100)), labels(&[1])),
            "besides red",
        ),
        (
            pair(npy("|u1", false, &[1, 784], &bytes(784)), labels(&[1])),
            "none of images",
        ),
        (
            pair(npy("<i8", false, &[1, 1, 1], &bytes(8)), labels(&[1])),
            "no unsigned bytes",
        ),
        (
            pair(npy("|b1", false, &[1, 1, 1], &bytes(1)), labels(&[1])),
            "no unsigned bytes",
        ),
        (
            pair(npy("|u1", false, &[0, 2, 2], &[]), labels(&[])),
            "is empty",
        ),
        (one("x_train", grey(1, 0)), "no labels of the training part"),
        (
            one("val_labels", labels(&[1])),
            "no images of the validation part",
        ),
        (one("arr_0", grey(1, 0)), "arrays named `arr_0`"),
        (
            vec![(
                "a.npz",
                npz(
                    &[("x_train", grey(1, 0)), ("train_images", grey(1, 0))],
                    CompressionMethod::Stored,
                ),
            )],
            "keep one of the two",
        ),
        (
            vec![
                ("a.npz", npz(&medmnist(), CompressionMethod::Stored)),
                ("b.npz", npz(&medmnist(), CompressionMethod::Stored)),
            ],
            "2 .npz files (`a.npz`, `b.npz`); give one of them",
        ),
    ] {
        let error = open(&files).err().unwrap();
        assert!(error.contains(said), "{said}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_archives_never_panic(at in 0usize..1500, byte: u8, cut in 0usize..2000) {
        let mut bytes = npz(&medmnist(), CompressionMethod::Deflated);
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut.max(1));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.npz");
        fs::write(&path, bytes).unwrap();
        let _ = open_at(&path);
        let _ = open_at(directory.path());
    }
}
