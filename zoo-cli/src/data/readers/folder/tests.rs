use std::fs;

use image::{ImageFormat, Rgb, RgbImage};

use super::*;
use crate::data::{ImageDataset, ImageShape, OpenOptions, open_images};

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

/// A folder of images, the first of them all 1, the second all 2, …
fn images(names: &str) -> tempfile::TempDir {
    let files: Vec<(&str, Vec<u8>)> = names
        .split_whitespace()
        .zip(1..)
        .map(|(name, value)| (name, png(value)))
        .collect();
    folder(&files)
}

fn open(path: &Path) -> Result<ImageDataset, String> {
    open_images(path.to_str(), "cifar10", &OpenOptions::default())
        .map_err(|error| error.to_string())
}

/// Each part as the numbers of its images and their classes, with what is held out in the training part.
fn read(data: &ImageDataset) -> String {
    let mut parts = Vec::new();
    let (mut train, mut test) = (data.train.clone(), data.test.clone());
    if data.inventory.held_out > 0 {
        train.append(test.clone());
        test.keep(&[]);
    }
    for images in [Some(&train), data.validation.as_ref(), Some(&test)] {
        let mut found: Vec<(u8, u32)> = images
            .into_iter()
            .flat_map(|images| (0..images.len()).map(|i| (images.image(i)[0], images.labels[i])))
            .collect();
        found.sort_unstable();
        let shown = found
            .iter()
            .map(|(value, label)| format!("{value}{}", data.label_names[*label as usize]));
        parts.push(shown.collect::<Vec<_>>().join(" "));
    }
    parts.join("; ")
}

