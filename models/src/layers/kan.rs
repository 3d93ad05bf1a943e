//! A Kolmogorov-Arnold network (arXiv 2404.19756): a learned univariate function on every edge.
//!
//! φ(x) = b·silu(x) + Σ_j c_j·B_j(x) with cubic B-splines on a uniform grid; an output is the sum over its edges.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{Init, Module, VarBuilder};
use gmnm_core::init::uniform_fan_in;

use super::spline::SplineGrid;
use crate::cholesky;
use crate::jet::{DIM, Functional, Jet, JetNetwork, apply, compose, compose_adjoint, coordinates};

/// Initial spread of the spline coefficients: a small ripple on the base function, as in the paper.
const RIPPLE: f64 = 0.1;

#[derive(Debug, Clone)]
struct KanLayer {
    base: Tensor,
    spline: Tensor,
    grid: SplineGrid,
}

/// Layers `layers.N` of `base_weight [out, in]` and `spline_weight [out, in, intervals + 3]`.
#[derive(Debug, Clone)]
pub struct Kan {
    layers: Vec<KanLayer>,
}

impl Kan {
    /// The network through `widths` (input first, output last), `grids[l]` being the grid of layer l's inputs.
    ///
    /// # Errors
    /// When a tensor has another shape, or a grid is missing.
    pub fn new(widths: &[usize], grids: &[SplineGrid], vb: VarBuilder) -> Result<Self> {
        if grids.len() + 1 != widths.len() {
            candle_core::bail!(
                "{} layers need as many grids, not {}",
                widths.len() - 1,
                grids.len()
            );
        }
        let layer = |(l, (pair, grid)): (usize, (&[usize], &SplineGrid))| {
            let vb = vb.pp(format!("layers.{l}"));
            let (inputs, outputs) = (pair[0], pair[1]);
            let shape = (outputs, inputs, grid.basis_count());
            let ripple = Init::Randn {
                mean: 0.0,
                stdev: RIPPLE,
            };
            Ok(KanLayer {
                base: vb.get_with_hints(
                    (outputs, inputs),
                    "base_weight",
                    uniform_fan_in(inputs),
                )?,
                spline: vb.get_with_hints(shape, "spline_weight", ripple)?,
                grid: *grid,
            })
        };
        let layers = widths.windows(2).zip(grids).enumerate().map(layer);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }
}

impl Module for Kan {
    /// `[n, first width]` to `[n, last width]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

impl Module for KanLayer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, inputs) = x.dims2()?;
        let base = x.silu()?.matmul(&self.base.t()?)?;
        let basis = basis(x, &self.grid)?.reshape((n, inputs * self.grid.basis_count()))?;
        base + basis.matmul(&self.spline.flatten_from(1)?.t()?)?
    }
}

/// `[n, d]` to `[n, d, basis]`: every basis function, (2 − |s|)₊³/6 − 4·(1 − |s|)₊³/6 about its centre.
fn basis(x: &Tensor, grid: &SplineGrid) -> Result<Tensor> {
    let centers: Vec<f64> = (0..grid.basis_count()).map(|j| j as f64 - 1.0).collect();
    let centers = Tensor::from_vec(centers, grid.basis_count(), &Device::Cpu)?
        .to_dtype(x.dtype())?
        .to_device(x.device())?;
    let t = (((x - grid.low)? / grid.step())?).unsqueeze(D::Minus1)?;
    let s = t.broadcast_sub(&centers)?.abs()?;
    let cube = |reach: f64| {
        let inside = (reach - &s)?.relu()?;
        inside.sqr()? * inside
    };
    (cube(2.0)? - (cube(1.0)? * 4.0)?)? / 6.0
}

/// The jets of a [`Kan`] from the plane to a number; the slice of parameters holds `base_weight` and `spline_weight`
/// of each layer in turn.
#[derive(Debug, Clone, PartialEq)]
pub struct KanJets {
    widths: Vec<usize>,
    grids: Vec<SplineGrid>,
}

/// silu and its three derivatives.
fn silu(z: f64) -> [f64; 4] {
    let s = 1.0 / (1.0 + (-z).exp());
    let s1 = s * (1.0 - s);
    let s2 = s1 * (1.0 - 2.0 * s);
    let s3 = s2 * (1.0 - 2.0 * s) - 2.0 * s1 * s1;
    [z * s, s + z * s1, 2.0 * s1 + z * s2, 3.0 * s2 + z * s3]
}

