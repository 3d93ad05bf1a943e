//! Models × problems × seeds: every run is a session, and goes on where it was stopped.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use models::ModelConfig;
use models::registry::Entry;
use serde_json::json;

use super::curves::curve;
use super::{Case, Comparison, Results, RunOutcome, Task, mean};
use crate::data::{OpenOptions, SkippedFile, public_name};
use crate::device::Opened;
use crate::families::{self, Family};
use crate::hub::Settings;
use crate::package;
use crate::plot::{Figure, LineChart, Scale, Style};
use crate::train::recipe::{self, Overrides, Resolved};
use crate::train::record::TrainingRecord;
use crate::train::run_dir::IfExists;
use crate::train::session::{Output, Request, Session, Summary};
use crate::train::{Contrast, Ended, Measure, Part, Recipe, RunDir, Wanted, Watch};

/// What is asked of a plan besides its task.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// One dataset or problem in place of the task's own.
    pub data: Option<String>,
    /// The steps to forecast in place of the task's own, where it forecasts.
    pub horizons: Vec<usize>,
    /// `key=value` over the recipe of all models.
    pub set: Vec<String>,
    /// Passes over the training examples.
    pub epochs: Option<usize>,
}

/// What models learn in one part of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// Its name in results.
    name: String,
    /// What `--data` says; the model's own dataset without it.
    data: Option<String>,
    /// The steps to forecast, where they are what tells it from others.
    horizon: Option<usize>,
}

impl Subject {
    /// A dataset, by the name that it has in results.
    pub(super) fn dataset(argument: &str) -> Self {
        let last = public_name(argument);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let mut name = last.replace(|c| !plain(c), "-");
        // `.` and `..` are no names of their own.
        if name.chars().all(|c| c == '.') {
            name = name.replace('.', "-");
        }
        Self {
            name,
            data: Some(argument.to_string()),
            horizon: None,
        }
    }

    /// A series so many steps ahead.
    pub(super) fn horizon(data: Option<&str>, steps: usize) -> Self {
        Self {
            name: format!("horizon-{steps}"),
            data: data.map(str::to_string),
            horizon: Some(steps),
        }
    }

    /// The overrides with those of the subject.
    fn set(&self, set: &[String]) -> Vec<String> {
        let horizon = self.horizon.map(|steps| format!("model.horizon={steps}"));
        set.iter().cloned().chain(horizon).collect()
    }
}

/// A subject with what is decided of its runs before they begin.
#[derive(Debug)]
struct Chapter {
    subject: Subject,
    /// The recipe that all models share.
    recipe: Recipe,
    /// The networks, before the data say how many classes or columns there are.
    networks: BTreeMap<&'static str, ModelConfig>,
}

/// Every model of a task on every subject.
pub struct Plan {
    task: Task,
    family: &'static dyn Family,
    models: Vec<&'static Entry>,
    chapters: Vec<Chapter>,
    measures: Vec<Measure>,
    set: Vec<String>,
    epochs: Option<usize>,
    hub: Settings,
    opened: Opened,
    /// Learns of the data of each subject before its first run.
    tell: Option<Tell>,
    told: RefCell<BTreeSet<String>>,
}

/// Takes what is to be known of data, in at most three lines, and the files of them that failed.
pub type Tell = Box<dyn Fn(&[String], &[SkippedFile])>;

impl Plan {
    /// The plan of `task`, each model by its recipe with what `options` say over it, on the device `opened`.
    ///
    /// # Errors
    /// When there is no such key of the recipe or of one of the networks.
    pub fn new(
        task: Task,
        options: &PlanOptions,
        hub: Settings,
        opened: Opened,
    ) -> anyhow::Result<Self> {
        let (models, family) = (task.models()?, task.family()?);
        let mut plan = Self {
            task,
            family,
            chapters: Vec::new(),
            measures: family.measures().by_weight().map(|(_, m)| *m).collect(),
            set: options.set.clone(),
            epochs: options.epochs,
            hub,
            opened,
            models,
            tell: None,
            told: RefCell::default(),
        };
        for subject in task.subjects(options.data.as_deref(), &options.horizons)? {
            let recipe = plan.resolve(&subject, plan.models[0])?.recipe;
            let models = plan.models.iter();
            let networks = models
                .map(|entry| Ok((entry.name, plan.resolve(&subject, entry)?.model)))
                .collect::<anyhow::Result<_>>()?;
            plan.chapters.push(Chapter {
                subject,
                recipe,
                networks,
            });
        }
        Ok(plan)
    }

