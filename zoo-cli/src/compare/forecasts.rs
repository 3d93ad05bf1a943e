//! Forecasts at several horizons.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use candle_core::Device;
use models::ModelConfig;
use models::registry::{self, Task};

use super::{Case, Contrast, Measure, Plan, Results, RunOutcome, mean, with_device};
use crate::data::OpenOptions;
use crate::device::Opened;
use crate::families::forecasting::{NAIVE, SEASONAL};
use crate::plot::{Figure, LineChart, Style};
use crate::train::metrics::Row;
use crate::train::recipe::{self, Overrides, Recipe, Resolved};
use crate::train::run_dir::IfExists;
use crate::train::session::{Output, Request, Session, SessionEnd};
use crate::train::{Wanted, Watch};
use crate::{families, package};

/// The horizons of the literature's tables.
pub const HORIZONS: [usize; 4] = [96, 192, 336, 720];

/// The model that the others are held against.
const OURS: &str = "series-forecaster";
const MEASURES: &[Measure] = &[error("mse"), error("mae")];

const fn error(name: &'static str) -> Measure {
    Measure {
        name,
        larger_is_better: false,
        // Of one magnitude, and compared in the third digit.
        contrast: Contrast::Difference,
    }
}

/// `forecast`: every forecaster of the registry at every horizon, and the two forecasts that only repeat.
#[derive(Debug)]
pub struct ForecastPlan {
    data: Option<String>,
    horizons: Vec<usize>,
    set: Vec<String>,
    opened: Opened,
    /// The recipe that all networks share.
    recipe: Recipe,
    /// The networks' settings at the first of [`HORIZONS`].
    networks: BTreeMap<&'static str, ModelConfig>,
}

impl ForecastPlan {
    /// The plan on the series `data` (the sample where none is given) at these horizons, by the family's recipe with
    /// `set` over it, on the device `opened`.
    ///
    /// # Errors
    /// When the recipe has no such key.
    pub fn new(
        data: Option<&str>,
        horizons: &[usize],
        set: &[String],
        opened: Opened,
    ) -> anyhow::Result<Self> {
        let mut networks = BTreeMap::new();
        for name in Self::models() {
            networks.insert(
                name,
                resolve(name, data, set, HORIZONS[0], &opened.device)?.model,
            );
        }
        let recipe = resolve(OURS, data, set, HORIZONS[0], &opened.device)?.recipe;
        Ok(Self {
            data: data.map(str::to_string),
            horizons: horizons.to_vec(),
            set: set.to_vec(),
            opened,
            recipe,
            networks,
        })
    }

    fn models() -> impl Iterator<Item = &'static str> {
        let entries = registry::entries().iter();
        entries
            .filter(|e| e.task == Task::Forecasting)
            .map(|e| e.name)
    }

    fn case(horizon: usize, model: &str) -> Case {
        Case {
            problem: format!("horizon-{horizon}"),
            model: model.to_string(),
        }
    }

    /// What the forecasts that only repeat measure.
    fn repeat(&self, horizon: usize, name: &str) -> anyhow::Result<RunOutcome> {
        let resolved = resolve(
            OURS,
            self.data.as_deref(),
            &self.set,
            horizon,
            &self.opened.device,
        )?;
        let family = families::of(&resolved.model);
        let windows = family.open(&Wanted {
            config: &resolved.model,
            recipe: &resolved.recipe,
            seed: 0,
            data: self.data.as_deref(),
            default: "sample",
            options: &OpenOptions::default(),
        })?;
        Ok(RunOutcome {
            parameters: 0,
            step_ms: 0.0,
            values: windows.naive(name)?,
        })
    }
}

/// `set` and the horizon.
fn with_horizon(set: &[String], horizon: usize) -> Vec<String> {
    let mut set = set.to_vec();
    set.push(format!("model.horizon={horizon}"));
    set
}

/// The network `name` and its recipe for the series `data` at this horizon, `set` over both.
fn resolve(
    name: &str,
    data: Option<&str>,
    set: &[String],
    horizon: usize,
    device: &Device,
) -> anyhow::Result<Resolved> {
    let entry = registry::find(name)?;
    let set = with_horizon(set, horizon);
    let overrides = Overrides {
        set: &set,
        device: Some(device),
        ..Overrides::default()
    };
    let data = data.unwrap_or("sample");
    let config = entry.config();
    let family = families::of(&config);
    Ok(recipe::resolve(family, entry, data, &config, &overrides)?)
}

/// Passes the part of a run that is done on to the comparison, and its wish to stop on to the run.
struct Follow<'a> {
    progress: std::cell::RefCell<&'a mut dyn FnMut(f64) -> bool>,
    epochs: std::cell::Cell<(usize, usize, u64, u64)>,
    stop: &'a AtomicBool,
}

