use std::fs;

use super::*;

fn error(read: super::super::Reader, files: &[(&str, &[u8])]) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    let found = read(&store, directory.path());
    found.err().map(|error| error.to_string())
}

#[test]
fn annotations_of_detection_are_named() {
    let coco = b"{\"info\": {}, \"images\": [], \"annotations\": [{\"bbox\": [1, 2, 3, 4]}]}";
    let voc = b"<annotation>\n<filename>1.jpg</filename>\n</annotation>";
    for (files, said) in [
        (
            vec![
                ("train2017/1.jpg", &b""[..]),
                ("val2017/2.jpg", b""),
                ("annotations/instances_train2017.json", coco),
            ],
            "(COCO)",
        ),
        (
            vec![("train/1.jpg", b""), ("train/_annotations.coco.json", coco)],
            "(COCO)",
        ),
        (
            vec![
                ("VOC2012/JPEGImages/1.jpg", b""),
                ("VOC2012/Annotations/1.xml", voc),
            ],
            "(Pascal VOC)",
        ),
        (
            vec![
                ("images/train/1.jpg", b""),
                (
                    "labels/train/1.txt",
                    b"0 0.5 0.5 0.1 0.2\n3 0.1 0.1 0.1 0.1\n",
                ),
                ("data.yaml", b"names: [a]"),
            ],
            "(YOLO)",
        ),
        (
            vec![("000.jpg", b""), ("000.cls", b"3"), ("001.jpg", b"")],
            "WebDataset (`000.cls`",
        ),
    ] {
        let error = error(annotated, &files).unwrap();
        assert!(error.contains(said), "{said}: {error}");
    }
    for files in [
        // Class folders with boxes beside them, as ImageNet has.
        vec![
            ("train/cat/1.jpg", &b""[..]),
            ("Annotations/cat/1.xml", voc),
        ],
        vec![("images/1.jpg", b""), ("labels/1.txt", b"cat\n")],
        vec![("images/1.jpg", b""), ("labels/1.txt", b"1 300 300 2 7\n")],
        vec![
            ("images/1.jpg", b""),
            ("labels/2.txt", b"0 0.5 0.5 0.1 0.2\n"),
        ],
        vec![
            ("images/1.jpg", b""),
            ("labels.json", b"{\"1.jpg\": \"cat\"}"),
        ],
        vec![("instances.json", coco)],
    ] {
        assert_eq!(error(annotated, &files), None, "{files:?}");
    }
}

#[test]
fn known_formats_have_a_sentence_of_their_own() {
    let mat = [&b"MATLAB 5.0 MAT-file"[..], &[b' '; 100], &[0; 20]].concat();
    for (files, said) in [
        (
            vec![("train.h5", &b"\x89HDF\r\n\x1a\n\0"[..])],
            "an HDF5 file; save its arrays",
        ),
        (
            vec![("train_32x32.mat", &mat), ("test_32x32.mat", &mat)],
            "a MATLAB file; save its arrays",
        ),
        (
            vec![
                ("data-00000-of-00001.arrow", b"ARROW1\0\0"),
                ("state.json", b"{}"),
            ],
            "a Dataset by datasets.load_from_disk(folder).to_parquet(\"train.parquet\"), and each part of a DatasetDict by",
        ),
        // datasets writes streams, which start with no word of their own.
        (
            vec![("data-00000-of-00001.arrow", b"\xff\xff\xff\xff\0")],
            "an Arrow file",
        ),
        (
            vec![("train.pt", b"PK\x03\x04\0\0")],
            "a file of PyTorch; save its arrays",
        ),
        (
            vec![("train.tfrecord-00000-of-00001", b"\x20\0")],
            "a TFRecord file; write its images",
        ),
        (
            vec![("a.pdf", b"%PDF-1.7")],
            "a PDF document; save its pictures",
        ),
        (
            vec![("d.pkl", b"\x80\x04\x95\0\0\0")],
            "a pickle of Python; save its arrays",
        ),
        (
            vec![("a.npy", b"\x93NUMPY\x01\0")],
            "(npy); name the arrays x_train.npy",
        ),
        (
            vec![("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04")],
            "a 7z archive; unpack it",
        ),
        (vec![("a.zip", b"PK\x05\x06\0\0")], "a.zip"),
        (
            vec![
                ("1.txt", b"text"),
                ("2.txt", b"text"),
                ("x.rar", b"Rar!\x1a\x07\x01\0"),
            ],
            "x.rar",
        ),
    ] {
        let error = error(refused, &files).unwrap();
        assert!(error.contains(said), "{said}: {error}");
    }
    assert_eq!(
        error(refused, &[("a.txt", b"text"), ("b.bin", &[6; 99])]),
        None
    );
}

#[test]
fn a_lone_archive_is_given_itself_where_it_can_be_read() {
    let png = |value: u8| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::GrayImage::from_pixel(4, 4, image::Luma([value]))
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    let packed = |files: &[(&str, Vec<u8>)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &tar).unwrap();
        [tar, gzip.finish().unwrap()]
    };
    let good = [("cat/1.png", png(1)), ("dog/2.png", png(2))];
    let bad = [("a.txt", b"text".to_vec())];
    for (files, said) in [
        (&good[..], "give this file, `"),
        (&bad, "holds none of the data sets"),
    ] {
        for (name, bytes) in ["a.tar", "a.tar.gz"].into_iter().zip(packed(files)) {
            let error = error(refused, &[(name, &bytes)]).unwrap();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }
}
