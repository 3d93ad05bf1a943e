//! A CSV file as named columns of text, each row with its line.

use std::fs;
use std::path::Path;

use super::malformed;
use crate::data::DataError;

/// Longer files are refused.
const MAX_BYTES: u64 = 1 << 30;

/// Rows of cells under a header.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    /// The line in the file, from 1, and the cells, as many as the header has.
    pub(super) rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    /// Reads a CSV file with a header: commas, semicolons or tabs between the cells, whichever the header has first,
    /// quotes as in RFC 4180 but within one line. Blank lines are left out.
    pub(super) fn read(path: &Path) -> Result<Self, DataError> {
        let failed = |reason| DataError::Read {
            path: path.into(),
            reason,
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(malformed(
                    path,
                    "it does not exist; give the path of a CSV file",
                ));
            }
            Err(e) => return Err(failed(e)),
        };
        if !metadata.is_file() {
            return Err(malformed(
                path,
                "it is no file; give the path of a CSV file",
            ));
        }
        if metadata.len() > MAX_BYTES {
            return Err(DataError::TooLarge {
                path: path.into(),
                problem: format!(
                    "{} bytes, at most {MAX_BYTES} are read; give fewer rows or columns",
                    metadata.len()
                ),
            });
        }
        let bytes = fs::read(path).map_err(failed)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| malformed(path, "it is not UTF-8 text; give a CSV file"))?;
        Self::parse(path, text.trim_start_matches('\u{feff}'))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim_end_matches('\r')))
            .filter(|(_, line)| !line.trim().is_empty());
        let Some((_, first)) = lines.next() else {
            return Err(malformed(
                path,
                "it is empty; give a CSV file with a header",
            ));
        };
        let mark = first
            .chars()
            .find(|c| [',', ';', '\t'].contains(c))
            .unwrap_or(',');
        let header = cells(first, mark)
            .ok_or_else(|| malformed(path, "line 1: a quote is never closed; repair the header"))?;
        for (i, name) in header.iter().enumerate() {
            if name.is_empty() {
                return Err(malformed(
                    path,
                    format!("line 1: column {} has no name; give it one", i + 1),
                ));
            }
            if header[..i].contains(name) {
                return Err(malformed(
                    path,
                    format!("line 1: two columns are called `{name}`; rename one"),
                ));
            }
        }
        let mut rows = Vec::new();
        for (line, text) in lines {
            let Some(row) = cells(text, mark) else {
                let problem = format!("line {line}: a quote is never closed; repair the line");
                return Err(malformed(path, problem));
            };
            if row.len() != header.len() {
                return Err(malformed(
                    path,
                    format!(
                        "line {line} has {} cells where the header has {}; repair the line",
                        row.len(),
                        header.len()
                    ),
                ));
            }
            rows.push((line, row));
        }
        if rows.is_empty() {
            return Err(malformed(
                path,
                "it has a header and no rows; give a longer series",
            ));
        }
        Ok(Self { header, rows })
    }

    /// The place of the column called `name`.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }
}

/// The cells of a line, trimmed; `None` where a quote is not closed.
fn cells(line: &str, mark: char) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = cells.last_mut()?;
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => quoted = true,
            c if c == mark && !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    let trimmed = cells.iter().map(|cell| cell.trim().to_string()).collect();
    (!quoted).then_some(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_split_outside_of_quotes() {
        let split = |line| cells(line, ',').map(|c| c.join("|"));
        assert_eq!(split("a, b ,").as_deref(), Some("a|b|"));
        assert_eq!(
            split(r#""a,b","say ""no""",3"#).as_deref(),
            Some(r#"a,b|say "no"|3"#)
        );
        assert_eq!(split(r#""a,b"#), None);
    }

    #[test]
    fn damaged_tables_name_the_line() {
        let read = |text: &str| Table::parse(Path::new("f.csv"), text);
        let refused = |text| read(text).err().unwrap().to_string();
        assert!(refused("").contains("`f.csv` is not usable as a series: it is empty"));
        assert!(refused("a,b\n").contains("no rows"));
        assert!(refused("a, ,b\n1,2,3\n").contains("line 1: column 2 has no name; give it one"));
        assert!(refused("a,a\n1,2\n").contains("two columns are called `a`"));
        assert!(refused("a,b\n1,2\n\n3\n").contains("line 4 has 1 cells where the header has 2"));
        assert!(refused("a,b\n1,\"2\n").contains("line 2: a quote"));
        let table = read("a;b\r\n1;2,5\r\n").unwrap();
        assert_eq!(table.rows, [(2, vec!["1".to_string(), "2,5".to_string()])]);
    }
}
