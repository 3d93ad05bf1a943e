//! The GMNM layer: a trainable Gaussian mixture over the last axis.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::ops;

/// How the R projections of a component become one distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// y² = Σ_r p_r²: a Mahalanobis distance of rank at most R.
    #[default]
    Norm,
    /// y = Σ_r p_r: the paper's Figure 1 read literally. R projections act as one.
    Sum,
}

/// The shape of a [`Gmnm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GmnmConfig {
    /// D, the features of the input.
    pub in_features: usize,
    /// O, the features of the output.
    pub out_features: usize,
    /// M, the Gaussian components.
    pub components: usize,
    /// R, the projections of each component.
    pub projections: usize,
    /// How projections become a distance.
    pub aggregation: Aggregation,
    /// Whether a bias is added.
    pub bias: bool,
}

impl GmnmConfig {
    /// A layer of `components` components with one projection each, [`Aggregation::Norm`] and a bias.
    pub fn new(in_features: usize, out_features: usize, components: usize) -> Self {
        Self {
            in_features,
            out_features,
            components,
            projections: 1,
            aggregation: Aggregation::Norm,
            bias: true,
        }
    }
}

/// G(x)\[o\] = Σ_m π\[o,m\]·exp(−y\[m\]²/2) + b\[o\].
#[derive(Debug, Clone)]
pub struct Gmnm {
    centers: Tensor,
    projections: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    config: GmnmConfig,
}

impl Gmnm {
    /// The layer with its parameters from `vb`: `centers`, `projections`, `weight`, `bias`.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(config: GmnmConfig, vb: VarBuilder) -> Result<Self> {
        let (d, o, m, r) = (
            config.in_features,
            config.out_features,
            config.components,
            config.projections,
        );
        let randn = |stdev: f64| Init::Randn { mean: 0.0, stdev };
        Ok(Self {
            centers: vb.get_with_hints((m, d), "centers", randn(1.0))?,
            projections: vb.get_with_hints(
                (m, r, d),
                "projections",
                randn(1.0 / ((2 * d * r) as f64).sqrt()),
            )?,
            weight: vb.get_with_hints((o, m), "weight", randn(1.0 / (m as f64).sqrt()))?,
            bias: config
                .bias
                .then(|| vb.get_with_hints(o, "bias", Init::Const(0.0)))
                .transpose()?,
            config,
        })
    }

    /// The shape of the layer.
    pub fn config(&self) -> &GmnmConfig {
        &self.config
    }
}

impl Module for Gmnm {
    /// `[..., in_features]` to `[..., out_features]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::mixture(
            x,
            &self.centers,
            &self.projections,
            &self.weight,
            self.bias.as_ref(),
            self.config.aggregation,
        )
    }
}
