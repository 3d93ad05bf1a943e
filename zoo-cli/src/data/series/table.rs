//! A CSV file as named columns of text, each row with its line.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::date::{is_date, is_time};
use super::inventory::LeftOut;
use super::malformed;
use super::missing::Absent;
use super::number::is_number;
use super::row_names::Extra;
use crate::data::DataError;

/// The marks that part cells, the surest one first: commas stand in numbers, too.
const MARKS: [char; 4] = ['\t', ';', '|', ','];

/// Records that the mark is told by.
const SAMPLED: usize = 200;

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
    /// What stands in the file and not here.
    pub(super) left_out: Vec<LeftOut>,
}

/// A row of trimmed cells.
#[derive(Debug)]
pub(super) struct Row {
    /// The line in the file at which it begins, from 1.
    pub(super) line: u64,
    cells: StringRecord,
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

    fn is_blank(&self) -> bool {
        self.cells.iter().all(str::is_empty)
    }
}

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
        let mut header: Vec<String> = match named {
            true => rows.remove(0).cells.iter().map(String::from).collect(),
            false => Vec::new(),
        };
        if rows.is_empty() {
            return Err(malformed(
                path,
                "it has a header and no rows; give a longer series",
            ));
        }
        if !named {
            header = (1..=width).map(|i| format!("column_{i}")).collect();
        } else if header.len() + 1 == width && rows.iter().all(|row| row.cells.len() == width) {
            match Extra::of(&header, &rows, mark) {
                Extra::Last => header.push(String::new()),
                Extra::First => header.insert(0, String::new()),
                Extra::Unknown => {
                    let decimals = match mark {
                        ',' => {
                            "if numbers have a decimal comma, put quotes around them or semicolons between the cells; "
                        }
                        _ => "",
                    };
                    return Err(malformed(
                        path,
                        format!(
                            "its rows have one cell more than the header (line {header_line} has {}, line {} has \
                             {width}); {decimals}if a column has no name, give it one in line {header_line}",
                            header.len(),
                            rows[0].line
                        ),
                    ));
                }
            }
        }
        let width = header.len();
        if let Some(row) = rows.iter().find(|row| row.cells.len() != width) {
            return Err(malformed(
                path,
                format!(
                    "line {} has {} cells where the header has {width}; repair the line",
                    row.line,
                    row.cells.len()
                ),
            ));
        }
        Ok(Self {
            header,
            rows,
            semicolons: mark == ';',
            named,
            header_line,
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

fn lines(count: usize) -> String {
    format!("{count} {}", if count == 1 { "line" } else { "lines" })
}

/// The lines above the table that say so themselves.
struct Above {
    lines: u64,
    comments: usize,
}

/// Cuts comments with `#` off the beginning of a text, and a first line `sep=;` as spreadsheets write it, which names
/// the mark.
fn above(text: &str) -> (Above, &str, Option<char>) {
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
            None if trimmed.starts_with('#') => above.comments += 1,
            None => return (above, rest, mark),
        }
        rest = &rest[line.len()..];
        rest = rest.strip_prefix('\r').unwrap_or(rest);
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        above.lines += 1;
    }
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
fn mark_of(text: &str) -> char {
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
fn records(path: &Path, text: &str, mark: char, above: u64) -> Result<Vec<Row>, DataError> {
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

/// The number of cells that most rows have.
fn usual_width(rows: &[Row]) -> usize {
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
fn title_lines(rows: &[Row], width: usize, absent: &Absent<'_>) -> usize {
    const MOST: usize = 50;
    let before = rows
        .iter()
        .take(MOST)
        .take_while(|row| row.cells.len() != width)
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
    let title = rows[..before].iter().all(|row| row.cells.len() < width);
    if words && title { before } else { 0 }
}

/// Whether the first row holds names, not values as the second one does.
fn has_names(rows: &[Row], absent: &Absent<'_>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, String> {
        Table::parse(Path::new("f.csv"), text, &Absent::new(&[])).map_err(|e| e.to_string())
    }

    fn shown(text: &str) -> String {
        let table = read(text).unwrap();
        let rows = table.rows.iter().map(|row| {
            let cells: Vec<&str> = row.cells.iter().collect();
            format!("{}:{}", row.line, cells.join("|"))
        });
        let header = table.header.join("|");
        std::iter::once(header)
            .chain(rows)
            .collect::<Vec<_>>()
            .join(" / ")
    }

    #[test]
    fn cells_are_parted_by_the_mark_that_fits_all_lines() {
        for (text, expected) in [
            ("a,b\n1, 2\n", "a|b / 2:1|2"),
            ("a;b\r\n1;2,5\r\n", "a|b / 2:1|2,5"),
            ("a\tb\n1,0\t2,5\n", "a|b / 2:1,0|2,5"),
            ("a|b\n1|2\n", "a|b / 2:1|2"),
            ("sep=;\na;b\n1;2\n", "a|b / 3:1|2"),
            (
                "d;x\n01.01.2024;1,5\n02.01.2024;2,5\n",
                "d|x / 2:01.01.2024|1,5 / 3:02.01.2024|2,5",
            ),
            ("a,b\n\"x, \"\"y\"\"\",2\n", "a|b / 2:x, \"y\"|2"),
            ("a,b\n1, \"2\"\n", "a|b / 2:1|2"),
            (
                "a,b\n\"two\nlines\",2\n3,4\n",
                "a|b / 2:two\nlines|2 / 4:3|4",
            ),
            ("a,b\r1,2\r3,4\r", "a|b / 2:1|2 / 3:3|4"),
            ("a,b\n1,2\n\n  \n3,4\n", "a|b / 2:1|2 / 5:3|4"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_surrounds_the_table_is_left_out_with_a_word() {
        let table = read("# a\n# b\nd,x\n2024-01-01,1\n,\n2024-01-02,2\n,\n").unwrap();
        let out: Vec<&str> = table.left_out.iter().map(|out| out.what.as_str()).collect();
        assert_eq!(out, ["2 lines at the top", "2 lines"]);
        assert_eq!(table.rows[1].line, 6);
        let table = read("My station\n\nd,x\n2024-01-01,1\n2024-01-02,2\n").unwrap();
        assert_eq!(
            (table.header.join("|"), table.rows[0].line),
            ("d|x".into(), 4)
        );
        assert_eq!(table.left_out[0].what, "1 line before the header");
    }

    #[test]
    fn names_are_told_from_values() {
        for (text, header) in [
            ("2024-01-01,1\n2024-01-02,2\n", "column_1|column_2"),
            (
                "2024-01-01,x,1\n2024-01-02,y,2\n",
                "column_1|column_2|column_3",
            ),
            ("1704067200,1.5\n1704070800,2\n", "column_1|column_2"),
            ("0.5,1\n0.7,2\n", "column_1|column_2"),
            ("date,0,1\n2024-01-01,1,2\n", "date|0|1"),
            (",0,1\n2024-01-01,1,2\n", "|0|1"),
            ("0,1\n5,6\n", "0|1"),
            ("a,b\nx,y\n", "a|b"),
            ("x\n\"2024-01-01\",5\n\"2024-01-02\",6\n", "|x"),
            ("d,x\n2024-01-01,5,\n2024-01-02,6,\n", "d|x|"),
        ] {
            assert_eq!(read(text).unwrap().header.join("|"), header, "{text:?}");
        }
    }

    #[test]
    fn a_cell_more_than_the_header_is_a_row_name_where_it_can_be_nothing_else() {
        for (text, header) in [
            ("x,y\n2024-01-01,5.5,6\n2024-01-02,6.5,7\n", "|x|y"),
            ("x;y\n2024-01-01;5;6\n2024-01-02;6;7\n", "|x|y"),
            (
                "date,x,y\n1,2024-01-01,5,6\n2,2024-01-02,6,7\n3,2024-01-03,6,7\n",
                "|date|x|y",
            ),
            ("year,x\n1,2010,5\n2,2011,6\n3,2012,7\n", "|year|x"),
            ("date,x\n2024-01-01,5,\n2024-01-02,6,\n", "date|x|"),
        ] {
            assert_eq!(read(text).unwrap().header.join("|"), header, "{text:?}");
        }
        for text in [
            "Datum,Verbrauch\n01.01.2020,10,0\n02.01.2020,10,2\n03.01.2020,10,5\n",
            "date,A\n2020-01-01,100,0\n2020-01-02,102,1\n",
            "Date (UTC),A\n2020-01-01,-100,0\n2020-01-02,102,1\n",
            "fecha,valor\n2020-01-01,1.100,0\n2020-01-02,102,1\n",
            "Datum,Uhr,V\n01.01.2020,00:00,10,0\n02.01.2020,00:00,10,2\n",
            "V,Datum\n10,0,01.01.2020\n10,2,02.01.2020\n10,5,03.01.2020\n",
            "year,A\n2020,10,0\n2021,10,2\n2022,10,5\n",
            "week,A\n1,10,0\n2,10,2\n3,10,5\n",
            "date,A\n2020-01-01,1.5,2.5\n2020-01-02,1.5,2.5\n",
        ] {
            let error = read(text).unwrap_err();
            for part in [
                "its rows have one cell more than the header (line 1 has",
                "decimal comma, put quotes around them or semicolons",
            ] {
                assert!(error.contains(part), "{text:?}: {error}");
            }
        }
        let error = read("date;A\n2020-01-01;1;2\n2020-01-02;1;2\n").unwrap_err();
        assert!(!error.contains("decimal comma"), "{error}");
    }

    #[test]
    fn damaged_tables_name_the_line() {
        let refused = |text| read(text).err().unwrap();
        assert!(refused("").contains("`f.csv` is not usable as a series: it is empty"));
        assert!(refused("a,b\n").contains("no rows"));
        assert!(refused(",\n,\n").contains("it is empty"));
        assert!(refused("a,b\n1,2\n\n3\n").contains("line 4 has 1 cells where the header has 2"));
        assert!(refused("a,b\n1,2\n3,\"4\n5,6\n").contains("line 3: a quote is never closed"));
    }
}
