//! Trees of pictures in archives.

use crate::row::{Row, row, written};
use end_to_end::archive::{Member, gzip, rename_in_tar, tar, zip, zip_with};
use end_to_end::picture::{CAT, DOG, OWL, gif_of_two_frames, png, put, tiff_of_two_pages};

const BOTH: &str = "cat 6/0/0, dog 6/0/0";
const SPLIT: &str = "cat 6/0/2, dog 6/0/2";

/// Six cats and six dogs below a folder.
fn pets(folder: &str, count: usize) -> Vec<Member> {
    let one = |(name, bar): (&str, usize), i| (format!("{folder}{name}/{i}.png"), png(bar, i));
    let both = [("cat", CAT), ("dog", DOG)];
    both.into_iter()
        .flat_map(|class| (0..count).map(move |i| one(class, i)))
        .collect()
}

/// An archive of this name beside which nothing lies.
fn archive(name: &'static str, file: &'static str, bytes: impl Fn() -> Vec<u8> + 'static) -> Row {
    row(name, move |root| put(&root.join(file), bytes())).at(file)
}

fn train_and_test() -> Vec<Member> {
    [pets("pets/train/", 6), pets("pets/test/", 2)].concat()
}

fn and(mut members: Vec<Member>, more: &[(&str, &[u8])]) -> Vec<Member> {
    members.extend(
        more.iter()
            .map(|(name, bytes)| (name.to_string(), bytes.to_vec())),
    );
    members
}

/// A cat in two pages and a dog in two frames among others.
fn with_frames() -> Vec<Member> {
    let more: [(&str, &[u8]); 2] = [
        ("cat/pages.tif", &tiff_of_two_pages(CAT, DOG)),
        ("dog/moving.gif", &gif_of_two_frames(DOG, CAT)),
    ];
    and(pets("", 6), &more)
}

pub(crate) fn rows() -> Vec<Row> {
    [packed(), odd(), refused()].into_iter().flatten().collect()
}

fn packed() -> Vec<Row> {
    vec![
        archive("a tar of classes", "pets.tar", || tar(&pets("", 6))).reads(BOTH),
        archive("a tar.gz of parts", "pets.tar.gz", || {
            gzip(&tar(&train_and_test()))
        })
        .reads(SPLIT),
        archive("a tgz", "pets.tgz", || gzip(&tar(&pets("pets/", 6)))).reads(BOTH),
        archive("a zip of classes", "pets.zip", || zip(&pets("", 6))).reads(BOTH),
        archive("a zip of parts", "pets.zip", || zip(&train_and_test())).reads(SPLIT),
        archive("a zip whose name says nothing", "pets", || {
            zip(&pets("", 6))
        })
        .reads(BOTH),
        archive("a tar.gz called tar", "pets.tar", || {
            gzip(&tar(&pets("", 6)))
        })
        .reads(BOTH),
        archive("a zip called tar.gz", "pets.tar.gz", || zip(&pets("", 6))).reads(BOTH),
        archive("a zip with pictures of several frames", "pets.zip", || {
            zip(&with_frames())
        })
        .reads("cat 7/0/0, dog 7/0/0")
        .holds("/multi_frame", 2),
        archive("a tar with pictures of several frames", "pets.tar", || {
            tar(&with_frames())
        })
        .reads("cat 7/0/0, dog 7/0/0")
        .holds("/multi_frame", 2),
    ]
}

fn odd() -> Vec<Row> {
    vec![
        archive("a zip of a Mac", "pets.zip", || {
            let more: [(&str, &[u8]); 2] = [
                ("__MACOSX/pets/cat/._0.png", b"\0\x05\x16\x07"),
                ("pets/.DS_Store", b"\0\0\0\x01"),
            ];
            zip(&and(pets("pets/", 6), &more))
        })
        .reads(BOTH)
        .leaves_out(2, &[]),
        archive("a zip with entries for folders", "pets.zip", || {
            zip(&and(pets("", 6), &[("cat/", b""), ("dog/", b"")]))
        })
        .reads(BOTH),
        archive("a zip with an entry for an empty class", "pets.zip", || {
            zip(&and(pets("", 6), &[("owl/", b"")]))
        })
        .refused(&["owl"]),
        archive("a zip of old Windows tools", "pets.zip", || {
            let turn = |(name, bytes): Member| (name.replace('/', "\\"), bytes);
            zip(&pets("pets/", 6).into_iter().map(turn).collect::<Vec<_>>())
        })
        .reads(BOTH),
        archive("a stray picture in a zip", "pets.zip", || {
            zip(&and(train_and_test(), &[("pets/x.png", &png(OWL, 0))]))
        })
        .reads(SPLIT)
        .leaves_out(1, &[]),
        archive("a broken picture in a tar", "pets.tar", || {
            tar(&and(pets("", 6), &[("cat/broken.png", b"no picture")]))
        })
        .reads(BOTH)
        .fails(&["broken.png"]),
        archive("a broken picture in a zip", "pets.zip", || {
            zip(&and(pets("", 6), &[("cat/broken.png", b"no picture")]))
        })
        .reads(BOTH)
        .fails(&["broken.png"]),
        row(
            "an archive beside the folder that it was unpacked to",
            |root| {
                for (name, bytes) in pets("d/", 6) {
                    put(&root.join(name), bytes);
                }
                put(&root.join("d/pets.zip"), zip(&pets("", 6)));
            },
        )
        .reads(BOTH)
        .leaves_out(1, &[]),
    ]
}

