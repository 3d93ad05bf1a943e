//! `zoo train`.

use candle_core::Device;

use super::{Outcome, hub_settings, open_device, warn_about_data};
use crate::cli::TrainArgs;
use crate::data::OpenOptions;
use crate::families;
use crate::package;
use crate::report::{Printer, TrainingReport, Transfer, summary, thousands};
use crate::train::recipe::Overrides;
use crate::train::run_dir::IfExists;
use crate::train::session::{Output, Request, Session, SessionEnd};
use crate::train::{Place, PrecisionChoice};

/// Trains a model, or goes on with a run that was stopped.
///
/// # Errors
/// When the request is wrong or training fails.
pub(super) fn run(args: &TrainArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    if let Some(entry) = args.model.as_deref().and_then(super::field::entry) {
        return super::field::train(args, entry, printer);
    }
    let opened = open_device(&args.device, printer)?;
    let session = open(args, &opened.device, printer)?;
    let record = session.record();
    warn_about_data(printer, record.data.notice.as_deref(), session.skipped());
    let skipped = !session.skipped().is_empty();
    let (train, test) = session.examples();
    let dir = session.dir().path().to_path_buf();
    printer.info(&format!(
        "training `{}` ({} parameters) in {} on `{}` ({} training and {} test examples), seed {}, on {}, into `{}`",
        record.model,
        thousands(record.config.parameter_count()?),
        record.recipe.descent()?.precision.name(),
        record.data.name,
        thousands(train),
        thousands(test),
        record.seed,
        opened.words,
        dir.display()
    ));
    let stop = super::stop_on_ctrl_c()?;
    let report = TrainingReport::new(printer, session.measures().all);
    let ended = session.train(&opened.device, &report, stop, package::write)?;
    drop(report);
    match ended {
        SessionEnd::Finished(finished) => {
            printer.result(&summary(&finished, &opened.name, args.format))?;
            Ok(if skipped {
                Outcome::SomeFailed
            } else {
                Outcome::Done
            })
        }
        SessionEnd::Interrupted(Place { epoch, step }) => {
            printer.warn(&format!(
                "stopped in epoch {epoch} after {step} steps, everything is saved; go on with `zoo train --resume {}`",
                dir.display()
            ));
            Ok(Outcome::Interrupted)
        }
    }
}

fn open(args: &TrainArgs, device: &Device, printer: &Printer) -> anyhow::Result<Session> {
    let transfer = Transfer::new(printer, "downloading");
    let settings = hub_settings(&args.hub)?;
    let options = OpenOptions {
        hub: Some(&settings),
        progress: Some(&transfer),
        ..OpenOptions::default()
    };
    if let Some(dir) = &args.resume {
        return Session::resume(
            dir.clone(),
            args.model.as_deref(),
            args.data.as_deref(),
            &options,
            families::trainable,
        );
    }
    let output = match &args.out {
        None => Output::Numbered,
        Some(dir) if args.overwrite => Output::At(dir.clone(), IfExists::Overwrite),
        Some(dir) => Output::At(dir.clone(), IfExists::Refuse),
    };
    let mut set = args.set.clone();
    set.extend(args.precision.map(PrecisionChoice::assignment));
    let request = Request {
        model: args.model.as_deref().unwrap_or_default(),
        data: args.data.as_deref(),
        seed: args.seed.unwrap_or(0),
        overrides: Overrides {
            file: args.recipe.as_deref(),
            set: &set,
            epochs: args.epochs,
            device: Some(device),
        },
        output,
    };
    Session::new(&request, &options, families::trainable)
}
