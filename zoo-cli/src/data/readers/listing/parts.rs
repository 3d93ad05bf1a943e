//! The part of each row of a table, by its columns.

use std::collections::BTreeSet;

use csv::StringRecord;

use super::table::columns;
use crate::data::{
    inventory::{count, shown},
    splits::{self, Split},
};

/// What the columns of a table say of parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The part of each row, where they say it.
    pub(super) rows: Vec<Option<Split>>,
    /// Columns whose names are those of parts and whose values are not, and why.
    pub(super) unused: Vec<(String, String)>,
}

/// A column that says a part of some rows or of all.
struct Column {
    name: String,
    says: Vec<Says>,
}

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// The row is of this part.
    Is(Split),
    /// It is not.
    IsNot(Split),
}

impl Says {
    fn agrees(self, part: Split) -> bool {
        match self {
            Self::Is(split) => split == part,
            Self::IsNot(split) => split != part,
        }
    }
}

fn yes_or_no(value: &str, split: Split) -> Option<Says> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => Some(Says::Is(split)),
        "0" | "0.0" | "false" | "no" => Some(Says::IsNot(split)),
        _ => None,
    }
}

impl Parts {
    /// Reads the columns of a table with this header, in plain words and as it is written.
    ///
    /// # Errors
    /// Columns that say parts of some rows and something else of others, that contradict each other, or that leave a
    /// row without a part.
    pub(super) fn read(
        records: &[StringRecord],
        header: &[String],
        named: &[String],
    ) -> Result<Self, String> {
        let mut parts = Self::default();
        let mut found: Vec<Column> = Vec::new();
        let by_name = columns(header, &splits::COLUMNS);
        let must = by_name.first().copied();
        let perhaps = columns(header, &splits::PERHAPS_COLUMNS);
        for column in by_name.into_iter().chain(perhaps) {
            let part = |value: &str| splits::in_name(value).map(Says::Is);
            let is_certain = must == Some(column);
            found.extend(parts.column(records, column, &named[column], is_certain, part)?);
        }
        for (column, name) in header.iter().enumerate() {
            let Some(split) = splits::of_flag(name) else {
                continue;
            };
            let part = |value: &str| yes_or_no(value, split);
            found.extend(parts.column(records, column, &named[column], false, part)?);
        }
        parts.rows = (0..records.len())
            .map(|row| {
                let line = || records[row].position().map_or(0, csv::Position::line);
                of_row(&found, row).map_err(|problem| problem.said(&found, line()))
            })
            .collect::<Result<_, _>>()?;
        Ok(parts)
    }

    /// What the cells of a column say; nothing where none says anything, which is noted.
    fn column(
        &mut self,
        records: &[StringRecord],
        column: usize,
        name: &str,
        is_certain: bool,
        part: impl Fn(&str) -> Option<Says>,
    ) -> Result<Option<Column>, String> {
        let name = shown(name);
        let values = || {
            records
                .iter()
                .map(|record| record.get(column).unwrap_or(""))
        };
        let says: Vec<Says> = values().filter_map(&part).collect();
        if says.len() == records.len() {
            return Ok((!says.is_empty()).then_some(Column { name, says }));
        }
        let other = values().find(|value| part(value).is_none());
        let other = shown(other.unwrap_or_default());
        if is_certain {
            return Err(format!(
                "its column `{name}` has the value `{other}`, which is no part; write train, validation or test there"
            ));
        }
        if !says.is_empty() {
            return Err(format!(
                "its column `{name}` has the value `{other}`, which is no part, beside values that are; write train, \
                 validation or test there, or rename the column to read its rows without it"
            ));
        }
        let filled = values().filter(|value| !value.is_empty());
        if let Some(first) = filled.clone().next() {
            let why = format!(
                "{}, such as `{}`, say no part",
                count(filled.count(), "value"),
                shown(first)
            );
            self.unused.push((name, why));
        }
        Ok(None)
    }
}

/// Why the part of a row cannot be told.
enum Problem {
    Contradiction,
    None,
}

impl Problem {
    fn said(self, columns: &[Column], line: u64) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|column| format!("`{}`", column.name))
            .collect();
        let names = names.join(" and ");
        match self {
            Self::Contradiction => format!(
                "its columns {names} contradict each other on the part of line {line}; correct it, or rename those that \
                 are no parts"
            ),
            Self::None => format!(
                "its columns {names} put line {line} in no part; correct it, or write the parts in one column `split`"
            ),
        }
    }
}

