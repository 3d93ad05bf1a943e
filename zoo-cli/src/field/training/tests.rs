use super::*;
use models::ModelConfig;
use models::registry::{self, Task};
use proptest::prelude::*;

fn recipe() -> FieldRecipe {
    FieldRecipe {
        points: 200,
        boundary_points: 40,
        interior_weight: 0.01,
        adam_iterations: 200,
        lbfgs_iterations: 40,
        levenberg_marquardt_iterations: 60,
        starts: 2,
        final_iterations: 20,
        coarse_grids: vec![5],
        ..FieldRecipe::default()
    }
}

fn shapes_of(name: &str) -> Vec<FieldConfig> {
    let entry = registry::find(name).unwrap();
    let all = std::iter::once(entry.config()).chain(entry.alternatives());
    let shape = |config| match config {
        ModelConfig::Surface(shape) | ModelConfig::Poisson(shape) => shape,
        other => panic!("{other:?}"),
    };
    all.map(shape).collect()
}

fn problem(name: &str, problem: &str) -> Problem {
    Problem::find(registry::find(name).unwrap().task, problem).unwrap()
}

/// Trains to the end.
fn end(mut training: Training) -> Fit {
    loop {
        if let Some(fit) = training.step().unwrap() {
            assert_eq!(fit.tensors().unwrap().len(), fit.config.tensors().len());
            assert_eq!(fit.parameters.len(), fit.config.parameter_count());
            return fit;
        }
    }
}

fn run(name: &str, on: &str, recipe: &FieldRecipe) -> Fit {
    let shapes = shapes_of(name);
    end(Training::new(problem(name, on), &shapes, recipe, 3, None).unwrap())
}

#[test]
fn every_model_learns_and_repeats_its_bytes() {
    for entry in registry::entries() {
        let problem = match entry.task {
            Task::Fitting => "exponential",
            Task::Poisson => "sine-sine",
            _ => continue,
        };
        let run = || run(entry.name, problem, &recipe());
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
    let run = |recipe: &FieldRecipe| run("surface-fitter.mlp", "peak", recipe);
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
    let shapes = shapes_of("surface-fitter");
    assert!(shapes.len() > 1);
    let problem = problem("surface-fitter", "egg-crate");
    let loss = |shapes: &[FieldConfig], starts| {
        let recipe = FieldRecipe { starts, ..recipe() };
        let fit = end(Training::new(problem, shapes, &recipe, 3, None).unwrap());
        (fit.loss, fit.config)
    };
    let (all, chosen) = loss(&shapes, shapes.len());
    // One start of each shape, the first under the run's own seed.
    assert!(all <= loss(&shapes[..1], 1).0);
    assert!(shapes.contains(&chosen));
    assert_ne!(chosen, shapes[0], "ridges suit this surface best");
    let recipe = recipe();
    let error = Training::new(problem, &[], &recipe, 3, None);
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
    let (problem, shapes) = (problem(name, "peak"), shapes_of(name));
    let start = |s| {
        let recipe = FieldRecipe {
            starts: s + 1,
            ..recipe.clone()
        };
        let mut training = Training::new(problem, &shapes, &recipe, 3, None).unwrap();
        (training.state.path, training.state.turn) = match training.work.begin(s) {
            Ok((path, turn)) => (path, Some(turn)),
            Err(error) => panic!("{error}"),
        };
        end(training)
    };
    let fits: Vec<Fit> = (0..4).map(start).collect();
    let selection = problem.selection(&recipe, 3);
    let error = |f: &Fit| problem.mean_square(&f.config.jets(), &f.parameters, &selection);
    let lowest = |of: &dyn Fn(&Fit) -> f64| {
        let ordered = |a: &&Fit, b: &&Fit| of(a).total_cmp(&of(b));
        fits.iter().min_by(ordered).unwrap().parameters.clone()
    };
    assert_ne!(lowest(&error), lowest(&|p| p.loss), "the two choose alike");
    assert_eq!(run(name, "peak", &recipe).parameters, lowest(&error));
    let further = FieldRecipe {
        final_iterations: 200,
        ..recipe
    };
    let undone = run(name, "peak", &further);
    assert_eq!(
        undone.stops.last(),
        Some(&("the last iterations", Stop::Undone))
    );
    assert_eq!(undone.parameters, lowest(&error));
}

fn short() -> FieldRecipe {
    FieldRecipe {
        points: 30,
        boundary_points: 12,
        adam_iterations: 6,
        lbfgs_iterations: 8,
        levenberg_marquardt_iterations: 10,
        starts: 3,
        final_iterations: 7,
        ..recipe()
    }
}

/// The training stored, dropped and begun anew from what was stored.
fn again<'a>(training: Training<'a>) -> Training<'a> {
    let text = toml::to_string(training.state()).unwrap();
    let state = toml::from_str(&text).unwrap();
    assert_eq!(toml::to_string::<State>(&state).unwrap(), text);
    let (iterations, work) = (training.iterations(), training.work);
    let (shapes, recipe) = (work.shapes, work.recipe);
    let training = Training::new(work.problem, shapes, recipe, work.seed, Some(state)).unwrap();
    assert_eq!(training.iterations(), iterations);
    training
}

