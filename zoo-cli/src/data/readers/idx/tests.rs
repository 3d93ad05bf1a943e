use std::{fs, io::Write};

use proptest::prelude::*;

use super::*;
use crate::data::inventory::Inventory;

fn file(rank: u8, dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, rank];
    bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// The parts and the inventory of what lies at a path.
fn open(path: &Path) -> Result<Option<(Parts, Inventory)>, String> {
    let store = Store::open(path).unwrap();
    let survey = survey(&store, path).map_err(|error| error.to_string())?;
    Ok(survey.map(|survey| {
        let parts = (survey.load)(&crate::data::fit::input(2, 2, 1)).unwrap();
        (parts, survey.inventory)
    }))
}

fn open_files(files: &[(&str, Vec<u8>)]) -> Result<Option<(Parts, Inventory)>, String> {
    open(write(files).path())
}

fn write(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    directory
}

/// Images of 2 rows and 3 columns that count up from `from`.
fn images(count: u32, from: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count as u8 * 6).map(|i| from + i).collect();
    file(3, &[count, 2, 3], &pixels)
}

fn labels(values: &[u8]) -> Vec<u8> {
    file(1, &[values.len() as u32], values)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn failure(bytes: &[u8]) -> String {
    parse(Path::new("x-idx"), &mut &bytes[..])
        .unwrap_err()
        .to_string()
}

#[test]
fn reads_both_spellings_plain_and_gzipped() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let pixels: Vec<u8> = (0..12).collect();
    fs::write(
        path("train-images.idx3-ubyte"),
        file(3, &[2, 3, 2], &pixels),
    )
    .unwrap();
    fs::write(
        path("train-labels-idx1-ubyte.gz"),
        gzip(&file(1, &[2], &[7, 0])),
    )
    .unwrap();
    fs::write(
        path("t10k-images-idx3-ubyte.gz"),
        gzip(&file(3, &[1, 1, 1], &[9])),
    )
    .unwrap();
    fs::write(path("t10k-labels.idx1-ubyte"), file(1, &[1], &[3])).unwrap();
    let (parts, _) = open(directory.path()).unwrap().unwrap();
    let train = parts.train.unwrap();
    assert_eq!(train.shape(), ImageShape::new(3, 2, 1));
    assert_eq!(train.image(1), &pixels[6..]);
    assert_eq!(train.labels, [7, 0]);
    assert_eq!(parts.test.unwrap().pixels, [9]);
    assert_eq!(parts.label_names.len(), 8);
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    assert!(failure(&[]).contains("header"));
    assert!(failure(b"\x89PNG....").contains("89, 50, 4e, 47"));
    assert!(failure(&[0, 0, 0x0d, 1, 0, 0, 0, 0]).contains("0x0d"));
    assert!(failure(&file(3, &[1, 2], &[])).contains("header"));
    assert!(failure(&file(1, &[3], &[1, 2])).contains("promises 3 elements but 2"));
    assert!(failure(&file(1, &[1], &[1, 2])).contains("more follows"));
    assert!(failure(&file(3, &[u32::MAX; 3], &[1])).contains("too large"));
    assert!(failure(&file(3, &[60_000, 28, 28], &[0; 5])).contains("but 5 are there"));

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let cut = gzip(&file(1, &[3], &[1, 2, 3]));
    fs::write(path("images"), file(3, &[3, 1, 1], &[1, 2, 3])).unwrap();
    fs::write(path("cut"), &cut[..cut.len() - 6]).unwrap();
    fs::write(path("two"), file(1, &[2], &[1, 2])).unwrap();
    fs::write(path("empty"), []).unwrap();
    let pair = |images: &str, labels: &str| {
        read_pair(&path(images), &path(labels))
            .unwrap_err()
            .to_string()
    };
    assert!(pair("images", "cut").contains("a compressed file"));
    assert!(pair("images", "two").contains("2 labels for the 3 images"));
    assert!(pair("images", "empty").contains("is empty"));
    assert!(pair("images", "absent").contains("does not exist"));
    assert!(pair("two", "images").contains("swap"));
    assert!(pair("images", "images").contains("put the file of labels in its place"));
    fs::rename(path("images"), path("train-images-idx3-ubyte")).unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(
        error.contains("its labels `train-labels-idx1-ubyte` are missing"),
        "{error}"
    );
}