/// The part of a row by all columns.
fn of_row(columns: &[Column], row: usize) -> Result<Option<Split>, Problem> {
    let said = || columns.iter().map(|column| column.says[row]);
    let is: BTreeSet<Split> = said()
        .filter_map(|says| match says {
            Says::Is(split) => Some(split),
            Says::IsNot(_) => None,
        })
        .collect();
    let mut is = is.into_iter();
    let part = match (is.next(), is.next()) {
        (Some(part), None) => part,
        (Some(_), Some(_)) => return Err(Problem::Contradiction),
        (None, _) if columns.is_empty() => return Ok(None),
        // What is neither to watch nor to test on is to learn from; one column `train` divides all in two.
        (None, _) if !said().any(|says| says == Says::IsNot(Split::Train)) => Split::Train,
        (None, _) if columns.len() == 1 => Split::Test,
        (None, _) => return Err(Problem::None),
    };
    match said().all(|says| says.agrees(part)) {
        true => Ok(Some(part)),
        false => Err(Problem::Contradiction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parts, String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        let records: Vec<StringRecord> = reader.into_records().collect::<Result<_, _>>().unwrap();
        Parts::read(&records, &header, &header)
    }

    #[test]
    fn columns_together_say_the_parts() {
        use Split::{Test, Train, Validation};
        for (text, expected) in [
            (
                "split,x\ntrain,1\nvalid,1\nTest,1",
                [Train, Validation, Test],
            ),
            ("data_set,x\ntest,1\ntrain,1\ntrain,1", [Test, Train, Train]),
            (
                "is_valid,x\nTrue,1\nFalse,1\n0,1",
                [Validation, Train, Train],
            ),
            ("train,x\n1,1\n0,1\nyes,1", [Train, Test, Train]),
            (
                "train,val,test\n1,0,0\n0,1,0\n0,0,1",
                [Train, Validation, Test],
            ),
            ("is_test,is_val\n1,0\n0,1\n0,0", [Test, Validation, Train]),
            (
                "split,is_valid\ntrain,0\nval,1\ntest,0",
                [Train, Validation, Test],
            ),
            (
                "split,dataset\ntrain,train\nval,val\ntest,test",
                [Train, Validation, Test],
            ),
        ] {
            let parts = read(text).unwrap();
            assert_eq!(parts.rows, expected.map(Some), "{text}");
            assert_eq!(parts.unused, [], "{text}");
        }
    }

    #[test]
    fn columns_that_say_no_part_are_noted() {
        for (text, unused) in [
            (
                "dataset,x\ncoco,1\nvoc,1",
                Some("dataset: 2 values, such as `coco`, say no part"),
            ),
            (
                "phase,x\n,1\n2,1",
                Some("phase: 1 value, such as `2`, say no part"),
            ),
            (
                "val,x\n7,1\n9,1",
                Some("val: 2 values, such as `7`, say no part"),
            ),
            ("set,x\n,1\n,1", None),
            ("fold,x\n1,1\n2,1", None),
        ] {
            let parts = read(text).unwrap();
            assert_eq!(parts.rows, [None, None], "{text}");
            let found = parts
                .unused
                .first()
                .map(|(column, why)| format!("{column}: {why}"));
            assert_eq!(found.as_deref(), unused, "{text}");
        }
        let both = read("split,subset\ntrain,A\ntest,B").unwrap();
        assert_eq!(both.rows, [Some(Split::Train), Some(Split::Test)]);
        assert_eq!(both.unused[0].0, "subset");
    }

    #[test]
    fn what_cannot_be_settled_is_asked() {
        for (text, said) in [
            (
                "split,x\ntrain,1\n0,1",
                "column `split` has the value `0`, which is no part; write",
            ),
            ("subset,x\na,1\nb,1", "column `subset` has the value `a`"),
            (
                "set,x\ntrain,1\nextra,1",
                "column `set` has the value `extra`, which is no part, beside",
            ),
            ("set,x\ntrain,1\n,1", "column `set` has the value ``"),
            (
                "is_valid,x\n1,1\n?,1",
                "column `is_valid` has the value `?`",
            ),
            (
                "train,test\n1,1\n1,0",
                "columns `train` and `test` contradict each other on the part of line 2",
            ),
            (
                "train,test\n1,0\n0,0",
                "columns `train` and `test` put line 3 in no part",
            ),
            (
                "split,is_valid\ntrain,1\ntrain,0",
                "`split` and `is_valid` contradict each other",
            ),
            (
                "split,dataset\ntrain,test\ntrain,train",
                "`split` and `dataset` contradict",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
