//! Formats that are known and not read, and images that cannot be decoded.

use std::fs;
use std::path::Path;

use end_to_end::archive::{Member, tar, zip};
use end_to_end::picture::{CAT, classes, files, png, put};

use crate::arrays::two_classes;
use crate::follow::{BOTH, Refused, partial, refused};

const NUMBERS: &str = "0 6, 1 6";

/// A file that begins so.
fn begun(start: &[u8]) -> Vec<u8> {
    [start, &[0; 600]].concat()
}

pub(crate) fn cases() -> Vec<Refused> {
    [
        collections(),
        alone(),
        annotated(),
        pictures(),
        values(),
        broken(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A folder of one file of arrays, in whose place those arrays are given.
fn arrays(
    name: &'static str,
    file: &'static str,
    start: &'static [u8],
    sentence: &'static [&'static str],
) -> Refused {
    refused(
        name,
        move |root| put(&root.join("d").join(file), begun(start)),
        sentence,
    )
    .give(
        "d/data.npz",
        |root| put(&root.join("d/data.npz"), two_classes()),
        NUMBERS,
    )
}

/// A folder of one file of pictures, in whose place they are given.
fn shelf(
    name: &'static str,
    file: &'static str,
    start: &'static [u8],
    sentence: &'static [&'static str],
) -> Refused {
    refused(
        name,
        move |root| put(&root.join("d").join(file), begun(start)),
        sentence,
    )
    .give(
        "pets",
        |root| classes(&root.join("pets"), &["cat", "dog"], 6),
        BOTH,
    )
}

const TFRECORD: &[u8] = &[3, 0, 0, 0, 0, 0, 0, 0, 176, 153, 73, 14, b'a'];
const LMDB: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\xde\xc0\xef\xbe";

/// Files of many examples, alone in a folder.
fn collections() -> Vec<Refused> {
    vec![
        arrays(
            "MATLAB",
            "train.mat",
            b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
            &["it is a MATLAB file; save its arrays with numpy.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, y_test=…) and give \
               that file"],
        ),
        arrays("HDF5", "train.h5", b"\x89HDF\r\n\x1a\n", &["it is an HDF5 file; save its arrays with"]),
        arrays("PyTorch", "train.pt", b"PK\x03\x04", &["it is a file of PyTorch; save its arrays with"]),
        arrays("a pickle", "train.pkl", b"\x80\x04\x95\x10", &["it is a pickle of Python; save its arrays with"]),
        shelf(
            "TFRecord",
            "train.tfrecord",
            TFRECORD,
            &["it is a TFRecord file; write its images to folders named by their classes, or to parquet"],
        )
        .give("t.parquet", |root| crate::parquet::put_pets(&root.join("t.parquet"), 6), BOTH),
        shelf("LMDB", "data.mdb", LMDB, &["it is an LMDB database; write its images to folders"]),
        shelf("SQLite", "d.sqlite", b"SQLite format 3\0", &["it is an SQLite database; write its images to folders"]),
        shelf("7z", "d.7z", b"7z\xbc\xaf\x27\x1c", &["it is a 7z archive; unpack it and give its folder"]),
        shelf("rar", "d.rar", b"Rar!\x1a\x07", &["it is a rar archive; unpack it and give its folder"]),
        shelf(
            "Arrow",
            "data-00000-of-00001.arrow",
            b"ARROW1",
            &[
                "it is an Arrow file; write it to parquet; where save_to_disk of datasets made it, a Dataset by \
                 datasets.load_from_disk(folder).to_parquet(\"train.parquet\"), and each part of a DatasetDict by \
                 datasets.load_from_disk(folder)[\"train\"].to_parquet(\"train.parquet\")",
            ],
        )
        .give("train.parquet", |root| crate::parquet::put_pets(&root.join("train.parquet"), 6), BOTH),
    ]
}

/// Files that are given themselves.
fn alone() -> Vec<Refused> {
    let file = |name, start: &'static [u8], sentence| {
        refused(
            name,
            move |root| put(&root.join("d"), begun(start)),
            sentence,
        )
        .give(
            "pets",
            |root| classes(&root.join("pets"), &["cat", "dog"], 6),
            BOTH,
        )
    };
    let arrays = |case: Refused| {
        case.give(
            "d.npz",
            |root| put(&root.join("d.npz"), two_classes()),
            NUMBERS,
        )
    };
    let parquet = |case: Refused| {
        case.give(
            "d.parquet",
            |root| crate::parquet::put_pets(&root.join("d.parquet"), 6),
            BOTH,
        )
    };
    let torch = zip(&[("archive/data.pkl".into(), Vec::new())]).leak();
    vec![
        arrays(file(
            "a file of MATLAB",
            b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
            &[
                "`d` is not read: it is a MATLAB file; save its arrays to npz or its images to an image folder",
            ],
        )),
        arrays(file(
            "a file of HDF5",
            b"\x89HDF\r\n\x1a\n",
            &["it is an HDF5 file; save its arrays to npz"],
        )),
        arrays(file(
            "a file of PyTorch",
            torch,
            &["it is a file of PyTorch; save its tensors to npz or its images to an image folder"],
        )),
        parquet(file(
            "a file of TFRecord",
            TFRECORD,
            &["it is a TFRecord file; write its images to an image folder or to parquet"],
        )),
        parquet(file(
            "a file of Arrow",
            b"ARROW1",
            &["it is an Arrow file; write its images"],
        )),
        parquet(file(
            "a database of LMDB",
            LMDB,
            &["it is an LMDB database; write its images"],
        )),
        parquet(file(
            "a database of SQLite",
            b"SQLite format 3\0",
            &["it is an SQLite database; write its images"],
        )),
        file(
            "a 7z archive",
            b"7z\xbc\xaf\x27\x1c",
            &["it is a 7z archive; unpack it and give the folder"],
        ),
        file(
            "a rar archive",
            b"Rar!\x1a\x07",
            &["it is a rar archive; unpack it and give the folder"],
        ),
        file(
            "a PDF",
            b"%PDF-1.7\n",
            &["it is a PDF document; save its pictures as png or jpg"],
        ),
        file(
            "a film",
            b"\x1a\x45\xdf\xa3",
            &["it is a film; save its frames as png or jpg"],
        ),
        refused(
            "a web page",
            |root| put(&root.join("d"), b"<!DOCTYPE html><html>"),
            &["it is a web page; fetch the file itself, not the page that offers it"],
        )
        .then(|root| put(&root.join("d"), two_classes()), NUMBERS),
        refused(
            "a file of nothing",
            |root| put(&root.join("d"), b""),
            &["`d` is empty; give a file or folder that holds images"],
        )
        .give(
            "pets",
            |root| classes(&root.join("pets"), &["cat", "dog"], 6),
            BOTH,
        ),
        refused(
            "a folder of nothing",
            |root| fs::create_dir(root.join("d")).unwrap(),
            &["`d` is empty; give a file or folder that holds images"],
        )
        .then(|root| classes(&root.join("d"), &["cat", "dog"], 6), BOTH),
        refused(
            "a folder of hidden files",
            |root| put(&root.join("d/.hidden"), b"x"),
            &["`d` holds no images; give a folder that does"],
        )
        .then(|root| classes(&root.join("d"), &["cat", "dog"], 6), BOTH),
    ]
}

