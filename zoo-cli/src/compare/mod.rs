//! The layer against its baselines: a plan of runs, carried out and resumed run by run, and what comes of it.
//!
//! A directory holds `comparison.json` (what is compared), `results.csv` (every run), `table.md`, figures, and what
//! each run leaves under `runs/`.

mod curves;
mod plan;
mod results;
mod statistics;
mod table;
mod tasks;

use std::path::{Path, PathBuf};

use models::write::{is_temporary, replace_file, sweep};

use crate::layout::LOCK;
use crate::train::{Lock, Measure, TrainError};

pub use plan::{Plan, PlanOptions, Tell};
pub use results::{Results, Run};
pub use statistics::{Interval, mean, paired, spread};
pub use tasks::Task;

/// One cell of the plan, to be repeated under every seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What is learned: a dataset, a surface, a horizon.
    pub problem: String,
    /// The registry's name of the model.
    pub model: String,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    /// Trainable values of the model.
    pub parameters: usize,
    /// Milliseconds a training step.
    pub step_ms: f64,
    /// The measures, in the plan's order.
    pub values: Vec<f64>,
}

/// Why a comparison stopped.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The directory holds something else.
    #[error("`{}` {problem}; choose another directory with --out", path.display())]
    Directory {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process works in the directory, or it was taken away.
    #[error(transparent)]
    Lock(Box<TrainError>),
    /// A run failed; those before it are kept.
    #[error("`{model}` on `{problem}` with seed {seed}: {reason}")]
    Run {
        /// The model.
        model: String,
        /// The problem.
        problem: String,
        /// The seed.
        seed: u64,
        /// Why.
        reason: String,
    },
}

impl From<TrainError> for CompareError {
    fn from(error: TrainError) -> Self {
        Self::Lock(Box::new(error))
    }
}

/// A comparison: which runs there are, and how one is made.
pub trait Comparison {
    /// The task's name on the command line.
    fn name(&self) -> &'static str;

    /// One sentence on what is compared and how.
    fn about(&self) -> String;

    /// Everything that results depend on besides case and seed: a resumed comparison must have the same.
    fn settings(&self) -> serde_json::Value;

    /// All cases, problem by problem, the layer's model first in each.
    fn cases(&self) -> Vec<Case>;

    /// What is measured; the first measure decides.
    fn measures(&self) -> &[Measure];

    /// Carries out one run, leaving what it writes in `dir`, and reports the finished part (0 to 1) to `progress`,
    /// which answers whether to go on. `None`: it was stopped.
    ///
    /// # Errors
    /// Why the run failed.
    fn run(
        &self,
        case: &Case,
        seed: u64,
        dir: &Path,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>>;

    /// Figures by file name.
    fn figures(&self, dir: &Path, results: &Results) -> Vec<(String, String)>;
}

/// What a user sees of a comparison that runs.
pub trait Watch {
    /// Run `done` of `total` is at `part` (0 to 1) of its work; `false` stops the comparison.
    fn at(&mut self, done: usize, total: usize, case: &Case, seed: u64, part: f64) -> bool;
    /// A run is finished.
    fn finished(&mut self, case: &Case, seed: u64, measures: &[Measure], outcome: &RunOutcome);
}

/// Where the runs of a case are kept.
pub fn run_dir(dir: &Path, case: &Case, seed: u64) -> PathBuf {
    let name = format!("{}-seed-{seed}", case.model);
    dir.join("runs").join(&case.problem).join(name)
}

/// Carries out what is missing of `cases`, all or some of `plan`'s, under seeds 0 to `seeds` − 1 in `dir` and writes
/// table and figures of all that is there. Returns the results, and whether they are complete (not stopped by `watch`).
///
/// # Errors
/// When the directory holds another comparison or cannot be written, or a run fails.
pub fn compare(
    plan: &dyn Comparison,
    cases: &[Case],
    seeds: u64,
    dir: &Path,
    watch: &mut dyn Watch,
) -> Result<(Results, bool), CompareError> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        replace_file(&path, text.as_bytes()).map_err(|source| CompareError::Write { path, source })
    };
    let lock = open(plan, dir, &write)?;
    let mut results = Results::read(&dir.join("results.csv"), plan.measures())?;
    let mut todo = Vec::new();
    // Seeds outermost: a comparison that is stopped early has every model as often.
    for seed in 0..seeds {
        todo.extend(cases.iter().map(|case| (case.clone(), seed)));
    }
    let (total, mut complete) = (todo.len(), true);
    for (done, (case, seed)) in todo.into_iter().enumerate() {
        if results.find(&case, seed).is_some() {
            continue;
        }
        if !watch.at(done, total, &case, seed, 0.0) {
            complete = false;
            break;
        }
        lock.check()?;
        let run_dir = run_dir(dir, &case, seed);
        let mut progress = |part: f64| watch.at(done, total, &case, seed, part);
        let outcome = plan.run(&case, seed, &run_dir, &mut progress);
        let outcome = outcome.map_err(|e| CompareError::Run {
            model: case.model.clone(),
            problem: case.problem.clone(),
            seed,
            reason: format!("{e:#}"),
        })?;
        let Some(outcome) = outcome else {
            complete = false;
            break;
        };
        watch.finished(&case, seed, plan.measures(), &outcome);
        results.push(case, seed, outcome);
        write("results.csv", &results.csv(plan.measures()))?;
    }
    write("table.md", &table::render(plan, &results))?;
    for (name, svg) in plan.figures(dir, &results) {
        write(&name, &svg)?;
    }
    Ok((results, complete))
}

