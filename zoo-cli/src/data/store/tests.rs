use std::{io::Write, path::Path, sync::Mutex};

use ::tar::{EntryType, Header};
use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;

/// A tar of these (path, type, content) triples; the paths are written as they are, and the content of a link is
/// where it leads to.
fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut content = *content;
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content);
            content = b"";
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A zip of these (path, content) pairs.
fn zip(method: CompressionMethod, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (path, content) in entries {
        match path.strip_suffix('/') {
            Some(folder) => writer.add_directory(folder, options).unwrap(),
            None => {
                writer.start_file(*path, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<(Store, tempfile::TempDir), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    fs::write(&path, bytes).unwrap();
    match Store::open(&path) {
        Ok(store) => Ok((store, directory)),
        Err(error) => Err(error.to_string()),
    }
}

/// Each member with its content, in the order of the visit.
fn all(store: &Store) -> Vec<(usize, String)> {
    let wanted: Vec<usize> = (0..store.members().len()).collect();
    let mut seen = Vec::new();
    store
        .visit(&wanted, &mut |member, content| {
            seen.push((member, std::io::read_to_string(content).unwrap()));
            Ok(())
        })
        .unwrap();
    seen
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Python's `lzma.compress` of the tar that its `tarfile` makes of `d/b` (`second`) and `d/a` (`first`).
const TAR_XZ: &[u8] = &[
    253, 55, 122, 88, 90, 0, 0, 4, 230, 214, 180, 70, 2, 0, 33, 1, 28, 0, 0, 0, 16, 207, 88, 204,
    224, 39, 255, 0, 114, 93, 0, 50, 11, 200, 64, 14, 80, 39, 8, 252, 231, 5, 190, 111, 121, 95,
    103, 150, 251, 159, 106, 205, 70, 20, 139, 205, 51, 214, 226, 173, 241, 175, 151, 6, 237, 254,
    168, 17, 254, 114, 8, 24, 119, 168, 227, 67, 36, 217, 135, 229, 10, 163, 95, 109, 164, 68, 198,
    110, 149, 133, 22, 171, 151, 173, 70, 95, 231, 58, 164, 205, 30, 71, 253, 30, 170, 160, 31,
    211, 90, 107, 89, 151, 240, 60, 112, 158, 245, 112, 157, 86, 114, 175, 252, 93, 115, 167, 45,
    190, 118, 49, 185, 96, 201, 36, 234, 213, 98, 164, 234, 235, 80, 182, 135, 98, 0, 0, 0, 0, 136,
    222, 128, 13, 147, 156, 105, 127, 0, 1, 142, 1, 128, 80, 0, 0, 78, 16, 106, 91, 177, 196, 103,
    251, 2, 0, 0, 0, 0, 4, 89, 90,
];

/// `Image.new("L", (3, 2)).save(f, "png")`, up to its pixels.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02\x08\0\0\0\0\0\0\0\0\0\0\0\0IDAT";

const FILE: EntryType = EntryType::Regular;

#[test]
fn archives_are_sorted_and_read_in_place() {
    let plain = tar(&[
        ("d/", EntryType::Directory, b""),
        ("d/b", FILE, b"second"),
        ("./d/a", FILE, b"first"),
    ]);
    let files: &[(&str, &[u8])] = &[("d/", b""), ("d/b", b"second"), ("d/a", b"first")];
    let archives = [
        ("gz", gzip(&plain)),
        ("bz2", bzip2(&plain)),
        ("zst", zstd::encode_all(plain.as_slice(), 3).unwrap()),
        ("xz", TAR_XZ.to_vec()),
        ("tar", plain),
        ("zip", zip(CompressionMethod::Deflated, files)),
        ("stored", zip(CompressionMethod::Stored, files)),
        ("zip-zstd", zip(CompressionMethod::Zstd, files)),
        ("zip-bzip2", zip(CompressionMethod::Bzip2, files)),
        // Of several parts, as parallel compressors write them.
        (
            "joined",
            [gzip(&plain_start()), gzip(&plain_end())].concat(),
        ),
    ];
    for (name, bytes) in archives {
        let (store, _directory) = open(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(store.is_archive(), "{name}");
        assert_eq!(store.members(), [Path::new("d/a"), Path::new("d/b")]);
        let mut seen = all(&store);
        seen.sort();
        assert_eq!(seen, [(0, "first".into()), (1, "second".into())], "{name}");
        let kinds: Vec<Kind> = store.contents().unwrap().iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [Kind::Text; 2], "{name}");
        let seen = Mutex::new(Vec::new());
        store
            .visit_images(&[0], &|member, bytes| {
                seen.lock().unwrap().push((member, bytes.unwrap()))
            })
            .unwrap();
        assert_eq!(seen.into_inner().unwrap(), [(0, b"first".to_vec())]);
    }
}

fn plain_start() -> Vec<u8> {
    tar(&[("d/b", FILE, b"second"), ("d/a", FILE, b"first")])[..700].to_vec()
}

fn plain_end() -> Vec<u8> {
    tar(&[("d/b", FILE, b"second"), ("d/a", FILE, b"first")])[700..].to_vec()
}

#[test]
fn path_tricks_are_refused() {
    for (path, kind, target, said) in [
        ("../x", FILE, "", "leads out"),
        ("a/../../x", FILE, "", "leads out"),
        ("/etc/x", FILE, "", "leads out"),
        ("a/link", EntryType::Symlink, "/etc/passwd", "leads out"),
        ("a/link", EntryType::Symlink, "../../x", "leads out"),
        ("a/hard", EntryType::Link, "../x", "leads out"),
    ] {
        let error = open(&tar(&[
            ("fine", FILE, b"1"),
            (path, kind, target.as_bytes()),
        ]))
        .err()
        .unwrap();
        assert!(
            error.contains(said) && error.contains("/data`"),
            "{path}: {error}"
        );
    }
    let twice = open(&tar(&[("a", FILE, b"1"), ("./a", FILE, b"2")]))
        .err()
        .unwrap();
    assert!(twice.contains("`a` twice"), "{twice}");
    let out = open(&zip(CompressionMethod::Stored, &[("../x", b"1")]));
    assert!(out.err().unwrap().contains("leads out"));
}

#[test]
fn what_is_left_out_of_an_archive_is_counted() {
    let (store, _directory) = open(&tar(&[
        ("cat/1.png", FILE, PNG),
        ("cat/.ipynb_checkpoints/1.png", FILE, PNG),
        ("__MACOSX/cat/._1.png", FILE, b"x"),
        ("cat/2.png", EntryType::Symlink, b"../dog/2.png"),
        ("cat/3.png", EntryType::Link, b"cat/1.png"),
        ("cat/pipe", EntryType::Fifo, b""),
    ]))
    .unwrap();
    assert_eq!(store.members(), [Path::new("cat/1.png")]);
    let reasons: Vec<&str> = store.left_out().iter().map(|(why, _)| &**why).collect();
    assert_eq!(reasons[..2], ["in hidden folders", "in `__MACOSX` folders"]);
    assert!(
        reasons[2..]
            .iter()
            .all(|why| why.starts_with("that are links"))
    );
    assert_eq!(reasons.len(), 4);
    let [failed] = store.failed() else {
        panic!("{:?}", store.failed())
    };
    assert!(
        failed
            .reason
            .contains("cat/pipe` is not read: it is neither"),
        "{}",
        failed.reason
    );

    let (store, _directory) = open(&zip(
        CompressionMethod::Deflated,
        &[
            ("cat/1.png", PNG),
            ("__MACOSX/._1.png", b"x"),
            ("cat/Thumbs.db", b"x"),
        ],
    ))
    .unwrap();
    assert_eq!((store.members().len(), store.left_out().len()), (1, 2));
}

/// The first reading is kept; what is too large for that is read again.
#[test]
fn a_tar_is_read_from_memory_or_again() {
    let entries = [
        ("b/1", EntryType::Regular, b"one".as_slice()),
        ("a/2", EntryType::Regular, b"two".as_slice()),
    ];
    let (mut store, directory) = open(&gzip(&tar(&entries))).unwrap();
    let seen = all(&store);
    assert_eq!(seen, [(1, "one".into()), (0, "two".into())]);
    let Place::Tar(tape, _) = &mut store.place else {
        panic!("a tar archive is opened as one")
    };
    assert!(tape.kept.take().is_some());
    assert_eq!(all(&store), seen);
    let (store, _) = open(&gzip(&tar(&entries))).unwrap();
    drop(directory);
    assert_eq!(all(&store), seen);
}

#[test]
fn a_zip_of_windows_has_folders_too() {
    let (store, _directory) =
        open(&zip(CompressionMethod::Stored, &[("cat\\1.png", PNG)])).unwrap();
    assert_eq!(store.members(), [Path::new("cat/1.png")]);
}

#[test]
fn an_encrypted_zip_is_named_as_such() {
    let mut bytes = zip(CompressionMethod::Stored, &[("cat/1.png", PNG)]);
    // The flag in the entry's two headers.
    for header in [b"PK\x03\x04", b"PK\x01\x02"] {
        let at = bytes.windows(4).position(|part| part == header).unwrap();
        bytes[at + if header[2] == 3 { 6 } else { 8 }] |= 1;
    }
    let error = open(&bytes).err().unwrap();
    assert!(
        error.contains("it is encrypted; unpack it with its password"),
        "{error}"
    );
}

#[test]
fn a_known_format_that_is_not_read_has_its_own_sentence() {
    for (bytes, said) in [
        (
            &b"7z\xbc\xaf\x27\x1c\0\x04"[..],
            "it is a 7z archive; unpack it and give the folder",
        ),
        (
            b"\x89HDF\r\n\x1a\n",
            "it is an HDF5 file; save its arrays to npz",
        ),
        (
            b"<!DOCTYPE html>",
            "it is a web page; fetch the file itself",
        ),
    ] {
        let error = open(bytes).err().unwrap();
        assert!(
            error.contains("/data` is not read: ") && error.contains(said),
            "{error}"
        );
        let error = open(&gzip(bytes)).err().unwrap();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn each_file_is_told_by_its_content() {
    let directory = tempfile::tempdir().unwrap();
    let grey = decode::Header {
        height: 2,
        width: 3,
        channels: 1,
        multi_frame: false,
    };
    type Told = Option<Result<decode::Header, &'static str>>;
    let files: &[(&str, &[u8], Kind, Told)] = &[
        ("a.jfif", PNG, Kind::Png, Some(Ok(grey))),
        ("b", PNG, Kind::Png, Some(Ok(grey))),
        ("c.csv", b"a,b\n", Kind::Text, None),
        ("d.jpg", b"a,b\n", Kind::Text, Some(Err("cannot decode"))),
        (
            "e",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            Kind::Heic,
            Some(Err("it is a HEIC image; convert it")),
        ),
        (
            "f.png",
            &PNG[..30],
            Kind::Png,
            Some(Err("it ends within its header")),
        ),
        (
            "g.png",
            b"",
            Kind::Empty,
            Some(Err("it is empty; fetch the image again")),
        ),
        ("h", b"", Kind::Empty, None),
        ("i.gz", b"\x1f\x8b\x08\0", Kind::Gzip, None),
    ];
    for (name, bytes, ..) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let pairs: Vec<(&str, &[u8])> = files.iter().map(|file| (file.0, file.1)).collect();
    let entries: Vec<_> = files.iter().map(|file| (file.0, FILE, file.1)).collect();
    let folder = Store::open(directory.path()).unwrap();
    let (zipped, _zip) = open(&zip(CompressionMethod::Deflated, &pairs)).unwrap();
    let (taped, _tar) = open(&tar(&entries)).unwrap();
    for store in [folder, zipped, taped] {
        let contents = store.contents().unwrap();
        assert_eq!(contents.len(), files.len());
        for (content, (name, _, kind, header)) in contents.iter().zip(files) {
            assert_eq!(content.kind, *kind, "{name}");
            match (&content.header, header) {
                (None, None) => {}
                (Some(Ok(found)), Some(Ok(expected))) => assert_eq!(found, expected, "{name}"),
                (Some(Err(found)), Some(Err(said))) => {
                    assert!(
                        found.contains(said) && found.contains(&format!("/{name}`")),
                        "{found}"
                    );
                }
                (found, expected) => panic!("{name}: {found:?} in place of {expected:?}"),
            }
        }
    }
}

#[test]
fn compressed_files_of_an_archive_are_unpacked() {
    let packed = gzip(b"inside");
    let (zipped, _zip) = open(&zip(CompressionMethod::Stored, &[("x.gz", &packed)])).unwrap();
    let (taped, _tar) = open(&tar(&[("x.gz", FILE, &packed)])).unwrap();
    for store in [zipped, taped] {
        assert_eq!(all(&store), [(0, "inside".into())]);
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_in_a_folder_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::os::unix::fs::symlink("nowhere", at("dead.png")).unwrap();
    let error = Store::open(directory.path()).err().unwrap().to_string();
    assert!(
        error.contains("dead.png` is not read: it is a link to `nowhere`"),
        "{error}"
    );
    fs::write(at("a.png"), PNG).unwrap();
    fs::create_dir(at(".git")).unwrap();
    fs::write(at(".git/config"), "x").unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.members(), [Path::new("a.png")]);
    assert_eq!(store.failed()[0].path, at("dead.png"));
    assert_eq!(
        store.left_out(),
        [("in hidden folders".into(), PathBuf::from(".git/config"))]
    );
}

#[test]
fn a_truncated_archive_is_noticed() {
    let bytes = tar(&[("a", FILE, &[1; 5000]), ("b", FILE, &[2; 5000])]);
    let error = open(&bytes[..bytes.len() / 2]).err().unwrap();
    assert!(error.contains("tar archive"), "{error}");
}

proptest! {
    #[test]
    fn damaged_archives_never_panic(zipped: bool, at in 0usize..3072, byte: u8, cut in 100usize..3072) {
        let files: [(&str, &[u8]); 2] = [("a", b"1"), ("b/c", &[7; 600])];
        let mut bytes = if zipped {
            zip(CompressionMethod::Deflated, &files)
        } else {
            tar(&files.map(|(path, content)| (path, FILE, content)))
        };
        let length = bytes.len();
        bytes[at % length] = byte;
        if cut % 2 == 0 {
            bytes.truncate(cut);
        }
        if let Ok((store, _directory)) = open(&bytes) {
            let all: Vec<usize> = (0..store.members().len()).collect();
            let _ = store.contents();
            let _ = store.visit(&all, &mut |_, content| {
                let _ = input::read_up_to(content, 1 << 16);
                Ok(())
            });
        }
    }
}
