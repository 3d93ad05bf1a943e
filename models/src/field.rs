//! Networks from the plane to a number, for fitting surfaces and solving equations.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gmnm_core::{Aggregation, Gmnm, GmnmConfig};
use serde::{Deserialize, Serialize};

use crate::config::{AggregationName, ConfigError, check_range};
use crate::jet::{DIM, JetNetwork};
use crate::layers::kan::{Kan, KanJets};
use crate::layers::mixture::MixtureJets;
use crate::layers::mlp::{Mlp, MlpJets};
use crate::layers::spline::SplineGrid;

/// The shape of a [`Field`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FieldConfig {
    /// One Gaussian-mixture layer.
    Gmnm {
        /// M, the Gaussian components.
        components: usize,
        /// R, the projections of each.
        projections: usize,
        /// How projections become a distance.
        #[serde(with = "AggregationName")]
        aggregation: Aggregation,
    },
    /// A multilayer perceptron with tanh.
    Mlp {
        /// The widths of the hidden layers.
        hidden: Vec<usize>,
    },
    /// A Kolmogorov-Arnold network with cubic splines.
    Kan {
        /// The widths of the hidden layers.
        hidden: Vec<usize>,
        /// The grid of each layer's inputs, the first layer's first.
        grids: Vec<SplineGrid>,
    },
}

impl FieldConfig {
    /// Checks the shape against limits that keep a wrong file from asking for absurd amounts of memory.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        let check_hidden = |hidden: &[usize]| {
            check_range("hidden", hidden.len(), 1..=8)?;
            hidden
                .iter()
                .try_for_each(|width| check_range("hidden", *width, 1..=1024))
        };
        match self {
            Self::Gmnm {
                components,
                projections,
                ..
            } => {
                check_range("components", *components, 1..=4096)?;
                check_range("projections", *projections, 1..=64)
            }
            Self::Mlp { hidden } => check_hidden(hidden),
            Self::Kan { hidden, grids } => {
                check_hidden(hidden)?;
                if grids.len() != hidden.len() + 1 {
                    let problem = format!(
                        "{} hidden layers need {} grids, not {}",
                        hidden.len(),
                        hidden.len() + 1,
                        grids.len()
                    );
                    return Err(ConfigError::new("grids", problem));
                }
                for grid in grids {
                    check_range("grids.intervals", grid.intervals, 1..=1000)?;
                    let wide = grid.low < grid.high && grid.high - grid.low < 1e6;
                    if !(wide && grid.low.abs() < 1e6) {
                        let problem = format!(
                            "{} to {} is not a range of numbers within ±10⁶",
                            grid.low, grid.high
                        );
                        return Err(ConfigError::new("grids", problem));
                    }
                }
                Ok(())
            }
        }
    }

    /// The jets of the network, over its parameters as one slice in the order of [`FieldConfig::tensors`].
    pub fn jets(&self) -> Box<dyn JetNetwork> {
        match self {
            Self::Gmnm {
                components,
                projections,
                aggregation,
            } => Box::new(MixtureJets {
                components: *components,
                projections: *projections,
                aggregation: *aggregation,
            }),
            Self::Mlp { hidden } => Box::new(MlpJets::new(hidden)),
            Self::Kan { hidden, grids } => Box::new(KanJets::new(hidden, grids)),
        }
    }

    /// Names and shapes of the parameters.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let layers = |hidden: &[usize]| -> Vec<(usize, usize)> {
            let inputs = std::iter::once(DIM).chain(hidden.iter().copied());
            let outputs = hidden.iter().copied().chain(std::iter::once(1));
            inputs.zip(outputs).collect()
        };
        match self {
            Self::Gmnm {
                components: m,
                projections: r,
                ..
            } => vec![
                ("gmnm.centers".into(), vec![*m, DIM]),
                ("gmnm.projections".into(), vec![*m, *r, DIM]),
                ("gmnm.weight".into(), vec![1, *m]),
                ("gmnm.bias".into(), vec![1]),
            ],
            Self::Mlp { hidden } => (layers(hidden).into_iter().enumerate())
                .flat_map(|(l, (i, o))| {
                    [
                        (format!("layers.{l}.weight"), vec![o, i]),
                        (format!("layers.{l}.bias"), vec![o]),
                    ]
                })
                .collect(),
            Self::Kan { hidden, grids } => (layers(hidden).into_iter().zip(grids).enumerate())
                .flat_map(|(l, ((i, o), grid))| {
                    [
                        (format!("layers.{l}.base_weight"), vec![o, i]),
                        (
                            format!("layers.{l}.spline_weight"),
                            vec![o, i, grid.basis_count()],
                        ),
                    ]
                })
                .collect(),
        }
    }
}

/// A network from the plane to a number.
#[derive(Debug, Clone)]
pub enum Field {
    /// One Gaussian-mixture layer.
    Gmnm(Gmnm),
    /// A multilayer perceptron.
    Mlp(Mlp),
    /// A Kolmogorov-Arnold network.
    Kan(Kan),
}

impl Field {
    /// The network with its parameters from `vb`.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(config: &FieldConfig, vb: VarBuilder) -> Result<Self> {
        let widths = |hidden: &[usize]| {
            let mut widths = vec![DIM];
            widths.extend_from_slice(hidden);
            widths.push(1);
            widths
        };
        match config {
            FieldConfig::Gmnm {
                components,
                projections,
                aggregation,
            } => {
                let vb = vb.pp("gmnm");
                let config = GmnmConfig {
                    projections: *projections,
                    aggregation: *aggregation,
                    ..GmnmConfig::new(DIM, 1, *components)
                };
                // Asked for first, so that new parameters start spread over the square: centres anywhere in it, each
                // Gaussian about twice as wide as the distance between neighbours.
                let spread = (*components as f64).sqrt() / (2.0 * (*projections as f64).sqrt());
                let centers = Init::Uniform { lo: -1.0, up: 1.0 };
                let projections_init = Init::Randn {
                    mean: 0.0,
                    stdev: spread,
                };
                vb.get_with_hints((*components, DIM), "centers", centers)?;
                vb.get_with_hints(
                    (*components, *projections, DIM),
                    "projections",
                    projections_init,
                )?;
                Ok(Self::Gmnm(Gmnm::new(config, vb)?))
            }
            FieldConfig::Mlp { hidden } => Ok(Self::Mlp(Mlp::new(&widths(hidden), vb)?)),
            FieldConfig::Kan { hidden, grids } => {
                Ok(Self::Kan(Kan::new(&widths(hidden), grids, vb)?))
            }
        }
    }
}

impl Module for Field {
    /// `[n, 2]` to `[n, 1]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gmnm(layer) => layer.forward(x),
            Self::Mlp(network) => network.forward(x),
            Self::Kan(network) => network.forward(x),
        }
    }
}