#[test]
fn emnist_is_turned_upright_and_named() {
    let mapping: String = (0..26)
        .map(|i| format!("{} {} {}\n", i + 1, 65 + i, 97 + i))
        .collect();
    for with_mapping in [true, false] {
        let mut files = vec![
            (
                "gzip/emnist-letters-train-images-idx3-ubyte.gz",
                gzip(&images(2, 0)),
            ),
            (
                "gzip/emnist-letters-train-labels-idx1-ubyte.gz",
                gzip(&labels(&[1, 26])),
            ),
            (
                "gzip/emnist-letters-test-images-idx3-ubyte.gz",
                gzip(&images(1, 20)),
            ),
            (
                "gzip/emnist-letters-test-labels-idx1-ubyte.gz",
                gzip(&labels(&[3])),
            ),
        ];
        if with_mapping {
            files.push(("gzip/emnist-letters-mapping.txt", mapping.clone().into()));
        }
        let (parts, inventory) = open_files(&files).unwrap().unwrap();
        let train = parts.train.unwrap();
        // Stored are 2 rows of 3, that is 3 rows of 2 with rows and columns exchanged.
        assert_eq!(train.shape(), ImageShape::new(3, 2, 1));
        assert_eq!(train.image(1), [6, 9, 7, 10, 8, 11]);
        assert_eq!(train.labels, [0, 25]);
        assert_eq!(parts.test.unwrap().labels, [2]);
        assert_eq!(
            (parts.label_names.len(), parts.label_names[2].as_str()),
            (26, "C")
        );
        assert!(inventory.notes[0].contains("upright"));
        assert!(inventory.left_out.is_empty());
    }
    let error = open_files(&[
        ("emnist-letters-train-images-idx3-ubyte", images(1, 0)),
        ("emnist-letters-train-labels-idx1-ubyte", labels(&[0])),
    ])
    .err()
    .unwrap();
    assert!(error.contains("example 0 has the label 0"), "{error}");
}

#[test]
fn qmnist_takes_the_first_of_eight_columns() {
    let mut extended = vec![0, 0, 0x0c, 2];
    extended.extend([2u32, 8].into_iter().flat_map(u32::to_be_bytes));
    for label in [5i32, 9] {
        for column in 0..8 {
            let value = if column == 0 { label } else { 1000 + column };
            extended.extend(value.to_be_bytes());
        }
    }
    let pair = |labels: Vec<u8>| {
        open_files(&[
            ("qmnist-train-images-idx3-ubyte.gz", gzip(&images(2, 0))),
            ("qmnist-train-labels-idx2-int.gz", gzip(&labels)),
        ])
    };
    let (parts, _) = pair(extended.clone()).unwrap().unwrap();
    let train = parts.train.unwrap();
    assert_eq!(train.labels, [5, 9]);
    assert_eq!(train.shape(), ImageShape::new(2, 3, 1));
    let mut negative = extended.clone();
    negative[12] = 0xff;
    assert!(pair(negative).err().unwrap().contains("label -"));
    let mut four = extended.clone();
    four[7] = 4;
    four[11] = 4;
    assert!(
        pair(four)
            .err()
            .unwrap()
            .contains("4 numbers for each image")
    );
    let missing = open_files(&[("qmnist-test-images-idx3-ubyte", images(1, 0))])
        .err()
        .unwrap();
    assert!(
        missing.contains("`qmnist-test-labels-idx2-int`"),
        "{missing}"
    );
}

#[test]
fn classes_are_named_by_the_nearest_folder() {
    for (folder, name) in [
        ("FashionMNIST/raw", "pullover"),
        ("KMNIST/raw", "su"),
        ("fashion/MNIST/raw", "2"),
        ("x", "2"),
    ] {
        let at = |file: &str| format!("{folder}/{file}");
        let (images_at, labels_at) = (at("train-images-idx3-ubyte"), at("train-labels-idx1-ubyte"));
        let files = [
            (images_at.as_str(), file(3, &[3, 28, 28], &[0; 3 * 28 * 28])),
            (labels_at.as_str(), labels(&[0, 1, 2])),
        ];
        let (parts, _) = open_files(&files).unwrap().unwrap();
        assert_eq!(parts.label_names[2], name, "{folder}");
    }
}

