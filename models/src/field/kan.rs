//! A Kolmogorov-Arnold network (arXiv 2404.19756): a learned univariate function on every edge.
//!
//! φ(x) = b·silu(x) + Σ_j c_j·B_j(x) with cubic B-splines on a uniform grid; an output is the sum over its edges.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{Module, VarBuilder};
use gmnm_core::init::{normal, uniform_fan_in};

use super::jet::{add, apply, compose, compose_adjoint};
use super::spline::SplineGrid;
use crate::cholesky;

/// Initial spread of the spline coefficients: a small ripple on the base function, as in the paper.
const RIPPLE: f64 = 0.1;

/// A layer of `base_weight [out, in]` and `spline_weight [out, in, intervals + 3]`.
#[derive(Debug, Clone)]
pub(super) struct KanLayer {
    base: Tensor,
    spline: Tensor,
    grid: SplineGrid,
}

impl KanLayer {
    /// The layer with `grid` over its inputs.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        grid: SplineGrid,
        vb: VarBuilder,
    ) -> Result<Self> {
        let (plane, cube) = ((outputs, inputs), (outputs, inputs, grid.basis_count()));
        Ok(Self {
            base: vb.get_with_hints(plane, "base_weight", uniform_fan_in(inputs))?,
            spline: vb.get_with_hints(cube, "spline_weight", normal(RIPPLE))?,
            grid,
        })
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

/// silu and its three derivatives.
fn silu(z: f64) -> [f64; 4] {
    let s = 1.0 / (1.0 + (-z).exp());
    let s1 = s * (1.0 - s);
    let s2 = s1 * (1.0 - 2.0 * s);
    let s3 = s2 * (1.0 - 2.0 * s) - 2.0 * s1 * s1;
    [z * s, s + z * s1, 2.0 * s1 + z * s2, 3.0 * s2 + z * s3]
}

/// A spline layer between jets; the slice of parameters holds `base_weight [out, in]` and
/// `spline_weight [out, in, basis]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SplineJets {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) grid: SplineGrid,
}

impl SplineJets {
    pub(crate) fn parameter_count(&self) -> usize {
        self.inputs * self.outputs * (1 + self.grid.basis_count())
    }

