//! The size and the channels of an image from its first bytes, without its pixels.

use std::{
    io::{Cursor, Read, Seek},
    path::Path,
};

use image::metadata::Orientation;

use super::{check_size, tiff, undecodable};
use crate::data::{DataError, sniff::Kind};

/// What an image will decode to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Rows, once the EXIF orientation is applied.
    pub(crate) height: usize,
    /// Columns, once the EXIF orientation is applied.
    pub(crate) width: usize,
    /// 1 for grey, 3 for colour; alpha does not count, and a palette of greys is grey.
    pub(crate) channels: usize,
    /// Whether further pages or frames follow the first, which alone is decoded.
    pub(crate) multi_frame: bool,
}

/// What a part of a file tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Found(Header),
    /// All but whether a further page or frame follows, which is told behind these bytes.
    Perhaps(Header),
    /// The header goes on behind these bytes.
    More,
    Broken(String),
}

impl Look {
    /// The header, as far as it is known.
    pub(crate) fn header(self) -> Option<Header> {
        match self {
            Self::Found(header) | Self::Perhaps(header) => Some(header),
            Self::More | Self::Broken(_) => None,
        }
    }
}

/// A place in the bytes; reading behind their end gives nothing.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn be16(&self, at: usize) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes(self.array(at)?)))
    }

    fn le16(&self, at: usize) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(self.array(at)?)))
    }

    fn le24(&self, at: usize) -> Option<usize> {
        let [a, b, c] = self.array(at)?;
        Some(u32::from_le_bytes([a, b, c, 0]) as usize)
    }

    fn be32(&self, at: usize) -> Option<usize> {
        Some(u32::from_be_bytes(self.array(at)?) as usize)
    }

    fn le32(&self, at: usize) -> Option<usize> {
        Some(u32::from_le_bytes(self.array(at)?) as usize)
    }
}

/// The header of an image by its first bytes, or by all of them.
///
/// # Errors
/// What is no image that is decoded, an image above the limits, and bytes that end within the header.
pub(crate) fn header(path: &Path, bytes: &[u8]) -> Result<Header, DataError> {
    let kind = Kind::of(bytes);
    match look(kind, bytes) {
        _ if !kind.is_decoded() => Err(super::no_image(path, kind)),
        Look::Found(header) | Look::Perhaps(header) => checked(path, header),
        Look::More => Err(undecodable(path, "it ends within its header")),
        Look::Broken(problem) => Err(undecodable(path, problem)),
    }
}

/// The header, if the image is neither empty nor above the limits.
pub(crate) fn checked(path: &Path, header: Header) -> Result<Header, DataError> {
    check_size(path, header.height as u64, header.width as u64)?;
    Ok(header)
}

/// What the first bytes of an image of this kind tell.
pub(crate) fn look(kind: Kind, bytes: &[u8]) -> Look {
    let bytes = Bytes(bytes);
    let found = match kind {
        Kind::Png => png(&bytes),
        Kind::Jpeg => jpeg(&bytes),
        Kind::WebP => webp(&bytes),
        Kind::Bmp => bmp(&bytes),
        Kind::Gif => return gif(&bytes).unwrap_or(Look::More),
        Kind::Pnm => return pnm(bytes.0),
        // Its directory may stand anywhere.
        Kind::Tiff => {
            return match tiff_header(Cursor::new(bytes.0)) {
                Look::Broken(_) => Look::More,
                look => look,
            };
        }
        _ => return Look::Broken(format!("it is {}", kind.name())),
    };
    found.map_or(Look::More, Look::Found)
}

/// Whether an image has further pages or frames besides the one that is decoded.
pub(super) fn is_multi_frame(bytes: &[u8]) -> bool {
    let header = look(Kind::of(bytes), bytes).header();
    header.is_some_and(|header| header.multi_frame)
}

/// What a TIFF tells that can be read in any order.
pub(crate) fn tiff_header(reader: impl Read + Seek) -> Look {
    tiff::header(reader).unwrap_or_else(Look::Broken)
}

