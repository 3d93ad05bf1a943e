//! The embedded sample: three hourly series made by a seeded generator, for a first run without a network.

use std::path::Path;

use gmnm_core::rng::Philox;
use jiff::civil::date;
use models::forecaster::Step;

use super::inventory::{ColumnInventory, Gaps, Parts, SeriesInventory};
use super::timeline::Timeline;
use super::{SAMPLE, Series, SeriesOptions, Split, malformed, no_column};
use crate::data::{DataError, Source};

const ROWS: usize = 4000;
const COLUMNS: [&str; 3] = ["load", "temperature", "wind"];

/// The sample: daily and weekly cycles with noise that decays over hours, a level that drifts, and a column that
/// depends on another. Synthetic, the same on every machine.
///
/// # Errors
/// When `options` name a column that it has not.
pub(super) fn load(options: &SeriesOptions) -> Result<Series, DataError> {
    let known = COLUMNS.map(String::from);
    let place = |name: &String| {
        let found = known.iter().position(|column| column == name);
        found.ok_or_else(|| no_column(Path::new(SAMPLE), name, &known))
    };
    let asked = if options.columns.is_empty() {
        &known[..]
    } else {
        &options.columns
    };
    let mut chosen = asked.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    for excluded in &options.exclude {
        let excluded = place(excluded)?;
        chosen.retain(|&column| column != excluded);
    }
    if chosen.is_empty() {
        let problem = "every column is excluded; leave one of them out of `series.exclude`";
        return Err(malformed(Path::new(SAMPLE), problem));
    }
    let columns: Vec<String> = chosen.iter().map(|&column| known[column].clone()).collect();
    let rows = generate();
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| chosen.iter().map(|&c| row[c]))
        .collect();
    let timeline = Timeline::local(date(2020, 1, 1).at(0, 0, 0, 0), Step::Seconds(3600));
    let split = Split::of(SAMPLE, ROWS, options.held_out);
    Ok(Series {
        inventory: SeriesInventory {
            rows: ROWS,
            first: timeline.at(0).to_string(),
            last: timeline.at(ROWS - 1).to_string(),
            step: timeline.step_in_words(),
            date_columns: Vec::new(),
            dates_written: None,
            time_zone: None,
            newest_first: false,
            decimal_comma: false,
            named: true,
            header_lines: 1,
            excluded: options.exclude.clone(),
            missing_tokens: options.missing_tokens.clone(),
            columns: ColumnInventory::of(&columns, &values, &split, &[]),
            gaps: Gaps::default(),
            keys: None,
            parts: Parts::new(&split, ROWS),
            left_out: Vec::new(),
        },
        columns,
        values,
        filled: Vec::new(),
        timeline,
        source: Source {
            name: SAMPLE.into(),
            is_sample: true,
            notice: Some("the sample is a synthetic series made by a seeded generator".into()),
            ..Source::default()
        },
    })
}

/// The rows of all columns.
fn generate() -> Vec<[f64; 3]> {
    let mut rng = Philox::named(0, "series sample");
    let (mut weather, mut drift, mut gust) = (0.0, 0.0, 0.0);
    let mut rows = Vec::with_capacity(ROWS);
    for hour in 0..ROWS {
        let day = std::f64::consts::TAU * hour as f64 / 24.0;
        weather = 0.97 * weather + 0.4 * rng.normal();
        drift += 0.02 * rng.normal() - 0.001 * drift;
        gust = 0.8 * gust + rng.normal();
        let temperature = 12.0 - 5.0 * day.cos() + 2.0 * weather;
        let workday = if hour / 24 % 7 < 5 { 1.0 } else { 0.7 };
        let busy = 3.0 * (day - 2.0).sin() + 1.5 * (2.0 * day).sin();
        let load = 40.0 + workday * 2.0 * busy - 0.6 * temperature + 4.0 * drift;
        rows.push([
            load + 0.8 * rng.normal(),
            temperature + 0.3 * rng.normal(),
            (6.0 + 2.0 * day.sin() + gust).max(0.0),
        ]);
    }
    rows
}
