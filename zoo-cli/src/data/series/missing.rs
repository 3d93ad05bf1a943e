//! Values that a series lacks.

use serde::{Deserialize, Serialize};

/// What becomes of a missing value (an empty cell, `NA`, `NaN`, `null`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// It is an error.
    #[default]
    Refuse,
    /// It becomes the value before it; at the beginning of a column, the first value.
    Forward,
    /// It is interpolated between the values around it, of which the later one may lie in another part of the split;
    /// at the ends it becomes the nearest value.
    Linear,
}

/// Whether a cell says that there is no value.
pub(super) fn is_missing(cell: &str) -> bool {
    ["", "na", "n/a", "nan", "null", "none", "-"]
        .iter()
        .any(|word| cell.eq_ignore_ascii_case(word))
}

/// Fills the NaN of every `step`-th value from `first` on. A column without any value stays as it is.
pub(super) fn fill(values: &mut [f64], first: usize, step: usize, rule: Missing) {
    let known: Vec<usize> = (first..values.len())
        .step_by(step)
        .filter(|&i| !values[i].is_nan())
        .collect();
    let (Some(&head), Some(&tail)) = (known.first(), known.last()) else {
        return;
    };
    let mut next = 0;
    for i in (first..values.len()).step_by(step) {
        if known.get(next) == Some(&i) {
            next += 1;
            continue;
        }
        values[i] = if i < head {
            values[head]
        } else if i > tail || rule == Missing::Forward {
            values[i - step]
        } else {
            let (from, to) = (known[next - 1], known[next]);
            let part = (i - from) as f64 / (to - from) as f64;
            values[from] + part * (values[to] - values[from])
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_by_rule() {
        let n = f64::NAN;
        // Two columns, row by row.
        let filled = |rule| {
            let mut values = vec![n, 1.0, 2.0, n, n, n, n, 7.0, 8.0, n];
            fill(&mut values, 0, 2, rule);
            fill(&mut values, 1, 2, rule);
            values
        };
        assert_eq!(
            filled(Missing::Forward),
            [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 7.0, 8.0, 7.0]
        );
        assert_eq!(
            filled(Missing::Linear),
            [2.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 7.0]
        );
        assert!(is_missing("NaN") && is_missing("") && !is_missing("0"));
    }
}
