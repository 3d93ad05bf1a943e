//! TIFF images to bytes.
//!
//! Palettes are looked up, CMYK and YCbCr become RGB, and planes are interleaved. Unsigned samples of up to 16 bits
//! are scaled to 8. Wider and signed integers state no range: they are taken as they are where all lie in 0..=255,
//! and refused otherwise. Floats are taken as 0..=1, as scikit-image has them, and refused otherwise. Only the first
//! page is read.

use std::{
    borrow::Cow,
    io::{Cursor, Read, Seek},
    path::Path,
};

use image::metadata::Orientation;
use tiff::{
    ColorType, TiffError,
    decoder::{Decoder, DecodingResult, Limits},
    tags::{ByteOrder, Tag},
};

use super::{
    Decoded, Header, Look, MAX_DECODED, check_size, composite, header::oriented, undecodable,
};
use crate::data::DataError;

/// The tag whose value says what samples mean, and two of its values.
const PHOTOMETRIC: u16 = 262;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;

/// The value of ExtraSamples for colours that are already multiplied by their alpha.
const ASSOCIATED_ALPHA: u16 = 1;

fn described(error: TiffError) -> String {
    error.to_string().trim_end_matches('.').into()
}

fn photometric<R: Read + Seek>(decoder: &mut Decoder<R>) -> u16 {
    let value = decoder.find_tag_unsigned(Tag::PhotometricInterpretation);
    value.ok().flatten().unwrap_or(BLACK_IS_ZERO)
}

fn orientation<R: Read + Seek>(decoder: &mut Decoder<R>) -> Orientation {
    let value = decoder.find_tag_unsigned(Tag::Orientation).ok().flatten();
    value
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// The palette's colours, 8 bits a channel.
fn palette<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<Vec<[u8; 3]>, String> {
    let map = decoder
        .get_tag_u16_vec(Tag::ColorMap)
        .map_err(|_| "its palette is missing")?;
    let entries = map.len() / 3;
    let byte = |at: usize| (map[at] >> 8) as u8;
    Ok((0..entries)
        .map(|i| [byte(i), byte(entries + i), byte(2 * entries + i)])
        .collect())
}

/// Whether a page follows that is neither a smaller copy of the first nor its mask.
///
/// # Errors
/// When that cannot be read.
fn has_further_page<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<bool, TiffError> {
    const NO_PAGE: u32 = 0b101;
    while decoder.more_images() {
        decoder.next_image()?;
        let kind: Option<u32> = decoder.find_tag_unsigned(Tag::NewSubfileType)?;
        if kind.unwrap_or_default() & NO_PAGE == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The size and channels of the first page, and whether others follow.
///
/// # Errors
/// One clause on what is wrong with the first page.
pub(super) fn header(reader: impl Read + Seek) -> Result<Look, String> {
    let mut decoder = Decoder::new(reader).map_err(described)?;
    let (width, height) = decoder.dimensions().map_err(described)?;
    let channels = match photometric(&mut decoder) {
        0 | 1 => 1,
        PALETTE => {
            let grey = |colour: &[u8; 3]| colour[0] == colour[1] && colour[1] == colour[2];
            if palette(&mut decoder)?.iter().all(grey) {
                1
            } else {
                3
            }
        }
        _ => 3,
    };
    let by = orientation(&mut decoder);
    let header = oriented(height as usize, width as usize, channels, by);
    let found = |multi_frame| Header {
        multi_frame,
        ..header
    };
    Ok(match has_further_page(&mut decoder) {
        Ok(further) => Look::Found(found(further)),
        // It is announced, and may stand behind what is there to be read.
        Err(_) => Look::Perhaps(found(true)),
    })
}

/// The file with the first page's samples declared to be grey, so that those of a palette can be read as numbers.
fn as_grey(bytes: &[u8], order: ByteOrder) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let number = |bytes: &[u8], at: usize, size: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(size)?)?;
        let join = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        Some(match order {
            ByteOrder::LittleEndian => field.iter().rev().fold(0, join),
            ByteOrder::BigEndian => field.iter().fold(0, join),
        })
    };
    let big = number(&bytes, 2, 2)? == 43;
    let (count_size, entry_size) = if big { (8, 20) } else { (2, 12) };
    let start = if big {
        number(&bytes, 8, 8)?
    } else {
        number(&bytes, 4, 4)?
    };
    let count = number(&bytes, start, count_size)?.min(usize::from(u16::MAX));
    for i in 0..count {
        let entry = start + count_size + i * entry_size;
        if number(&bytes, entry, 2)? == usize::from(PHOTOMETRIC) {
            let value = entry + if big { 12 } else { 8 };
            let grey = match order {
                ByteOrder::LittleEndian => BLACK_IS_ZERO.to_le_bytes(),
                ByteOrder::BigEndian => BLACK_IS_ZERO.to_be_bytes(),
            };
            bytes.get_mut(value..value + 2)?.copy_from_slice(&grey);
            return Some(bytes);
        }
    }
    None
}

