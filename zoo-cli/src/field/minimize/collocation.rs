//! Conditions on a network at points of the plane, as a least-squares problem.

use candle_core::{Device, Result, Tensor};
use models::field::{DIM, Functional, JetNetwork};
use rayon::prelude::*;

use super::{LeastSquares, Linearization, Objective, dot};

/// That a linear functional of the network's jet at a point has a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// Where.
    pub point: [f64; DIM],
    /// Of what: the residual is the functional of the jet minus the target.
    pub functional: Functional,
    /// Which value.
    pub target: f64,
}

impl Condition {
    /// The condition with a residual that is `weight` times as large.
    #[must_use]
    pub fn weighted(mut self, weight: f64) -> Self {
        self.functional = self.functional.map(|c| weight * c);
        self.target *= weight;
        self
    }
}

/// A network that is to meet conditions.
pub struct Collocation<'a> {
    network: &'a JetNetwork,
    conditions: &'a [Condition],
}

/// Conditions that one task works through: fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 128;

impl<'a> Collocation<'a> {
    /// The problem of `network` under `conditions`.
    pub fn new(network: &'a JetNetwork, conditions: &'a [Condition]) -> Self {
        Self {
            network,
            conditions,
        }
    }
}

impl Objective for Collocation<'_> {
    fn value(&self, parameters: &[f64]) -> f64 {
        self.residuals(parameters).iter().map(|r| r * r).sum()
    }

    fn gradient(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let n = parameters.len();
        let parts: Vec<(f64, Vec<f64>)> = self
            .conditions
            .par_chunks(BLOCK)
            .map(|block| {
                let (mut value, mut sum, mut row) = (0.0, vec![0.0; n], vec![0.0; n]);
                for c in block {
                    let r = self
                        .network
                        .row(parameters, c.point, &c.functional, &mut row)
                        - c.target;
                    value += r * r;
                    sum.iter_mut()
                        .zip(&row)
                        .for_each(|(s, d)| *s += 2.0 * r * d);
                }
                (value, sum)
            })
            .collect();
        gradient.fill(0.0);
        parts.iter().fold(0.0, |total, (value, part)| {
            gradient.iter_mut().zip(part).for_each(|(g, p)| *g += p);
            total + value
        })
    }
}

impl LeastSquares for Collocation<'_> {
    fn residuals(&self, parameters: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.conditions.len()];
        out.par_chunks_mut(BLOCK)
            .zip(self.conditions.par_chunks(BLOCK))
            .for_each(|(out, block)| {
                for (out, c) in out.iter_mut().zip(block) {
                    *out = self.network.apply(parameters, c.point, &c.functional) - c.target;
                }
            });
        out
    }

    fn linearize(&self, parameters: &[f64]) -> Result<Linearization> {
        let (n, rows) = (parameters.len(), self.conditions.len());
        let (mut jacobian, mut residuals) = (vec![0.0; rows * n], vec![0.0; rows]);
        jacobian
            .par_chunks_mut(BLOCK * n)
            .zip(residuals.par_chunks_mut(BLOCK))
            .zip(self.conditions.par_chunks(BLOCK))
            .for_each(|((rows, residuals), block)| {
                for ((row, residual), c) in rows.chunks_mut(n).zip(residuals).zip(block) {
                    *residual =
                        self.network.row(parameters, c.point, &c.functional, row) - c.target;
                }
            });
        let jacobian = Tensor::from_vec(jacobian, (rows, n), &Device::Cpu)?;
        let right = Tensor::from_slice(&residuals, (1, rows), &Device::Cpu)?;
        Ok(Linearization {
            value: dot(&residuals, &residuals),
            gradient: right.matmul(&jacobian)?.flatten_all()?.to_vec1()?,
            gram: jacobian.t()?.matmul(&jacobian)?.flatten_all()?.to_vec1()?,
            residuals,
            jacobian,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::rng::Philox;
    use models::field::{FieldConfig, VALUE};

    #[test]
    fn gradient_and_linearization_agree_with_differences() -> Result<()> {
        let network = FieldConfig::Mlp { hidden: vec![4] }.jets();
        let n = network.parameter_count();
        let mut rng = Philox::new(1, 0);
        let mut condition = |functional| Condition {
            point: [rng.uniform(), rng.uniform()],
            functional,
            target: rng.normal(),
        };
        let mut conditions: Vec<Condition> = (0..150).map(|_| condition(VALUE)).collect();
        conditions.extend((0..3).map(|_| condition([0.1, -0.2, 0.3, 0.5]).weighted(2.0)));
        let problem = Collocation::new(&network, &conditions);
        let p: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mut gradient = vec![0.0; n];
        let value = problem.gradient(&p, &mut gradient);
        let local = problem.linearize(&p)?;
        assert!((value - problem.value(&p)).abs() < 1e-10 && (value - local.value).abs() < 1e-10);
        for i in 0..n {
            let at = |delta: f64| {
                let mut p = p.clone();
                p[i] += delta;
                problem.value(&p)
            };
            let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((gradient[i] - numeric).abs() < 1e-5 * (1.0 + numeric.abs()));
            assert!((2.0 * local.gradient[i] - gradient[i]).abs() < 1e-9 * (1.0 + numeric.abs()));
        }
        Ok(())
    }
}
