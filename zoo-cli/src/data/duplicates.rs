//! Images that lie in a dataset more than once.
//!
//! Two images are equal when all their bytes are, at the size at which they are given. A test image nearly equals
//! another when at most [`FAR`] of the 64 signs of their difference hashes differ (a sign says which of two neighbours
//! of an 8×9 grid is brighter) and the pixels of their 16×16 thumbnails differ by at most a tenth of their deviation.
//! Images without contrast have no near ones. Hashes are looked up by their parts, and of each test image at most
//! [`MOST_COMPARED`] candidates are compared pixel by pixel.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Images, inventory::Duplicates, parts::Parts};

/// Signs in which the hashes of images that are nearly equal may differ.
const FAR: u32 = 4;

/// Parts of a hash: one more than signs may differ, so that one part at least is the same.
const BANDS: u32 = FAR + 1;

/// Bits of a part of a hash.
const BAND_BITS: u32 = 13;

/// Candidates for one image whose thumbnails are compared.
const MOST_COMPARED: usize = 256;

/// Candidates for one image whose hashes are compared, in each part of the hash.
const MOST_LOOKED_UP: usize = 20_000;

/// Rows and columns of a thumbnail.
const SIDE: usize = 16;

/// The largest difference of the thumbnails of images that are nearly equal, in parts of their deviation.
const ALIKE: f64 = 0.1;

/// An image whose thumbnail deviates less, in levels of 255, has no contrast.
const CONTRAST: f64 = 4.0;

/// Counts the duplicates in the parts of a dataset.
pub(super) fn count(parts: &Parts) -> Duplicates {
    let all = [&parts.train, &parts.validation, &parts.test];
    let Some(shape) = all.iter().find_map(|part| Some(part.as_ref()?.shape())) else {
        return Duplicates::default();
    };
    let mut found = Duplicates {
        compared: [shape.height, shape.width, shape.channels],
        ..Duplicates::default()
    };
    let mut learned: HashSet<[u8; 32]> = HashSet::new();
    let known = [&parts.train, &parts.validation];
    let mut earlier: Vec<&Images> = Vec::new();
    for images in known.into_iter().flatten() {
        let mut own = HashSet::new();
        for digest in digests(images) {
            found.within_parts += usize::from(!own.insert(digest));
        }
        learned.extend(own);
        earlier.push(images);
    }
    let Some(test) = &parts.test else {
        return found;
    };
    let mut own = HashSet::new();
    let mut further = Vec::new();
    for (i, digest) in digests(test).into_iter().enumerate() {
        found.within_parts += usize::from(!own.insert(digest));
        match learned.contains(&digest) {
            true => found.between_parts += 1,
            false => further.push(i),
        }
    }
    found.near = near(&earlier, test, &further);
    found
}

/// The SHA-256 of each image.
fn digests(images: &Images) -> Vec<[u8; 32]> {
    let indices = 0..images.len();
    let digest = |i| Sha256::digest(images.image(i)).into();
    indices.into_par_iter().map(digest).collect()
}

/// What is compared of an image.
struct Print {
    hash: u64,
    /// `[SIDE, SIDE, channels]`
    thumbnail: Vec<u8>,
}

/// How many of the images of `test` at `indices` nearly equal one of `earlier`.
fn near(earlier: &[&Images], test: &Images, indices: &[usize]) -> usize {
    let mut known: Vec<Print> = Vec::new();
    for images in earlier
        .iter()
        .filter(|images| images.channels == test.channels)
    {
        let prints = (0..images.len()).into_par_iter();
        known.par_extend(prints.filter_map(|i| print(images, i)));
    }
    let mut bands: HashMap<(u32, u64), Vec<u32>> = HashMap::new();
    for (i, print) in known.iter().enumerate() {
        for band in 0..BANDS {
            bands
                .entry((band, part(print.hash, band)))
                .or_default()
                .push(i as u32);
        }
    }
    let is_near = |&i: &usize| {
        let Some(print) = print(test, i) else {
            return false;
        };
        let mut compared = 0;
        for band in 0..BANDS {
            let Some(candidates) = bands.get(&(band, part(print.hash, band))) else {
                continue;
            };
            for &candidate in candidates.iter().take(MOST_LOOKED_UP) {
                let candidate = &known[candidate as usize];
                if (candidate.hash ^ print.hash).count_ones() > FAR {
                    continue;
                }
                if are_alike(&candidate.thumbnail, &print.thumbnail) {
                    return true;
                }
                compared += 1;
                if compared == MOST_COMPARED {
                    return false;
                }
            }
        }
        false
    };
    indices.par_iter().filter(|i| is_near(i)).count()
}

/// One part of a hash.
fn part(hash: u64, band: u32) -> u64 {
    (hash >> (band * BAND_BITS)) & ((1 << BAND_BITS) - 1)
}

