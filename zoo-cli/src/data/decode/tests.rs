use std::fs;

use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, RgbaImage};
use models::preprocessor::{Interpolation, ResamplePrecision, ResizeRule};
use proptest::prelude::*;

use super::*;

fn to(side: usize, channels: usize) -> Preprocessor {
    Preprocessor {
        height: side,
        width: side,
        channels,
        mean: vec![0.0; channels],
        std: vec![1.0; channels],
        interpolation: Interpolation::Bilinear,
        resize: ResizeRule::Crop,
        precision: ResamplePrecision::Uint8,
    }
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn run(bytes: &[u8], to: &Preprocessor) -> Result<Vec<u8>, String> {
    preprocess_bytes(Path::new("photo.jpg"), bytes, to).map_err(|error| error.to_string())
}

fn photo() -> RgbImage {
    RgbImage::from_fn(40, 24, |x, y| Rgb([(x * 6) as u8, (y * 10) as u8, 90]))
}

#[test]
fn the_content_decides_the_format() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let pixels = run(&encode(photo(), format), &to(8, 3)).unwrap();
        assert_eq!(pixels.len(), 8 * 8 * 3);
        // The crop is 8 of 13 scaled columns, so that this pixel's centre is at x = 19.5, y = 13.
        let middle = &pixels[(4 * 8 + 4) * 3..][..3];
        for (found, expected) in middle.iter().zip([117u8, 130, 90]) {
            assert!(found.abs_diff(expected) < 8, "{format:?}: {middle:?}");
        }
    }
}

#[test]
fn every_kind_of_pixel_is_read() {
    let one = |image: DynamicImage| run(&encode(image, ImageFormat::Png), &to(1, 3)).unwrap();
    assert_eq!(one(GrayImage::from_pixel(1, 1, Luma([77])).into()), [77; 3]);
    assert_eq!(
        one(GrayAlphaImage::from_pixel(1, 1, image::LumaA([0, 51])).into()),
        [204; 3]
    );
    assert_eq!(
        one(RgbaImage::from_pixel(2, 2, image::Rgba([255, 0, 0, 128])).into()),
        [255, 127, 127]
    );
    let deep: ImageBuffer<Rgb<u16>, _> =
        ImageBuffer::from_pixel(1, 1, Rgb([65535u16, 257 * 100, 0]));
    assert_eq!(one(deep.into()), [255, 100, 0]);
    let deep: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(1, 1, Luma([257 * 9u16]));
    assert_eq!(one(deep.into()), [9; 3]);
    assert_eq!(
        run(
            &encode(
                RgbImage::from_pixel(1, 1, Rgb([255, 0, 0])),
                ImageFormat::Png
            ),
            &to(1, 1)
        ),
        Ok(vec![76])
    );
}

/// A 2×1 palette PNG whose second colour is half transparent, made by the Python imaging library:
/// `im = Image.new("P", (2, 1)); im.putpalette([10, 20, 30, 40, 50, 60]); im.putpixel((1, 0), 1);
/// im.save(f, "png", transparency=bytes([255, 128]))`
const PALETTE: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 2, 0, 0, 0, 1, 1, 3, 0,
    0, 0, 206, 236, 237, 201, 0, 0, 0, 6, 80, 76, 84, 69, 10, 20, 30, 40, 50, 60, 213, 27, 180,
    233, 0, 0, 0, 2, 116, 82, 78, 83, 255, 128, 8, 15, 179, 106, 0, 0, 0, 10, 73, 68, 65, 84, 120,
    156, 99, 112, 0, 0, 0, 66, 0, 65, 41, 55, 244, 239, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96,
    130,
];

#[test]
fn palettes_are_looked_up() {
    let to = Preprocessor {
        height: 1,
        width: 2,
        ..to(1, 3)
    };
    let half = |value: u32| ((value * 128 + 255 * 127 + 127) / 255) as u8;
    assert_eq!(
        run(PALETTE, &to),
        Ok(vec![10, 20, 30, half(40), half(50), half(60)])
    );
}

