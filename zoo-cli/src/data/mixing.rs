//! Training images that are made of two: mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899).
//!
//! What is drawn depends on (seed, epoch, image) alone: the second image is any of the training images.

use std::ops::Range;

use gmnm_core::rng::Philox;
use serde::{Deserialize, Serialize};

use super::ImageShape;

/// How images are mixed. The default mixes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixing {
    /// Each image is added to another, their shares from a Beta(α, α) distribution with this α; 0 is off.
    pub mixup: f64,
    /// A part of another takes the place of that part of each image, its share of the area from a Beta(α, α)
    /// distribution; 0 is off. With mixup, too, either is drawn for each image.
    pub cutmix: f64,
}

/// Draws the mixtures of one epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mixer {
    mixing: Mixing,
    shape: ImageShape,
    key: u64,
}

/// What is made of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    /// The index of the other image.
    pub(super) other: usize,
    /// The share of the first one.
    pub(super) share: f32,
    /// Rows and columns of the other one; none where it is added everywhere.
    place: Option<[Range<usize>; 2]>,
}

impl Mixer {
    /// For images of `shape`; nothing where none are mixed.
    pub(super) fn new(mixing: Mixing, shape: ImageShape, seed: u64, epoch: u64) -> Option<Self> {
        let name = format!("mixtures of epoch {epoch}");
        (mixing != Mixing::default()).then(|| Self {
            mixing,
            shape,
            key: Philox::named(seed, &name).next_u64(),
        })
    }

    /// The mixture of the image with the draw number `draw` with one of those with these indices.
    pub(super) fn draw(&self, draw: usize, others: &[usize]) -> Mixture {
        let mut random = Philox::new(self.key, draw as u64);
        let other = others[random.below(others.len() as u64) as usize];
        let Mixing { mixup, cutmix } = self.mixing;
        let adds = cutmix == 0.0 || mixup > 0.0 && random.below(2) == 0;
        let share = beta(if adds { mixup } else { cutmix }, &mut random);
        if adds {
            return Mixture {
                other,
                share: share as f32,
                place: None,
            };
        }
        let side = (1.0 - share).sqrt();
        let ImageShape { height, width, .. } = self.shape;
        let place = [height, width].map(|size| {
            let half = (side * size as f64 / 2.0).round() as usize;
            let middle = random.below(size as u64) as usize;
            middle.saturating_sub(half)..(middle + half).min(size)
        });
        let area = place[0].len() * place[1].len();
        Mixture {
            other,
            // The border may have cut some off.
            share: 1.0 - area as f32 / (height * width) as f32,
            place: Some(place),
        }
    }
}

impl Mixture {
    /// Puts the other image's normalised pixels into those of the first, both of `shape`.
    pub(super) fn apply(&self, other: &[f32], pixels: &mut [f32], shape: ImageShape) {
        match &self.place {
            None => {
                for (value, other) in pixels.iter_mut().zip(other) {
                    *value = self.share * *value + (1.0 - self.share) * other;
                }
            }
            Some([rows, columns]) => {
                for row in rows.clone() {
                    let line = |column: usize| (row * shape.width + column) * shape.channels;
                    let part = line(columns.start)..line(columns.end);
                    pixels[part.clone()].copy_from_slice(&other[part]);
                }
            }
        }
    }
}

/// A number from a Beta(α, α) distribution.
fn beta(alpha: f64, random: &mut Philox) -> f64 {
    let [a, b] = [gamma(alpha, random), gamma(alpha, random)];
    // Both are 0 where α is so small that either end is all there is.
    match a + b > 0.0 {
        true => a / (a + b),
        false => random.below(2) as f64,
    }
}

/// A number from a Gamma(α, 1) distribution (Marsaglia and Tsang, 2000).
fn gamma(alpha: f64, random: &mut Philox) -> f64 {
    if alpha < 1.0 {
        let lift = random.uniform().powf(1.0 / alpha);
        return gamma(alpha + 1.0, random) * lift;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = random.normal();
        let v = (1.0 + c * x).powi(3);
        let u = random.uniform();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 8,
        width: 6,
        channels: 2,
    };

    fn mixtures(mixup: f64, cutmix: f64) -> Vec<Mixture> {
        let mixing = Mixing { mixup, cutmix };
        let mixer = Mixer::new(mixing, SHAPE, 1, 2).expect("it mixes");
        let others: Vec<usize> = (10..30).collect();
        (0..400).map(|draw| mixer.draw(draw, &others)).collect()
    }

    #[test]
    fn shares_are_of_a_beta_distribution() {
        for alpha in [0.2, 1.0, 3.0] {
            let all = mixtures(alpha, 0.0);
            let mean = all.iter().map(|m| f64::from(m.share)).sum::<f64>() / 400.0;
            let square = |m: &Mixture| (f64::from(m.share) - 0.5).powi(2);
            let variance = all.iter().map(square).sum::<f64>() / 400.0;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.06, "{alpha}: {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.2,
                "{alpha}: {variance}"
            );
            assert!(
                all.iter()
                    .all(|m| (10..30).contains(&m.other) && m.place.is_none())
            );
        }
        // An α near 0 leaves whole images, not numbers that are none.
        assert!(
            mixtures(1e-4, 0.0)
                .iter()
                .all(|m| (0.0..1e-6).contains(&m.share) || (1.0 - 1e-6..=1.0).contains(&m.share))
        );
    }

    #[test]
    fn a_share_is_what_is_seen_of_an_image() {
        let (first, other) = (vec![1.0f32; 96], vec![0.0f32; 96]);
        for mixture in mixtures(0.0, 1.0).iter().chain(&mixtures(1.0, 1.0)) {
            let mut pixels = first.clone();
            mixture.apply(&other, &mut pixels, SHAPE);
            let seen = pixels.iter().sum::<f32>() / 96.0;
            assert!((seen - mixture.share).abs() < 1e-5, "{mixture:?} {seen}");
        }
        let both = mixtures(1.0, 1.0);
        let added = both
            .iter()
            .filter(|mixture| mixture.place.is_none())
            .count();
        assert!((150..250).contains(&added), "{added}");
        assert_eq!(both, mixtures(1.0, 1.0));
    }
}
