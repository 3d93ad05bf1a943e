//! A file of many series: rows of several keys, each with dates of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::inventory::Keys;
use super::malformed;
use super::missing::Absent;
use super::number::is_number;
use super::table::Table;
use crate::data::DataError;

/// Names of keys that an inventory or a sentence shows.
const SHOWN: usize = 20;

/// What columns of keys are called, capitals aside, the surest first.
const NAMES: [&str; 5] = ["unique_id", "item_id", "series_id", "id", "key"];

/// The series of a file of many.
#[derive(Debug)]
pub(super) struct Series {
    /// The columns that tell them apart.
    pub(super) columns: Vec<usize>,
    /// The places of the rows of each, by its name, in the order of their first rows.
    groups: Vec<(String, Vec<usize>)>,
}

/// Which series of a file of many is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    /// Its value, or `column=value` once or more with commas between; empty for none.
    pub text: String,
    /// The columns that told the series apart where this one was chosen; empty where nobody knows.
    pub columns: Vec<String>,
    /// Whether a file of one series is read as it is.
    pub only_of_many: bool,
}

impl Key {
    /// The places of its columns, where all of them are known and there.
    fn places(&self, table: &Table) -> Option<Vec<usize>> {
        let places = self.columns.iter().map(|name| table.column(name));
        let places: Option<Vec<usize>> = places.collect();
        places.filter(|places| !places.is_empty())
    }
}

