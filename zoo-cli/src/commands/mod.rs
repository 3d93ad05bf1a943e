//! The subcommands, one file each. No logic that a user of the library would miss.

mod bench;
mod compare;
mod completions;
mod download;
mod eval;
mod forecast;
mod generate;
mod infer;
mod inspect;
mod list;
mod man;
mod train;
mod upload;
mod verify;

use std::path::Path;

use anyhow::bail;
use models::model_dir::{CONFIG, PREPROCESSOR, WEIGHTS};

use crate::cli::{Cli, Command, DeviceArgs, HubArgs, ReadingArgs};
use crate::data::{SkippedFile, Source};
use crate::device::{DeviceChoice, DeviceError, Opened};
use crate::hub::{HubError, Overrides, Settings, Token};
use crate::interrupt;
use crate::layout::TRAINING;
use crate::output::{Output, OutputError};
use crate::package::ModelFiles;
use crate::report::Printer;
use crate::train::record::TrainingRecord;
use crate::train::{RunDir, TrainError, Trainable};

/// How a command that could be carried out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Done, but some inputs failed; they were named.
    SomeFailed,
    /// Stopped by a signal, with everything saved.
    Interrupted,
}

impl Outcome {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::Interrupted => interrupt::exit_code(),
        }
    }
}

/// Whether an error only says that the reader of stdout has gone, as after `zoo … | head`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = match cause.downcast_ref() {
            Some(OutputError::Stdout(error)) => Some(error),
            _ => cause.downcast_ref::<std::io::Error>(),
        };
        io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The settings of the Hub after flags, environment and files.
fn hub_settings(args: &HubArgs) -> Result<Settings, HubError> {
    Settings::resolve(&Overrides {
        endpoint: args.endpoint.clone(),
        token: match &args.token {
            Some(text) => Token::new(text, "--token")?,
            None => None,
        },
        cache: args.cache.clone(),
        offline: args.offline,
    })
}

/// The device that the flag asks for, what it does not do said.
fn open_device(args: &DeviceArgs, printer: &Printer) -> Result<Opened, DeviceError> {
    let opened = args.device.open()?;
    if let Some(notice) = &opened.notice {
        printer.warn(notice);
    }
    Ok(opened)
}

/// Refuses an output that would replace a file that the model is read from.
fn keep_model(output: &Output, files: &ModelFiles) -> Result<(), OutputError> {
    let read = [CONFIG, WEIGHTS, PREPROCESSOR, TRAINING];
    let mut read = files
        .dir()
        .into_iter()
        .flat_map(|dir| read.map(|name| dir.join(name)));
    read.try_for_each(|file| output.keep(&file))
}

/// The record of a model's training, for what it says of data and recipe. One that cannot be read does not keep the
/// model from its work, but the user learns of it.
fn training_record(files: &ModelFiles, printer: &Printer) -> Option<TrainingRecord> {
    files.record().unwrap_or_else(|error| {
        printer.warn(&error.to_string());
        None
    })
}

/// The device for a network of `family`, which may leave alone the one that the flag asks for.
fn device_for(
    family: &dyn Trainable,
    args: &DeviceArgs,
    printer: &Printer,
) -> Result<Opened, DeviceError> {
    if !family.in_f64() {
        return open_device(args, printer);
    }
    if args.device.is_gpu() {
        printer.warn(&format!(
            "networks over the plane are fitted in f64 on the CPU; `--device {}` does nothing here",
            args.device
        ));
    }
    DeviceChoice::Cpu.open()
}

/// Carries out a command.
///
/// # Errors
/// When the request was wrong or could not be met: one sentence for the user.
pub fn run(cli: Cli, printer: &Printer) -> anyhow::Result<Outcome> {
    if cli.threads > 0 {
        rayon::ThreadPoolBuilder::new()
            .num_threads(cli.threads)
            .build_global()?;
    }
    match cli.command {
        Command::List(args) => list::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Train(args) => train::run(&args, printer),
        Command::Eval(args) => eval::run(&args, printer),
        Command::Infer(args) => infer::run(&args, printer),
        Command::Forecast(args) => forecast::run(&args, printer),
        Command::Generate(args) => generate::run(&args, printer),
        Command::Compare(args) => compare::run(&args, printer),
        Command::Download(args) => download::run(&args, printer),
        Command::Upload(args) => upload::run(&args, printer),
        Command::Verify(args) => verify::run(&args, printer),
        Command::Bench(args) => bench::run(&args, printer),
        Command::Completions(args) => completions::run(&args, printer),
        Command::Man(args) => man::run(&args, printer),
    }
}

/// `--key` as an assignment of the recipe.
fn of_key(key: &str) -> String {
    format!("series.key={key}")
}

/// What the flags set of how a trained network reads its data.
fn assignments(args: &ReadingArgs) -> Vec<String> {
    let key = args.key.as_deref().map(of_key);
    args.set.iter().cloned().chain(key).collect()
}

/// What `--data` must say for the data that the model `name` of `family` was trained on; nothing where they were the
/// model's own.
///
/// # Errors
/// When they came through a pipe, or it is not known where they lie.
fn data_of_training(
    name: &str,
    family: &dyn Trainable,
    record: Option<&TrainingRecord>,
) -> Result<Option<String>, TrainError> {
    let dir = RunDir::existing(Path::new(name));
    record.map_or(Ok(None), |record| {
        record.data.place(&dir, |data| family.is_name(data))
    })
}

/// That `source`, which was looked up for the model `name`, is what it was trained on. A path must be; the datasets of a
/// name have copies of other bytes.
fn check_same(
    name: &str,
    record: Option<&TrainingRecord>,
    family: &dyn Trainable,
    place: Option<&str>,
    source: &Source,
    printer: &Printer,
) -> anyhow::Result<()> {
    let Some(data) = record.map(|record| &record.data) else {
        return Ok(());
    };
    if data.fingerprint == source.fingerprint {
        return Ok(());
    }
    match place.filter(|place| !family.is_name(place)) {
        Some(place) => bail!(
            "`{place}` has another content than when `{name}` was trained on it; give the data with `--data`, or use \
             what lies there now with `--data {place}`"
        ),
        // That the sample stands in has been said.
        None if source.name == data.name => printer.warn(&format!(
            "`{}` is not byte by byte what `{name}` was trained on",
            data.name
        )),
        None => {}
    }
    Ok(())
}

/// Says loudly what the user must know of the data, and names the files that were left out.
fn warn_about_data(printer: &Printer, notice: Option<&str>, skipped: &[SkippedFile]) {
    if let Some(notice) = notice {
        printer.warn(notice);
    }
    for file in skipped {
        printer.failed_input(&file.reason);
    }
}
