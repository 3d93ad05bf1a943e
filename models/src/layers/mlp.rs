//! A multilayer perceptron with tanh between its layers, the usual network for fitting and for PDEs.

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use super::Linear;
use crate::jet::{DIM, Functional, Jet, JetNetwork, compose, compose_adjoint, coordinates};

/// Linear layers `layers.0`, `layers.1`, … (`weight [out, in]`, `bias [out]`) with tanh between them.
#[derive(Debug, Clone)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// The network through `widths` (input first, output last), from `layers.N.weight` and `layers.N.bias`.
    ///
    /// Initial values are PyTorch's defaults for `Linear`: uniform in ±1/√fan_in.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(widths: &[usize], vb: VarBuilder) -> Result<Self> {
        let layer = |(i, pair): (usize, &[usize])| {
            Linear::new(pair[0], pair[1], vb.pp(format!("layers.{i}")))
        };
        let layers = widths.windows(2).enumerate().map(layer);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }
}

impl Module for Mlp {
    /// `[n, first width]` to `[n, last width]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?;
            if i + 1 < self.layers.len() {
                x = x.tanh()?;
            }
        }
        Ok(x)
    }
}

/// The jets of an [`Mlp`] from the plane to a number; the slice of parameters holds weight and bias of each layer in
/// turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlpJets {
    widths: Vec<usize>,
}

impl MlpJets {
    /// The jets of a network with these hidden widths.
    pub fn new(hidden: &[usize]) -> Self {
        let mut widths = vec![DIM];
        widths.extend_from_slice(hidden);
        widths.push(1);
        Self { widths }
    }

    /// Jets before (`z`) and after (`a`) each layer's tanh; `a[0]` are the coordinates.
    fn forward(&self, parameters: &[f64], point: [f64; DIM]) -> (Vec<Vec<Jet>>, Vec<Vec<Jet>>) {
        let mut a = vec![coordinates(point).to_vec()];
        let mut z = Vec::with_capacity(self.widths.len());
        let mut rest = parameters;
        for (l, pair) in self.widths.windows(2).enumerate() {
            let (weight, after) = rest.split_at(pair[0] * pair[1]);
            let (bias, after) = after.split_at(pair[1]);
            rest = after;
            let layer: Vec<Jet> = weight
                .chunks_exact(pair[0])
                .zip(bias)
                .map(|(weights, bias)| {
                    let mut jet = [*bias, 0.0, 0.0, 0.0];
                    for (w, input) in weights.iter().zip(&a[l]) {
                        for (sum, part) in jet.iter_mut().zip(input) {
                            *sum += w * part;
                        }
                    }
                    jet
                })
                .collect();
            if l + 2 < self.widths.len() {
                let tanh = |z: &Jet| {
                    let f = z[0].tanh();
                    let slope = 1.0 - f * f;
                    compose(z, [f, slope, -2.0 * f * slope])
                };
                a.push(layer.iter().map(tanh).collect());
            }
            z.push(layer);
        }
        (z, a)
    }
}

impl JetNetwork for MlpJets {
    fn parameter_count(&self) -> usize {
        self.widths.windows(2).map(|p| (p[0] + 1) * p[1]).sum()
    }

    fn jet(&self, parameters: &[f64], point: [f64; DIM]) -> Jet {
        let (z, _) = self.forward(parameters, point);
        z[z.len() - 1][0]
    }

    fn row(
        &self,
        parameters: &[f64],
        point: [f64; DIM],
        functional: &Functional,
        row: &mut [f64],
    ) -> f64 {
        let (z, a) = self.forward(parameters, point);
        let mut adjoint = vec![*functional];
        let mut end = parameters.len();
        for (l, pair) in self.widths.windows(2).enumerate().rev() {
            let bias = end - pair[1];
            let start = bias - pair[0] * pair[1];
            let mut inputs = vec![[0.0; DIM + 2]; pair[0]];
            for (o, adjoint) in adjoint.iter().enumerate() {
                row[bias + o] = adjoint[0];
                for (i, (input, back)) in a[l].iter().zip(&mut inputs).enumerate() {
                    let at = start + o * pair[0] + i;
                    row[at] = adjoint.iter().zip(input).map(|(g, u)| g * u).sum();
                    for (sum, g) in back.iter_mut().zip(adjoint) {
                        *sum += parameters[at] * g;
                    }
                }
            }
            if l > 0 {
                adjoint = z[l - 1]
                    .iter()
                    .zip(&a[l])
                    .zip(&inputs)
                    .map(|((z, a), back)| {
                        let f = a[0];
                        let slope = 1.0 - f * f;
                        let derivatives = [slope, -2.0 * f * slope, slope * (6.0 * f * f - 2.0)];
                        compose_adjoint(z, back, derivatives)
                    })
                    .collect();
            }
            end = start;
        }
        crate::jet::apply(functional, &z[z.len() - 1][0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    #[test]
    fn derivatives_match_differences() {
        for hidden in [&[1][..], &[7], &[5, 4], &[3, 2, 4]] {
            let jets = MlpJets::new(hidden);
            let mut rng = Philox::new(5, hidden.len() as u64);
            let parameters: Vec<f64> = (0..jets.parameter_count()).map(|_| rng.normal()).collect();
            crate::jet::tests::check(&jets, &parameters, 2e-6);
        }
    }
}
