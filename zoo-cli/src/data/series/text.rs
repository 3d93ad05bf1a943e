//! The text of a series: from a file or stdin, unpacked and decoded.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::malformed;
use crate::data::{DataError, sniff, walk};

/// Longer texts are refused.
const MAX_BYTES: u64 = 1 << 30;

/// What other files begin with, and what to do with them.
const OTHERS: [(&[u8], &str); 15] = [
    (b"PAR1", "it is a parquet file; write its table as CSV"),
    (b"ARROW1", "it is an Arrow file; write its table as CSV"),
    (
        b"\x89HDF",
        "it is an HDF5 or netCDF file; write its table as CSV",
    ),
    (b"CDF", "it is a netCDF file; write its table as CSV"),
    (
        b"\xd0\xcf\x11\xe0",
        "it is an Excel workbook; save its sheet as CSV",
    ),
    (
        b"BZh",
        "it is compressed with bzip2; unpack it with `bunzip2 -k`",
    ),
    (
        b"\xfd7zXZ",
        "it is compressed with xz; unpack it with `unxz -k`",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is compressed with zstd; unpack it with `unzstd`",
    ),
    (
        b"7z\xbc\xaf",
        "it is a 7z archive; unpack it and give the CSV file in it",
    ),
    (b"\x89PNG", "it is an image; give a CSV file"),
    (b"\xff\xd8\xff", "it is an image; give a CSV file"),
    (b"%PDF", "it is a PDF document; give a CSV file"),
    (b"<", "it is a web page or XML; give a CSV file"),
    (b"{", "it is JSON; write its table as CSV"),
    (b"[", "it is JSON; write its table as CSV"),
];

/// The name of stdin in messages.
pub(super) const STDIN: &str = "stdin";

/// What `spec` is called in messages: `-` is stdin.
pub(super) fn name(spec: &str) -> &str {
    if spec == "-" { STDIN } else { spec }
}

/// Whether `spec` can be read only once, or is another thing the next time: stdin, a pipe, a device.
pub fn is_stream(spec: &str) -> bool {
    let metadata = || Path::new(spec).metadata();
    spec == "-"
        || spec.starts_with("/dev/")
        || metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// The text of the file `spec`, or of stdin where it is `-`: UTF-8, or UTF-16 with its mark, plain or gzipped.
pub(super) fn read(spec: &str) -> Result<String, DataError> {
    let path = Path::new(name(spec));
    let failed = |reason: io::Error| DataError::Read {
        path: path.into(),
        reason,
    };
    let bytes = if spec == "-" {
        limited(io::stdin().lock(), path)?
    } else {
        // A device or a pipe is read like a file; only its length is not known before.
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let problem = "it does not exist; give the path of a CSV file";
                return Err(malformed(path, problem));
            }
            Err(e) => return Err(failed(e)),
        };
        if metadata.is_dir() {
            walk::refuse_model(path)?;
            return Err(malformed(path, folder(path)));
        }
        limited(File::open(path).map_err(failed)?, path)?
    };
    let bytes = if bytes.starts_with(b"\x1f\x8b") {
        limited(MultiGzDecoder::new(&*bytes), path).map_err(|error| match error {
            DataError::Read { reason, .. } => malformed(
                path,
                format!("its gzip data are damaged ({reason}); copy it again"),
            ),
            other => other,
        })?
    } else {
        bytes
    };
    decode(path, bytes)
}

/// All bytes of `reader`, up to the limit.
fn limited(reader: impl Read, path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|reason| DataError::Read {
        path: path.into(),
        reason,
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(DataError::TooLarge {
            path: path.into(),
            problem: format!(
                "at most {MAX_BYTES} bytes of text are read; give fewer rows or columns"
            ),
        });
    }
    Ok(bytes)
}

/// What to give in the place of a folder.
fn folder(path: &Path) -> String {
    let mut files: Vec<String> = path
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            [".csv", ".csv.gz", ".tsv", ".txt"]
                .iter()
                .any(|end| name.ends_with(end))
        })
        .collect();
    files.sort();
    match &files[..] {
        [] => "it is a folder; give the path of a CSV file".into(),
        [one] => format!(
            "it is a folder; give the file in it, `{}`",
            path.join(one).display()
        ),
        [first, .., last] => format!(
            "it is a folder with {} files, `{first}` to `{last}`; give one of them",
            files.len()
        ),
    }
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, DataError> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| -> Result<String, DataError> {
        let units = bytes.chunks(2).map(|pair| match pair {
            [a, b] => of([*a, *b]),
            _ => 0xdfff,
        });
        char::decode_utf16(units)
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(path, "its UTF-16 text is damaged; save it again, as UTF-8"))
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    let body = bytes.trim_ascii_start();
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| body.starts_with(magic)) {
        return Err(malformed(path, *what));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        // The parts of a workbook lie in a folder of this name.
        let workbook = bytes.windows(3).take(1 << 16).any(|part| part == b"xl/");
        return Err(malformed(
            path,
            if workbook {
                "it is an Excel workbook; save its sheet as CSV"
            } else {
                "it is a zip archive; unpack it and give the CSV file in it"
            },
        ));
    }
    if sniff::is_tar(&bytes) {
        let problem = "it is a tar archive; unpack it and give the CSV file in it";
        return Err(malformed(path, problem));
    }
    if bytes.contains(&0) {
        return Err(malformed(path, "it is no text; give a CSV file"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        malformed(
            path,
            format!(
                "line {line} is not UTF-8 text; if it comes from Windows, convert it with \
                 `iconv -f WINDOWS-1252 -t UTF-8`"
            ),
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_string(),
        None => text,
    })
}
