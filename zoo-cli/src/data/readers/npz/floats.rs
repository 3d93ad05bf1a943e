//! Arrays of floats, which are not read: what is to be done with them depends on their values.

use std::{io::Read, path::Path};

use crate::data::{DataError, input};

/// As much is looked at in one step, a multiple of the size of any element.
const STEP: u64 = 1 << 20;

/// Whether all that follows are floats of this type, from 0 to 1.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn lie_within_one(
    path: &Path,
    dtype: &str,
    reader: &mut dyn Read,
) -> Result<bool, DataError> {
    // Floats from 0 to 1 are ordered as their bits are: these are those of 1.
    let (size, one) = match dtype.trim_start_matches(['<', '>', '=', '|']) {
        "f2" => (2, 0x3C00),
        "f4" => (4, u64::from(1f32.to_bits())),
        "f8" => (8, 1f64.to_bits()),
        _ => return Ok(false),
    };
    let is_big_endian = dtype.starts_with('>');
    let bits = |bytes: &[u8]| {
        let push = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        match is_big_endian {
            true => bytes.iter().fold(0, push),
            false => bytes.iter().rev().fold(0, push),
        }
    };
    let mut any = false;
    loop {
        let bytes =
            input::read_up_to(reader, STEP).map_err(|reason| input::read_failed(path, reason))?;
        if bytes.is_empty() {
            return Ok(any);
        }
        any = true;
        if bytes.len() % size != 0 || bytes.chunks_exact(size).any(|bytes| bits(bytes) > one) {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_0_to_1_are_told_from_others() {
        let four = |values: [f32; 2]| values.map(f32::to_le_bytes).concat();
        for (dtype, bytes, expected) in [
            ("<f4", four([0.0, 1.0]), true),
            ("<f4", four([0.5, 1.1]), false),
            ("<f4", four([0.5, -0.5]), false),
            ("<f4", four([f32::NAN, 0.5]), false),
            (">f4", 0.25f32.to_be_bytes().to_vec(), true),
            (">f4", 255f32.to_be_bytes().to_vec(), false),
            ("<f8", 0.25f64.to_le_bytes().to_vec(), true),
            ("<f8", 2f64.to_le_bytes().to_vec(), false),
            ("<f2", vec![0, 0x3C], true),
            ("<f2", vec![1, 0x3C], false),
            ("<f4", vec![], false),
            ("<f4", vec![0], false),
            ("|O", vec![0], false),
        ] {
            let found = lie_within_one(Path::new("x"), dtype, &mut bytes.as_slice());
            assert_eq!(found.unwrap(), expected, "{dtype} {bytes:?}");
        }
    }
}
