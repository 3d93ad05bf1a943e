use std::fs;

use image::{ImageFormat, Rgb, RgbImage};

use super::{
    crate::data::{OpenOptions, fit, open_images},
    *,
};

fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(3, 5, Rgb([value; 3]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    directory
}

fn read_in(directory: &Path) -> Result<Parts, String> {
    let store = Store::open(directory).map_err(|error| error.to_string())?;
    match read(&store, directory, &fit::default_input()) {
        Ok(parts) => Ok(parts.unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

fn read_all(files: &[(&str, Vec<u8>)]) -> Result<Parts, String> {
    read_in(folder(files).path())
}

fn firsts(images: &Images) -> Vec<(u8, u32)> {
    (0..images.len())
        .map(|i| (images.image(i)[0], images.labels[i]))
        .collect()
}

#[test]
fn classes_are_the_sorted_folders() {
    let parts = read_all(&[
        ("dog/b.png", png(3)),
        ("dog/a.PNG", png(2)),
        ("cat/deep/x.jpg", png(1)),
        ("readme.txt", b"hello".to_vec()),
        ("stray.png", png(9)),
    ])
    .unwrap();
    assert_eq!(parts.label_names, ["cat", "dog"]);
    assert_eq!(
        firsts(parts.train.as_ref().unwrap()),
        [(1, 0), (2, 1), (3, 1)]
    );
    assert_eq!(parts.train.unwrap().shape(), ImageShape::new(32, 32, 3));
    assert!(parts.test.is_none());
    assert_eq!(
        parts.notices,
        ["1 images beside the class folders are left out"]
    );
}

#[test]
fn splits_are_found_below_shared_folders() {
    let parts = read_all(&[
        ("data/v1/train/a/1.png", png(1)),
        ("data/v1/train/b/2.png", png(2)),
        ("data/v1/test/b/3.png", png(3)),
    ])
    .unwrap();
    assert_eq!(firsts(&parts.train.unwrap()), [(1, 0), (2, 1)]);
    assert_eq!(firsts(&parts.test.unwrap()), [(3, 1)]);

    let val_only = [
        ("train/a/1.png", png(1)),
        ("train/b/2.png", png(2)),
        ("val/a/3.png", png(3)),
    ];
    assert_eq!(
        firsts(&read_all(&val_only).unwrap().test.unwrap()),
        [(3, 0)]
    );

    let mut all = val_only.to_vec();
    all.push(("test/a/4.png", png(4)));
    let parts = read_all(&all).unwrap();
    assert_eq!(firsts(&parts.test.unwrap()), [(4, 0)]);
    assert_eq!(parts.train.unwrap().len(), 3);
    assert_eq!(parts.notices.len(), 1);
}

#[test]
fn a_broken_image_is_named_and_left_out() {
    let files = [
        ("a/1.png", png(1)),
        ("a/2.png", png(2)[..40].to_vec()),
        ("a/3.png", vec![]),
        ("b/4.png", b"not an image".to_vec()),
        ("b/5.png", png(5)),
    ];
    let parts = read_all(&files).unwrap();
    assert_eq!(firsts(&parts.train.unwrap()), [(1, 0), (5, 1)]);
    let names: Vec<_> = parts
        .skipped
        .iter()
        .map(|file| file.path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["2.png", "3.png", "4.png"]);
    assert!(parts.skipped[0].reason.contains("2.png"));
}

#[test]
fn an_archive_gives_the_same_dataset_as_its_folder() {
    let directory = folder(&[
        ("set/train/a/1.png", png(1)),
        ("set/train/b/2.png", png(2)),
        ("set/train/b/3.png", png(3)[..50].to_vec()),
        ("set/test/b/4.png", png(4)),
    ]);
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    // The order of the archive is not that of the names.
    for name in [
        "set/train/b/3.png",
        "set/test/b/4.png",
        "set/train/b/2.png",
        "set/train/a/1.png",
    ] {
        builder
            .append_path_with_name(directory.path().join(name), name)
            .unwrap();
    }
    let archive = directory.path().join("set.tar.gz");
    fs::write(&archive, builder.into_inner().unwrap().finish().unwrap()).unwrap();
    let open = |path: &Path| {
        open_images(
            Some(path.to_str().unwrap()),
            "cifar10",
            &OpenOptions::default(),
        )
        .unwrap()
    };
    let (unpacked, packed) = (open(&directory.path().join("set")), open(&archive));
    assert_eq!(packed.source.fingerprint, unpacked.source.fingerprint);
    assert_eq!((packed.train, packed.test), (unpacked.train, unpacked.test));
    assert!(
        packed.source.skipped[0]
            .path
            .ends_with("set.tar.gz/set/train/b/3.png")
    );
}

#[test]
fn without_a_test_part_some_images_are_held_out_and_this_is_said() {
    let files: Vec<(String, Vec<u8>)> = (0..40)
        .map(|i| (format!("{}/{i:02}.png", i % 2), png(i)))
        .collect();
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.clone()))
        .collect();
    let directory = folder(&files);
    let open = || {
        open_images(
            directory.path().to_str(),
            "cifar10",
            &OpenOptions::default(),
        )
        .unwrap()
    };
    let data = open();
    assert_eq!((data.train.len(), data.test.len()), (36, 4));
    assert!(
        data.source
            .notice
            .as_ref()
            .unwrap()
            .contains("4 of its 40 images are held out")
    );
    assert_eq!(open(), data);
}

#[test]
fn what_is_no_dataset_is_named_with_the_next_step() {
    assert!(
        read_all(&[("1.png", png(1))])
            .err()
            .unwrap()
            .contains("lie in no class folders")
    );
    assert!(
        read_all(&[("a/1.png", png(1))])
            .err()
            .unwrap()
            .contains("the one class `a`")
    );
    let only_in_test = [
        ("train/a/1.png", png(1)),
        ("train/b/1.png", png(1)),
        ("test/c/1.png", png(1)),
    ];
    assert!(
        read_all(&only_in_test)
            .err()
            .unwrap()
            .contains("test part has the class `c`")
    );
    let broken = [("a/1.png", vec![1]), ("b/1.png", vec![2])];
    let error = read_all(&broken).err().unwrap();
    assert!(
        error.contains("none of 2 images can be decoded") && error.contains("1.png"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let directory = folder(&[("b/1.png", png(1))]);
    let odd = directory.path().join(OsStr::from_bytes(b"a\xff"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join(OsStr::from_bytes(b"\xfe.png")), png(7)).unwrap();
    let parts = read_in(directory.path()).unwrap();
    assert_eq!(parts.label_names, ["a\u{fffd}", "b"]);
    assert_eq!(firsts(&parts.train.unwrap()), [(7, 0), (1, 1)]);
}
