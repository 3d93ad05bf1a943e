//! `zoo eval`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::anyhow;
use models::registry;
use serde_json::Value;

use super::{
    Outcome, assignments, check_same, data_of_training, device_for, hub_settings, training_record,
    warn_about_data,
};
use crate::cli::EvalArgs;
use crate::data::inventory::Inventory;
use crate::data::{Learned, OpenOptions, is_dataset_name};
use crate::families;
use crate::report::{Printer, TrainingReport, Transfer, summary};
use crate::resolve::{ESSENTIAL, locate};
use crate::train::recipe::amend;
use crate::train::record::TrainingRecord;
use crate::train::session::Summary;
use crate::train::{Problem, Wanted};

/// Measures a model on the test part of a dataset.
///
/// # Errors
/// When model and data cannot be had, or do not fit each other.
pub(super) fn run(args: &EvalArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let hub = settings.datasets(&transfer);
    let files = locate(&args.model, ESSENTIAL, &settings, &transfer)?;
    let (model, dir) = (files.load()?, files.dir());
    let record = match args.data {
        Some(_) => training_record(&files, printer),
        // Only the record tells which data to measure on.
        None => files
            .record()
            .map_err(|error| anyhow!("{error}, or name the data with `--data`"))?,
    };
    let family = families::of(&model.config);
    let opened = device_for(family, &args.device, printer)?;
    let trained_on = data_of_training(&args.model, family, record.as_ref());
    let (given, known) = (args.data.as_deref(), trained_on.as_ref().ok());
    let unseen = known.is_some_and(|known| is_unseen(given, known.as_deref()));
    let same_place = is_same_place(given, known.and_then(|known| known.as_deref()));
    let place = match &args.data {
        Some(data) => Some(data.clone()),
        None => trained_on?,
    };
    // The recipe of the training, so that its own evaluation gave the same bits.
    let (recipe, seed) = match &record {
        Some(record) => (record.recipe.clone(), record.seed),
        None => (family.schema().default_recipe()?, 0),
    };
    let assignments = assignments(&args.reading);
    let recipe = amend(family, &model.config, &recipe, &assignments)?;
    let options = OpenOptions {
        preprocessor: model.preprocessor.clone(),
        learned: record.as_ref().and_then(learned),
        remote: Some(&hub),
        unseen,
        ..OpenOptions::default()
    };
    let problem = family.open(&Wanted {
        config: &model.config,
        recipe: &recipe,
        seed,
        data: place.as_deref(),
        default: registry::find(&model.model).map_or("cifar10", |entry| entry.default_data),
        options: &options,
    })?;
    let source = problem.source().clone();
    for line in problem.about_data() {
        printer.info(&line);
    }
    warn_about_data(printer, source.notice.as_deref(), &source.skipped);
    if let (true, true, Some(record)) = (same_place, assignments.is_empty(), &record) {
        changed(&args.model, record, problem.as_ref())
            .into_iter()
            .for_each(|said| printer.warn(&said));
    }
    // Read in another way they are others.
    if args.data.is_none() && assignments.is_empty() {
        let (name, record) = (&args.model, record.as_ref());
        check_same(name, record, family, place.as_deref(), &source, printer)?;
    }
    let (examples, unit, measures) = (problem.examples().1, family.unit(), family.measures());
    let started = Instant::now();
    let report = TrainingReport::new(printer, family);
    let measured = problem.evaluate(&model, &opened.device, &report)?;
    drop(report);
    let seconds = started.elapsed().as_secs_f64();
    let measures = measures.by_weight();
    let evaluated = Summary {
        model: model.model.clone(),
        data: source.name.clone(),
        examples,
        parameters: model.config.parameter_count()?,
        test: measures
            .map(|(i, measure)| (measure, measured[i]))
            .collect(),
        notes: Vec::new(),
        seconds,
        steps: 0,
        examples_per_second: examples as f64 / seconds.max(1e-9),
        unit,
        dir: dir.map(Path::to_path_buf),
    };
    printer.result(&summary(&evaluated, &opened.name, args.format))?;
    Ok(if source.skipped.is_empty() {
        Outcome::Done
    } else {
        Outcome::SomeFailed
    })
}

/// An inventory of images; none of what are no images.
fn of_images(inventory: Option<Value>) -> Option<Inventory> {
    serde_json::from_value(inventory?).ok()
}

/// What the images were that a network has learned from; none where its record does not tell.
fn learned(record: &TrainingRecord) -> Option<Learned> {
    Some(Learned {
        fingerprint: record.data.fingerprint.clone(),
        sketch: of_images(record.data.inventory.clone())?.sketch?,
    })
}

/// The warning that the data at the place of the training have another content now.
fn changed(model: &str, record: &TrainingRecord, problem: &dyn Problem) -> Option<String> {
    let (then, now) = (&record.data, problem.source());
    if then.fingerprint == now.fingerprint {
        return None;
    }
    let count = |inventory| of_images(inventory).map(|found| found.parts.total());
    let counts = match (count(then.inventory.clone()), count(problem.inventory())) {
        (Some(then), Some(now)) => format!(" ({then} images then, {now} now)"),
        _ => String::new(),
    };
    Some(format!(
        "`{}` has changed since `{model}` was trained on it{counts}; what it was trained on may be among what it is tested on",
        now.name
    ))
}

/// Whether `given` is data that a model trained on `trained_on` has not seen. When that cannot be told, it is not.
fn is_unseen(given: Option<&str>, trained_on: Option<&str>) -> bool {
    let (Some(given), Some(trained_on)) = (given, trained_on) else {
        return given.is_some();
    };
    match (place(given), is_dataset_name(trained_on)) {
        (given, true) => given.is_some(),
        (Some(given), false) => place(trained_on).is_some_and(|known| known != given),
        (None, false) => false,
    }
}

/// Whether `given` is the path at which the data of the training lay.
fn is_same_place(given: Option<&str>, trained_on: Option<&str>) -> bool {
    let known = trained_on.filter(|known| !is_dataset_name(known));
    let given = given.and_then(place);
    given.is_some() && given == known.and_then(place)
}

/// What lies at this path, however it is named.
fn place(path: &str) -> Option<PathBuf> {
    Path::new(path).canonicalize().ok()
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
        assert!(is_same_place(Some(&same), Some(path)));
        for (given, trained_on) in [
            (Some(path), Some(other)),
            (Some(path), Some("cifar10")),
            (Some(path), None),
            (None, None),
            (Some("/moved/away"), Some("/moved/away")),
        ] {
            assert!(
                !is_same_place(given, trained_on),
                "{given:?} {trained_on:?}"
            );
        }
    }
}
