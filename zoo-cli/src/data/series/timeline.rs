//! The dates of evenly spaced rows.

use std::fmt;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span};
use models::forecaster::{Step, Weekdays};

const DAY: u64 = 86_400;

/// The dates of rows that follow each other at even steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// What the clock shows at the first row; UTC where the clock is [`Clock::Place`].
    pub(super) start: DateTime,
    /// From row to row.
    pub step: Step,
    /// Where in its month a row stands, if the step is one of months.
    pub(super) anchor: Anchor,
    /// Whose clock it is.
    pub(super) clock: Clock,
}

/// Where in a month a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Anchor {
    /// At the day of the first row; at the last where a month has no such day.
    #[default]
    Same,
    /// At the last day.
    Last,
    /// At the first day from Monday to Friday.
    FirstWeekday,
    /// At the last day from Monday to Friday.
    LastWeekday,
}

/// Whose clock shows the dates.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Clock {
    /// One that says nothing of its zone.
    Local,
    /// One that is ahead of UTC by so much at all times.
    Fixed(Offset),
    /// That of a place; steps are counted in UTC.
    Place(TimeZone),
    /// That of a place; steps are counted by what its clock shows.
    PlaceByDay(TimeZone),
}

/// The date of a row, or its number where rows have no dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// What the clock shows, and how far it is ahead of UTC where that is known.
    Date(DateTime, Option<Offset>),
    /// The row, from 1.
    Row(usize),
}

