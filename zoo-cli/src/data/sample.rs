//! The embedded sample: 6,000 training and 2,000 test images of Fashion-MNIST (MIT licence, see
//! `sample/LICENSE`), for a first run without a network. `examples/make_sample.rs` made it.

use std::path::Path;

use super::{
    DataError, ImageDataset, ImageShape, Images, Source, channels, classes, inventory::Inventory,
    parts::Parts,
};

const SIDE: usize = 28;
const PADDED_SIDE: usize = 32;
const TRAIN_SHEET: &[u8] = include_bytes!("../../sample/train.png");
const TEST_SHEET: &[u8] = include_bytes!("../../sample/test.png");

/// Cuts a sheet into its tiles, `[28, 28, 1]` each. The rows of tiles are divided evenly among the classes.
fn cut(name: &str, sheet: &[u8]) -> Result<Images, DataError> {
    let decoded = image::load_from_memory_with_format(sheet, image::ImageFormat::Png)
        .map_err(|error| DataError::Decode {
            path: Path::new("sample").join(name),
            problem: error.to_string(),
        })?
        .into_luma8();
    let width = decoded.width() as usize;
    let (columns, rows) = (width / SIDE, decoded.height() as usize / SIDE);
    let mut images = Images::empty(ImageShape::new(SIDE, SIDE, 1));
    let mut tile = [0u8; SIDE * SIDE];
    for row in 0..rows {
        for column in 0..columns {
            for (y, line) in tile.chunks_exact_mut(SIDE).enumerate() {
                let start = (row * SIDE + y) * width + column * SIDE;
                line.copy_from_slice(&decoded.as_raw()[start..start + SIDE]);
            }
            images.push(&tile, (row * classes::FASHION.len() / rows) as u32);
        }
    }
    Ok(images)
}

/// The sample as the classifiers take it: 32×32 RGB, the images padded with black.
///
/// # Errors
/// Only when the embedded bytes cannot be decoded.
pub(crate) fn load() -> Result<ImageDataset, DataError> {
    let part = |name, sheet| {
        Ok(channels::pad(&cut(name, sheet)?, PADDED_SIDE, PADDED_SIDE).with_channels(3))
    };
    let parts = Parts {
        train: Some(part("train.png", TRAIN_SHEET)?),
        test: Some(part("test.png", TEST_SHEET)?),
        label_names: classes::named(&classes::FASHION),
        ..Parts::default()
    };
    let mut inventory = Inventory::of_parts("the embedded sample", &parts);
    inventory.input = Some([PADDED_SIDE, PADDED_SIDE, 3]);
    let empty = || Images::empty(ImageShape::new(PADDED_SIDE, PADDED_SIDE, 3));
    Ok(ImageDataset {
        train: parts.train.unwrap_or_else(empty),
        validation: None,
        test: parts.test.unwrap_or_else(empty),
        label_names: parts.label_names,
        inventory,
        source: Source {
            name: "sample".into(),
            is_sample: true,
            ..Source::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_balanced_and_padded() {
        let data = load().unwrap();
        for (part, each) in [(&data.train, 600), (&data.test, 200)] {
            assert_eq!(part.shape(), ImageShape::new(32, 32, 3));
            assert_eq!(part.pixels.len(), 10 * each * 32 * 32 * 3);
            for class in 0..10 {
                assert_eq!(part.labels.iter().filter(|&&l| l == class).count(), each);
            }
            // Two black rows above, and content in the middle.
            assert!(part.image(7)[..2 * 32 * 3].iter().all(|&v| v == 0));
            assert!(part.image(7).iter().any(|&v| v > 100));
        }
        // Trousers are narrow: their left edge is darker than that of any pullover, on average.
        let left_edge = |class: u32| -> u64 {
            let members = (0..data.train.len()).filter(|&i| data.train.labels[i] == class);
            members
                .map(|i| u64::from(data.train.image(i)[(16 * 32 + 4) * 3]))
                .sum()
        };
        assert!(left_edge(1) * 4 < left_edge(2));
    }
}
