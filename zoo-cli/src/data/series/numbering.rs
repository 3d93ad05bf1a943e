//! Columns that number the rows of a table and measure nothing.

use std::collections::HashSet;
use std::path::Path;

use super::columns::called;
use super::inventory::LeftOut;
use super::malformed;
use super::missing::Absent;
use super::table::Table;
use crate::data::DataError;

/// What columns that number the rows are called; only letters, digits and `#` count.
const NAMES: [&str; 22] = [
    "#",
    "no",
    "nr",
    "num",
    "number",
    "id",
    "idx",
    "index",
    "row",
    "rows",
    "rowid",
    "rowno",
    "rownr",
    "rownum",
    "rownumber",
    "sno",
    "srno",
    "slno",
    "serialno",
    "lfdnr",
    "obs",
    "record",
];

/// So few rows may count by chance.
const FEW: usize = 2;

/// What a column of numbers with a name may do besides measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// It numbers the rows from 0 or 1, and its name says so.
    Sure,
    /// It may number the rows, or be a trend.
    Likely,
    /// It does not.
    No,
}

impl Numbering {
    /// Judges a column by its name, by all of its cells, and by those of the rows `rows`, which are read.
    pub(super) fn of(table: &Table, column: usize, rows: &[usize]) -> Self {
        if rows.len() <= FEW {
            return Self::No;
        }
        let all = || table.cells(column);
        let read = || rows.iter().map(|&row| table.rows[row].cell(column));
        let called = is_called(table, column);
        let from_start = called && (counts_from_start(all()) || counts_from_start(read()));
        // Where rows were taken out their numbers only grow.
        let grows = || {
            let numbers: Option<Vec<i64>> = read().map(whole).collect();
            let strictly = |holds: fn(&i64, &i64) -> bool| {
                let pairs = |numbers: &Vec<i64>| numbers.windows(2).all(|p| holds(&p[0], &p[1]));
                numbers.as_ref().is_some_and(pairs)
            };
            strictly(i64::lt) || strictly(i64::gt)
        };
        if from_start {
            Self::Sure
        } else if counts(all()) || counts(read()) || called && grows() {
            Self::Likely
        } else {
            Self::No
        }
    }
}

/// Whether cells count by one from 0 or 1 on, or down to it.
fn counts_from_start<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> bool {
    let start = |cell: Option<&str>| cell.and_then(whole).is_some_and(|n| n == 0 || n == 1);
    counts(cells.clone()) && (start(cells.clone().next()) || start(cells.last()))
}

/// Whether a column is called as those that number the rows.
fn is_called(table: &Table, column: usize) -> bool {
    let name = table.header[column].chars();
    let kept = name.filter(|c| c.is_alphanumeric() || *c == '#');
    let plain: String = kept.flat_map(char::to_lowercase).collect();
    NAMES.contains(&plain.as_str())
}

/// The whole number in a cell.
fn whole(cell: &str) -> Option<i64> {
    cell.strip_suffix(".0").unwrap_or(cell).parse().ok()
}

/// Whether all cells are whole numbers, each one more than the one before it, or each one less.
pub(super) fn counts<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let mut numbers = cells.map(whole);
    let (Some(Some(first)), Some(Some(second))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let step = second.saturating_sub(first);
    let mut before = second;
    [1, -1].contains(&step)
        && numbers.all(|number| {
            let follows = number == Some(before.saturating_add(step));
            before = number.unwrap_or(before);
            follows
        })
}

/// Whether a column has no name, or only the one that pandas gives to those without.
fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.starts_with("Unnamed: ")
}

/// The columns without a name that say nothing, and why; an error where one has values.
pub(super) fn unnamed(
    path: &Path,
    table: &Table,
    dates: &[usize],
    absent: &Absent<'_>,
) -> Result<Vec<(usize, LeftOut)>, DataError> {
    let mut left_out = Vec::new();
    let columns = (0..table.header.len()).filter(|column| !dates.contains(column));
    for column in columns.filter(|&column| is_unnamed(&table.header[column])) {
        let what = called(table, column);
        let why = if table.cells(column).all(|cell| absent.is(cell)) {
            "it has neither a name nor values"
        } else if counts(table.cells(column)) || is_index(table, column) {
            "it has no name and numbers the rows"
        } else if table.header[column].is_empty() {
            return Err(malformed(
                path,
                format!(
                    "line {}: column {} has no name; give it one",
                    table.header_line,
                    column + 1
                ),
            ));
        } else {
            continue;
        };
        left_out.push((column, LeftOut::new(what, why)));
    }
    Ok(left_out)
}

/// Whether a column without a name holds the numbers that rows had in a larger table.
fn is_index(table: &Table, column: usize) -> bool {
    let numbers: Option<Vec<u64>> = table.cells(column).map(|cell| cell.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) else {
        return false;
    };
    let unique: HashSet<&u64> = numbers.iter().collect();
    let most = numbers.iter().max().copied().unwrap_or(0);
    // Wide apart they may be anything; pandas gives its name to nothing else.
    let near = most < 20 * numbers.len() as u64 || !table.header[column].is_empty();
    column == 0 && near && unique.len() == numbers.len()
}
