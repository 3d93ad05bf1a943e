//! `zoo forecast`.

use anyhow::Context;
use models::model_dir::replace_file;

use super::{Outcome, hub_settings, warn_about_data};
use crate::cli::ForecastArgs;
use crate::data::series::{Series, SeriesOptions};
use crate::forecast::forecast;
use crate::report::{Printer, Transfer};
use crate::resolve::resolve;
use crate::train::RunDir;
use crate::train::record::TrainingRecord;
use crate::train::tasks::forecasting::settings;

/// Forecasts the coming steps of a series.
///
/// # Errors
/// When model and series cannot be had or do not fit each other, or a file cannot be written.
pub(super) fn run(args: &ForecastArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let hub = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let resolved = resolve(&args.model, &hub, &transfer)?;
    let config = settings(&resolved.model.config)
        .with_context(|| format!("cannot forecast with `{}`", args.model))?;
    let record = resolved.dir.as_deref().and_then(|dir| {
        let dir = RunDir::existing(dir);
        TrainingRecord::read(&dir).ok()
    });
    let trained = record.map(|record| record.recipe.series.missing);
    let options = SeriesOptions {
        columns: config
            .series
            .as_ref()
            .map_or_else(Vec::new, |series| series.columns.clone()),
        missing: args.missing.map(Into::into).or(trained).unwrap_or_default(),
        ..SeriesOptions::default()
    };
    let series = Series::open(Some(&args.series), &args.series, &options)?;
    warn_about_data(printer, series.source.notice.as_deref(), &[]);
    let forecast = forecast(&resolved.model, &series, args.back, &args.column)?;
    if let Some(path) = &args.plot {
        let title = format!("{} on {}", resolved.model.model, series.source.name);
        replace_file(path, forecast.svg(&title).as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        printer.info(&format!("drawn into `{}`", path.display()));
    }
    match &args.out {
        Some(path) => {
            replace_file(path, forecast.csv().as_bytes())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            printer.info(&format!(
                "{} steps written to `{}`",
                forecast.dates.len(),
                path.display()
            ));
        }
        None => printer.result(forecast.csv().trim_end())?,
    }
    if let Some(errors) = forecast.errors() {
        let named = forecast.columns.iter().zip(errors);
        let shown: Vec<String> = named.map(|(name, e)| format!("{name} {e:.4}")).collect();
        printer.info(&format!(
            "mean absolute error where the truth is known: {}",
            shown.join(", ")
        ));
    }
    Ok(Outcome::Done)
}
