//! The size that images are brought to, as a recipe gives it.

use serde::{Deserialize, Serialize};

/// The longest side in pixels.
const LONGEST: usize = 1024;

/// A height and a width in pixels, or those that the data have: `[48]`, or 48, for squares, `[32, 64]`, and `[]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<usize>", into = "Vec<usize>")]
pub struct ImageSize(Option<(usize, usize)>);

impl ImageSize {
    /// Height and width; none for those that the data have.
    pub fn get(self) -> Option<(usize, usize)> {
        self.0
    }
}

impl TryFrom<Vec<usize>> for ImageSize {
    type Error = String;

    fn try_from(sides: Vec<usize>) -> Result<Self, String> {
        let size = match sides.as_slice() {
            [] => return Ok(Self(None)),
            &[side] => (side, side),
            &[height, width] => (height, width),
            _ => return Err("an image has one height and one width, as in `[32, 64]`".into()),
        };
        for side in [size.0, size.1] {
            if !(1..=LONGEST).contains(&side) {
                return Err(format!(
                    "a side of images has 1 to {LONGEST} pixels, not {side}"
                ));
            }
        }
        Ok(Self(Some(size)))
    }
}

impl From<ImageSize> for Vec<usize> {
    fn from(size: ImageSize) -> Self {
        size.0
            .map_or_else(Vec::new, |(height, width)| vec![height, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        for (given, expected) in [
            (vec![], Ok(vec![])),
            (vec![48], Ok(vec![48, 48])),
            (vec![32, 1024], Ok(vec![32, 1024])),
            (vec![0], Err("1 to 1024 pixels, not 0")),
            (vec![32, 1025], Err("1 to 1024 pixels, not 1025")),
            (vec![1, 2, 3], Err("one height and one width")),
        ] {
            match (ImageSize::try_from(given), expected) {
                (Ok(size), Ok(written)) => assert_eq!(Vec::from(size), written),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}
