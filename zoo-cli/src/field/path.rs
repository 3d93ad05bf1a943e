//! What one start of a training has come to, and the networks on its way.

use candle_core::Result;
use models::field::{FieldConfig, SplineGrid, refine_splines};
use serde::{Deserialize, Serialize};

use super::minimize::{Point, Stop};

/// A minimiser in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    Adam,
    Lbfgs,
    LevenbergMarquardt,
    /// Levenberg-Marquardt on the chosen start.
    Last,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::Lbfgs => "L-BFGS",
            Self::LevenbergMarquardt | Self::Last => "Levenberg-Marquardt",
        }
    }
}

/// What one start has come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Path {
    /// Its number, from 0.
    pub(super) start: usize,
    pub(super) iterations: usize,
    /// Where the last minimiser has ended, or the first begins.
    pub(super) at: Point,
    pub(super) stops: Vec<(Method, Stop)>,
    pub(super) moments: Vec<Moment>,
}

impl Path {
    /// Whether every network in it is of the size that `stages` say, `stage` being the one that it has come to.
    pub(super) fn fits(&self, stages: &[FieldConfig], stage: usize) -> bool {
        let fits = |stage: usize, at: &Point| {
            let config = stages.get(stage);
            config.is_some_and(|config| config.parameter_count() == at.parameters.len())
        };
        fits(stage, &self.at) && self.moments.iter().all(|m| fits(m.stage, &m.at))
    }
}

/// A network on the way, to be measured if its start is the chosen one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moment {
    pub(super) iteration: usize,
    /// Its number among the [`stages`].
    pub(super) stage: usize,
    pub(super) method: Method,
    pub(super) at: Point,
}

/// The networks that are trained one after the other: the configured one, before it a spline network's of
/// `coarse_grids`.
pub(super) fn stages(config: &FieldConfig, coarse_grids: &[usize]) -> Vec<FieldConfig> {
    let mut stages = Vec::new();
    if let FieldConfig::Kan { hidden, grids } = config {
        for intervals in coarse_grids {
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

/// The parameters of `new` that are nearest to those of `old`, the stage before it.
pub(super) fn refine(old: &FieldConfig, new: &FieldConfig, parameters: &[f64]) -> Result<Vec<f64>> {
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
