//! The training of one network on one problem, iteration by iteration.

use std::ops::ControlFlow;

use candle_core::{Result, bail};
use models::field::{DIM, FieldConfig, JetNetwork};
use serde::{Deserialize, Serialize};

use super::fit::{Fit, Row, initial};
use super::minimize::{
    Adam, Collocation, Condition, Lbfgs, LevenbergMarquardt, Minimizer, Point, Stop,
};
use super::path::{Method, Moment, Path, refine, stages};
use super::{FieldRecipe, Problem};

/// Rows of a history.
const ROWS: usize = 100;

/// The seed of the first parameters of a start; that of the run itself for the first one.
fn start_seed(seed: u64, start: usize) -> u64 {
    seed.wrapping_add((start as u64) << 32)
}

/// Where a training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The start under way, from 0; in the last iterations the chosen one.
    pub start: usize,
    /// The iterations that it has made.
    pub made: usize,
    /// The iterations that it makes at most.
    pub planned: usize,
}

/// All that a training carries from one iteration to the next, as plain numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Iterations of all starts so far.
    iterations: usize,
    /// The minimiser at work; none at the end.
    turn: Option<Turn>,
    /// The start under way; from the last iterations on the chosen one.
    path: Path,
    /// The best of the starts that are over.
    best: Option<Path>,
}

/// One minimiser's turn on one network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    /// The network's number among the [`stages`].
    stage: usize,
    method: Method,
    minimizer: Minimizer,
}

/// What is trained, and how.
#[derive(Debug)]
struct Work<'a> {
    problem: Problem,
    shapes: &'a [FieldConfig],
    recipe: &'a FieldRecipe,
    seed: u64,
    conditions: Vec<Condition>,
    selection: Vec<[f64; DIM]>,
}

impl Work<'_> {
    /// The network that a start ends with.
    fn shape(&self, start: usize) -> &FieldConfig {
        &self.shapes[start % self.shapes.len()]
    }

    /// The networks of a start, one after the other.
    fn stages(&self, start: usize) -> Vec<FieldConfig> {
        stages(self.shape(start), &self.recipe.coarse_grids)
    }

    fn begin(&self, start: usize) -> Result<(Path, Turn)> {
        let config = &self.stages(start)[0];
        let path = Path {
            start,
            iterations: 0,
            at: Point {
                parameters: initial(config, start_seed(self.seed, start))?,
                value: f64::INFINITY,
            },
            stops: Vec::new(),
            moments: Vec::new(),
        };
        let turn = self.turn(&path, 0, Method::Adam)?;
        Ok((path, turn))
    }

    /// The turn of `method` on `path`, at the given one of its networks.
    fn turn(&self, path: &Path, stage: usize, method: Method) -> Result<Turn> {
        let (recipe, stages) = (self.recipe, self.stages(path.start));
        let network = stages[stage].jets();
        let problem = &Collocation::new(&network, &self.conditions);
        let from = path.at.parameters.clone();
        // The turns that every network of a start has share their iterations.
        let share = |iterations: usize| iterations / stages.len();
        let minimizer = match method {
            Method::Adam => {
                let (iterations, rate) = (recipe.adam_iterations, recipe.learning_rate);
                Minimizer::Adam(Adam::new(iterations, rate, from, problem))
            }
            Method::Lbfgs => {
                let (iterations, history) = (share(recipe.lbfgs_iterations), recipe.lbfgs_history);
                Minimizer::Lbfgs(Lbfgs::new(iterations, history, from, problem))
            }
            Method::LevenbergMarquardt | Method::Last => {
                let iterations = match method {
                    Method::Last => recipe.final_iterations,
                    _ => share(recipe.levenberg_marquardt_iterations),
                };
                let method = LevenbergMarquardt::new(iterations, from, problem)?;
                Minimizer::LevenbergMarquardt(method)
            }
        };
        Ok(Turn {
            stage,
            method,
            minimizer,
        })
    }

    /// What a start that is over is judged by; smaller is better.
    fn judge(&self, path: &Path) -> f64 {
        match self.selection.as_slice() {
            [] => path.at.value,
            points => {
                let network = self.shape(path.start).jets();
                (self.problem).mean_square(&network, &path.at.parameters, points)
            }
        }
    }

    /// The turn after the one of `method` that has ended on the network `stage` of the path in `state`.
    fn next(&self, state: &mut State, stage: usize, method: Method) -> Result<Option<Turn>> {
        let path = &mut state.path;
        match method {
            Method::Adam => self.turn(path, stage, Method::Lbfgs).map(Some),
            Method::Lbfgs => (self.turn(path, stage, Method::LevenbergMarquardt)).map(Some),
            Method::LevenbergMarquardt => {
                let stages = self.stages(path.start);
                let Some(finer) = stages.get(stage + 1) else {
                    return self.next_start(state);
                };
                path.at.parameters = refine(&stages[stage], finer, &path.at.parameters)?;
                self.turn(path, stage + 1, Method::Lbfgs).map(Some)
            }
            Method::Last => {
                if let Some(mut best) = state.best.take() {
                    let kept = self.judge(path) <= self.judge(&best);
                    if !kept {
                        best.stops.push((Method::Last, Stop::Undone));
                        *path = best;
                    }
                }
                Ok(None)
            }
        }
    }

    /// The first turn of the next start, or the last iterations on the best one.
    fn next_start(&self, state: &mut State) -> Result<Option<Turn>> {
        let (path, start) = (&state.path, state.path.start + 1);
        // What is not a number is never the lower one.
        let better = |best: &Path| {
            let lowest = self.judge(best);
            self.judge(path) < lowest || lowest.is_nan()
        };
        if state.best.as_ref().is_none_or(better) {
            state.best = Some(path.clone());
        }
        if start < self.recipe.starts {
            let (path, turn) = self.begin(start)?;
            state.path = path;
            return Ok(Some(turn));
        }
        if let Some(best) = &state.best {
            state.path.clone_from(best);
        }
        if self.recipe.final_iterations == 0 {
            return Ok(None);
        }
        let stage = self.stages(state.path.start).len() - 1;
        self.turn(&state.path, stage, Method::Last).map(Some)
    }
}

