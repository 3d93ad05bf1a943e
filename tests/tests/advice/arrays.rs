//! NumPy's arrays: MedMNIST, Keras, and loose files.

use std::fs;
use std::path::Path;

use end_to_end::archive::{tar, zip};
use end_to_end::formats::{npy, npz, pixels};
use end_to_end::picture::put;

use crate::follow::{Refused, nothing, refused, rename, replaced};

const BOTH: &str = "0 6, 1 6";
const SPLIT: &str = "0 8, 1 8";

fn images(count: usize) -> Vec<u8> {
    let each = (0..count).flat_map(|i| [(0, i), (1, i)]);
    let bytes: Vec<u8> = each.flat_map(|(bar, i)| pixels(bar, i)).collect();
    npy("|u1", &format!("({}, 28, 28)", 2 * count), &bytes)
}

fn labels(count: usize) -> Vec<u8> {
    npy("|u1", &format!("({},)", 2 * count), &[0, 1].repeat(count))
}

/// Six images of each of two classes, as Keras names the arrays.
pub(crate) fn two_classes() -> Vec<u8> {
    npz(&[("x_train", images(6)), ("y_train", labels(6))])
}

fn split() -> Vec<u8> {
    npz(&[
        ("x_train", images(6)),
        ("y_train", labels(6)),
        ("x_test", images(2)),
        ("y_test", labels(2)),
    ])
}

/// An archive in the place of which the right one is put.
fn wrong(
    name: &'static str,
    arrays: &[(&str, Vec<u8>)],
    sentence: &'static [&'static str],
) -> Refused {
    let bytes = npz(arrays);
    let right = |root: &Path| put(&root.join("d.npz"), two_classes());
    replaced(name, "d.npz", right, move |_| bytes.clone(), sentence, BOTH).of("d.npz")
}

