//! Random crops, colours and policies of training images: changes of their bytes, before they are flipped, shifted and
//! cut out.
//!
//! As in torchvision: `RandomResizedCrop`, then `RandAugment` (arXiv 1909.13719), then `ColorJitter`, whose four changes
//! come here in a fixed order. What moves in from beyond the border is a reflection of the image.

use gmnm_core::rng::Philox;

use super::super::ImageShape;
use super::pixels::Pixels;
use super::{Augmentation, Jitter};

/// The largest magnitude of a policy.
pub const MAX_MAGNITUDE: usize = 30;
/// Crops that are tried before the whole image is kept.
const TRIES: usize = 10;
/// Height over width of a crop, and its inverse.
const ASPECT: f64 = 4.0 / 3.0;

/// What one change of a policy does, at a strength of 0 to 1 and with either sign.
type Change = fn(Pixels, f32) -> Pixels;

/// The changes of a policy.
const POLICY: [Change; 14] = [
    |image, _| image,
    |image, strength| turned(&image, 30f32.to_radians() * strength),
    |image, strength| sheared(&image, 0.3 * strength, 0.0),
    |image, strength| sheared(&image, 0.0, 0.3 * strength),
    |image, strength| {
        let by = 0.45 * strength * image.shape.width as f32;
        image.moved(|y, x| (y, x + by))
    },
    |image, strength| {
        let by = 0.45 * strength * image.shape.height as f32;
        image.moved(|y, x| (y + by, x))
    },
    |image, strength| image.brightness(1.0 + 0.9 * strength),
    |image, strength| image.contrast(1.0 + 0.9 * strength),
    |image, strength| image.saturation(1.0 + 0.9 * strength),
    |image, strength| image.sharpness(1.0 + 0.9 * strength),
    |image, strength| image.posterized(8 - (4.0 * strength.abs()).round() as u32),
    |image, strength| image.solarized(256.0 * (1.0 - strength.abs())),
    |image, _| image.stretched(),
    |image, _| image.equalized(),
];

/// Draws the distortions of one epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distorter {
    augmentation: Augmentation,
    shape: ImageShape,
    key: u64,
}

impl Distorter {
    /// For images of `shape`; nothing where the settings ask for none.
    pub(super) fn new(
        augmentation: Augmentation,
        shape: ImageShape,
        seed: u64,
        epoch: u64,
    ) -> Option<Self> {
        let name = format!("distortion of epoch {epoch}");
        augmentation.distorts().then(|| Self {
            augmentation,
            shape,
            key: Philox::named(seed, &name).next_u64(),
        })
    }

    /// The pixels of an image as they are seen in its draw number `draw`.
    pub(super) fn apply(&self, draw: usize, pixels: &[u8]) -> Vec<u8> {
        let mut random = Philox::new(self.key, draw as u64);
        let mut image = Pixels {
            bytes: pixels.to_vec(),
            shape: self.shape,
        };
        let Augmentation {
            crop,
            policy,
            magnitude,
            jitter,
            ..
        } = self.augmentation;
        if crop > 0.0 {
            image = cropped(image, crop, &mut random);
        }
        for _ in 0..policy {
            let change = POLICY[random.below(POLICY.len() as u64) as usize];
            let strength = magnitude as f32 / MAX_MAGNITUDE as f32;
            let sign = [1.0, -1.0][random.below(2) as usize];
            image = change(image, sign * strength);
        }
        jittered(image, jitter, &mut random).bytes
    }
}

/// A random part of an image, of at least `least` of its area, brought to its size.
fn cropped(image: Pixels, least: f64, random: &mut Philox) -> Pixels {
    let ImageShape { height, width, .. } = image.shape;
    for _ in 0..TRIES {
        let area = (least + (1.0 - least) * random.uniform()) * (height * width) as f64;
        let aspect = ASPECT.powf(2.0 * random.uniform() - 1.0);
        let rows = ((area * aspect).sqrt().round() as usize).max(1);
        let columns = ((area / aspect).sqrt().round() as usize).max(1);
        if rows > height || columns > width {
            continue;
        }
        let top = random.below((height - rows + 1) as u64) as f32;
        let left = random.below((width - columns + 1) as u64) as f32;
        // The part is never larger than the image: each of its pixels covers one or more of the new ones.
        let along = |at: f32, from: f32, part: usize, size: usize| {
            let inside = (at + 0.5) * part as f32 / size as f32 - 0.5;
            from + inside.clamp(0.0, (part - 1) as f32)
        };
        return image.moved(|y, x| {
            let row = along(y, top, rows, height);
            (row, along(x, left, columns, width))
        });
    }
    image
}

fn jittered(mut image: Pixels, jitter: Jitter, random: &mut Philox) -> Pixels {
    let changes: [(f64, Change); 3] = [
        (jitter.brightness, Pixels::brightness),
        (jitter.contrast, Pixels::contrast),
        (jitter.saturation, Pixels::saturation),
    ];
    for (reach, change) in changes {
        if reach > 0.0 {
            let (low, high) = ((1.0 - reach).max(0.0), 1.0 + reach);
            let factor = low + (high - low) * random.uniform();
            image = change(image, factor as f32);
        }
    }
    if jitter.hue > 0.0 {
        let turn = jitter.hue * (2.0 * random.uniform() - 1.0);
        image = image.hue(turn as f32);
    }
    image
}

