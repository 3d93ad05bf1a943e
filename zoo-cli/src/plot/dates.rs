//! Ticks of an axis of dates, given as seconds since 1970-01-01 00:00:00.

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};

use super::axis::Tick;

const DAY: i64 = 86_400;

/// Steps that days and their parts divide into, in seconds.
const SECONDS: [i64; 19] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    2 * 3600,
    3 * 3600,
    6 * 3600,
    12 * 3600,
    DAY,
    7 * DAY,
];
/// Longer steps.
const MONTHS: [i64; 12] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400];

/// At most about `most` round dates from `low` to `high`, in rising order.
pub(super) fn ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    const MONTH: f64 = 30.44 * DAY as f64;
    let smallest = (high - low) / most.max(1) as f64;
    if let Some(&step) = SECONDS.iter().find(|&&step| step as f64 >= smallest) {
        // Weeks begin on Monday, 1970 began on a Thursday.
        let offset = if step == 7 * DAY { 4 * DAY } else { 0 };
        let place = |value: f64| (value - offset as f64) / step as f64;
        let places = place(low).ceil() as i64..=place(high).floor() as i64;
        return places
            .filter_map(|i| tick(offset + i * step, if step < DAY { time } else { day }))
            .collect();
    }
    let long = MONTHS.iter().find(|&&step| step as f64 * MONTH >= smallest);
    let step = long.copied().unwrap_or(12_000);
    let month = |value: f64| {
        let date = civil(value as i64)?;
        Some(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
    };
    let (Some(first), Some(last)) = (month(low), month(high)) else {
        return Vec::new();
    };
    let first = first + (-first).rem_euclid(step);
    (first..=last)
        .step_by(step as usize)
        .filter_map(|index| {
            let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
            let date = datetime(year.try_into().ok()?, month as i8, 1, 0, 0, 0, 0);
            let seconds = date.duration_since(EPOCH).as_secs();
            tick(seconds, if step < 12 { in_year } else { year_alone })
        })
        .filter(|tick| (low..=high).contains(&tick.value))
        .collect()
}

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

fn civil(seconds: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn tick(seconds: i64, label: fn(DateTime) -> String) -> Option<Tick> {
    Some(Tick {
        value: seconds as f64,
        label: label(civil(seconds)?),
    })
}

/// `12:00`, and the day at its beginning.
fn time(date: DateTime) -> String {
    let form = match (date.hour(), date.minute(), date.second()) {
        (0, 0, 0) => return day(date),
        (_, _, 0) => "%H:%M",
        _ => "%H:%M:%S",
    };
    date.strftime(form).to_string()
}

/// `Feb 28`.
fn day(date: DateTime) -> String {
    date.strftime("%b %-d").to_string()
}

/// `Feb`, and the year in January.
fn in_year(date: DateTime) -> String {
    match date.month() {
        1 => year_alone(date),
        _ => date.strftime("%b").to_string(),
    }
}

/// `2021`.
fn year_alone(date: DateTime) -> String {
    date.year().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(from: DateTime, to: DateTime) -> Vec<String> {
        let seconds = |date: DateTime| date.duration_since(EPOCH).as_secs() as f64;
        let ticks = ticks(seconds(from), seconds(to), 6);
        assert!(ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
        assert!(ticks.len() <= 7, "{ticks:?}");
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_dates() {
        let at = |year, month, day, hour| datetime(year, month, day, hour, 0, 0, 0);
        assert_eq!(
            shown(at(2021, 2, 28, 9), at(2021, 3, 1, 11)),
            ["12:00", "18:00", "Mar 1", "06:00"]
        );
        assert_eq!(
            shown(at(2021, 2, 26, 1), at(2021, 3, 2, 1)),
            ["Feb 27", "Feb 28", "Mar 1", "Mar 2"]
        );
        // Mondays.
        assert_eq!(
            shown(at(2024, 1, 1, 0), at(2024, 1, 31, 0)),
            ["Jan 1", "Jan 8", "Jan 15", "Jan 22", "Jan 29"]
        );
        assert_eq!(
            shown(at(2020, 10, 15, 0), at(2021, 4, 15, 0)),
            ["Nov", "Dec", "2021", "Feb", "Mar", "Apr"]
        );
        assert_eq!(
            shown(at(2001, 1, 1, 0), at(2031, 1, 1, 0)),
            ["2005", "2010", "2015", "2020", "2025", "2030"]
        );
        assert_eq!(shown(at(9999, 12, 30, 0), at(9999, 12, 30, 0)), ["Dec 30"]);
    }
}
