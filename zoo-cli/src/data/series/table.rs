//! A CSV file as named columns of text, each row with its line.

use std::path::Path;

use super::date::is_date;
use super::header::{has_names, joined, name_rows, title_lines, usual_width};
use super::inventory::LeftOut;
use super::malformed;
use super::missing::Absent;
use super::number::is_number;
use super::records::{Row, above, mark_of, records};
use super::row_names::{Extra, cut_decimals};
use crate::data::DataError;

/// Rows of cells under names.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Vec<String>,
    /// As many cells as the header has.
    pub(super) rows: Vec<Row>,
    /// Whether semicolons part the cells.
    pub(super) semicolons: bool,
    /// Whether the first row held the names.
    pub(super) named: bool,
    /// The line of the names, where they have one.
    pub(super) header_line: u64,
    /// How many rows held the names.
    pub(super) header_lines: usize,
    /// What stands in the file and not here.
    pub(super) left_out: Vec<LeftOut>,
}

impl Table {
    /// Reads CSV text: commas, semicolons, tabs or `|` between the cells, quotes as in RFC 4180. Blank lines are left
    /// out, so are lines before the table and comments above it.
    pub(super) fn parse(path: &Path, text: &str, absent: &Absent<'_>) -> Result<Self, DataError> {
        let mut left_out = Vec::new();
        let (above, text, mark) = above(text);
        let mark = mark.unwrap_or_else(|| mark_of(text));
        let mut rows = records(path, text, mark, above.lines)?;
        if above.comments > 0 {
            left_out.push(LeftOut::new(
                format!("{} at the top", lines(above.comments)),
                "they begin with `#`",
            ));
        }
        let blank = rows
            .iter()
            .filter(|row| row.is_blank() && row.cells.len() > 1)
            .count();
        rows.retain(|row| !row.is_blank());
        if rows.is_empty() {
            return Err(malformed(
                path,
                "it is empty; give a CSV file with a header",
            ));
        }
        if blank > 0 {
            left_out.push(LeftOut::new(lines(blank), "all their cells are empty"));
        }
        let width = usual_width(&rows);
        let before = title_lines(&rows, width, absent);
        if before > 0 {
            rows.drain(..before);
            left_out.push(LeftOut::new(
                format!("{} before the header", lines(before)),
                "they are no rows of the table",
            ));
        }
        let named = has_names(&rows, absent);
        let header_line = rows[0].line;
        let header_lines = if named { name_rows(&rows, absent) } else { 0 };
        let names: Vec<Row> = rows.drain(..header_lines).collect();
        let again = remove_repeated(&mut rows, &names);
        if again > 0 {
            left_out.push(LeftOut::new(lines(again), "they repeat the header"));
        }
        if rows.is_empty() {
            return Err(malformed(
                path,
                "it has a header and no rows; give a longer series",
            ));
        }
        let mut header: Vec<String> = match named {
            true => joined(&names),
            false => (1..=width).map(|i| format!("column_{i}")).collect(),
        };
        if width == 1 && rows.iter().all(|row| has_blanks(row.cell(0))) {
            return Err(malformed(
                path,
                format!(
                    "line {} has several words and nothing between them that parts cells; put commas, semicolons or \
                     tabs between its cells, and so in all lines",
                    rows[0].line
                ),
            ));
        }
        if let Some((row, column)) = cut_decimals(&rows).filter(|_| !named && mark == ',') {
            return Err(malformed(
                path,
                format!(
                    "line {}: `{}` in column {} may be the decimals of the number before it; if numbers have a decimal \
                     comma, put quotes around them or semicolons between the cells, and else give the columns names in \
                     a line above",
                    row.line,
                    row.cell(column),
                    column + 1
                ),
            ));
        }
        if header.len() < width && rows.iter().all(|row| row.cells.len() == width) {
            match Extra::of(&header, &rows, mark) {
                Extra::Last => header.resize(width, String::new()),
                Extra::First => header.insert(0, String::new()),
                Extra::Unknown => {}
            }
        }
        let width = header.len();
        if let Some(row) = rows.iter().find(|row| row.cells.len() != width) {
            let all = named && rows.iter().all(|row| row.cells.len() > width);
            let problem = other_width(row, all, (header_line, width), mark);
            return Err(malformed(path, problem));
        }
        Ok(Self {
            header,
            rows,
            semicolons: mark == ';',
            named,
            header_line,
            header_lines,
            left_out,
        })
    }

    /// The place of the column called `name`.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// The cells of a column.
    pub(super) fn cells(&self, column: usize) -> impl Iterator<Item = &str> + Clone {
        self.rows.iter().map(move |row| row.cell(column))
    }
}

/// Removes the rows that repeat one of the rows of names, and says how many there were.
fn remove_repeated(rows: &mut Vec<Row>, names: &[Row]) -> usize {
    let all = rows.len();
    let has_words = |row: &&Row| {
        row.cells
            .iter()
            .any(|cell| !is_number(cell) && !cell.is_empty())
    };
    let names: Vec<&Row> = names.iter().filter(has_words).collect();
    rows.retain(|row| !names.iter().any(|name| row.is_like(name)));
    all - rows.len()
}

/// Whether a cell holds several words that are no date together.
fn has_blanks(cell: &str) -> bool {
    cell.contains(char::is_whitespace) && !is_date(cell) && !is_number(cell)
}

fn lines(count: usize) -> String {
    format!("{count} {}", if count == 1 { "line" } else { "lines" })
}

/// That a row has more or fewer cells than the `header`, whose line and cells are told, or that `all` have more, and what
/// to do.
fn other_width(row: &Row, all: bool, header: (u64, usize), mark: char) -> String {
    let (line, cells) = (row.line, row.cells.len());
    let (header, width) = header;
    let commas = match cells > width && mark == ',' {
        true => {
            "if numbers have a thousands or decimal comma, put quotes around them or semicolons between the cells; "
        }
        false => "",
    };
    if !all {
        return format!(
            "line {line} has {cells} cells where the header has {width}; {commas}repair the line"
        );
    }
    let more = match cells - width {
        1 => "one cell".into(),
        more => format!("{more} cells"),
    };
    format!(
        "its rows have {more} more than the header (line {header} has {width}, line {line} has {cells}); {commas}if a \
         column has no name, give it one in line {header}"
    )
}

#[cfg(test)]
mod tests;
