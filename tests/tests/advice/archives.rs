//! Archives, and packed files.

use std::fs;
use std::path::Path;

use end_to_end::archive::{Member, gzip, rename_in_tar, tar, zip, zip_with};
use end_to_end::formats::put_idx;
use end_to_end::picture::{CAT, DOG, classes, files, png, put};

use crate::follow::{BOTH, Refused, SPLIT, nothing, partial, parts, refused, rename, replaced};

/// Six cats and six dogs below a folder.
fn pets(folder: &str) -> Vec<Member> {
    let each = (0..6).flat_map(|i| [("cat", CAT, i), ("dog", DOG, i)]);
    each.map(|(name, bar, i)| (format!("{folder}{name}/{i}.png"), png(bar, i)))
        .collect()
}

fn and(name: &str, bytes: &[u8]) -> Vec<Member> {
    [pets(""), vec![(name.into(), bytes.to_vec())]].concat()
}

/// An archive in the place of which the right one is put.
fn wrong(name: &'static str, bytes: Vec<u8>, sentence: &'static [&'static str]) -> Refused {
    let right = |root: &Path| put(&root.join("d.zip"), zip(&pets("")));
    replaced(name, "d.zip", right, move |_| bytes.clone(), sentence, BOTH).of("d.zip")
}

/// An archive that is unpacked.
fn unpacked(name: &'static str, bytes: Vec<u8>, sentence: &'static [&'static str]) -> Refused {
    refused(name, move |root| put(&root.join("d.zip"), &bytes), sentence)
        .of("d.zip")
        .give(
            "pets",
            |root| classes(&root.join("pets"), &["cat", "dog"], 6),
            BOTH,
        )
}

pub(crate) fn cases() -> Vec<Refused> {
    [not_read(), damaged(), within(), members()]
        .into_iter()
        .flatten()
        .collect()
}

fn not_read() -> Vec<Refused> {
    let mut long = zip(&and("blank.bin", &[0]));
    // The size of the last member in the directory.
    let at = long
        .windows(4)
        .rposition(|part| part == b"PK\x01\x02")
        .unwrap();
    long[at + 24..at + 28].copy_from_slice(&(2u32 << 30).to_le_bytes());
    let mut several = zip(&pets(""));
    let end = several.len() - 22;
    several[end + 4] = 1;
    vec![
        unpacked(
            "a zip under a password",
            zip_with(&pets(""), 0x0801, 0),
            &["it is encrypted; unpack it with its password and give the folder"],
        ),
        unpacked(
            "a zip of an unknown method",
            zip_with(&pets(""), 0x0800, 98),
            &["its compression (method 98) is not read; unpack it and give the folder"],
        ),
        unpacked(
            "a zip on several disks",
            several,
            &["Multi-disk ZIP files are not supported; unpack it and give the folder"],
        ),
        refused(
            "a zip that unpacks to gigabytes",
            move |root| put(&root.join("d.zip"), &long),
            &["is too large: it unpacks to more than 1024 MiB, 100 times its size; unpack it and give the folder"],
        )
        .of("d.zip")
        .give(
            "pets",
            |root| {
                classes(&root.join("pets"), &["cat", "dog"], 6);
                let blank = fs::File::create(root.join("pets/blank.bin")).unwrap();
                blank.set_len(2).unwrap();
            },
            BOTH,
        ),
    ]
}

fn damaged() -> Vec<Refused> {
    let whole = zip(&pets(""));
    let packed = gzip(&tar(&pets("")));
    let mut out = tar(&and("xx/evil.png", &png(CAT, 0)));
    rename_in_tar(&mut out, "xx/evil.png", "../evil.png");
    let mut broken = whole.clone();
    // The mark of the first entry, which the directory says stands there.
    broken[..4].fill(0x20);
    broken[..2].copy_from_slice(b"PK");
    vec![
        wrong(
            "a zip that is cut",
            whole[..whole.len() / 2].to_vec(),
            &[
                "`d.zip` is not usable as a zip archive: ",
                "; fetch it again",
            ],
        ),
        wrong(
            "a tar that is cut",
            tar(&pets(""))[..9000].to_vec(),
            &[
                "`d.zip` is not usable as a tar archive: ",
                "; fetch it again",
            ],
        ),
        wrong(
            "a packed tar that is cut",
            packed[..packed.len() / 2].to_vec(),
            &[
                "`d.zip` is not usable as a tar archive: ",
                "; fetch it again",
            ],
        ),
        wrong(
            "a tar that leads out",
            out,
            &[
                "its entry `../evil.png` leads out of the archive; fetch it from a source that you trust",
            ],
        ),
        wrong(
            "a zip with a file twice",
            zip(&and("cat/0.png", &png(DOG, 0))),
            &["it holds `cat/0.png` twice; pack it afresh"],
        ),
        replaced(
            "a packed file that is cut",
            "d/train-images-idx3-ubyte.gz",
            |root| {
                let folder = root.join("d");
                put_idx(&folder, "train", 6, &[0, 1]);
                let bytes = fs::read(folder.join("train-images-idx3-ubyte")).unwrap();
                put(&folder.join("train-images-idx3-ubyte.gz"), gzip(&bytes));
                fs::remove_file(folder.join("train-images-idx3-ubyte")).unwrap();
            },
            |bytes| bytes[..bytes.len() / 2].to_vec(),
            &[
                "`d/train-images-idx3-ubyte.gz` is not usable as a compressed file: ",
                "; fetch the file again",
            ],
            "0 6, 1 6",
        ),
    ]
}

/// Archives in folders and in archives.
fn within() -> Vec<Refused> {
    vec![
        refused(
            "an archive in a folder",
            |root| put(&root.join("d/pets.tar"), tar(&pets(""))),
            &["it is an archive, and its folder was given; give this file, `d/pets.tar`"],
        )
        .give("d/pets.tar", nothing, BOTH),
        refused(
            "an archive of texts in a folder",
            |root| put(&root.join("d/pets.tar"), tar(&[("a.txt".into(), b"a text".to_vec())])),
            &["it is an archive that holds none of the data sets that are read; put images into folders named by their classes"],
        )
        .then(
            |root| classes(&root.join("d"), &["cat", "dog"], 6),
            BOTH,
        ),
        refused(
            "two archives in a folder",
            |root| {
                put(&root.join("d/cat.zip"), zip(&pets("x/")));
                put(&root.join("d/dog.zip"), zip(&pets("y/")));
            },
            &["`d/cat.zip`", "it is a zip archive; unpack it and give its folder"],
        )
        .give("d/cat", |root| classes(&root.join("d/cat"), &["cat", "dog"], 6), BOTH),
        refused(
            "an archive in an archive",
            |root| put(&root.join("d"), zip(&[("pets.zip".into(), zip(&pets("")))])),
            &["it is a zip archive; unpack the archive around it and give this file"],
        )
        .give("x/pets.zip", |root| put(&root.join("x/pets.zip"), zip(&pets(""))), BOTH),
        refused(
            "an archive of a data set within itself",
            |root| {
                parts(&root.join("x"));
                parts(&root.join("x/pets"));
                let mut builder = ::tar::Builder::new(fs::File::create(root.join("d")).unwrap());
                builder.append_dir_all(".", root.join("x")).unwrap();
                builder.finish().unwrap();
                fs::remove_dir_all(root.join("x")).unwrap();
            },
            &["unpack the archive and give its folder `pets` for it"],
        )
        .give(
            "x/pets",
            |root| {
                let mut archive = ::tar::Archive::new(fs::File::open(root.join("d")).unwrap());
                archive.unpack(root.join("x")).unwrap();
            },
            SPLIT,
        ),
        refused(
            "an archive of other things",
            |root| {
                files(&root.join("x"), 2, "txt", |_| b"a text".into());
                rename(root, "x", "d");
            },
            &[
                "`d` is none of the known datasets (it holds `000.txt`, `001.txt`); give images in class folders or with a table \
                 `labels.csv`, files of CIFAR, STL-10, IDX, NumPy (`.npz`) or parquet, or a zip or tar archive of them",
            ],
        )
        .then(|root| classes(&root.join("d"), &["cat", "dog"], 6), BOTH)
        .give("d.tar", |root| put(&root.join("d.tar"), tar(&pets(""))), BOTH)
        .give("d.zip", |root| put(&root.join("d.zip"), zip(&pets(""))), BOTH),
    ]
}

fn members() -> Vec<Refused> {
    let pipe = |root: &Path| {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (name, bytes) in pets("") {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::Fifo);
        header.set_size(0);
        builder
            .append_data(&mut header, "cat/pipe", &[][..])
            .unwrap();
        put(&root.join("d.tar"), builder.into_inner().unwrap());
    };
    vec![
        partial(
            "a pipe in a tar",
            pipe,
            &["`d.tar/cat/pipe` is not read: it is neither a file nor a folder; pack files only"],
        )
        .of("d.tar")
        .then(|root| put(&root.join("d.tar"), tar(&pets(""))), BOTH),
    ]
}