    /// Lets `tell` know of the data of each subject before its first run.
    pub fn on_data(&mut self, tell: Tell) {
        self.tell = Some(tell);
    }

    fn resolve(&self, subject: &Subject, entry: &Entry) -> anyhow::Result<Resolved> {
        let set = subject.set(&self.set);
        let data = subject.data.as_deref().unwrap_or(entry.default_data);
        let (overrides, config) = (self.overrides(&set), entry.config());
        let family = families::trainable(&config);
        Ok(recipe::resolve(family, entry, data, &config, &overrides)?)
    }

    fn overrides<'a>(&'a self, set: &'a [String]) -> Overrides<'a> {
        Overrides {
            file: None,
            set,
            epochs: self.epochs,
            device: Some(&self.opened.device),
        }
    }

    fn options(&self) -> OpenOptions<'_> {
        OpenOptions {
            remote: Some(&self.hub),
            ..OpenOptions::default()
        }
    }

    /// The run in `dir` where it was interrupted, or a new one.
    fn session(
        &self,
        subject: &Subject,
        model: &str,
        seed: u64,
        dir: &Path,
    ) -> anyhow::Result<Session> {
        let (data, options) = (subject.data.as_deref(), self.options());
        let record = TrainingRecord::read(&RunDir::existing(dir));
        if record.is_ok_and(|r| r.model == model && r.seed == seed) {
            let dir = dir.to_path_buf();
            return Session::resume(dir, Some(model), data, &options, families::trainable);
        }
        let set = subject.set(&self.set);
        let request = Request {
            model,
            data,
            base: None,
            seed,
            overrides: self.overrides(&set),
            output: Output::At(dir.to_path_buf(), IfExists::Overwrite),
        };
        Session::new(&request, &options, families::trainable)
    }

    /// What a prediction that needs no training measures.
    fn naive(&self, chapter: &Chapter, name: &str) -> anyhow::Result<RunOutcome> {
        let entry = self.models[0];
        let problem = self.family.open(&Wanted {
            config: &chapter.networks[entry.name],
            recipe: &chapter.recipe,
            seed: 0,
            data: chapter.subject.data.as_deref(),
            default: entry.default_data,
            options: &self.options(),
        })?;
        let values = problem.naive(name)?;
        let order = self.family.measures().by_weight();
        Ok(RunOutcome {
            parameters: 0,
            step_ms: 0.0,
            values: order.map(|(i, _)| values[i]).collect(),
        })
    }

    /// How a model is called beside others of its family.
    fn short<'a>(&self, model: &'a str) -> &'a str {
        match model.split_once('.') {
            _ if model == self.models[0].name => "GMNM",
            Some((_, variant)) => variant,
            None => model,
        }
    }

    /// How measures went in training, for each subject.
    fn courses(&self, dir: &Path, results: &Results) -> Figure {
        let title = format!(
            "{}: median over the seeds, shaded from the least to the largest",
            self.name()
        );
        let charts = self.chapters.iter().flat_map(|chapter| {
            let courses = self.family.courses(&chapter.recipe).into_iter();
            courses.map(move |course| (&chapter.subject.name, course))
        });
        let charts: Vec<_> = charts.collect();
        let mut figure = Figure::new(title, charts.len().min(3)).panel_size(390.0, 300.0);
        for (subject, course) in charts {
            let mut chart = LineChart::new(format!("{subject}: {}", course.title));
            chart = chart.x_label(course.over);
            if course.measure.contrast == Contrast::Ratio {
                chart = chart.y_scale(Scale::Log);
            }
            for entry in &self.models {
                let case = case(subject, entry.name);
                let curve = curve(dir, results, &case, &course.column);
                chart = chart.line(self.short(entry.name), curve.median);
                chart = chart.band(curve.range);
            }
            figure = figure.panel(chart);
        }
        figure
    }

    /// How measures go with the horizon.
    fn over_horizons(&self, results: &Results) -> Figure {
        let mut figure = Figure::new("Error over the horizon, mean over the seeds", 2);
        for (m, measure) in self.measures.iter().enumerate() {
            let mut chart = LineChart::new(measure.name.to_uppercase()).x_label("horizon, steps");
            let models = self.models.iter().map(|entry| entry.name);
            // Repeating the last value is so far off that it would press all others together.
            let naive = self.family.naive().iter().take(1).copied();
            for model in models.chain(naive) {
                let points = self.chapters.iter().filter_map(|Chapter { subject, .. }| {
                    let runs = results.of(&case(&subject.name, model));
                    let values: Vec<f64> = runs.iter().map(|r| r.outcome.values[m]).collect();
                    let steps = subject.horizon.filter(|_| !values.is_empty())?;
                    Some((steps as f64, mean(&values)))
                });
                chart = chart.series(self.short(model), points.collect(), Style::LineAndDots);
            }
            figure = figure.panel(chart);
        }
        figure
    }
}

