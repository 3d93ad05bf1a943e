//! Initial values, each with the reason for its scale.

use candle_core::Shape;
use candle_nn::{Init, init::NormalOrUniform};

use crate::rng::Philox;

/// PyTorch's default for linear and convolution weights and biases: uniform in ±1/√fan_in (`kaiming_uniform_` with
/// a = √5), which keeps the standard deviation at 1/√(3·fan_in).
pub fn uniform_fan_in(fan_in: usize) -> Init {
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    Init::Uniform {
        lo: -bound,
        up: bound,
    }
}

/// He's normal initialisation, standard deviation √(2/fan_in): keeps the variance through a ReLU
/// (arXiv 1502.01852).
pub fn he_normal(fan_in: usize) -> Init {
    Init::Randn {
        mean: 0.0,
        stdev: (2.0 / fan_in.max(1) as f64).sqrt(),
    }
}

/// The values of a tensor of `shape` in row-major order.
pub(crate) fn draw(shape: &Shape, init: Init, rng: &mut Philox) -> Vec<f64> {
    let n = shape.elem_count();
    match init {
        Init::Const(value) => vec![value; n],
        Init::Randn { mean, stdev } => (0..n).map(|_| mean + stdev * rng.normal()).collect(),
        Init::Uniform { lo, up } => (0..n).map(|_| lo + (up - lo) * rng.uniform()).collect(),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape).max(1) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => (0..n).map(|_| stdev * rng.normal()).collect(),
                NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * stdev;
                    (0..n)
                        .map(|_| bound * (2.0 * rng.uniform() - 1.0))
                        .collect()
                }
            }
        }
    }
}
