//! Initial values, each with the reason for its scale.

use candle_nn::Init;

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
