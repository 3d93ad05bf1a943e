//! `model.safetensors`, read without trust and written byte for byte the same.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The longest header that is read.
const MAX_HEADER: usize = 25_000_000;
/// The most axes of a tensor.
const MAX_RANK: usize = 8;
/// An error names this many tensors of a kind and counts the rest.
const MAX_NAMED: usize = 20;

type Shapes = BTreeMap<String, Vec<usize>>;

/// How parameters are stored. Running statistics and f64 tensors keep their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// As they are.
    #[default]
    Full,
    /// Rounded to 16 bits (IEEE half precision).
    Half,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not a safetensors file, or is damaged.
    #[error("is not a sound safetensors file: {0}")]
    Damaged(String),
    /// The tensors are not those of the configuration.
    #[error("does not fit its config.json: {0}")]
    Mismatch(Mismatch),
    /// Values that no network can use.
    #[error("has unusable values: tensor `{name}` holds {what}")]
    Values {
        /// The tensor.
        name: String,
        /// What is wrong with the values.
        what: &'static str,
    },
}

/// Every tensor that is not as the configuration asks for.
#[derive(Debug, Default)]
pub struct Mismatch {
    missing: Names,
    unexpected: Names,
    misshapen: Names,
}

#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    more: usize,
}

impl Names {
    fn push(&mut self, text: impl FnOnce() -> String) {
        if self.first.len() < MAX_NAMED {
            self.first.push(text());
        } else {
            self.more += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// A tensor's name fit for an error: escaped, and not longer than a line.
fn shown(name: &str) -> String {
    let escaped: String = name.escape_debug().take(200).collect();
    format!("`{escaped}`")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (kind, names) in [
            ("missing ", &self.missing),
            ("unexpected ", &self.unexpected),
            ("wrong shape of ", &self.misshapen),
        ] {
            if names.is_empty() {
                continue;
            }
            write!(f, "{separator}{kind}{}", names.first.join(", "))?;
            if names.more > 0 {
                write!(f, " and {} more", names.more)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// The largest file that can hold tensors of `shapes`.
pub(super) fn max_file_size(shapes: &Shapes) -> u64 {
    let values = shapes.values().fold(0u64, |sum, shape| {
        let count = shape
            .iter()
            .fold(1u64, |product, &d| product.saturating_mul(d as u64));
        sum.saturating_add(count)
    });
    values
        .saturating_mul(8)
        .saturating_add(8 + MAX_HEADER as u64)
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Dtype {
    F16,
    BF16,
    F32,
    F64,
}

impl Dtype {
    fn candle(self) -> DType {
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
struct Entry {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (u64, u64),
}

impl Entry {
    fn dims(&self) -> &[u64] {
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
struct Header {
    entries: BTreeMap<String, Entry>,
    /// (begin, end) of tensors that are not expected.
    others: Vec<(u64, u64)>,
    unexpected: Names,
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

fn damaged(what: impl Into<String>) -> WeightsError {
    WeightsError::Damaged(what.into())
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

/// The tensors of a safetensors file, which must be those of `shapes`; 16-bit ones become f32.
pub(super) fn read(
    bytes: &[u8],
    shapes: &Shapes,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
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

    let mut mismatch = Mismatch {
        unexpected: header.unexpected,
        ..Mismatch::default()
    };
    for (name, shape) in shapes {
        match header.entries.get(name) {
            None => mismatch.missing.push(|| shown(name)),
            Some(entry) => {
                if !entry
                    .dims()
                    .iter()
                    .copied()
                    .eq(shape.iter().map(|&d| d as u64))
                {
                    mismatch
                        .misshapen
                        .push(|| format!("{} ({:?}, not {shape:?})", shown(name), entry.dims()));
                }
            }
        }
    }
    if !mismatch.is_empty() {
        return Err(WeightsError::Mismatch(mismatch));
    }

    let mut tensors = BTreeMap::new();
    for (name, entry) in header.entries {
        let (begin, end) = entry.data_offsets;
        let dims: Vec<usize> = entry.dims().iter().map(|&d| d as usize).collect();
        let dtype = entry.dtype.candle();
        let wide = if dtype == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let tensor = data
            .get(begin as usize..end as usize)
            .ok_or_else(|| damaged(format!("tensor {} lies outside the data", shown(&name))))
            .and_then(|raw| {
                Tensor::from_raw_buffer(raw, dtype, &dims, &Device::Cpu)
                    .and_then(|tensor| tensor.to_dtype(wide))
                    .map_err(|e| damaged(e.to_string()))
            })?;
        check_values(&name, &tensor)?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn check_values(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    let values = tensor
        .flatten_all()
        .and_then(|flat| flat.to_dtype(DType::F64)?.to_vec1::<f64>())
        .map_err(|e| damaged(e.to_string()))?;
    let wrong = |what| {
        Err(WeightsError::Values {
            name: name.to_string(),
            what,
        })
    };
    if !values.iter().all(|v| v.is_finite()) {
        return wrong("NaN or infinite values");
    }
    if name.ends_with("running_var") && values.iter().any(|v| *v < 0.0) {
        return wrong("negative variances");
    }
    Ok(())
}

/// A safetensors file of `tensors`, which must be those of `shapes`.
pub(super) fn write(
    tensors: &BTreeMap<String, Tensor>,
    shapes: &Shapes,
    storage: Storage,
) -> Result<Vec<u8>, WeightsError> {
    let mut mismatch = Mismatch::default();
    for (name, shape) in shapes {
        match tensors.get(name) {
            None => mismatch.missing.push(|| shown(name)),
            Some(tensor) if tensor.dims() != shape => mismatch
                .misshapen
                .push(|| format!("{} ({:?}, not {shape:?})", shown(name), tensor.dims())),
            Some(_) => {}
        }
    }
    for name in tensors.keys().filter(|name| !shapes.contains_key(*name)) {
        mismatch.unexpected.push(|| shown(name));
    }
    if !mismatch.is_empty() {
        return Err(WeightsError::Mismatch(mismatch));
    }
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let half = storage == Storage::Half
            && tensor.dtype() == DType::F32
            && !gmnm_core::params::is_buffer(name);
        let dtype = if half { DType::F16 } else { tensor.dtype() };
        let tensor = tensor
            .detach()
            .to_device(&Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(dtype)?.contiguous())
            .map_err(|e| damaged(e.to_string()))?;
        check_values(name, &tensor)?;
        stored.insert(name.as_str(), tensor);
    }
    // One key only: the order of several would change from run to run.
    let metadata = std::collections::HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(stored, Some(metadata)).map_err(|e| damaged(e.to_string()))
}
