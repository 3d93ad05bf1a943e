//! What lies in a series, and what becomes of each part of it.

use serde::{Deserialize, Serialize};

use super::Split;
use super::columns::one_line;
use super::select::{exclude, listed, setting};
use super::stand_in::stand_in;

/// How much of each kind is named in a line.
const SHOWN_COLUMNS: usize = 8;
const SHOWN_GAPS: usize = 3;
const SHOWN_LEFT_OUT: usize = 5;

/// What a file of series holds and how it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesInventory {
    /// The rows, those among them that a gap in the dates lacks.
    pub rows: usize,
    /// The date of the first row; its number where rows have no dates.
    pub first: String,
    /// The date of the last row.
    pub last: String,
    /// The time between two rows, in words; none where rows have no dates, or these only order them.
    pub step: Option<String>,
    /// The columns that hold the dates; none where rows have no dates.
    pub date_columns: Vec<String>,
    /// The order or unit in which dates are written, where it is not year, month, day.
    pub dates_written: Option<String>,
    /// The zone of the dates, where they say so.
    pub time_zone: Option<String>,
    /// Whether the file has the newest row first.
    pub newest_first: bool,
    /// Whether numbers have a decimal comma.
    pub decimal_comma: bool,
    /// Whether the columns have names; else they are called by their numbers.
    pub named: bool,
    /// How many lines hold the names; of several the names are joined.
    #[serde(default)]
    pub header_lines: usize,
    /// The columns that the user left out.
    pub excluded: Vec<String>,
    /// What the user calls missing.
    #[serde(default)]
    pub missing_tokens: Vec<String>,
    /// The columns of numbers.
    pub columns: Vec<ColumnInventory>,
    /// The places in the dates that have no row.
    pub gaps: Gaps,
    /// The series of a file of many, where it is one.
    pub keys: Option<Keys>,
    /// The rows of each part.
    pub parts: Parts,
    /// What is not read, and why.
    pub left_out: Vec<LeftOut>,
}

/// One column of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnInventory {
    /// Its name.
    pub name: String,
    /// Rows in which it has no value, those in gaps among them.
    pub missing: usize,
    /// Whether all its values in the training part are the same.
    pub constant: bool,
    /// A value such as -999, far from all others, that may stand for a missing one, and how often it comes.
    pub stand_in: Option<(f64, usize)>,
    /// Whether it may only number the rows.
    #[serde(default)]
    pub numbers_rows: bool,
}

/// The places in the dates that have no row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// How many gaps there are.
    pub count: usize,
    /// How many rows are missing in them.
    pub rows: usize,
    /// The first hundred of them.
    pub first: Vec<Gap>,
}

/// Rows that are missing one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The date of the first of them.
    pub from: String,
    /// How many there are.
    pub rows: usize,
}

/// The series of a file of many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The columns that tell them apart.
    pub columns: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// The first of their names.
    pub names: Vec<String>,
    /// The one that is read here.
    pub read: Option<String>,
}

/// The rows of each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Learned from.
    pub train: usize,
    /// Watched during training.
    pub validation: usize,
    /// Tested on.
    pub test: usize,
    /// After these, in no part.
    pub unused: usize,
}

/// Something in the file that is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What it is.
    pub what: String,
    /// Why.
    pub why: String,
}

impl SeriesInventory {
    /// What is to be known before a series is used, in at most three lines: what it is, its parts, and what was left
    /// out, turned or filled.
    pub fn lines(&self) -> Vec<String> {
        let lines = [
            Some(self.content()),
            Some(self.parts.line()),
            self.changes(),
        ];
        lines.into_iter().flatten().collect()
    }

    /// The rows of each part, in one line.
    pub fn parts_in_words(&self) -> String {
        self.parts.line()
    }

    /// What the series is, in one line.
    pub fn content(&self) -> String {
        let names = self.columns.iter().map(|column| one_line(&column.name));
        let mut names: Vec<String> = names.collect();
        let more = names.len().saturating_sub(SHOWN_COLUMNS);
        names.truncate(SHOWN_COLUMNS);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let key = match &self.keys {
            Some(Keys {
                columns,
                count,
                read: Some(read),
                ..
            }) => {
                format!("series `{read}` of {count} by `{}`: ", columns.join("`, `"))
            }
            _ => String::new(),
        };
        let mut what = format!(
            "{key}{} rows of {} ({}{more})",
            self.rows,
            count(self.columns.len(), "column"),
            names.join(", "),
        );
        if let Some(step) = &self.step {
            what += &format!(", {} to {}, each {step} apart", self.first, self.last);
        }
        what
    }

