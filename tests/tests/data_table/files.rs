//! Files of pictures: their formats, colours and sizes, and what cannot be read.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use serde_json::json;

use crate::row::{Row, row, written};
use end_to_end::picture::{
    CAT, COW, DOG, GREY, Look, OWL, SMALL, bmp, class, classes, encoded, files, gif_of_two_frames,
    png, png_of_two_frames, ppm, put, tiff, tiff_of_two_pages, webp_of_two_frames,
};

const BOTH: &str = "cat 6/0/0, dog 6/0/0";
const THREE: &str = "cat 6/0/0, dog 6/0/0, owl 6/0/0";

fn jpeg(bar: usize, i: usize) -> Vec<u8> {
    encoded(bar, i, SMALL, ImageFormat::Jpeg)
}

/// The first bytes of a file of this brand of the ISO base media format.
fn ftyp(brand: &str) -> Vec<u8> {
    [
        b"\0\0\0\x14ftyp",
        brand.as_bytes(),
        b"\0\0\0\0",
        brand.as_bytes(),
        &[0; 64],
    ]
    .concat()
}

/// Cats and dogs as PNG, and six more files of a third class.
fn third(name: &'static str, ending: &'static str, make: fn(usize) -> Vec<u8>) -> Row {
    row(name, move |root| {
        classes(&root.join("d"), &["cat", "dog"], 6);
        files(&root.join("d/owl"), 6, ending, make);
    })
}

/// Cats and dogs as PNG, and one more file.
fn with(name: &'static str, file: &'static str, bytes: impl Fn() -> Vec<u8> + 'static) -> Row {
    row(name, move |root| {
        classes(&root.join("d"), &["cat", "dog"], 6);
        put(&root.join("d").join(file), bytes());
    })
}

/// Cats and dogs of these looks.
fn looks(name: &'static str, cat: &'static [Look], dog: &'static [Look]) -> Row {
    row(name, move |root| {
        for (folder, bar, looks) in [("d/cat", CAT, cat), ("d/dog", DOG, dog)] {
            for i in 0..6 {
                let file = root.join(folder).join(format!("{i}.png"));
                put(
                    &file,
                    encoded(bar, i, looks[i % looks.len()], ImageFormat::Png),
                );
            }
        }
    })
    .reads(BOTH)
}

const WIDE: Look = Look {
    width: 48,
    height: 40,
    grey: false,
};
const LARGE: Look = Look {
    width: 200,
    height: 150,
    grey: false,
};
const LARGE_GREY: Look = Look {
    grey: true,
    ..LARGE
};

pub(crate) fn rows() -> Vec<Row> {
    [kinds(), multi_frame(), sizes(), unreadable(), special()]
        .into_iter()
        .flatten()
        .collect()
}

/// Pictures are known by their content.
fn kinds() -> Vec<Row> {
    vec![
        third("bitmaps beside PNG", "bmp", |i| bmp(OWL, i)).reads(THREE),
        third("TIFF beside PNG", "tif", |i| tiff(OWL, i)).reads(THREE),
        third("pixmaps beside PNG", "ppm", |i| ppm(OWL, i)).reads(THREE),
        third("JPEG called jfif", "jfif", |i| jpeg(OWL, i)).reads(THREE),
        third("JPEG called jpe", "jpe", |i| jpeg(OWL, i)).reads(THREE),
        third("JPEG called JPG_Large", "JPG_Large", |i| jpeg(OWL, i)).reads(THREE),
        third("pictures without an ending", "", |i| jpeg(OWL, i)).reads(THREE),
        third("pictures called dat", "dat", |i| png(OWL, i)).reads(THREE),
        third("JPEG called png", "png", |i| jpeg(OWL, i)).reads(THREE),
        third("capitals of Windows", "JPG", |i| jpeg(OWL, i)).reads(THREE),
        row("three PNG and many TIFF of one class", |root| {
            class(&root.join("d/cat"), CAT, 6);
            class(&root.join("d/dog"), DOG, 2);
            files(&root.join("d/dog"), 6, "tiff", |i| tiff(DOG, i));
        })
        .reads("cat 6/0/0, dog 8/0/0"),
        row("another format in each class", |root| {
            files(&root.join("d/cat"), 6, "bmp", |i| bmp(CAT, i));
            files(&root.join("d/cow"), 6, "tif", |i| tiff(COW, i));
            files(&root.join("d/dog"), 6, "jpeg", |i| jpeg(DOG, i));
        })
        .reads("cat 6/0/0, cow 6/0/0, dog 6/0/0"),
    ]
}