/// All minimisers, all shapes that take turns, and grids that are refined.
const MODELS: [(&str, &str); 3] = [
    ("surface-fitter", "peak"),
    ("surface-fitter.kan", "ripple"),
    ("poisson-solver", "sine-square"),
];

#[test]
fn a_training_goes_on_from_every_turn_to_the_same_bits() {
    for (name, on) in MODELS {
        let (shapes, recipe) = (shapes_of(name), short());
        let unbroken = run(name, on, &recipe);
        let mut training = Training::new(problem(name, on), &shapes, &recipe, 3, None).unwrap();
        let (mut turns, mut before) = (0, None);
        let broken = loop {
            let place = |state: &State| {
                let turn = state.turn.as_ref().map(|t| (t.stage, t.method));
                (state.path.start, turn)
            };
            if before != Some(place(training.state())) {
                before = Some(place(training.state()));
                turns += 1;
                training = again(training);
            }
            if let Some(fit) = training.step().unwrap() {
                break fit;
            }
        };
        let grids = stages(&shapes[0], &recipe.coarse_grids).len();
        // The last iterations and the end after the starts.
        assert_eq!(turns, 3 * (1 + 2 * grids) + 2, "{name}");
        assert_eq!(format!("{broken:?}"), format!("{unbroken:?}"), "{name}");
    }
}

#[test]
fn an_interruption_keeps_the_best_start() {
    let (name, recipe) = ("surface-fitter.mlp", short());
    let shapes = shapes_of(name);
    let one = FieldRecipe {
        starts: 1,
        final_iterations: 0,
        ..short()
    };
    let whole = run(name, "peak", &one);
    let mut training = Training::new(problem(name, "peak"), &shapes, &recipe, 3, None).unwrap();
    // Until the second start has hardly begun.
    while training.state.path.start == 0 || training.state.path.iterations < 2 {
        assert!(training.step().unwrap().is_none());
    }
    let best = again(training).state.best.unwrap();
    assert_eq!(best.at.parameters, whole.parameters);
}

#[test]
fn a_state_of_another_network_is_refused() {
    let recipe = short();
    let (small, large) = (
        shapes_of("surface-fitter.mlp"),
        shapes_of("surface-fitter.kan"),
    );
    let problem = problem("surface-fitter", "peak");
    let mut training = Training::new(problem, &small, &recipe, 3, None).unwrap();
    let refused = |state: &State| {
        let state = Some(state.clone());
        let error = Training::new(problem, &large, &recipe, 3, state).unwrap_err();
        assert!(error.to_string().contains("of another network"), "{error}");
    };
    refused(training.state());
    // Also in the middle of the last iterations, and at the end.
    while training.state.path.iterations < recipe.path_iterations() - 3 {
        assert!(training.step().unwrap().is_none());
    }
    refused(training.state());
    while training.step().unwrap().is_none() {}
    refused(training.state());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_training_goes_on_from_anywhere_to_the_same_bits(
        (name, on) in proptest::sample::select(MODELS.to_vec()),
        seed in 0u64..4,
        stops in proptest::collection::vec(0usize..120, 1..4),
    ) {
        let (shapes, recipe) = (shapes_of(name), short());
        let begin = || Training::new(problem(name, on), &shapes, &recipe, seed, None).unwrap();
        let mut training = begin();
        let mut step = 0;
        let broken = loop {
            for _ in stops.iter().filter(|stop| **stop == step) {
                training = again(training);
            }
            step += 1;
            if let Some(fit) = training.step().unwrap() {
                break fit;
            }
        };
        prop_assert!(shapes.contains(&broken.config));
        prop_assert_eq!(format!("{broken:?}"), format!("{:?}", end(begin())));
    }
}