impl Moment {
    /// The place on an axis: seconds since 1970 by the clock, or the number of the row.
    pub fn position(&self) -> f64 {
        match self {
            Self::Date(clock, _) => clock.duration_since(EPOCH).as_secs_f64(),
            Self::Row(row) => *row as f64,
        }
    }
}

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl fmt::Display for Moment {
    /// `2016-07-01 00:00:00`, with what is known of fractions and zone behind it; the number of a row as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clock, offset) = match self {
            Self::Date(clock, offset) => (clock, offset),
            Self::Row(row) => return write!(f, "{row}"),
        };
        write!(f, "{} {}", clock.date(), clock.time())?;
        match offset.map(Offset::seconds) {
            None => Ok(()),
            Some(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.unsigned_abs() / 60;
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl Timeline {
    /// Rows from `start` on, the clock saying nothing of its zone.
    pub(super) fn local(start: DateTime, step: Step) -> Self {
        Self {
            start,
            step,
            anchor: Anchor::Same,
            clock: Clock::Local,
        }
    }

    /// Rows without dates.
    pub(super) fn rows() -> Self {
        Self::local(EPOCH, Step::Rows)
    }

    /// The date of row `row`, from 0.
    pub fn at(&self, row: usize) -> Moment {
        if self.step == Step::Rows {
            return Moment::Row(row + 1);
        }
        let at = after(self.start, self.step, self.anchor, row);
        match &self.clock {
            Clock::Local => Moment::Date(at, None),
            Clock::Fixed(offset) => Moment::Date(at, Some(*offset)),
            Clock::Place(place) => match Offset::UTC.to_timestamp(at) {
                Ok(instant) => {
                    Moment::Date(place.to_datetime(instant), Some(place.to_offset(instant)))
                }
                Err(_) => Moment::Date(at, Some(Offset::UTC)),
            },
            Clock::PlaceByDay(place) => {
                let instant = place.to_timestamp(at).ok();
                Moment::Date(at, instant.map(|instant| place.to_offset(instant)))
            }
        }
    }

    /// What tells two timelines with the same values apart: seconds since 1970, and the nanoseconds after them.
    pub(super) fn origin(&self) -> (i64, i32) {
        let since = self.start.duration_since(EPOCH);
        let nanos = since.subsec_nanos();
        // Before 1970 the seconds are rounded down.
        if nanos < 0 {
            return (since.as_secs() - 1, nanos + 1_000_000_000);
        }
        (since.as_secs(), nanos)
    }

    /// The step in words, where the rows have dates.
    pub(super) fn step_in_words(&self) -> Option<String> {
        (self.step != Step::Rows).then(|| describe(self.step))
    }

    /// What is known of the zone, in words.
    pub(super) fn zone(&self) -> Option<String> {
        match &self.clock {
            Clock::Local => None,
            Clock::Fixed(offset) if offset.is_zero() => Some("UTC".into()),
            Clock::Fixed(offset) => Some(format!("UTC{offset}")),
            Clock::Place(place) | Clock::PlaceByDay(place) => {
                Some(place.iana_name().unwrap_or("UTC").to_string())
            }
        }
    }
}

/// The day from Monday to Friday that is nearest to `day` among those from it on by `toward`.
fn weekday(day: Date, toward: i64) -> Date {
    let mut day = day;
    while day.weekday().to_monday_zero_offset() > 4 {
        day = day.saturating_add(Span::new().days(toward));
    }
    day
}

/// A day in the month of `day` at the place that `anchor` says.
pub(super) fn anchored(day: Date, anchor: Anchor) -> Date {
    match anchor {
        Anchor::Same => day,
        Anchor::Last => day.last_of_month(),
        Anchor::FirstWeekday => weekday(day.first_of_month(), 1),
        Anchor::LastWeekday => weekday(day.last_of_month(), -1),
    }
}

/// The date `count` steps after `start`.
fn after(start: DateTime, step: Step, anchor: Anchor, count: usize) -> DateTime {
    let seconds = |seconds: u64| {
        let seconds = seconds.saturating_mul(count as u64);
        let since = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        start.saturating_add(since)
    };
    match step {
        Step::Rows => start,
        Step::Seconds(step) => seconds(step),
        Step::Nanoseconds(step) => {
            let nanos = i128::from(step) * count as i128;
            let since = SignedDuration::try_from_nanos_i128(nanos);
            start.saturating_add(since.unwrap_or(SignedDuration::MAX))
        }
        Step::Months(step) => {
            let months = i64::from(step).saturating_mul(count as i64);
            // Far beyond the last year that there is.
            let months = Span::new().months(months.min(150_000));
            let month = start.date().saturating_add(months);
            anchored(month, anchor).to_datetime(start.time())
        }
        Step::Weekdays(days) => {
            let (weeks, rest) = (count / days.count(), count % days.count());
            let first = start.date().weekday().to_monday_zero_offset() as usize;
            let mut later = (1..=7).filter(|ahead| days.contains((first + ahead) % 7));
            let ahead = match rest {
                0 => 0,
                rest => later.nth(rest - 1).unwrap_or(0),
            };
            let days = (weeks * 7 + ahead) as u64 * DAY;
            start.saturating_add(SignedDuration::from_secs(
                i64::try_from(days).unwrap_or(i64::MAX),
            ))
        }
    }
}

/// A step in words, as in `1 h`, `3 months` or `1 day from Monday to Friday`.
pub fn describe(step: Step) -> String {
    let many = |n: u64, one: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    match step {
        Step::Rows => "1 row".into(),
        Step::Months(n) if n.is_multiple_of(12) => many(u64::from(n / 12), "year"),
        Step::Months(3) => "1 quarter".into(),
        Step::Months(n) => many(u64::from(n), "month"),
        Step::Weekdays(Weekdays::BUSINESS) => "1 d from Monday to Friday".into(),
        Step::Weekdays(days) => {
            let names: Vec<&str> = days.names().collect();
            format!("1 d on {} only", names.join(", "))
        }
        Step::Seconds(s) if s > DAY && s.is_multiple_of(7 * DAY) => many(s / (7 * DAY), "week"),
        Step::Seconds(s) if s.is_multiple_of(DAY) => format!("{} d", s / DAY),
        Step::Seconds(s) if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        Step::Seconds(s) if s.is_multiple_of(60) => format!("{} min", s / 60),
        Step::Seconds(s) => format!("{s} s"),
        Step::Nanoseconds(n) if n.is_multiple_of(1_000_000) => {
            format!("{} ms", n / 1_000_000)
        }
        Step::Nanoseconds(n) => format!("{} s", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(start: &str, step: Step, anchor: Anchor) -> Timeline {
        Timeline {
            anchor,
            ..Timeline::local(start.parse().unwrap(), step)
        }
    }

    fn at(start: &str, step: Step, row: usize) -> String {
        timeline(start, step, Anchor::Same).at(row).to_string()
    }

    #[test]
    fn rows_have_dates_at_even_steps() {
        assert_eq!(
            at("2015-12-31T00:00", Step::Months(2), 1),
            "2016-02-29 00:00:00"
        );
        assert_eq!(
            at("2015-12-31T00:00", Step::Months(2), 2),
            "2016-04-30 00:00:00"
        );
        assert_eq!(
            at("2016-12-31T23:00", Step::Seconds(3600), 2),
            "2017-01-01 01:00:00"
        );
        assert_eq!(
            at("2016-01-01T00:00", Step::Nanoseconds(250_000_000), 3),
            "2016-01-01 00:00:00.75"
        );
        let business = Step::Weekdays(Weekdays::BUSINESS);
        for (row, day) in [(0, 4), (1, 7), (4, 10), (5, 11), (6, 14)] {
            let expected = format!("2024-10-{day:02} 00:00:00");
            assert_eq!(at("2024-10-04T00:00", business, row), expected, "{row}");
        }
        assert_eq!(at("2016-01-01T00:00", Step::Rows, 41), "42");
        let months = |anchor, row| {
            timeline("2024-02-29T00:00", Step::Months(1), anchor)
                .at(row)
                .to_string()
        };
        assert_eq!(months(Anchor::Last, 1), "2024-03-31 00:00:00");
        assert_eq!(months(Anchor::LastWeekday, 1), "2024-03-29 00:00:00");
        assert_eq!(months(Anchor::FirstWeekday, 4), "2024-06-03 00:00:00");
        assert_eq!(months(Anchor::Same, 12), "2025-02-28 00:00:00");
    }

    #[test]
    fn the_clock_of_a_place_jumps_while_its_steps_are_even() {
        let place = TimeZone::get("Europe/Berlin").unwrap();
        let mut line = timeline("2024-03-31T00:00", Step::Seconds(3600), Anchor::Same);
        line.clock = Clock::Place(place.clone());
        assert_eq!(line.at(0).to_string(), "2024-03-31 01:00:00+01:00");
        assert_eq!(line.at(1).to_string(), "2024-03-31 03:00:00+02:00");
        let mut line = timeline("2024-03-30T00:00", Step::Seconds(DAY), Anchor::Same);
        line.clock = Clock::PlaceByDay(place);
        assert_eq!(line.at(2).to_string(), "2024-04-01 00:00:00+02:00");
        let mut line = timeline("1969-12-31T23:59:59.5", Step::Seconds(1), Anchor::Same);
        assert_eq!(line.origin(), (-1, 500_000_000));
        line.clock = Clock::Fixed(Offset::from_seconds(-12_600).unwrap());
        assert_eq!(line.at(1).to_string(), "1970-01-01 00:00:00.5-03:30");
    }

    #[test]
    fn steps_in_words() {
        for (step, words) in [
            (Step::Seconds(3600), "1 h"),
            (Step::Seconds(DAY), "1 d"),
            (Step::Seconds(7 * DAY), "1 week"),
            (Step::Seconds(900), "15 min"),
            (Step::Nanoseconds(20_000_000), "20 ms"),
            (Step::Months(2), "2 months"),
            (Step::Months(3), "1 quarter"),
            (Step::Months(12), "1 year"),
            (
                Step::Weekdays(Weekdays::BUSINESS),
                "1 d from Monday to Friday",
            ),
            (
                Step::Weekdays(Weekdays::new([0, 2]).unwrap()),
                "1 d on mon, wed only",
            ),
        ] {
            assert_eq!(describe(step), words);
        }
    }
}
