//! What a file is, by its first bytes; its name plays no part.

/// As many first bytes as [`Kind::of`] looks at.
pub(crate) const LOOKED_AT: usize = 512;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    // Images that are decoded.
    Png,
    Jpeg,
    WebP,
    Bmp,
    Gif,
    Tiff,
    Pnm,
    // Images that are not.
    Heic,
    Avif,
    Jxl,
    Jpeg2000,
    Svg,
    Psd,
    Exr,
    Hdr,
    Dds,
    Ico,
    Qoi,
    Dicom,
    RawPhoto,
    // Files of many examples.
    Idx,
    Parquet,
    Npy,
    Npz,
    Pickle,
    Torch,
    Hdf5,
    Mat,
    TfRecord,
    Arrow,
    Lmdb,
    Sqlite,
    // Archives and compressed files.
    Zip,
    Tar,
    Gzip,
    Xz,
    Bzip2,
    Zstd,
    SevenZip,
    Rar,
    // The rest.
    Pdf,
    Video,
    Html,
    Text,
    Empty,
    /// It could not be opened or read.
    Unreadable,
    Unknown,
}

/// The kinds with a fixed start.
const STARTS: &[(&[u8], Kind)] = &[
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"GIF87a", Kind::Gif),
    (b"GIF89a", Kind::Gif),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind::Jxl),
    (b"\xff\x0a", Kind::Jxl),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind::Jpeg2000),
    (b"\xff\x4f\xff\x51", Kind::Jpeg2000),
    (b"8BPS", Kind::Psd),
    (b"\x76\x2f\x31\x01", Kind::Exr),
    (b"#?RADIANCE", Kind::Hdr),
    (b"#?RGBE", Kind::Hdr),
    (b"DDS ", Kind::Dds),
    (b"qoif", Kind::Qoi),
    (b"FUJIFILMCCD-RAW", Kind::RawPhoto),
    (b"IIRO", Kind::RawPhoto),
    (b"IIU\0", Kind::RawPhoto),
    (b"PAR1", Kind::Parquet),
    (b"PARE", Kind::Parquet),
    (b"\x93NUMPY", Kind::Npy),
    (b"\x89HDF\r\n\x1a\n", Kind::Hdf5),
    (b"MATLAB 5.0 MAT-file", Kind::Mat),
    (b"MATLAB 7.3 MAT-file", Kind::Mat),
    (b"ARROW1", Kind::Arrow),
    (b"SQLite format 3\0", Kind::Sqlite),
    (b"\x1f\x8b", Kind::Gzip),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"Rar!\x1a\x07", Kind::Rar),
    (b"%PDF-", Kind::Pdf),
    (b"\x1a\x45\xdf\xa3", Kind::Video),
    (b"PK\x05\x06", Kind::Zip),
];

impl Kind {
    /// The kind of a file with these first bytes; give [`LOOKED_AT`] of them, or all.
    pub(crate) fn of(start: &[u8]) -> Self {
        if start.is_empty() {
            return Self::Empty;
        }
        if let Some((_, kind)) = STARTS.iter().find(|(magic, _)| start.starts_with(magic)) {
            return *kind;
        }
        structured(start).unwrap_or_else(|| text(start))
    }

    /// Whether [`super::decode`] reads it.
    pub(crate) fn is_decoded(self) -> bool {
        self <= Self::Pnm
    }

    /// Whether it is an image, decoded or not.
    pub(crate) fn is_image(self) -> bool {
        self <= Self::RawPhoto
    }

