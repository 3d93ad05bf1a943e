//! Formats of well-known data sets.

use std::path::Path;

use crate::row::{Row, row, written};
use end_to_end::archive::gzip;
use end_to_end::formats::{by_columns, idx, put_idx, record, records};
use end_to_end::picture::{png, put};

/// The classes of CIFAR-10 with three training images and one test image each.
pub(crate) const CIFAR10: &str = "airplane 3/0/1, automobile 3/0/1, bird 3/0/1, cat 3/0/1, deer 3/0/1, dog 3/0/1, \
                           frog 3/0/1, horse 3/0/1, ship 3/0/1, truck 3/0/1";
const THREE: &str = "0 6/0/2, 1 6/0/2, 2 6/0/2";

/// The bar of a class of CIFAR-10: its number.
pub(crate) fn by_cifar10(name: &str) -> Option<usize> {
    let names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ];
    names.iter().position(|known| *known == name)
}

/// The bar of a class that is called by its number.
pub(crate) fn by_number(name: &str) -> Option<usize> {
    name.parse().ok()
}

fn put_mnist(folder: &Path) {
    put_idx(folder, "train", 6, &[0, 1, 2]);
    put_idx(folder, "t10k", 2, &[0, 1, 2]);
}

fn put_cifar(folder: &Path) {
    for i in 0..3 {
        put(
            &folder.join(format!("data_batch_{}.bin", i + 1)),
            records(i),
        );
    }
    put(&folder.join("test_batch.bin"), records(3));
}

fn put_stl(folder: &Path) {
    for (part, count) in [("train", 3), ("test", 1)] {
        let of = |i: usize| (0..10).flat_map(move |class| by_columns(class, i));
        put(
            &folder.join(format!("{part}_X.bin")),
            (0..count).flat_map(of).collect::<Vec<u8>>(),
        );
        put(
            &folder.join(format!("{part}_y.bin")),
            (1..=10).collect::<Vec<u8>>().repeat(count),
        );
    }
    let names = "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n";
    put(&folder.join("class_names.txt"), names);
}

fn by_stl10(name: &str) -> Option<usize> {
    let names = [
        "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
    ];
    names.iter().position(|known| *known == name)
}

const STL10: &str = "airplane 3/0/1, bird 3/0/1, car 3/0/1, cat 3/0/1, deer 3/0/1, dog 3/0/1, horse 3/0/1, \
                     monkey 3/0/1, ship 3/0/1, truck 3/0/1";

pub(crate) fn rows() -> Vec<Row> {
    let all = [idx_files(), cifar(), stl(), unread()];
    all.into_iter().flatten().collect()
}

fn idx_files() -> Vec<Row> {
    vec![
        row("MNIST", |root| put_mnist(&root.join("d")))
            .bars(by_number)
            .reads(THREE),
        row("MNIST in a folder below", |root| {
            put_mnist(&root.join("d/MNIST/raw"))
        })
        .bars(by_number)
        .reads(THREE),
        row("MNIST, packed and unpacked", |root| {
            put_mnist(&root.join("d"));
            for file in [
                "train-images-idx3",
                "train-labels-idx1",
                "t10k-images-idx3",
                "t10k-labels-idx1",
            ] {
                let bytes = std::fs::read(root.join(format!("d/{file}-ubyte"))).unwrap();
                put(&root.join(format!("d/{file}-ubyte.gz")), gzip(&bytes));
            }
        })
        .bars(by_number)
        .reads(THREE)
        .leaves_out(4, &[]),
        row("images of one folder and labels of another", |root| {
            let ([images, _], [_, labels]) = (idx(6, &[0, 1, 2]), idx(6, &[2, 1, 0]));
            put(&root.join("d/a/train-images-idx3-ubyte"), images);
            put(&root.join("d/b/train-labels-idx1-ubyte"), labels);
        })
        .refused(&["labels"]),
        row("IDX files of two data sets", |root| {
            put_mnist(&root.join("d/MNIST/raw"));
            put_mnist(&root.join("d/FashionMNIST/raw"));
        })
        .refused(&["MNIST", "FashionMNIST"]),
        row("IDX files of two data sets, a part of each", |root| {
            put_idx(&root.join("d/a"), "train", 6, &[0, 1, 2]);
            put_idx(&root.join("d/b"), "t10k", 2, &[0, 1, 2]);
        })
        .refused(&["a", "b"]),
        row("images without labels", |root| {
            put_mnist(&root.join("d"));
            std::fs::remove_file(root.join("d/t10k-labels-idx1-ubyte")).unwrap();
        })
        .refused(&["t10k-labels"]),
        row("more labels than images", |root| {
            put(
                &root.join("d/train-images-idx3-ubyte"),
                &idx(6, &[0, 1, 2])[0],
            );
            put(
                &root.join("d/train-labels-idx1-ubyte"),
                &idx(7, &[0, 1, 2])[1],
            );
        })
        .refused(&["labels"]),
        row("images that are cut", |root| {
            put_mnist(&root.join("d"));
            let images = &idx(6, &[0, 1, 2])[0];
            put(
                &root.join("d/train-images-idx3-ubyte"),
                &images[..images.len() - 9],
            );
        })
        .refused(&["train-images"]),
        row("IDX files without a training part", |root| {
            put_idx(&root.join("d"), "t10k", 2, &[0, 1, 2]);
        })
        .bars(by_number)
        .reads("0 0/0/2, 1 0/0/2, 2 0/0/2"),
        row("a class that no training image of IDX has", |root| {
            put_idx(&root.join("d"), "train", 6, &[0, 1]);
            put_idx(&root.join("d"), "t10k", 2, &[0, 1, 2]);
        })
        .refused(&["2"]),
        row("IDX files beside class folders", |root| {
            put_mnist(&root.join("d"));
            end_to_end::picture::classes(&root.join("d"), &["cat", "dog"], 6);
        })
        .refused(&["IDX"]),
    ]
}

