//! `zoo train`.

use std::path::Path;

use anyhow::bail;
use models::registry;

use super::{Outcome, device_for, hub_settings, warn_about_data};
use crate::cli::TrainArgs;
use crate::data::OpenOptions;
use crate::device::Opened;
use crate::families;
use crate::interrupt;
use crate::output::keep_apart;
use crate::package::{self, ModelFiles};
use crate::report::{Printer, TrainingReport, Transfer, summary, thousands};
use crate::resolve::{ESSENTIAL, locate};
use crate::train::command::quoted;
use crate::train::recipe::Overrides;
use crate::train::run_dir::IfExists;
use crate::train::session::{Output, Request, Session};
use crate::train::{Base, Ended, Place, PrecisionChoice};

/// Trains a model, or goes on with a run that was stopped.
///
/// # Errors
/// When the request is wrong or training fails.
pub(super) fn run(args: &TrainArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let (session, opened) = open(args, printer)?;
    let record = session.record();
    for line in session.about_data() {
        printer.info(&line);
    }
    if let Some(base) = &record.base {
        printer.info(&base.in_words());
    }
    warn_about_data(printer, record.data.notice.as_deref(), session.skipped());
    let skipped = !session.skipped().is_empty();
    let (train, test) = session.examples();
    let family = session.family();
    let numbers = match record.recipe.descent() {
        Ok(descent) => descent.precision.name(),
        Err(_) => "f64",
    };
    let dir = session.dir().path().to_path_buf();
    printer.info(&format!(
        "training `{}` ({} parameters) in {} on `{}` ({} training and {} test examples), seed {}, on {}, into `{}`",
        record.model,
        thousands(record.config.parameter_count()?),
        numbers,
        record.data.name,
        thousands(train),
        thousands(test),
        record.seed,
        opened.words,
        dir.display()
    ));
    let stop = interrupt::flag();
    let report = TrainingReport::new(printer, family);
    let ended = session.train(&opened.device, &report, stop, package::write)?;
    drop(report);
    match ended {
        Ended::Finished(finished) => {
            for note in &finished.notes {
                printer.info(note);
            }
            printer.result(&summary(&finished, &opened.name, args.format))?;
            Ok(if skipped {
                Outcome::SomeFailed
            } else {
                Outcome::Done
            })
        }
        Ended::Interrupted(Place { epoch, step }) => {
            printer.warn(&format!(
                "stopped in {} {epoch} after {step} steps, everything is saved; go on with `zoo train --resume {}`",
                family.pass(),
                quoted(&dir.to_string_lossy())
            ));
            Ok(Outcome::Interrupted)
        }
    }
}

fn open(args: &TrainArgs, printer: &Printer) -> anyhow::Result<(Session, Opened)> {
    let transfer = Transfer::new(printer, "downloading");
    let settings = hub_settings(&args.hub)?;
    let hub = settings.datasets(&transfer);
    let options = OpenOptions {
        remote: Some(&hub),
        ..OpenOptions::default()
    };
    if let Some(dir) = &args.resume {
        args.device.device.check_built()?;
        let (model, data) = (args.model.as_deref(), args.data.as_deref());
        let session = Session::resume(dir.clone(), model, data, &options, families::trainable)?;
        let opened = device_for(session.family(), &args.device, printer)?;
        return Ok((session, opened));
    }
    let model = args.model.as_deref().unwrap_or_default();
    let family = families::of(&registry::find(model)?.config());
    let opened = device_for(family, &args.device, printer)?;
    if family.in_f64() && args.precision.is_some() {
        bail!("`{model}` is trained in f64; leave `--precision` out");
    }
    let from = args.from.as_deref();
    let from = from.map(|name| {
        let files = locate(name, ESSENTIAL, &settings, &transfer);
        files.map(|files| (name, files))
    });
    let from = from.transpose()?;
    if let Some(dir) = &args.out {
        let inputs = args.data.as_ref().map(Path::new).into_iter();
        let inputs = inputs.chain(args.recipe.as_deref());
        for input in inputs.chain(from.iter().filter_map(|(_, files)| files.dir())) {
            keep_apart("--out", dir, input)?;
        }
    }
    let base = |(name, files): (&str, ModelFiles)| -> anyhow::Result<Base> {
        Ok(Base::new(name, files.load()?, &files.weights()?))
    };
    let base = from.map(base).transpose()?;
    let output = match &args.out {
        None => Output::Numbered,
        Some(dir) if args.overwrite => Output::At(dir.clone(), IfExists::Overwrite),
        Some(dir) => Output::At(dir.clone(), IfExists::Refuse),
    };
    let mut set = args.set.clone();
    if !args.freeze.is_empty() {
        set.push(format!("freeze={}", toml::Value::from(args.freeze.clone())));
    }
    set.extend(args.precision.map(PrecisionChoice::assignment));
    set.extend(args.key.as_deref().map(super::of_key));
    let request = Request {
        model,
        data: args.data.as_deref(),
        base: base.as_ref(),
        seed: args.seed.unwrap_or(0),
        overrides: Overrides {
            file: args.recipe.as_deref(),
            set: &set,
            epochs: args.epochs,
            device: Some(&opened.device),
        },
        output,
    };
    let session = Session::new(&request, &options, families::trainable)?;
    Ok((session, opened))
}