/// Pictures whose classes stand beside them.
fn annotated() -> Vec<Refused> {
    let pets = |root: &Path| classes(&root.join("pets"), &["cat", "dog"], 6);
    let boxes = |name, put_boxes: fn(&Path), sentence| {
        let make = move |root: &Path| {
            files(&root.join("d/images"), 3, "png", |i| png(CAT, i));
            put_boxes(&root.join("d"));
        };
        refused(name, make, sentence).give("pets", pets, BOTH)
    };
    let pair = |i: usize| {
        let label = (i % 2).to_string().into_bytes();
        [
            (format!("{i:04}.png"), png(i % 2, i)),
            (format!("{i:04}.cls"), label),
        ]
    };
    let shard: Vec<Member> = (0..6).flat_map(pair).collect();
    vec![
        boxes(
            "COCO",
            |root| put(&root.join("annotations/instances_train.json"), r#"{"images": [], "annotations": []}"#),
            &[
                "`annotations/instances_train.json` holds boxes around objects (COCO), so it is a dataset for detection, and whole \
                 images are classified here; cut the objects out into folders named by their classes",
            ],
        ),
        boxes(
            "Pascal VOC",
            |root| files(&root.join("labels"), 3, "xml", |_| b"<annotation><filename>x</filename></annotation>".into()),
            &["holds boxes around objects (Pascal VOC)"],
        ),
        boxes(
            "YOLO",
            |root| files(&root.join("labels"), 3, "txt", |_| b"0 0.5 0.5 0.1 0.1\n".into()),
            &["holds boxes around objects (YOLO)"],
        ),
        refused(
            "WebDataset",
            move |root| put(&root.join("d"), tar(&shard)),
            &[
                "it is a shard of a WebDataset (`0000.cls` labels the image beside it); write its images to folders named by their \
                 classes, or to parquet",
            ],
        )
        .give("pets", pets, BOTH)
        .give("t.parquet", |root| crate::parquet::put_pets(&root.join("t.parquet"), 6), BOTH),
    ]
}

/// One file among the cats that is none of the images that are read.
fn odd(
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
    sentence: &'static [&'static str],
) -> Refused {
    let make = move |root: &Path| {
        classes(&root.join("d"), &["cat", "dog"], 6);
        put(&root.join("d/cat").join(file), &bytes);
    };
    let converted = move |root: &Path| {
        fs::remove_file(root.join("d/cat").join(file)).unwrap();
        put(&root.join("d/cat/x.png"), png(CAT, 9));
    };
    partial(name, make, sentence).then(converted, "cat 7, dog 6")
}

