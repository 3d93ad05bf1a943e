//! The embedded sample: three hourly series made by a seeded generator, for a first run without a network.

use gmnm_core::rng::Philox;
use models::forecaster::Step;

use super::{Series, date};
use crate::data::Source;

const ROWS: usize = 4000;
const COLUMNS: [&str; 3] = ["load", "temperature", "wind"];

/// The sample: daily and weekly cycles with noise that decays over hours, a level that drifts, and a column that
/// depends on another. Synthetic, the same on every machine.
pub(super) fn load() -> Series {
    let mut rng = Philox::named(0, "series sample");
    let (mut weather, mut drift, mut gust) = (0.0, 0.0, 0.0);
    let mut values = Vec::with_capacity(ROWS * COLUMNS.len());
    for hour in 0..ROWS {
        let day = std::f64::consts::TAU * hour as f64 / 24.0;
        weather = 0.97 * weather + 0.4 * rng.normal();
        drift += 0.02 * rng.normal() - 0.001 * drift;
        gust = 0.8 * gust + rng.normal();
        let temperature = 12.0 - 5.0 * day.cos() + 2.0 * weather;
        let workday = if hour / 24 % 7 < 5 { 1.0 } else { 0.7 };
        let busy = 3.0 * (day - 2.0).sin() + 1.5 * (2.0 * day).sin();
        let load = 40.0 + workday * 2.0 * busy - 0.6 * temperature + 4.0 * drift;
        values.extend([
            load + 0.8 * rng.normal(),
            temperature + 0.3 * rng.normal(),
            (6.0 + 2.0 * day.sin() + gust).max(0.0),
        ]);
    }
    Series {
        columns: COLUMNS.map(String::from).to_vec(),
        values,
        start: date::civil(2020, 1, 1, 0, 0, 0).unwrap_or_default(),
        step: Step::Seconds(3600),
        source: Source {
            name: "sample".into(),
            is_sample: true,
            notice: Some("the sample is a synthetic series made by a seeded generator".into()),
            ..Source::default()
        },
    }
}