    /// Its name with an article, as in `a HEIC image`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Png => "a png image",
            Self::Jpeg => "a jpg image",
            Self::WebP => "a webp image",
            Self::Bmp => "a bmp image",
            Self::Gif => "a gif image",
            Self::Tiff => "a tiff image",
            Self::Pnm => "a pnm image",
            Self::Heic => "a HEIC image",
            Self::Avif => "an AVIF image",
            Self::Jxl => "a JPEG XL image",
            Self::Jpeg2000 => "a JPEG 2000 image",
            Self::Svg => "an SVG drawing",
            Self::Psd => "a Photoshop document",
            Self::Exr => "an OpenEXR image",
            Self::Hdr => "a Radiance HDR image",
            Self::Dds => "a DDS texture",
            Self::Ico => "an icon",
            Self::Qoi => "a QOI image",
            Self::Dicom => "a DICOM image",
            Self::RawPhoto => "a camera's raw photo",
            Self::Idx => "an IDX file",
            Self::Parquet => "a parquet file",
            Self::Npy => "a NumPy array (npy)",
            Self::Npz => "an archive of NumPy arrays (npz)",
            Self::Pickle => "a pickle of Python",
            Self::Torch => "a file of PyTorch",
            Self::Hdf5 => "an HDF5 file",
            Self::Mat => "a MATLAB file",
            Self::TfRecord => "a TFRecord file",
            Self::Arrow => "an Arrow file",
            Self::Lmdb => "an LMDB database",
            Self::Sqlite => "an SQLite database",
            Self::Zip => "a zip archive",
            Self::Tar => "a tar archive",
            Self::Gzip => "a gzip file",
            Self::Xz => "an xz file",
            Self::Bzip2 => "a bzip2 file",
            Self::Zstd => "a zstd file",
            Self::SevenZip => "a 7z archive",
            Self::Rar => "a rar archive",
            Self::Pdf => "a PDF document",
            Self::Video => "a film",
            Self::Html => "a web page",
            Self::Text => "a text file",
            Self::Empty => "an empty file",
            Self::Unreadable => "a file that cannot be opened",
            Self::Unknown => "a file of an unknown format",
        }
    }

    /// What to do with a known kind that is never read; nothing for kinds that are read and for unknown ones.
    pub(crate) fn next_step(self) -> Option<&'static str> {
        Some(match self {
            Self::Heic
            | Self::Avif
            | Self::Jxl
            | Self::Jpeg2000
            | Self::Psd
            | Self::Dds
            | Self::Ico
            | Self::Qoi => "convert it to png or jpg",
            Self::Svg => "render it to png at the size that you need",
            Self::Exr | Self::Hdr => "convert it to tiff, or tone-map it to png",
            Self::Dicom => "export its pixels to png or 16-bit tiff",
            Self::RawPhoto => "develop it to jpg or tiff",
            Self::Torch => "save its tensors to npz or its images to an image folder",
            Self::Hdf5 | Self::Mat => "save its arrays to npz or its images to an image folder",
            Self::TfRecord | Self::Arrow | Self::Lmdb | Self::Sqlite => {
                "write its images to an image folder or to parquet"
            }
            Self::SevenZip | Self::Rar => "unpack it and give the folder",
            Self::Pdf => "save its pictures as png or jpg",
            Self::Video => "save its frames as png or jpg",
            Self::Html => "fetch the file itself, not the page that offers it",
            _ => return None,
        })
    }

    /// One clause on why the file is not read, with the next step where one is known: `it is a HEIC image; convert
    /// it to png or jpg`.
    pub(crate) fn refusal(self) -> String {
        match self.next_step() {
            Some(step) => format!("it is {}; {step}", self.name()),
            None => format!("it is {}", self.name()),
        }
    }
}

/// The kinds that need a look at more than a fixed start.
fn structured(start: &[u8]) -> Option<Kind> {
    let at =
        |offset: usize, magic: &[u8]| start.get(offset..).is_some_and(|b| b.starts_with(magic));
    let kind = match start {
        [b'R', b'I', b'F', b'F', _, _, _, _, rest @ ..] if rest.starts_with(b"WEBP") => Kind::WebP,
        [b'R', b'I', b'F', b'F', _, _, _, _, rest @ ..] if rest.starts_with(b"AVI ") => Kind::Video,
        // The header that follows the file header gives its own size first.
        [b'B', b'M', ..]
            if [12, 16, 40, 52, 56, 64, 108, 124].contains(&start.get(14).copied()?)
                && at(15, &[0; 3]) =>
        {
            Kind::Bmp
        }
        [b'I', b'I', 42, 0, ..] if at(8, b"CR\x02") => Kind::RawPhoto,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Kind::Tiff,
        [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#' => {
            Kind::Pnm
        }
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => brand(start),
        [0, 0, 1, 0, count, 0, ..] if *count > 0 && start.get(9) == Some(&0) => Kind::Ico,
        [0, 0, 8 | 9 | 11..=14, 1..=4, ..] => Kind::Idx,
        [b'B', b'Z', b'h', b'1'..=b'9', ..]
            if at(4, b"1AY&SY") || at(4, b"\x17\x72\x45\x38\x50\x90") =>
        {
            Kind::Bzip2
        }
        [b'P', b'K', 3, 4, ..] => zip(start),
        // A frame, or an opcode that can follow the protocol: a container, a global, a string.
        [0x80, 4..=5, 0x95, ..] => Kind::Pickle,
        [
            0x80,
            2..=5,
            b'}' | b']' | b'(' | b'c' | b'X' | b'U' | b'C' | b')',
            ..,
        ] => Kind::Pickle,
        _ if at(128, b"DICM") => Kind::Dicom,
        _ if at(16, &0xbeef_c0de_u32.to_le_bytes()) => Kind::Lmdb,
        _ if is_tar(start) => Kind::Tar,
        _ if is_tfrecord(start) => Kind::TfRecord,
        _ => return None,
    };
    Some(kind)
}

