//! A time of day as text, with what it says of its zone.

use jiff::civil::Time;
use jiff::tz::Offset;

/// What a text says of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone<'a> {
    /// The clock is ahead of UTC by so much.
    Offset(Offset),
    /// A name, as in `Europe/Berlin`.
    Name(&'a str),
}

/// A time of day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock<'a> {
    pub(super) time: Time,
    /// `24:00`: the beginning of the next day.
    pub(super) next_day: bool,
    pub(super) zone: Option<Zone<'a>>,
}

impl<'a> Clock<'a> {
    /// Reads a time of day with its zone; `None` where the text is something else.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (hour, rest) = number(text, 2)?;
        let (minute, second, fraction, rest) = if let Some(rest) = rest.strip_prefix(':') {
            let (minute, rest) = number(rest, 2)?;
            match rest.strip_prefix(':') {
                Some(rest) => {
                    let (second, rest) = number(rest, 2)?;
                    let (fraction, rest) = fraction(rest)?;
                    (minute, second, fraction, rest)
                }
                None => (minute, 0, 0, rest),
            }
        } else {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (digits, rest) = rest.split_at(digits);
            match digits.len() {
                0 => (0, 0, 0, rest),
                2 => (digits.parse().ok()?, 0, 0, rest),
                4 => (
                    digits[..2].parse().ok()?,
                    digits[2..].parse().ok()?,
                    0,
                    rest,
                ),
                _ => return None,
            }
        };
        let (half, rest) = half(rest.trim_start());
        let (hour, next_day) = match (hour, half) {
            (12, Some(Half::Am)) => (0, false),
            (1..=11, Some(Half::Pm)) => (hour + 12, false),
            (1..=12, Some(_)) => (hour, false),
            (_, Some(_)) => return None,
            (24, None) if (minute, second, fraction) == (0, 0, 0) => (0, true),
            (_, None) => (hour, false),
        };
        let small = |n: u32| i8::try_from(n).ok();
        let time = Time::new(
            small(hour)?,
            small(minute)?,
            small(second)?,
            fraction as i32,
        );
        Some(Self {
            time: time.ok()?,
            next_day,
            zone: zone(rest.trim())?,
        })
    }
}

/// Whether a text is a time of day and nothing else, as in `17:30` or `5:30 PM`.
pub(super) fn is_time(text: &str) -> bool {
    text.contains(':') && Clock::parse(text.trim()).is_some()
}

/// `18.00.00` as `18:00:00`, where a text is such a time of day; it may be a date as well.
pub(super) fn with_colons(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim().split('.').collect();
    let short =
        |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let time = (parts.len() == 3 && parts.iter().all(short)).then(|| parts.join(":"))?;
    is_time(&time).then_some(time)
}

#[derive(Debug, Clone, Copy)]
enum Half {
    Am,
    Pm,
}

/// `AM`, `p.m.` and the like at the beginning of a text, and the rest of it.
fn half(text: &str) -> (Option<Half>, &str) {
    for (mark, half) in [
        ("a.m.", Half::Am),
        ("p.m.", Half::Pm),
        ("am", Half::Am),
        ("pm", Half::Pm),
    ] {
        let start = text.get(..mark.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(mark)) {
            return (Some(half), &text[mark.len()..]);
        }
    }
    (None, text)
}

/// A number of at most `most` digits at the beginning of a text, and the rest of it.
pub(super) fn number(text: &str, most: usize) -> Option<(u32, &str)> {
    let digits = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let (digits, rest) = text.split_at(digits);
    Some((digits.parse().ok()?, rest))
}

/// Nanoseconds of `.5` or `,123456789` at the beginning of a text, if it is there, and the rest of it.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(digits) = text.strip_prefix(['.', ',']) else {
        return Some((0, text));
    };
    let (value, rest) = number(digits, 9)?;
    let count = digits.len() - rest.len();
    // Digits beyond the ninth would be lost.
    let rest = rest.trim_start_matches('0');
    let whole = !rest.starts_with(|c: char| c.is_ascii_digit());
    whole.then_some((value * 10u32.pow(9 - count as u32), rest))
}

/// The zone that a text is, or none where it is empty; `None` where it is something else.
#[allow(clippy::option_option)]
fn zone(text: &str) -> Option<Option<Zone<'_>>> {
    if text.is_empty() {
        return Some(None);
    }
    let hours = |hours| Offset::from_hours(hours).ok();
    let known = match text {
        "Z" | "z" | "UTC" | "GMT" | "UT" | "WET" => hours(0),
        "WEST" | "CET" => hours(1),
        "CEST" | "EET" => hours(2),
        "EEST" => hours(3),
        "EDT" => hours(-4),
        "EST" => hours(-5),
        "MDT" => hours(-6),
        "MST" | "PDT" => hours(-7),
        "PST" => hours(-8),
        _ => None,
    };
    if let Some(offset) = known {
        return Some(Some(Zone::Offset(offset)));
    }
    let signed = text
        .strip_prefix("UTC")
        .or(text.strip_prefix("GMT"))
        .unwrap_or(text);
    let negative = signed.starts_with(['-', '\u{2212}']);
    if let Some(digits) = signed.strip_prefix(['+', '-', '\u{2212}']) {
        let (hours, rest) = number(digits, 2)?;
        let (minutes, rest) = match rest.strip_prefix(':').unwrap_or(rest) {
            "" => (0, ""),
            rest => number(rest, 2)?,
        };
        if !rest.is_empty() || minutes > 59 {
            return None;
        }
        let seconds = (hours * 3600 + minutes * 60) as i32;
        let offset = Offset::from_seconds(if negative { -seconds } else { seconds });
        return Some(Some(Zone::Offset(offset.ok()?)));
    }
    let of_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let name = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(of_name);
    name.then_some(Some(Zone::Name(text)))
}
