//! Random changes of training images: crops, policies, colours, flips, translations and cut-outs.
//!
//! What is drawn depends on (seed, epoch, index of the image) alone: not on the order of the batches, the
//! number of threads, or what was drawn before.

mod distort;
mod pixels;

use gmnm_core::rng::Philox;
use serde::{Deserialize, Serialize};

use self::distort::Distorter;
use super::{ImageShape, normalise::Normaliser};

pub use self::distort::MAX_MAGNITUDE;

/// Which images are mirrored left to right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// None of them.
    #[default]
    None,
    /// Each with probability ½ in every epoch.
    Random,
    /// A random half in the first epoch, the other half in the next, and so on by turns: an image is seen
    /// both ways in any two epochs (Keller Jordan, arXiv 2404.00498, section 3.6).
    Alternating,
}

/// How far the colours of training images are changed; 0 leaves them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// Each image's brightness is multiplied by a factor from 1 − this, at least 0, to 1 + this.
    pub brightness: f64,
    /// The same for its contrast: the distance of values from their mean.
    pub contrast: f64,
    /// The same for its saturation: the distance of colours from grey.
    pub saturation: f64,
    /// Hues are turned by up to this part of their circle either way, at most ½.
    pub hue: f64,
}

/// How training images are varied. The default varies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Mirroring.
    pub flip: Flip,
    /// Shifts by up to this many pixels along each axis; what moves in is a reflection of the image at its
    /// border (the border itself is not repeated). Capped at the size less one.
    pub translate: usize,
    /// Side of a square set to the mean, its centre anywhere in the image, in pixels; 0 is off
    /// (DeVries and Taylor, arXiv 1708.04552).
    pub cutout: usize,
    /// The least part of an image's area that a random crop shows, brought to the whole size, in 0..1; 0 crops nothing.
    /// Its aspect differs from the image's by up to 4/3 (torchvision's `RandomResizedCrop`).
    pub crop: f64,
    /// Changes of each image that are drawn from a policy of fourteen; 0 is off (RandAugment, arXiv 1909.13719).
    pub policy: usize,
    /// How strong they are, in 0..=30.
    pub magnitude: usize,
    /// Changes of colours.
    pub jitter: Jitter,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip: Flip::None,
            translate: 0,
            cutout: 0,
            crop: 0.0,
            policy: 0,
            magnitude: 9,
            jitter: Jitter::default(),
        }
    }
}

impl Augmentation {
    /// Whether the bytes of an image change in more than their places.
    pub(super) fn distorts(&self) -> bool {
        self.crop > 0.0 || self.policy > 0 || self.jitter != Jitter::default()
    }
}

/// Where each pixel of one varied image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variation {
    /// For each row of the varied image, the row that it was.
    pub(super) rows: Vec<usize>,
    /// For each column of the varied image, the column that it was.
    pub(super) columns: Vec<usize>,
    /// Rows and columns of the cut-out in the varied image.
    pub(super) hole: [std::ops::Range<usize>; 2],
}

/// Draws the variations of one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Augmenter {
    augmentation: Augmentation,
    shape: ImageShape,
    epoch: u64,
    flip_key: u64,
    epoch_key: u64,
    distorter: Option<Distorter>,
}

/// `position` mirrored back into 0..size at either border; at most one reflection is needed.
fn reflect(position: isize, size: usize) -> usize {
    let last = size as isize - 1;
    let inside = position.abs();
    (if inside > last {
        2 * last - inside
    } else {
        inside
    }) as usize
}

impl Augmenter {
    pub(crate) fn new(
        augmentation: Augmentation,
        shape: ImageShape,
        seed: u64,
        epoch: u64,
    ) -> Self {
        let key = |name: &str| Philox::named(seed, name).next_u64();
        Self {
            augmentation,
            shape,
            epoch,
            flip_key: key("augmentation: flips of the first epoch"),
            epoch_key: key(&format!("augmentation of epoch {epoch}")),
            distorter: Distorter::new(augmentation, shape, seed, epoch),
        }
    }

    /// Writes the normalised pixels of an image as they are seen in its draw `index` to `output`, which has the same
    /// length.
    pub(crate) fn apply(
        &self,
        index: usize,
        pixels: &[u8],
        normaliser: &Normaliser,
        output: &mut [f32],
    ) {
        let distorted = self
            .distorter
            .map(|distorter| distorter.apply(index, pixels));
        let pixels = distorted.as_deref().unwrap_or(pixels);
        self.draw(index).apply(pixels, normaliser, output);
    }

    /// The variation of the image with this index.
    pub(crate) fn draw(&self, index: usize) -> Variation {
        let mut random = Philox::new(self.epoch_key, index as u64);
        let Augmentation {
            flip,
            translate,
            cutout,
            ..
        } = self.augmentation;
        let flipped = match flip {
            Flip::None => false,
            Flip::Random => random.below(2) == 1,
            Flip::Alternating => {
                (Philox::new(self.flip_key, index as u64).below(2) + self.epoch) % 2 == 1
            }
        };
        let mut axis = |size: usize| -> Vec<usize> {
            let reach = translate.min(size.saturating_sub(1));
            let shift = random.below(2 * reach as u64 + 1) as isize - reach as isize;
            (0..size as isize)
                .map(|i| reflect(i + shift, size))
                .collect()
        };
        let rows = axis(self.shape.height);
        let mut columns = axis(self.shape.width);
        if flipped {
            columns.reverse();
        }
        let hole = [self.shape.height, self.shape.width].map(|size| {
            if cutout == 0 {
                return 0..0;
            }
            let centre = random.below(size as u64) as usize;
            let start = centre.saturating_sub(cutout / 2);
            start..(centre + cutout.div_ceil(2)).min(size)
        });
        Variation {
            rows,
            columns,
            hole,
        }
    }
}

