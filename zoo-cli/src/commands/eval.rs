//! `zoo eval`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{anyhow, bail};
use models::registry;
use serde_json::{Map, Value, json};

use super::{
    Outcome, assignments, check_same, data_of_training, device_for, hub_settings, training_record,
    warn_about_data,
};
use crate::cli::{EvalArgs, SummaryFormat};
use crate::data::inventory::Inventory;
use crate::data::{Learned, OpenOptions, Source, is_dataset_name, public_name};
use crate::evaluation::{Augmented, Examination, Examined, Findings, HeldOut};
use crate::families;
use crate::layout::CALIBRATION;
use crate::output::OutputDir;
use crate::package::{CalibrationFile, TemperatureRecord};
use crate::report::{
    PAGE, Printer, REPORT_FILES, Setting, TrainingReport, Transfer, figures,
    report as report_files, summary_with,
};
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
    let report_dir = args
        .report
        .as_deref()
        .map(|dir| OutputDir::new("--report", dir, args.overwrite, REPORT_FILES));
    let report_dir = report_dir.transpose()?;
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
    let is_classifier = model.config.classes().is_some();
    for (flag, given) in [
        ("--tta", args.tta != Augmented::None),
        ("--calibrate", args.calibrate),
    ] {
        if given && !is_classifier {
            bail!(
                "`{flag}` is for classifiers, and `{}` is none; leave it out",
                args.model
            );
        }
    }
    let kept_in = match args.calibrate {
        true => Some(own_directory(&args.model, dir)?),
        false => None,
    };
    let opened = device_for(family, &args.device, printer)?;
    let trained_on = data_of_training(&args.model, family, record.as_ref());
    let (given, known) = (args.data.as_deref(), trained_on.as_ref().ok());
    let unseen = known.is_some_and(|known| is_unseen(given, known.as_deref()));
    let same_place = is_same_place(given, known.and_then(|known| known.as_deref()));
    let place = match &args.data {
        Some(data) => Some(data.clone()),
        None => trained_on?,
    };
    if let (Some(report), Some(place)) = (&report_dir, &place) {
        report.keep_apart(Path::new(place))?;
    }
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
    let how = Examination {
        augmented: args.tta,
        fit: report_dir.is_some() || args.calibrate || args.format == SummaryFormat::Json,
        held_out: match &record {
            Some(record) if record.data.fingerprint == source.fingerprint => held_out(record)?,
            _ => None,
        },
        worst: if report_dir.is_some() { WORST } else { 0 },
    };
    let (examples, unit, measures) = (problem.examples().1, family.unit(), family.measures());
    let started = Instant::now();
    let report = TrainingReport::new(printer, family);
    let examined = match how.fit || args.tta != Augmented::None {
        true => problem.examine(&model, &opened.device, &report, &how)?,
        // The predictions need not be kept.
        false => Examined {
            measures: problem.evaluate(&model, &opened.device, &report)?,
            findings: Findings::None,
        },
    };
    drop(report);
    let seconds = started.elapsed().as_secs_f64();
    let measures = measures.by_weight();
    let evaluated = Summary {
        model: model.model.clone(),
        data: source.name.clone(),
        examples,
        parameters: model.config.parameter_count()?,
        test: measures
            .map(|(i, measure)| (measure, examined.measures[i]))
            .collect(),
        notes: Vec::new(),
        seconds,
        steps: 0,
        examples_per_second: examples as f64 / seconds.max(1e-9),
        unit,
        dir: dir.map(Path::to_path_buf),
    };
    let mut more = Map::new();
    if args.tta != Augmented::None {
        more.insert("tta".into(), json!(args.tta));
    }
    more.extend(figures(&examined.findings).map(|figures| ("figures".to_string(), figures)));
    if let Some(dir) = kept_in {
        calibrate(dir, &examined.findings, args.tta, &source, printer)?;
    }
    if let Some(dir) = &report_dir {
        let setting = Setting {
            summary: &evaluated,
            device: &opened.name,
            augmented: match args.tta {
                Augmented::None => None,
                Augmented::Flip => Some(
                    "Each image and its mirror image are labelled, by the mean of their logits.",
                ),
            },
            warnings: source
                .notice
                .iter()
                .cloned()
                .chain(left_out(source.skipped.len()))
                .collect(),
        };
        let files = report_files(&setting, &examined.findings);
        if files.is_empty() {
            bail!(
                "there is nothing to report of `{}` besides its measures; leave `--report` out",
                args.model
            );
        }
        dir.write(&files)?;
        printer.info(&format!(
            "the report is `{}`",
            dir.path().join(PAGE).display()
        ));
        more.insert("report".into(), json!(dir.path()));
    }
    printer.result(&summary_with(&evaluated, &opened.name, args.format, more))?;
    Ok(if source.skipped.is_empty() {
        Outcome::Done
    } else {
        Outcome::SomeFailed
    })
}

/// Mistakes that a report shows.
const WORST: usize = 24;

/// The directory of the model called `name`, to write into: one of the user's own.
fn own_directory<'a>(name: &str, dir: Option<&'a Path>) -> anyhow::Result<&'a Path> {
    match dir {
        Some(dir) if Path::new(name).is_dir() => Ok(dir),
        Some(_) => bail!(
            "`--calibrate` writes into the model's directory, and the cache is not to be changed; copy the model with \
             `zoo download {name} --out DIR`, and give that directory"
        ),
        None => bail!(
            "`--calibrate` writes into the model's directory, and `{name}` is inside of this program; give the directory \
             of a model that `zoo train` wrote"
        ),
    }
}

/// How the training of a record held examples out to watch itself; none where it did not.
fn held_out(record: &TrainingRecord) -> anyhow::Result<Option<HeldOut>> {
    Ok(match record.recipe.descent() {
        Ok(descent) => Some(HeldOut {
            fraction: descent.validation.fraction,
            seed: record.seed,
        }),
        // Networks that are trained in other steps hold none out.
        Err(_) => None,
    })
}

/// Keeps the temperature that was fitted with the model in `dir`.
fn calibrate(
    dir: &Path,
    findings: &Findings,
    augmented: Augmented,
    source: &Source,
    printer: &Printer,
) -> anyhow::Result<()> {
    let Findings::Classes(found) = findings else {
        bail!("no temperature was fitted; leave `--calibrate` out");
    };
    let tempered = match &found.temperature {
        Ok(tempered) => tempered,
        Err(reason) => bail!("no temperature can be fitted: {reason}; leave `--calibrate` out"),
    };
    let record = TemperatureRecord {
        value: tempered.calibration.temperature,
        examples: tempered.examples,
        data: public_name(&source.name),
        fingerprint: source.fingerprint.clone(),
    };
    printer.info(&format!(
        "temperature {:.4}, fitted to {} held-out images, kept in `{}`",
        record.value,
        record.examples,
        dir.join(CALIBRATION).display()
    ));
    CalibrationFile::keep(dir, augmented, record)
}

/// What a report says of files that were left out.
fn left_out(count: usize) -> Option<String> {
    (count > 0).then(|| format!("{count} files could not be read and were left out"))
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