impl Watch for Follow<'_> {
    fn epoch_begins(&self, epoch: usize, epochs: usize, steps: u64, done: u64) {
        self.epochs.set((epoch, epochs, steps, done));
    }

    fn step(&self, _: f64) {
        let (epoch, epochs, steps, done) = self.epochs.get();
        self.epochs.set((epoch, epochs, steps, done + 1));
        let part = (epoch - 1) as f64 + (done + 1) as f64 / steps.max(1) as f64;
        if !(self.progress.borrow_mut())(part / epochs.max(1) as f64) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn epoch_ends(&self, _: &Row, _: u64, _: Duration) {}
}

impl Plan for ForecastPlan {
    fn name(&self) -> &'static str {
        "forecast"
    }

    fn about(&self) -> String {
        format!(
            "Forecasts of `{}` by one recipe for all networks, errors on values scaled by the training part, every \
             window of the test part counted, the weights that are best on the validation part kept.",
            self.data.as_deref().unwrap_or("sample")
        )
    }

    fn settings(&self) -> serde_json::Value {
        // The networks but for their horizon.
        let settings = serde_json::json!({
            "data": self.data,
            "horizons": self.horizons,
            "set": self.set,
            "recipe": self.recipe,
            "models": self.networks,
        });
        with_device(settings, &self.opened)
    }

    fn cases(&self) -> Vec<Case> {
        let names: Vec<&str> = Self::models().chain([SEASONAL, NAIVE]).collect();
        let horizons = self.horizons.iter();
        horizons
            .flat_map(|&h| names.iter().map(move |name| Self::case(h, name)))
            .collect()
    }

    fn measures(&self) -> &[Measure] {
        MEASURES
    }

    fn run(
        &self,
        case: &Case,
        seed: u64,
        dir: &Path,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>> {
        let horizons = self.horizons.iter();
        let horizon = horizons
            .copied()
            .find(|&h| Self::case(h, "").problem == case.problem)
            .unwrap_or(HORIZONS[0]);
        if [NAIVE, SEASONAL].contains(&case.model.as_str()) {
            return self.repeat(horizon, &case.model).map(Some);
        }
        let set = with_horizon(&self.set, horizon);
        let request = Request {
            model: &case.model,
            data: self.data.as_deref(),
            seed,
            overrides: Overrides {
                set: &set,
                device: Some(&self.opened.device),
                ..Overrides::default()
            },
            output: Output::At(dir.to_path_buf(), IfExists::Overwrite),
        };
        let session = Session::new(&request, &OpenOptions::default(), families::trainable)?;
        let stop = AtomicBool::new(false);
        let follow = Follow {
            progress: std::cell::RefCell::new(progress),
            epochs: std::cell::Cell::new((1, 1, 1, 0)),
            stop: &stop,
        };
        let summary = match session.train(&self.opened.device, &follow, &stop, package::write)? {
            SessionEnd::Interrupted(..) => return Ok(None),
            SessionEnd::Finished(summary) => summary,
        };
        let measured = |name: &str| {
            let found = summary
                .test
                .iter()
                .find(|(measure, _)| measure.name == name);
            found.map_or(f64::NAN, |(_, value)| *value)
        };
        Ok(Some(RunOutcome {
            parameters: summary.parameters,
            step_ms: summary.seconds * 1e3 / summary.steps.max(1) as f64,
            values: MEASURES.iter().map(|m| measured(m.name)).collect(),
        }))
    }

    fn figures(&self, _: &Path, results: &Results) -> Vec<(String, String)> {
        let mut figure = Figure::new("Error over the horizon, mean over the seeds", 2);
        for (m, measure) in MEASURES.iter().enumerate() {
            let mut chart = LineChart::new(measure.name.to_uppercase()).x_label("horizon, steps");
            // Repeating the last value is so far off that it would press all others together.
            for model in Self::models().chain([SEASONAL]) {
                let points = self.horizons.iter().filter_map(|&h| {
                    let runs = results.of(&Self::case(h, model));
                    let values: Vec<f64> = runs.iter().map(|r| r.outcome.values[m]).collect();
                    (!values.is_empty()).then(|| (h as f64, mean(&values)))
                });
                let short = model.split_once('.').map_or(model, |(_, variant)| variant);
                let name = if short == OURS { "GMNM" } else { short };
                chart = chart.series(name, points.collect(), Style::LineAndDots);
            }
            figure = figure.panel(chart);
        }
        vec![("horizons.svg".to_string(), figure.svg())]
    }
}
