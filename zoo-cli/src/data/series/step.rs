//! The step of dates, and the places that they leave empty.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use models::forecaster::{Step, Weekdays};

use super::timeline::{Anchor, anchored};

/// Where dates lie at even steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    pub(super) step: Step,
    pub(super) anchor: Anchor,
    /// How many steps each date lies after the first one. Empty where a date lies beside the steps.
    pub(super) places: Vec<usize>,
    /// The first date that lies beside the steps, and how many do.
    pub(super) beside: Option<(usize, usize)>,
}

impl Grid {
    /// The grid of dates that grow, at least two.
    pub(super) fn of(dates: &[DateTime]) -> Self {
        let of_months = Self::of_months(dates);
        of_months
            .or_else(|| Self::of_weekdays(dates))
            .unwrap_or_else(|| Self::fixed(dates))
    }

    /// The grid of so many rows that only follow each other.
    pub(super) fn even(rows: usize) -> Self {
        Self::places(0..rows as i128, 1)
    }

    /// How many rows it has, the empty ones among them.
    pub(super) fn rows(&self) -> usize {
        self.places.last().map_or(0, |last| last + 1)
    }

    /// How many places have no date.
    pub(super) fn empty(&self) -> usize {
        self.rows() - self.places.len()
    }

    /// Whether every place has a date and every date a place.
    pub(super) fn is_even(&self) -> bool {
        self.beside.is_none() && self.empty() == 0
    }

    /// Steps of months: every date is at the same day of its month, or at its end, or at its first or last weekday.
    fn of_months(dates: &[DateTime]) -> Option<Self> {
        let (first, time) = (dates[0].date(), dates[0].time());
        if dates.iter().any(|date| date.time() != time) {
            return None;
        }
        let day = dates.iter().map(|date| date.day()).max()?;
        let same = |date: &DateTime| date.day() == day.min(date.days_in_month());
        let at = |anchor| {
            dates
                .iter()
                .all(|date| anchored(date.date(), anchor) == date.date())
        };
        let anchor = if dates.iter().all(|date| date.day() == day) {
            Anchor::Same
        } else if at(Anchor::Last) {
            Anchor::Last
        } else if dates.iter().all(same) && first.day() == day {
            Anchor::Same
        } else if dates.len() > 2 && at(Anchor::LastWeekday) {
            Anchor::LastWeekday
        } else if dates.len() > 2 && at(Anchor::FirstWeekday) {
            Anchor::FirstWeekday
        } else {
            return None;
        };
        let month = |date: &DateTime| i64::from(date.year()) * 12 + i64::from(date.month());
        let months: Vec<i64> = dates.iter().map(month).collect();
        let step = commonest(months.windows(2).map(|pair| i128::from(pair[1] - pair[0])));
        let grid = Self {
            step: Step::Months(u32::try_from(step).ok().filter(|&step| step > 0)?),
            anchor,
            ..Self::places(months.iter().map(|&at| i128::from(at - months[0])), step)
        };
        grid.beside.is_none().then_some(grid)
    }

    /// Steps of a day that leave out some days of the week, such as Saturday and Sunday.
    fn of_weekdays(dates: &[DateTime]) -> Option<Self> {
        let time = dates[0].time();
        if dates.iter().any(|date| date.time() != time) {
            return None;
        }
        let weekday = |date: &DateTime| date.weekday().to_monday_zero_offset() as usize;
        let days = Weekdays::new(dates.iter().map(weekday))?;
        let day = |date: &DateTime| date.duration_since(dates[0]).as_hours() / 24;
        let span = day(dates.last()?);
        // Few rows may miss a day of the week by chance; two weekends in a row hardly.
        let weeks = if days == Weekdays::BUSINESS { 1 } else { 4 };
        if span < 7 * weeks || !(2..7).contains(&days.count()) {
            return None;
        }
        // Days that come as often as every seventh are no other step, such as one of 2 days with gaps.
        let first = weekday(&dates[0]);
        let mut before = [0; 8];
        for ahead in 0..7 {
            before[ahead + 1] = before[ahead] + i64::from(days.contains((first + ahead) % 7));
        }
        let place = |date: &DateTime| {
            let day = day(date);
            i128::from(day / 7 * before[7] + before[(day % 7) as usize])
        };
        let grid = Self {
            step: Step::Weekdays(days),
            ..Self::places(dates.iter().map(place), 1)
        };
        // Sparse dates are no days of the week: most places would be empty.
        (2 * dates.len() > grid.rows()).then_some(grid)
    }

    /// Steps of a fixed time, the most frequent one.
    fn fixed(dates: &[DateTime]) -> Self {
        let nanos = |date: &DateTime| date.duration_since(dates[0]).as_nanos();
        let since: Vec<i128> = dates.iter().map(nanos).collect();
        let step = commonest(since.windows(2).map(|pair| pair[1] - pair[0]));
        let seconds = step / 1_000_000_000;
        Self {
            step: match step % 1_000_000_000 {
                0 => Step::Seconds(u64::try_from(seconds).unwrap_or(u64::MAX)),
                _ => Step::Nanoseconds(u64::try_from(step).unwrap_or(u64::MAX)),
            },
            ..Self::places(since.into_iter(), step)
        }
    }

