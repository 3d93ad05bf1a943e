//! Some days of the week.

use serde::{Deserialize, Serialize};

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// At least one day of the week; in files their names, as in `["mon", "tue", "wed", "thu", "fri"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Weekdays(u8);

impl Weekdays {
    /// Monday to Friday.
    pub const BUSINESS: Self = Self(0b001_1111);

    /// The days with these numbers, Monday being 0; `None` where there is none, or one is above 6.
    pub fn new(days: impl IntoIterator<Item = usize>) -> Option<Self> {
        let bits = days.into_iter().try_fold(0u8, |bits, day| {
            (day < NAMES.len()).then_some(bits | 1 << day)
        })?;
        (bits != 0).then_some(Self(bits))
    }

    /// Whether the day with this number is one of them.
    pub fn contains(self, day: usize) -> bool {
        day < NAMES.len() && self.0 & 1 << day != 0
    }

    /// How many there are, 1 to 7.
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Their short names, from Monday.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..NAMES.len())
            .filter(move |&day| self.contains(day))
            .map(|day| NAMES[day])
    }
}

impl From<Weekdays> for Vec<String> {
    fn from(days: Weekdays) -> Self {
        days.names().map(String::from).collect()
    }
}

impl TryFrom<Vec<String>> for Weekdays {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let days = names
            .iter()
            .map(|name| {
                let found = NAMES.iter().position(|known| known == name);
                found.ok_or_else(|| format!("`{name}` is no day of the week; write mon, tue, …"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(days).ok_or_else(|| "no day of the week is named".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_by_name() {
        let text = serde_json::to_string(&Weekdays::BUSINESS).unwrap();
        assert_eq!(text, r#"["mon","tue","wed","thu","fri"]"#);
        assert_eq!(
            serde_json::from_str::<Weekdays>(&text).unwrap(),
            Weekdays::BUSINESS
        );
        for wrong in ["[]", r#"["Montag"]"#] {
            assert!(serde_json::from_str::<Weekdays>(wrong).is_err(), "{wrong}");
        }
        let days = Weekdays::new([6, 0]).unwrap();
        assert_eq!(
            (days.count(), days.contains(6), days.contains(1)),
            (2, true, false)
        );
        assert!(Weekdays::new([7]).is_none() && Weekdays::new([]).is_none());
    }
}
