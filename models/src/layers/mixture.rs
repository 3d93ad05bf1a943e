//! The jet of a Gaussian mixture in closed form.

use gmnm_core::Aggregation;

use crate::jet::{DIM, Functional, Jet, JetNetwork, VALUE};

/// One [`gmnm_core::Gmnm`] layer from the plane to a number, over a flat slice of parameters.
///
/// The slice holds `centers [m, 2]`, `projections [m, r, 2]`, `weight [1, m]`, `bias [1]`, one after the other. With
/// q = y²/2, s = ∇q and t = Δq of a component: φ = exp(−q), ∇φ = −φ·s, Δφ = φ·(|s|² − t); q is a quadratic form, so
/// that t is constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixtureJets {
    /// M, the Gaussian components.
    pub components: usize,
    /// R, the projections of each.
    pub projections: usize,
    /// How projections become a distance.
    pub aggregation: Aggregation,
}

/// What one component is at one point.
struct Component {
    phi: f64,
    /// ∇q
    s: [f64; DIM],
    /// Δq
    t: f64,
    /// The signed distance of [`Aggregation::Sum`] and its summed projection.
    sum: (f64, [f64; DIM]),
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

impl MixtureJets {
    fn centers<'a>(&self, parameters: &'a [f64], m: usize) -> &'a [f64] {
        &parameters[m * DIM..(m + 1) * DIM]
    }

    fn projections<'a>(&self, parameters: &'a [f64], m: usize) -> &'a [f64] {
        let (start, length) = (self.components * DIM, self.projections * DIM);
        &parameters[start + m * length..start + (m + 1) * length]
    }

    fn weights_start(&self) -> usize {
        self.components * DIM * (1 + self.projections)
    }

    fn component(&self, parameters: &[f64], m: usize, point: [f64; DIM]) -> Component {
        let center = self.centers(parameters, m);
        let from = [point[0] - center[0], point[1] - center[1]];
        let (mut q, mut s, mut t) = (0.0, [0.0; DIM], 0.0);
        let mut sum = (0.0, [0.0; DIM]);
        for w in self.projections(parameters, m).chunks_exact(DIM) {
            match self.aggregation {
                Aggregation::Norm => {
                    let p = dot(w, &from);
                    q += 0.5 * p * p;
                    s = [s[0] + p * w[0], s[1] + p * w[1]];
                    t += dot(w, w);
                }
                Aggregation::Sum => sum.1 = [sum.1[0] + w[0], sum.1[1] + w[1]],
            }
        }
        if self.aggregation == Aggregation::Sum {
            let (p, w) = (dot(&sum.1, &from), sum.1);
            sum.0 = p;
            (q, s, t) = (0.5 * p * p, [p * w[0], p * w[1]], dot(&w, &w));
        }
        Component {
            phi: (-q).exp(),
            s,
            t,
            sum,
        }
    }
}

impl JetNetwork for MixtureJets {
    fn parameter_count(&self) -> usize {
        self.weights_start() + self.components + 1
    }

    fn jet(&self, parameters: &[f64], point: [f64; DIM]) -> Jet {
        let weights = &parameters[self.weights_start()..];
        let mut jet = VALUE.map(|v| v * weights[self.components]);
        for (m, weight) in weights[..self.components].iter().enumerate() {
            let Component { phi, s, t, .. } = self.component(parameters, m, point);
            let scale = weight * phi;
            jet[0] += scale;
            jet[1] -= scale * s[0];
            jet[2] -= scale * s[1];
            jet[3] += scale * (dot(&s, &s) - t);
        }
        jet
    }

    fn row(
        &self,
        parameters: &[f64],
        point: [f64; DIM],
        functional: &Functional,
        row: &mut [f64],
    ) -> f64 {
        let start = self.weights_start();
        let [c0, c1, c2, c3] = *functional;
        let mut total = c0 * parameters[start + self.components];
        row[start + self.components] = c0;
        for m in 0..self.components {
            let c = self.component(parameters, m, point);
            let weight = parameters[start + m];
            // The functional of one component: weight·φ·e.
            let e = c0 - c1 * c.s[0] - c2 * c.s[1] + c3 * (dot(&c.s, &c.s) - c.t);
            total += weight * c.phi * e;
            row[start + m] = c.phi * e;
            // Its derivatives with respect to q, s and t.
            let scale = weight * c.phi;
            let by_q = -scale * e;
            let by_s = [
                scale * (2.0 * c3 * c.s[0] - c1),
                scale * (2.0 * c3 * c.s[1] - c2),
            ];
            let by_t = -scale * c3;
            let center = self.centers(parameters, m);
            let from = [point[0] - center[0], point[1] - center[1]];
            let w_start = self.components * DIM + m * self.projections * DIM;
            let mut by_center = [0.0; DIM];
            // Under Sum all projections act through their sum, once.
            let shared = (self.aggregation == Aggregation::Sum).then_some(c.sum);
            for (r, w) in self
                .projections(parameters, m)
                .chunks_exact(DIM)
                .enumerate()
            {
                let (p, w) = shared.unwrap_or_else(|| (dot(w, &from), [w[0], w[1]]));
                let by_p = by_q * p + dot(&by_s, &w);
                for d in 0..DIM {
                    row[w_start + r * DIM + d] = by_p * from[d] + by_s[d] * p + 2.0 * by_t * w[d];
                    if shared.is_none() || r == 0 {
                        by_center[d] -= by_p * w[d];
                    }
                }
            }
            row[m * DIM..(m + 1) * DIM].copy_from_slice(&by_center);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jet::tests::check;
    use candle_core::{Device, Result, Tensor};
    use gmnm_core::rng::Philox;

    fn cases() -> impl Iterator<Item = (MixtureJets, Vec<f64>)> {
        let shapes = [(1, 1), (5, 2), (3, 3)];
        let kinds = [Aggregation::Norm, Aggregation::Sum];
        shapes
            .into_iter()
            .flat_map(move |(components, projections)| {
                kinds.into_iter().map(move |aggregation| {
                    let jets = MixtureJets {
                        components,
                        projections,
                        aggregation,
                    };
                    let mut rng = Philox::new(3, components as u64);
                    let parameters = (0..jets.parameter_count()).map(|_| rng.normal()).collect();
                    (jets, parameters)
                })
            })
    }

    #[test]
    fn derivatives_match_differences() {
        for (jets, parameters) in cases() {
            check(&jets, &parameters, 2e-6);
        }
    }

    #[test]
    fn values_match_the_layer() -> Result<()> {
        for (jets, parameters) in cases() {
            let (m, r) = (jets.components, jets.projections);
            let tensor = |start: usize, shape: &[usize]| {
                let n: usize = shape.iter().product();
                Tensor::from_slice(&parameters[start..start + n], shape, &Device::Cpu)
            };
            let point = [0.3, -0.8];
            let out = gmnm_core::ops::mixture(
                &Tensor::from_slice(&point, (1, 2), &Device::Cpu)?,
                &tensor(0, &[m, 2])?,
                &tensor(2 * m, &[m, r, 2])?,
                &tensor(2 * m * (1 + r), &[1, m])?,
                Some(&tensor(2 * m * (1 + r) + m, &[1])?),
                jets.aggregation,
            )?;
            let expected: f64 = out.flatten_all()?.to_vec1()?[0];
            assert!((jets.jet(&parameters, point)[0] - expected).abs() < 1e-13);
        }
        Ok(())
    }
}