fn case(problem: &str, model: &str) -> Case {
    Case {
        problem: problem.to_string(),
        model: model.to_string(),
    }
}

/// Passes the progress of one run on, and its answer back.
struct Follower<'a> {
    progress: RefCell<&'a mut dyn FnMut(f64) -> bool>,
    stop: AtomicBool,
    /// Finished epochs, all epochs, finished steps and all steps of the epoch.
    at: Cell<(usize, usize, u64, u64)>,
}

impl Follower<'_> {
    fn report(&self) {
        let (epoch, epochs, done, steps) = self.at.get();
        let within = done as f64 / steps as f64;
        let part = (epoch as f64 + within) / epochs as f64;
        if !(self.progress.borrow_mut())(part) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Watch for Follower<'_> {
    fn epoch_begins(&self, epoch: usize, epochs: usize, steps: u64, done: u64) {
        self.at.set((epoch - 1, epochs.max(1), done, steps.max(1)));
    }

    fn step(&self, _: f64) {
        let (epoch, epochs, done, steps) = self.at.get();
        self.at.set((epoch, epochs, done + 1, steps));
        self.report();
    }

    fn evaluated(&self, _: Part, _: usize, _: usize) {
        self.report();
    }
}

impl Comparison for Plan {
    fn name(&self) -> &'static str {
        self.task.name()
    }

    fn about(&self) -> String {
        let chapters = self.chapters.iter();
        let protocols: Vec<String> = chapters
            .map(|chapter| self.family.protocol(&chapter.recipe))
            .collect();
        let mut same = protocols.windows(2).map(|pair| pair[0] == pair[1]);
        let protocols = match protocols.first() {
            Some(first) if same.all(|same| same) => first.clone(),
            _ => {
                let names = self.chapters.iter().map(|chapter| &chapter.subject.name);
                let each = names.zip(&protocols);
                let each = each.map(|(name, protocol)| format!("`{name}`: {protocol}"));
                each.collect::<Vec<_>>().join("; ")
            }
        };
        let set = match self.set.join(" ") {
            set if set.is_empty() => String::new(),
            set => format!(", with `{set}`"),
        };
        format!("Trained from scratch by one recipe for all models{set}: {protocols}.")
    }

    fn settings(&self) -> serde_json::Value {
        let chapters = self.chapters.iter().map(|chapter| {
            json!({
                "problem": chapter.subject.name,
                "data": chapter.subject.data,
                "recipe": chapter.recipe,
                "models": chapter.networks,
            })
        });
        let shapes = self.models.iter().map(|entry| entry.alternatives());
        let mut settings = json!({
            "problems": chapters.collect::<Vec<_>>(),
            "alternatives": shapes.collect::<Vec<_>>(),
            "set": self.set,
        });
        // Times of two devices are not of one comparison. The CPU is not named.
        if !self.opened.device.is_cpu() {
            settings["device"] = self.opened.name.clone().into();
        }
        settings
    }

    fn cases(&self) -> Vec<Case> {
        let models = self.models.iter().map(|entry| entry.name);
        let models: Vec<&str> = models.chain(self.family.naive().iter().copied()).collect();
        let chapters = self.chapters.iter();
        chapters
            .flat_map(|c| models.iter().map(|model| case(&c.subject.name, model)))
            .collect()
    }

    fn measures(&self) -> &[Measure] {
        &self.measures
    }

    fn run(
        &self,
        case: &Case,
        seed: u64,
        dir: &Path,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>> {
        let mut chapters = self.chapters.iter();
        let chapter = chapters
            .find(|chapter| chapter.subject.name == case.problem)
            .with_context(|| format!("`{}` is no part of this comparison", case.problem))?;
        if self.family.naive().contains(&case.model.as_str()) {
            return self.naive(chapter, &case.model).map(Some);
        }
        let follower = Follower {
            progress: RefCell::new(progress),
            stop: AtomicBool::new(false),
            at: Cell::new((0, 1, 0, 1)),
        };
        let session = self.session(&chapter.subject, &case.model, seed, dir)?;
        let is_new = self.told.borrow_mut().insert(case.problem.clone());
        if let Some(tell) = self.tell.as_ref().filter(|_| is_new) {
            tell(&session.about_data(), session.skipped());
        }
        let (device, stop) = (&self.opened.device, &follower.stop);
        Ok(
            match session.train(device, &follower, stop, package::write)? {
                Ended::Interrupted(_) => None,
                Ended::Finished(summary) => Some(outcome(&summary)),
            },
        )
    }

    fn figures(&self, dir: &Path, results: &Results) -> Vec<(String, String)> {
        match self.task {
            Task::Forecast => vec![("horizons.svg".into(), self.over_horizons(results).svg())],
            _ => vec![("curves.svg".into(), self.courses(dir, results).svg())],
        }
    }
}