fn refused() -> Vec<Row> {
    vec![
        archive(
            "a shard of pictures and their descriptions",
            "0.tar",
            || {
                let one = |i| {
                    [
                        (format!("{i}.png"), png(CAT, i)),
                        (format!("{i}.json"), b"{}".to_vec()),
                    ]
                };
                tar(&(0..6).flat_map(one).collect::<Vec<_>>())
            },
        )
        .refused(&["WebDataset", "`0.json` describes the image beside it"]),
        archive("a zip under a password", "pets.zip", || {
            zip_with(&pets("", 6), 0x0801, 0)
        })
        .refused(&["pets.zip", "password"]),
        archive("a zip of an unknown method", "pets.zip", || {
            zip_with(&pets("", 6), 0x0800, 98)
        })
        .refused(&["pets.zip"]),
        archive("a zip that is cut", "pets.zip", || {
            let bytes = zip(&pets("", 6));
            bytes[..bytes.len() / 2].to_vec()
        })
        .refused(&["pets.zip"]),
        archive("a tar.gz that is cut", "pets.tar.gz", || {
            let bytes = gzip(&tar(&pets("", 6)));
            bytes[..bytes.len() / 2].to_vec()
        })
        .refused(&["pets.tar.gz"]),
        archive("a zip that leads out", "pets.zip", || {
            zip(&and(pets("", 6), &[("../../evil.png", &png(CAT, 0))]))
        })
        .refused(&["evil.png"]),
        archive("a tar that leads out", "pets.tar", || {
            let mut bytes = tar(&and(pets("", 6), &[("xx/evil.png", &png(CAT, 0))]));
            rename_in_tar(&mut bytes, "xx/evil.png", "../evil.png");
            bytes
        })
        .refused(&["evil.png"]),
        archive("a zip with a file twice", "pets.zip", || {
            zip(&and(pets("", 6), &[("cat/0.png", &png(DOG, 0))]))
        })
        .refused(&["cat/0.png"]),
        archive("a zip within a zip", "pets.zip", || {
            zip(&[("pets.zip".into(), zip(&pets("", 6)))])
        })
        .refused(&["pets.zip"]),
        archive("an empty zip", "pets.zip", || zip(&[])).refused(&["pets.zip"]),
        archive("a zip of texts", "pets.zip", || {
            zip(&[("a.txt".into(), b"text".to_vec())])
        })
        .refused(&["a.txt"]),
        archive("a rar", "pets.rar", || {
            b"Rar!\x1a\x07\x01\0\0\0\0\0".repeat(100)
        })
        .refused(&["rar"]),
        archive("a 7z", "pets.7z", || {
            b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".repeat(100)
        })
        .refused(&["7z"]),
        row("a folder of one zip", |root| {
            put(&root.join("d/pets.zip"), zip(&pets("", 6)))
        })
        .refused(&["pets.zip"]),
        row("a folder of parts as zip", |root| {
            put(&root.join("d/train.zip"), zip(&pets("", 6)));
            put(&root.join("d/test.zip"), zip(&pets("", 2)));
        })
        .refused(&["zip"]),
    ]
}

/// Archives that Python's library and others packed.
pub(crate) fn by_libraries() -> Vec<Row> {
    vec![
        written("a deflated zip", "packed/pets.zip").reads(SPLIT),
        written("a tar.xz", "packed/pets.tar.xz").reads(SPLIT),
        written("a txz", "packed/pets.txz").reads(SPLIT),
        written("a tar.bz2", "packed/pets.tar.bz2").reads(SPLIT),
        written("a tar.zst", "packed/pets.tar.zst").reads(SPLIT),
        written("a tar of the POSIX form with long names", "packed/pax.tar").reads(SPLIT),
        written("a zip of parquet files", "packed/parquet.zip").reads(SPLIT),
        written("a tar.gz of parquet files", "packed/parquet.tar.gz").reads(SPLIT),
        written("a tar.xz of IDX files", "packed/idx.tar.xz")
            .bars(crate::formats::by_number)
            .reads("0 6/0/2, 1 6/0/2, 2 6/0/2"),
        written("a zip of CIFAR records", "packed/records.zip")
            .bars(crate::formats::by_cifar10)
            .reads(crate::formats::CIFAR10),
        written("a zip by LZMA", "packed/lzma.zip").reads(SPLIT),
        written("a tar.xz that is cut", "packed/cut.tar.xz").refused(&["cut.tar.xz"]),
        written("a tar.zst that is cut", "packed/cut.tar.zst").refused(&["cut.tar.zst"]),
    ]
}
