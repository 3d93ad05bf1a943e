//! Training of one network on one problem.

use std::ops::ControlFlow;

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::ParamStore;
use models::field::{Field, FieldConfig};
use models::layers::kan;
use models::layers::spline::SplineGrid;

use super::minimize::{Collocation, Minimum, Stop};
use super::{FieldRecipe, Measures, Problem};

/// What was seen at one iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Iterations of all minimisers so far.
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
    /// About a hundred moments of the training, the last included.
    pub history: Vec<Row>,
    /// How each minimiser ended.
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

/// Trains `config` on `problem`: Adam, then L-BFGS, then Levenberg-Marquardt; a spline network's grids are refined on
/// the way. `watch` sees each iteration and may stop it.
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
    let stages = stages(config, recipe);
    let every = (recipe.iterations() / ROWS).max(1);
    let conditions = problem.conditions(recipe, seed);
    let mut parameters = initial(&stages[0], seed)?;
    let (mut history, mut stops): (Vec<Row>, _) = (Vec::new(), Vec::new());
    let mut before = 0;
    let mut loss = f64::INFINITY;
    let mut interrupted = false;
    'stages: for (s, stage) in stages.iter().enumerate() {
        if s > 0 {
            parameters = refine(&stages[s - 1], stage, &parameters)?;
        }
        let network = stage.jets();
        let collocation = Collocation::new(network.clone(), conditions.clone());
        for name in ["Adam", "L-BFGS", "Levenberg-Marquardt"] {
            let mut observer = |iteration: usize, value: f64, p: &[f64]| {
                if (before + iteration).is_multiple_of(every) {
                    history.push(Row {
                        iteration: before + iteration,
                        stage: name,
                        loss: value,
                        measures: problem.measure(&network, p, &conditions),
                    });
                }
                watch(before + iteration, value)
            };
            let minimum: Minimum = match name {
                "Adam" if s > 0 => continue,
                "Adam" => recipe
                    .adam()
                    .minimize(&collocation, &parameters, &mut observer),
                "L-BFGS" => {
                    let method = recipe.lbfgs(stages.len());
                    method.minimize(&collocation, &parameters, &mut observer)
                }
                _ => {
                    let method = recipe.levenberg_marquardt(stages.len());
                    method.minimize(&collocation, &parameters, &mut observer)?
                }
            };
            before += minimum.iterations;
            stops.push((name, minimum.stop));
            (parameters, loss) = (minimum.parameters, minimum.value);
            if minimum.stop == Stop::Interrupted {
                interrupted = true;
                // What is kept must be a network of the configured grids.
                for rest in s..stages.len() - 1 {
                    parameters = refine(&stages[rest], &stages[rest + 1], &parameters)?;
                }
                break 'stages;
            }
        }
    }
    let measures = problem.measure(&config.jets(), &parameters, &conditions);
    history.push(Row {
        iteration: before,
        stage: "end",
        loss,
        measures: measures.clone(),
    });
    Ok(Fit {
        parameters,
        loss,
        measures,
        history,
        stops,
        interrupted,
    })
}

/// The networks that are trained one after the other: the configured one, before it a spline network's coarser ones.
fn stages(config: &FieldConfig, recipe: &FieldRecipe) -> Vec<FieldConfig> {
    let mut stages = Vec::new();
    if let FieldConfig::Kan { hidden, grids } = config {
        for intervals in &recipe.coarse_grids {
            if grids.iter().all(|grid| *intervals < grid.intervals) {
                let coarse = |grid: &SplineGrid| SplineGrid {
                    intervals: *intervals,
                    ..*grid
                };
                stages.push(FieldConfig::Kan {
                    hidden: hidden.clone(),
                    grids: grids.iter().map(coarse).collect(),
                });
            }
        }
    }
    stages.push(config.clone());
    stages
}

fn refine(old: &FieldConfig, new: &FieldConfig, parameters: &[f64]) -> Result<Vec<f64>> {
    match (old, new) {
        (
            FieldConfig::Kan {
                grids: old_grids, ..
            },
            FieldConfig::Kan { grids, .. },
        ) => kan::refine(&old.widths(), parameters, old_grids, grids),
        _ => Ok(parameters.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::ModelConfig;
    use models::registry::{self, Task};

    fn recipe() -> FieldRecipe {
        let set = [
            "points=200",
            "boundary_points=40",
            "adam_iterations=200",
            "lbfgs_iterations=40",
            "levenberg_marquardt_iterations=60",
        ];
        let set = set.map(String::from);
        FieldRecipe::resolve("poisson-solver", None, &set, None).unwrap()
    }

    fn run(name: &str, problem: &str) -> Fit {
        let entry = registry::find(name).unwrap();
        let (ModelConfig::Surface(config) | ModelConfig::Poisson(config)) = entry.config() else {
            panic!("{name} is no field")
        };
        let problem = Problem::find(entry.task, problem).unwrap();
        fit(&problem, &config, &recipe(), 3, &mut |_, _| {
            ControlFlow::Continue(())
        })
        .unwrap()
    }

    #[test]
    fn every_model_learns_and_repeats_its_bytes() {
        for entry in registry::entries() {
            let problem = match entry.task {
                Task::Fitting => "exponential",
                Task::Poisson => "sine-sine",
                _ => continue,
            };
            let (first, again) = (run(entry.name, problem), run(entry.name, problem));
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
    fn an_interrupted_spline_network_has_the_configured_shape() {
        let entry = registry::find("surface-fitter.kan").unwrap();
        let ModelConfig::Surface(config) = entry.config() else {
            panic!("a surface fitter is none")
        };
        let problem = Problem::find(Task::Fitting, "exponential").unwrap();
        let stop = &mut |k: usize, _: f64| match k {
            5 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let fit = fit(&problem, &config, &recipe(), 0, stop).unwrap();
        assert!(fit.interrupted);
        assert_eq!(fit.tensors(&config).unwrap().len(), config.tensors().len());
        assert_eq!(fit.parameters.len(), config.parameter_count());
    }
}
