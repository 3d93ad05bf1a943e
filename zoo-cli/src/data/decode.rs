//! One image file to the pixels that a network takes.
//!
//! The content decides the format (png, jpg, webp, bmp, gif, tiff, pnm), not the file's name. An orientation in the
//! EXIF data is applied, palettes are looked up, and transparent pixels are laid over white. Of a film (gif, webp) the
//! first frame is taken, of a tiff of many pages the first page. 16 bits a channel are scaled to 8 and rounded, so
//! that 65535 is white (the Python imaging library cuts off at 255 instead); the rules for whole numbers and floats in
//! a tiff are those of `decode/tiff.rs`. An image above [`MAX_PIXELS`] or [`MAX_DECODED`] is refused before anything
//! is allocated for it.

use std::{
    fs::File,
    io::{Cursor, Read},
    panic::catch_unwind,
    path::Path,
};

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
    metadata::Orientation,
};
use models::preprocessor::Preprocessor;

use super::{DataError, channels, input, resize::resize, sniff::Kind};

mod header;
mod tiff;

use header::is_multi_frame;
pub(crate) use header::{Header, Look, checked, header, look, tiff_header};

/// The most pixels that an image may have: 100 million.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The most bytes that an image may decode to: 512 MiB.
pub const MAX_DECODED: u64 = 512 << 20;

/// The largest image file that is read: 256 MiB.
pub const MAX_FILE: u64 = 256 << 20;

/// The background of transparent pixels.
const WHITE: u32 = 255;

/// An image of 8 bits a channel.
pub(crate) struct Decoded {
    /// `[height, width, channels]`
    pub(crate) pixels: Vec<u8>,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
}

/// The error for an image that cannot be decoded. What a decoder says may take several lines and end with a full
/// stop; it becomes a clause on one line.
pub(crate) fn undecodable(path: &Path, problem: impl AsRef<str>) -> DataError {
    let parts = |c: char| c.is_control() || c.is_whitespace();
    let words = problem
        .as_ref()
        .split(parts)
        .filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    DataError::Decode {
        path: path.into(),
        problem: line.trim_end_matches('.').into(),
    }
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |reason| input::read_failed(path, reason);
    let mut file = File::open(path).map_err(failed)?;
    read_image_bytes(path, &mut file)
}

/// Reads a stream of at most [`MAX_FILE`] bytes.
pub(crate) fn read_image_bytes(path: &Path, reader: &mut dyn Read) -> Result<Vec<u8>, DataError> {
    let mut reader = reader;
    let bytes =
        input::read_up_to(&mut reader, MAX_FILE + 1).map_err(|e| input::read_failed(path, e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(DataError::TooLarge {
            path: path.into(),
            problem: format!(
                "image files of up to {} MiB are read; store it smaller",
                MAX_FILE >> 20
            ),
        });
    }
    Ok(bytes)
}

/// Whether a JPEG stream has its end marker. The decoder would fill what is missing with grey and say nothing.
/// Segments are stepped over by their length, because a thumbnail in one of them ends too; what follows the end,
/// as the film of a motion photo, does not matter.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(offset) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
    {
        at += offset + 1;
        at += match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            // Another fill byte.
            Some(0xff) => 0,
            // An escaped 0xff among the pixels, a restart, or another marker without a length.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => 1,
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(&[high, low]) => 1 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        };
    }
    false
}

/// Lays pixels of `CHANNELS` colours and one alpha over white.
fn composite<const STRIDE: usize>(pixels: &[u8]) -> Vec<u8> {
    let mut flat = Vec::with_capacity(pixels.len() / STRIDE * (STRIDE - 1));
    for pixel in pixels.as_chunks::<STRIDE>().0 {
        let alpha = u32::from(pixel[STRIDE - 1]);
        flat.extend(
            pixel[..STRIDE - 1].iter().map(|&value| {
                ((u32::from(value) * alpha + WHITE * (255 - alpha) + 127) / 255) as u8
            }),
        );
    }
    flat
}

/// The error for a file that is no image that is decoded.
pub(crate) fn no_image(path: &Path, kind: Kind) -> DataError {
    if kind == Kind::Empty {
        return DataError::NotRead {
            path: path.into(),
            problem: "it is empty; fetch the image again or remove it".into(),
        };
    }
    match kind.next_step() {
        Some(_) => DataError::NotRead {
            path: path.into(),
            problem: kind.refusal(),
        },
        None => undecodable(path, kind.refusal()),
    }
}

/// Decodes the bytes of an image; `path` is only named in errors.
///
/// # Errors
/// As [`preprocess_bytes`].
pub(crate) fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<Decoded, DataError> {
    // A decoder that panics at a damaged image costs this image, not the others.
    catch_unwind(|| decode_kind(path, bytes, Kind::of(bytes)))
        .unwrap_or_else(|_| Err(undecodable(path, "the decoder failed")))
}