fn left_out(data: &ImageDataset) -> String {
    let groups = data.inventory.left_out.iter();
    let shown = groups.map(|group| format!("{} {}", group.count, group.reason));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn folders_say_parts_and_classes() {
    // Images by their place, what is read of each part, what is left out.
    for (names, expected, gone) in [
        (
            "dog/b.png dog/a.PNG cat/deep/x.jpg",
            "1dog 2dog 3cat; ; ",
            "",
        ),
        ("dog/b cat/x.jfif", "1dog 2cat; ; ", ""),
        (
            "cat/1.png dog/2.png stray.png",
            "1cat 2dog; ; ",
            "1 beside the class folders",
        ),
        // Parts below shared folders.
        (
            "data/v1/train/a/1.png data/v1/train/b/2.png data/v1/test/b/3.png",
            "1a 2b; ; 3b",
            "",
        ),
        (
            "pets/train/a/1.png pets/train/b/2.png pets/test/a/3.png logo.png",
            "1a 2b; ; 3a",
            "1 beside the folder of the data set",
        ),
        // Validation stays what it is, with and without a test part.
        ("train/a/1.png train/b/2.png val/a/3.png", "1a 2b; 3a; ", ""),
        (
            "train/a/1.png train/b/2.png valid/a/3.png test/b/4.png",
            "1a 2b; 3a; 4b",
            "",
        ),
        (
            "train/a/1.png train/b/2.png dev/a/3.png eval/b/4.png",
            "1a 2b; 3a; 4b",
            "",
        ),
        // What fits nowhere.
        (
            "train/a/1.png train/b/2.png test/a/3.png stray.png",
            "1a 2b; ; 3a",
            "1 beside the folders of the parts",
        ),
        (
            "train/a/1.png train/b/2.png train/stray.png test/a/3.png",
            "1a 2b; ; 4a",
            "1 beside the class folders",
        ),
        (
            "train/a/1.png train/b/2.png test/a/3.png extra/c/4.png",
            "1a 2b; ; 3a",
            "1 in `extra`, which is none of the parts",
        ),
        // A test part without labels is no test part.
        (
            "train/a/1.png train/b/2.png test/3.png test/4.png",
            "1a 2b; ; ",
            "2 in `test`, which has no class folders and so no labels",
        ),
        (
            "train/a/1.png train/b/2.png test/test/3.png",
            "1a 2b; ; ",
            "1 in `test`, which has no class folders and so no labels",
        ),
        (
            "train/a/1.png train/b/2.png test/images/3.png",
            "1a 2b; ; ",
            "1 in `test`, which has no class folders and so no labels",
        ),
        // Names of splits with other words.
        (
            "seg_train/seg_train/a/1.png seg_train/seg_train/b/2.png seg_test/seg_test/a/3.png seg_pred/seg_pred/4.png",
            "1a 2b; ; 3a",
            "1 in `seg_pred`, whose images have no labels",
        ),
        (
            "training_set/training_set/cats/1.png training_set/training_set/dogs/2.png \
             test_set/test_set/cats/3.png",
            "1cats 2dogs; ; 3cats",
            "",
        ),
        (
            "train2017/a/1.png train2017/b/2.png val2017/b/3.png",
            "1a 2b; 3b; ",
            "",
        ),
        (
            "train_1/a/1.png train_2/b/2.png test/b/3.png",
            "1a 2b; ; 3b",
            "",
        ),
        (
            "train/images/a/1.png train/images/b/2.png test/images/b/3.png",
            "1a 2b; ; 3b",
            "",
        ),
        (
            "train/images/a/1.png train/images/b/2.png train/images/x.png test/images/b/3.png",
            "1a 2b; ; 4b",
            "1 beside the class folders",
        ),
        ("test/a/1.png test/b/2.png", "; ; 1a 2b", ""),
        // Parts inside of the classes.
        (
            "cat/train/1.png cat/test/2.png dog/train/3.png dog/val/4.png",
            "1cat 3dog; 4dog; 2cat",
            "",
        ),
        // Words of splits in the names of classes.
        ("beaker/1.png test_tube/2.png", "1beaker 2test_tube; ; ", ""),
        (
            "boots/1.png training-shoes/2.png test_tube/3.png",
            "1boots 2training-shoes 3test_tube; ; ",
            "",
        ),
        (
            "bus/1.png train/2.png plane/3.png",
            "1bus 2train 3plane; ; ",
            "",
        ),
        (
            "train/bus/1.png train/train/2.png test/bus/3.png",
            "1bus 2train; ; 3bus",
            "",
        ),
    ] {
        let directory = images(names);
        let data = open(directory.path()).unwrap_or_else(|error| panic!("{names}: {error}"));
        assert_eq!(read(&data), expected, "{names}");
        assert_eq!(left_out(&data), gone, "{names}");
        assert!(data.source.skipped.is_empty());
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for (names, said) in [
        ("1.png 2.png", "its 2 images lie in no class folders"),
        ("a/1.png", "the one class `a`"),
        ("train/a/1.png test/a/1.png", "the one class `a`"),
        (
            "train/1.png test/2.png",
            "have the names of parts, but `train` holds no class folders",
        ),
        (
            "val/1.png test/2.png",
            "have the names of parts, but hold no class folders",
        ),
        (
            "train/1.png test/2.png bus/3.png",
            "have the names of parts, but `train` holds no class folders",
        ),
        (
            "data/train/1.png data/test/2.png",
            "have the names of parts, but `train` holds no class folders",
        ),
        (
            "train/a/1.png train/b/2.png test/c/3.png",
            "its test part has the class `c` that its training part lacks",
        ),
        (
            "train/a/1.png train/b/2.png val/c/3.png",
            "its validation part has the class `c` that its training part lacks",
        ),
        (
            "train/Cat/1.png train/b/2.png test/cat/3.png",
            "the class `cat`, which its training part calls `Cat`",
        ),
        (
            "set/train/a/1.png set/train/b/2.png set/test/a/3.png set/set/train/a/1.png set/set/train/b/2.png \
             set/set/test/a/3.png",
            "its folder `set` is a data set with parts of its own, beside `test`, `train`; give `",
        ),
        (
            "birds/train/a/1.png birds/train/b/1.png birds/test/a/1.png cars/train/c/1.png cars/train/d/1.png \
             cars/test/c/1.png",
            "its folder `birds` is a data set with parts of its own, beside `cars`; give `",
        ),
        (
            "cats_train/a/1.png cats_train/b/1.png cats_test/a/1.png dogs_train/c/1.png dogs_train/d/1.png \
             dogs_test/c/1.png",
            "`cats_test` and `dogs_test` are both a test part",
        ),
        (
            "birds/owl/1.png birds/duck/2.png cars/vw/3.png cars/bmw/4.png",
            "its folders `birds`, `cars` hold no images but folders, such as `duck`, `owl`; give `",
        ),
        (
            "animals/cat/1.png animals/dog/2.png car/3.png",
            "its folder `animals` holds no images but folders, such as `cat`, `dog`; give `",
        ),
        (
            "train/animals/cat/1.png train/animals/dog/2.png train/car/3.png test/car/4.png",
            "its class folder `train/animals` holds no images but the folders `cat`, `dog`",
        ),
        (
            "cat/train/1.png cat/test/2.png dog/3.png",
            "its folder `cat/test` has the name of a part",
        ),
        (
            "images/1.png masks/2.png",
            "its folder `images` has no name of a class and stands beside `masks`",
        ),
        (
            "images/1.png images/2.png",
            "its 2 images lie in no class folders",
        ),
        (
            "trainA/1.png trainB/2.png testA/3.png testB/4.png",
            "have the names of parts, but `trainA` holds no class folders",
        ),
        (
            "train/a/1.png train/b/1.png test/a/1.png test_simple/a/1.png",
            "`test` and `test_simple` are both a test part",
        ),
        (
            "train/a/1.png train/b/2.png test/images/a/3.png test/images/b/4.png",
            "lie in `test/images` and in `train`, on different levels",
        ),
        (
            "cat/1.png dog/2.png test/3.png",
            "its folder `test` stands beside `cat`, `dog` and there is no `train`",
        ),
        (
            "trainval/a/1.png trainval/b/2.png test/a/3.png",
            "its folder `test` stands beside `trainval` and there is no `train`; call `trainval` `train` if",
        ),
        (
            "cat/1.png dog/2.png unlabeled/3.png",
            "its folder `unlabeled` stands beside the class folders `cat`, `dog`",
        ),
        (
            "val/a/1.png val/b/2.png",
            "it has only the validation part `val`; give `",
        ),
        (
            "train/a/1.png train/b/2.png docs/3.png",
            "its folder `train` holds class folders and stands beside `docs`; give `",
        ),
        (
            "train/train/1.png train/val/2.png test/val/3.png",
            "have the names of parts; rename them",
        ),
        (
            "a/1.png b/2.png 3.png 4.png 5.png",
            "3 images lie beside its class folders and only 2 in them",
        ),
        (
            "training-shoes/a/1.png training-shoes/b/1.png test_tube/a/2.png boots/a/3.png",
            "may be parts or, with `boots`, classes",
        ),
    ] {
        let directory = images(names);
        match open(directory.path()) {
            Err(error) => assert!(error.contains(said), "{names}: {error}"),
            Ok(data) => panic!("{names}: {}", read(&data)),
        }
    }
}

#[test]
fn the_folder_that_an_error_advises_can_be_read() {
    for (names, expected) in [
        (
            "set/train/a/1.png set/train/b/2.png set/test/a/3.png set/set/train/a/1.png set/set/train/b/2.png \
             set/set/test/a/3.png",
            "4a 5b; ; 6a",
        ),
        ("val/a/1.png val/b/2.png", "1a 2b; ; "),
        ("train/a/1.png train/b/2.png docs/3.png", "1a 2b; ; "),
        (
            "animals/cat/1.png animals/dog/2.png car/3.png",
            "1cat 2dog; ; ",
        ),
    ] {
        let directory = images(names);
        let error = open(directory.path()).unwrap_err();
        let advised = error.split("give `").nth(1).unwrap().split('`').next();
        assert_eq!(read(&open(Path::new(advised.unwrap())).unwrap()), expected);
    }
}

#[test]
fn the_inventory_is_that_of_the_headers() {
    let directory = folder(&[
        ("train/a/1.png", png(1)),
        ("train/b/2.png", png(2)),
        ("train/b/3.png", png(3)[..50].to_vec()),
        ("train/b/notes.txt", b"hello".to_vec()),
        ("test/b/4.png", png(4)),
        ("readme.txt", b"hello".to_vec()),
    ]);
    let store = Store::open(directory.path()).unwrap();
    let inventory = survey(&store, directory.path()).unwrap().unwrap().inventory;
    assert_eq!(inventory.format, "an image folder");
    let classes: Vec<_> = inventory
        .classes
        .iter()
        .map(|class| (class.name.as_str(), class.parts.train, class.parts.test))
        .collect();
    // The header of the cut one is whole.
    assert_eq!(classes, [("a", 1, 0), ("b", 2, 1)]);
    assert_eq!((inventory.distinct_sizes, inventory.colour), (1, 4));
    let size = inventory.sizes[0];
    assert_eq!((size.height, size.width, size.images), (5, 3, 4));
    assert_eq!(inventory.left_out.len(), 1);
    assert_eq!(
        (
            inventory.left_out[0].count,
            inventory.left_out[0].reason.as_str()
        ),
        (2, "`.txt` that are no images")
    );
}

#[test]
fn a_broken_image_is_named_and_left_out() {
    let directory = folder(&[
        ("a/1.png", png(1)),
        ("a/2.png", png(2)[..40].to_vec()),
        ("a/3.png", vec![]),
        ("b/4.png", b"not an image".to_vec()),
        ("b/5.png", png(5)),
        ("b/6.png", png(6)),
    ]);
    let data = open(directory.path()).unwrap();
    assert!(read(&data).starts_with("1a 5b 6b"));
    let names: Vec<_> = data
        .source
        .skipped
        .iter()
        .map(|file| file.path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["2.png", "3.png", "4.png"]);
    assert!(data.source.skipped[0].reason.contains("2.png"));
}

#[test]
fn a_class_of_which_nothing_can_be_read_is_an_error() {
    let broken = |name: &'static str| (name, b"not an image".to_vec());
    let cut = |name: &'static str| (name, png(3)[..50].to_vec());
    let cases = [
        (
            broken("owl/1.png"),
            "none of the 1 image of the class `owl` in its training part can be read",
        ),
        // Its header is whole: this is found out by decoding.
        (
            cut("owl/1.png"),
            "none of the 1 image of the class `owl` in its training part can be read",
        ),
        (
            ("owl/1.txt", b"a text".to_vec()),
            "its folder `owl` holds 1 file and no image that can be read",
        ),
    ];
    for (file, said) in cases {
        let directory = folder(&[("cat/1.png", png(1)), ("dog/1.png", png(2)), file]);
        let error = open(directory.path()).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let directory = images("cat/1.png dog/2.png");
    fs::create_dir(directory.path().join("owl")).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(error.contains("its folder `owl` is empty"), "{error}");
}

#[test]
fn composed_and_decomposed_names_are_one_class() {
    let data = open(
        images(
            "train/caf\u{e9}/1.png train/cafe\u{301}/2.png train/b/3.png test/cafe\u{301}/4.png",
        )
        .path(),
    )
    .unwrap();
    assert_eq!(read(&data), "1caf\u{e9} 2caf\u{e9} 3b; ; 4caf\u{e9}");

    let data = open(images("Cat/1.png cat/2.png").path()).unwrap();
    assert_eq!(data.label_names, ["Cat", "cat"]);
    assert!(data.inventory.notes[0].contains("differ in upper and lower case only"));
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
    let (unpacked, packed) = (
        open(&directory.path().join("set")).unwrap(),
        open(&archive).unwrap(),
    );
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
    let mut names: Vec<String> = (0..40)
        .map(|i| format!("train/{}/{i:02}.png", i % 2))
        .collect();
    let open_names = |names: &[String]| open(images(&names.join(" ")).path()).unwrap();
    let data = open_names(&names);
    assert_eq!((data.train.len(), data.test.len()), (36, 4));
    assert_eq!(data.train.shape(), ImageShape::new(5, 3, 3));
    assert_eq!(data.inventory.held_out, 4);
    let notice = data.source.notice.clone().unwrap();
    assert!(
        notice.contains("4 of its 40 images are held out"),
        "{notice}"
    );
    assert_eq!(open_names(&names).train, data.train);

    names.push("val/1/x.png".into());
    let data = open_names(&names);
    assert_eq!((data.train.len(), data.test.len()), (36, 4));
    assert_eq!(data.validation.unwrap().len(), 1);
    let notice = data.source.notice.unwrap();
    assert!(
        notice.contains("4 of its 40 training images are held out for testing, and its validation part stays one"),
        "{notice}"
    );
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let directory = folder(&[("b/1.png", png(1))]);
    let odd = directory.path().join(std::ffi::OsStr::from_bytes(b"a\xff"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join(std::ffi::OsStr::from_bytes(b"\xfe.png")), png(7)).unwrap();
    let data = open(directory.path()).unwrap();
    assert_eq!(data.label_names, ["a\u{fffd}", "b"]);
    assert_eq!(read(&data), "1b 7a\u{fffd}; ; ");
}

#[test]
fn spaces_around_the_names_of_folders_are_no_part_of_them() {
    let directory = folder(&[
        ("train/cat/1.png", png(1)),
        ("train/dog/2.png", png(2)),
        ("test/cat /3.png", png(3)),
    ]);
    let data = open(directory.path()).unwrap();
    assert_eq!(read(&data), "1cat 2dog; ; 3cat");
    let notes = data.inventory.notes.concat();
    assert!(
        notes.contains("`test/cat ` are taken away (1 image)"),
        "{notes}"
    );
}
