//! Derivatives carried forward: value, gradient and Laplacian of a network over the plane, together.
//!
//! A second-order equation needs ∇u and Δu at every point, and training needs the parameters' derivatives of those.
//! Differentiating a backward pass again is slow and, on candle, silently wrong; here each layer maps the [`Jet`] of
//! its input to the jet of its output, and one reverse sweep through the jets gives a row of the Jacobian.

use crate::layers::kan::SplineJets;
use crate::layers::mixture::MixtureJets;
use crate::layers::mlp::DenseJets;

/// The dimension of the domain.
pub const DIM: usize = 2;

/// The parts of a [`Jet`].
pub const PARTS: usize = DIM + 2;

/// `[u, ∂u/∂x, ∂u/∂y, Δu]` at a point.
pub type Jet = [f64; PARTS];

/// A linear functional of a jet: the number c₀·u + c₁·∂u/∂x + c₂·∂u/∂y + c₃·Δu.
pub type Functional = [f64; PARTS];

/// The functional that is the value itself.
pub const VALUE: Functional = [1.0, 0.0, 0.0, 0.0];

/// `functional` applied to `jet`.
pub fn apply<const P: usize>(functional: &[f64; P], jet: &[f64; P]) -> f64 {
    functional.iter().zip(jet).map(|(c, u)| c * u).sum()
}

/// The jet of f(z) from the jet of z: `f` holds f, f′ and f″ at z. Here and below P is 1 (values alone) or [`PARTS`].
pub(crate) fn compose<const P: usize>(z: &[f64; P], f: [f64; 3]) -> [f64; P] {
    let mut out = [f[0]; P];
    if P == PARTS {
        out[1] = f[1] * z[1];
        out[2] = f[1] * z[2];
        out[3] = f[1] * z[3] + f[2] * (z[1] * z[1] + z[2] * z[2]);
    }
    out
}

/// The adjoint of z from the adjoint of f(z): `f` holds f′, f″ and f‴ at z.
pub(crate) fn compose_adjoint<const P: usize>(
    z: &[f64; P],
    adjoint: &[f64; P],
    f: [f64; 3],
) -> [f64; P] {
    let mut out = [adjoint[0] * f[0]; P];
    if P == PARTS {
        let slope2 = z[1] * z[1] + z[2] * z[2];
        let along = adjoint[1] * z[1] + adjoint[2] * z[2];
        out[0] += along * f[1] + adjoint[3] * (f[1] * z[3] + f[2] * slope2);
        out[1] = adjoint[1] * f[0] + 2.0 * adjoint[3] * f[1] * z[1];
        out[2] = adjoint[2] * f[0] + 2.0 * adjoint[3] * f[1] * z[2];
        out[3] = adjoint[3] * f[0];
    }
    out
}

/// sum += scale·part
pub(crate) fn add<const P: usize>(sum: &mut [f64; P], scale: f64, part: &[f64; P]) {
    for (s, p) in sum.iter_mut().zip(part) {
        *s += scale * p;
    }
}

/// A layer between jets, over its own slice of parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum JetLayer {
    Mixture(MixtureJets),
    Dense(DenseJets),
    Spline(SplineJets),
}

impl JetLayer {
    /// Inputs, outputs, parameters.
    fn sizes(&self) -> (usize, usize, usize) {
        match self {
            Self::Mixture(l) => (l.inputs, l.outputs, l.parameter_count()),
            Self::Dense(l) => (l.inputs, l.outputs, l.parameter_count()),
            Self::Spline(l) => (l.inputs, l.outputs, l.parameter_count()),
        }
    }

    fn forward<const P: usize>(&self, parameters: &[f64], x: &[[f64; P]], out: &mut [[f64; P]]) {
        match self {
            Self::Mixture(l) => l.forward(parameters, x, out),
            Self::Dense(l) => l.forward(parameters, x, out),
            Self::Spline(l) => l.forward(parameters, x, out),
        }
    }

    /// Writes the parameters' derivatives to `row` and adds the inputs' adjoints to `back`.
    fn backward<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        adjoint: &[[f64; P]],
        back: &mut [[f64; P]],
        row: &mut [f64],
    ) {
        match self {
            Self::Mixture(l) => l.backward(parameters, x, adjoint, back, row),
            Self::Dense(l) => l.backward(parameters, x, adjoint, back, row),
            Self::Spline(l) => l.backward(parameters, x, adjoint, back, row),
        }
    }
}

/// A network from the plane to a number whose parameters are one flat slice, layer by layer.
///
/// Methods panic when `parameters` is shorter than [`JetNetwork::parameter_count`].
#[derive(Debug, Clone, PartialEq)]
pub struct JetNetwork {
    layers: Vec<JetLayer>,
}

impl JetNetwork {
    pub(crate) fn new(layers: Vec<JetLayer>) -> Self {
        Self { layers }
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(|l| l.sizes().2).sum()
    }

    /// The value of the output at `point`.
    pub fn value(&self, parameters: &[f64], point: [f64; DIM]) -> f64 {
        let all = self.forward(parameters, &point.map(|x| [x]));
        all[all.len() - 1][0]
    }

    /// The jet of the output at `point`.
    pub fn jet(&self, parameters: &[f64], point: [f64; DIM]) -> Jet {
        let all = self.forward(parameters, &coordinates(point));
        all[all.len() - 1]
    }

    /// `functional` of the jet at `point`.
    pub fn apply(&self, parameters: &[f64], point: [f64; DIM], functional: &Functional) -> f64 {
        if functional[1..] == VALUE[1..] {
            functional[0] * self.value(parameters, point)
        } else {
            apply(functional, &self.jet(parameters, point))
        }
    }

