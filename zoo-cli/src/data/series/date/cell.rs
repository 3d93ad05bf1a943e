//! One date as text.

use jiff::civil::{DateTime, Time};

use super::day::{Day, parse_day, without_weekday};
use super::time::{Clock, Zone};

/// Which number of a date such as `01/02/2024` is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Order {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
    /// Year of two digits, month, day.
    Ymd,
}

impl Order {
    /// All of them; the place of an order here is its place in [`Day::Either`].
    pub(in super::super) const ALL: [Self; 3] = [Self::Dmy, Self::Mdy, Self::Ymd];

    /// As the user writes it in `series.dates`.
    pub(in super::super) fn option(self) -> &'static str {
        match self {
            Self::Dmy => "dmy",
            Self::Mdy => "mdy",
            Self::Ymd => "ymd",
        }
    }

    /// In words.
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Dmy => "day, month, year",
            Self::Mdy => "month, day, year",
            Self::Ymd => "year, month, day",
        }
    }
}

/// A date as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) day: Day,
    time: Time,
    /// `24:00`: the beginning of the next day.
    next_day: bool,
    pub(super) zone: Option<Zone<'a>>,
}

impl<'a> Cell<'a> {
    /// Reads a date with or without a time and a zone: `2016-07-01 00:00:00.5+02:00`, `1990/1/2 0:00`, `01.02.2024`,
    /// `1/2/24 3:15 PM`, `1 Feb 2024`, `Mon, 1 Feb 2024 00:00:00 GMT`, `2016-07`, `2016Q3`, `2016-W05`, `2016-183`,
    /// `20160701T0000`; of two with ` - ` between them the first. `None` where the text is none of these, or no such day exists. A text that could be a plain number is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = match text.split_once(" - ") {
            Some((_, to)) if to.contains(" - ") => return None,
            Some((from, to)) => Self::parse(to).map(|_| from)?.trim(),
            None => text.trim(),
        };
        let (text, place) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
            Some((text, place)) => (text.trim_end(), Some(place)),
            None => (text, None),
        };
        let (day, clock) = split(text)?;
        let clock = match clock {
            Some(clock) => Clock::parse(clock)?,
            None => Clock::default(),
        };
        let named = clock.zone.filter(|zone| matches!(zone, Zone::Offset(_)));
        Some(Self {
            day: parse_day(without_weekday(day.trim()))?,
            time: clock.time,
            next_day: clock.next_day,
            zone: named.or(place.map(Zone::Name)).or(clock.zone),
        })
    }

    /// What the clock shows, where the date is read in this order.
    pub(super) fn at(&self, order: Order) -> Option<DateTime> {
        let day = match self.day {
            Day::Known(day) => Some(day),
            Day::Either(days) => days[order as usize],
        }?;
        let day = if self.next_day {
            day.tomorrow().ok()?
        } else {
            day
        };
        Some(day.to_datetime(self.time))
    }
}