/// Pictures of several pages or frames: the first is read, and they are counted.
fn multi_frame() -> Vec<Row> {
    vec![
        third("TIFF of two pages", "tif", |_| tiff_of_two_pages(OWL, CAT))
            .reads(THREE)
            .holds("/multi_frame", 6),
        third("moving GIF", "gif", |_| gif_of_two_frames(OWL, CAT))
            .reads(THREE)
            .holds("/multi_frame", 6),
        third("moving PNG", "png", |_| png_of_two_frames(OWL))
            .reads(THREE)
            .holds("/multi_frame", 6),
        third("moving WebP", "webp", |_| webp_of_two_frames(OWL, CAT))
            .reads(THREE)
            .holds("/multi_frame", 6),
        third("GIF that do not move", "gif", |i| {
            encoded(OWL, i, SMALL, ImageFormat::Gif)
        })
        .reads(THREE)
        .holds("/multi_frame", 0),
    ]
}

/// Sizes and colour.
fn sizes() -> Vec<Row> {
    vec![
        looks("one small size", &[WIDE], &[WIDE])
            .holds("/input", json!([40, 48, 3]))
            .holds("/sizes", json!([{"height": 40, "width": 48, "images": 12}]))
            .holds("/colour", 12),
        looks("two small sizes", &[WIDE], &[SMALL])
            .holds("/input", json!([32, 32, 3]))
            .holds("/distinct_sizes", 2),
        looks("one large size", &[LARGE], &[LARGE])
            .holds("/input", json!([32, 32, 3]))
            .holds(
                "/sizes",
                json!([{"height": 150, "width": 200, "images": 12}]),
            ),
        looks("a large picture first", &[LARGE, SMALL], &[SMALL])
            .holds("/input", json!([32, 32, 3]))
            .holds(
                "/sizes/1",
                json!({"height": 150, "width": 200, "images": 3}),
            ),
        looks("grey alone", &[GREY], &[GREY])
            .holds("/input", json!([32, 32, 1]))
            .holds("/colour", 0),
        looks("a grey picture first", &[GREY, SMALL, SMALL], &[SMALL])
            .holds("/input", json!([32, 32, 3]))
            .holds("/colour", 10),
        looks(
            "a colour picture last",
            &[GREY],
            &[GREY, GREY, GREY, GREY, GREY, SMALL],
        )
        .holds("/input", json!([32, 32, 3]))
        .holds("/colour", 1),
        looks("large and grey", &[LARGE_GREY], &[LARGE_GREY]).holds("/input", json!([32, 32, 1])),
        row("colour in the test part alone", |root| {
            for (part, look, count) in [("train", GREY, 6), ("test", SMALL, 2)] {
                for (name, bar) in [("cat", CAT), ("dog", DOG)] {
                    files(&root.join("d").join(part).join(name), count, "png", |i| {
                        encoded(bar, i, look, ImageFormat::Png)
                    });
                }
            }
        })
        .reads("cat 6/0/2, dog 6/0/2")
        .holds("/input", json!([32, 32, 3]))
        .holds("/colour", 4),
    ]
}