fn cifar() -> Vec<Row> {
    vec![
        row("CIFAR-10 records", |root| put_cifar(&root.join("d")))
            .bars(by_cifar10)
            .reads(CIFAR10),
        row("CIFAR-10 records in their folder", |root| {
            put_cifar(&root.join("d/cifar-10-batches-bin"))
        })
        .bars(by_cifar10)
        .reads(CIFAR10),
        row("CIFAR-10 records twice", |root| {
            put_cifar(&root.join("d/cifar-10-batches-bin"));
            put_cifar(&root.join("d/copy/cifar-10-batches-bin"));
        })
        .refused(&["copy"]),
        row("CIFAR-10 records of which one is cut", |root| {
            put_cifar(&root.join("d"));
            let batch = records(0);
            put(&root.join("d/data_batch_2.bin"), &batch[..batch.len() - 7]);
        })
        .refused(&["data_batch_2.bin"]),
        row("CIFAR-100 records, coarse labels first", |root| {
            let one = |class: u8| record(&[19 - class, class], class.into(), class.into());
            let fine: Vec<u8> = (0..10).flat_map(one).collect();
            put(&root.join("d/train.bin"), fine.repeat(2));
            put(&root.join("d/test.bin"), fine);
        })
        .bars(|name| {
            let names = [
                "apple",
                "aquarium_fish",
                "baby",
                "bear",
                "beaver",
                "bed",
                "bee",
                "beetle",
                "bicycle",
                "bottle",
            ];
            names.iter().position(|known| *known == name)
        })
        .holds("/parts/train", 20)
        .holds("/parts/test", 10),
    ]
}

fn stl() -> Vec<Row> {
    vec![
        row("STL-10", |root| put_stl(&root.join("d")))
            .bars(by_stl10)
            .reads(STL10),
        row("STL-10 with its unlabelled images and folds", |root| {
            let folder = root.join("d/stl10_binary");
            put_stl(&folder);
            put(&folder.join("unlabeled_X.bin"), by_columns(5, 9));
            put(&folder.join("fold_indices.txt"), "0 1 2\n");
        })
        .bars(by_stl10)
        .reads(STL10)
        .leaves_out(2, &["label"]),
        row("STL-10 with a label of 11", |root| {
            put_stl(&root.join("d"));
            put(&root.join("d/test_y.bin"), (2..=11).collect::<Vec<u8>>());
        })
        .refused(&["test_y.bin"]),
        row("STL-10 without the labels of its test part", |root| {
            put_stl(&root.join("d"));
            std::fs::remove_file(root.join("d/test_y.bin")).unwrap();
        })
        .refused(&["test_y.bin"]),
        row("STL-10 with labels of fewer images", |root| {
            put_stl(&root.join("d"));
            put(&root.join("d/train_y.bin"), [1, 2, 3]);
        })
        .refused(&["train_y.bin"]),
    ]
}

/// A folder `d` with one file of these first bytes.
fn unread_file(name: &'static str, file: &'static str, start: &'static [u8]) -> Row {
    row(name, move |root| {
        put(&root.join("d").join(file), [start, &[0; 600]].concat());
    })
}

