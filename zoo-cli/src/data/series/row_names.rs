//! Rows that have more cells than the header: a column of their names, or something else.

use super::columns::is_date_name;
use super::date::{is_date, is_time};
use super::records::Row;

/// What the cell too many is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// The last ones, which are empty: marks too many at the end of each row.
    Last,
    /// The first one: it names or numbers the row and has no name itself.
    First,
    /// It cannot be told: it may be the decimals of a number.
    Unknown,
}

impl Extra {
    /// Judges `rows`, all of the same number of cells, which `header` has fewer of; `mark` parts them.
    pub(super) fn of(header: &[String], rows: &[Row], mark: char) -> Self {
        let all =
            |column: usize, holds: fn(&str) -> bool| rows.iter().all(|row| holds(row.cell(column)));
        let width = rows.first().map_or(0, |row| row.cells.len());
        if (header.len()..width).all(|column| all(column, str::is_empty)) {
            return Self::Last;
        }
        if width != header.len() + 1 {
            return Self::Unknown;
        }
        let numbered = numbers_rows(rows);
        let first = match header.iter().position(|name| is_date_name(name)) {
            // The name says where the dates are if no cell is too many before it.
            Some(dates) => numbered && all(dates + 1, is_moment) && !all(dates, is_moment),
            None => {
                let split = mark == ',' && (1..header.len()).any(|column| halves(rows, column));
                (numbered || all(0, is_date)) && !split
            }
        };
        if first { Self::First } else { Self::Unknown }
    }
}

/// Whether a column and the one after it can be the two halves of numbers with a decimal comma.
fn halves(rows: &[Row], column: usize) -> bool {
    let mut rows = rows.iter();
    rows.all(|row| is_whole(row.cell(column)) && is_decimals(row.cell(column + 1)))
}

/// The first cell that can only be the decimals of a number that a comma cut in two: numbers do not begin with a 0. Its
/// row and column.
pub(super) fn cut_decimals(rows: &[Row]) -> Option<(&Row, usize)> {
    let width = rows.first().map_or(0, |row| row.cells.len());
    let columns = (0..width.saturating_sub(1)).filter(|&column| halves(rows, column));
    let begins_with_0 = |cell: &str| cell.len() > 1 && cell.starts_with('0');
    let mut cells = columns.filter_map(|column| {
        let row = rows
            .iter()
            .find(|row| begins_with_0(row.cell(column + 1)))?;
        Some((row, column + 1))
    });
    cells.next()
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