/// The text of the day, and that of the time with its zone.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(colon) = text.find(':') {
        let start = text[..colon]
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .len();
        let day = text[..start].trim_end_matches([' ', ',', '_']);
        let day = day.strip_suffix(['T', 't']).unwrap_or(day);
        return (day.len() < start).then_some((day, Some(&text[start..])));
    }
    // `20160701T0000Z`, `2016-07-01T05`
    let compact = text.split_once('T').filter(|(day, time)| {
        day.ends_with(|c: char| c.is_ascii_digit())
            && time.starts_with(|c: char| c.is_ascii_digit())
    });
    match compact {
        Some((day, time)) => Some((day, Some(time))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    fn at(text: &str, order: Order) -> Option<String> {
        let cell = Cell::parse(text)?;
        Some(cell.at(order)?.to_string())
    }

    #[test]
    fn dates_as_they_are_written() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00"),
            ("2000-03-01 00:00:01", "2000-03-01T00:00:01"),
            ("2024/2/29 23:59", "2024-02-29T23:59:00"),
            (" 1969-12-31T23:59:59.5Z ", "1969-12-31T23:59:59.5"),
            ("1990-05", "1990-05-01T00:00:00"),
            ("1990/5/1 0:00", "1990-05-01T00:00:00"),
            ("2024-01-01 00:00:00+00:00", "2024-01-01T00:00:00"),
            ("2024-01-01T00:00:00,25", "2024-01-01T00:00:00.25"),
            ("2024-01-01 24:00", "2024-01-02T00:00:00"),
            ("01.02.2024", "2024-02-01T00:00:00"),
            ("1.2.24 5:00", "2024-02-01T05:00:00"),
            ("1/2/2024 12:30 AM", "2024-02-01T00:30:00"),
            ("1/2/2024 12:30:15 p.m.", "2024-02-01T12:30:15"),
            ("1/2/99 1:00PM", "1999-02-01T13:00:00"),
            ("20160701T0530Z", "2016-07-01T05:30:00"),
            ("20160701 05:30", "2016-07-01T05:30:00"),
            ("2016-07-01T05", "2016-07-01T05:00:00"),
            ("1 Feb 2024", "2024-02-01T00:00:00"),
            ("01-Feb-24", "2024-02-01T00:00:00"),
            ("Feb 1, 2024", "2024-02-01T00:00:00"),
            ("February 2024", "2024-02-01T00:00:00"),
            ("Feb-24", "2024-02-01T00:00:00"),
            ("Thu, 01 Feb 2024 05:00:00 GMT", "2024-02-01T05:00:00"),
            ("Thursday 1 February 2024", "2024-02-01T00:00:00"),
            ("2024-Feb-01", "2024-02-01T00:00:00"),
            ("02/2024", "2024-02-01T00:00:00"),
            ("2024-032", "2024-02-01T00:00:00"),
            ("01.02.2024 00:00 - 01.02.2024 01:00", "2024-02-01T00:00:00"),
            ("2024Q2", "2024-04-01T00:00:00"),
            ("2024-Q2", "2024-04-01T00:00:00"),
            ("Q2 2024", "2024-04-01T00:00:00"),
            ("2024M02", "2024-02-01T00:00:00"),
            ("2024-W05", "2024-01-29T00:00:00"),
            ("2024W05", "2024-01-29T00:00:00"),
            ("2024-W05-3", "2024-01-31T00:00:00"),
        ] {
            assert_eq!(at(text, Order::Dmy).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(at("1/2/2024", Order::Mdy).unwrap(), "2024-01-02T00:00:00");
        assert_eq!(at("24/01/02", Order::Ymd).unwrap(), "2024-01-02T00:00:00");
        assert_eq!(at("13/1/2024", Order::Mdy), None);
        assert_eq!(at("1.2.2024", Order::Mdy), None);
    }

    #[test]
    fn what_is_no_date() {
        for wrong in [
            "",
            "NA",
            "1.5",
            "2023-02-29",
            "2016-13-01",
            "2016-00-01",
            "2016-1-1 24:01",
            "2016-1-1 1",
            "2016--1",
            "2016-1-1 13:00 PM",
            "2016-1-1 0:00 AM",
            "2016-1-1 00:00:00+02:00:00",
            "2016.07",
            "12.2024",
            "12:30",
            "1/2/3",
            "31/31/2024",
            "yesterday",
            "2024Q5",
            "2024-W54",
            "May",
            "Mayor 1, 2024",
            "1-2.2024",
            "2024-01-01T00:00:00.0000000001",
            "2024-01-01 - 2024-01-02 - 2024-01-03",
        ] {
            assert_eq!(Cell::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones() {
        let zone = |text| Cell::parse(text).unwrap().zone;
        let offset = |seconds| Some(Zone::Offset(Offset::from_seconds(seconds).unwrap()));
        assert_eq!(zone("2024-01-01 00:00"), None);
        for (text, seconds) in [
            ("2024-01-01 00:00Z", 0),
            ("2024-01-01 00:00 UTC", 0),
            ("2024-01-01 00:00:00.5+05:30", 19_800),
            ("2024-01-01T00:00-0330", -12_600),
            ("2024-01-01 00:00 +01", 3600),
            ("2024-01-01 00:00 GMT+2", 7200),
            ("2024-01-01 1:00 PM CEST", 7200),
            ("2024-01-01T00:00+01:00[Europe/Berlin]", 3600),
        ] {
            assert_eq!(zone(text), offset(seconds), "{text}");
        }
        for text in [
            "2024-01-01 00:00[Europe/Berlin]",
            "2024-01-01 00:00 Europe/Berlin",
        ] {
            assert_eq!(zone(text), Some(Zone::Name("Europe/Berlin")), "{text}");
        }
    }
}