/// An image turned about its middle, by an angle in radians.
fn turned(image: &Pixels, angle: f32) -> Pixels {
    let (sin, cos) = angle.sin_cos();
    about_middle(image, |y, x| (cos * y + sin * x, cos * x - sin * y))
}

/// An image sheared about its middle, along its rows and along its columns.
fn sheared(image: &Pixels, along_rows: f32, along_columns: f32) -> Pixels {
    about_middle(image, |y, x| (y + along_columns * x, x + along_rows * y))
}

fn about_middle(image: &Pixels, from: impl Fn(f32, f32) -> (f32, f32)) -> Pixels {
    let middle = |size: usize| (size as f32 - 1.0) / 2.0;
    let (y0, x0) = (middle(image.shape.height), middle(image.shape.width));
    image.moved(|y, x| {
        let (row, column) = from(y - y0, x - x0);
        (row + y0, column + x0)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 8,
        width: 6,
        channels: 3,
    };

    fn pixels() -> Vec<u8> {
        (0..SHAPE.len()).map(|i| (i * 89 % 253) as u8).collect()
    }

    fn apply(augmentation: Augmentation, epoch: u64, draw: usize) -> Vec<u8> {
        let distorter = Distorter::new(augmentation, SHAPE, 3, epoch).expect("it distorts");
        distorter.apply(draw, &pixels())
    }

    fn all() -> Augmentation {
        Augmentation {
            crop: 0.3,
            policy: 2,
            magnitude: 9,
            jitter: Jitter {
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.4,
                hue: 0.1,
            },
            ..Augmentation::default()
        }
    }

    #[test]
    fn nothing_is_distorted_by_default() {
        assert!(Distorter::new(Augmentation::default(), SHAPE, 0, 0).is_none());
    }

    #[test]
    fn draws_depend_on_epoch_and_image_alone() {
        assert_eq!(apply(all(), 2, 5), apply(all(), 2, 5));
        let seen: BTreeSet<Vec<u8>> = (0..20).map(|draw| apply(all(), 2, draw)).collect();
        assert_eq!(seen.len(), 20);
        assert_ne!(apply(all(), 2, 5), apply(all(), 3, 5));
    }

    #[test]
    fn each_setting_alone_changes_images_and_keeps_their_size() {
        let crop = Augmentation {
            crop: 0.3,
            ..Augmentation::default()
        };
        let policy = Augmentation {
            policy: 1,
            magnitude: 20,
            ..Augmentation::default()
        };
        let jitter = Augmentation {
            jitter: all().jitter,
            ..Augmentation::default()
        };
        for augmentation in [crop, policy, jitter] {
            let seen: BTreeSet<Vec<u8>> = (0..40).map(|i| apply(augmentation, 0, i)).collect();
            assert!(seen.len() > 8, "{augmentation:?}");
            assert!(seen.iter().all(|image| image.len() == SHAPE.len()));
        }
    }

    #[test]
    fn a_crop_shows_a_part_of_the_image() {
        // A ramp along each axis: a part of it is a ramp between fewer values.
        let bytes: Vec<u8> = (0..16 * 16)
            .map(|i| (8 * (i % 16) + i / 16) as u8)
            .collect();
        let image = Pixels {
            bytes,
            shape: ImageShape::new(16, 16, 1),
        };
        let mut random = Philox::named(1, "crops");
        let mut least = 16.0f32;
        for _ in 0..60 {
            let part = cropped(image.clone(), 0.25, &mut random);
            let row = &part.bytes[..16];
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
            let width = f32::from(row[15] - row[0]) / 8.0 + 1.0;
            let height = f32::from(part.bytes[240] - part.bytes[0]) + 1.0;
            let area = width * height / 256.0;
            assert!((0.15..=1.0).contains(&area), "{area}");
            least = least.min(width);
        }
        assert!(least < 11.0, "{least}");
        // Of the whole image nothing is lost.
        assert_eq!(cropped(image.clone(), 1.0, &mut random).bytes.len(), 256);
    }

    #[test]
    fn a_policy_without_strength_changes_no_places() {
        let image = Pixels {
            bytes: pixels(),
            shape: SHAPE,
        };
        // Those that are as they are at 0; the last two have no strength.
        for change in &POLICY[..12] {
            assert_eq!(change(image.clone(), 0.0), image);
        }
        let quarter = turned(
            &Pixels {
                bytes: vec![1, 2, 3, 4],
                shape: ImageShape::new(2, 2, 1),
            },
            90f32.to_radians(),
        );
        assert!([[2, 4, 1, 3], [3, 1, 4, 2]].contains(&[
            quarter.bytes[0],
            quarter.bytes[1],
            quarter.bytes[2],
            quarter.bytes[3]
        ]));
    }

    #[test]
    fn a_single_pixel_survives_everything() {
        let shape = ImageShape::new(1, 1, 1);
        let distorter = Distorter::new(all(), shape, 0, 0).expect("it distorts");
        for draw in 0..50 {
            assert_eq!(distorter.apply(draw, &[77]).len(), 1);
        }
    }
}
