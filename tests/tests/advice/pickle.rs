//! Pickles as Python 2 wrote CIFAR's files: byte texts, protocol 2.

fn integer(value: i32) -> Vec<u8> {
    [&b"J"[..], &value.to_le_bytes()].concat()
}

fn list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    [&b"]("[..], &items.flatten().collect::<Vec<u8>>(), b"e"].concat()
}

/// A text of fewer than 256 bytes.
pub(crate) fn text(value: &str) -> Vec<u8> {
    [&[b'U', value.len() as u8], value.as_bytes()].concat()
}

pub(crate) fn numbers(values: &[i32]) -> Vec<u8> {
    list(values.iter().map(|&value| integer(value)))
}

pub(crate) fn names(names: &[&str]) -> Vec<u8> {
    list(names.iter().map(|name| text(name)))
}

/// An array of NumPy with elements of two letters, as `u1`.
pub(crate) fn array(dtype: &str, shape: &[i32; 2], elements: &[u8]) -> Vec<u8> {
    let [rows, columns] = shape.map(integer);
    let length = (elements.len() as u32).to_le_bytes();
    let parts: [&[u8]; 12] = [
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01",
        &rows,
        &columns,
        b"\x86cnumpy\ndtype\nU\x02",
        dtype.as_bytes(),
        b"K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb",
        // Rows one after another.
        b"\x89",
        b"T",
        &length,
        elements,
        b"t",
        b"b",
    ];
    parts.concat()
}

/// The whole of a pickle.
pub(crate) fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}(".to_vec();
    for (key, value) in entries {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    bytes.extend(b"u.");
    bytes
}
