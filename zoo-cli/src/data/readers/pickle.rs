//! Python's pickles (protocols 0 to 5), as far as data sets need them: None, truth values, numbers, text, bytes, lists,
//! tuples, dictionaries and NumPy arrays of whole numbers. Anything else is refused.
//!
//! A pickle is a program for a stack machine that may call any function of Python. Nothing is called here: six names
//! stand for values that are built, all others are an error. Values lie in one table and refer to each other by their
//! place in it, so that nothing is copied, nothing recurses, and memory grows only with what the stream really holds.

use std::{
    io::{self, Read},
    path::Path,
};

use super::numpy::{Dtype, Layout, SAVE};
use crate::data::{DataError, input};

mod machine;
mod stream;
mod text;

use machine::{Global, Machine};

/// The place of a value among those of its pickle.
pub(super) type Id = usize;

#[derive(Debug)]
enum Value {
    Nothing,
    Truth(bool),
    Integer(i64),
    Float,
    /// Of Python 3, or the text of Python 2.
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    Global(Global),
    Dtype(Dtype),
    /// An array that has no elements yet.
    Unfilled,
    Array {
        layout: Layout,
        data: Id,
    },
}

/// Why a pickle is not read.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    /// What is wrong, and what to do next.
    Problem(String),
}

impl From<io::Error> for Fault {
    fn from(reason: io::Error) -> Self {
        Self::Read(reason)
    }
}

impl Fault {
    pub(super) fn of_file(self, path: &Path) -> DataError {
        match self {
            Self::Read(reason) => input::read_failed(path, reason),
            Self::Problem(problem) => DataError::Malformed {
                path: path.into(),
                format: "a pickle of arrays",
                problem,
            },
        }
    }
}

fn damaged(what: &str) -> Fault {
    Fault::Problem(format!("{what}; fetch the file again"))
}

fn not_built(what: &str) -> Fault {
    Fault::Problem(format!(
        "it holds {what}, and only numbers, text, lists, dictionaries and NumPy arrays of whole numbers are read; save the arrays with {SAVE} and give that file"
    ))
}

/// Whether a file that starts so may be a pickle of a dictionary.
pub(super) fn starts_like_one(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
        || start.starts_with(b"(dp")
        || start.starts_with(b"}q")
        || start.starts_with(b"(d.")
}

/// The content of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// # Errors
    /// What cannot be read, is cut short, is too long, or would build anything but data.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Self, Fault> {
        Machine::new(reader).run()
    }

    /// The value of the whole.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// The value under this key of a dictionary.
    pub(super) fn get(&self, dictionary: Id, key: &str) -> Option<Id> {
        let Value::Dictionary(pairs) = self.values.get(dictionary)? else {
            return None;
        };
        pairs
            .iter()
            .rev()
            .find(|(name, _)| self.text(*name).as_deref() == Some(key))
            .map(|(_, value)| *value)
    }

    /// Text; bytes are read as UTF-8.
    pub(super) fn text(&self, id: Id) -> Option<String> {
        match self.values.get(id)? {
            Value::Text(text) => Some(text.clone()),
            Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        }
    }

    /// The values of a list or tuple.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.values.get(id)? {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// An array: its form and its elements.
    pub(super) fn array(&self, id: Id) -> Option<(&Layout, &[u8])> {
        let Value::Array { layout, data } = self.values.get(id)? else {
            return None;
        };
        match self.values.get(*data)? {
            Value::Bytes(bytes) => Some((layout, bytes)),
            _ => None,
        }
    }

    /// Whole numbers: a list or a tuple of them, or an array with one axis.
    pub(super) fn integers(&self, id: Id) -> Option<Vec<i64>> {
        if let Some((layout, data)) = self.array(id) {
            return (layout.shape.len() == 1).then(|| layout.integers(data));
        }
        self.sequence(id)?
            .iter()
            .map(|&item| match self.values.get(item)? {
                Value::Integer(value) => Some(*value),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