/// Pictures that cannot be read.
fn unreadable() -> Vec<Row> {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    vec![
        with("one picture that is none", "cat/broken.png", || {
            b"not a picture".into()
        })
        .reads(BOTH)
        .fails(&["broken.png"]),
        with("one PNG that is cut", "cat/broken.png", move || {
            cut(png(CAT, 9))
        })
        .with(&[&[]])
        .fails(&["broken.png"]),
        with("one JPEG that is cut", "dog/broken.jpg", move || {
            cut(jpeg(DOG, 9))
        })
        .with(&[&[]])
        .fails(&["broken.jpg"]),
        with("one picture of no bytes", "cat/broken.jpg", Vec::new)
            .reads(BOTH)
            .fails(&["broken.jpg"]),
        with("one web page called jpg", "cat/broken.jpg", || {
            b"<!DOCTYPE html><html>".into()
        })
        .reads(BOTH)
        .fails(&["broken.jpg"]),
        with("one HEIC", "cat/phone.heic", || ftyp("heic"))
            .reads(BOTH)
            .fails(&["phone.heic", "HEIC"]),
        with("one AVIF", "cat/web.avif", || ftyp("avif"))
            .reads(BOTH)
            .fails(&["web.avif", "AVIF"]),
        with("one HEIC called jpg", "cat/phone.jpg", || ftyp("heic"))
            .reads(BOTH)
            .fails(&["phone.jpg", "HEIC"]),
        with("one JPEG XL", "cat/new.jxl", || {
            b"\xff\x0a\xfa\x1f\x01\0".into()
        })
        .reads(BOTH)
        .fails(&["new.jxl", "JPEG XL"]),
        with("one film", "cat/film.mp4", || ftyp("isom"))
            .reads(BOTH)
            .leaves_out(1, &[]),
        with("one text", "cat/notes.txt", || b"a text".into())
            .reads(BOTH)
            .leaves_out(1, &[]),
        third("a class of HEIC", "heic", |_| ftyp("heic")).refused(&["owl", "HEIC"]),
        third("a class of AVIF", "avif", |_| ftyp("avif")).refused(&["owl", "AVIF"]),
        third("a class of damaged pictures", "png", |_| {
            b"not a picture".into()
        })
        .refused(&["owl"]),
        third("a class of texts", "txt", |_| b"a text".into()).refused(&["owl"]),
        third("a class of drawings", "svg", |_| {
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".into()
        })
        .refused(&["owl", "SVG"]),
        third("a class of camera files", "cr2", |_| {
            b"II*\0\x10\0\0\0CR\x02\0".into()
        })
        .refused(&["owl"]),
        row("a class of damaged pictures in the test part", |root| {
            classes(&root.join("d/train"), &["cat", "dog"], 6);
            class(&root.join("d/test/cat"), CAT, 2);
            files(&root.join("d/test/dog"), 2, "png", |_| {
                b"not a picture".into()
            });
        })
        .with(&[&[]])
        .refused(&["dog"]),
    ]
}

/// Links, pipes, and folders that may not be read.
fn special() -> Vec<Row> {
    fn link(root: &Path, to: &Path, from: &str) {
        std::os::unix::fs::symlink(to, root.join("d").join(from)).unwrap();
    }
    vec![
        row("a link that leads nowhere", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            link(root, &root.join("gone.png"), "cat/dead.png");
        })
        .reads(BOTH)
        .fails(&["dead.png"]),
        row("a pipe", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            let pipe = root.join("d/cat/pipe.png");
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(pipe)
                    .status()
                    .unwrap()
                    .success()
            );
        })
        .reads(BOTH)
        .fails(&["pipe.png"]),
        row("a folder that links to itself", |root| {
            classes(&root.join("d"), &["cat", "dog"], 6);
            link(root, &root.join("d"), "cat/loop");
        })
        .reads(BOTH)
        .fails(&["loop"]),
        row("a class that is a link", |root| {
            class(&root.join("d/cat"), CAT, 6);
            class(&root.join("elsewhere"), DOG, 6);
            link(root, &root.join("elsewhere"), "dog");
        })
        .reads(BOTH),
        row("pictures that are links", |root| {
            classes(&root.join("pool"), &["cat", "dog"], 6);
            for name in ["cat", "dog"] {
                fs::create_dir_all(root.join("d").join(name)).unwrap();
                for i in 0..6 {
                    let picture = root.join("pool").join(format!("{name}/{i:03}.png"));
                    link(root, &picture, &format!("{name}/{i}.png"));
                }
            }
        })
        .reads(BOTH),
        row("a class that links to another", |root| {
            class(&root.join("d/cat"), CAT, 6);
            class(&root.join("d/dog"), DOG, 6);
            link(root, &root.join("d/dog"), "hound");
        })
        .bars(|name| Some(if name == "cat" { CAT } else { DOG }))
        .reads("cat 6/0/0, dog 6/0/0, hound 6/0/0"),
        row("an empty device", link_device).refused(&["it is empty; give a CSV file"]),
    ]
}

