//! Networks from the plane to a number, for fitting surfaces and solving equations.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use gmnm_core::init::normal;
use gmnm_core::{Aggregation, Gmnm, GmnmConfig};
use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, all_in_range, ensure, in_range};
use crate::layers::{AggregationName, Linear};

mod jet;
mod kan;
mod mixture;
mod mlp;
mod network;
mod spline;

use kan::{KanLayer, SplineJets};
use mixture::MixtureJets;
use mlp::DenseJets;
use network::JetLayer;

pub use crate::cholesky::{factor as cholesky_factor, substitute as cholesky_substitute};
pub use jet::{DIM, Functional, Jet, VALUE};
pub use kan::refine as refine_splines;
pub use network::JetNetwork;
pub use spline::SplineGrid;

/// The shape of a [`Field`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FieldConfig {
    /// Gaussian-mixture layers, one after the other.
    Gmnm {
        /// The widths between the layers; empty for one layer.
        hidden: Vec<usize>,
        /// M, the Gaussian components of each layer.
        components: Vec<usize>,
        /// R, the projections of each component of a layer.
        projections: Vec<usize>,
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
        let (Self::Gmnm { hidden, .. } | Self::Mlp { hidden } | Self::Kan { hidden, .. }) = self;
        let least = usize::from(!matches!(self, Self::Gmnm { .. }));
        in_range("hidden", hidden.len(), least..=8)?;
        all_in_range("hidden", hidden, 1..=1024)?;
        let layers = hidden.len() + 1;
        let one_each = |field: &str, given: usize| {
            ensure(given == layers, field, || {
                format!("{layers} layers need as many numbers, not {given}")
            })
        };
        match self {
            Self::Gmnm {
                components,
                projections,
                ..
            } => {
                one_each("components", components.len())?;
                all_in_range("components", components, 1..=4096)?;
                one_each("projections", projections.len())?;
                all_in_range("projections", projections, 1..=64)
            }
            Self::Mlp { .. } => Ok(()),
            Self::Kan { grids, .. } => {
                one_each("grids", grids.len())?;
                grids.iter().try_for_each(SplineGrid::validate)
            }
        }
    }

    /// Input, hidden and output widths.
    pub fn widths(&self) -> Vec<usize> {
        let (Self::Gmnm { hidden, .. } | Self::Mlp { hidden } | Self::Kan { hidden, .. }) = self;
        let ends = (std::iter::once(DIM), std::iter::once(1));
        ends.0.chain(hidden.iter().copied()).chain(ends.1).collect()
    }

    /// The jets of the network, over its parameters as one slice in the order of [`FieldConfig::tensors`].
    pub fn jets(&self) -> JetNetwork {
        let widths = self.widths();
        let layer = |(l, pair): (usize, &[usize])| {
            let (inputs, outputs) = (pair[0], pair[1]);
            match self {
                Self::Gmnm {
                    components,
                    projections,
                    aggregation,
                    ..
                } => JetLayer::Mixture(MixtureJets {
                    inputs,
                    outputs,
                    components: components[l],
                    projections: projections[l],
                    aggregation: *aggregation,
                }),
                Self::Mlp { .. } => JetLayer::Dense(DenseJets {
                    inputs,
                    outputs,
                    tanh: l + 2 < widths.len(),
                }),
                Self::Kan { grids, .. } => JetLayer::Spline(SplineJets {
                    inputs,
                    outputs,
                    grid: grids[l],
                }),
            }
        };
        JetNetwork::new(widths.windows(2).enumerate().map(layer).collect())
    }

    /// Names and shapes of the parameters.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let layer = |(l, pair): (usize, &[usize])| {
            let (i, o) = (pair[0], pair[1]);
            let tensors = match self {
                Self::Gmnm {
                    components: m,
                    projections: r,
                    ..
                } => vec![
                    ("centers", vec![m[l], i]),
                    ("projections", vec![m[l], r[l], i]),
                    ("weight", vec![o, m[l]]),
                    ("bias", vec![o]),
                ],
                Self::Mlp { .. } => vec![("weight", vec![o, i]), ("bias", vec![o])],
                Self::Kan { grids, .. } => vec![
                    ("base_weight", vec![o, i]),
                    ("spline_weight", vec![o, i, grids[l].basis_count()]),
                ],
            };
            let named = |(name, shape)| (format!("layers.{l}.{name}"), shape);
            tensors.into_iter().map(named).collect::<Vec<_>>()
        };
        self.widths()
            .windows(2)
            .enumerate()
            .flat_map(layer)
            .collect()
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.jets().parameter_count()
    }
}

