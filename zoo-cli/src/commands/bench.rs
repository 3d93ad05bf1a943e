//! `zoo bench`: this machine's numbers for the paths that matter.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::{Outcome, open_device};
use crate::bench::{Timing, Work, measure, scaling, scaling_works, standard};
use crate::cli::{BenchArgs, BenchFormat};
use crate::device::Opened;
use crate::interrupt;
use crate::output::Output;
use crate::report::{Printer, Table};

/// Between two looks at a process.
const POLL: Duration = Duration::from_millis(20);

/// Measures the named works, or all; or draws how the cost grows.
///
/// # Errors
/// When a name is unknown, a work fails, or the figure cannot be written.
pub(super) fn run(args: &BenchArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let figure = match &args.plot {
        Some(path) => Some(Output::new("--plot", path, args.overwrite)?),
        None => None,
    };
    let opened = open_device(&args.device, printer)?;
    if let Some(figure) = figure {
        return plot(&figure, args.seconds, &opened, printer);
    }
    let works = if args.works.is_empty() {
        standard()
    } else {
        args.works
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Work>, _>>()?
    };
    let budget = Duration::from_secs_f64(args.seconds);
    let mut table = Table::new([
        "work",
        "milliseconds",
        "minimum",
        "peak MiB",
        "threads",
        "device",
    ]);
    let progress = printer.progress("bench", works.len() as u64, "works");
    for work in &works {
        // Each work in a process of its own, so that its peak memory is its own.
        let timing = match works.as_slice() {
            [_] => Some(measure(work, budget, &opened)?),
            _ => in_child(work, args.seconds, &opened.name)?,
        };
        let Some(timing) = timing else {
            return Ok(Outcome::Interrupted);
        };
        match args.format {
            BenchFormat::Jsonl => printer.result(&serde_json::to_string(&timing)?)?,
            BenchFormat::Table => table.row([
                timing.work,
                format!("{:.2}", timing.milliseconds),
                format!("{:.2}", timing.minimum),
                timing
                    .peak_mib
                    .map_or_else(|| "-".into(), |m| m.to_string()),
                timing.threads.to_string(),
                timing.device,
            ]),
        }
        progress.advance(1);
    }
    drop(progress);
    if args.format == BenchFormat::Table {
        printer.result(&table.to_string())?;
    }
    Ok(Outcome::Done)
}

fn plot(
    figure: &Output,
    seconds: f64,
    opened: &Opened,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let progress = printer.progress("bench", scaling_works() as u64, "works");
    let svg = scaling(Duration::from_secs_f64(seconds), opened, || {
        progress.advance(1)
    })?;
    drop(progress);
    figure.write(svg.as_bytes(), printer)?;
    if !figure.is_stdout() {
        printer.result(&figure.path().display().to_string())?;
    }
    Ok(Outcome::Done)
}

/// The timing of a work, or nothing where a signal ended it.
fn in_child(work: &Work, seconds: f64, device: &str) -> anyhow::Result<Option<Timing>> {
    let program = std::env::current_exe().context("the path of `zoo` itself is not known")?;
    // A signal to this process alone must not leave the other one behind.
    let stop = interrupt::flag();
    let mut child = Command::new(program)
        .args([
            "--quiet",
            "--threads",
            &rayon::current_num_threads().to_string(),
        ])
        .args(["bench", work.name(), "--format", "jsonl"])
        .args(["--seconds", &seconds.to_string(), "--device", device])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("`zoo bench` could not start itself")?;
    while child.try_wait()?.is_none() {
        if stop.load(Ordering::Relaxed) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
    // One line, for which the pipe has room.
    let output = child.wait_with_output()?;
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    anyhow::ensure!(
        output.status.success(),
        "the work `{}` failed; run `zoo bench {}` alone to see why",
        work.name(),
        work.name()
    );
    serde_json::from_slice(&output.stdout)
        .map(Some)
        .with_context(|| format!("the work `{}` printed no timing", work.name()))
}
