//! `zoo train` and `zoo eval` for networks over the plane.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use models::ModelDir;
use models::field::FieldConfig;
use models::registry::{self, Entry, Task};
use serde_json::{Map, Value};

use super::Outcome;
use crate::cli::{EvalArgs, SummaryFormat, TrainArgs};
use crate::families;
use crate::field::{self, Measures, Problem, RunOptions, RunRecord};
use crate::report::{Printer, Table};
use crate::train::RunDir;
use crate::train::recipe::Overrides;
use crate::train::run_dir::IfExists;

/// The entry called `name`, if its network is over the plane.
pub(super) fn entry(name: &str) -> Option<&'static Entry> {
    let entry = registry::find(name).ok()?;
    matches!(entry.task, Task::Fitting | Task::Poisson).then_some(entry)
}

/// Fits a surface or solves an equation.
///
/// # Errors
/// When the request is wrong or training fails.
pub(super) fn train(
    args: &TrainArgs,
    entry: &'static Entry,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    if args.resume.is_some() {
        anyhow::bail!(
            "`{}` trains in seconds and is not resumed; train it again",
            entry.name
        );
    }
    if args.precision.is_some() {
        anyhow::bail!("`{}` is fitted in f64; leave `--precision` out", entry.name);
    }
    super::warn_about_f64(&args.device, printer);
    let problem = Problem::find(
        entry.task,
        args.data.as_deref().unwrap_or(entry.default_data),
    )?;
    let overrides = Overrides {
        file: args.recipe.as_deref(),
        set: &args.set,
        epochs: args.epochs,
        device: None,
    };
    let (recipe, model) = families::resolve(entry, problem.name(), &overrides)?;
    let shapes = field::shapes(entry, &model)?;
    let dir = match &args.out {
        None => RunDir::numbered(Path::new("runs"), entry.name)?,
        Some(dir) if args.overwrite => RunDir::create(dir, IfExists::Overwrite)?,
        Some(dir) => RunDir::create(dir, IfExists::Refuse)?,
    };
    let options = RunOptions {
        entry,
        model,
        problem,
        recipe,
        seed: args.seed.unwrap_or(0),
        dir,
    };
    let size = match shapes.as_slice() {
        [only] => format!("{} parameters", only.parameter_count()),
        all => {
            let most = all.iter().map(FieldConfig::parameter_count).max();
            format!(
                "the best of {} shapes, of at most {} parameters",
                all.len(),
                most.unwrap_or(0)
            )
        }
    };
    printer.info(&format!(
        "training `{}` ({size}) on `{}`: {}, seed {}, into `{}`",
        entry.name,
        problem.name(),
        problem.formula(),
        options.seed,
        options.dir.path().display()
    ));
    let stop = super::stop_on_ctrl_c()?;
    let total = options.recipe.iterations() as u64;
    let progress = printer.progress("training", total, "iterations");
    let started = Instant::now();
    let mut last = 0;
    let fit = field::train(&options, &mut |iteration, loss| {
        progress.note(format!("loss {loss:.2e}"));
        progress.advance((iteration - last) as u64);
        last = iteration;
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    let seconds = started.elapsed().as_secs_f64();
    drop(progress);
    let Some(fit) = fit else {
        printer.warn("stopped before the end; nothing is saved");
        return Ok(Outcome::Interrupted);
    };
    for (name, stop) in &fit.stops {
        printer.info(&format!("{name}: {}", stop.describe()));
    }
    let parameters = fit.config.parameter_count();
    let mut object = summary(entry.name, problem.name(), parameters, &fit.measures);
    object.insert("loss".into(), fit.loss.into());
    object.insert("iterations".into(), last.into());
    object.insert("seconds".into(), seconds.into());
    object.insert(
        "dir".into(),
        options.dir.path().display().to_string().into(),
    );
    print(&object, args.format, printer)?;
    Ok(Outcome::Done)
}

/// Measures a stored network on a problem: the one that it was trained on, unless `--data` names another.
///
/// # Errors
/// When there is no such problem, or the network is none over the plane.
pub(super) fn eval(
    args: &EvalArgs,
    model: &ModelDir,
    record: Option<&str>,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    super::warn_about_f64(&args.device, printer);
    let record: Option<RunRecord> = record.and_then(|text| serde_json::from_str(text).ok());
    let (config, task, parameters) = field::parameters(model)?;
    let default = entry(&model.model).map_or("", |e| e.default_data);
    let trained_on = record.as_ref().map(|r| r.problem.as_str());
    let name = args.data.as_deref().or(trained_on).unwrap_or(default);
    let problem = Problem::find(task, name)?;
    let (recipe, seed) = match record {
        Some(record) => (record.recipe, record.seed),
        None => {
            let family = registry::find(match task {
                Task::Poisson => "poisson-solver",
                _ => "surface-fitter",
            })?;
            let (recipe, _) = families::resolve(family, problem.name(), &Overrides::default())?;
            (recipe, 0)
        }
    };
    let conditions = problem.conditions(&recipe, seed);
    let measures = problem.measure(&config.jets(), &parameters, &conditions);
    let object = summary(&model.model, problem.name(), parameters.len(), &measures);
    print(&object, args.format, printer)?;
    Ok(Outcome::Done)
}

fn summary(model: &str, data: &str, parameters: usize, measures: &Measures) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("model".into(), model.into());
    object.insert("data".into(), data.into());
    object.insert("parameters".into(), parameters.into());
    for (name, value) in measures {
        object.insert((*name).into(), (*value).into());
    }
    object
}

fn print(
    object: &Map<String, Value>,
    format: SummaryFormat,
    printer: &Printer,
) -> std::io::Result<()> {
    match format {
        SummaryFormat::Json => printer.result(&Value::Object(object.clone()).to_string()),
        SummaryFormat::Table => {
            let mut table = Table::new(object.keys().cloned());
            table.row(object.values().map(|value| match value {
                Value::Number(n) if n.is_f64() => {
                    let n = n.as_f64().unwrap_or(f64::NAN);
                    if n >= 0.1 {
                        format!("{n:.2}")
                    } else {
                        format!("{n:.3e}")
                    }
                }
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }));
            printer.result(&table.to_string())
        }
    }
}
