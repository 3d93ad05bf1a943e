//! Which columns are read as numbers, and what is wrong with the others.

use std::path::Path;

use super::columns::{called, one_line};
use super::inventory::{ColumnInventory, LeftOut};
use super::key::quoted;
use super::malformed;
use super::missing::Absent;
use super::number::is_number;
use super::numbering::Numbering;
use super::table::Table;
use super::{SeriesOptions, no_column};
use crate::data::DataError;

/// Words that a sentence lists, to be called missing.
const MOST_TOKENS: usize = 5;

/// The columns of numbers.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) columns: Vec<usize>,
    /// Those among them that nobody asked for and that may only number the rows.
    pub(super) numbering: Vec<usize>,
    /// Columns that are not read, said in the inventory.
    pub(super) left_out: Vec<LeftOut>,
    /// Columns that cannot be read, though nobody said to leave them out.
    unusable: Vec<Unusable>,
}

/// A column that cannot be read.
#[derive(Debug)]
struct Unusable {
    column: usize,
    why: String,
    /// What its numbers have before or behind them.
    sign: Option<char>,
}

/// A cell in a column of numbers that is neither a number nor missing.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: u64,
    pub(super) column: usize,
    pub(super) cell: String,
}

impl Selection {
    /// The columns that `options` name, or all but the `used` ones that hold numbers in the rows `rows`.
    pub(super) fn of(
        path: &Path,
        table: &Table,
        used: &[usize],
        rows: &[usize],
        options: &SeriesOptions,
        absent: &Absent<'_>,
    ) -> Result<Self, DataError> {
        let find = |name: &String| {
            let found = table.column(name).filter(|column| !used.contains(column));
            found.ok_or_else(|| no_column(path, name, &table.header))
        };
        let excluded = options
            .exclude
            .iter()
            .map(find)
            .collect::<Result<Vec<_>, _>>()?;
        let mut selection = Self {
            columns: Vec::new(),
            numbering: Vec::new(),
            left_out: Vec::new(),
            unusable: Vec::new(),
        };
        for column in &excluded {
            selection.leave_out(table, *column, "`series.exclude` names it");
        }
        if !options.columns.is_empty() {
            let named = options
                .columns
                .iter()
                .map(find)
                .collect::<Result<Vec<_>, _>>()?;
            selection.columns = named
                .into_iter()
                .filter(|c| !excluded.contains(c))
                .collect();
            let others = (0..table.header.len())
                .filter(|c| {
                    !used.contains(c) && !selection.columns.contains(c) && !excluded.contains(c)
                })
                .count();
            if others > 0 {
                let what = if others == 1 {
                    "1 column".into()
                } else {
                    format!("{others} columns")
                };
                selection.left_out.push(LeftOut::new(
                    what,
                    "it is not among those that are asked for",
                ));
            }
        } else {
            for column in 0..table.header.len() {
                if !used.contains(&column) && !excluded.contains(&column) {
                    selection.judge(table, column, rows, absent);
                }
            }
            selection.part_from_numbering(table, rows);
        }
        if selection.columns.is_empty() && selection.unusable.is_empty() {
            return Err(malformed(
                path,
                "it has no column of numbers beside the date; add one",
            ));
        }
        Ok(selection)
    }

    fn leave_out(&mut self, table: &Table, column: usize, why: &str) {
        self.left_out.push(LeftOut::new(called(table, column), why));
    }

    /// Leaves out the columns that number the rows, unless nothing else is there, and notes those that may do so.
    fn part_from_numbering(&mut self, table: &Table, rows: &[usize]) {
        let judged = self.columns.iter();
        let judged: Vec<_> = judged
            .map(|&column| (column, Numbering::of(table, column, rows)))
            .collect();
        let sure = |&(_, numbering): &(usize, Numbering)| numbering == Numbering::Sure;
        let alone = judged.iter().all(sure);
        for (column, numbering) in judged {
            match numbering {
                Numbering::Sure if !alone => {
                    self.columns.retain(|&kept| kept != column);
                    self.leave_out(
                        table,
                        column,
                        "it numbers the rows; to read it, name it in `series.columns`",
                    );
                }
                Numbering::Sure | Numbering::Likely => self.numbering.push(column),
                Numbering::No => {}
            }
        }
    }