/// The ISO container of pictures and films, by its brands.
fn brand(start: &[u8]) -> Kind {
    let size = start
        .first_chunk::<4>()
        .map_or(0, |size| u32::from_be_bytes(*size) as usize);
    let brands = start.get(8..size.min(start.len())).unwrap_or_default();
    let has = |known: &[&[u8; 4]]| brands.chunks(4).any(|b| known.iter().any(|k| b == *k));
    // An AVIF names the general brands of HEIF too.
    if has(&[b"avif", b"avis"]) {
        Kind::Avif
    } else if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        Kind::Heic
    } else if has(&[b"crx "]) {
        Kind::RawPhoto
    } else {
        Kind::Video
    }
}

/// What a zip archive holds, by its first entry.
fn zip(start: &[u8]) -> Kind {
    let length = |low: usize| match start.get(low..low + 2) {
        Some(&[a, b]) => usize::from(u16::from_le_bytes([a, b])),
        _ => 0,
    };
    let name = start.get(30..30 + length(26)).unwrap_or_default();
    if name.ends_with(b".npy") && !name.contains(&b'/') {
        Kind::Npz
    } else if name.ends_with(b"/data.pkl") || name.ends_with(b"/.format_version") {
        Kind::Torch
    } else {
        Kind::Zip
    }
}

/// Whether these first bytes are a tar header: its checksum holds.
pub(crate) fn is_tar(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<512>() else {
        return false;
    };
    let header = tar::Header::from_byte_slice(block);
    // The checksum counts its own field as spaces.
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, &byte)| u32::from(if (148..156).contains(&i) { b' ' } else { byte }))
        .sum();
    header.cksum().is_ok_and(|stated| stated == sum) && block.iter().any(|&byte| byte != 0)
}

/// Whether these first bytes are a TFRecord's: a length and its masked CRC-32C.
fn is_tfrecord(start: &[u8]) -> bool {
    let (Some(length), Some(&[a, b, c, d])) = (start.get(..8), start.get(8..12)) else {
        return false;
    };
    let mut sum = !0u32;
    for &byte in length {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 * (sum & 1));
        }
    }
    (!sum).rotate_right(15).wrapping_add(0xa282_ead8) == u32::from_le_bytes([a, b, c, d])
}