fn wrong_images(name: &'static str, images: Vec<u8>, sentence: &'static [&'static str]) -> Refused {
    wrong(
        name,
        &[("x_train", images), ("y_train", labels(6))],
        sentence,
    )
}

fn wrong_labels(name: &'static str, labels: Vec<u8>, sentence: &'static [&'static str]) -> Refused {
    wrong(
        name,
        &[("x_train", images(6)), ("y_train", labels)],
        sentence,
    )
}

pub(crate) fn cases() -> Vec<Refused> {
    [damaged(), axes(), pairs(), several()]
        .into_iter()
        .flatten()
        .collect()
}

/// Arrays that cannot be read.
fn damaged() -> Vec<Refused> {
    let header = |header: &str| {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes()].concat()
    };
    let floats = |value: f32| npy("<f4", "(12, 28, 28)", &value.to_le_bytes().repeat(12 * 784));
    let mut long = b"\x93NUMPY\x02\0".to_vec();
    long.extend(70_000u32.to_le_bytes());
    vec![
        wrong_images(
            "an array that ends within its header",
            images(6)[..30].to_vec(),
            &["it ends within the header; fetch the file again"],
        ),
        wrong_images(
            "an array that is none",
            b"no array at all".to_vec(),
            &["it does not start as NumPy's files do; write it with numpy.save or numpy.savez"],
        ),
        wrong_images(
            "an array of a version to come",
            b"\x93NUMPY\x04\0\x10\0".to_vec(),
            &[
                "it is of version 4 of NumPy's format, and 1 to 3 are read; write it with numpy.save",
            ],
        ),
        wrong_images(
            "a header without end",
            long,
            &["its header claims 70000 bytes; fetch the file again"],
        ),
        wrong_images(
            "a broken header",
            header("{'descr': '|u1', 'shape': 12}"),
            &["its header is broken; fetch the file again"],
        ),
        wrong_images(
            "floats from 0 to 1",
            floats(0.5),
            &[
                "its elements are of the type `<f4`, and only whole numbers are read; its values lie between 0 and 1, so \
                 multiply images by 255 and write them as uint8, and write labels as int64",
            ],
        ),
        wrong_images(
            "floats of bytes",
            floats(50.0),
            &[
                "its elements are of the type `<f4`, and only whole numbers are read; bring images to 0 to 255 and write them \
                 as uint8, and write labels as int64",
            ],
        ),
        wrong_images(
            "too many images",
            npy("|u1", "(20000000, 28, 28)", &[]),
            &[
                "is too large: its header claims [20000000, 28, 28] elements, the limit is 8192 MiB; write fewer or smaller \
                 images",
            ],
        ),
        wrong_images(
            "an array that is cut",
            npy("|u1", "(12, 28, 28)", &[0; 100]),
            &["its header promises 9408 bytes but 100 are there; fetch the file again"],
        ),
        wrong_images(
            "an array that goes on",
            npy("|u1", "(12, 28, 28)", &[0; 9409]),
            &["more follows the 9408 bytes that its header promises; fetch the file again"],
        ),
    ]
}

/// Arrays of another form.
fn axes() -> Vec<Refused> {
    let bytes = |shape: &str, count: usize| npy("|u1", shape, &vec![0; count]);
    vec![
        wrong_images(
            "images of wide numbers",
            npy("<u2", "(12, 28, 28)", &[0; 2 * 9408]),
            &[
                "its elements are no unsigned bytes; write the images as uint8 with values of 0 to 255",
            ],
        ),
        wrong_images(
            "channels first",
            bytes("(12, 3, 28, 28)", 3 * 9408),
            &[
                "its axes [12, 3, 28, 28] have the channels before the 28 rows of 28; write it channels last \
                 (numpy.moveaxis(images, 1, -1))",
            ],
        ),
        wrong_images(
            "a channel of transparency",
            bytes("(12, 28, 28, 4)", 4 * 9408),
            &[
                "its axes [12, 28, 28, 4] have channels besides red, green and blue; write images[..., :3] or a grey image",
            ],
        ),
        wrong_images(
            "volumes",
            bytes("(12, 28, 28, 28)", 28 * 9408),
            &[
                "it holds volumes of 28×28×28, and only flat images are learned from; write one slice of each as an image",
            ],
        ),
        wrong_images(
            "flat rows",
            bytes("(12, 784)", 9408),
            &[
                "its axes [12, 784] are none of images; write it as count × height × width, with × 3 for colour",
            ],
        ),
        wrong_labels(
            "a column for each class",
            bytes("(12, 2)", 24),
            &[
                "it holds 2 labels for each image, and one class an image is learned; where just one of them is set write \
                 labels.argmax(1)",
            ],
        ),
        wrong_labels(
            "a map of labels for each image",
            bytes("(12, 2, 2)", 48),
            &["its axes [12, 2, 2] are none of labels; write one whole number an image"],
        ),
        wrong_labels(
            "labels of fewer images",
            bytes("(5,)", 5),
            &[
                "it holds 5 labels for the 12 images of `d.npz/x_train.npy`; take both from one source",
            ],
        ),
    ]
}

/// Arrays of which one is absent or stands twice.
fn pairs() -> Vec<Refused> {
    vec![
        wrong(
            "images without labels",
            &[("x_train", images(6))],
            &["there are no labels of the training part beside it; add them"],
        ),
        wrong(
            "labels without images",
            &[("y_train", labels(6))],
            &["there are no images of the training part beside it; add them"],
        ),
        wrong(
            "images twice",
            &[
                ("x_train", images(6)),
                ("train_images", images(6)),
                ("y_train", labels(6)),
            ],
            &[
                "it holds the images of the training part, as `d.npz/train_images.npy` does; keep one of the two",
            ],
        ),
        wrong(
            "arrays of other names",
            &[("first", images(6)), ("second", labels(6))],
            &[
                "it holds arrays named `first`, `second`; write it again with numpy.savez(\"data.npz\", x_train=…, y_train=…, \
                 x_test=…, y_test=…)",
            ],
        ),
    ]
}

/// Several files.
fn several() -> Vec<Refused> {
    let two = |root: &Path| {
        put(&root.join("d/a.npz"), two_classes());
        put(&root.join("d/b.npz"), split());
    };
    vec![
        refused(
            "two archives",
            two,
            &["it holds 2 .npz files (`a.npz`, `b.npz`); give one of them"],
        )
        .give("d/a.npz", nothing, BOTH)
        .give("d/b.npz", nothing, SPLIT),
        refused(
            "two archives in an archive",
            move |root| {
                two(root);
                rename(root, "d", "x");
                let member = |name: &str| (name.to_owned(), fs::read(root.join("x").join(name)).unwrap());
                put(&root.join("d"), tar(&[member("a.npz"), member("b.npz")]));
            },
            &["it holds 2 .npz files (`a.npz`, `b.npz`); unpack it and give one of them"],
        )
        .give("x/a.npz", nothing, BOTH),
        refused(
            "an archive within an archive",
            |root| {
                put(&root.join("x/a.npz"), two_classes());
                put(&root.join("d"), zip(&[("a.npz".into(), two_classes())]));
            },
            &["it is an archive within an archive; unpack the outer one and give this file"],
        )
        .give("x/a.npz", nothing, BOTH),
        refused(
            "one of several archives of one array",
            |root| {
                put(&root.join("d/kmnist-train-imgs.npz"), npz(&[("arr_0", images(6))]));
                put(&root.join("d/kmnist-train-labels.npz"), npz(&[("arr_0", labels(6))]));
            },
            &["it holds arrays named `arr_0`; give its folder, with the other arrays of the data set"],
        )
        .of("d/kmnist-train-imgs.npz")
        .give("d", nothing, BOTH),
        refused(
            "loose arrays of other names",
            |root| {
                put(&root.join("d/images.npy"), images(6));
            },
            &["it is a NumPy array (npy); name the arrays x_train.npy, y_train.npy, x_test.npy and y_test.npy and give their folder"],
        )
        .then(
            |root| {
                rename(root, "d/images.npy", "d/x_train.npy");
                put(&root.join("d/y_train.npy"), labels(6));
            },
            BOTH,
        ),
    ]
}
