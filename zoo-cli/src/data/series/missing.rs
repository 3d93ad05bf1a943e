//! Values that a series lacks.

use serde::{Deserialize, Serialize};

/// What becomes of a missing value: an empty cell, one of the words for it, or a row that a gap in the dates lacks.
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

impl Missing {
    /// As the user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Forward => "forward",
            Self::Linear => "linear",
        }
    }
}

/// What cells without a value hold, in capitals or not, besides nothing.
pub(super) const TOKENS: [&str; 17] = [
    "NA", "N/A", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "-NaN", "NaT", "null", "nil", "none",
    "?", "-", "--", ".", "1.#QNAN",
];

/// Tells cells without a value.
#[derive(Debug)]
pub(super) struct Absent<'a> {
    /// What the user calls missing besides [`TOKENS`], a number where it is one.
    tokens: Vec<(&'a str, Option<f64>)>,
}

impl<'a> Absent<'a> {
    pub(super) fn new(tokens: &'a [String]) -> Self {
        let tokens = tokens.iter().map(|token| token.trim());
        Self {
            tokens: tokens.map(|token| (token, token.parse().ok())).collect(),
        }
    }

    /// Whether a trimmed cell says that there is no value. A token that is a number stands for that number however it
    /// is written.
    pub(super) fn is(&self, cell: &str) -> bool {
        let known = |token: &&str| cell.eq_ignore_ascii_case(token);
        let own = |&(token, number): &(&str, Option<f64>)| {
            cell.eq_ignore_ascii_case(token) || number.is_some() && cell.parse().ok() == number
        };
        cell.is_empty()
            || cell.len() <= 8 && TOKENS.iter().any(known)
            || self.tokens.iter().any(own)
    }
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
    }

    #[test]
    fn absence_is_told_by_word() {
        let own = ["-999".to_string(), "Bad".into()];
        let absent = Absent::new(&own);
        for cell in [
            "", "NaN", "na", "?", "-", ".", "#N/A", "-999", "-999.0", "bad",
        ] {
            assert!(absent.is(cell), "{cell}");
        }
        for cell in ["0", "-99", "-9990", "good", "nano"] {
            assert!(!absent.is(cell), "{cell}");
        }
        assert!(!Absent::new(&[]).is("-999"));
    }
}