    /// Takes a column of numbers, and leaves out another.
    fn judge(&mut self, table: &Table, column: usize, rows: &[usize], absent: &Absent<'_>) {
        let (mut numbers, mut words, mut first) = (0usize, 0usize, None);
        let mut alike = true;
        for row in rows.iter().map(|&row| &table.rows[row]) {
            let cell = row.cell(column);
            if absent.is(cell) {
                alike = false;
            } else if is_number(cell) {
                numbers += 1;
            } else {
                words += 1;
                let &mut (_, word) = first.get_or_insert((row.line, cell));
                alike &= word == cell;
            }
        }
        match first {
            None if numbers == 0 => {
                self.leave_out(table, column, "it would be refused: it has no value");
                self.unusable.push(Unusable {
                    column,
                    why: format!("{} has no value", called(table, column)),
                    sign: None,
                });
            }
            Some((_, word)) if numbers == 0 && alike => {
                self.leave_out(table, column, &format!("it is `{word}` in every row"));
            }
            Some((line, word)) if words > numbers => {
                let no_number = format!(
                    "line {line}, {}: `{word}` is no number",
                    called(table, column)
                );
                self.leave_out(
                    table,
                    column,
                    &format!("it would be refused: `{word}` in line {line} is no number"),
                );
                self.unusable.push(Unusable {
                    column,
                    why: no_number,
                    sign: sign(word),
                });
            }
            _ => self.columns.push(column),
        }
    }

    /// Why the columns cannot be read as they are, with what to do about all of it; `there` says which are constant.
    pub(super) fn problem(
        &self,
        path: &Path,
        table: &Table,
        wrong: &[Wrong],
        there: &[ColumnInventory],
        options: &SeriesOptions,
    ) -> Option<DataError> {
        if let [Unusable { why, sign, .. }, ..] = &self.unusable[..] {
            let unusable = self
                .unusable
                .iter()
                .map(|unusable| &table.header[unusable.column]);
            let constant = there
                .iter()
                .filter(|column| column.constant)
                .map(|column| &column.name);
            let constant: Vec<&String> = constant.collect();
            let mut names: Vec<&String> = options.exclude.iter().chain(unusable).collect();
            let mut also = String::new();
            if constant.len() < there.len() {
                names.extend(&constant);
                if !constant.is_empty() {
                    also = format!(" ({} constant, too)", listed(&constant));
                }
            }
            let more = match self.unusable.len() {
                1 => String::new(),
                n => format!(" and {} more of the kind", n - 1),
            };
            let leave_out = format!("leave out what is no number with {}{also}", exclude(&names));
            // What leaves nothing is no help.
            let advice = match (sign, there.is_empty()) {
                (Some(sign), true) => format!("remove the `{sign}` from its numbers"),
                (Some(sign), false) => {
                    format!("remove the `{sign}` from its numbers, or {leave_out}")
                }
                (None, true) => "give a column of numbers".into(),
                (None, false) => leave_out,
            };
            return Some(malformed(path, format!("{why}{more}; {advice}")));
        }
        let first = wrong
            .iter()
            .min_by_key(|wrong| (wrong.line, wrong.column))?;
        let mut tokens: Vec<&String> = Vec::new();
        for Wrong { cell, .. } in wrong {
            if !tokens.contains(&cell) && tokens.len() <= MOST_TOKENS {
                tokens.push(cell);
            }
        }
        let name = &table.header[first.column];
        let advice = if tokens.len() <= MOST_TOKENS {
            tokens.splice(0..0, &options.missing_tokens);
            format!(
                "count it as missing with {}",
                setting("series.missing_tokens", &tokens)
            )
        } else if options.columns.is_empty() {
            let names: Vec<&String> = options.exclude.iter().chain([name]).collect();
            match there.len() {
                1 => "give another column of numbers".into(),
                _ => format!("leave the column out with {}", exclude(&names)),
            }
        } else {
            "name other columns in `series.columns`".into()
        };
        Some(malformed(
            path,
            format!(
                "line {}, column `{name}`: `{}` is no number; repair it, or {advice}",
                first.line, first.cell
            ),
        ))
    }
}

/// The sign of a currency or a share without which a text is a number.
fn sign(text: &str) -> Option<char> {
    let mut signs = text.chars().filter(|c| "$€£¥₹%‰".contains(*c));
    signs.find(|&sign| is_number(text.replace(sign, "").trim()))
}

/// The setting that leaves these columns out.
pub(super) fn exclude(names: &[&String]) -> String {
    setting("series.exclude", names)
}

/// A flag that sets a list of texts.
pub(super) fn setting(key: &str, texts: &[&String]) -> String {
    // A string of JSON is one of TOML.
    let texts: Vec<String> = texts
        .iter()
        .map(|text| serde_json::json!(text).to_string())
        .collect();
    format!(
        "`--set {}`",
        quoted(&format!("{key}=[{}]", texts.join(", ")))
    )
}

/// Names in a sentence.
pub(super) fn listed(names: &[&String]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", one_line(name)))
        .collect();
    match &quoted[..] {
        [] => String::new(),
        [one] => format!("column {one} is"),
        [first @ .., last] => format!("columns {} and {last} are", first.join(", ")),
    }
}
