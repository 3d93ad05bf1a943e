//! `zoo forecast`.

use std::path::Path;

use super::{
    Outcome, assignments, hub_settings, keep_model, open_device, training_record, warn_about_data,
};
use crate::cli::ForecastArgs;
use crate::data::public_name;
use crate::data::series::{Missing, Series};
use crate::families;
use crate::families::forecasting::{SeriesRecipe, settings};
use crate::forecast::forecast;
use crate::output::Output;
use crate::report::{Printer, Transfer};
use crate::resolve::{ESSENTIAL, locate};
use crate::train::recipe::amend;

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
    families::expect("forecast", &args.model, &model.config)?;
    let family = families::of(&model.config);
    let recipe = match training_record(&files, printer) {
        Some(record) => record.recipe,
        None => family.schema().default_recipe()?,
    };
    let mut set = assignments(&args.reading);
    let missing = args.missing.map(Missing::from);
    set.extend(missing.map(|missing| format!("series.missing={}", missing.name())));
    let recipe: SeriesRecipe = amend(family, &model.config, &recipe, &set)?.section()?;
    let mut options = recipe.options(0.0);
    if let Some(format) = &settings(&model.config)?.series {
        options.of_trained(format);
    }
    options.key.only_of_many = args.reading.key.is_none();
    let series = Series::open(Some(&args.series), &args.series, &options)?;
    let inventory = &series.inventory;
    for line in [Some(inventory.content()), inventory.changes()]
        .into_iter()
        .flatten()
    {
        printer.info(&line);
    }
    warn_about_data(printer, series.source.notice.as_deref(), &[]);
    let forecast = forecast(&model, &series, args.back, &args.column, &opened.device)?;
    if let Some(plot) = plot {
        let title = format!("{} on {}", model.model, public_name(&series.source.name));
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
        let named = named.filter(|(_, error)| !error.is_nan());
        let shown: Vec<String> = named.map(|(name, e)| format!("{name} {e:.4}")).collect();
        printer.info(&format!(
            "mean absolute error where the truth is known: {}",
            shown.join(", ")
        ));
    }
    Ok(Outcome::Done)
}