    /// How the file was read where that is not as it stands there, and what was left out, in one line; none where there
    /// is nothing to say.
    pub fn changes(&self) -> Option<String> {
        let mut said = Vec::new();
        if !self.named {
            said.push("no header: columns are called by their numbers".into());
        }
        if self.header_lines > 1 {
            said.push(format!(
                "the names of the columns are joined from {} lines",
                self.header_lines
            ));
        }
        if let Some(written) = &self.dates_written {
            said.push(format!("dates read as {written}"));
        }
        if let Some(zone) = &self.time_zone {
            said.push(format!("dates in the time zone {zone}"));
        }
        if self.decimal_comma {
            said.push("numbers with a decimal comma".into());
        }
        if self.newest_first {
            said.push("reversed, because the newest row came first".into());
        }
        if self.gaps.count > 0 {
            let first: Vec<String> = self
                .gaps
                .first
                .iter()
                .take(SHOWN_GAPS)
                .map(|gap| gap.from.clone())
                .collect();
            said.push(format!(
                "{} missing in {}, from {}{}",
                count(self.gaps.rows, "row"),
                count(self.gaps.count, "gap"),
                first.join(", "),
                if self.gaps.count > SHOWN_GAPS {
                    ", …"
                } else {
                    ""
                }
            ));
        }
        let missing: usize = self.columns.iter().map(|column| column.missing).sum();
        let missing = missing.saturating_sub(self.gaps.rows * self.columns.len());
        if missing > 0 {
            said.push(format!("{} missing", count(missing, "value")));
        }
        said.extend(self.stand_ins());
        said.extend(self.numbering());
        for LeftOut { what, why } in self.left_out.iter().take(SHOWN_LEFT_OUT) {
            said.push(format!("left out: {what} ({why})"));
        }
        if self.left_out.len() > SHOWN_LEFT_OUT {
            said.push(format!("and {} more", self.left_out.len() - SHOWN_LEFT_OUT));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// The values that may stand for missing ones, with what to do about all of them.
    fn stand_ins(&self) -> Option<String> {
        let mut tokens: Vec<String> = self.missing_tokens.clone();
        let mut found = Vec::new();
        for column in &self.columns {
            let Some((value, times)) = column.stand_in else {
                continue;
            };
            let mut value = value.to_string();
            if self.decimal_comma {
                value = value.replace('.', ",");
            }
            if found.len() < SHOWN_COLUMNS {
                found.push(format!(
                    "column `{}` holds {value} {}",
                    one_line(&column.name),
                    count(times, "time")
                ));
            }
            if !tokens.contains(&value) {
                tokens.push(value);
            }
        }
        let all = self.columns.iter();
        let more = all.filter(|column| column.stand_in.is_some()).count() - found.len();
        if more > 0 {
            found.push(format!("{more} more hold such a value"));
        }
        let tokens: Vec<&String> = tokens.iter().collect();
        (!found.is_empty()).then(|| {
            format!(
                "{}: if it stands for a missing value, say so with {}",
                found.join(", "),
                setting("series.missing_tokens", &tokens)
            )
        })
    }

    /// The columns that may only number the rows, with what to do about all of them.
    fn numbering(&self) -> Option<String> {
        let columns = self.columns.iter().filter(|column| column.numbers_rows);
        let columns: Vec<&String> = columns.map(|column| &column.name).collect();
        let names: Vec<&String> = self.excluded.iter().chain(columns.clone()).collect();
        let advice = match columns.len() == self.columns.len() {
            true => "add a column of values".into(),
            false => format!("leave out what does with {}", exclude(&names)),
        };
        (!columns.is_empty()).then(|| {
            format!(
                "{} read as values and may only number the rows: {advice}",
                listed(&columns)
            )
        })
    }
}

fn count(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {one}s", n),
    }
}

impl ColumnInventory {
    /// Each of `columns` of `values`, which stand row after row, NaN where there is none; those at the places
    /// `numbering` may only number the rows.
    pub(super) fn of(
        columns: &[String],
        values: &[f64],
        split: &Split,
        numbering: &[usize],
    ) -> Vec<Self> {
        let column = |(at, name): (usize, &String)| {
            let values = || values.iter().skip(at).step_by(columns.len());
            let mut learned = values()
                .take(split.train.end)
                .filter(|value| !value.is_nan());
            let first = learned.next();
            Self {
                name: name.clone(),
                missing: values().filter(|value| value.is_nan()).count(),
                constant: learned.all(|value| Some(value) == first),
                stand_in: stand_in(values().copied()),
                numbers_rows: numbering.contains(&at),
            }
        };
        columns.iter().enumerate().map(column).collect()
    }
}

impl Parts {
    pub(super) fn new(split: &Split, rows: usize) -> Self {
        Self {
            train: split.train.len(),
            validation: split.validation.len(),
            test: split.test.len(),
            unused: rows - split.test.end,
        }
    }

    fn line(&self) -> String {
        let mut line = format!(
            "{} rows to learn from, {} to watch, {} to test on",
            self.train, self.validation, self.test
        );
        if self.unused > 0 {
            line += &format!(", {} after these unused", self.unused);
        }
        line
    }
}

impl LeftOut {
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }
}
