//! Pictures whose class can be read from them: noise with a bright bar, at another height for each class.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage};
use zoo::data::Images;

/// The classes that tests use: the bar of each lies at its place.
pub const NAMES: [&str; 10] = [
    "cat", "cow", "dog", "owl", "pig", "emu", "ant", "bee", "elk", "fox",
];
/// The place of a class.
pub const CAT: usize = 0;
/// The place of a class.
pub const COW: usize = 1;
/// The place of a class.
pub const DOG: usize = 2;
/// The place of a class.
pub const OWL: usize = 3;

/// How a picture is made.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether it has no colour.
    pub grey: bool,
}

/// Small and in colour.
pub const SMALL: Look = Look {
    width: 32,
    height: 32,
    grey: false,
};

/// Small and grey.
pub const GREY: Look = Look {
    grey: true,
    ..SMALL
};

/// Picture `i` of the class whose bar lies at `bar`.
pub fn picture(bar: usize, i: usize, look: Look) -> DynamicImage {
    let mut state = (97 * i + bar + 1) as u32;
    let image = RgbImage::from_fn(look.width, look.height, |_, y| {
        let lit = y as usize * 10 / look.height as usize == bar;
        let mut value = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as u8 + if lit { 150 } else { 0 }
        };
        Rgb([value(), value(), value() / 2])
    });
    match look.grey {
        true => DynamicImage::from(DynamicImage::from(image).to_luma8()),
        false => DynamicImage::from(image),
    }
}

/// Where the bar of an image lies.
pub fn bar_of(images: &Images, i: usize) -> usize {
    let pixels = images.image(i);
    let row = images.width * images.channels;
    let brightness = |bar: usize| {
        let rows = (0..images.height).filter(|y| y * 10 / images.height == bar);
        let (sum, count) = rows.fold((0u64, 0), |(sum, count), y| {
            let line = &pixels[y * row..(y + 1) * row];
            (
                sum + line.iter().map(|&value| u64::from(value)).sum::<u64>(),
                count + 1,
            )
        });
        sum / count.max(1)
    };
    (0..10)
        .max_by_key(|&bar| brightness(bar))
        .unwrap_or_default()
}

/// A picture as a file of some format.
pub fn encoded(bar: usize, i: usize, look: Look, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = picture(bar, i, look);
    picture
        .write_to(&mut bytes, format)
        .expect("it fits the format");
    bytes.into_inner()
}

/// A small picture as PNG.
pub fn png(bar: usize, i: usize) -> Vec<u8> {
    encoded(bar, i, SMALL, ImageFormat::Png)
}

/// A small picture as a Windows bitmap, its rows from the bottom up.
pub fn bmp(bar: usize, i: usize) -> Vec<u8> {
    let image = picture(bar, i, SMALL).to_rgb8();
    let size = 3 * image.width() * image.height();
    let mut bytes = b"BM".to_vec();
    for field in [54 + size, 0, 54, 40, image.width(), image.height()] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for field in [0, size, 2835, 2835, 0, 0] {
        bytes.extend(u32::to_le_bytes(field));
    }
    for row in image.rows().rev() {
        row.for_each(|pixel| bytes.extend(pixel.0.iter().rev()));
    }
    bytes
}

/// A small picture as uncompressed TIFF of one strip.
pub fn tiff(bar: usize, i: usize) -> Vec<u8> {
    let image = picture(bar, i, SMALL).to_rgb8();
    let (width, height) = image.dimensions();
    let strip = 3 * width * height;
    let entries = [
        (256u16, 4u16, 1u32, width),
        (257, 4, 1, height),
        // Three counts of bits behind the directory.
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, strip),
    ];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 8, 0, 8, 0]);
    bytes.extend(image.as_raw());
    bytes
}

/// A TIFF of two pages: a small picture, and another of its size behind it.
pub fn tiff_of_two_pages(first: usize, second: usize) -> Vec<u8> {
    let (mut bytes, more) = (tiff(first, 0), tiff(second, 0));
    let (directory, end) = (8, bytes.len() as u32);
    // Where the offset of the next page stands behind the nine entries.
    let next = directory + 2 + 9 * 12;
    bytes[next..next + 4].copy_from_slice(&(end + 8).to_le_bytes());
    bytes.extend(more);
    // The three counts of bits and the strip have moved, in the third and the sixth entry.
    for entry in [2, 5] {
        let value = end as usize + directory + 2 + entry * 12 + 8;
        let field = bytes[value..].first_chunk::<4>().expect("it is whole");
        let moved = u32::from_le_bytes(*field) + end;
        bytes[value..value + 4].copy_from_slice(&moved.to_le_bytes());
    }
    bytes
}

/// A GIF of two frames, each a small picture.
pub fn gif_of_two_frames(first: usize, second: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let frame = |bar| Frame::new(picture(bar, 0, SMALL).to_rgba8());
    let frames = [frame(first), frame(second)];
    encoder.encode_frames(frames).expect("it fits the format");
    drop(encoder);
    bytes
}

/// A PNG that announces two frames, of which the first is a small picture.
pub fn png_of_two_frames(bar: usize) -> Vec<u8> {
    let still = png(bar, 0);
    let chunk = b"acTL\0\0\0\x02\0\0\0\0";
    let mut sum = flate2::Crc::new();
    sum.update(chunk);
    let sum = sum.sum().to_be_bytes();
    // Behind the mark and the header.
    let (head, rest) = still.split_at(33);
    [head, &8u32.to_be_bytes(), chunk, &sum, rest].concat()
}

/// A WebP of two frames, each a small picture.
pub fn webp_of_two_frames(first: usize, second: usize) -> Vec<u8> {
    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = (content.len() as u32).to_le_bytes();
        let even = &[0][..content.len() % 2];
        [name, &size, content, even].concat()
    }
    let side = [SMALL.width as u8 - 1, 0, 0, SMALL.height as u8 - 1, 0, 0];
    let frame = |bar| {
        let still = encoded(bar, 0, SMALL, ImageFormat::WebP);
        let place = [&[0; 6][..], &side, &[100, 0, 0, 0]].concat();
        chunk(b"ANMF", &[&place, &still[12..]].concat())
    };
    let content = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &[&[2, 0, 0, 0][..], &side].concat()),
        chunk(b"ANIM", &[0; 6]),
        frame(first),
        frame(second),
    ];
    chunk(b"RIFF", &content.concat())
}

/// A small picture as a binary portable pixmap.
pub fn ppm(bar: usize, i: usize) -> Vec<u8> {
    let image = picture(bar, i, SMALL).to_rgb8();
    let mut bytes = format!("P6\n{} {}\n255\n", image.width(), image.height()).into_bytes();
    bytes.extend(image.as_raw());
    bytes
}

/// Writes a file and the folders above it.
pub fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it is writable");
    fs::write(path, bytes).expect("it is writable");
}

/// Writes `count` small PNG files of a class into a folder.
pub fn class(folder: &Path, bar: usize, count: usize) {
    files(folder, count, "png", |i| png(bar, i));
}

/// Writes `count` files with this ending into a folder.
pub fn files(folder: &Path, count: usize, ending: &str, bytes: impl Fn(usize) -> Vec<u8>) {
    for i in 0..count {
        let dot = if ending.is_empty() { "" } else { "." };
        put(&folder.join(format!("{i:03}{dot}{ending}")), bytes(i));
    }
}

/// Writes `count` pictures of each class below a folder.
pub fn classes(folder: &Path, names: &[&str], count: usize) {
    for name in names {
        let bar = NAMES.iter().position(|known| known == name);
        class(&folder.join(name), bar.expect("a known class"), count);
    }
}