fn outcome(summary: &Summary) -> RunOutcome {
    RunOutcome {
        parameters: summary.parameters,
        // Not a number for a run that had been finished but not entered.
        step_ms: summary.seconds * 1e3 / summary.steps as f64,
        values: summary.test.iter().map(|(_, value)| *value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn a_dataset_has_a_name_that_is_safe_in_paths_and_tables() {
        for (argument, name) in [
            ("cifar10", "cifar10"),
            ("../my data/cifar,10", "cifar-10"),
            ("/data/digits.tar.gz", "digits.tar.gz"),
            ("..", "--"),
        ] {
            assert_eq!(Subject::dataset(argument).name, name);
        }
    }

    fn plan(task: Task, data: Option<&str>) -> Plan {
        let hub = Settings::resolve_from(&Default::default(), &|_| None).unwrap();
        let opened = DeviceChoice::Cpu.open().unwrap();
        let options = PlanOptions {
            data: data.map(str::to_string),
            ..PlanOptions::default()
        };
        Plan::new(task, &options, hub, opened).unwrap()
    }

    /// What the table says and what the runs do are then the same.
    #[test]
    fn the_recipe_of_a_path_is_that_of_the_dataset_that_it_is_called_by() {
        let epochs = |data: &str| {
            let plan = plan(Task::MnistFast, Some(data));
            plan.chapters[0].recipe.descent().unwrap().epochs
        };
        assert_eq!(epochs("/somewhere/mnist"), epochs("mnist"));
        assert_ne!(epochs("mnist"), epochs("cifar10"));
    }

    /// A program whose networks have other defaults does not go on with the comparison.
    #[test]
    fn a_comparison_keeps_the_settings_of_its_networks() {
        for (task, data, names) in [
            (
                Task::Cifar,
                Some("cifar10"),
                ["cifar-classifier", "cifar-classifier.attention"],
            ),
            (
                Task::Forecast,
                Some("ETTh1.csv"),
                ["series-forecaster", "series-forecaster.lstm"],
            ),
            (
                Task::Poisson,
                None,
                ["poisson-solver", "poisson-solver.kan"],
            ),
        ] {
            let settings = plan(task, data).settings();
            for name in names {
                let found = &settings["problems"][0]["models"][name];
                let expected = models::registry::find(name).unwrap().config();
                assert_eq!(*found, json!(expected), "{name}");
            }
        }
    }
}