    fn places(since: impl Iterator<Item = i128>, step: i128) -> Self {
        let (mut places, mut beside) = (Vec::new(), None);
        for (i, since) in since.enumerate() {
            if since % step == 0 {
                places.push(usize::try_from(since / step).unwrap_or(usize::MAX - 1));
            } else {
                beside.get_or_insert((i, 0)).1 += 1;
            }
        }
        if beside.is_some() {
            places.clear();
        }
        Self {
            step: Step::Rows,
            anchor: Anchor::Same,
            places,
            beside,
        }
    }
}

/// The most frequent of some positive numbers, the smallest of several.
fn commonest(numbers: impl Iterator<Item = i128>) -> i128 {
    let mut counts = BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_insert(0usize) += 1;
    }
    let mut best = (1, 0);
    for (number, count) in counts {
        if count > best.1 {
            best = (number, count);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(dates: &[&str]) -> Grid {
        let dates: Vec<DateTime> = dates.iter().map(|date| date.parse().unwrap()).collect();
        Grid::of(&dates)
    }

    #[test]
    fn the_commonest_step_counts_not_the_first() {
        let gap = grid(&["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-05"]);
        assert_eq!((gap.step, gap.empty()), (Step::Seconds(86_400), 1));
        assert_eq!(gap.places, [0, 2, 3, 4]);
        let even = grid(&["2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"]);
        assert!(even.step == Step::Seconds(900) && even.is_even());
        let fine = grid(&[
            "2024-01-01T00:00:00.0",
            "2024-01-01T00:00:00.1",
            "2024-01-01T00:00:00.2",
        ]);
        assert!(fine.step == Step::Nanoseconds(100_000_000) && fine.is_even());
        let beside = grid(&[
            "2024-01-01T00:00",
            "2024-01-01T01:00",
            "2024-01-01T02:07",
            "2024-01-01T03:00",
            "2024-01-01T04:00",
        ]);
        assert_eq!((beside.beside, beside.rows()), (Some((2, 1)), 0));
    }

    #[test]
    fn months_are_told_from_days() {
        for (dates, step, anchor) in [
            (
                &["2024-01-31", "2024-02-29", "2024-03-31"][..],
                1,
                Anchor::Last,
            ),
            (&["2023-04-30", "2023-05-31", "2023-06-30"], 1, Anchor::Last),
            (&["2023-03-31", "2023-06-30", "2023-09-30"], 3, Anchor::Last),
            (&["2023-01-30", "2023-02-28", "2023-03-30"], 1, Anchor::Same),
            (&["2023-01-01", "2023-04-01", "2023-07-01"], 3, Anchor::Same),
            (
                &["2020-01-01", "2021-01-01", "2022-01-01"],
                12,
                Anchor::Same,
            ),
            (
                &["2024-05-31", "2024-06-28", "2024-07-31"],
                1,
                Anchor::LastWeekday,
            ),
            (
                &["2024-05-01", "2024-06-03", "2024-07-01"],
                1,
                Anchor::FirstWeekday,
            ),
            (&["2016-01-31", "2016-03-31"], 2, Anchor::Same),
        ] {
            let grid = grid(dates);
            assert_eq!(
                (grid.step, grid.anchor),
                (Step::Months(step), anchor),
                "{dates:?}"
            );
            assert!(grid.is_even(), "{dates:?}");
        }
        let gap = grid(&["2023-01-31", "2023-02-28", "2023-04-30", "2023-05-31"]);
        assert_eq!((gap.step, gap.empty()), (Step::Months(1), 1));
    }

    #[test]
    fn days_of_the_week_may_be_left_out() {
        let days = |from: i64, count: i64, weekdays: &[usize]| -> Vec<DateTime> {
            let start: DateTime = "2024-01-01T09:30".parse().unwrap();
            (from..from + count)
                .filter(|day| weekdays.contains(&(*day as usize % 7)))
                .map(|day| start + jiff::Span::new().days(day))
                .collect()
        };
        let business = Grid::of(&days(2, 40, &[0, 1, 2, 3, 4]));
        assert!(business.step == Step::Weekdays(Weekdays::BUSINESS) && business.is_even());
        let mut holiday = days(2, 40, &[0, 1, 2, 3, 4]);
        holiday.remove(7);
        let holiday = Grid::of(&holiday);
        assert_eq!(
            (holiday.step, holiday.empty()),
            (Step::Weekdays(Weekdays::BUSINESS), 1)
        );
        let shop = Grid::of(&days(0, 40, &[0, 1, 2, 3, 4, 5]));
        assert!(shop.is_even() && matches!(shop.step, Step::Weekdays(days) if days.count() == 6));
        let every_second = Grid::of(&days(0, 60, &[0, 2, 4]));
        assert!(every_second.is_even() && matches!(every_second.step, Step::Weekdays(_)));
        let weekly = Grid::of(&days(0, 60, &[3]));
        assert!(weekly.is_even() && weekly.step == Step::Seconds(7 * 86_400));
        let whole = Grid::of(&days(0, 60, &[0, 1, 2, 3, 4, 5, 6]));
        assert!(whole.is_even() && whole.step == Step::Seconds(86_400));
    }
}
