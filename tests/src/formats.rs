//! Files of well-known data sets, whose pictures are those of [`picture`](mod@crate::picture): the number of a class says
//! where its bar lies.

use std::path::Path;

use crate::archive::zip;
use crate::picture::{GREY, Look, SMALL, picture, put};

/// 28×28 grey pixels, row after row, of picture `i` of a class.
pub fn pixels(bar: usize, i: usize) -> Vec<u8> {
    let look = Look {
        width: 28,
        height: 28,
        ..GREY
    };
    picture(bar, i, look).to_luma8().into_raw()
}

/// A file of IDX: the code of its elements, its sizes, and the elements.
pub fn idx_array(code: u8, sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, sizes.len() as u8];
    for size in sizes {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(elements);
    bytes
}

/// The images and the labels of an IDX part with `count` images of each class.
pub fn idx(count: usize, classes: &[u8]) -> [Vec<u8>; 2] {
    let all = (count * classes.len()) as u32;
    let each = || (0..count).flat_map(|i| classes.iter().map(move |&class| (class, i)));
    let images: Vec<u8> = each()
        .flat_map(|(class, i)| pixels(class.into(), i))
        .collect();
    let labels: Vec<u8> = each().map(|(class, _)| class).collect();
    [
        idx_array(8, &[all, 28, 28], &images),
        idx_array(8, &[all], &labels),
    ]
}

/// Writes the two files of a part of MNIST, `train` or `t10k`.
pub fn put_idx(folder: &Path, part: &str, count: usize, classes: &[u8]) {
    for (kind, bytes) in ["images-idx3", "labels-idx1"]
        .iter()
        .zip(idx(count, classes))
    {
        put(&folder.join(format!("{part}-{kind}-ubyte")), bytes);
    }
}

/// A record of CIFAR: its labels, then its pixels in planes.
pub fn record(labels: &[u8], bar: usize, i: usize) -> Vec<u8> {
    let image = picture(bar, i, SMALL).to_rgb8();
    let mut bytes = labels.to_vec();
    for channel in 0..3 {
        bytes.extend(image.pixels().map(|pixel| pixel.0[channel]));
    }
    bytes
}

/// Records of CIFAR-10: picture `i` of each class.
pub fn records(i: usize) -> Vec<u8> {
    (0..10)
        .flat_map(|class| record(&[class], class.into(), i))
        .collect()
}

/// A picture in the order of STL-10: planes, columns before rows.
pub fn by_columns(bar: usize, i: usize) -> Vec<u8> {
    let look = Look {
        width: 96,
        height: 96,
        grey: false,
    };
    let image = picture(bar, i, look).to_rgb8();
    let mut bytes = Vec::new();
    for channel in 0..3 {
        for x in 0..96 {
            bytes.extend((0..96).map(|y| image.get_pixel(x, y).0[channel]));
        }
    }
    bytes
}

/// An array as NumPy stores it: its type, as `|u1`, its axes as Python writes them, as `(12, 8, 8)`, and its elements.
pub fn npy(dtype: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

/// An archive of NumPy arrays by their names.
pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let named = arrays.iter();
    let members = named.map(|(name, bytes)| (format!("{name}.npy"), bytes.clone()));
    zip(&members.collect::<Vec<_>>())
}
