//! One array in NumPy's format (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>), versions 1 to
//! 3: a magic word, the version, the length of the header, the header (a dictionary as Python writes it), the elements.

use std::{io::Read, path::Path};

use super::{floats, malformed};
use crate::data::{
    DataError, input,
    readers::numpy::{Dtype, Layout},
};

/// The longest array that is read.
const MAX_BYTES: u64 = 8 << 30;

/// The longest header; NumPy itself writes a few hundred bytes and trusts none above 10,000.
const MAX_HEADER: u64 = 1 << 16;

/// An array of whole numbers in memory.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) layout: Layout,
    pub(super) data: Vec<u8>,
}

/// Reads one array.
pub(super) fn read(path: &Path, reader: &mut dyn Read) -> Result<Array, DataError> {
    let mut bytes = |count: u64| {
        input::read_up_to(reader, count).map_err(|reason| input::read_failed(path, reason))
    };
    let cut = || malformed(path, "it ends within the header; fetch the file again");
    let start = bytes(8)?;
    let Some([version, _]) = start
        .strip_prefix(b"\x93NUMPY")
        .and_then(|rest| rest.as_array())
    else {
        return Err(malformed(
            path,
            "it does not start as NumPy's files do; write it with numpy.save or numpy.savez",
        ));
    };
    let length = match version {
        1 => u64::from(u16::from_le_bytes(bytes(2)?.try_into().map_err(|_| cut())?)),
        2 | 3 => u64::from(u32::from_le_bytes(bytes(4)?.try_into().map_err(|_| cut())?)),
        other => {
            return Err(malformed(
                path,
                format!(
                    "it is of version {other} of NumPy's format, and 1 to 3 are read; write it with numpy.save"
                ),
            ));
        }
    };
    if length > MAX_HEADER {
        return Err(malformed(
            path,
            format!("its header claims {length} bytes; fetch the file again"),
        ));
    }
    let text = bytes(length)?;
    if text.len() as u64 != length {
        return Err(cut());
    }
    let text = String::from_utf8(text).unwrap_or_default();
    let header = Header::parse(&text)
        .ok_or_else(|| malformed(path, "its header is broken; fetch the file again"))?;
    let Some(dtype) = header.descr.as_deref().and_then(Dtype::parse) else {
        let named = header.descr.as_deref().unwrap_or("records");
        let step = match floats::lie_within_one(path, named, reader)? {
            true => {
                "its values lie between 0 and 1, so multiply images by 255 and write them as uint8, and write labels as int64"
            }
            false => "bring images to 0 to 255 and write them as uint8, and write labels as int64",
        };
        return Err(malformed(
            path,
            format!(
                "its elements are of the type `{}`, and only whole numbers are read; {step}",
                named.escape_debug()
            ),
        ));
    };
    let layout = Layout {
        dtype,
        shape: header.shape,
        fortran: header.fortran,
    };
    let expected = layout.bytes().map(|bytes| bytes as u64);
    let Some(expected) = expected.filter(|&expected| expected <= MAX_BYTES) else {
        return Err(DataError::TooLarge {
            path: path.into(),
            problem: format!(
                "its header claims {:?} elements, the limit is {} MiB; write fewer or smaller images",
                layout.shape,
                MAX_BYTES >> 20
            ),
        });
    };
    let data = input::read_up_to(reader, expected + 1)
        .map_err(|reason| input::read_failed(path, reason))?;
    match data.len() as u64 {
        found if found < expected => Err(malformed(
            path,
            format!(
                "its header promises {expected} bytes but {found} are there; fetch the file again"
            ),
        )),
        found if found > expected => Err(malformed(
            path,
            format!(
                "more follows the {expected} bytes that its header promises; fetch the file again"
            ),
        )),
        _ => Ok(Array { layout, data }),
    }
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The type; none where it is one of records.
    descr: Option<String>,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '|u1', 'fortran_order': False, 'shape': (10, 28, 28), }`, with the keys in any order.
    fn parse(text: &str) -> Option<Self> {
        let mut left = Cursor(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        left.expect("{")?;
        while left.expect("}").is_none() {
            let key = left.quoted()?;
            left.expect(":")?;
            let again = match key {
                "descr" => descr.replace(left.descr()?).is_some(),
                "fortran_order" => fortran.replace(left.truth()?).is_some(),
                "shape" => shape.replace(left.shape()?).is_some(),
                _ => return None,
            };
            let more = left.expect(",").is_some();
            if again || !(more || left.0.trim_start().starts_with('}')) {
                return None;
            }
        }
        left.0.trim().is_empty().then_some(Self {
            descr: descr?,
            fortran: fortran?,
            shape: shape?,
        })
    }
}

/// What is left of a header.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Steps over this sign, or stays.
    fn expect(&mut self, sign: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(sign)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (inner, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        (!inner.contains('\\')).then_some(inner)
    }

    /// A type, or nothing for a list of fields, which is stepped over.
    fn descr(&mut self) -> Option<Option<String>> {
        if !self.0.trim_start().starts_with('[') {
            return Some(Some(self.quoted()?.to_owned()));
        }
        let mut depth = 0usize;
        for (at, c) in self.0.char_indices() {
            match c {
                '[' => depth += 1,
                ']' if depth == 1 => {
                    self.0 = &self.0[at + 1..];
                    return Some(None);
                }
                ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    fn truth(&mut self) -> Option<bool> {
        if self.expect("True").is_some() {
            return Some(true);
        }
        self.expect("False").map(|()| false)
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        self.expect("(")?;
        let (inner, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inner = inner.trim();
        if inner.is_empty() {
            return Some(Vec::new());
        }
        let inner = match inner.strip_suffix(',') {
            Some(inner) => inner,
            // `(3)` is a number in Python, not a shape.
            None if inner.contains(',') => inner,
            None => return None,
        };
        inner
            .split(',')
            .map(|number| {
                let number = number.trim();
                // Python 2 wrote its long numbers with an L.
                let digits = number.strip_suffix('L').unwrap_or(number);
                digits
                    .bytes()
                    .all(|digit| digit.is_ascii_digit())
                    .then(|| digits.parse().ok())
                    .flatten()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Array, String> {
        read(Path::new("x.npy"), &mut &*bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_of_all_versions_are_read() {
        for (version, header) in [
            (
                1,
                "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }   \n",
            ),
            (
                2,
                "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n",
            ),
            (
                3,
                "{\"shape\": (2L, 3L), \"descr\": \"u1\", \"fortran_order\": False}",
            ),
        ] {
            let array = parse(&file(version, header, &[1, 2, 3, 4, 5, 6])).unwrap();
            assert_eq!(array.layout.shape, [2, 3]);
            assert_eq!(array.data, [1, 2, 3, 4, 5, 6]);
            assert!(!array.layout.fortran && array.layout.dtype.is_byte());
        }
        let array = parse(&file(
            1,
            "{'descr': '<i2', 'fortran_order': True, 'shape': (2,), }",
            &[1, 0, 0, 1],
        ))
        .unwrap();
        assert!(array.layout.fortran);
        assert_eq!(array.layout.integers(&array.data), [1, 256]);
    }

    #[test]
    fn broken_arrays_are_named_with_the_next_step() {
        let good = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }";
        for (bytes, said) in [
            (b"PK\x03\x04....".to_vec(), "does not start"),
            (b"\x93NUMPY".to_vec(), "does not start"),
            (file(4, good, &[1, 2, 3]), "version 4"),
            (file(1, good, &[1, 2]), "promises 3 bytes but 2"),
            (file(1, good, &[1, 2, 3, 4]), "more follows the 3 bytes"),
            (
                file(1, &good.replace("(3,)", "(3)"), &[1, 2, 3]),
                "header is broken",
            ),
            (
                file(1, &good.replace("(3,)", "(-3,)"), &[]),
                "header is broken",
            ),
            (
                file(1, &good.replace("'shape'", "'form'"), &[]),
                "header is broken",
            ),
            (
                file(1, &good.replace("False", "0"), &[]),
                "header is broken",
            ),
            (file(1, &format!("{good} x"), &[]), "header is broken"),
            (
                file(1, &good.replace("}", "'descr': '|u1'}"), &[]),
                "header is broken",
            ),
            (file(1, &good.replace("|u1", "<f4"), &[]), "type `<f4`"),
            (file(1, &good.replace("|u1", "|O"), &[]), "type `|O`"),
            (
                file(
                    1,
                    &good.replace("'|u1'", "[('a', '<i4', (2,)), ('b', '|u1')]"),
                    &[],
                ),
                "type `records`",
            ),
            (
                file(1, &good.replace("(3,)", "(99999999999, 9)"), &[]),
                "too large",
            ),
            (
                file(1, &good.replace("(3,)", "(18446744073709551615, 2)"), &[]),
                "too large",
            ),
            (file(2, &"x".repeat(70_000), &[]), "claims 70000 bytes"),
            (file(1, good, &[])[..30].to_vec(), "ends within the header"),
        ] {
            let error = parse(&bytes).unwrap_err();
            assert!(
                error.contains(said) && error.contains("x.npy"),
                "{said}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(
            version in 0u8..5,
            header in "[{}'\":,()\\[\\] 0-9a-zé]{0,60}",
            data: Vec<u8>,
            raw: Vec<u8>,
        ) {
            let _ = parse(&file(version, &header, &data));
            let _ = parse(&raw);
        }
    }
}
