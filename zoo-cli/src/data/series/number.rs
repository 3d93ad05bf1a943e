//! Numbers as people write them: with a decimal point or comma, with groups of three digits.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::malformed;
use crate::data::DataError;

/// Which mark stands before the decimals of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// What the numbers of the file say.
    #[default]
    Auto,
    /// A point, as in `1,234.5`.
    Point,
    /// A comma, as in `1.234,5`.
    Comma,
}

impl Decimal {
    fn marks(self) -> (char, char) {
        match self {
            Self::Comma => (',', '.'),
            Self::Auto | Self::Point => ('.', ','),
        }
    }
}

/// The finite number in `cell`, if it is one. Groups of three digits may be parted by the mark that is not the decimal
/// one, a space or an apostrophe.
pub(super) fn parse(cell: &str, decimal: Decimal) -> Option<f64> {
    let plain = |b: u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if decimal != Decimal::Comma && cell.bytes().all(plain) {
        return cell.parse().ok().filter(|value: &f64| value.is_finite());
    }
    let (mark, group) = decimal.marks();
    let (sign, digits) = match cell.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => ("-", rest),
        None => ("", cell.strip_prefix('+').unwrap_or(cell)),
    };
    let (digits, exponent) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let (whole, decimals) = digits.split_once(mark).unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let parted = whole.find(|c: char| !c.is_ascii_digit());
    let whole = match parted.and_then(|at| whole[at..].chars().next()) {
        None => whole.to_string(),
        Some(c) if c == group || [' ', '\'', '\u{a0}', '\u{202f}', '\u{2019}'].contains(&c) => {
            let groups: Vec<&str> = whole.split(c).collect();
            let first = (1..=3).contains(&groups[0].len());
            if !first || groups[1..].iter().any(|group| group.len() != 3) {
                return None;
            }
            groups.concat()
        }
        Some(_) => return None,
    };
    let none = whole.is_empty() && decimals.is_empty();
    if none || !all_digits(&whole) || !all_digits(decimals) {
        return None;
    }
    let plain = format!("{sign}{whole}.{decimals}0{exponent}");
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether `cell` is a number with either mark.
pub(super) fn is_number(cell: &str) -> bool {
    parse(cell, Decimal::Point).is_some() || parse(cell, Decimal::Comma).is_some()
}

/// The mark that the numbers of a file use. `cells` are its cells with their lines; those without a comma or a point
/// say nothing, nor do those that are no numbers. `semicolons` says that cells are parted by them, as they are where
/// commas stand in numbers.
///
/// # Errors
/// When both marks are used, or a number can be read in two ways and no other settles it.
pub(super) fn settle<'a>(
    path: &Path,
    cells: impl Iterator<Item = (u64, &'a str)>,
    semicolons: bool,
) -> Result<Decimal, DataError> {
    let (mut point, mut comma, mut either) = (None, None, None);
    for (line, cell) in cells {
        if !cell.contains([',', '.']) {
            continue;
        }
        let as_point = parse(cell, Decimal::Point);
        let as_comma = parse(cell, Decimal::Comma);
        let seen = match (as_point, as_comma) {
            (Some(_), None) => &mut point,
            (None, Some(_)) => &mut comma,
            // `1.234` between commas is what everyone else writes for a little more than 1.
            (Some(_), Some(_)) if semicolons || cell.contains(',') => &mut either,
            _ => continue,
        };
        seen.get_or_insert((line, cell));
    }
    match (point, comma, either) {
        (Some((a, with_point)), Some((b, with_comma)), _) => Err(malformed(
            path,
            format!(
                "line {a} has a number with a decimal point (`{with_point}`) and line {b} one with a decimal comma \
                 (`{with_comma}`); write all alike"
            ),
        )),
        (_, Some(_), _) => Ok(Decimal::Comma),
        (None, None, Some((line, cell))) => Err(malformed(
            path,
            format!(
                "line {line}: `{cell}` is either {} or {}; say which with `--set series.decimal=point` or \
                 `--set series.decimal=comma`",
                parse(cell, Decimal::Point).unwrap_or_default(),
                parse(cell, Decimal::Comma).unwrap_or_default()
            ),
        )),
        _ => Ok(Decimal::Point),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_the_styles_of_several_countries() {
        use Decimal::{Comma, Point};
        for (cell, decimal, value) in [
            ("1.5", Point, Some(1.5)),
            ("-1e3", Point, Some(-1000.0)),
            (".5", Point, Some(0.5)),
            ("1,234.5", Point, Some(1234.5)),
            ("1,234,567", Point, Some(1_234_567.0)),
            ("12,34", Point, None),
            ("1 234.5", Point, Some(1234.5)),
            ("1'234", Point, Some(1234.0)),
            ("\u{2212}2,5", Comma, Some(-2.5)),
            ("1.234,5", Comma, Some(1234.5)),
            ("1\u{202f}234,5", Comma, Some(1234.5)),
            ("12.5", Comma, None),
            ("1,5e2", Comma, Some(150.0)),
            ("inf", Point, None),
            ("NaN", Point, None),
            ("0x10", Point, None),
            ("1e999", Point, None),
            ("", Point, None),
            (",", Comma, None),
            ("12:30", Point, None),
            ("5%", Point, None),
        ] {
            assert_eq!(parse(cell, decimal), value, "{cell} {decimal:?}");
        }
    }

    #[test]
    fn the_mark_is_settled_by_all_cells_or_asked_for() {
        let mark = |cells: &[&str], semicolons| {
            let cells = cells.iter().enumerate();
            let cells = cells.map(|(i, cell)| (i as u64 + 2, *cell));
            settle(Path::new("f.csv"), cells, semicolons).map_err(|e| e.to_string())
        };
        assert_eq!(mark(&["1", "x"], false), Ok(Decimal::Point));
        assert_eq!(mark(&["1.234", "7"], false), Ok(Decimal::Point));
        assert_eq!(mark(&["1,234", "1.5"], false), Ok(Decimal::Point));
        assert_eq!(mark(&["1,234", "1,5"], true), Ok(Decimal::Comma));
        assert_eq!(mark(&["1.234", "0,5"], true), Ok(Decimal::Comma));
        assert_eq!(mark(&["1.234", "0.5"], true), Ok(Decimal::Point));
        let either = mark(&["1,234", "5,678"], true).unwrap_err();
        assert!(
            either.contains("line 2: `1,234` is either 1234 or 1.234; say which"),
            "{either}"
        );
        assert!(mark(&["1.234", "5.678"], true).is_err());
        let both = mark(&["1,5", "2.5"], true).unwrap_err();
        assert!(
            both.contains("line 3 has a number with a decimal point"),
            "{both}"
        );
    }
}