    pub(crate) fn forward<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        out: &mut [[f64; P]],
    ) {
        let splines = self.inputs * self.outputs;
        out.fill([0.0; P]);
        for (i, x) in x.iter().enumerate() {
            let base = silu(x[0]);
            for (o, out) in out.iter_mut().enumerate() {
                let edge = o * self.inputs + i;
                let coefficients = &parameters[splines + edge * self.grid.basis_count()..];
                let mut f = base.map(|b| b * parameters[edge]);
                for (j, b) in self.grid.active(x[0]) {
                    add(&mut f, coefficients[j], &b);
                }
                add(out, 1.0, &compose(x, [f[0], f[1], f[2]]));
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
        let splines = self.inputs * self.outputs;
        row.fill(0.0);
        for ((i, x), back) in x.iter().enumerate().zip(back.iter_mut()) {
            let base = silu(x[0]);
            for (o, adjoint) in adjoint.iter().enumerate() {
                let edge = o * self.inputs + i;
                let at = splines + edge * self.grid.basis_count();
                let part = |f: &[f64; 4]| apply(adjoint, &compose(x, [f[0], f[1], f[2]]));
                row[edge] = part(&base);
                let mut f = base.map(|b| b * parameters[edge]);
                for (j, b) in self.grid.active(x[0]) {
                    row[at + j] = part(&b);
                    add(&mut f, parameters[at + j], &b);
                }
                let by_x = compose_adjoint(x, adjoint, [f[1], f[2], f[3]]);
                add(back, 1.0, &by_x);
            }
        }
    }
}

/// A network of spline layers on other grids: on each edge the spline that is nearest to the old one in the
/// least-squares sense over the new grid. `widths` are those of the network, `parameters` its flat slice.
///
/// # Errors
/// When a least-squares system cannot be solved, which needs parameters that are not finite.
pub fn refine(
    widths: &[usize],
    parameters: &[f64],
    old: &[SplineGrid],
    new: &[SplineGrid],
) -> Result<Vec<f64>> {
    let (mut out, mut at) = (Vec::new(), 0);
    for ((pair, old), new) in widths.windows(2).zip(old).zip(new) {
        let edges = pair[0] * pair[1];
        out.extend_from_slice(&parameters[at..at + edges]);
        at += edges;
        for _ in 0..edges {
            out.extend(transfer(old, &parameters[at..at + old.basis_count()], new)?);
            at += old.basis_count();
        }
    }
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::network::{self, JetLayer, JetNetwork};
    use crate::field::{Field, FieldConfig};
    use gmnm_core::ParamStore;
    use gmnm_core::rng::Philox;

    fn grid(low: f64, high: f64, intervals: usize) -> SplineGrid {
        SplineGrid {
            low,
            high,
            intervals,
        }
    }

    fn network(widths: &[usize], grids: &[SplineGrid]) -> JetNetwork {
        let layers = widths.windows(2).zip(grids).map(|(pair, grid)| {
            JetLayer::Spline(SplineJets {
                inputs: pair[0],
                outputs: pair[1],
                grid: *grid,
            })
        });
        JetNetwork::new(layers.collect())
    }

    fn random(count: usize) -> Vec<f64> {
        let mut rng = Philox::new(11, 0);
        (0..count).map(|_| 0.5 * rng.normal()).collect()
    }

    #[test]
    fn derivatives_match_differences() {
        let grids = [grid(-1.0, 1.0, 5), grid(-2.0, 2.0, 4), grid(-1.5, 1.0, 3)];
        for widths in [&[2, 3, 1][..], &[2, 2, 3, 1]] {
            let network = network(widths, &grids);
            // The third derivative of a cubic spline jumps at the knots: differences across one are a little off.
            network::tests::check(&network, &random(network.parameter_count()), 1e-4);
        }
    }

    #[test]
    fn values_match_the_module() -> Result<()> {
        let (widths, grids) = ([2, 3, 1], [grid(-1.0, 1.0, 5), grid(-2.0, 1.0, 7)]);
        let store = ParamStore::new(4, candle_core::DType::F64, &Device::Cpu);
        let config = FieldConfig::Kan {
            hidden: vec![3],
            grids: grids.to_vec(),
        };
        let module = Field::new(&config, store.var_builder())?;
        let mut parameters = Vec::new();
        for (_, tensor) in store.all() {
            parameters.extend(tensor.flatten_all()?.to_vec1::<f64>()?);
        }
        for point in [[0.1, -0.9], [1.0, -1.0], [2.5, -7.0]] {
            let x = Tensor::from_slice(&point, (1, 2), &Device::Cpu)?;
            let expected: f64 = module.forward(&x)?.flatten_all()?.to_vec1()?[0];
            let value = network(&widths, &grids).value(&parameters, point);
            assert!((value - expected).abs() < 1e-13);
        }
        Ok(())
    }

    #[test]
    fn a_finer_grid_holds_the_same_function() -> Result<()> {
        let coarse = [grid(-1.0, 1.0, 4), grid(-2.0, 2.0, 3)];
        let fine = [grid(-1.0, 1.0, 12), grid(-2.0, 2.0, 9)];
        let widths = [2, 2, 1];
        let (old, new) = (network(&widths, &coarse), network(&widths, &fine));
        let parameters = random(old.parameter_count());
        let refined = refine(&widths, &parameters, &coarse, &fine)?;
        assert_eq!(refined.len(), new.parameter_count());
        let mut moved = 0.0;
        for i in 0..20 {
            let point = [-1.0 + 0.1 * f64::from(i), 0.9 - 0.09 * f64::from(i)];
            let (a, b) = (old.value(&parameters, point), new.value(&refined, point));
            assert!((a - b).abs() < 1e-9, "{a} against {b}");
            moved += a.abs();
        }
        assert!(moved > 0.1, "the function is not zero");
        Ok(())
    }
}
