//! Rows that have one cell more than the header: a column of their names, or something else.

use super::columns::is_date_name;
use super::date::{is_date, is_time};
use super::table::Row;

/// What the cell too many is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// The last one, which is empty: a mark too many at the end of each row.
    Last,
    /// The first one: it names or numbers the row and has no name itself.
    First,
    /// It cannot be told: it may be the decimals of a number.
    Unknown,
}

impl Extra {
    /// Judges `rows`, all of them one cell wider than `header`; `mark` parts their cells.
    pub(super) fn of(header: &[String], rows: &[Row], mark: char) -> Self {
        let all =
            |column: usize, holds: fn(&str) -> bool| rows.iter().all(|row| holds(row.cell(column)));
        if all(header.len(), str::is_empty) {
            return Self::Last;
        }
        let numbered = numbers_rows(rows);
        let first = match header.iter().position(|name| is_date_name(name)) {
            // The name says where the dates are if no cell is too many before it.
            Some(dates) => numbered && all(dates + 1, is_moment) && !all(dates, is_moment),
            None => {
                let decimals = |column: usize| {
                    let halves =
                        |row: &Row| is_whole(row.cell(column)) && is_decimals(row.cell(column + 1));
                    rows.iter().all(halves)
                };
                let split = mark == ',' && (1..header.len()).any(decimals);
                (numbered || all(0, is_date)) && !split
            }
        };
        if first { Self::First } else { Self::Unknown }
    }
}

/// Whether the first cells count the rows from 0 or 1; so few of them that numbers might do so by chance do not.
fn numbers_rows(rows: &[Row]) -> bool {
    let from = rows.first().and_then(|row| row.cell(0).parse().ok());
    let counts = |from: usize| {
        rows.iter()
            .zip(from..)
            .all(|(row, at)| row.cell(0).parse() == Ok(at))
    };
    rows.len() > 2 && from.is_some_and(|from| from < 2 && counts(from))
}

/// Whether a text is a date, a time or a year.
fn is_moment(text: &str) -> bool {
    let year = || text.len() == 4 && is_decimals(text);
    is_date(text) || is_time(text) || year()
}

/// Whether a text can be a number up to its decimal mark.
fn is_whole(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+', '\u{2212}']);
    let grouped = |c: char| c.is_ascii_digit() || ['.', '\'', ' ', '\u{a0}'].contains(&c);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(grouped) && {
        let groups = digits.split(|c: char| !c.is_ascii_digit());
        groups.skip(1).all(|group| group.len() == 3)
    }
}

/// Whether a text can be the rest of a number after that mark.
fn is_decimals(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
