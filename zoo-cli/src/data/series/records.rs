//! The records of a CSV text, each with its line.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::malformed;
use crate::data::DataError;

/// The marks that part cells, the surest one first: commas stand in numbers, too.
const MARKS: [char; 4] = ['\t', ';', '|', ','];

/// Records that the mark is told by.
pub(super) const SAMPLED: usize = 200;

/// A row of trimmed cells.
#[derive(Debug)]
pub(super) struct Row {
    /// The line in the file at which it begins, from 1.
    pub(super) line: u64,
    pub(super) cells: StringRecord,
}

impl Row {
    /// The cell in this column.
    pub(super) fn cell(&self, column: usize) -> &str {
        self.cells.get(column).unwrap_or_default()
    }

    /// Whether another row has the same cells.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.cells == other.cells
    }

    /// Whether no cell holds anything.
    pub(super) fn is_blank(&self) -> bool {
        self.cells.iter().all(str::is_empty)
    }
}

/// The lines above the table that say so themselves.
pub(super) struct Above {
    pub(super) lines: u64,
    pub(super) comments: usize,
}

/// Cuts comments with `#` off the beginning of a text, and a first line `sep=;` as spreadsheets write it, which names
/// the mark.
pub(super) fn above(text: &str) -> (Above, &str, Option<char>) {
    let mut above = Above {
        lines: 0,
        comments: 0,
    };
    let (mut rest, mut mark) = (text, None);
    loop {
        let line = rest.lines().next().unwrap_or_default();
        let trimmed = line.trim();
        let named = trimmed
            .strip_prefix("sep=")
            .and_then(|mark| mark.chars().next());
        match named.filter(|mark| above.lines == 0 && MARKS.contains(mark)) {
            Some(named) => mark = Some(named),
            None if is_comment(trimmed) => above.comments += 1,
            None => return (above, rest, mark),
        }
        rest = &rest[line.len()..];
        rest = rest.strip_prefix('\r').unwrap_or(rest);
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        above.lines += 1;
    }
}

/// Whether a line begins with `#` and not with a cell that holds only this: a name for the numbers of rows.
fn is_comment(line: &str) -> bool {
    let rest = line.strip_prefix('#').map(str::trim_start);
    rest.is_some_and(|rest| !rest.starts_with(MARKS))
}

fn builder(mark: char) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder
        .delimiter(mark as u8)
        .has_headers(false)
        .flexible(true);
    builder
}

/// The mark that parts most records alike; a comma where none does.
pub(super) fn mark_of(text: &str) -> char {
    let alike = |mark: char| {
        let mut counts = std::collections::BTreeMap::new();
        let mut reader = builder(mark).from_reader(text.as_bytes());
        let mut record = csv::ByteRecord::new();
        for _ in 0..SAMPLED {
            match reader.read_byte_record(&mut record) {
                Ok(true) => *counts.entry(record.len()).or_insert(0usize) += 1,
                _ => break,
            }
        }
        let total: usize = counts.values().sum();
        let (cells, most) = counts.into_iter().max_by_key(|&(_, count)| count)?;
        (cells > 1).then(|| most as f64 / total as f64)
    };
    let mut best = (',', 0.0);
    for mark in MARKS {
        if let Some(share) = alike(mark).filter(|share| *share > best.1) {
            best = (mark, share);
        }
    }
    best.0
}

/// All records of a text that begins after `above` lines.
pub(super) fn records(
    path: &Path,
    text: &str,
    mark: char,
    above: u64,
) -> Result<Vec<Row>, DataError> {
    // A quote that is never closed swallows this last record.
    const END: &str = "\u{1}end";
    let whole = format!("{text}\n{END}\n");
    let mut reader = builder(mark)
        .trim(csv::Trim::All)
        .from_reader(whole.as_bytes());
    let mut rows = Vec::new();
    let (mut line, mut counted) = (above + 1, 0);
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let mut cells = StringRecord::new();
        let read = reader.read_record(&mut cells);
        if !read.map_err(|error| malformed(path, format!("{error}; repair the file")))? {
            break;
        }
        // Blank lines are skipped without being counted.
        let blank = whole[start..].len() - whole[start..].trim_start_matches(['\r', '\n']).len();
        line += line_ends(&whole[counted..start + blank]);
        counted = start + blank;
        if cells.iter().any(is_quoted) {
            cells = cells
                .iter()
                .map(|cell| {
                    if is_quoted(cell) {
                        &cell[1..cell.len() - 1]
                    } else {
                        cell
                    }
                })
                .collect();
        }
        rows.push(Row { line, cells });
    }
    match rows.pop() {
        Some(end) if end.cells.len() == 1 && end.cell(0) == END => {
            rows.retain(|row| row.cells.len() > 1 || !row.is_blank());
            Ok(rows)
        }
        last => {
            let line = last.map_or(1, |row| row.line);
            Err(malformed(
                path,
                format!("line {line}: a quote is never closed; repair the line"),
            ))
        }
    }
}

/// Whether a cell kept its quotes, because blanks stood before them.
fn is_quoted(cell: &str) -> bool {
    cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"')
}

/// Ends of lines: `\n`, `\r\n`, or `\r` alone.
fn line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|&(i, &byte)| byte == b'\n' || byte == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    ends.count() as u64
}
