//! Where a table begins, and which of its first rows hold names.

use super::columns::is_date_name;
use super::date::{is_date, is_time};
use super::missing::Absent;
use super::number::is_number;
use super::records::{Row, SAMPLED};

/// What a cell seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Nothing,
    Number,
    Date,
    Word,
}

impl Looks {
    fn of(cell: &str, absent: &Absent<'_>) -> Self {
        if absent.is(cell) {
            Self::Nothing
        } else if is_number(cell) {
            Self::Number
        } else if is_date(cell) || is_time(cell) {
            Self::Date
        } else {
            Self::Word
        }
    }
}

/// The number of cells that most rows have.
pub(super) fn usual_width(rows: &[Row]) -> usize {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows.iter().take(SAMPLED) {
        *counts.entry(row.cells.len()).or_insert(0usize) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|&(_, count)| count)
        .map_or(0, |(width, _)| width)
}

/// How many rows at the beginning are no part of the table: a title and the like, of another width, before a header.
pub(super) fn title_lines(rows: &[Row], width: usize, absent: &Absent<'_>) -> usize {
    const MOST: usize = 50;
    let before = rows
        .iter()
        .take(MOST)
        .take_while(|row| row.cells.len() != width || is_sparse(row))
        .count();
    let Some(header) = rows
        .get(before)
        .filter(|_| before > 0 && rows.len() > before + 1)
    else {
        return 0;
    };
    // A row that is one cell too long or too short is damaged, not a title.
    let words = header
        .cells
        .iter()
        .all(|cell| !matches!(Looks::of(cell, absent), Looks::Number | Looks::Date));
    let title = rows[..before]
        .iter()
        .all(|row| row.cells.len() < width || is_sparse(row));
    if words && title { before } else { 0 }
}

/// Whether only the first of several cells hold something, as where a spreadsheet writes a title: no names of columns.
fn is_sparse(row: &Row) -> bool {
    let filled = row.cells.iter().take_while(|cell| !cell.is_empty()).count();
    let empty = row.cells.iter().skip(filled).all(str::is_empty);
    (1..=2).contains(&filled) && filled < row.cells.len() && empty && !is_date_name(row.cell(0))
}

/// Whether the first row holds names, not values as the second one does.
pub(super) fn has_names(rows: &[Row], absent: &Absent<'_>) -> bool {
    let [first, second, ..] = rows else {
        // A single row: dates among its cells make it one of values.
        let date = |cell| Looks::of(cell, absent) == Looks::Date;
        return rows.first().is_none_or(|row| !row.cells.iter().any(date));
    };
    if first.cells.len() != second.cells.len() {
        return true;
    }
    let looks = |row: &Row| -> Vec<Looks> {
        row.cells
            .iter()
            .map(|cell| Looks::of(cell, absent))
            .collect()
    };
    let (first_looks, second_looks) = (looks(first), looks(second));
    let pairs = || {
        first_looks
            .iter()
            .copied()
            .zip(second_looks.iter().copied())
    };
    if pairs().any(|(a, b)| a == Looks::Word && b != Looks::Word && b != Looks::Nothing) {
        return true;
    }
    if pairs().any(|pair| pair == (Looks::Date, Looks::Date)) {
        return false;
    }
    if pairs().any(|(_, b)| b == Looks::Date) {
        return true;
    }
    // Numbers above numbers: 0, 1, 2, … are names that a program gave, after that of an unnamed index if there is one.
    let numbers: Vec<&str> = first
        .cells
        .iter()
        .skip_while(|cell| cell.is_empty())
        .collect();
    let counted = numbers
        .iter()
        .enumerate()
        .all(|(i, cell)| *cell == i.to_string());
    let words = first_looks.contains(&Looks::Word);
    words || counted && numbers.len() > 1 || first_looks[0] == Looks::Nothing
}

/// How many rows at the beginning hold names, where the first one does: those before the first date that hold words and
/// no values, as below levels of names or above units.
pub(super) fn name_rows(rows: &[Row], absent: &Absent<'_>) -> usize {
    const MOST: usize = 4;
    let width = rows[0].cells.len();
    let looks = |cell: &str| Looks::of(cell, absent);
    let is_names = |row: &&Row| {
        let no_value = |cell: &str| !matches!(looks(cell), Looks::Number | Looks::Date);
        row.cells.len() == width
            && row.cells.iter().all(no_value)
            && row.cells.iter().any(|cell| looks(cell) == Looks::Word)
    };
    let count = 1 + rows[1..].iter().take(MOST).take_while(is_names).count();
    let (names, rest) = rows.split_at(count);
    let is_dated = |(column, cell): (usize, &str)| match looks(cell) {
        Looks::Date => true,
        Looks::Number => names.iter().any(|row| is_date_name(row.cell(column))),
        Looks::Nothing | Looks::Word => false,
    };
    let values = rest.first().filter(|row| row.cells.len() == width);
    if !values.is_some_and(|row| row.cells.iter().enumerate().any(is_dated)) {
        return 1;
    }
    // One row below one of names may be a remark.
    let (first, last) = (names[0].cell(0), names[count - 1].cell(0));
    let names_index = first.is_empty() || is_date_name(last) && !is_date_name(first);
    match count == 2 && index_names(names) > 0 && !names_index {
        true => 1,
        false => count,
    }
}

/// How many cells of the last of several rows of names call the columns of row names, as pandas writes them: all others
/// are empty there.
fn index_names(names: &[Row]) -> usize {
    let Some(last) = names.last().filter(|_| names.len() > 1) else {
        return 0;
    };
    let filled = last.cells.iter().take_while(|cell| !cell.is_empty());
    let filled = filled.count();
    match last.cells.iter().skip(filled).all(str::is_empty) && filled < last.cells.len() {
        true => filled,
        false => 0,
    }
}

/// The names of the columns in one or several rows: from top to bottom, but for columns of dates and of row names.
pub(super) fn joined(names: &[Row]) -> Vec<String> {
    let index = index_names(names);
    let name = |column: usize| {
        let first = names[0].cell(column);
        if column < index {
            return names[names.len() - 1].cell(column).to_string();
        }
        if is_date_name(first) {
            return first.to_string();
        }
        let mut parts: Vec<&str> = names.iter().map(|row| row.cell(column)).collect();
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        parts.join(" ")
    };
    (0..names[0].cells.len()).map(name).collect()
}
