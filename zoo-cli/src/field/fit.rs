//! Training of one network on one problem.

use std::ops::ControlFlow;

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::ParamStore;
use models::field::{Field, FieldConfig};

use super::minimize::Stop;
use super::start::{Moment, Path, Training, start_seed};
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
    /// The shape that was chosen.
    pub config: FieldConfig,
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
    /// When the tensor library refuses.
    pub fn tensors(&self) -> Result<std::collections::BTreeMap<String, Tensor>> {
        let mut rest = self.parameters.as_slice();
        let mut tensors = std::collections::BTreeMap::new();
        for (name, shape) in self.config.tensors() {
            let (values, after) = rest.split_at(shape.iter().product());
            rest = after;
            tensors.insert(name, Tensor::from_slice(values, shape, &Device::Cpu)?);
        }
        Ok(tensors)
    }
}

/// Trains on `problem` from several starts, which take the `shapes` in turn, and goes on with the best one. Each start:
/// Adam, L-BFGS, Levenberg-Marquardt, a spline network's grids being refined on the way. The best has the lowest error at
/// the recipe's selection points, or where there are none the lowest loss. `watch` sees each iteration, counted over all
/// starts, and may stop the training; the best network so far is then the result.
///
/// # Errors
/// When there is no shape, or one is not valid.
pub fn fit(
    problem: &Problem,
    shapes: &[FieldConfig],
    recipe: &FieldRecipe,
    seed: u64,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Result<Fit> {
    let Some(first) = shapes.first() else {
        candle_core::bail!("a network to train needs a shape")
    };
    for shape in shapes {
        shape.validate().map_err(candle_core::Error::wrap)?;
    }
    let conditions = problem.conditions(recipe, seed);
    let every = (recipe.path_iterations() / ROWS).max(1);
    let mut training = Training::new(&conditions, recipe, every, watch);
    let selection = problem.selection(recipe, seed);
    let judge = |path: &Path| match selection.as_slice() {
        [] => path.loss,
        points => problem.mean_square(&path.config.jets(), &path.parameters, points),
    };
    let mut best = training.start(first, start_seed(seed, 0))?;
    let mut lowest = judge(&best);
    for (start, shape) in (0..recipe.starts).zip(shapes.iter().cycle()).skip(1) {
        if training.interrupted {
            break;
        }
        let path = training.start(shape, start_seed(seed, start))?;
        let value = judge(&path);
        // What is not a number is never the lower one.
        if value < lowest || lowest.is_nan() {
            (best, lowest) = (path, value);
        }
    }
    if !training.interrupted && recipe.final_iterations > 0 {
        let mut further = best.clone();
        training.go_on(&mut further)?;
        if judge(&further) <= lowest {
            best = further;
        } else {
            let stop = match training.interrupted {
                true => Stop::Interrupted,
                false => Stop::Undone,
            };
            best.stops.push(("the last iterations", stop));
        }
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
    let measures = problem.measure(&best.config.jets(), &best.parameters, &conditions);
    history.push(Row {
        iteration: best.iterations,
        stage: "end",
        loss: best.loss,
        measures: measures.clone(),
    });
    Ok(Fit {
        config: best.config,
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
    use crate::field::shapes;
    use crate::train::recipe::Overrides;
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
        crate::families::resolve(entry, "", &overrides).unwrap().0
    }

    /// Trains until `last` iterations are made.
    fn run(name: &str, problem: &str, recipe: &FieldRecipe, last: usize) -> Fit {
        let entry = registry::find(name).unwrap();
        let problem = Problem::find(entry.task, problem).unwrap();
        let shapes = shapes(entry, &entry.config()).unwrap();
        let stop = &mut |k: usize, _: f64| match k == last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let fit = fit(&problem, &shapes, recipe, 3, stop).unwrap();
        assert_eq!(fit.interrupted, last < usize::MAX);
        assert_eq!(fit.tensors().unwrap().len(), fit.config.tensors().len());
        assert_eq!(fit.parameters.len(), fit.config.parameter_count());
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
    fn the_shape_with_the_lowest_loss_is_chosen() {
        let entry = registry::find("surface-fitter").unwrap();
        let shapes = shapes(entry, &entry.config()).unwrap();
        assert!(shapes.len() > 1);
        let problem = Problem::find(Task::Fitting, "egg-crate").unwrap();
        let loss = |shapes: &[FieldConfig], starts| {
            let recipe = FieldRecipe { starts, ..recipe() };
            let on = &mut |_, _| ControlFlow::Continue(());
            let fit = fit(&problem, shapes, &recipe, 3, on).unwrap();
            (fit.loss, fit.config)
        };
        let (all, chosen) = loss(&shapes, shapes.len());
        // One start of each shape, the first under the run's own seed.
        assert!(all <= loss(&shapes[..1], 1).0);
        assert!(shapes.contains(&chosen));
        assert_ne!(chosen, shapes[0], "ridges suit this surface best");
        let error = fit(&problem, &[], &recipe(), 3, &mut |_, _| {
            ControlFlow::Continue(())
        });
        assert!(error.unwrap_err().to_string().contains("needs a shape"));
    }

    /// So few points that a lower loss is not a better fit.
    #[test]
    fn the_selection_points_judge() {
        let recipe = FieldRecipe {
            points: 20,
            selection_points: 300,
            lbfgs_iterations: 0,
            levenberg_marquardt_iterations: 20,
            starts: 4,
            final_iterations: 0,
            ..recipe()
        };
        let name = "surface-fitter.mlp";
        let entry = registry::find(name).unwrap();
        let problem = Problem::find(Task::Fitting, "peak").unwrap();
        let shapes = shapes(entry, &entry.config()).unwrap();
        let conditions = problem.conditions(&recipe, 3);
        let on = &mut |_, _| ControlFlow::Continue(());
        let mut training = Training::new(&conditions, &recipe, 1000, on);
        let mut start = |s| training.start(&shapes[0], start_seed(3, s)).unwrap();
        let paths: Vec<Path> = (0..4).map(&mut start).collect();
        let selection = problem.selection(&recipe, 3);
        let error = |p: &Path| problem.mean_square(&p.config.jets(), &p.parameters, &selection);
        let lowest = |of: &dyn Fn(&Path) -> f64| {
            let ordered = |a: &&Path, b: &&Path| of(a).total_cmp(&of(b));
            paths.iter().min_by(ordered).unwrap().parameters.clone()
        };
        assert_ne!(lowest(&error), lowest(&|p| p.loss), "the two choose alike");
        assert_eq!(
            run(name, "peak", &recipe, usize::MAX).parameters,
            lowest(&error)
        );
        let further = FieldRecipe {
            final_iterations: 200,
            ..recipe
        };
        let undone = run(name, "peak", &further, usize::MAX);
        assert_eq!(
            undone.stops.last(),
            Some(&("the last iterations", Stop::Undone))
        );
        assert_eq!(undone.parameters, lowest(&error));
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
