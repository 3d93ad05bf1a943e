//! A multilayer perceptron with tanh between its layers, the usual network for fitting and for PDEs.

use super::jet::{add, apply, compose, compose_adjoint};

/// A linear layer between jets, with or without tanh after it; the slice of parameters holds `weight [out, in]` and
/// `bias [out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DenseJets {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) tanh: bool,
}

impl DenseJets {
    pub(crate) fn parameter_count(&self) -> usize {
        (self.inputs + 1) * self.outputs
    }

    /// Before tanh.
    fn linear<const P: usize>(&self, parameters: &[f64], x: &[[f64; P]], o: usize) -> [f64; P] {
        let mut z = [0.0; P];
        z[0] = parameters[self.inputs * self.outputs + o];
        for (w, x) in parameters[o * self.inputs..(o + 1) * self.inputs]
            .iter()
            .zip(x)
        {
            add(&mut z, *w, x);
        }
        z
    }

    pub(crate) fn forward<const P: usize>(
        &self,
        parameters: &[f64],
        x: &[[f64; P]],
        out: &mut [[f64; P]],
    ) {
        for (o, out) in out.iter_mut().enumerate() {
            *out = self.linear(parameters, x, o);
            if self.tanh {
                let f = out[0].tanh();
                let slope = 1.0 - f * f;
                *out = compose(out, [f, slope, -2.0 * f * slope]);
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
        for (o, adjoint) in adjoint.iter().enumerate() {
            let mut by_z = *adjoint;
            if self.tanh {
                let z = self.linear(parameters, x, o);
                let f = z[0].tanh();
                let slope = 1.0 - f * f;
                let derivatives = [slope, -2.0 * f * slope, slope * (6.0 * f * f - 2.0)];
                by_z = compose_adjoint(&z, adjoint, derivatives);
            }
            row[self.inputs * self.outputs + o] = by_z[0];
            for (i, (x, back)) in x.iter().zip(back.iter_mut()).enumerate() {
                let at = o * self.inputs + i;
                row[at] = apply(&by_z, x);
                add(back, parameters[at], &by_z);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::network::{self, JetLayer, JetNetwork};
    use gmnm_core::rng::Philox;

    #[test]
    fn derivatives_match_differences() {
        for widths in [&[2, 1, 1][..], &[2, 7, 1], &[2, 5, 4, 1], &[2, 3, 2, 4, 1]] {
            let layers = widths.windows(2).enumerate().map(|(l, pair)| {
                JetLayer::Dense(DenseJets {
                    inputs: pair[0],
                    outputs: pair[1],
                    tanh: l + 2 < widths.len(),
                })
            });
            let network = JetNetwork::new(layers.collect());
            let mut rng = Philox::new(5, widths.len() as u64);
            let parameters: Vec<f64> = (0..network.parameter_count())
                .map(|_| rng.normal())
                .collect();
            network::tests::check(&network, &parameters, 2e-6);
        }
    }
}
