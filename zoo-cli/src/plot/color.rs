//! Colours: a palette for series and maps for fields.

use super::canvas::Color;

/// Series colours that stay apart for colour-blind readers and in grey (Okabe and Ito, without yellow).
const PALETTE: [Color; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0x56, 0xb4, 0xe9],
    [0xe6, 0x9f, 0x00],
    [0x44, 0x44, 0x44],
];

/// The colour of series number `index`.
pub(super) fn series(index: usize) -> Color {
    PALETTE[index % PALETTE.len()]
}

/// A map from [0, 1] to colours of even perceived steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorMap {
    /// Dark violet to yellow, for values (matplotlib's viridis, sampled).
    #[default]
    Viridis,
    /// Blue over white to red, for signed errors: 0.5 is white (ColorBrewer's RdBu, reversed).
    Diverging,
}

const VIRIDIS: [Color; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

const DIVERGING: [Color; 11] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

impl ColorMap {
    /// The colour at `t`, clamped to [0, 1]; a value that is not a number is grey.
    pub(super) fn rgb(self, t: f64) -> Color {
        if t.is_nan() {
            return [190, 190, 190];
        }
        let table = match self {
            Self::Viridis => &VIRIDIS,
            Self::Diverging => &DIVERGING,
        };
        let position = t.clamp(0.0, 1.0) * (table.len() - 1) as f64;
        let low = (position as usize).min(table.len() - 2);
        let part = position - low as f64;
        std::array::from_fn(|c| {
            let (a, b) = (f64::from(table[low][c]), f64::from(table[low + 1][c]));
            (a + (b - a) * part).round() as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_are_the_tables() {
        assert_eq!(ColorMap::Viridis.rgb(-1.0), VIRIDIS[0]);
        assert_eq!(ColorMap::Viridis.rgb(2.0), VIRIDIS[10]);
        assert_eq!(ColorMap::Diverging.rgb(0.5), [247, 247, 247]);
        assert_eq!(ColorMap::Viridis.rgb(f64::NAN), [190, 190, 190]);
    }
}