/// Images of formats that are not decoded.
fn pictures() -> Vec<Refused> {
    let known = |name, file, start: &[u8], sentence| odd(name, file, begun(start), sentence);
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM\x02\0");
    vec![
        known(
            "HEIC",
            "x.heic",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            &["`d/cat/x.heic` is not read: it is a HEIC image; convert it to png or jpg"],
        ),
        known(
            "JPEG XL",
            "x.jxl",
            b"\xff\x0a\xfa\x1f",
            &["it is a JPEG XL image; convert it to png or jpg"],
        ),
        odd(
            "SVG",
            "x.svg",
            b"<svg></svg>".to_vec(),
            &["it is an SVG drawing; render it to png at the size that you need"],
        ),
        known(
            "EXR",
            "x.exr",
            b"\x76\x2f\x31\x01",
            &["it is an OpenEXR image; convert it to tiff, or tone-map it to png"],
        ),
        known(
            "DICOM",
            "x.dcm",
            &dicom,
            &["it is a DICOM image; export its pixels to png or 16-bit tiff"],
        ),
        known(
            "a raw photo",
            "x.raf",
            b"FUJIFILMCCD-RAW",
            &["it is a camera's raw photo; develop it to jpg or tiff"],
        ),
    ]
}

/// A grey TIFF of 4×4 samples of this kind (1 whole, 2 with a sign, 3 floats), `samples` of them a pixel.
fn samples(kind: u16, bits: u16, samples: u16, bytes: &[u8]) -> Vec<u8> {
    let entries: [(u16, u16, u32); 10] = [
        (256, 4, 4),
        (257, 4, 4),
        (258, 3, bits.into()),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 10 * 12 + 4),
        (277, 3, samples.into()),
        (278, 4, 4),
        (279, 4, bytes.len() as u32),
        (339, 3, kind.into()),
    ];
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, width, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(width.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend(bytes);
    file
}

/// Images whose values are not those of pixels.
fn values() -> Vec<Refused> {
    let floats = |value: f32| samples(3, 32, 1, &value.to_le_bytes().repeat(16));
    vec![
        odd(
            "a TIFF with numbers below 0",
            "y.tif",
            samples(2, 16, 1, &(-5i16).to_le_bytes().repeat(16)),
            &[
                "cannot decode `d/cat/y.tif` (its whole numbers run from -5 to -5, and which are black and white is not said; save it \
                 with 8 bits, or with 16 bits without a sign); replace it by a png, jpg or webp image",
            ],
        ),
        odd(
            "a TIFF of half floats",
            "y.tif",
            samples(3, 16, 1, &[0; 32]),
            &["(samples of 16 bits are not read; save it with 8 or 16 bits)"],
        ),
        odd(
            "a TIFF of many bands",
            "y.tif",
            samples(1, 8, 5, &[0; 80]),
            &["(an image of 5 bands is not read; save it as grey or RGB)"],
        ),
        odd(
            "a TIFF with no numbers",
            "y.tif",
            floats(f32::NAN),
            &["(it has values that are not numbers; replace them)"],
        ),
        odd(
            "a TIFF with floats of bytes",
            "y.tif",
            floats(200.0),
            &["(its floats run from 200 to 200, not within 0 (black) to 1 (white); scale them)"],
        ),
    ]
}

/// Images that are damaged, too large, or of values that say nothing.
fn broken() -> Vec<Refused> {
    let size = |width: u32, height: u32| {
        let mut bytes = png(CAT, 0);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
        bytes
    };
    vec![
        partial(
            "a file of an image that is too long",
            |root| {
                classes(&root.join("d"), &["cat", "dog"], 6);
                put(&root.join("d/cat/y.png"), png(CAT, 9));
                let file = fs::File::options().write(true).open(root.join("d/cat/y.png"));
                file.unwrap().set_len((256 << 20) + 1).unwrap();
            },
            &["`d/cat/y.png` is too large: image files of up to 256 MiB are read; store it smaller"],
        )
        .then(|root| put(&root.join("d/cat/y.png"), png(CAT, 9)), "cat 7, dog 6"),
        odd(
            "an empty image",
            "y.png",
            Vec::new(),
            &["`d/cat/y.png` is not read: it is empty; fetch the image again or remove it"],
        )
        .then(
            |root| fs::remove_file(root.join("d/cat/y.png")).unwrap(),
            BOTH,
        ),
        odd(
            "an image that is cut",
            "y.png",
            png(CAT, 1)[..300].to_vec(),
            &[
                "cannot decode `d/cat/y.png` (",
                "); replace it by a png, jpg or webp image",
            ],
        ),
        odd(
            "an image of too many pixels",
            "y.png",
            size(20_000, 20_000),
            &[
                "`d/cat/y.png` is too large: it has 20000×20000 pixels, the limit is 100 million pixels and 512 MiB; make it \
                 smaller",
            ],
        ),
    ]
}
