//! Which rows are learned from, watched, and tested on.

use std::ops::Range;
use std::path::Path;

/// Rows in time order: the parts follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from; they set the scale too.
    pub train: Range<usize>,
    /// Rows to watch a run by.
    pub validation: Range<usize>,
    /// Rows to test on.
    pub test: Range<usize>,
}

/// The share of the rows at the end that is tested on, where no standard says otherwise.
const TEST: f64 = 0.2;

impl Split {
    /// The split of the series in the file `path`, which is called as the file.
    pub fn of(path: &str, rows: usize, held_out: f64) -> Self {
        let name = Path::new(path).file_stem();
        let name = name.and_then(|name| name.to_str()).unwrap_or_default();
        Self::new(name, rows, held_out)
    }

    /// The split of a series called `name` with so many rows. `ETTh*` is split after 12, 4 and 4 months of 30 days, as
    /// in the literature, where it is long enough (8640, 2880, 2880 rows; `ETTm*` four times as many). Of any other
    /// series the last fifth is tested on, and of the rows before it a share `held_out` of all rows (0 to 0.5) is
    /// watched: 70/10/20 at 0.1.
    pub fn new(name: &str, rows: usize, held_out: f64) -> Self {
        let month = match name.get(..4) {
            Some("ETTh") => 720,
            Some("ETTm") => 2880,
            _ => 0,
        };
        let (validation, test, end) = if month > 0 && rows >= 20 * month {
            (12 * month, 16 * month, 20 * month)
        } else {
            let test = rows - (TEST * rows as f64).floor() as usize;
            let held = (held_out.clamp(0.0, 0.5) * rows as f64).floor() as usize;
            (test - held.min(test), test, rows)
        };
        Self {
            train: 0..validation,
            validation: validation..test,
            test: test..end,
        }
    }

    /// The first rows of all windows whose forecast lies in `part`; their look-back may reach into the part before.
    pub fn windows(part: &Range<usize>, look_back: usize, horizon: usize) -> Range<usize> {
        let first = part.start.max(look_back) - look_back;
        let end = (part.end + 1).saturating_sub(look_back + horizon);
        first..end.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_split_goes_by_name_and_needs_its_rows() {
        let ett = Split::new("ETTh1", 17_420, 0.1);
        assert_eq!(
            (ett.train, ett.validation, ett.test),
            (0..8640, 8640..11_520, 11_520..14_400)
        );
        assert_eq!(Split::new("ETTm2", 69_680, 0.0).test, 46_080..57_600);
        let short = Split::new("ETTh1", 1000, 0.1);
        assert_eq!(
            (short.train, short.validation, short.test),
            (0..700, 700..800, 800..1000)
        );
        assert_eq!(Split::new("a", 7588, 0.0).validation, 6071..6071);
    }

    #[test]
    fn every_window_of_a_part_counts() {
        // ETTh1 at look-back 720, horizon 96: 2880 − 96 + 1 test windows.
        let windows = Split::windows(&(11_520..14_400), 720, 96);
        assert_eq!((windows.start, windows.len()), (10_800, 2785));
        assert_eq!(Split::windows(&(0..8640), 720, 96), 0..7825);
        assert_eq!(Split::windows(&(0..815), 720, 96).len(), 0);
        assert_eq!(Split::windows(&(0..816), 720, 96).len(), 1);
        assert_eq!(Split::windows(&(3..20), 10, 5), 0..6);
    }
}