pub(super) fn oriented(height: usize, width: usize, channels: usize, by: Orientation) -> Header {
    let turned = matches!(
        by,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (height, width) = if turned {
        (width, height)
    } else {
        (height, width)
    };
    Header {
        height,
        width,
        channels,
        multi_frame: false,
    }
}

fn exif_orientation(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// Whether a palette of entries of `size` bytes, three of them colours, has greys only.
fn is_grey(palette: &[u8], size: usize) -> bool {
    palette
        .chunks_exact(size)
        .all(|colour| colour[0] == colour[1] && colour[1] == colour[2])
}

fn png(bytes: &Bytes<'_>) -> Option<Header> {
    let (width, height) = (bytes.be32(16)?, bytes.be32(20)?);
    let mut channels = match bytes.array::<1>(25)? {
        [0 | 4] => 1,
        _ => 3,
    };
    let mut orientation = Orientation::NoTransforms;
    let mut frames = 1;
    let mut at = 33;
    loop {
        let (length, name) = (bytes.be32(at)?, bytes.array::<4>(at + 4)?);
        let end = (at + 8).checked_add(length)?;
        match &name {
            b"IDAT" => break,
            b"PLTE" if bytes.array(25) == Some([3]) && is_grey(bytes.0.get(at + 8..end)?, 3) => {
                channels = 1;
            }
            b"acTL" => frames = bytes.be32(at + 8)?,
            b"eXIf" => orientation = exif_orientation(bytes.0.get(at + 8..end)?),
            _ => {}
        }
        at = end.checked_add(4)?;
    }
    Some(Header {
        multi_frame: frames > 1,
        ..oriented(height, width, channels, orientation)
    })
}

fn jpeg(bytes: &Bytes<'_>) -> Option<Header> {
    let mut orientation = None;
    let mut at = 2;
    loop {
        at += bytes.0.get(at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        let [marker] = bytes.array(at)?;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 | 0xff => continue,
            // The frame; the other three of these are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let (height, width) = (bytes.be16(at + 4)?, bytes.be16(at + 6)?);
                let channels = if bytes.array(at + 8)? == [1] { 1 } else { 3 };
                let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                return Some(oriented(height, width, channels, orientation));
            }
            _ => {
                let length = bytes.be16(at + 1)?;
                if marker == 0xe1 && orientation.is_none() {
                    let segment = bytes.0.get(at + 3..at + 1 + length.max(2))?;
                    if segment.starts_with(b"Exif\0\0") {
                        orientation = Some(exif_orientation(segment));
                    }
                }
                at += 1 + length.max(2);
            }
        }
    }
}

fn webp(bytes: &Bytes<'_>) -> Option<Header> {
    let mut multi_frame = false;
    let (width, height, orientation) = match &bytes.array::<4>(12)? {
        b"VP8L" => {
            let bits = bytes.le32(21)?;
            let (width, height) = ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1);
            (width, height, Orientation::NoTransforms)
        }
        b"VP8X" => {
            let (width, height) = (bytes.le24(24)? + 1, bytes.le24(27)? + 1);
            let [flags] = bytes.array(20)?;
            // Those who write an animation of one frame write it as a still.
            multi_frame = flags & 0x02 != 0;
            let mut orientation = Orientation::NoTransforms;
            let mut at = 30;
            let has_exif = flags & 0x08 != 0;
            while has_exif && bytes.array::<4>(at)? != *b"EXIF" {
                let length = bytes.le32(at + 4)?;
                at += 8 + length + length % 2;
            }
            if has_exif {
                let length = bytes.le32(at + 4)?;
                orientation = exif_orientation(bytes.0.get(at + 8..at + 8 + length)?);
            }
            (width, height, orientation)
        }
        _ => {
            let (width, height) = (bytes.le16(26)? & 0x3fff, bytes.le16(28)? & 0x3fff);
            (width, height, Orientation::NoTransforms)
        }
    };
    Some(Header {
        multi_frame,
        ..oriented(height, width, 3, orientation)
    })
}

fn bmp(bytes: &Bytes<'_>) -> Option<Header> {
    let size = bytes.le32(14)?;
    let core = size == 12;
    let (width, height, bits) = if core {
        (bytes.le16(18)?, bytes.le16(20)?, bytes.le16(24)?)
    } else {
        // A negative height means that the rows run from the top.
        let height = i32::from_le_bytes(bytes.array(22)?).unsigned_abs() as usize;
        (bytes.le32(18)?, height, bytes.le16(28)?)
    };
    let mut channels = 3;
    if (1..=8).contains(&bits) {
        let entry = if core { 3 } else { 4 };
        let used = if core { 0 } else { bytes.le32(46)? };
        let entries = if used == 0 { 1 << bits } else { used.min(256) };
        let start = 14 + size;
        if is_grey(bytes.0.get(start..start + entries * entry)?, entry) {
            channels = 1;
        }
    }
    Some(Header {
        height,
        width,
        channels,
        multi_frame: false,
    })
}