impl Series {
    /// The series in the rows with these `moments`: by the columns that `key` names or is known by, or, if the moments
    /// come more than once, by those that give each series its dates once.
    pub(super) fn find<M: Eq + std::hash::Hash>(
        path: &Path,
        table: &Table,
        moments: &[M],
        used: &[usize],
        key: &Key,
        absent: &Absent<'_>,
    ) -> Result<Option<Self>, DataError> {
        let named = named(table, &key.text);
        if let Some(named) = named {
            let columns = named.into_iter().map(|(column, _)| column);
            return Ok(Some(Self::by(table, columns.collect())));
        }
        if let Some(columns) = key.places(table).filter(|_| !key.text.is_empty()) {
            return Ok(Some(Self::by(table, columns)));
        }
        let different: HashSet<&M> = moments.iter().collect();
        // In a file of many series most dates come more than once; on a clock that is set back a few do.
        if 3 * different.len() > 2 * moments.len() {
            return Ok(None);
        }
        let dates = different.len();
        let candidates: Vec<usize> = (0..table.header.len())
            .filter(|column| !used.contains(column))
            .filter(|&column| can_be_key(table, column, absent))
            .collect();
        let tells = |columns: &[usize]| -> Option<Self> {
            let series = Self::by(table, columns.to_vec());
            series
                .has_dates_once(moments)
                .then_some(series)
                .filter(|series| {
                    // Most of them have most dates: values that happen to differ at each date do not.
                    10 * moments.len() >= 3 * series.groups.len() * dates
                })
        };
        let mut found: Vec<Self> = candidates.iter().filter_map(|&c| tells(&[c])).collect();
        if found.is_empty() {
            let pairs = candidates
                .iter()
                .enumerate()
                .flat_map(|(i, &a)| candidates[i + 1..].iter().map(move |&b| [a, b]));
            found = pairs.filter_map(|pair| tells(&pair)).collect();
        }
        let by_name = |name: &&str| {
            let called = |series: &Self| matches!(series.columns[..], [c] if table.header[c].eq_ignore_ascii_case(name));
            found.iter().position(called)
        };
        let rows = |series: &Self| -> BTreeSet<Vec<usize>> {
            series.groups.iter().map(|(_, rows)| rows.clone()).collect()
        };
        let chosen = match found.len() {
            0 => None,
            1 => Some(0),
            _ => NAMES.iter().find_map(by_name).or_else(|| {
                let first = rows(&found[0]);
                found[1..]
                    .iter()
                    .all(|series| rows(series) == first)
                    .then_some(0)
            }),
        };
        if let Some(chosen) = chosen {
            return Ok(Some(found.swap_remove(chosen)));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let examples: Vec<String> = found
            .iter()
            .map(|series| format!("`--key {}`", quoted(&series.example(table))))
            .collect();
        Err(malformed(
            path,
            format!(
                "most dates come more than once, so it holds several series; say which columns tell them apart and \
                 which one is read, as in {}",
                examples.join(" or ")
            ),
        ))
    }

    /// A key that names columns and values.
    fn example(&self, table: &Table) -> String {
        let row = self
            .groups
            .first()
            .and_then(|(_, rows)| rows.first())
            .copied();
        let row = &table.rows[row.unwrap_or(0)];
        let named = self
            .columns
            .iter()
            .map(|&c| format!("{}={}", table.header[c], row.cell(c)));
        named.collect::<Vec<_>>().join(",")
    }

    /// The rows by the cells of some columns.
    fn by(table: &Table, columns: Vec<usize>) -> Self {
        let mut places: HashMap<Vec<&str>, usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (place, row) in table.rows.iter().enumerate() {
            let cells: Vec<&str> = columns.iter().map(|&column| row.cell(column)).collect();
            let name = || match &columns[..] {
                [_] => cells[0].to_string(),
                _ => {
                    let named = columns.iter().zip(&cells);
                    let named = named.map(|(&c, cell)| format!("{}={cell}", table.header[c]));
                    named.collect::<Vec<_>>().join(",")
                }
            };
            let next = groups.len();
            let at = *places.entry(cells.clone()).or_insert_with(|| {
                groups.push((name(), Vec::new()));
                next
            });
            groups[at].1.push(place);
        }
        Self { columns, groups }
    }

    fn has_dates_once<M: Eq + std::hash::Hash>(&self, moments: &[M]) -> bool {
        self.groups.len() > 1
            && self.groups.iter().all(|(_, rows)| {
                let mut seen = HashSet::new();
                rows.len() > 1 && rows.iter().all(|&row| seen.insert(&moments[row]))
            })
    }

    /// The rows of the series that `key` names; the first one where it names none.
    ///
    /// # Errors
    /// When there is no such series.
    pub(super) fn rows(
        &self,
        path: &Path,
        table: &Table,
        key: &Key,
    ) -> Result<(&str, &[usize]), DataError> {
        let wanted = named(table, &key.text);
        let matches = |rows: &[usize]| match (&wanted, rows.first()) {
            (Some(wanted), Some(&row)) => wanted
                .iter()
                .all(|(column, value)| table.rows[row].cell(*column) == *value),
            _ => false,
        };
        let found = self
            .groups
            .iter()
            .find(|(name, rows)| key.text.is_empty() || *name == key.text || matches(rows));
        let found = found.map(|(name, rows)| (name.as_str(), &rows[..]));
        found.ok_or_else(|| {
            malformed(
                path,
                format!("it has no series `{}`; {}", key.text, self.choose(table)),
            )
        })
    }

    /// How to choose one.
    pub(super) fn choose(&self, table: &Table) -> String {
        let keys = self.inventory(table, None);
        let more = keys.count - keys.names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let names: Vec<String> = keys.names.iter().map(|name| format!("`{name}`")).collect();
        let example = quoted(&keys.names[0]);
        if keys.count == 1 {
            return format!(
                "it holds one, {} by `{}`; choose it with `--key {example}` or give another file",
                names[0],
                keys.columns.join("`, `")
            );
        }
        format!(
            "it holds {} series, told apart by `{}`: {}{more}; choose one with `--key {example}` (`zoo compare`: \
             `--set series.key={example}`)",
            keys.count,
            keys.columns.join("`, `"),
            names.join(", "),
        )
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn inventory(&self, table: &Table, read: Option<&str>) -> Keys {
        let names = self.groups.iter().map(|(name, _)| name.clone());
        Keys {
            columns: self
                .columns
                .iter()
                .map(|&c| table.header[c].clone())
                .collect(),
            count: self.groups.len(),
            names: names.take(SHOWN).collect(),
            read: read.map(str::to_string),
        }
    }
}

/// An argument as a shell reads it.
pub(super) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-=,.:/".contains(c);
    match argument.chars().all(plain) && !argument.is_empty() {
        true => argument.to_string(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

/// The columns and values that a key names as `column=value,…`; none where it is a value alone.
fn named<'a>(table: &Table, key: &'a str) -> Option<Vec<(usize, &'a str)>> {
    let pair = |text: &'a str| {
        let (name, value) = text.split_once('=')?;
        Some((table.column(name.trim())?, value.trim()))
    };
    // A value may hold a comma: as a whole first.
    match key.split(',').map(pair).collect::<Option<Vec<_>>>() {
        Some(pairs) => Some(pairs),
        None => pair(key).map(|pair| vec![pair]),
    }
}

/// Whether the cells of a column are words or whole numbers that come more than once.
fn can_be_key(table: &Table, column: usize, absent: &Absent<'_>) -> bool {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in table.cells(column) {
        let whole = cell.bytes().all(|b| b.is_ascii_digit()) || !is_number(cell);
        if absent.is(cell) || !whole {
            return false;
        }
        *counts.entry(cell).or_default() += 1;
    }
    counts.len() > 1 && 2 * counts.len() <= table.rows.len()
}

/// That a file of one series may be read where `key` asks for one of many; `others` are the columns that are no keys.
///
/// # Errors
/// When it asks for another than the only one.
pub(super) fn expect_none(
    path: &Path,
    table: &Table,
    key: &Key,
    others: &[usize],
    absent: &Absent<'_>,
) -> Result<(), DataError> {
    if key.text.is_empty() {
        return Ok(());
    }
    // The columns of a key need not be here, or be called as where it was chosen: its values are compared.
    let values: Vec<&str> = key
        .text
        .split(',')
        .map(|part| part.split_once('=').map_or(part, |(_, value)| value).trim())
        .chain([key.text.as_str()])
        .collect();
    let is_wanted = |column: usize| values.contains(&table.rows[0].cell(column));
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let can_be_it = |&column: &usize| {
        let first = table.rows[0].cell(column);
        let alike = values.iter().any(|value| whole(value) == whole(first));
        let kind = whole(first) || !is_number(first);
        !others.contains(&column)
            && !absent.is(first)
            && kind
            && alike
            && table.cells(column).all(|cell| cell == first)
    };
    let mut keys: Vec<usize> = (0..table.header.len()).filter(can_be_it).collect();
    let is_called_key = |column: &usize| {
        let called = |name: &&str| table.header[*column].eq_ignore_ascii_case(name);
        NAMES.iter().any(called)
    };
    if keys.iter().any(is_called_key) {
        keys.retain(is_called_key);
    }
    let problem = match keys.first() {
        Some(_) if keys.iter().any(|&column| is_wanted(column)) => return Ok(()),
        Some(&column) => {
            let only = table.rows[0].cell(column);
            format!(
                "it has no series `{}`; it holds one, column `{}` is `{only}` in every row; choose it with `--key {}` \
                 or give another file",
                key.text,
                table.header[column],
                quoted(only)
            )
        }
        None if key.only_of_many => return Ok(()),
        None => format!(
            "it holds one series, its dates come once; leave out `--key {}`",
            quoted(&key.text)
        ),
    };
    Err(malformed(path, problem))
}