fn integers<T: Copy + Ord + Into<i128>>(values: &[T]) -> Result<Vec<u8>, String> {
    let range = |v: Option<T>| v.map_or(0, Into::into);
    let (low, high) = (
        range(values.iter().copied().min()),
        range(values.iter().copied().max()),
    );
    if low < 0 || high > 255 {
        return Err(format!(
            "its whole numbers run from {low} to {high}, and which are black and white is not said; save it with 8 bits, or with 16 bits without a sign"
        ));
    }
    Ok(values.iter().map(|&v| v.into() as u8).collect())
}

fn floats(values: impl Iterator<Item = f64> + Clone) -> Result<Vec<u8>, String> {
    let (mut low, mut high, mut finite) = (f64::INFINITY, f64::NEG_INFINITY, true);
    for value in values.clone() {
        low = low.min(value);
        high = high.max(value);
        finite &= value.is_finite();
    }
    if !finite {
        return Err("it has values that are not numbers; replace them".into());
    }
    if low < 0.0 || high > 1.0 {
        return Err(format!(
            "its floats run from {low} to {high}, not within 0 (black) to 1 (white); scale them"
        ));
    }
    Ok(values.map(|value| (value * 255.0).round() as u8).collect())
}

/// Samples of `bits` bits, of which `row` bytes make a line of `width` × `samples`, to bytes; numbers of a palette
/// are not scaled.
fn unpack(packed: &[u8], bits: u8, row: usize, line: usize, scaled: bool) -> Vec<u8> {
    let top = (1u16 << bits) - 1;
    let factor = if scaled { 255 / top } else { 1 };
    let one = |row: &[u8], i: usize| {
        let bit = i * usize::from(bits);
        let shift = 8 - usize::from(bits) - bit % 8;
        ((u16::from(row[bit / 8]) >> shift) & top) * factor
    };
    packed
        .chunks_exact(row)
        .flat_map(|row| (0..line).map(move |i| one(row, i) as u8))
        .collect()
}

/// Puts `[planes, pixels]` into the order `[pixels, planes]`.
fn interleave(planar: &[u8], planes: usize) -> Vec<u8> {
    let pixels = planar.len() / planes;
    (0..pixels)
        .flat_map(|i| (0..planes).map(move |plane| planar[plane * pixels + i]))
        .collect()
}

/// `a · b ÷ 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

fn cmyk(pixel: &[u8]) -> [u8; 3] {
    let light = 255 - pixel[3];
    [0, 1, 2].map(|i| product(255 - pixel[i], light))
}

/// BT.601 with all 256 levels, as in a JPEG.
fn ycbcr(pixel: &[u8]) -> [u8; 3] {
    let [y, cb, cr] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|value| value.round() as u8)
}