impl KanJets {
    /// The jets of a network with these hidden widths and the grids of all its layers.
    pub fn new(hidden: &[usize], grids: &[SplineGrid]) -> Self {
        let mut widths = vec![DIM];
        widths.extend_from_slice(hidden);
        widths.push(1);
        Self {
            widths,
            grids: grids.to_vec(),
        }
    }

    /// (inputs, outputs, grid, first parameter) of each layer.
    fn layers(&self) -> Vec<(usize, usize, &SplineGrid, usize)> {
        let mut start = 0;
        self.widths
            .windows(2)
            .zip(&self.grids)
            .map(|(pair, grid)| {
                let at = start;
                start += pair[0] * pair[1] * (1 + grid.basis_count());
                (pair[0], pair[1], grid, at)
            })
            .collect()
    }

    /// The jets that enter each layer, and that of the output.
    fn forward(&self, parameters: &[f64], point: [f64; DIM]) -> Vec<Vec<Jet>> {
        let mut all = vec![coordinates(point).to_vec()];
        for (inputs, outputs, grid, start) in self.layers() {
            let splines = start + inputs * outputs;
            let x = &all[all.len() - 1];
            let mut out = vec![[0.0; DIM + 2]; outputs];
            for (i, x) in x.iter().enumerate() {
                let base = silu(x[0]);
                let active: Vec<(usize, [f64; 4])> = grid.active(x[0]).collect();
                for (o, out) in out.iter_mut().enumerate() {
                    let edge = o * inputs + i;
                    let coefficients = &parameters[splines + edge * grid.basis_count()..];
                    let f = std::array::from_fn(|k| {
                        let spline: f64 = active.iter().map(|(j, b)| coefficients[*j] * b[k]).sum();
                        parameters[start + edge] * base[k] + spline
                    });
                    for (sum, part) in out.iter_mut().zip(compose(x, f)) {
                        *sum += part;
                    }
                }
            }
            all.push(out);
        }
        all
    }

    /// The smallest and the largest value that enters each layer over `points`.
    pub fn input_ranges(&self, parameters: &[f64], points: &[[f64; DIM]]) -> Vec<(f64, f64)> {
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); self.grids.len()];
        for point in points {
            for (range, jets) in ranges.iter_mut().zip(self.forward(parameters, *point)) {
                for jet in jets {
                    *range = (range.0.min(jet[0]), range.1.max(jet[0]));
                }
            }
        }
        ranges
    }

    /// The parameters of the same network on other grids: on each edge the spline that is nearest to the old one in
    /// the least-squares sense over the new grid.
    ///
    /// # Errors
    /// When a least-squares system cannot be solved, which needs parameters that are not finite.
    pub fn refine(&self, parameters: &[f64], grids: &[SplineGrid]) -> Result<Vec<f64>> {
        let mut out = Vec::new();
        for ((inputs, outputs, old, start), new) in self.layers().into_iter().zip(grids) {
            let edges = inputs * outputs;
            out.extend_from_slice(&parameters[start..start + edges]);
            for edge in 0..edges {
                let at = start + edges + edge * old.basis_count();
                out.extend(transfer(old, &parameters[at..at + old.basis_count()], new)?);
            }
        }
        Ok(out)
    }
}

/// The coefficients over `new` of the spline nearest to the one over `old`.
fn transfer(old: &SplineGrid, coefficients: &[f64], new: &SplineGrid) -> Result<Vec<f64>> {
    const SAMPLES: usize = 8;
    let n = new.basis_count();
    let (mut matrix, mut right) = (vec![0.0; n * n], vec![0.0; n]);
    let count = SAMPLES * new.intervals;
    for k in 0..=count {
        let x = new.low + (new.high - new.low) * k as f64 / count as f64;
        let value: f64 = old.active(x).map(|(j, b)| coefficients[j] * b[0]).sum();
        for (j, b) in new.active(x) {
            right[j] += b[0] * value;
            for (i, a) in new.active(x) {
                matrix[j * n + i] += b[0] * a[0];
            }
        }
    }
    if !cholesky::solve(&mut matrix, &mut right) {
        candle_core::bail!(
            "the splines cannot be moved to the finer grid: their coefficients are not finite"
        );
    }
    Ok(right)
}

impl JetNetwork for KanJets {
    fn parameter_count(&self) -> usize {
        self.layers()
            .iter()
            .map(|(i, o, grid, _)| i * o * (1 + grid.basis_count()))
            .sum()
    }

    fn jet(&self, parameters: &[f64], point: [f64; DIM]) -> Jet {
        let all = self.forward(parameters, point);
        all[all.len() - 1][0]
    }