/// Where the blocks of data end that begin here in a GIF.
fn behind_blocks(bytes: &Bytes<'_>, mut at: usize) -> Option<usize> {
    loop {
        let [length] = bytes.array(at)?;
        at += 1 + usize::from(length);
        if length == 0 {
            return Some(at);
        }
    }
}

/// Where the next frame of a GIF begins, in or behind what stands here; nothing where none does.
fn next_frame(bytes: &Bytes<'_>, mut at: usize) -> Option<Option<usize>> {
    loop {
        match bytes.array(at)? {
            [0x21] => at = behind_blocks(bytes, at + 2)?,
            [0x2c] => return Some(Some(at)),
            _ => return Some(None),
        }
    }
}

fn gif(bytes: &Bytes<'_>) -> Option<Look> {
    let (width, height) = (bytes.le16(6)?, bytes.le16(8)?);
    let [flags] = bytes.array(10)?;
    let mut at = 13;
    let palette = |flags: u8, at: &mut usize| -> Option<Option<bool>> {
        if flags & 0x80 == 0 {
            return Some(None);
        }
        let start = *at;
        *at += 3 << ((flags & 7) + 1);
        Some(Some(is_grey(bytes.0.get(start..*at)?, 3)))
    };
    let mut grey = palette(flags, &mut at)?;
    let first = next_frame(bytes, at)?;
    if let Some(first) = first {
        // It may have a palette of its own.
        let [flags] = bytes.array(first + 9)?;
        at = first + 10;
        grey = palette(flags, &mut at)?.or(grey);
    }
    let header = Header {
        height,
        width,
        channels: if grey == Some(true) { 1 } else { 3 },
        multi_frame: false,
    };
    if first.is_none() {
        return Some(Look::Found(header));
    }
    // One byte stands before the pixels.
    let further = behind_blocks(bytes, at + 1).and_then(|at| next_frame(bytes, at));
    Some(further.map_or(Look::Perhaps(header), |further| {
        Look::Found(Header {
            multi_frame: further.is_some(),
            ..header
        })
    }))
}

fn pnm(bytes: &[u8]) -> Look {
    let variant = bytes.get(1).copied().unwrap_or_default();
    if variant == b'7' {
        return pam(bytes);
    }
    // Two numbers after the magic, among white space and comments, and something behind the second.
    let mut numbers = Vec::new();
    let mut rest = &bytes[2.min(bytes.len())..];
    while numbers.len() < 2 {
        rest = rest.trim_ascii_start();
        if rest.first() == Some(&b'#') {
            match rest.iter().position(|&byte| byte == b'\n') {
                Some(end) => rest = &rest[end..],
                None => return Look::More,
            }
            continue;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == rest.len() {
            return Look::More;
        }
        match std::str::from_utf8(&rest[..digits]).map(str::parse) {
            Ok(Ok(number)) => numbers.push(number),
            _ => return Look::Broken("its header states no size".into()),
        }
        rest = &rest[digits..];
    }
    Look::Found(Header {
        width: numbers[0],
        height: numbers[1],
        channels: if matches!(variant, b'3' | b'6') { 3 } else { 1 },
        multi_frame: false,
    })
}

fn pam(bytes: &[u8]) -> Look {
    let end = bytes.windows(6).position(|part| part == b"ENDHDR");
    let Some(end) = end else { return Look::More };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let value = |key: &str| {
        let lines = text.lines().map(str::trim);
        let found = lines.filter_map(|line| line.strip_prefix(key)).next();
        found.and_then(|value| value.trim().parse::<usize>().ok())
    };
    match (value("WIDTH"), value("HEIGHT"), value("DEPTH")) {
        (Some(width), Some(height), Some(depth)) => Look::Found(Header {
            height,
            width,
            channels: if depth < 3 { 1 } else { 3 },
            multi_frame: false,
        }),
        _ => Look::Broken("its header states no size".into()),
    }
}