    /// `functional` of the jet at `point`, and its derivatives with respect to all parameters written to `row`.
    pub fn row(
        &self,
        parameters: &[f64],
        point: [f64; DIM],
        functional: &Functional,
        row: &mut [f64],
    ) -> f64 {
        if functional[1..] == VALUE[1..] {
            self.sweep(parameters, &point.map(|x| [x]), [functional[0]], row)
        } else {
            self.sweep(parameters, &coordinates(point), *functional, row)
        }
    }

    fn forward<const P: usize>(&self, parameters: &[f64], inputs: &[[f64; P]]) -> Vec<[f64; P]> {
        let width: usize = self.layers.iter().map(|l| l.sizes().1).sum();
        let mut all = vec![[0.0; P]; inputs.len() + width];
        all[..inputs.len()].copy_from_slice(inputs);
        let (mut start, mut at) = (0, 0);
        for layer in &self.layers {
            let (inputs, outputs, count) = layer.sizes();
            let (x, out) = all[at..at + inputs + outputs].split_at_mut(inputs);
            layer.forward(&parameters[start..start + count], x, out);
            (start, at) = (start + count, at + inputs);
        }
        all
    }

    fn sweep<const P: usize>(
        &self,
        parameters: &[f64],
        inputs: &[[f64; P]],
        functional: [f64; P],
        row: &mut [f64],
    ) -> f64 {
        let all = self.forward(parameters, inputs);
        let mut adjoints = vec![[0.0; P]; all.len()];
        let (mut end, mut at) = (self.parameter_count(), all.len() - 1);
        adjoints[at] = functional;
        for layer in self.layers.iter().rev() {
            let (inputs, outputs, count) = layer.sizes();
            let (before, after) = adjoints.split_at_mut(at);
            layer.backward(
                &parameters[end - count..end],
                &all[at - inputs..at],
                &after[..outputs],
                &mut before[at - inputs..],
                &mut row[end - count..end],
            );
            (end, at) = (end - count, at - inputs);
        }
        apply(&functional, &all[all.len() - 1])
    }
}

/// The jets of the two coordinates.
fn coordinates(point: [f64; DIM]) -> [Jet; DIM] {
    [[point[0], 1.0, 0.0, 0.0], [point[1], 0.0, 1.0, 0.0]]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    /// Holds the jets and rows of a network against central differences, at points inside and near the edge.
    pub(crate) fn check(network: &JetNetwork, parameters: &[f64], tolerance: f64) {
        assert_eq!(parameters.len(), network.parameter_count());
        let mut rng = Philox::new(7, 0);
        let value = |parameters: &[f64], x: f64, y: f64| network.value(parameters, [x, y]);
        for case in 0..12 {
            let [x, y] = [2.0 * rng.uniform() - 1.0, 2.0 * rng.uniform() - 1.0];
            let jet = network.jet(parameters, [x, y]);
            let (h, k) = (1e-5, 1e-4);
            let v = |dx: f64, dy: f64| value(parameters, x + dx, y + dy);
            let expected = [
                v(0.0, 0.0),
                (v(h, 0.0) - v(-h, 0.0)) / (2.0 * h),
                (v(0.0, h) - v(0.0, -h)) / (2.0 * h),
                (v(k, 0.0) + v(-k, 0.0) + v(0.0, k) + v(0.0, -k) - 4.0 * v(0.0, 0.0)) / (k * k),
            ];
            for (part, (got, want)) in jet.iter().zip(expected).enumerate() {
                assert!(
                    (got - want).abs() <= tolerance * 10.0 * (1.0 + want.abs()),
                    "case {case}, part {part}: {got} against {want}"
                );
            }
            let functional: Functional = std::array::from_fn(|_| rng.normal());
            let mut row = vec![f64::NAN; parameters.len()];
            let at = network.row(parameters, [x, y], &functional, &mut row);
            assert!((at - apply(&functional, &jet)).abs() <= 1e-11 * (1.0 + at.abs()));
            let mut value_row = vec![f64::NAN; parameters.len()];
            assert_eq!(
                network.row(parameters, [x, y], &VALUE, &mut value_row),
                jet[0]
            );
            let tiny: Functional = [1.0, 0.0, 0.0, 1e-300];
            let mut full_row = vec![f64::NAN; parameters.len()];
            network.row(parameters, [x, y], &tiny, &mut full_row);
            assert_eq!(value_row, full_row, "both paths give the same derivatives");
            for (i, got) in row.iter().enumerate() {
                let shifted = |delta: f64| {
                    let mut parameters = parameters.to_vec();
                    parameters[i] += delta;
                    apply(&functional, &network.jet(&parameters, [x, y]))
                };
                let want = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!(
                    (got - want).abs() <= tolerance * (1.0 + want.abs()),
                    "case {case}, parameter {i}: {got} against {want}"
                );
            }
        }
    }

    #[test]
    fn composition_matches_a_closed_form() {
        // u = sin(x²y): every part of the jet by hand.
        let [x, y] = [0.7, -0.4];
        let z = [x * x * y, 2.0 * x * y, x * x, 2.0 * y];
        let u = compose(&z, [z[0].sin(), z[0].cos(), -z[0].sin()]);
        let slope2 = 4.0 * x * x * y * y + x.powi(4);
        let expected = [
            z[0].sin(),
            z[0].cos() * 2.0 * x * y,
            z[0].cos() * x * x,
            z[0].cos() * 2.0 * y - z[0].sin() * slope2,
        ];
        for (got, want) in u.iter().zip(expected) {
            assert!((got - want).abs() < 1e-14);
        }
    }
}
