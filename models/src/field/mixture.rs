//! The jet of a Gaussian mixture in closed form.

use gmnm_core::Aggregation;

use super::jet::{add, apply, compose, compose_adjoint};

/// A [`gmnm_core::Gmnm`] layer between jets.
///
/// The slice of parameters holds `centers [m, d]`, `projections [m, r, d]`, `weight [o, m]`, `bias [o]`, one after the
/// other. With q = y²/2 of a component, ∇φ = −φ·∇q and Δφ = φ·(|∇q|² − Δq).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MixtureJets {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) components: usize,
    pub(crate) projections: usize,
    pub(crate) aggregation: Aggregation,
}

/// Where the parts of the parameters begin.
struct Starts {
    projections: usize,
    weight: usize,
    bias: usize,
}

impl MixtureJets {
    pub(crate) fn parameter_count(&self) -> usize {
        self.starts().bias + self.outputs
    }

    fn starts(&self) -> Starts {
        let projections = self.components * self.inputs;
        let weight = projections * (1 + self.projections);
        Starts {
            projections,
            weight,
            bias: weight + self.components * self.outputs,
        }
    }

    /// The jets of the distances that are squared: of each projection under Norm, of their sum under Sum. Calls
    /// `visit` with the range of projections that each stands for.
    fn distances<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        m: usize,
        mut visit: impl FnMut(std::ops::Range<usize>, [f64; P]),
    ) {
        let (d, r) = (self.inputs, self.projections);
        let centers = &parameters[m * d..(m + 1) * d];
        let start = self.starts().projections + m * r * d;
        let project = |sum: &mut [f64; P], k: usize| {
            let w = &parameters[start + k * d..start + (k + 1) * d];
            for ((w, x), center) in w.iter().zip(x).zip(centers) {
                add(sum, *w, x);
                sum[0] -= w * center;
            }
        };
        match self.aggregation {
            Aggregation::Norm => {
                for k in 0..r {
                    let mut p = [0.0; P];
                    project(&mut p, k);
                    visit(k..k + 1, p);
                }
            }
            Aggregation::Sum => {
                let mut p = [0.0; P];
                (0..r).for_each(|k| project(&mut p, k));
                visit(0..r, p);
            }
        }
    }

    /// The jet of y²/2.
    fn half_square<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        m: usize,
    ) -> [f64; P] {
        let mut q = [0.0; P];
        self.distances(parameters, x, m, |_, p| {
            add(&mut q, 1.0, &compose(&p, [0.5 * p[0] * p[0], p[0], 1.0]));
        });
        q
    }

    pub(crate) fn forward<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        out: &mut [[f64; P]],
    ) {
        let at = self.starts();
        for (o, out) in out.iter_mut().enumerate() {
            *out = [0.0; P];
            out[0] = parameters[at.bias + o];
        }
        for m in 0..self.components {
            let q = self.half_square(parameters, x, m);
            let e = (-q[0]).exp();
            let phi = compose(&q, [e, -e, e]);
            for (o, out) in out.iter_mut().enumerate() {
                add(out, parameters[at.weight + o * self.components + m], &phi);
            }
        }
    }

    pub(crate) fn backward<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        adjoint: &[[f64; P]],
        back: &mut [[f64; P]],
        row: &mut [f64],
    ) {
        let (at, d) = (self.starts(), self.inputs);
        row[..at.weight].fill(0.0);
        for (o, adjoint) in adjoint.iter().enumerate() {
            row[at.bias + o] = adjoint[0];
        }
        for m in 0..self.components {
            let q = self.half_square(parameters, x, m);
            let e = (-q[0]).exp();
            let phi = compose(&q, [e, -e, e]);
            let mut by_phi = [0.0; P];
            for (o, adjoint) in adjoint.iter().enumerate() {
                let k = at.weight + o * self.components + m;
                row[k] = apply(adjoint, &phi);
                add(&mut by_phi, parameters[k], adjoint);
            }
            let by_q = compose_adjoint(&q, &by_phi, [-e, e, -e]);
            self.distances(parameters, x, m, |range, p| {
                let by_p = compose_adjoint(&p, &by_q, [p[0], 1.0, 0.0]);
                for k in range {
                    let start = at.projections + (m * self.projections + k) * d;
                    for (i, (x, back)) in x.iter().zip(back.iter_mut()).enumerate() {
                        let w = parameters[start + i];
                        row[start + i] = apply(&by_p, x) - by_p[0] * parameters[m * d + i];
                        row[m * d + i] -= by_p[0] * w;
                        add(back, w, &by_p);
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::network::{self, JetLayer, JetNetwork};
    use candle_core::{Device, Module, Result, Tensor};
    use gmnm_core::rng::Philox;
    use gmnm_core::{Gmnm, GmnmConfig, ParamStore};

    #[test]
    fn derivatives_match_differences() {
        for aggregation in [Aggregation::Norm, Aggregation::Sum] {
            for (widths, components, projections) in [
                (&[2, 1][..], 1, 1),
                (&[2, 1], 5, 2),
                (&[2, 3, 1], 3, 3),
                (&[2, 1, 2, 1], 4, 2),
            ] {
                let layers = widths.windows(2).map(|pair| {
                    JetLayer::Mixture(MixtureJets {
                        inputs: pair[0],
                        outputs: pair[1],
                        components,
                        projections,
                        aggregation,
                    })
                });
                let network = JetNetwork::new(layers.collect());
                let mut rng = Philox::new(3, components as u64);
                let parameters: Vec<f64> = (0..network.parameter_count())
                    .map(|_| rng.normal())
                    .collect();
                network::tests::check(&network, &parameters, 5e-6);
            }
        }
    }

    #[test]
    fn values_match_the_layer() -> Result<()> {
        for aggregation in [Aggregation::Norm, Aggregation::Sum] {
            let config = GmnmConfig {
                projections: 3,
                aggregation,
                ..GmnmConfig::new(2, 1, 4)
            };
            let store = ParamStore::new(1, candle_core::DType::F64, &Device::Cpu);
            let layer = Gmnm::new(config, store.var_builder())?;
            let jets = MixtureJets {
                inputs: 2,
                outputs: 1,
                components: 4,
                projections: 3,
                aggregation,
            };
            let vb = store.var_builder();
            let shapes: [(&str, &[usize]); 4] = [
                ("centers", &[4, 2]),
                ("projections", &[4, 3, 2]),
                ("weight", &[1, 4]),
                ("bias", &[1]),
            ];
            let mut parameters = Vec::new();
            for (name, shape) in shapes {
                parameters.extend(vb.get(shape, name)?.flatten_all()?.to_vec1::<f64>()?);
            }
            let point = [0.3, -0.8];
            let x = Tensor::from_slice(&point, (1, 2), &Device::Cpu)?;
            let expected: f64 = layer.forward(&x)?.flatten_all()?.to_vec1()?[0];
            let network = JetNetwork::new(vec![JetLayer::Mixture(jets)]);
            assert!((network.value(&parameters, point) - expected).abs() < 1e-13);
        }
        Ok(())
    }
}
