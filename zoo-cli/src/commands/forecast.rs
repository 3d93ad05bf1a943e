//! `zoo forecast`.

use std::path::Path;

use anyhow::Context;

use super::{Outcome, hub_settings, keep_model, open_device, warn_about_data};
use crate::cli::ForecastArgs;
use crate::data::series::{Series, SeriesOptions};
use crate::families::forecasting::{SeriesRecipe, settings};
use crate::forecast::forecast;
use crate::output::Output;
use crate::report::{Printer, Transfer};
use crate::resolve::{ESSENTIAL, locate};

/// Forecasts the coming steps of a series.
///
/// # Errors
/// When model and series cannot be had or do not fit each other, or a file cannot be written.
pub(super) fn run(args: &ForecastArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let out = match &args.out {
        Some(path) => Output::new("--out", path, args.overwrite)?,
        None => Output::stdout("the forecast without `--out`"),
    };
    let plot = args.plot.as_deref();
    let plot = plot.map(|path| Output::new("--plot", path, args.overwrite));
    let plot = plot.transpose()?;
    if let Some(plot) = &plot {
        out.differ(plot)?;
    }
    let opened = open_device(&args.device, printer)?;
    let hub = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, ESSENTIAL, &hub, &transfer)?;
    for output in [Some(&out), plot.as_ref()].into_iter().flatten() {
        output.keep(Path::new(&args.series))?;
        keep_model(output, &files)?;
    }
    let model = files.load()?;
    settings(&model.config).with_context(|| format!("cannot forecast with `{}`", args.model))?;
    let record = files.record()?;
    let recipe = record.and_then(|record| record.recipe.section::<SeriesRecipe>().ok());
    let trained = recipe.map(|recipe| recipe.missing);
    let options = SeriesOptions {
        columns: model.config.columns().to_vec(),
        missing: args.missing.map(Into::into).or(trained).unwrap_or_default(),
        ..SeriesOptions::default()
    };
    let series = Series::open(Some(&args.series), &args.series, &options)?;
    warn_about_data(printer, series.source.notice.as_deref(), &[]);
    let forecast = forecast(&model, &series, args.back, &args.column, &opened.device)?;
    if let Some(plot) = plot {
        let title = format!("{} on {}", model.model, series.source.name);
        plot.write(forecast.svg(&title).as_bytes(), printer)?;
        printer.info(&format!("drawn into `{}`", plot.path().display()));
    }
    out.write(forecast.csv().as_bytes(), printer)?;
    if let Some(path) = &args.out {
        printer.info(&format!(
            "{} steps written to `{}`",
            forecast.dates.len(),
            path.display()
        ));
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