/// A network from the plane to a number: Gaussian-mixture layers, a multilayer perceptron with tanh between its layers,
/// or a Kolmogorov-Arnold network.
#[derive(Debug, Clone)]
pub struct Field {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
enum Layer {
    Mixture(Gmnm),
    Dense { linear: Linear, tanh: bool },
    Spline(KanLayer),
}

impl Field {
    /// The network with its parameters `layers.N.…` from `vb`.
    ///
    /// # Errors
    /// When a tensor has another shape, or a grid is missing.
    pub fn new(config: &FieldConfig, vb: VarBuilder) -> Result<Self> {
        let widths = config.widths();
        let layer = |(l, pair): (usize, &[usize])| {
            let (inputs, outputs, vb) = (pair[0], pair[1], vb.pp(format!("layers.{l}")));
            Ok(match config {
                FieldConfig::Gmnm {
                    components,
                    projections,
                    aggregation,
                    ..
                } => {
                    let config = GmnmConfig {
                        projections: projections[l],
                        aggregation: *aggregation,
                        ..GmnmConfig::new(inputs, outputs, components[l])
                    };
                    Layer::Mixture(mixture(config, vb)?)
                }
                FieldConfig::Mlp { .. } => Layer::Dense {
                    linear: Linear::new(inputs, outputs, vb)?,
                    tanh: l + 2 < widths.len(),
                },
                FieldConfig::Kan { grids, .. } => match grids.get(l) {
                    Some(grid) => Layer::Spline(KanLayer::new(inputs, outputs, *grid, vb)?),
                    None => candle_core::bail!("layer {l} has no grid; give one for each layer"),
                },
            })
        };
        let layers = widths.windows(2).enumerate().map(layer);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }
}

/// A mixture whose new parameters suit inputs in [−1, 1]: centres anywhere in it, and Gaussians several times as wide
/// as the distance between neighbours. Trials on all surfaces favoured this width; narrow Gaussians start with
/// nothing between them.
fn mixture(config: GmnmConfig, vb: VarBuilder) -> Result<Gmnm> {
    let (d, m, r) = (config.in_features, config.components, config.projections);
    let neighbours = (m as f64).powf(1.0 / d as f64);
    let widen = (d as f64 / 2.0).max(1.0).sqrt();
    let init = normal(SPREAD * neighbours / ((r as f64).sqrt() * widen));
    // Asked for before the layer does, which then finds them.
    vb.get_with_hints((m, d), "centers", Init::Uniform { lo: -1.0, up: 1.0 })?;
    vb.get_with_hints((m, r, d), "projections", init)?;
    Gmnm::new(config, vb)
}

/// Standard deviation of a new projection, times the distance between centres.
const SPREAD: f64 = 0.25;

impl Module for Field {
    /// `[n, 2]` to `[n, 1]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let pass = |x: Tensor, layer: &Layer| match layer {
            Layer::Mixture(layer) => layer.forward(&x),
            Layer::Dense { linear, tanh: true } => linear.forward(&x)?.tanh(),
            Layer::Dense { linear, .. } => linear.forward(&x),
            Layer::Spline(layer) => layer.forward(&x),
        };
        self.layers.iter().try_fold(x.clone(), pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use gmnm_core::ParamStore;

    fn cases() -> Vec<FieldConfig> {
        let grid = SplineGrid {
            low: -1.0,
            high: 1.0,
            intervals: 5,
        };
        let gmnm = |aggregation| FieldConfig::Gmnm {
            hidden: vec![3],
            components: vec![6, 5],
            projections: vec![2, 1],
            aggregation,
        };
        vec![
            gmnm(Aggregation::Norm),
            gmnm(Aggregation::Sum),
            FieldConfig::Gmnm {
                hidden: Vec::new(),
                components: vec![7],
                projections: vec![2],
                aggregation: Aggregation::Norm,
            },
            FieldConfig::Mlp { hidden: vec![5, 4] },
            FieldConfig::Kan {
                hidden: vec![2],
                grids: vec![grid, grid],
            },
        ]
    }

    #[test]
    fn jets_and_module_agree_and_every_parameter_has_a_gradient() -> Result<()> {
        for config in cases() {
            let store = ParamStore::new(2, DType::F64, &Device::Cpu);
            let field = Field::new(&config, store.var_builder())?;
            let points: Vec<[f64; 2]> = (0..40)
                .map(|i| [(f64::from(i) * 0.7).sin(), (f64::from(i) * 1.3).cos()])
                .collect();
            let x = Tensor::from_slice(points.as_flattened(), (40, 2), &Device::Cpu)?;
            let out = field.forward(&x)?;
            let grads = out.sqr()?.sum_all()?.backward()?;
            let vars: std::collections::BTreeMap<_, _> = store.trainable().into_iter().collect();
            let mut parameters = Vec::new();
            assert_eq!(vars.len(), config.tensors().len());
            for (name, shape) in config.tensors() {
                let var = &vars[&name];
                assert_eq!(var.dims(), shape, "{name}");
                parameters.extend(var.flatten_all()?.to_vec1::<f64>()?);
                let Some(grad) = grads.get(var) else {
                    panic!("{name} has no gradient")
                };
                assert!(grad.abs()?.max_all()?.to_scalar::<f64>()? > 1e-9, "{name}");
            }
            assert_eq!(parameters.len(), config.parameter_count());
            let jets = config.jets();
            for (point, value) in points.iter().zip(out.flatten_all()?.to_vec1::<f64>()?) {
                assert!((jets.value(&parameters, *point) - value).abs() < 1e-12);
            }
        }
        Ok(())
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let wrong = FieldConfig::Gmnm {
            hidden: vec![4],
            components: vec![3],
            projections: vec![1, 1],
            aggregation: Aggregation::Norm,
        };
        let grid = SplineGrid {
            low: 1.0,
            high: f64::NAN,
            intervals: 3,
        };
        let reversed = FieldConfig::Kan {
            hidden: vec![1],
            grids: vec![grid, grid],
        };
        for (config, field) in [(wrong, "components"), (reversed, "grids")] {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }
}
