//! The header of a safetensors file, read without trust.
//!
//! A header may claim anything: lists are refused while they are read, names that are not expected are counted and
//! dropped, so that reading takes no more memory than the file.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::DType;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Names, Shapes, WeightsError, damaged, shown};

/// The longest header that is read.
pub(in crate::model_dir) const MAX_HEADER: usize = 25_000_000;
/// The most axes of a tensor.
const MAX_RANK: usize = 8;

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Dtype {
    F16,
    BF16,
    F32,
    F64,
}

impl Dtype {
    pub(super) fn candle(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }
}

/// The axes of a tensor; a longer list is refused while it is read.
#[derive(Debug)]
struct Shape {
    dims: [u64; MAX_RANK],
    rank: usize,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of positive axis lengths")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut axes: A) -> Result<Shape, A::Error> {
                let (mut dims, mut rank) = ([0; MAX_RANK], 0);
                while let Some(dim) = axes.next_element::<u64>()? {
                    if rank == MAX_RANK {
                        return Err(A::Error::custom(format!("more than {MAX_RANK} axes")));
                    }
                    if dim == 0 {
                        return Err(A::Error::custom("an axis of length 0"));
                    }
                    dims[rank] = dim;
                    rank += 1;
                }
                Ok(Shape { dims, rank })
            }
        }
        deserializer.deserialize_seq(Axes)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    shape: Shape,
    pub(super) data_offsets: (u64, u64),
}

impl Entry {
    pub(super) fn dims(&self) -> &[u64] {
        &self.shape.dims[..self.shape.rank]
    }

    fn byte_count(&self) -> Option<u64> {
        let size = self.dtype.candle().size_in_bytes() as u64;
        self.dims()
            .iter()
            .try_fold(size, |product, &dim| product.checked_mul(dim))
    }
}

/// The header's entries of expected tensors, and what does not fit.
#[derive(Default)]
pub(super) struct Header {
    pub(super) entries: BTreeMap<String, Entry>,
    /// (begin, end) of tensors that are not expected.
    others: Vec<(u64, u64)>,
    pub(super) unexpected: Names,
}

struct HeaderSeed<'a>(&'a Shapes);

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            let duplicate = || A::Error::custom(format!("{} is there twice", shown(&name)));
            if name == "__metadata__" {
                if std::mem::replace(&mut metadata, true) {
                    return Err(duplicate());
                }
                map.next_value::<Metadata>()?;
                continue;
            }
            let entry: Entry = map.next_value()?;
            if self.0.contains_key(&name) {
                if header.entries.contains_key(&name) {
                    return Err(duplicate());
                }
                header.entries.insert(name, entry);
            } else {
                // Names that are kept show a duplicate; others only count, so that a header of a million tensors
                // takes no memory of its own.
                if header.unexpected.first.contains(&shown(&name)) {
                    return Err(duplicate());
                }
                header.others.push(entry.data_offsets);
                header.unexpected.push(|| shown(&name));
            }
        }
        Ok(header)
    }
}

/// `__metadata__`: texts by distinct keys. They are checked and dropped.
struct Metadata;

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts in `__metadata__`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut keys = std::collections::BTreeSet::new();
                while let Some((key, _)) = map.next_entry::<String, String>()? {
                    if keys.contains(&key) {
                        let key = shown(&key);
                        return Err(A::Error::custom(format!(
                            "{key} is there twice in `__metadata__`"
                        )));
                    }
                    keys.insert(key);
                }
                Ok(Metadata)
            }
        }
        deserializer.deserialize_map(Texts)
    }
}

/// The header and the data after it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), WeightsError> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged(format!(
            "it has {} bytes, a header needs 8",
            bytes.len()
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER as u64 {
        return Err(damaged(format!(
            "its header claims {length} bytes, more than {MAX_HEADER}"
        )));
    }
    let length = length as usize;
    if length > rest.len() {
        return Err(damaged(format!(
            "it is cut off: its header claims {length} bytes, {} follow",
            rest.len()
        )));
    }
    Ok(rest.split_at(length))
}

/// Checks that tensors fill the data exactly, one behind the other.
fn check_layout(header: &Header, data: &[u8]) -> Result<(), WeightsError> {
    let mut ranges = header.others.clone();
    for (name, entry) in &header.entries {
        let (begin, end) = entry.data_offsets;
        if entry.byte_count() != end.checked_sub(begin) {
            return Err(damaged(format!(
                "tensor {} of shape {:?} does not take the bytes {begin} to {end}",
                shown(name),
                entry.dims()
            )));
        }
        ranges.push((begin, end));
    }
    ranges.sort_unstable();
    let mut filled = 0;
    for (begin, end) in ranges {
        if begin != filled || end < begin {
            return Err(damaged(format!(
                "its tensors leave a hole or overlap at byte {begin} of the data"
            )));
        }
        filled = end;
    }
    if filled != data.len() as u64 {
        return Err(damaged(format!(
            "its tensors take {filled} bytes, {} are there",
            data.len()
        )));
    }
    Ok(())
}

/// The header of a safetensors file, held against `shapes`, and the data after it, which the tensors fill exactly.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    shapes: &Shapes,
) -> Result<(Header, &'a [u8]), WeightsError> {
    let (text, data) = split(bytes)?;
    if text.first() != Some(&b'{') {
        return Err(damaged("its header is not a JSON object"));
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    let header = HeaderSeed(shapes)
        .deserialize(&mut parser)
        .and_then(|header| parser.end().map(|()| header))
        .map_err(|e| damaged(format!("its header is wrong: {e}")))?;
    check_layout(&header, data)?;
    Ok((header, data))
}