/// Makes the directory, or checks that it holds the same comparison, and locks it.
fn open(
    plan: &dyn Comparison,
    dir: &Path,
    write: &dyn Fn(&str, &str) -> Result<(), CompareError>,
) -> Result<Lock, CompareError> {
    let failed = |source| CompareError::Write {
        path: dir.to_path_buf(),
        source,
    };
    let wrong = |problem: &str| CompareError::Directory {
        path: dir.to_path_buf(),
        problem: problem.to_string(),
    };
    let settings = serde_json::json!({
        "task": plan.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "settings": plan.settings(),
    });
    let path = dir.join("comparison.json");
    let is_free = || match std::fs::read_dir(dir) {
        // What a killed process left before the comparison was there.
        Ok(mut entries) => entries.all(|entry| {
            let name = entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
            name.is_ok_and(|name| name == LOCK || is_temporary(&name))
        }),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !path.is_file() && !is_free() {
        return Err(wrong("is not empty and holds no comparison"));
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    let lock = Lock::acquire(dir)?;
    sweep(dir).map_err(failed)?;
    if !path.is_file() {
        write("comparison.json", &format!("{settings:#}\n"))?;
        return Ok(lock);
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let there: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    match there == settings {
        true => Ok(lock),
        false => Err(wrong("holds a comparison with other settings")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Contrast, Digits};

    /// Two models on two problems; the value is a function of case and seed.
    struct Toy;

    impl Comparison for Toy {
        fn name(&self) -> &'static str {
            "toy"
        }
        fn about(&self) -> String {
            "A toy.".into()
        }
        fn settings(&self) -> serde_json::Value {
            serde_json::json!({"a": 1})
        }
        fn cases(&self) -> Vec<Case> {
            let case = |problem: &str, model: &str| Case {
                problem: problem.into(),
                model: model.into(),
            };
            vec![
                case("p", "ours"),
                case("p", "theirs"),
                case("q", "ours"),
                case("q", "theirs"),
            ]
        }
        fn measures(&self) -> &[Measure] {
            const ERROR: Measure = Measure::lower("error", Contrast::Ratio, Digits::Fixed(4));
            &[ERROR]
        }
        fn run(
            &self,
            case: &Case,
            seed: u64,
            _: &Path,
            progress: &mut dyn FnMut(f64) -> bool,
        ) -> anyhow::Result<Option<RunOutcome>> {
            if !progress(0.5) {
                return Ok(None);
            }
            let factor = if case.model == "ours" { 1.0 } else { 4.0 };
            Ok(Some(RunOutcome {
                parameters: 10,
                step_ms: 1.0,
                values: vec![factor * (1.0 + 0.1 * seed as f64)],
            }))
        }
        fn figures(&self, _: &Path, _: &Results) -> Vec<(String, String)> {
            vec![("f.svg".into(), "<svg/>".into())]
        }
    }

    /// Stops after so many runs.
    struct Limit(usize);

    impl Watch for Limit {
        fn at(&mut self, _: usize, total: usize, _: &Case, _: u64, _: f64) -> bool {
            assert_eq!(total, 12);
            self.0 > 0
        }
        fn finished(&mut self, _: &Case, _: u64, _: &[Measure], _: &RunOutcome) {
            self.0 -= 1;
        }
    }

    #[test]
    fn a_stopped_comparison_goes_on_and_ends_with_the_same_bytes() {
        let (broken, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = compare(&Toy, &Toy.cases(), 3, broken.path(), &mut Limit(5)).unwrap();
        assert_eq!((first.0.all().len(), first.1), (5, false));
        let second = compare(&Toy, &Toy.cases(), 3, broken.path(), &mut Limit(7)).unwrap();
        assert_eq!((second.0.all().len(), second.1), (12, true));
        compare(&Toy, &Toy.cases(), 3, whole.path(), &mut Limit(12)).unwrap();
        for name in ["results.csv", "table.md", "f.svg", "comparison.json"] {
            let read = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(name)).unwrap();
            assert_eq!(read(&broken), read(&whole), "{name}");
        }
        let table = std::fs::read_to_string(whole.path().join("table.md")).unwrap();
        assert!(table.contains("4.00× [4.00, 4.00]"), "{table}");
    }

    #[test]
    fn models_that_were_left_out_are_added_later() {
        let (parts, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut cases = Toy.cases();
        cases.retain(|case| case.model == "ours");
        struct Any;
        impl Watch for Any {
            fn at(&mut self, _: usize, _: usize, _: &Case, _: u64, _: f64) -> bool {
                true
            }
            fn finished(&mut self, _: &Case, _: u64, _: &[Measure], _: &RunOutcome) {}
        }
        let some = compare(&Toy, &cases, 3, parts.path(), &mut Any).unwrap();
        assert_eq!((some.0.all().len(), some.1), (6, true));
        let all = compare(&Toy, &Toy.cases(), 3, parts.path(), &mut Any).unwrap();
        assert_eq!((all.0.all().len(), all.1), (12, true));
        compare(&Toy, &Toy.cases(), 3, whole.path(), &mut Any).unwrap();
        let table = |dir: &tempfile::TempDir| std::fs::read(dir.path().join("table.md")).unwrap();
        assert_eq!(table(&parts), table(&whole));
    }

    #[test]
    fn another_directory_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine.txt"), "x").unwrap();
        let error = compare(&Toy, &Toy.cases(), 3, dir.path(), &mut Limit(12)).unwrap_err();
        assert!(error.to_string().contains("--out"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
