//! Plain tables for people.

use indicatif::HumanCount;

/// Rows under a header, columns as wide as their widest cell.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self {
            rows: vec![header.into_iter().map(Into::into).collect()],
        }
    }

    /// A table of one row, given as titles with their cells.
    pub fn of_one(columns: Vec<(String, String)>) -> Self {
        let (header, cells): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
        Self {
            rows: vec![header, cells],
        }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl std::fmt::Display for Table {
    /// Columns stand two spaces apart; a column whose cells below the header are all numbers is aligned right.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let width: Vec<usize> = (0..columns)
            .map(|c| {
                let lengths = self.rows.iter().map(|row| cell(row, c).chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        let right: Vec<bool> = (0..columns)
            .map(|c| {
                self.rows.len() > 1 && self.rows[1..].iter().all(|row| is_number(&cell(row, c)))
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = (0..columns).map(|c| match right[c] {
                true => format!("{:>1$}", cell(row, c), width[c]),
                false => format!("{:<1$}", cell(row, c), width[c]),
            });
            let cells = cells.collect::<Vec<_>>().join("  ");
            cells.trim_end().to_string()
        };
        let lines: Vec<String> = self.rows.iter().map(line).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// A count with its thousands set apart, as in `12,345`.
pub fn thousands(n: usize) -> String {
    HumanCount(n as u64).to_string()
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        && cell
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.,e% ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn numbers_align_right_and_names_left() {
        let mut table = Table::new(["model", "parameters"]);
        table.row(["a", "12,345"]);
        table.row(["longer", "7"]);
        assert_eq!(
            table.to_string(),
            "model   parameters\na           12,345\nlonger           7"
        );
    }
}
