//! The labels and the parts of the rows of a parquet file, whatever the types of their columns.

use std::collections::HashMap;

use ::parquet::column::reader::ColumnReader;

use super::{
    columns::{LabelColumn, LabelKind},
    labels::Value,
    malformed,
    shard::{MAX_ROWS, Shard, too_many},
};
use crate::data::{
    DataError,
    parts::MAX_CLASSES,
    splits::{self, Split},
};

/// The labels of a file: of each row, and the distinct names.
pub(super) type LabelValues = (Vec<Value>, Vec<String>);

impl Shard {
    /// The labels of all rows.
    pub(super) fn labels(&self, label: &LabelColumn) -> Result<LabelValues, DataError> {
        self.check(label.leaf)?;
        let mut rows = Vec::new();
        let mut texts = Texts::default();
        self.groups(&mut |group| {
            let mut column = self.column(group, label.leaf)?;
            loop {
                let chunk = self.label_chunk(label, &mut column, rows.len(), &mut texts)?;
                if chunk.is_empty() {
                    return Ok(());
                }
                rows.extend(chunk);
                if rows.len() > MAX_ROWS {
                    return Err(too_many(&self.path));
                }
            }
        })?;
        Ok((rows, texts.names))
    }

    fn label_chunk(
        &self,
        label: &LabelColumn,
        column: &mut ColumnReader,
        row: usize,
        texts: &mut Texts,
    ) -> Result<Vec<Value>, DataError> {
        let refuse = |what: String| malformed(&self.path, what);
        let signed = label.kind != LabelKind::Integer { signed: false };
        let whole = |(i, value): (usize, Option<f64>)| match value {
            Some(value) if value.is_nan() => Ok(Value::Missing),
            Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                Ok(Value::Number(value as i64))
            }
            Some(value) => Err(refuse(format!(
                "row {} of its column `{}` holds {value}, which is no class; store each class as a whole number or a \
                 name",
                row + i,
                label.name
            ))),
            None => Ok(Value::Missing),
        };
        let number = |value: Option<i64>| value.map_or(Value::Missing, Value::Number);
        Ok(match column {
            ColumnReader::Int32ColumnReader(column) => self
                .chunk(label.leaf, column)?
                .into_iter()
                .map(|value| {
                    number(value.map(|value| {
                        if signed {
                            i64::from(value)
                        } else {
                            i64::from(value.cast_unsigned())
                        }
                    }))
                })
                .collect(),
            ColumnReader::Int64ColumnReader(column) => self
                .chunk(label.leaf, column)?
                .into_iter()
                .enumerate()
                .map(|(i, value)| match value {
                    Some(value) if !signed && value < 0 => Err(refuse(format!(
                        "row {} of its column `{}` holds {}, which is beyond any class; number the classes from 0",
                        row + i,
                        label.name,
                        value.cast_unsigned()
                    ))),
                    value => Ok(number(value)),
                })
                .collect::<Result<_, _>>()?,
            ColumnReader::FloatColumnReader(column) => {
                let values = self.chunk(label.leaf, column)?.into_iter().map(|v| v.map(f64::from));
                values.enumerate().map(whole).collect::<Result<_, _>>()?
            }
            ColumnReader::DoubleColumnReader(column) => {
                let values = self.chunk(label.leaf, column)?.into_iter();
                values.enumerate().map(whole).collect::<Result<_, _>>()?
            }
            ColumnReader::BoolColumnReader(column) => self
                .chunk(label.leaf, column)?
                .into_iter()
                .map(|value| match value {
                    Some(value) => texts.value(if value { "true" } else { "false" }),
                    None => Ok(Value::Missing),
                })
                .collect::<Result<_, _>>()
                .map_err(refuse)?,
            ColumnReader::ByteArrayColumnReader(column) => self
                .chunk(label.leaf, column)?
                .into_iter()
                .enumerate()
                .map(|(i, value)| {
                    let Some(value) = value else {
                        return Ok(Value::Missing);
                    };
                    match std::str::from_utf8(value.data()) {
                        // An empty name names nothing.
                        Ok(name) if name.trim().is_empty() => Ok(Value::Missing),
                        Ok(name) => texts.value(name),
                        Err(_) => Err(format!(
                            "row {} of its column `{}` is no text; store each class as a number or a name",
                            row + i,
                            label.name
                        )),
                    }
                })
                .collect::<Result<_, _>>()
                .map_err(refuse)?,
            _ => {
                return Err(refuse(format!(
                    "its column `{}` is of a kind that holds no classes; store each class as a number or a name",
                    label.name
                )));
            }
        })
    }
}

/// The distinct names of a column.
#[derive(Default)]
struct Texts {
    names: Vec<String>,
    places: HashMap<String, u32>,
}

impl Texts {
    fn value(&mut self, name: &str) -> Result<Value, String> {
        if let Some(&place) = self.places.get(name) {
            return Ok(Value::Text(place));
        }
        let place = self.names.len();
        if place >= MAX_CLASSES {
            return Err(format!(
                "its labels have more than {MAX_CLASSES} names; take a column of fewer classes for the labels"
            ));
        }
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place as u32);
        Ok(Value::Text(place as u32))
    }
}

/// What a column of parts says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Splits {
    /// The part of each row.
    Of(Vec<Option<Split>>),
    /// All its values are others, as this one; none where it has no values.
    Others(Option<String>),
    /// Some values are parts; this one of this row is none.
    Mixed(usize, String),
}

/// The parts that the rows of a column say.
pub(super) fn splits_of(values: &[Option<String>]) -> Splits {
    let parts: Vec<Option<Split>> = values
        .iter()
        .map(|value| splits::in_name(value.as_ref()?))
        .collect();
    let mut rows = values.iter().zip(&parts).enumerate();
    let other = rows.find_map(|(row, (value, part))| match part {
        None => Some((row, value.clone()?)),
        Some(_) => None,
    });
    match (other, parts.iter().any(Option::is_some)) {
        (None, true) => Splits::Of(parts),
        (Some((row, value)), true) => Splits::Mixed(row, value),
        (other, false) => Splits::Others(other.map(|(_, value)| value)),
    }
}
