//! The GMNM layer: a trainable Gaussian mixture over the last axis.

use candle_core::{D, Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::ops::Aggregation;
use crate::{init, ops};

/// The shape of a [`Gmnm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// G(x)\[o\] = Σ_m π\[o,m\]·exp(−y\[m\]²/2) + b\[o\], with π of any sign and no constraint on its sum.
///
/// | parameter | name | shape |
/// |---|---|---|
/// | μ | `centers` | `[M, D]` |
/// | w | `projections` | `[M, R, D]` |
/// | π | `weight` | `[O, M]` |
/// | b | `bias` | `[O]`, where configured |
///
/// Projections are computed as x·w − w·μ, so that nothing of the size batch × M × D is ever made. The two terms cancel
/// where the inputs lie far from the origin against their spread around the centers: in f32 a projection carries an
/// absolute error of about 10⁻⁷·|w|·|μ|. Up to |μ| = 1000 spreads, outputs keep three digits; from 10⁶ spreads on they
/// are noise. Standardise such inputs, or use f64.
#[derive(Debug, Clone)]
pub struct Gmnm {
    centers: Tensor,
    projections: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    config: GmnmConfig,
}

impl Gmnm {
    /// The layer with its parameters from `vb`, drawn for inputs of unit variance where they are new
    /// ([`init::gmnm_projections`] tells why the scale matters).
    ///
    /// # Errors
    /// When the configuration has no features, components or projections, or a tensor has another shape.
    pub fn new(config: GmnmConfig, vb: VarBuilder) -> Result<Self> {
        Self::with_output_scale(config, 1.0, vb)
    }

    /// As [`Self::new`], but the mixture weights are drawn `scale` times as large: a small scale starts a branch beside
    /// an identity near nothing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_output_scale(config: GmnmConfig, scale: f64, vb: VarBuilder) -> Result<Self> {
        let (d, o, m, r) = (
            config.in_features,
            config.out_features,
            config.components,
            config.projections,
        );
        if [d, o, m, r].contains(&0) {
            candle_core::bail!(
                "a mixture layer needs at least one feature, component and projection, found {config:?}"
            );
        }
        let bias = || vb.get_with_hints(o, "bias", Init::Const(0.0));
        Ok(Self {
            centers: vb.get_with_hints((m, d), "centers", init::gmnm_centers())?,
            projections: vb.get_with_hints(
                (m, r, d),
                "projections",
                init::gmnm_projections(d, r),
            )?,
            weight: vb.get_with_hints(
                (o, m),
                "weight",
                init::scaled(init::gmnm_weight(m), scale),
            )?,
            bias: config.bias.then(bias).transpose()?,
            config,
        })
    }

    /// The shape of the layer.
    pub fn config(&self) -> &GmnmConfig {
        &self.config
    }

    /// The same function with as few projections as it needs: under [`Aggregation::Sum`] a component's R projections
    /// are merged into their sum. Under [`Aggregation::Norm`] they are already independent, and the layer is returned
    /// as it is.
    ///
    /// # Errors
    /// When the sum cannot be computed on the device.
    pub fn fold(&self) -> Result<Self> {
        let mut folded = self.clone();
        if self.config.aggregation == Aggregation::Sum {
            folded.projections = self.projections.sum_keepdim(D::Minus2)?;
            folded.config.projections = 1;
        }
        Ok(folded)
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

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ParamStore;
    use crate::gradient_check::random;

    const BOTH: [Aggregation; 2] = [Aggregation::Norm, Aggregation::Sum];

    fn layer(config: GmnmConfig, dtype: DType, seed: u64) -> Result<(Gmnm, ParamStore)> {
        let store = ParamStore::new(seed, dtype, &Device::Cpu);
        Ok((Gmnm::new(config, store.var_builder())?, store))
    }

    fn mean_square(x: &Tensor) -> Result<f64> {
        x.sqr()?.mean_all()?.to_scalar()
    }

    /// y² of every row and component.
    fn squared_distances(layer: &Gmnm, x: &Tensor) -> Result<Tensor> {
        let centered = x.unsqueeze(1)?.broadcast_sub(&layer.centers)?;
        let p = centered
            .unsqueeze(2)?
            .broadcast_mul(&layer.projections)?
            .sum(D::Minus1)?;
        match layer.config.aggregation {
            Aggregation::Norm => p.sqr()?.sum(D::Minus1),
            Aggregation::Sum => p.sum(D::Minus1)?.sqr(),
        }
    }

    #[test]
    fn the_initial_scale_is_of_order_one() -> Result<()> {
        for aggregation in BOTH {
            for (d, r) in [(2, 1), (2, 4), (64, 1), (64, 4), (512, 1), (512, 4)] {
                let config = GmnmConfig {
                    projections: r,
                    aggregation,
                    ..GmnmConfig::new(d, 64, 64)
                };
                let (layer, store) = layer(config, DType::F64, 7)?;
                let rows = 48;
                let x = random(&[rows, d], DType::F64, 3)?;
                let y2 = squared_distances(&layer, &x)?;
                let mean: f64 = y2.mean_all()?.to_scalar()?;
                assert!((0.5..2.0).contains(&mean), "{config:?}: E[y²] = {mean}");
                let phi = mean_square(&(y2 * -0.5)?.exp()?)?;
                assert!((0.2..1.0).contains(&phi), "{config:?}: E[φ²] = {phi}");
                let out = layer.forward(&x)?;
                let output = mean_square(&out)?;
                assert!((0.2..2.0).contains(&output), "{config:?}: {output}");
                // An upstream gradient of unit variance, so that a row's contributions add up at random.
                let upstream = random(&[rows, 64], DType::F64, 4)?;
                let grads = (out * upstream)?.sum_all()?.backward()?;
                for (name, var) in store.trainable() {
                    let Some(grad) = grads.get(&var) else {
                        candle_core::bail!("`{name}` has no gradient");
                    };
                    // `centers` see it through w, which is 1/√(2·D·R) small.
                    let scale = match name.as_str() {
                        "centers" => 1.0 / (2 * d) as f64,
                        _ => 1.0,
                    };
                    let size = mean_square(grad)? / (rows as f64 * scale);
                    assert!((0.02..5.0).contains(&size), "{config:?} {name}: {size}");
                }
            }
        }
        Ok(())
    }

    /// Gradient descent on a fixed target; the last loss over the first.
    fn descend(layer: &Gmnm, store: &ParamStore) -> Result<f64> {
        let d = layer.config.in_features;
        let x = random(&[64, d], DType::F64, 11)?;
        let target = x.narrow(1, 0, 1)?.sin()?;
        let mut losses = Vec::new();
        for _ in 0..60 {
            let loss = (layer.forward(&x)? - &target)?.sqr()?.mean_all()?;
            losses.push(loss.to_scalar::<f64>()?);
            let grads = loss.backward()?;
            for (_, var) in store.trainable() {
                if let Some(grad) = grads.get(&var) {
                    var.set(&(var.as_tensor().detach() - (grad * 0.1)?)?)?;
                }
            }
        }
        Ok(losses[59] / losses[0])
    }

    #[test]
    fn a_far_off_start_trains_nothing() -> Result<()> {
        let config = GmnmConfig {
            projections: 4,
            bias: false,
            ..GmnmConfig::new(64, 1, 32)
        };
        let (good, store) = layer(config, DType::F64, 1)?;
        let ratio = descend(&good, &store)?;
        assert!(ratio < 0.5, "from the right scale: {ratio}");
        // Projections of unit variance: E[y²] = 2·D·R = 512, φ and its gradient are zero.
        let (bad, store) = layer(config, DType::F64, 1)?;
        let scale = (2.0 * 64.0 * 4.0f64).sqrt();
        for (name, var) in store.all() {
            if name == "projections" {
                var.set(&(var.as_tensor().detach() * scale)?)?;
            }
        }
        let ratio = descend(&bad, &store)?;
        assert!(ratio > 0.999, "from far off: {ratio}");
        Ok(())
    }

    #[test]
    fn folding_keeps_the_function() -> Result<()> {
        for aggregation in BOTH {
            let config = GmnmConfig {
                projections: 3,
                aggregation,
                ..GmnmConfig::new(5, 4, 7)
            };
            let (layer, _) = layer(config, DType::F64, 2)?;
            let folded = layer.fold()?;
            let expected = match aggregation {
                Aggregation::Norm => 3,
                Aggregation::Sum => 1,
            };
            assert_eq!(folded.config().projections, expected);
            assert_eq!(folded.projections.dims(), [7, expected, 5]);
            let x = random(&[2, 3, 5], DType::F64, 5)?;
            let difference = (layer.forward(&x)? - folded.forward(&x)?)?;
            assert!(mean_square(&difference)?.sqrt() < 1e-14);
        }
        Ok(())
    }

    /// The error of f32 against f64 where inputs and centers lie `distance` from the origin, with unit spread.
    fn cancellation(distance: f64) -> Result<f64> {
        let config = GmnmConfig {
            projections: 2,
            ..GmnmConfig::new(16, 8, 8)
        };
        let (single, store) = layer(config, DType::F32, 3)?;
        for (name, var) in store.all() {
            if name == "centers" {
                var.set(&(var.as_tensor().detach() + distance)?)?;
            }
        }
        let double = ParamStore::from_tensors(&store.tensors(), DType::F64, &Device::Cpu)?;
        let double = Gmnm::new(config, double.var_builder())?;
        let x = (random(&[32, 16], DType::F32, 9)? + distance)?;
        let found = single.forward(&x)?.to_dtype(DType::F64)?;
        let expected = double.forward(&x.to_dtype(DType::F64)?)?;
        (found - expected)?.abs()?.max_all()?.to_scalar()
    }

    #[test]
    fn cancellation_is_as_documented() -> Result<()> {
        assert!(cancellation(0.0)? < 1e-5);
        assert!(cancellation(1e3)? < 2e-3);
        assert!(cancellation(1e6)? > 1e-2, "better than documented");
        Ok(())
    }

    #[test]
    fn an_empty_configuration_is_refused() {
        for config in [
            GmnmConfig::new(0, 1, 1),
            GmnmConfig::new(1, 0, 1),
            GmnmConfig::new(1, 1, 0),
            GmnmConfig {
                projections: 0,
                ..GmnmConfig::new(1, 1, 1)
            },
        ] {
            assert!(layer(config, DType::F32, 0).is_err());
        }
    }
}
