//! Arrays of whole numbers as NumPy stores them, in a pickle or in a `.npy` file.

/// How arrays are written so that they are read here.
pub(super) const SAVE: &str = "numpy.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, y_test=…)";

/// What the elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Truth,
    Unsigned,
    Signed,
}

/// The type of the elements: whole numbers of 1, 2, 4 or 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    kind: Kind,
    size: usize,
    big_endian: bool,
}

impl Dtype {
    /// The type that NumPy writes so: `|u1`, `<i8`, `>i4`, `u2`, `b1`. None for all that are not whole numbers.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (order, name) = match text.as_bytes().first()? {
            b'<' | b'>' | b'|' | b'=' => text.split_at(1),
            _ => ("=", text),
        };
        let (kind, size) = match name {
            "b1" => (Kind::Truth, 1),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            _ => return None,
        };
        Some(Self {
            kind,
            size,
            big_endian: order == ">",
        })
    }

    /// The same type in the byte order that NumPy writes as `<`, `>`, `|` or `=`.
    pub(super) fn in_order(self, order: &str) -> Option<Self> {
        ["<", ">", "|", "="].contains(&order).then_some(Self {
            big_endian: order == ">",
            ..self
        })
    }

    /// Whether the elements are `uint8`, as those of an image.
    pub(super) fn is_byte(self) -> bool {
        (self.kind, self.size) == (Kind::Unsigned, 1)
    }

    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        self.size
    }

    /// One element; what is above [`i64::MAX`] becomes that.
    fn integer(self, bytes: &[u8]) -> i64 {
        let mut wide = [0u8; 8];
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        if self.big_endian {
            wide[..bytes.len().min(8)].reverse();
        }
        let value = u64::from_le_bytes(wide);
        match self.kind {
            Kind::Truth | Kind::Unsigned => i64::try_from(value).unwrap_or(i64::MAX),
            Kind::Signed => {
                let unused = 64 - 8 * self.size as u32;
                ((value << unused) as i64) >> unused
            }
        }
    }
}

/// The form of an array; its elements are kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Whether the first index moves fastest.
    pub(super) fortran: bool,
}

impl Layout {
    /// Bytes of all elements; none where no machine holds so many.
    pub(super) fn bytes(&self) -> Option<usize> {
        let mut bytes = self.dtype.size;
        for &n in &self.shape {
            bytes = bytes.checked_mul(n)?;
        }
        Some(bytes)
    }

    /// The elements with the last index moving fastest. `data` must be of [`Layout::bytes`] bytes.
    pub(super) fn last_index_fastest(&self, data: Vec<u8>) -> Vec<u8> {
        let long_axes = self.shape.iter().filter(|&&n| n > 1).count();
        if !self.fortran || long_axes < 2 || self.bytes() != Some(data.len()) || data.is_empty() {
            return data;
        }
        let size = self.dtype.size;
        let mut stride = size;
        let strides: Vec<usize> = self
            .shape
            .iter()
            .map(|&n| {
                stride *= n;
                stride / n
            })
            .collect();
        let mut ordered = Vec::with_capacity(data.len());
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        while ordered.len() < data.len() {
            ordered.extend_from_slice(&data[at..at + size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        ordered
    }

    /// The elements as numbers, in the order in which they are stored.
    pub(super) fn integers(&self, data: &[u8]) -> Vec<i64> {
        data.chunks_exact(self.dtype.size)
            .map(|bytes| self.dtype.integer(bytes))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dtype: &str, shape: &[usize], fortran: bool) -> Layout {
        Layout {
            dtype: Dtype::parse(dtype).unwrap(),
            shape: shape.to_vec(),
            fortran,
        }
    }

    #[test]
    fn numbers_are_read_in_their_byte_order_and_sign() {
        for (dtype, bytes, expected) in [
            ("|u1", &[200][..], 200),
            ("|i1", &[200], -56),
            ("|b1", &[1], 1),
            ("<i2", &[0xfe, 0xff], -2),
            (">i2", &[0xff, 0xfe], -2),
            ("<u2", &[1, 2], 513),
            (">u4", &[0, 0, 1, 2], 258),
            ("<i4", &[3, 0, 0, 0], 3),
            ("=i8", &[0xff; 8], -1),
            (">i8", &[0, 0, 0, 0, 0, 0, 0, 9], 9),
            ("<u8", &[0xff; 8], i64::MAX),
        ] {
            assert_eq!(
                layout(dtype, &[1], false).integers(bytes),
                [expected],
                "{dtype}"
            );
        }
        for refused in ["<f4", "|O", "<U3", "<i3", "", "<", "é1"] {
            assert_eq!(Dtype::parse(refused), None, "{refused}");
        }
        assert!(Dtype::parse("|u1").unwrap().is_byte());
        assert!(!Dtype::parse("|b1").unwrap().is_byte());
        assert!(!Dtype::parse("|i1").unwrap().is_byte());
    }

    #[test]
    fn fortran_order_is_turned() {
        // [[0, 1, 2], [3, 4, 5]] as numpy.asfortranarray stores it.
        let stored = vec![0, 3, 1, 4, 2, 5];
        let turned = layout("|u1", &[2, 3], true).last_index_fastest(stored.clone());
        assert_eq!(turned, [0, 1, 2, 3, 4, 5]);
        assert_eq!(
            layout("|u1", &[2, 3], false).last_index_fastest(stored.clone()),
            stored
        );
        // Element (i, j, k) of a [2, 2, 3] array at i + 2 j + 4 k, two bytes each.
        let three = layout("<u2", &[2, 2, 3], true);
        let stored: Vec<u8> = (0..12u8).flat_map(|i| [i, 100 + i]).collect();
        assert_eq!(
            three.integers(&three.last_index_fastest(stored)),
            [0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11].map(|i| i + 256 * (100 + i))
        );
        assert_eq!(layout("<i8", &[usize::MAX, 2], false).bytes(), None);
    }
}