    fn row(
        &self,
        parameters: &[f64],
        point: [f64; DIM],
        functional: &Functional,
        row: &mut [f64],
    ) -> f64 {
        let all = self.forward(parameters, point);
        row.fill(0.0);
        let mut adjoints = vec![*functional];
        for (l, (inputs, _, grid, start)) in self.layers().into_iter().enumerate().rev() {
            let splines = start + inputs * adjoints.len();
            let mut back = vec![[0.0; DIM + 2]; inputs];
            for ((i, x), back) in all[l].iter().enumerate().zip(&mut back) {
                let base = silu(x[0]);
                let active: Vec<(usize, [f64; 4])> = grid.active(x[0]).collect();
                for (o, adjoint) in adjoints.iter().enumerate() {
                    let edge = o * inputs + i;
                    // The functional that the edge's output feeds, as a combination of f, f′ and f″ at x.
                    let parts = |f: &[f64; 4]| apply(adjoint, &compose(x, [f[0], f[1], f[2]]));
                    row[start + edge] = parts(&base);
                    let at = splines + edge * grid.basis_count();
                    let mut f = base.map(|b| b * parameters[start + edge]);
                    for (j, b) in &active {
                        row[at + j] = parts(b);
                        for (sum, b) in f.iter_mut().zip(b) {
                            *sum += parameters[at + j] * b;
                        }
                    }
                    for (sum, g) in
                        back.iter_mut()
                            .zip(compose_adjoint(x, adjoint, [f[1], f[2], f[3]]))
                    {
                        *sum += g;
                    }
                }
            }
            adjoints = back;
        }
        apply(functional, &all[all.len() - 1][0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::ParamStore;
    use gmnm_core::rng::Philox;

    fn grid(low: f64, high: f64, intervals: usize) -> SplineGrid {
        SplineGrid {
            low,
            high,
            intervals,
        }
    }

    fn random(count: usize) -> Vec<f64> {
        let mut rng = Philox::new(11, 0);
        (0..count).map(|_| 0.5 * rng.normal()).collect()
    }

    #[test]
    fn derivatives_match_differences() {
        let grids = [grid(-1.0, 1.0, 5), grid(-2.0, 2.0, 4), grid(-1.5, 1.0, 3)];
        for hidden in [&[3][..], &[2, 3]] {
            let jets = KanJets::new(hidden, &grids[..=hidden.len()]);
            // A third derivative of a cubic spline jumps at the knots: differences across one are a little off.
            crate::jet::tests::check(&jets, &random(jets.parameter_count()), 1e-4);
        }
    }

    #[test]
    fn values_match_the_module() -> Result<()> {
        let (hidden, grids) = ([3], [grid(-1.0, 1.0, 5), grid(-2.0, 1.0, 7)]);
        let store = ParamStore::new(4, candle_core::DType::F64, &Device::Cpu);
        let module = Kan::new(&[2, 3, 1], &grids, store.var_builder())?;
        let jets = KanJets::new(&hidden, &grids);
        let mut parameters = Vec::new();
        for (_, tensor) in store.all() {
            parameters.extend(tensor.flatten_all()?.to_vec1::<f64>()?);
        }
        for point in [[0.1, -0.9], [1.0, -1.0], [2.5, -7.0]] {
            let x = Tensor::from_slice(&point, (1, 2), &Device::Cpu)?;
            let expected: f64 = module.forward(&x)?.flatten_all()?.to_vec1()?[0];
            assert!((jets.jet(&parameters, point)[0] - expected).abs() < 1e-13);
        }
        Ok(())
    }

    #[test]
    fn a_finer_grid_holds_the_same_function() -> Result<()> {
        let coarse = [grid(-1.0, 1.0, 4), grid(-2.0, 2.0, 3)];
        let fine = [grid(-1.0, 1.0, 12), grid(-2.0, 2.0, 9)];
        let (old, new) = (KanJets::new(&[2], &coarse), KanJets::new(&[2], &fine));
        let parameters = random(old.parameter_count());
        let refined = old.refine(&parameters, &fine)?;
        assert_eq!(refined.len(), new.parameter_count());
        let mut moved = 0.0;
        for i in 0..20 {
            let point = [-1.0 + 0.1 * f64::from(i), 0.9 - 0.09 * f64::from(i)];
            let (a, b) = (old.jet(&parameters, point)[0], new.jet(&refined, point)[0]);
            assert!((a - b).abs() < 1e-9, "{a} against {b}");
            moved += a.abs();
        }
        assert!(moved > 0.1, "the function is not zero");
        Ok(())
    }
}
