//! What settings must satisfy, and what is said of one that does not.

use std::ops::RangeInclusive;

/// Why a configuration cannot describe a network.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The key in `config.json`.
    pub field: String,
    /// What is wrong with its value and what would be right.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// An error about `field` unless it `holds`.
pub(crate) fn ensure(
    holds: bool,
    field: &str,
    problem: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    match holds {
        true => Ok(()),
        false => Err(ConfigError::new(field, problem())),
    }
}

/// An error about `field` unless `value` is within `range`.
pub(crate) fn in_range(
    field: &str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<(), ConfigError> {
    ensure(range.contains(&value), field, || {
        format!("{value} is outside {} to {}", range.start(), range.end())
    })
}

/// As [`in_range`], for each of `values`.
pub(crate) fn all_in_range(
    field: &str,
    values: &[usize],
    range: RangeInclusive<usize>,
) -> Result<(), ConfigError> {
    values
        .iter()
        .try_for_each(|&value| in_range(field, value, range.clone()))
}

/// Whether a field may be left out of a file.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
