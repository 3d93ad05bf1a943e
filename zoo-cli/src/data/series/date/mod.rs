//! Dates as people write them: first every text by itself, then a whole column.

mod cell;
mod column;
mod day;
mod number;
mod time;

use serde::{Deserialize, Serialize};

pub(super) use cell::Order;
pub(super) use column::Column;

/// How the dates of a series are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateReading {
    /// As all of them together say.
    #[default]
    Auto,
    /// `01/02/2024` is the first of February.
    Dmy,
    /// `01/02/2024` is the second of January.
    Mdy,
    /// `24/01/02` is the second of January.
    Ymd,
    /// Numbers are seconds since 1970.
    Seconds,
    /// Numbers are milliseconds since 1970.
    Milliseconds,
    /// Numbers are days as spreadsheets count them: 45292 is the first of January 2024.
    Excel,
    /// Not at all: the rows follow each other at even steps.
    None,
}

impl DateReading {
    /// What to do where dates of an order that was asked for make no even series: a part of a sentence, empty where none
    /// was.
    pub(super) fn doubt(self) -> String {
        let order = match self {
            Self::Dmy => "dmy",
            Self::Mdy => "mdy",
            Self::Ymd => "ymd",
            Self::Auto | Self::Seconds | Self::Milliseconds | Self::Excel | Self::None => {
                return String::new();
            }
        };
        format!(", or, if the dates are written in another order, leave out `series.dates={order}`")
    }
}

/// Whether a text is a date; one that is a plain number is not.
pub(super) fn is_date(text: &str) -> bool {
    cell::Cell::parse(text).is_some()
}

/// Whether a text is a time of day and nothing else.
pub(super) fn is_time(text: &str) -> bool {
    time::is_time(text)
}

/// A time of day with points as one with colons.
pub(super) fn with_colons(text: &str) -> Option<String> {
    time::with_colons(text)
}

/// Whether numbers, all of them together, can be dates without being called so.
pub(super) fn are_dates<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> bool {
    number::Meaning::of(texts, DateReading::Auto).is_some()
}
