//! Derivatives carried forward: value, gradient and Laplacian of a function over the plane, together.
//!
//! A second-order equation needs ∇u and Δu at every point, and training needs the parameters' derivatives of those.
//! Differentiating a backward pass again is slow and, on candle, silently wrong; here each layer maps the [`Jet`] of
//! its input to the jet of its output, and one reverse sweep through the jets gives a row of the Jacobian.

/// The dimension of the domain.
pub const DIM: usize = 2;

/// The parts of a [`Jet`].
pub(crate) const PARTS: usize = DIM + 2;

/// `[u, ∂u/∂x, ∂u/∂y, Δu]` at a point.
pub type Jet = [f64; PARTS];

/// A linear functional of a jet: the number c₀·u + c₁·∂u/∂x + c₂·∂u/∂y + c₃·Δu.
pub type Functional = [f64; PARTS];

/// The functional that is the value itself.
pub const VALUE: Functional = [1.0, 0.0, 0.0, 0.0];

/// `functional` applied to `jet`.
pub(crate) fn apply<const P: usize>(functional: &[f64; P], jet: &[f64; P]) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
