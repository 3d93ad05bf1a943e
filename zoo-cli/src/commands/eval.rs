//! `zoo eval`.

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use models::registry;
use serde_json::json;

use super::{Outcome, hub_settings, warn_about_data};
use crate::cli::{EvalArgs, SummaryFormat};
use crate::data::{OpenOptions, is_dataset_name, open_images};
use crate::report::{Printer, Table, TrainingReport, Transfer, thousands};
use crate::resolve::{ESSENTIAL, locate};
use crate::train::evaluate;
use crate::train::recipe::Recipe;
use crate::train::record::TrainingRecord;
use crate::train::session::{classifier, load_classifier};
use crate::train::tasks::classification::{Classification, MEASURES};
use crate::train::tasks::{Part, Task};

/// Measures a model on the test part of a dataset.
///
/// # Errors
/// When model and data cannot be had, or do not fit each other.
pub(super) fn run(args: &EvalArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, ESSENTIAL, &settings, &transfer)?;
    let (model, dir) = (files.load()?, files.dir());
    let record = files.training();
    if super::field::entry(&model.model).is_some() {
        return super::field::eval(args, &model, record.as_deref(), printer);
    }
    let record: Option<TrainingRecord> = record.and_then(|text| serde_json::from_str(&text).ok());
    let trained_on = record.as_ref().and_then(|r| r.data.argument.as_deref());
    // A path in the record of a model that was trained elsewhere means nothing here.
    let trained_on =
        trained_on.filter(|data| Path::new(&args.model).is_dir() || is_dataset_name(data));
    let default = registry::find(&model.model).map_or("cifar10", |entry| entry.default_data);
    let Some(input) = &model.preprocessor else {
        anyhow::bail!(
            "`{}` has no `preprocessor_config.json`, which says how images are normalised; add it",
            args.model
        );
    };
    let options = OpenOptions {
        preprocessor: Some(input.clone()),
        hub: Some(&settings),
        progress: Some(&transfer),
        unseen: is_unseen(args.data.as_deref(), trained_on),
        ..OpenOptions::default()
    };
    let mut data = open_images(args.data.as_deref().or(trained_on), default, &options)?;
    data.align_labels(&model.labels)?;
    let source = data.source.clone();
    warn_about_data(printer, source.notice.as_deref(), &source.skipped);
    let device = Device::Cpu;
    let config = classifier(&model.config)?;
    let task = Classification::evaluation(config, data, (&input.mean, &input.std), &device)?;
    let network = load_classifier(&model, &device)?;
    // The batch size of the training's own evaluation, so that both give the same bits.
    let batch_size = record.map_or(Recipe::default().evaluation_batch_size, |record| {
        record.recipe.evaluation_batch_size
    });
    let started = Instant::now();
    let report = TrainingReport::new(printer, MEASURES);
    let measured = evaluate(&task, &network, Part::Test, batch_size, &report)?;
    drop(report);
    let seconds = started.elapsed().as_secs_f64();
    let examples = task.examples(Part::Test);
    let (loss, accuracy) = (measured[0], measured[1]);
    let rate = examples as f64 / seconds.max(1e-9);
    match args.format {
        SummaryFormat::Json => printer.result(
            &json!({
                "model": model.model,
                "data": source.name,
                "examples": examples,
                "parameters": model.config.parameter_count()?,
                "accuracy": accuracy,
                "loss": loss,
                "seconds": seconds,
                "images_per_second": rate,
                "dir": dir,
            })
            .to_string(),
        )?,
        SummaryFormat::Table => {
            let mut table =
                Table::new(["model", "data", "examples", "accuracy", "loss", "images/s"]);
            table.row([
                model.model.clone(),
                source.name.clone(),
                thousands(examples),
                format!("{accuracy:.4}"),
                format!("{loss:.4}"),
                thousands(rate.round() as usize),
            ]);
            printer.result(&table.to_string())?;
        }
    }
    Ok(if source.skipped.is_empty() {
        Outcome::Done
    } else {
        Outcome::SomeFailed
    })
}

/// Whether `given` is data that a model trained on `trained_on` has not seen. When that cannot be told, it is not.
fn is_unseen(given: Option<&str>, trained_on: Option<&str>) -> bool {
    let (Some(given), Some(trained_on)) = (given, trained_on) else {
        return given.is_some();
    };
    let place = |path: &str| Path::new(path).canonicalize().ok();
    match (place(given), is_dataset_name(trained_on)) {
        (given, true) => given.is_some(),
        (Some(given), false) => place(trained_on).is_some_and(|known| known != given),
        (None, false) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_the_training_is_not_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let same = format!("{path}/.");
        let other = dir.path().parent().unwrap().to_str().unwrap();
        for (given, trained_on, unseen) in [
            (None, None, false),
            (None, Some(path), false),
            (Some(path), None, true),
            (Some(path), Some("cifar10"), true),
            (Some("mnist"), Some("cifar10"), false),
            (Some(same.as_str()), Some(path), false),
            (Some(path), Some(other), true),
            (Some(path), Some("/moved/away"), false),
        ] {
            assert_eq!(
                is_unseen(given, trained_on),
                unseen,
                "{given:?} {trained_on:?}"
            );
        }
    }
}