/// Known formats that are not read.
fn unread() -> Vec<Row> {
    vec![
        unread_file("SVHN for MATLAB", "train_32x32.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64")
            .refused(&["MATLAB"]),
        unread_file("HDF5", "train.h5", b"\x89HDF\r\n\x1a\n").refused(&["HDF5"]),
        unread_file("records of TensorFlow", "train.tfrecord-00000-of-00001", b"\x20\0\0\0\0\0\0\0")
            .refused(&["TFRecord"]),
        unread_file("a database of LMDB", "data.mdb", b"\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\xde\xc0\xef\xbe")
            .refused(&["LMDB"]),
        unread_file("a tensor of PyTorch", "train.pt", b"PK\x03\x04").refused(&["PyTorch"]),
        unread_file("a database of SQLite", "train.sqlite", b"SQLite format 3\0").refused(&["SQLite"]),
        unread_file("a PDF", "train.pdf", b"%PDF-1.7\n").refused(&["train.pdf"]),
        row("annotations of COCO", |root| {
            let text = r#"{"images": [{"id": 1, "file_name": "0.png"}], "annotations": [], "categories": []}"#;
            put(&root.join("d/annotations/instances_train.json"), text);
            for i in 0..3 {
                put(&root.join(format!("d/train/{i}.png")), png(0, i));
                put(&root.join(format!("d/val/{i}.png")), png(1, i));
            }
        })
        .refused(&["COCO"]),
        row("shards of WebDataset", |root| {
            let mut builder = tar::Builder::new(Vec::new());
            for i in 0..6 {
                let label = format!("{}", i % 2).into_bytes();
                for (ending, bytes) in [("png", png(i % 2, i)), ("cls", label)] {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(bytes.len() as u64);
                    header.set_mode(0o644);
                    let name = format!("{i:04}.{ending}");
                    builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
                }
            }
            put(&root.join("d"), builder.into_inner().unwrap());
        })
        .refused(&["WebDataset"]),
        row("Tiny ImageNet", |root| {
            for (i, class) in ["n01443537", "n01629819"].iter().enumerate() {
                let folder = root.join(format!("d/train/{class}"));
                end_to_end::picture::class(&folder.join("images"), i, 4);
                put(&folder.join(format!("{class}_boxes.txt")), "0.JPEG 0 0 62 62\n");
            }
            end_to_end::picture::class(&root.join("d/val/images"), 3, 2);
            put(&root.join("d/val/val_annotations.txt"), "000.png\tn01443537\t0\t32\t44\t62\n");
            end_to_end::picture::class(&root.join("d/test/images"), 4, 2);
        })
        .bars(|name| Some(usize::from(name == "n01629819")))
        .reads("n01443537 4/0/0, n01629819 4/0/0")
        .leaves_out(7, &["`val`", "`test`"]),
    ]
}

/// What NumPy, Python's pickle and others wrote.
pub(crate) fn by_libraries() -> Vec<Row> {
    let letters = |name: &str| "abcdefghij".find(&name.to_lowercase());
    vec![
        written(
            "CIFAR-10 for Python as it is handed out",
            "cifar/old.tar.gz",
        )
        .bars(by_cifar10)
        .reads(CIFAR10).leaves_out(1, &["Python"]),
        written("CIFAR-10 for Python, unpacked", "cifar/old")
            .bars(by_cifar10)
            .reads(CIFAR10).leaves_out(1, &["Python"]),
        written("CIFAR-10 for Python, pickled today", "cifar/new")
            .bars(by_cifar10)
            .reads(CIFAR10).leaves_out(1, &["Python"]),
        written("CIFAR-100 for Python", "cifar/hundred.tar.gz")
            .holds("/parts/train", 20)
            .holds("/parts/test", 10)
            .holds("/classes/1/name", "aquarium_fish")
            .holds("/classes/1/train", 2),
        written("a pickle that would run a program", "cifar/evil").refused(&["data_batch_1"]),
        written("a pickle of something else", "cifar/else").refused(&["data_batch_1"]),
        written("EMNIST letters", "emnist/letters")
            .bars(letters)
            .holds("/parts/train", 12)
            .holds("/parts/test", 6),
        written("EMNIST digits", "emnist/digits")
            .bars(by_number)
            .reads("0 6/0/2, 1 6/0/2, 2 6/0/2, 3 0/0/0, 4 0/0/0, 5 0/0/0, 6 0/0/0, 7 0/0/0, 8 0/0/0, 9 0/0/0"),
        written("two kinds of EMNIST", "emnist/both").refused(&["emnist-digits", "emnist-letters"]),
        written("KMNIST as arrays", "kmnist")
            .bars(by_number)
            .reads(THREE),
        written("QMNIST", "qmnist").bars(by_number).reads(THREE),
        written("MedMNIST, grey", "medmnist/grey.npz")
            .bars(by_number)
            .reads("0 6/3/2, 1 6/3/2, 2 6/3/2")
            .holds("/input", serde_json::json!([28, 28, 1])),
        written("MedMNIST, colour", "medmnist/colour.npz")
            .bars(by_number)
            .reads("0 6/3/2, 1 6/3/2, 2 6/3/2")
            .holds("/input", serde_json::json!([28, 28, 3])),
        written("MedMNIST, deflated", "medmnist/packed.npz")
            .bars(by_number)
            .reads("0 6/3/2, 1 6/3/2, 2 6/3/2"),
        written(
            "MedMNIST with several labels an image",
            "medmnist/several.npz",
        )
        .refused(&["several.npz"]),
        written("MedMNIST of volumes", "medmnist/volumes.npz").refused(&["volumes.npz"]),
        written("arrays of Keras", "keras/mnist.npz")
            .bars(by_number)
            .reads(THREE),
        written("arrays of objects", "medmnist/objects.npz").refused(&["objects.npz"]),
        written("one array", "medmnist/one.npy").refused(&["one.npy"]),
        written("a data set saved to disk by datasets", "arrow/saved").refused(&["save_to_disk"]),
    ]
}