#[test]
fn only_files_of_one_set_are_paired() {
    let apart = open_files(&[
        ("mnist/train-images-idx3-ubyte", images(1, 0)),
        ("fashion/train-labels-idx1-ubyte", labels(&[1])),
    ])
    .err()
    .unwrap();
    for said in [
        "`mnist/train-images-idx3-ubyte`",
        "`fashion/train-labels-idx1-ubyte`",
        "may belong to other images",
    ] {
        assert!(apart.contains(said), "{apart}");
    }
    let several = write(&[
        ("MNIST/raw/train-images-idx3-ubyte", images(1, 0)),
        ("MNIST/raw/train-labels-idx1-ubyte", labels(&[1])),
        ("FashionMNIST/raw/train-images-idx3-ubyte", images(1, 50)),
        ("FashionMNIST/raw/train-labels-idx1-ubyte", labels(&[0])),
    ]);
    let error = open(several.path()).err().unwrap();
    for said in [
        "2 sets",
        "`FashionMNIST/raw/train-images-idx3-ubyte`",
        "give one of these files",
    ] {
        assert!(error.contains(said), "{error}");
    }
    // What is advised works.
    let given = several.path().join("MNIST/raw/train-images-idx3-ubyte");
    let (parts, _) = open(&given).unwrap().unwrap();
    assert_eq!(
        (parts.train.unwrap().labels, parts.label_names.len()),
        (vec![1], 2)
    );

    let splits = write(&[
        ("emnist-digits-train-images-idx3-ubyte", images(1, 0)),
        ("emnist-digits-train-labels-idx1-ubyte", labels(&[3])),
        ("emnist-balanced-train-images-idx3-ubyte", images(1, 0)),
        ("emnist-balanced-train-labels-idx1-ubyte", labels(&[46])),
        ("emnist-balanced-mapping.txt", b"0 48\n46 116\n".to_vec()),
    ]);
    let error = open(splits.path()).err().unwrap();
    assert!(
        error.contains("`emnist-balanced-train-images-idx3-ubyte`, `emnist-digits"),
        "{error}"
    );
    let (parts, inventory) = open(
        &splits
            .path()
            .join("emnist-balanced-train-labels-idx1-ubyte"),
    )
    .unwrap()
    .unwrap();
    assert_eq!(parts.label_names, ["0", "t"]);
    assert_eq!(parts.train.unwrap().labels, [1]);
    assert!(inventory.left_out.is_empty());
}

#[test]
fn parts_in_folders_of_their_own_and_packed_copies() {
    let (parts, inventory) = open_files(&[
        ("d/train/train-images-idx3-ubyte", images(2, 0)),
        ("d/train/train-images-idx3-ubyte.gz", gzip(&images(2, 0))),
        ("d/train/train-labels-idx1-ubyte", labels(&[0, 1])),
        ("d/val/images.idx3-ubyte", images(1, 0)),
        ("d/val/labels.idx1-ubyte", labels(&[1])),
        ("d/test/t10k-images.idx3-ubyte", images(1, 0)),
        ("d/test/t10k-labels.idx1-ubyte", labels(&[1])),
        ("d/readme.txt", b"x".to_vec()),
    ])
    .unwrap()
    .unwrap();
    let count = |part: Option<Images>| part.map_or(0, |images| images.len());
    assert_eq!(
        [
            count(parts.train),
            count(parts.validation),
            count(parts.test)
        ],
        [2, 1, 1]
    );
    let left: Vec<_> = inventory
        .left_out
        .iter()
        .map(|group| (group.reason.as_str(), group.examples[0].as_str()))
        .collect();
    assert_eq!(
        left,
        [
            ("that are no IDX files of this set", "d/readme.txt"),
            (
                "packed, beside their unpacked copies",
                "d/train/train-images-idx3-ubyte.gz"
            ),
        ]
    );
}

#[test]
fn files_without_idx_in_their_names_are_known_by_content() {
    let (parts, _) = open_files(&[
        ("train_images.bin", images(1, 0)),
        ("train_labels.bin", labels(&[1])),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(parts.train.unwrap().labels, [1]);
    let others = open_files(&[
        ("train_images.bin", b"no such".to_vec()),
        ("labels", b"cat".to_vec()),
        ("labels.csv", b"file,label".to_vec()),
    ]);
    assert!(others.unwrap().is_none());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(rank in 0u8..5, element in 7u8..10, tail: Vec<u8>) {
        let _ = parse(Path::new("x"), &mut tail.as_slice());
        let mut bytes = vec![0, 0, element, rank];
        bytes.extend(tail);
        let _ = parse(Path::new("x"), &mut bytes.as_slice());
    }

    #[test]
    fn what_is_written_is_read(dimensions in proptest::collection::vec(0u32..6, 1..=3)) {
        let count = dimensions.iter().product::<u32>();
        let elements: Vec<u8> = (0..count).map(|i| i as u8).collect();
        let array = parse(Path::new("x"), &mut file(dimensions.len() as u8, &dimensions, &elements).as_slice()).unwrap();
        prop_assert_eq!(array.bytes, elements);
    }
}