impl Variation {
    /// Writes the normalised pixels of one varied `[height, width, channels]` image to `output`, which has the
    /// same length. A cut-out is 0, the mean.
    pub(crate) fn apply(&self, pixels: &[u8], normaliser: &Normaliser, output: &mut [f32]) {
        let channels = normaliser.channels();
        let line = self.columns.len() * channels;
        let [hole_rows, hole_columns] = &self.hole;
        for (y, (&row, output)) in self
            .rows
            .iter()
            .zip(output.chunks_exact_mut(line))
            .enumerate()
        {
            let source = &pixels[row * line..(row + 1) * line];
            for (&column, value) in self.columns.iter().zip(output.chunks_exact_mut(channels)) {
                normaliser.apply(&source[column * channels..(column + 1) * channels], value);
            }
            if hole_rows.contains(&y) {
                output[hole_columns.start * channels..hole_columns.end * channels].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 4,
        width: 5,
        channels: 1,
    };

    fn draw(augmentation: Augmentation, seed: u64, epoch: u64, index: usize) -> Variation {
        Augmenter::new(augmentation, SHAPE, seed, epoch).draw(index)
    }

    #[test]
    fn reflection_is_that_of_numpy() {
        // numpy.pad(numpy.arange(4), 3, mode="reflect")
        let padded: Vec<usize> = (-3..7).map(|i| reflect(i, 4)).collect();
        assert_eq!(padded, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflect(0, 1), 0);
    }

    #[test]
    fn nothing_is_varied_by_default() {
        let variation = draw(Augmentation::default(), 1, 2, 3);
        assert_eq!(variation.rows, [0, 1, 2, 3]);
        assert_eq!(variation.columns, [0, 1, 2, 3, 4]);
        assert!(variation.hole.iter().all(|range| range.is_empty()));
    }

    #[test]
    fn a_varied_image_is_the_definition_applied() {
        let pixels: Vec<u8> = (0..20).collect();
        let normaliser = Normaliser::new(&[0.5], &[0.25]);
        let variation = Variation {
            rows: vec![1, 0, 1, 2],
            columns: vec![4, 3, 2, 1, 0],
            hole: [2..4, 0..2],
        };
        let mut output = vec![f32::NAN; 20];
        variation.apply(&pixels, &normaliser, &mut output);
        for y in 0..4 {
            for x in 0..5 {
                let byte = f32::from(pixels[variation.rows[y] * 5 + variation.columns[x]]);
                let expected = if y >= 2 && x < 2 {
                    0.0
                } else {
                    (byte / 255.0 - 0.5) / 0.25
                };
                assert_eq!(output[y * 5 + x], expected, "({y}, {x})");
            }
        }
    }

    #[test]
    fn alternating_flips_take_turns() {
        let augmentation = Augmentation {
            flip: Flip::Alternating,
            ..Augmentation::default()
        };
        let flipped = |epoch, index| draw(augmentation, 7, epoch, index).columns[0] == 4;
        let first: Vec<bool> = (0..400).map(|index| flipped(0, index)).collect();
        let count = first.iter().filter(|&&flip| flip).count();
        assert!((150..250).contains(&count), "{count}");
        for (index, &flip) in first.iter().enumerate() {
            assert_ne!(flipped(1, index), flip);
            assert_eq!(flipped(2, index), flip);
        }
    }

    #[test]
    fn every_shift_and_both_flips_occur() {
        let augmentation = Augmentation {
            flip: Flip::Random,
            translate: 2,
            cutout: 3,
            ..Augmentation::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..400 {
            let Variation {
                rows,
                columns,
                hole,
            } = draw(augmentation, 0, 5, index);
            assert!(
                hole.iter().all(|range| (1..=3).contains(&range.len())),
                "{hole:?}"
            );
            assert!(hole[0].end <= 4 && hole[1].end <= 5);
            seen.insert((rows, columns));
        }
        // Five shifts of the rows; of the columns too, of which two are palindromes.
        assert_eq!(seen.len(), 5 * (5 + 3));
        assert_eq!(draw(augmentation, 0, 5, 3), draw(augmentation, 0, 5, 3));
        assert_ne!(
            (0..9)
                .map(|i| draw(augmentation, 0, 5, i))
                .collect::<Vec<_>>(),
            (0..9)
                .map(|i| draw(augmentation, 0, 6, i))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_single_pixel_survives_every_augmentation() {
        let augmentation = Augmentation {
            flip: Flip::Random,
            translate: 4,
            cutout: 8,
            ..Augmentation::default()
        };
        let variation = Augmenter::new(augmentation, ImageShape::new(1, 1, 3), 0, 0).draw(0);
        let mut output = [1.0; 3];
        variation.apply(
            &[255; 3],
            &Normaliser::new(&[0.0; 3], &[1.0; 3]),
            &mut output,
        );
        assert_eq!(output, [0.0; 3]);
    }
}