fn decode_kind(path: &Path, bytes: &[u8], kind: Kind) -> Result<Decoded, DataError> {
    let format = match kind {
        Kind::Png => ImageFormat::Png,
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::WebP => ImageFormat::WebP,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Gif => ImageFormat::Gif,
        Kind::Pnm => ImageFormat::Pnm,
        Kind::Tiff => {
            let (decoded, orientation) = tiff::decode(path, bytes)?;
            return decoded.turned(path, orientation);
        }
        _ => return Err(no_image(path, kind)),
    };
    let failed = |error: ImageError| match error {
        ImageError::Limits(_) => too_large(path, "decoding it needs too much memory".into()),
        error => undecodable(path, error.to_string()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MAX_DECODED);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;

    let (width, height) = decoder.dimensions();
    check_size(path, u64::from(height), u64::from(width))?;
    if decoder.total_bytes() > MAX_DECODED {
        return Err(too_large(path, format!("it has {width}×{height} pixels")));
    }
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(undecodable(path, "it ends before the image does"));
    }
    // Looking for the orientation parses a JPEG's headers again: only where there can be one.
    let orientation = match format {
        ImageFormat::Jpeg if !bytes.windows(4).take(1 << 16).any(|four| four == b"Exif") => {
            Orientation::NoTransforms
        }
        _ => decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);

    let (width, height) = (image.width() as usize, image.height() as usize);
    let (mut pixels, mut channels) = match image {
        DynamicImage::ImageLuma8(grey) => (grey.into_raw(), 1),
        DynamicImage::ImageRgb8(colour) => (colour.into_raw(), 3),
        DynamicImage::ImageLuma16(_) => (image.into_luma8().into_raw(), 1),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => {
            (composite::<2>(image.into_luma_alpha8().as_raw()), 1)
        }
        DynamicImage::ImageRgba8(_) | DynamicImage::ImageRgba16(_) => {
            (composite::<4>(image.into_rgba8().as_raw()), 3)
        }
        other => (other.into_rgb8().into_raw(), 3),
    };
    // A palette of greys is decoded to RGB.
    let palettes = matches!(kind, Kind::Png | Kind::Bmp | Kind::Gif);
    if channels == 3
        && palettes
        && look(kind, bytes)
            .header()
            .is_some_and(|header| header.channels == 1)
    {
        pixels = pixels.into_iter().step_by(3).collect();
        channels = 1;
    }
    Ok(Decoded {
        pixels,
        height,
        width,
        channels,
    })
}

/// Refuses an image without pixels and one of more than [`MAX_PIXELS`].
fn check_size(path: &Path, height: u64, width: u64) -> Result<(), DataError> {
    if width == 0 || height == 0 {
        return Err(undecodable(path, "it has no pixels"));
    }
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(too_large(path, format!("it has {width}×{height} pixels")));
    }
    Ok(())
}

fn too_large(path: &Path, found: String) -> DataError {
    DataError::TooLarge {
        path: path.into(),
        problem: format!(
            "{found}, the limit is {} million pixels and {} MiB; make it smaller",
            MAX_PIXELS / 1_000_000,
            MAX_DECODED >> 20
        ),
    }
}

impl Decoded {
    /// These pixels turned and mirrored as an orientation says.
    fn turned(self, path: &Path, orientation: Orientation) -> Result<Self, DataError> {
        let (width, height) = (self.width as u32, self.height as u32);
        let image = match self.channels {
            1 => GrayImage::from_raw(width, height, self.pixels).map(DynamicImage::from),
            _ => RgbImage::from_raw(width, height, self.pixels).map(DynamicImage::from),
        };
        let mut image = image.ok_or_else(|| undecodable(path, "its pixels are incomplete"))?;
        image.apply_orientation(orientation);
        Ok(Self {
            height: image.height() as usize,
            width: image.width() as usize,
            channels: self.channels,
            pixels: image.into_bytes(),
        })
    }

    /// These pixels at the size and with the channels of a network's input.
    pub(crate) fn fit(self, path: &Path, to: &Preprocessor) -> Result<Vec<u8>, DataError> {
        if to.channels != 1 && to.channels != 3 {
            return Err(undecodable(
                path,
                format!(
                    "the model takes {} channels, an image has 1 or 3",
                    to.channels
                ),
            ));
        }
        let pixels = if (self.height, self.width) == (to.height, to.width) {
            self.pixels
        } else {
            resize(&self.pixels, self.height, self.width, self.channels, to)
        };
        Ok(channels::convert(pixels, self.channels, to.channels))
    }
}

/// Decodes the bytes of an image into `[to.height, to.width, to.channels]` bytes, resized and cropped as `to`
/// says; `path` is only named in errors. Grey becomes RGB by repetition, RGB becomes grey by its BT.601 luma.
///
/// # Errors
/// [`DataError::Decode`], [`DataError::NotRead`] or [`DataError::TooLarge`].
pub fn preprocess_bytes(
    path: &Path,
    bytes: &[u8],
    to: &Preprocessor,
) -> Result<Vec<u8>, DataError> {
    decode_bytes(path, bytes)?.fit(path, to)
}

/// An image file at the input of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preprocessed {
    /// As [`preprocess_bytes`] gives them.
    pub pixels: Vec<u8>,
    /// Whether the file has more than one page or frame, of which these pixels are the first.
    pub multi_frame: bool,
}

/// As [`preprocess_bytes`], for a file.
///
/// # Errors
/// Also [`DataError::Missing`] and [`DataError::Read`].
pub fn preprocess(path: &Path, to: &Preprocessor) -> Result<Preprocessed, DataError> {
    let bytes = read_file(path)?;
    Ok(Preprocessed {
        pixels: preprocess_bytes(path, &bytes, to)?,
        multi_frame: is_multi_frame(&bytes),
    })
}

#[cfg(test)]
mod tests;