/// What is made of characters, or unknown.
fn text(start: &[u8]) -> Kind {
    let valid = match std::str::from_utf8(start) {
        Ok(_) => start.len(),
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return Kind::Unknown,
    };
    let control = |&byte: &u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    if valid == 0 || start.iter().any(control) {
        return Kind::Unknown;
    }
    let lower = start.to_ascii_lowercase();
    let has = |tag: &[u8]| lower.windows(tag.len()).any(|part| part == tag);
    let trimmed = lower.trim_ascii_start();
    let trimmed = trimmed.strip_prefix(b"\xef\xbb\xbf").unwrap_or(trimmed);
    if trimmed.starts_with(b"<") && has(b"<svg") {
        Kind::Svg
    } else if trimmed.starts_with(b"<!doctype html") || trimmed.starts_with(b"<html") {
        Kind::Html
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let mut tar_header = tar::Header::new_gnu();
        tar_header.set_path("a").unwrap();
        tar_header.set_size(0);
        tar_header.set_cksum();
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM\x02\0");
        let named = |name: &str| {
            let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
            bytes.extend(name.bytes());
            bytes
        };
        // tf.io.TFRecordWriter("f").write(b"abc")
        let tfrecord = vec![3, 0, 0, 0, 0, 0, 0, 0, 176, 153, 73, 14, b'a'];
        let cases: Vec<(Vec<u8>, Kind)> = vec![
            (b"\x89PNG\r\n\x1a\n\0\0".to_vec(), Kind::Png),
            (b"\xff\xd8\xff\xe0".to_vec(), Kind::Jpeg),
            (b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(), Kind::WebP),
            (
                b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec(),
                Kind::Bmp,
            ),
            (b"BMW and other makers of cars".to_vec(), Kind::Text),
            (b"GIF89a\x01\0".to_vec(), Kind::Gif),
            (b"II*\0\x08\0\0\0".to_vec(), Kind::Tiff),
            (b"MM\0+\0\x08\0\0".to_vec(), Kind::Tiff),
            (b"II*\0\x10\0\0\0CR\x02\0".to_vec(), Kind::RawPhoto),
            (b"P6\n2 2\n255\n".to_vec(), Kind::Pnm),
            (b"P2#x\n2 2\n255\n".to_vec(), Kind::Pnm),
            (b"P8 is text".to_vec(), Kind::Text),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), Kind::Heic),
            (
                b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf".to_vec(),
                Kind::Avif,
            ),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1".to_vec(), Kind::Video),
            (b"\xff\x0a\xfa\x1f".to_vec(), Kind::Jxl),
            (b"\xff\x4f\xff\x51\0".to_vec(), Kind::Jpeg2000),
            (b"<?xml version='1.0'?>\n<svg>".to_vec(), Kind::Svg),
            (b"<!DOCTYPE html><html>".to_vec(), Kind::Html),
            (dicom, Kind::Dicom),
            (b"\0\0\x08\x03\0\0\xea\x60".to_vec(), Kind::Idx),
            (b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec(), Kind::Ico),
            (b"PAR1\x15\0".to_vec(), Kind::Parquet),
            (b"\x93NUMPY\x01\0".to_vec(), Kind::Npy),
            (named("train_images.npy"), Kind::Npz),
            (named("archive/data.pkl"), Kind::Torch),
            (named("cat/1.png"), Kind::Zip),
            (b"\x80\x02}q\x01(X".to_vec(), Kind::Pickle),
            (b"\x80\x04\x95\x10\0".to_vec(), Kind::Pickle),
            (b"\x89HDF\r\n\x1a\n".to_vec(), Kind::Hdf5),
            (b"MATLAB 5.0 MAT-file, Platform".to_vec(), Kind::Mat),
            (b"ARROW1\0\0".to_vec(), Kind::Arrow),
            (tfrecord, Kind::TfRecord),
            (tar_header.as_bytes().to_vec(), Kind::Tar),
            (b"\x1f\x8b\x08\0".to_vec(), Kind::Gzip),
            (b"\xfd7zXZ\0\0\x04".to_vec(), Kind::Xz),
            (b"BZh91AY&SY".to_vec(), Kind::Bzip2),
            (b"\x28\xb5\x2f\xfd\x24".to_vec(), Kind::Zstd),
            (b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), Kind::SevenZip),
            (b"Rar!\x1a\x07\x01\0".to_vec(), Kind::Rar),
            (b"file,label\na.png,cat\n".to_vec(), Kind::Text),
            ("Ärger".as_bytes()[..1].to_vec(), Kind::Unknown),
            ("a Ä".as_bytes()[..3].to_vec(), Kind::Text),
            (vec![], Kind::Empty),
            (vec![0; 512], Kind::Unknown),
            (vec![6; 3073], Kind::Unknown),
        ];
        for (bytes, kind) in cases {
            assert_eq!(
                Kind::of(&bytes),
                kind,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn what_is_known_and_not_read_has_a_next_step() {
        assert_eq!(
            Kind::Heic.refusal(),
            "it is a HEIC image; convert it to png or jpg"
        );
        assert_eq!(Kind::Unknown.refusal(), "it is a file of an unknown format");
        for kind in [Kind::Png, Kind::Tiff, Kind::Pnm] {
            assert!(kind.is_decoded() && kind.next_step().is_none());
        }
        for kind in [Kind::Heic, Kind::RawPhoto, Kind::Svg] {
            assert!(!kind.is_decoded() && kind.is_image() && kind.next_step().is_some());
        }
        assert!(!Kind::Idx.is_image() && Kind::Idx.next_step().is_none());
    }
}
