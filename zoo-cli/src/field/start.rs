//! One start of a training: new parameters and the minimisers that move them.

use std::ops::ControlFlow;

use candle_core::Result;
use models::field::{FieldConfig, JetNetwork, SplineGrid, refine_splines};

use super::FieldRecipe;
use super::fit::initial;
use super::minimize::{Collocation, Condition, Minimum, Stop};

/// The seed of the first parameters of a start; that of the run itself for the first one.
pub(super) fn start_seed(seed: u64, start: usize) -> u64 {
    seed.wrapping_add((start as u64) << 32)
}

/// What one start has come to.
#[derive(Clone)]
pub(super) struct Path {
    pub(super) config: FieldConfig,
    pub(super) parameters: Vec<f64>,
    pub(super) loss: f64,
    pub(super) iterations: usize,
    pub(super) moments: Vec<Moment>,
    pub(super) stops: Vec<(&'static str, Stop)>,
}

/// A network on the way, to be measured if its start is the chosen one.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) iteration: usize,
    pub(super) stage: &'static str,
    pub(super) loss: f64,
    pub(super) network: JetNetwork,
    pub(super) parameters: Vec<f64>,
}

/// A minimiser in its place.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    Adam,
    Lbfgs,
    LevenbergMarquardt,
    /// Levenberg-Marquardt on the chosen start.
    Final,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::Lbfgs => "L-BFGS",
            Self::LevenbergMarquardt | Self::Final => "Levenberg-Marquardt",
        }
    }
}

/// The training from several starts.
pub(super) struct Training<'a> {
    conditions: &'a [Condition],
    recipe: &'a FieldRecipe,
    /// Iterations between two moments.
    every: usize,
    /// Iterations of all starts so far.
    before: usize,
    /// Whether it was stopped from outside.
    pub(super) interrupted: bool,
    watch: &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>,
}

impl<'a> Training<'a> {
    pub(super) fn new(
        conditions: &'a [Condition],
        recipe: &'a FieldRecipe,
        every: usize,
        watch: &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>,
    ) -> Self {
        Self {
            conditions,
            recipe,
            every,
            before: 0,
            interrupted: false,
            watch,
        }
    }

    /// The first three minimisers from new parameters of `config`.
    pub(super) fn start(&mut self, config: &FieldConfig, seed: u64) -> Result<Path> {
        let stages = stages(config, self.recipe);
        let mut path = Path {
            config: config.clone(),
            parameters: initial(&stages[0], seed)?,
            loss: f64::INFINITY,
            iterations: 0,
            moments: Vec::new(),
            stops: Vec::new(),
        };
        for (s, stage) in stages.iter().enumerate() {
            if s > 0 {
                // Also after an interruption: what is kept must be a network of the configured grids.
                path.parameters = refine(&stages[s - 1], stage, &path.parameters)?;
            }
            for method in [Method::Adam, Method::Lbfgs, Method::LevenbergMarquardt] {
                if !self.interrupted && (s == 0 || method != Method::Adam) {
                    self.minimize(&mut path, stage, method)?;
                }
            }
        }
        Ok(path)
    }

    /// Levenberg-Marquardt alone, from where `path` is.
    pub(super) fn go_on(&mut self, path: &mut Path) -> Result<()> {
        let config = path.config.clone();
        self.minimize(path, &config, Method::Final)
    }

    /// Moves `path` on.
    fn minimize(&mut self, path: &mut Path, stage: &FieldConfig, method: Method) -> Result<()> {
        let network = stage.jets();
        let collocation = Collocation::new(network.clone(), self.conditions.to_vec());
        let (before, made, every) = (self.before, path.iterations, self.every);
        let (moments, watch) = (&mut path.moments, &mut self.watch);
        let mut observer = |iteration: usize, loss: f64, p: &[f64]| {
            if (made + iteration).is_multiple_of(every) {
                moments.push(Moment {
                    iteration: made + iteration,
                    stage: method.name(),
                    loss,
                    network: network.clone(),
                    parameters: p.to_vec(),
                });
            }
            watch(before + iteration, loss)
        };
        let stages = stages(&path.config, self.recipe).len();
        let from = &path.parameters;
        let minimum: Minimum = match method {
            Method::Adam => (self.recipe.adam()).minimize(&collocation, from, &mut observer),
            Method::Lbfgs => {
                let method = self.recipe.lbfgs(stages);
                method.minimize(&collocation, from, &mut observer)
            }
            Method::LevenbergMarquardt => {
                let method = self.recipe.levenberg_marquardt(stages);
                method.minimize(&collocation, from, &mut observer)?
            }
            Method::Final => {
                let method = self.recipe.last();
                method.minimize(&collocation, from, &mut observer)?
            }
        };
        self.before += minimum.iterations;
        self.interrupted = minimum.stop == Stop::Interrupted;
        path.iterations += minimum.iterations;
        path.stops.push((method.name(), minimum.stop));
        (path.parameters, path.loss) = (minimum.parameters, minimum.value);
        Ok(())
    }
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
        ) => refine_splines(&old.widths(), parameters, old_grids, grids),
        _ => Ok(parameters.to_vec()),
    }
}
