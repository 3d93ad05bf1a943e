//! Training of one network on one problem.

use std::ops::ControlFlow;

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::ParamStore;
use models::field::{Field, FieldConfig};

use super::minimize::Stop;
use super::start::{Method, Moment, Training, start_seed};
use super::{FieldRecipe, Measures, Problem};

/// What was seen at one iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Iterations of all minimisers so far, from this start.
    pub iteration: usize,
    /// The minimiser.
    pub stage: &'static str,
    /// What is minimised.
    pub loss: f64,
    /// What the network is worth.
    pub measures: Measures,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Its parameters, in the order of [`FieldConfig::tensors`].
    pub parameters: Vec<f64>,
    /// The loss at the end.
    pub loss: f64,
    /// What it is worth.
    pub measures: Measures,
    /// About a hundred moments of the training from the chosen start, the last included.
    pub history: Vec<Row>,
    /// How each minimiser of the chosen start ended.
    pub stops: Vec<(&'static str, Stop)>,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
}

/// Rows of a history.
const ROWS: usize = 100;

/// New parameters of a network as one slice, drawn under `seed`.
///
/// # Errors
/// When the configuration does not fit itself.
pub fn initial(config: &FieldConfig, seed: u64) -> Result<Vec<f64>> {
    let store = ParamStore::new(seed, DType::F64, &Device::Cpu);
    Field::new(config, store.var_builder())?;
    let vb = store.var_builder();
    let mut parameters = Vec::with_capacity(config.parameter_count());
    for (name, shape) in config.tensors() {
        parameters.extend(vb.get(shape, &name)?.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(parameters)
}

impl Fit {
    /// The parameters by name, for a model directory.
    ///
    /// # Errors
    /// When `config` is not the network's.
    pub fn tensors(
        &self,
        config: &FieldConfig,
    ) -> Result<std::collections::BTreeMap<String, Tensor>> {
        let mut at = 0;
        let mut tensors = std::collections::BTreeMap::new();
        for (name, shape) in config.tensors() {
            let count: usize = shape.iter().product();
            let Some(values) = self.parameters.get(at..at + count) else {
                candle_core::bail!(
                    "`{name}` is not among the {} parameters",
                    self.parameters.len()
                );
            };
            at += count;
            tensors.insert(name, Tensor::from_slice(values, shape, &Device::Cpu)?);
        }
        Ok(tensors)
    }
}

/// Trains `config` on `problem` from several starts and goes on with the one that has the lowest loss. Each start: Adam,
/// L-BFGS, Levenberg-Marquardt, a spline network's grids being refined on the way. `watch` sees each iteration, counted
/// over all starts, and may stop the training; the best network so far is then the result.
///
/// # Errors
/// When the configuration is not valid.
pub fn fit(
    problem: &Problem,
    config: &FieldConfig,
    recipe: &FieldRecipe,
    seed: u64,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Result<Fit> {
    config.validate().map_err(candle_core::Error::wrap)?;
    let conditions = problem.conditions(recipe, seed);
    let every = (recipe.path_iterations() / ROWS).max(1);
    let mut training = Training::new(&conditions, config, recipe, every, watch);
    let mut best = training.start(start_seed(seed, 0))?;
    for start in 1..recipe.starts {
        if training.interrupted {
            break;
        }
        let path = training.start(start_seed(seed, start))?;
        // A loss that is not a number is never the lower one.
        if path.loss < best.loss || best.loss.is_nan() {
            best = path;
        }
    }
    if !training.interrupted && recipe.final_iterations > 0 {
        training.minimize(&mut best, config, Method::Final)?;
    }
    let interrupted = training.interrupted;
    let ended = best
        .stops
        .last()
        .is_some_and(|(_, s)| *s == Stop::Interrupted);
    if interrupted && !ended {
        best.stops.push(("the other starts", Stop::Interrupted));
    }
    let row = |m: &Moment| Row {
        iteration: m.iteration,
        stage: m.stage,
        loss: m.loss,
        measures: problem.measure(&m.network, &m.parameters, &conditions),
    };
    let mut history: Vec<Row> = best.moments.iter().map(row).collect();
    let measures = problem.measure(&config.jets(), &best.parameters, &conditions);
    history.push(Row {
        iteration: best.iterations,
        stage: "end",
        loss: best.loss,
        measures: measures.clone(),
    });
    Ok(Fit {
        parameters: best.parameters,
        loss: best.loss,
        measures,
        history,
        stops: best.stops,
        interrupted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recipe::Overrides;
    use models::ModelConfig;
    use models::registry::{self, Task};

    fn recipe() -> FieldRecipe {
        let set = [
            "points=200",
            "boundary_points=40",
            "adam_iterations=200",
            "lbfgs_iterations=40",
            "levenberg_marquardt_iterations=60",
            "starts=2",
            "final_iterations=20",
        ];
        let set = set.map(String::from);
        let overrides = Overrides {
            set: &set,
            ..Overrides::default()
        };
        let entry = registry::find("poisson-solver").unwrap();
        FieldRecipe::resolve(entry, "", &overrides).unwrap().recipe
    }

    fn field(name: &str) -> (Task, FieldConfig) {
        let entry = registry::find(name).unwrap();
        let (ModelConfig::Surface(config) | ModelConfig::Poisson(config)) = entry.config() else {
            panic!("{name} is no field")
        };
        (entry.task, config)
    }

    /// Trains until `last` iterations are made.
    fn run(name: &str, problem: &str, recipe: &FieldRecipe, last: usize) -> Fit {
        let (task, config) = field(name);
        let problem = Problem::find(task, problem).unwrap();
        let stop = &mut |k: usize, _: f64| match k == last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let fit = fit(&problem, &config, recipe, 3, stop).unwrap();
        assert_eq!(fit.interrupted, last < usize::MAX);
        assert_eq!(fit.tensors(&config).unwrap().len(), config.tensors().len());
        assert_eq!(fit.parameters.len(), config.parameter_count());
        fit
    }

    #[test]
    fn every_model_learns_and_repeats_its_bytes() {
        for entry in registry::entries() {
            let problem = match entry.task {
                Task::Fitting => "exponential",
                Task::Poisson => "sine-sine",
                _ => continue,
            };
            let run = || run(entry.name, problem, &recipe(), usize::MAX);
            let (first, again) = (run(), run());
            assert_eq!(first.parameters, again.parameters, "{}", entry.name);
            assert_eq!(first.history, again.history);
            let start = first.history[0].loss;
            assert!(
                first.loss < 0.05 * start,
                "{}: {start} to {}",
                entry.name,
                first.loss
            );
        }
    }

    #[test]
    fn the_start_with_the_lowest_loss_goes_on() {
        let short = |starts| FieldRecipe {
            adam_iterations: 10,
            lbfgs_iterations: 0,
            levenberg_marquardt_iterations: 5,
            final_iterations: 0,
            starts,
            ..recipe()
        };
        let run = |recipe: &FieldRecipe| run("surface-fitter.mlp", "peak", recipe, usize::MAX);
        let (one, five) = (run(&short(1)), run(&short(5)));
        assert!(five.loss < one.loss, "{} and {}", five.loss, one.loss);
        let further = FieldRecipe {
            final_iterations: 10,
            ..short(5)
        };
        assert!(run(&further).loss < five.loss);
    }

    #[test]
    fn an_interrupted_spline_network_has_the_configured_shape() {
        let fit = run("surface-fitter.kan", "exponential", &recipe(), 5);
        assert_eq!(fit.stops, [("Adam", Stop::Interrupted)]);
    }

    #[test]
    fn an_interruption_keeps_the_best_start() {
        let one = FieldRecipe {
            starts: 1,
            final_iterations: 0,
            ..recipe()
        };
        let name = "surface-fitter.mlp";
        let whole = run(name, "peak", &one, usize::MAX);
        // The second start has hardly begun.
        let cut = run(name, "peak", &recipe(), one.iterations() + 5);
        assert_eq!(cut.parameters, whole.parameters);
        assert_eq!(
            cut.stops.last(),
            Some(&("the other starts", Stop::Interrupted))
        );
    }
}
