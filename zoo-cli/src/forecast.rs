//! The coming steps of a series from a trained forecaster.

use std::fmt::Write;

use anyhow::bail;
use candle_core::{Device, Tensor};
use gmnm_core::on_worker;
use models::ModelDir;

use crate::data::series::{Moment, Series, describe};
use crate::families::forecasting::{format, load, settings};
use crate::plot::{Figure, LineChart, Scale, Style};
use crate::train::metrics::csv_field;

/// Steps of the past that a plot shows, as a multiple of the horizon, and at least so many.
const SHOWN: (usize, usize) = (2, 48);

/// A forecast, with what is known around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The names of the forecast columns.
    pub columns: Vec<String>,
    /// The dates of the forecast steps.
    pub dates: Vec<Moment>,
    /// For each column its forecast values, in the units of the series.
    pub values: Vec<Vec<f64>>,
    /// The dates before the forecast, the last one last.
    pub past: Vec<Moment>,
    /// For each column the values at these dates.
    pub history: Vec<Vec<f64>>,
    /// For each column the values of the series at the forecast steps, as far as it has them; NaN where one was filled in.
    pub truth: Vec<Vec<f64>>,
    /// The step in words.
    step: String,
}

/// Forecasts the steps after the last row of `series` but `back`; only `columns` are kept where any are named. The
/// series must have the model's columns in its order. The network computes on `device`.
///
/// # Errors
/// When the network is no forecaster, or the series does not fit it or is too short.
pub fn forecast(
    model: &ModelDir,
    series: &Series,
    back: usize,
    columns: &[String],
    device: &Device,
) -> anyhow::Result<Forecast> {
    let config = settings(&model.config)?;
    let format = format(config, series)?;
    let (channels, rows) = (config.channels, series.rows());
    if series.columns != format.columns {
        bail!(
            "`{}` was not read with the model's columns {}",
            series.source.name,
            format.columns.join(", ")
        );
    }
    let chosen = choose(&format.columns, columns)?;
    let Some(known) = rows
        .checked_sub(back)
        .filter(|known| *known >= config.look_back)
    else {
        bail!(
            "`{}` has {rows} rows, the model needs {} before the forecast; give a longer series{}",
            series.source.name,
            config.look_back,
            if back > 0 { " or a smaller --back" } else { "" }
        );
    };
    let from = (known - config.look_back) * channels;
    let scaled = series.scaled(&format.mean, &format.std)?;
    let past = scaled[from..known * channels].to_vec();
    let past = Tensor::from_vec(past, (1, config.look_back, channels), device)?;
    let network = load(model, device)?;
    let scaled = on_worker(|| network.forward(&past))?.squeeze(0)?;
    let scaled = scaled.to_vec2::<f32>()?;
    let column = |rows: std::ops::Range<usize>, c: usize| -> Vec<f64> {
        rows.map(|row| series.values[row * channels + c]).collect()
    };
    let dates = |rows: std::ops::Range<usize>| rows.map(|row| series.date(row)).collect();
    let (times, least) = SHOWN;
    let shown = known.min((times * config.horizon).max(least));
    Ok(Forecast {
        columns: chosen.iter().map(|&c| format.columns[c].clone()).collect(),
        dates: dates(known..known + config.horizon),
        past: dates(known - shown..known),
        values: chosen
            .iter()
            .map(|&c| {
                let value = |row: &Vec<f32>| f64::from(row[c]) * format.std[c] + format.mean[c];
                scaled.iter().map(value).collect()
            })
            .collect(),
        history: chosen
            .iter()
            .map(|&c| column(known - shown..known, c))
            .collect(),
        truth: chosen
            .iter()
            .map(|&c| {
                let rows = known..rows.min(known + config.horizon);
                let filled = |row: usize| series.filled.get(row * channels + c) == Some(&true);
                let truth = rows.clone().zip(column(rows, c));
                let truth = truth.map(|(row, v)| if filled(row) { f64::NAN } else { v });
                truth.collect()
            })
            .collect(),
        step: describe(series.timeline.step),
    })
}

/// The places of `names` among `known`; all where none is named.
fn choose(known: &[String], names: &[String]) -> anyhow::Result<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..known.len()).collect());
    }
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = known.iter().position(|column| column == name) else {
            bail!(
                "the model does not forecast `{name}` (`--column`); it forecasts {}",
                known.join(", ")
            );
        };
        chosen.push(column);
    }
    Ok(chosen)
}

impl Forecast {
    /// The forecast as CSV: a column `date` (`row` where rows have no dates), and one for each forecast column.
    pub fn csv(&self) -> String {
        let first = match self.dates.first() {
            Some(Moment::Row(_)) => "row",
            _ => "date",
        };
        let mut text = String::from(first);
        for name in &self.columns {
            text.push(',');
            text += &csv_field(name);
        }
        text.push('\n');
        for (i, date) in self.dates.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{date}");
            for values in &self.values {
                // As many digits as the network computes with.
                let _ = write!(text, ",{}", values[i] as f32);
            }
            text.push('\n');
        }
        text
    }

    /// The mean absolute error of each column over the steps whose truth is known, if any is; NaN for a column without.
    pub fn errors(&self) -> Option<Vec<f64>> {
        let error = |(values, truth): (&Vec<f64>, &Vec<f64>)| {
            let apart = values.iter().zip(truth).map(|(v, t)| (v - t).abs());
            let (sum, count) = apart
                .filter(|apart| !apart.is_nan())
                .fold((0.0, 0.0), |(sum, count), apart| (sum + apart, count + 1.0));
            sum / count
        };
        let errors: Vec<f64> = self.values.iter().zip(&self.truth).map(error).collect();
        errors.iter().any(|error| !error.is_nan()).then_some(errors)
    }

    /// The figure: a panel for each column with its past, the forecast and, as far as it is known, the truth.
    pub fn svg(&self, title: &str) -> String {
        let mut figure =
            Figure::new(title, if self.columns.len() > 3 { 2 } else { 1 }).panel_size(620.0, 260.0);
        let start = self.dates.first();
        let label = match start {
            Some(start) => format!("steps of {}, the forecast from {start}", self.step),
            None => format!("steps of {}", self.step),
        };
        let scale = match start {
            Some(Moment::Date(..)) => Scale::Dates,
            _ => Scale::Linear,
        };
        let points = |dates: &[Moment], values: &[f64]| -> Vec<(f64, f64)> {
            let pairs = dates.iter().zip(values);
            let known = pairs.filter(|(_, value)| !value.is_nan());
            known
                .map(|(date, &value)| (date.position(), value))
                .collect()
        };
        for (c, name) in self.columns.iter().enumerate() {
            let past = points(&self.past, &self.history[c]);
            // The lines of the future begin at the last known value.
            let future = |values: &[f64]| {
                let mut line: Vec<_> = past.last().copied().into_iter().collect();
                line.extend(points(&self.dates, values));
                line
            };
            let mut chart = LineChart::new(name)
                .x_label(&label)
                .x_scale(scale)
                .line("past", past.clone());
            chart = chart.line("forecast", future(&self.values[c]));
            if !self.truth[c].is_empty() {
                chart = chart.series("truth", future(&self.truth[c]), Style::Dashed);
            }
            figure = figure.panel(chart);
        }
        figure.svg()
    }
}