/// Decodes the first page.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<(Decoded, Orientation), DataError> {
    let failed = |problem: String| undecodable(path, problem);
    let refused = |error| failed(described(error));
    let mut decoder = Decoder::new(Cursor::new(Cow::Borrowed(bytes))).map_err(refused)?;
    let mut colours = None;
    if photometric(&mut decoder) == PALETTE {
        colours = Some(palette(&mut decoder).map_err(failed)?);
        let grey = as_grey(bytes, decoder.byte_order())
            .ok_or_else(|| failed("its directory is damaged".into()))?;
        decoder = Decoder::new(Cursor::new(Cow::Owned(grey))).map_err(refused)?;
    }
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODED as usize;
    limits.intermediate_buffer_size = MAX_DECODED as usize;
    limits.ifd_value_size = 64 << 20;
    let mut decoder = decoder.with_limits(limits);

    let (width, height) = decoder.dimensions().map_err(refused)?;
    check_size(path, u64::from(height), u64::from(width))?;
    let (width, height) = (width as usize, height as usize);
    let by = orientation(&mut decoder);
    let color = decoder.colortype().map_err(refused)?;
    let extra: Vec<u16> = decoder
        .find_tag_unsigned_vec(Tag::ExtraSamples)
        .ok()
        .flatten()
        .unwrap_or_default();
    let mut data = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut data).map_err(refused)?;
    if data.as_buffer(0).byte_len() < layout.complete_len {
        return Err(failed("decoding it needs too much memory".into()));
    }
    let bits = color.bit_depth();
    let samples = usize::from(color.num_samples());
    let mut values = match &data {
        DecodingResult::U8(values) if matches!(bits, 1 | 2 | 4) => {
            let row = layout.row_stride.map_or(1, |stride| stride.get());
            unpack(values, bits, row, width * samples, colours.is_none())
        }
        DecodingResult::U8(values) if bits == 8 => values.clone(),
        DecodingResult::U16(values) if bits == 16 && colours.is_none() => values
            .iter()
            .map(|&value| ((u32::from(value) + 128) / 257) as u8)
            .collect(),
        DecodingResult::U32(values) => integers(values).map_err(failed)?,
        DecodingResult::U64(values) => integers(values).map_err(failed)?,
        DecodingResult::I8(values) => integers(values).map_err(failed)?,
        DecodingResult::I16(values) => integers(values).map_err(failed)?,
        DecodingResult::I32(values) => integers(values).map_err(failed)?,
        DecodingResult::I64(values) => integers(values).map_err(failed)?,
        DecodingResult::F32(values) => {
            floats(values.iter().map(|&value| f64::from(value))).map_err(failed)?
        }
        DecodingResult::F64(values) => floats(values.iter().copied()).map_err(failed)?,
        _ => {
            return Err(failed(format!(
                "samples of {bits} bits are not read; save it with 8 or 16 bits"
            )));
        }
    };
    if layout.planes > 1 {
        values = interleave(&values, layout.planes);
    }
    let premultiplied = extra.first() == Some(&ASSOCIATED_ALPHA);
    let over_white = |values: &[u8], colours: usize| -> Vec<u8> {
        match (premultiplied, colours) {
            (true, _) => values
                .chunks_exact(colours + 1)
                .flat_map(|pixel| {
                    let rest = 255 - pixel[colours];
                    pixel[..colours].iter().map(move |v| v.saturating_add(rest))
                })
                .collect(),
            (false, 1) => composite::<2>(values),
            (false, _) => composite::<4>(values),
        }
    };
    let (pixels, channels): (Vec<u8>, usize) = match (color, colours) {
        (ColorType::Gray(_), Some(colours)) => {
            let grey = colours.iter().all(|c| c[0] == c[1] && c[1] == c[2]);
            let mut pixels = Vec::with_capacity(values.len() * 3);
            for &index in &values {
                let colour = colours.get(usize::from(index)).ok_or_else(|| {
                    failed(format!("it asks for colour {index} of {}", colours.len()))
                })?;
                pixels.extend_from_slice(&colour[..if grey { 1 } else { 3 }]);
            }
            (pixels, if grey { 1 } else { 3 })
        }
        (ColorType::Gray(_), None) => (values, 1),
        (ColorType::GrayA(_), None) => (over_white(&values, 1), 1),
        (ColorType::Multiband { num_samples: 2, .. }, None)
            if extra.len() == 1 && extra[0] != 0 =>
        {
            (over_white(&values, 1), 1)
        }
        (ColorType::RGB(_), None) => (values, 3),
        (ColorType::RGBA(_), None) => (over_white(&values, 3), 3),
        (ColorType::CMYK(_) | ColorType::CMYKA(_), None) => {
            (values.chunks_exact(samples).flat_map(cmyk).collect(), 3)
        }
        (ColorType::YCbCr(_), None) => (values.chunks_exact(3).flat_map(ycbcr).collect(), 3),
        _ => {
            return Err(failed(format!(
                "an image of {samples} bands is not read; save it as grey or RGB"
            )));
        }
    };
    if pixels.len() != height * width * channels {
        return Err(failed("its strips do not make the whole image".into()));
    }
    Ok((
        Decoded {
            pixels,
            height,
            width,
            channels,
        },
        by,
    ))
}