fn link_device(root: &Path) {
    std::os::unix::fs::symlink("/dev/null", root.join("d")).unwrap();
}

/// Pictures that Pillow, scikit-image and torchvision wrote.
pub(crate) fn by_libraries() -> Vec<Row> {
    let modes = "1 2/0/0, CMYK 2/0/0, I16 2/0/0, L 2/0/0, LA 2/0/0, P 2/0/0, RGB 2/0/0, RGBA 2/0/0, \
                 YCbCr 2/0/0";
    let any = |_: &str| Some(DOG);
    vec![
        written("TIFF of every mode of Pillow", "pictures/tiff")
            .bars(any)
            .reads(modes),
        written("TIFF of floats beyond 1", "pictures/floats")
            .with(&[&[]])
            .refused(&["floats", "scale them"]),
        written("TIFF packed in every way", "pictures/packed")
            .bars(any)
            .reads("deflate 2/0/0, jpeg 2/0/0, lzw 2/0/0, none 2/0/0, packbits 2/0/0"),
        written("bitmaps of every mode of Pillow", "pictures/bmp")
            .bars(any)
            .reads("1 2/0/0, L 2/0/0, P 2/0/0, RGB 2/0/0, RGBA 2/0/0"),
        written("GIF, still and moving", "pictures/gif")
            .bars(any)
            .reads("moving 2/0/0, still 2/0/0"),
        written("PNG of every mode of Pillow", "pictures/png")
            .bars(any)
            .reads("1 2/0/0, I16 2/0/0, L 2/0/0, LA 2/0/0, P 2/0/0, RGB 2/0/0, RGBA 2/0/0"),
        written("JPEG of every mode of Pillow", "pictures/jpeg")
            .bars(any)
            .reads("CMYK 2/0/0, L 2/0/0, RGB 2/0/0, progressive 2/0/0"),
        written("WebP, still, lossless and moving", "pictures/webp")
            .bars(any)
            .reads("lossless 2/0/0, lossy 2/0/0, moving 2/0/0"),
        written("portable maps of Pillow", "pictures/pnm")
            .bars(any)
            .reads("pbm 2/0/0, pgm 2/0/0, ppm 2/0/0"),
        written("HEIC and AVIF among others", "pictures/avif")
            .bars(any)
            .reads("cat 2/0/0, dog 2/0/0")
            .fails(&["AVIF"]),
        written("pictures that were turned", "pictures/turned")
            .bars(any)
            .reads("1 2/0/0, 3 2/0/0, 6 2/0/0, 8 2/0/0"),
        written(
            "TIFF of 16 bits and of floats by scikit-image",
            "pictures/skimage",
        )
        .bars(any)
        .reads("float 2/0/0, rgb 2/0/0, uint16 2/0/0, uint8 2/0/0"),
        written("PNG by torchvision", "pictures/torchvision").reads(BOTH),
    ]
}