/// A training from several starts, which take the shapes in turn, and which goes on with the best one. Each start: Adam,
/// L-BFGS, Levenberg-Marquardt, a spline network's grids being refined on the way. The best has the lowest error at the
/// recipe's selection points, or where there are none the lowest loss.
#[derive(Debug)]
pub struct Training<'a> {
    work: Work<'a>,
    /// The network of the turn.
    network: JetNetwork,
    state: State,
}

impl<'a> Training<'a> {
    /// A training on `problem` from `state`, or from its beginning.
    ///
    /// # Errors
    /// When there is no shape, one is not valid, or `state` is not one of such a training.
    pub fn new(
        problem: Problem,
        shapes: &'a [FieldConfig],
        recipe: &'a FieldRecipe,
        seed: u64,
        state: Option<State>,
    ) -> Result<Self> {
        if shapes.is_empty() {
            bail!("a network to train needs a shape")
        }
        for shape in shapes {
            shape.validate().map_err(candle_core::Error::wrap)?;
        }
        let work = Work {
            problem,
            shapes,
            recipe,
            seed,
            conditions: problem.conditions(recipe, seed),
            selection: problem.selection(recipe, seed),
        };
        let state = match state {
            Some(state) => state,
            None => {
                let (path, turn) = work.begin(0)?;
                State {
                    iterations: 0,
                    turn: Some(turn),
                    path,
                    best: None,
                }
            }
        };
        let stages = work.stages(state.path.start);
        let stage = match &state.turn {
            Some(turn) => turn.stage,
            None => stages.len() - 1,
        };
        let whole = |path: &Path| {
            let stages = work.stages(path.start);
            path.fits(&stages, stages.len() - 1)
        };
        let at_work = |turn: &Turn| turn.minimizer.fits(state.path.at.parameters.len());
        let fits = state.path.fits(&stages, stage)
            && state.best.as_ref().is_none_or(whole)
            && state.turn.as_ref().is_none_or(at_work);
        if !fits {
            bail!("the state of the training is of another network; start the run anew")
        }
        Ok(Self {
            network: stages[stage].jets(),
            work,
            state,
        })
    }

    /// What the training would go on from.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        let (recipe, path) = (self.work.recipe, &self.state.path);
        let method = self.state.turn.as_ref().map(|turn| turn.method);
        Place {
            start: path.start,
            made: path.iterations,
            planned: match method {
                None | Some(Method::Last) => recipe.path_iterations(),
                _ => recipe.start_iterations(),
            },
        }
    }

    /// Iterations of all starts so far.
    pub fn iterations(&self) -> usize {
        self.state.iterations
    }

    /// The loss where the minimiser is.
    pub fn loss(&self) -> f64 {
        let turn = self.state.turn.as_ref();
        turn.map_or(self.state.path.at.value, |t| t.minimizer.current().value)
    }

    /// Makes one iteration, or turns to the next minimiser or start; the trained network at the end.
    ///
    /// # Errors
    /// When the tensor library refuses, as for want of memory.
    pub fn step(&mut self) -> Result<Option<Fit>> {
        let Some(turn) = &mut self.state.turn else {
            return Ok(Some(self.fit()));
        };
        let problem = Collocation::new(&self.network, &self.work.conditions);
        let before = turn.minimizer.iterations();
        let flow = turn.minimizer.step(&problem)?;
        let path = &mut self.state.path;
        if turn.minimizer.iterations() > before {
            self.state.iterations += 1;
            path.iterations += 1;
            let every = (self.work.recipe.path_iterations() / ROWS).max(1);
            if path.iterations.is_multiple_of(every) {
                path.moments.push(Moment {
                    iteration: path.iterations,
                    stage: turn.stage,
                    method: turn.method,
                    at: turn.minimizer.current().clone(),
                });
            }
        }
        if let ControlFlow::Break(stop) = flow {
            let (stage, method) = (turn.stage, turn.method);
            path.at.clone_from(turn.minimizer.best());
            path.stops.push((method, stop));
            self.state.turn = self.work.next(&mut self.state, stage, method)?;
            if let Some(turn) = &self.state.turn {
                self.network = self.work.stages(self.state.path.start)[turn.stage].jets();
            }
        }
        Ok(None)
    }

    fn fit(&self) -> Fit {
        let (work, path) = (&self.work, &self.state.path);
        let (config, stages) = (work.shape(path.start), work.stages(path.start));
        let measure = |config: &FieldConfig, at: &Point| {
            let network = config.jets();
            (work.problem).measure(&network, &at.parameters, &work.conditions)
        };
        let row = |m: &Moment| Row {
            iteration: m.iteration,
            stage: m.method.name(),
            loss: m.at.value,
            measures: measure(&stages[m.stage], &m.at),
        };
        let mut history: Vec<Row> = path.moments.iter().map(row).collect();
        let measures = measure(config, &path.at);
        history.push(Row {
            iteration: path.iterations,
            stage: "end",
            loss: path.at.value,
            measures: measures.clone(),
        });
        let stop = |(method, stop): &(Method, Stop)| match stop {
            Stop::Undone => ("the last iterations", *stop),
            _ => (method.name(), *stop),
        };
        Fit {
            config: config.clone(),
            parameters: path.at.parameters.clone(),
            loss: path.at.value,
            measures,
            history,
            stops: path.stops.iter().map(stop).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
