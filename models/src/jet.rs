//! Derivatives carried forward: value, gradient and Laplacian of a network over the plane, together.
//!
//! A second-order equation needs ∇u and Δu at every point, and training needs the parameters' derivatives of those.
//! Differentiating a backward pass again is slow and, on candle, silently wrong; here each layer maps the [`Jet`] of
//! its input to the jet of its output, and one reverse sweep through the jets gives a row of the Jacobian.

/// The dimension of the domain.
pub const DIM: usize = 2;

/// `[u, ∂u/∂x, ∂u/∂y, Δu]` at a point.
pub type Jet = [f64; DIM + 2];

/// A linear functional of a jet: the number c₀·u + c₁·∂u/∂x + c₂·∂u/∂y + c₃·Δu.
pub type Functional = [f64; DIM + 2];

/// The functional that is the value itself.
pub const VALUE: Functional = [1.0, 0.0, 0.0, 0.0];

/// The jets of the two coordinates at a point.
pub fn coordinates(point: [f64; DIM]) -> [Jet; DIM] {
    [[point[0], 1.0, 0.0, 0.0], [point[1], 0.0, 1.0, 0.0]]
}

/// `functional` applied to `jet`.
pub fn apply(functional: &Functional, jet: &Jet) -> f64 {
    functional.iter().zip(jet).map(|(c, u)| c * u).sum()
}

/// The jet of f(z) from the jet of z: `f` holds f, f′ and f″ at z.
pub(crate) fn compose(z: &Jet, f: [f64; 3]) -> Jet {
    let slope2 = z[1] * z[1] + z[2] * z[2];
    [f[0], f[1] * z[1], f[1] * z[2], f[1] * z[3] + f[2] * slope2]
}

/// The adjoint of z from the adjoint of f(z), both over the parts of a jet: `f` holds f′, f″ and f‴ at z.
pub(crate) fn compose_adjoint(z: &Jet, adjoint: &Jet, f: [f64; 3]) -> Jet {
    let slope2 = z[1] * z[1] + z[2] * z[2];
    let along = adjoint[1] * z[1] + adjoint[2] * z[2];
    [
        adjoint[0] * f[0] + along * f[1] + adjoint[3] * (f[1] * z[3] + f[2] * slope2),
        adjoint[1] * f[0] + 2.0 * adjoint[3] * f[1] * z[1],
        adjoint[2] * f[0] + 2.0 * adjoint[3] * f[1] * z[2],
        adjoint[3] * f[0],
    ]
}

/// A network over the plane whose parameters are one flat slice.
///
/// Methods panic when `parameters` is not [`JetNetwork::parameter_count`] long.
pub trait JetNetwork: Send + Sync {
    /// The number of parameters.
    fn parameter_count(&self) -> usize;

    /// The jet of the output at `point`.
    fn jet(&self, parameters: &[f64], point: [f64; DIM]) -> Jet;

    /// `functional` of the jet at `point`, and its derivatives with respect to all parameters written to `row`.
    fn row(
        &self,
        parameters: &[f64],
        point: [f64; DIM],
        functional: &Functional,
        row: &mut [f64],
    ) -> f64;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    /// Holds the jets and rows of a network against central differences, at points inside and near the edge.
    pub(crate) fn check(network: &dyn JetNetwork, parameters: &[f64], tolerance: f64) {
        assert_eq!(parameters.len(), network.parameter_count());
        let mut rng = Philox::new(7, 0);
        let value = |parameters: &[f64], x: f64, y: f64| network.jet(parameters, [x, y])[0];
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