#[test]
fn the_orientation_is_applied() {
    // A JPEG of 16 × 8 pixels, dark on the left, with "rotate 90° clockwise" (6) in its EXIF data.
    let image = RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3]));
    let plain = encode(image, ImageFormat::Jpeg);
    let mut exif =
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut segment = vec![0xff, 0xe1];
    segment.extend((exif.len() as u16 + 2).to_be_bytes());
    segment.append(&mut exif);
    let turned = [&plain[..2], &segment, &plain[2..]].concat();
    let to = Preprocessor {
        height: 2,
        width: 1,
        ..to(1, 1)
    };
    let header = header(Path::new("x"), &turned).unwrap();
    assert_eq!((header.height, header.width), (16, 8));
    let pixels = run(&turned, &to).unwrap();
    assert!(pixels[0] < 60 && pixels[1] > 200, "{pixels:?}");
}

#[test]
fn one_pixel_is_an_image() {
    let bytes = encode(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])), ImageFormat::Png);
    assert_eq!(run(&bytes, &to(32, 3)).unwrap(), [1, 2, 3].repeat(32 * 32));
}

/// A PNG header that claims a size, with a valid checksum and no pixels.
fn claimed_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(GrayImage::new(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

#[test]
fn a_huge_image_is_refused_before_it_is_allocated() {
    for (width, height) in [(20_000, 20_000), (u32::MAX >> 1, 1), (1, 200_000_000)] {
        let error = run(&claimed_png(width, height), &to(32, 3)).unwrap_err();
        assert!(
            error.contains("photo.jpg") && error.contains("too large"),
            "{error}"
        );
        assert!(error.contains("100 million pixels"), "{error}");
    }
    let mut jpeg = encode(GrayImage::new(8, 8), ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    let error = run(&jpeg, &to(32, 3)).unwrap_err();
    assert!(error.contains("20000×20000"), "{error}");
}

#[test]
fn broken_files_are_named_with_the_next_step() {
    let whole = |format| encode(photo(), format);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let bytes = whole(format);
        for length in [12, bytes.len() / 2] {
            let error = run(&bytes[..length], &to(8, 3)).unwrap_err();
            assert!(
                error.starts_with("cannot decode `photo.jpg` ("),
                "{format:?} {length}: {error}"
            );
        }
    }
    assert_eq!(
        run(&[], &to(8, 3)).unwrap_err(),
        "`photo.jpg` is not read: it is empty; fetch the image again or remove it"
    );
    assert!(
        run(b"a text file, no more", &to(8, 3))
            .unwrap_err()
            .contains("png, jpg or webp")
    );
    assert_eq!(
        run(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", &to(8, 3)).unwrap_err(),
        "`photo.jpg` is not read: it is a HEIC image; convert it to png or jpg"
    );
    assert!(
        run(&whole(ImageFormat::Png), &to(8, 4))
            .unwrap_err()
            .contains("4 channels")
    );
    let directory = tempfile::tempdir().unwrap();
    let missing = preprocess(&directory.path().join("no.png"), &to(8, 3)).unwrap_err();
    assert!(missing.to_string().contains("no.png` does not exist"));
    let path = directory.path().join("really-a-png.webp");
    fs::write(&path, whole(ImageFormat::Png)).unwrap();
    let read = preprocess(&path, &to(8, 3)).unwrap();
    assert_eq!((read.pixels.len(), read.multi_frame), (192, false));
}

#[test]
fn what_a_decoder_says_is_put_on_one_line() {
    let error = undecodable(Path::new("a.jpg"), "expected 162\r\n\tbut found 17.\n");
    assert_eq!(
        error.to_string(),
        "cannot decode `a.jpg` (expected 162 but found 17); replace it by a png, jpg or webp image"
    );
    // Cut off at any place, a JPEG is told of in one line.
    let bytes = encode(photo(), ImageFormat::Jpeg);
    for length in 3..bytes.len() {
        let mut cut = bytes[..length].to_vec();
        // With an end, so that the decoder itself looks at it.
        cut.extend([0xff, 0xd9]);
        if let Err(error) = run(&cut, &to(8, 3)) {
            assert_eq!(error.lines().count(), 1, "{length}: {error}");
        }
    }
}

#[test]
fn a_truncated_photo_with_a_thumbnail_is_noticed() {
    let thumbnail = encode(GrayImage::new(8, 8), ImageFormat::Jpeg);
    let mut segment = vec![0xff, 0xe2];
    segment.extend((thumbnail.len() as u16 + 2).to_be_bytes());
    segment.extend(thumbnail);
    let plain = encode(photo(), ImageFormat::Jpeg);
    let whole = [&plain[..2], &segment, &plain[2..]].concat();
    assert!(run(&whole, &to(8, 3)).is_ok());
    // A film behind the photo, with bytes that look like the start of a scan.
    assert!(run(&[whole.as_slice(), &[0xff, 0xda, 7, 7]].concat(), &to(8, 3)).is_ok());
    for missing in [1, 2, 20] {
        assert!(run(&whole[..whole.len() - missing], &to(8, 3)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_images_never_panic(which in 0usize..30, at in 0usize..2000, byte: u8, cut in 0usize..2000) {
        let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
        let mut bytes = match formats.get(which) {
            Some(format) => encode(photo(), *format),
            None => WRITTEN[(which - formats.len()) % WRITTEN.len()].0.to_vec(),
        };
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = run(&bytes, &to(4, 3));
        let _ = header(Path::new("x"), &bytes);
        bytes.truncate(cut % length);
        let _ = header(Path::new("x"), &bytes);
        let _ = run(&bytes, &to(4, 3));
    }
}

type Written = (&'static [u8], usize, &'static [u8]);

/// 3 × 2 images, written by the Python imaging library: the file, its channels, its pixels as that library reads them
/// (floats times 255, 16 bits divided by 257).
const WRITTEN: &[Written] = &[
    (
        include_bytes!("fixtures/bmp-grey"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/bmp-colour"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/gif-grey"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/gif-colour"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/pgm"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/ppm"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (include_bytes!("fixtures/pbm"), 1, &[0, 0, 255, 255, 0, 255]),
    (
        include_bytes!("fixtures/plain-pgm"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/pgm-of-15-levels"),
        1,
        &[0, 51, 255, 17, 34, 85],
    ),
    (
        include_bytes!("fixtures/pam"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-grey"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/tiff-colour-lzw"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-colour-deflate"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-16-bits"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/tiff-palette"),
        3,
        &[
            0, 255, 0, 51, 204, 25, 255, 0, 127, 128, 127, 64, 7, 248, 3, 200, 55, 100,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-CMYK"),
        3,
        &[
            255, 0, 255, 194, 49, 219, 0, 192, 96, 111, 112, 167, 247, 7, 251, 44, 161, 125,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-YCbCr"),
        3,
        &[
            0, 254, 0, 50, 203, 23, 254, 0, 125, 127, 127, 63, 6, 248, 2, 198, 55, 99,
        ],
    ),
    (
        include_bytes!("fixtures/tiff-floats"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/tiff-int32"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
    (
        include_bytes!("fixtures/tiff-1-bit"),
        1,
        &[0, 0, 255, 255, 0, 255],
    ),
    (
        include_bytes!("fixtures/tiff-alpha"),
        3,
        &[
            255, 255, 255, 51, 204, 25, 255, 127, 191, 128, 127, 64, 255, 255, 255, 241, 205, 216,
        ],
    ),
    (
        include_bytes!("fixtures/png-grey-palette"),
        1,
        &[0, 51, 255, 128, 7, 200],
    ),
];

#[test]
fn what_is_written_elsewhere_is_read_and_its_header_agrees() {
    for (i, (bytes, channels, pixels)) in WRITTEN.iter().enumerate() {
        let path = Path::new("x");
        let decoded = decode_bytes(path, bytes).unwrap_or_else(|error| panic!("{i}: {error}"));
        assert_eq!(
            (decoded.height, decoded.width, decoded.channels),
            (2, 3, *channels),
            "{i}"
        );
        // Two libraries may round YCbCr differently.
        for (found, expected) in decoded.pixels.iter().zip(*pixels) {
            assert!(found.abs_diff(*expected) <= 1, "{i}: {:?}", decoded.pixels);
        }
        let expected = Header {
            height: 2,
            width: 3,
            channels: *channels,
            multi_frame: false,
        };
        assert_eq!(header(path, bytes).unwrap(), expected, "{i}");
        // Cut short it is an error, never a grey image.
        let short = &bytes[..bytes.len() / 2];
        assert!(decode_bytes(path, short).is_err(), "{i}");
    }
}

#[test]
fn numbers_without_a_range_are_refused() {
    let cases: [(&[u8], &str); 4] = [
        (include_bytes!("fixtures/negative.tiff"), "run from -1 to 0"),
        (
            include_bytes!("fixtures/above-255.tiff"),
            "run from 0 to 300",
        ),
        (include_bytes!("fixtures/above-1.tiff"), "run from 0 to 2"),
        (include_bytes!("fixtures/not-a-number.tiff"), "not numbers"),
    ];
    for (bytes, said) in cases {
        let error = run(bytes, &to(1, 1)).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn headers_agree_with_what_is_decoded() {
    let grey = GrayImage::from_fn(5, 4, |x, _| Luma([x as u8]));
    let images: [DynamicImage; 4] = [
        grey.clone().into(),
        photo().into(),
        GrayAlphaImage::from_pixel(5, 4, image::LumaA([0, 51])).into(),
        RgbaImage::from_pixel(2, 7, image::Rgba([255, 0, 0, 128])).into(),
    ];
    let path = Path::new("x");
    for image in images {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Gif,
        ] {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format takes every kind of pixel.
            if image.write_to(&mut bytes, format).is_err() {
                continue;
            }
            let bytes = bytes.into_inner();
            let decoded = decode_bytes(path, &bytes).unwrap();
            let expected = Header {
                height: decoded.height,
                width: decoded.width,
                channels: decoded.channels,
                multi_frame: false,
            };
            assert_eq!(header(path, &bytes).unwrap(), expected, "{format:?}");
        }
    }
}

/// A grey GIF of frames of one pixel, with a comment before each.
fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..frames {
        bytes.extend(b"\x21\xfe\x02,,\0");
        bytes.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    bytes.push(0x3b);
    bytes
}

/// A grey TIFF whose pages are of these kinds (`NewSubfileType`).
fn tiff_of(pages: &[u32]) -> Vec<u8> {
    let size = 2 + 7 * 12 + 4;
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for (page, &kind) in pages.iter().enumerate() {
        let end = 8 + size * pages.len() as u32;
        let next = 8 + size * (page as u32 + 1);
        bytes.extend(7u16.to_le_bytes());
        for (tag, value) in [
            (254, kind),
            (256, 1),
            (257, 1),
            (258, 8),
            (262, 1),
            (273, end),
            (279, 1),
        ] {
            bytes.extend(u16::to_le_bytes(tag));
            bytes.extend(b"\x04\0\x01\0\0\0");
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(if next < end { next } else { 0 }.to_le_bytes());
    }
    bytes.push(7);
    bytes
}

/// A PNG that announces so many frames.
fn png_of(frames: u32) -> Vec<u8> {
    let still = encode(GrayImage::new(1, 1), ImageFormat::Png);
    let mut chunk = b"acTL".to_vec();
    chunk.extend(frames.to_be_bytes());
    chunk.extend([0; 4]);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    let mut bytes = still[..33].to_vec();
    bytes.extend(8u32.to_be_bytes());
    bytes.extend(chunk);
    bytes.extend(sum.sum().to_be_bytes());
    bytes.extend(&still[33..]);
    bytes
}

#[test]
fn further_pages_and_frames_are_seen_by_the_header() {
    let still = |format| encode(photo(), format);
    let moving_webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0".to_vec();
    for (name, bytes, expected) in [
        ("one frame", gif(1), false),
        ("two frames", gif(2), true),
        ("no frame", gif(0), false),
        ("one page", tiff_of(&[0]), false),
        ("two pages", tiff_of(&[0, 0]), true),
        (
            "a page and its smaller copies and mask",
            tiff_of(&[0, 1, 5, 4]),
            false,
        ),
        (
            "a page, its smaller copy and a page",
            tiff_of(&[0, 1, 2]),
            true,
        ),
        ("a still of PNG", png_of(1), false),
        ("an animation of PNG", png_of(2), true),
        ("an animation of WebP", moving_webp, true),
        ("a still of WebP", still(ImageFormat::WebP), false),
        ("JPEG", still(ImageFormat::Jpeg), false),
    ] {
        let found = header(Path::new("x"), &bytes).unwrap();
        assert_eq!(found.multi_frame, expected, "{name}");
        assert_eq!(is_multi_frame(&bytes), expected, "{name}");
        // The first bytes alone never say that nothing follows.
        for end in 0..bytes.len() {
            let cut = look(Kind::of(&bytes), &bytes[..end]);
            if expected && let Look::Found(found) = cut {
                assert!(found.multi_frame, "{name} cut at {end}");
            }
        }
    }
    let cut = &gif(2)[..40];
    assert!(matches!(look(Kind::Gif, cut), Look::Perhaps(_)));
    assert!(!header(Path::new("x"), cut).unwrap().multi_frame);
}
