//! `zoo compare`.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;

use super::{Outcome, device_for, hub_settings, warn_about_data};
use crate::cli::CompareArgs;
use crate::compare::{Case, Comparison, Plan, PlanOptions, RunOutcome, Task, Watch, compare};
use crate::interrupt;
use crate::output::keep_apart;
use crate::report::{Printer, Progress};
use crate::train::{Measure, PrecisionChoice};

/// Carries out what is missing of a comparison and prints its table.
///
/// # Errors
/// When the request is wrong, the directory holds something else, or a run fails.
pub(super) fn run(args: &CompareArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    if let Some(set) = args.set.iter().find(|set| set.starts_with("model.")) {
        printer.warn(&format!(
            "`--set {set}` changes every network that is compared, and a baseline may be left with fewer parameters \
             than the mixture; the table tells how many each has"
        ));
    }
    if !args.horizons.is_empty() && args.task != Task::Forecast {
        bail!("`--horizons` is for `zoo compare forecast`; leave it out");
    }
    let family = args.task.family()?;
    if family.in_f64() && args.epochs.is_some() {
        bail!(
            "`--epochs` is for networks that are trained in epochs; give iterations with `--set`, as in \
             `--set adam_iterations=100`"
        );
    }
    if family.in_f64() && args.precision.is_some() {
        bail!("networks over the plane are fitted in f64; leave `--precision` out");
    }
    let opened = device_for(family, &args.device, printer)?;
    let place = opened.words.clone();
    let precision = args.precision.map(PrecisionChoice::assignment);
    let options = PlanOptions {
        data: args.data.clone(),
        horizons: args.horizons.iter().map(|&h| h as usize).collect(),
        set: args.set.iter().cloned().chain(precision).collect(),
        epochs: args.epochs,
    };
    let mut plan = Plan::new(args.task, &options, hub_settings(&args.hub)?, opened)?;
    let (told, failed) = (printer.clone(), Rc::new(Cell::new(false)));
    let any = Rc::clone(&failed);
    plan.on_data(Box::new(move |lines, skipped| {
        lines.iter().for_each(|line| told.info(line));
        warn_about_data(&told, None, skipped);
        any.set(any.get() || !skipped.is_empty());
    }));
    let default = || Path::new("comparisons").join(plan.name());
    let dir: PathBuf = args.out.clone().unwrap_or_else(default);
    if let Some(data) = &args.data {
        keep_apart("--out", &dir, Path::new(data))?;
    }
    let cases = chosen(&plan, &args.models)?;
    let runs = cases.len() as u64 * args.seeds;
    printer.info(&format!(
        "comparing {} in {runs} runs on {place}, into `{}`",
        plan.name(),
        dir.display()
    ));
    let mut watch = Printed {
        progress: printer.progress("compared", 100, "percent"),
        runs,
        printer,
        stop: interrupt::flag(),
    };
    let (_, complete) = compare(&plan, &cases, args.seeds, &dir, &mut watch)?;
    drop(watch);
    if !complete {
        printer.warn(&format!(
            "stopped, finished runs are saved in `{}`; the same command goes on",
            dir.display()
        ));
        return Ok(Outcome::Interrupted);
    }
    let table = std::fs::read_to_string(dir.join("table.md"))?;
    printer.result(table.trim_end())?;
    Ok(match failed.get() {
        true => Outcome::SomeFailed,
        false => Outcome::Done,
    })
}

/// The cases of `plan` whose models are among `models`, or all where those are left out.
fn chosen(plan: &dyn Comparison, models: &[String]) -> anyhow::Result<Vec<Case>> {
    let mut cases = plan.cases();
    if let Some(other) = (models.iter()).find(|&name| cases.iter().all(|c| &c.model != name)) {
        let mut names: Vec<&str> = cases.iter().map(|case| case.model.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        bail!(
            "`--models {other}` is not compared by `{}`; choose among {}",
            plan.name(),
            names.join(", ")
        );
    }
    cases.retain(|case| models.is_empty() || models.contains(&case.model));
    Ok(cases)
}

struct Printed<'a> {
    progress: Progress,
    runs: u64,
    printer: &'a Printer,
    stop: &'static AtomicBool,
}

impl Watch for Printed<'_> {
    fn at(&mut self, done: usize, _: usize, case: &Case, seed: u64, part: f64) -> bool {
        let runs = done as f64 + part;
        self.progress.note(format!(
            "({done} of {} runs done) {} on {}, seed {seed}",
            self.runs, case.model, case.problem
        ));
        self.progress
            .set((100.0 * runs / self.runs.max(1) as f64) as u64);
        !self.stop.load(Ordering::Relaxed)
    }

    fn finished(&mut self, case: &Case, seed: u64, measures: &[Measure], outcome: &RunOutcome) {
        let values: Vec<String> = measures
            .iter()
            .zip(&outcome.values)
            .map(|(m, v)| format!("{} {v:.3e}", m.name))
            .collect();
        let line = format!(
            "{} on {}, seed {seed}: {}",
            case.model,
            case.problem,
            values.join(", ")
        );
        self.printer.info(&line);
    }
}
