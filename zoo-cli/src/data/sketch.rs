//! Which images a network has learned from, told by a few of their hashes.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Images;

/// How many hashes are kept.
const KEPT: usize = 256;

/// Hexadecimal digits of a hash: too many for two images to share them by chance.
const DIGITS: usize = 12;

/// The smallest hashes of the distinct images of a set, in hexadecimal digits, ascending. Each image has the same chance
/// to be among them, so that they tell how much of another set is of this one (a bottom-k sketch: Cohen, Kaplan,
/// "Summarizing data using bottom-k sketches", 2007).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sketch(String);

/// How much of a set is of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// Images that could be looked for, and those that were found.
    pub(crate) looked_for: usize,
    pub(crate) found: usize,
    /// Whether all could be looked for.
    pub(crate) is_whole: bool,
}

/// What a network has learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The fingerprint of the whole dataset.
    pub fingerprint: String,
    /// The training images.
    pub sketch: Sketch,
}

fn hashes(images: &Images) -> Vec<String> {
    let one = |i: usize| -> String {
        let digest = Sha256::digest(images.image(i));
        digest[..DIGITS / 2]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    (0..images.len()).into_par_iter().map(one).collect()
}

impl Sketch {
    /// Of the images of a set, which all have one shape.
    pub(crate) fn of(images: &Images) -> Self {
        let all: BTreeSet<String> = hashes(images).into_iter().collect();
        Self(all.into_iter().take(KEPT).collect())
    }

    /// How many of these images are of the set.
    pub(crate) fn overlap(&self, images: &Images) -> Overlap {
        let kept: BTreeSet<&str> = (0..self.0.len())
            .step_by(DIGITS)
            .filter_map(|at| self.0.get(at..at + DIGITS))
            .collect();
        let is_whole = kept.len() < KEPT;
        let last = kept.last().copied().unwrap_or_default();
        let mut overlap = Overlap {
            looked_for: 0,
            found: 0,
            is_whole,
        };
        for hash in hashes(images) {
            // Of a larger hash nothing is known where not all are kept.
            if is_whole || hash.as_str() <= last {
                overlap.looked_for += 1;
                overlap.found += usize::from(kept.contains(hash.as_str()));
            }
        }
        overlap
    }
}

impl Overlap {
    /// The sentence on images that a network is tested on and has learned from; none where none were found.
    pub(crate) fn in_words(self) -> Option<String> {
        let share = match (self.found, self.is_whole) {
            (0, _) => return None,
            (found, true) => format!("{found} of the {} images", self.looked_for),
            (found, false) => {
                let percent = 100.0 * found as f64 / self.looked_for as f64;
                format!("about {percent:.0}% of the images")
            }
        };
        Some(format!(
            "{share} that the model is tested on are among those that it was trained on, so that this says little of images \
             that it has not seen"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

    /// Grey images of these numbers.
    fn numbered(numbers: impl IntoIterator<Item = u16>) -> Images {
        let mut images = Images::empty(ImageShape::new(1, 2, 1));
        for number in numbers {
            images.push(&number.to_le_bytes(), 0);
        }
        images
    }

    #[test]
    fn a_small_set_is_known_as_a_whole() {
        let sketch = Sketch::of(&numbered((0..100).chain(0..50)));
        assert_eq!(sketch.0.len(), 100 * DIGITS);
        let overlap = sketch.overlap(&numbered(90..130));
        assert!(overlap.is_whole);
        assert_eq!((overlap.looked_for, overlap.found), (40, 10));
        let said = overlap.in_words().unwrap();
        assert!(
            said.starts_with("10 of the 40 images that the model is tested on"),
            "{said}"
        );
        assert_eq!(sketch.overlap(&numbered(100..300)).in_words(), None);
    }

    #[test]
    fn of_a_large_set_the_share_is_estimated() {
        let sketch = Sketch::of(&numbered(0..20_000));
        assert_eq!(sketch.0.len(), KEPT * DIGITS);
        let share = |numbers: std::ops::Range<u16>| {
            let overlap = sketch.overlap(&numbered(numbers));
            assert!(!overlap.is_whole && overlap.looked_for > 50);
            overlap.found as f64 / overlap.looked_for as f64
        };
        assert_eq!(share(0..20_000), 1.0);
        assert_eq!(share(0..10_000), 1.0);
        assert_eq!(share(20_000..40_000), 0.0);
        // Four standard deviations of a half among some hundreds.
        assert!(
            (share(10_000..30_000) - 0.5).abs() < 0.12,
            "{}",
            share(10_000..30_000)
        );
        let said = sketch.overlap(&numbered(0..20_001)).in_words().unwrap();
        assert!(said.starts_with("about 100% of the images"), "{said}");
    }
}