/// What is compared of image `i`; none where it has no contrast.
fn print(images: &Images, i: usize) -> Option<Print> {
    let shape = images.shape();
    if shape.is_empty() {
        return None;
    }
    let pixels = images.image(i);
    let thumbnail: Vec<u8> = grid(pixels, images, SIDE, SIDE)
        .iter()
        .map(|value| value.round() as u8)
        .collect();
    if deviation(&thumbnail) < CONTRAST {
        return None;
    }
    let cells = grid(pixels, images, 8, 9);
    let brightness: Vec<f32> = cells
        .chunks_exact(images.channels)
        .map(|cell| cell.iter().sum())
        .collect();
    let mut hash = 0;
    for row in brightness.chunks_exact(9) {
        for pair in row.windows(2) {
            hash = (hash << 1) | u64::from(pair[0] < pair[1]);
        }
    }
    Some(Print { hash, thumbnail })
}

/// The means of the pixels over `rows` × `columns` cells; a cell has one pixel at least.
fn grid(pixels: &[u8], images: &Images, rows: usize, columns: usize) -> Vec<f32> {
    let (height, width, channels) = (images.height, images.width, images.channels);
    let bounds = |cell: usize, cells: usize, length: usize| {
        let from = cell * length / cells;
        from..((cell + 1) * length / cells).max(from + 1)
    };
    let mut means = Vec::with_capacity(rows * columns * channels);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..channels {
                let (mut sum, mut count) = (0u32, 0u32);
                for y in bounds(row, rows, height) {
                    for x in bounds(column, columns, width) {
                        sum += u32::from(pixels[(y * width + x) * channels + channel]);
                        count += 1;
                    }
                }
                means.push(sum as f32 / count as f32);
            }
        }
    }
    means
}

fn deviation(values: &[u8]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
    (squares.sum::<f64>() / n).sqrt()
}

fn are_alike(a: &[u8], b: &[u8]) -> bool {
    let pairs = a.iter().zip(b);
    let squares: f64 = pairs
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum();
    let difference = (squares / a.len().max(1) as f64).sqrt();
    difference <= ALIKE * deviation(a).min(deviation(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

    /// Noise in blocks of 4×4 pixels.
    fn image(seed: u32) -> Vec<u8> {
        let block = |y: usize, x: usize, channel: usize| {
            let place = ((y / 4 * 8 + x / 4) * 3 + channel + 1) as u32;
            let mut state = seed ^ place.wrapping_mul(0x9e37_79b9);
            for _ in 0..3 {
                state = (state ^ (state >> 15)).wrapping_mul(0x85eb_ca6b);
            }
            (state >> 24) as u8
        };
        let places = (0..32).flat_map(|y| (0..32).map(move |x| (y, x)));
        places
            .flat_map(|(y, x)| (0..3).map(move |channel| block(y, x, channel)))
            .collect()
    }

    fn images(all: &[Vec<u8>]) -> Option<Images> {
        let mut images = Images::empty(ImageShape::new(32, 32, 3));
        all.iter().for_each(|image| images.push(image, 0));
        Some(images)
    }

    /// As stored once more by a lossy format.
    fn stored_again(image: &[u8]) -> Vec<u8> {
        let change = |(i, &value): (usize, &u8)| value.saturating_add((i * 7 % 5) as u8);
        image.iter().enumerate().map(change).collect()
    }

    #[test]
    fn equal_and_nearly_equal_images_are_counted() {
        let parts = Parts {
            train: images(&[image(1), image(2), image(1), image(3), image(1)]),
            validation: images(&[image(4)]),
            test: images(&[
                image(2),
                image(4),
                stored_again(&image(3)),
                image(5),
                image(6),
                image(6),
            ]),
            ..Parts::default()
        };
        assert_eq!(
            count(&parts),
            Duplicates {
                compared: [32, 32, 3],
                within_parts: 3,
                between_parts: 2,
                near: 1,
            }
        );
    }

    #[test]
    fn images_that_differ_in_colour_or_have_no_contrast_are_not_near() {
        let turned: Vec<u8> = image(1)
            .chunks_exact(3)
            .flat_map(|pixel| [pixel[2], pixel[0], pixel[1]])
            .collect();
        let flat = |value: u8| vec![value; 32 * 32 * 3];
        let parts = Parts {
            train: images(&[image(1), flat(100)]),
            test: images(&[turned, flat(101)]),
            ..Parts::default()
        };
        let found = count(&parts);
        assert_eq!((found.between_parts, found.near), (0, 0));
    }

    #[test]
    fn many_images_of_one_hash_are_soon_compared() {
        // Alike enough for the hash, not for the pixels.
        let bar = |i: usize| {
            let mut image = vec![0; 32 * 32 * 3];
            image[..3 * (32 * 2 + i)].fill(255);
            image
        };
        let many: Vec<Vec<u8>> = (0..2000).map(|i| bar(i % 900)).collect();
        let parts = Parts {
            train: images(&many),
            test: images(
                &(0..200)
                    .map(|i| stored_again(&bar(i % 900)))
                    .collect::<Vec<_>>(),
            ),
            ..Parts::default()
        };
        let started = std::time::Instant::now();
        count(&parts);
        assert!(started.elapsed().as_secs() < 60);
    }

    #[test]
    fn tiny_images_are_compared_too() {
        let mut one = Images::empty(ImageShape::new(1, 2, 1));
        one.push(&[0, 255], 0);
        let parts = Parts {
            train: Some(one.clone()),
            test: Some(one),
            ..Parts::default()
        };
        assert_eq!(count(&parts).between_parts, 1);
        assert_eq!(count(&Parts::default()), Duplicates::default());
    }
}
