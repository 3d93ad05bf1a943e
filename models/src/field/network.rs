//! A network between jets, its parameters in one flat slice.

use super::jet::{DIM, Functional, Jet, VALUE, apply};
use super::kan::SplineJets;
use super::mixture::MixtureJets;
use super::mlp::DenseJets;

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
}
