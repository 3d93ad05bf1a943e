//! Initial values, each with the reason for its scale.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::{Init, init::NormalOrUniform};

use crate::rng::Philox;

/// N(0, stdev²).
pub fn normal(stdev: f64) -> Init {
    Init::Randn { mean: 0.0, stdev }
}

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
    normal((2.0 / fan_in.max(1) as f64).sqrt())
}

/// The standard deviation of a [`Gmnm`](crate::Gmnm)'s projections for inputs of unit variance: 1/√(2·D·R).
///
/// A component sees x − μ, whose features have variance 1 + 1 when the centers are drawn as [`gmnm_centers`] does. So
/// p = w·(x − μ) has variance 2·D·σ², and both Σ_r p_r² and (Σ_r p_r)² have the mean 2·D·R·σ²: σ² = 1/(2·D·R) makes
/// E\[y²\] = 1 under either aggregation. Larger, φ = exp(−y²/2) and every gradient through it vanish; smaller, all
/// components see the same constant.
pub fn gmnm_projections(in_features: usize, projections: usize) -> Init {
    let variance = 1.0 / (2 * in_features * projections).max(1) as f64;
    normal(variance.sqrt())
}

/// A [`Gmnm`](crate::Gmnm)'s centers: standard normal, spread as inputs of unit variance are.
pub fn gmnm_centers() -> Init {
    normal(1.0)
}

/// A normal or uniform `init` whose draws are `scale` times as large (a normal one about its mean); others stay as they
/// are.
pub fn scaled(init: Init, scale: f64) -> Init {
    match init {
        Init::Randn { mean, stdev } => Init::Randn {
            mean,
            stdev: scale * stdev,
        },
        Init::Uniform { lo, up } => Init::Uniform {
            lo: scale * lo,
            up: scale * up,
        },
        other => other,
    }
}

/// A [`Gmnm`](crate::Gmnm)'s mixture weights, standard deviation 1/√M: E\[φ²\] is about 0.6 at E\[y²\] = 1, so M terms
/// sum to a variance of order 1.
pub fn gmnm_weight(components: usize) -> Init {
    normal(1.0 / (components.max(1) as f64).sqrt())
}

/// Convolution weights `[out, in, kh, kw]` under which each of the first min(out, in) channels passes through
/// unchanged, with odd kernels and same padding (PyTorch's `dirac_`); the other filters are zero.
///
/// # Errors
/// When the tensor cannot be made on `device`.
pub fn dirac(shape: [usize; 4], dtype: DType, device: &Device) -> Result<Tensor> {
    let [out, channels, kh, kw] = shape;
    let mut values = vec![0f32; shape.iter().product()];
    let center = (kh / 2) * kw + kw / 2;
    for channel in 0..out.min(channels) {
        values[(channel * channels + channel) * kh * kw + center] = 1.0;
    }
    Tensor::from_vec(values, &shape, device)?.to_dtype(dtype)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::random;
    use crate::ops::{Conv2dConfig, conv2d};

    fn deviation(init: Init, shape: &[usize]) -> f64 {
        let values = draw(&Shape::from(shape), init, &mut Philox::new(5, 1));
        (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn scales_are_as_documented() {
        let near = |found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
        };
        near(
            deviation(uniform_fan_in(48), &[64, 48]),
            (1f64 / 144.0).sqrt(),
        );
        near(deviation(he_normal(50), &[64, 50]), 0.2);
        near(deviation(gmnm_projections(50, 4), &[16, 4, 50]), 0.05);
        near(deviation(gmnm_weight(25), &[64, 25]), 0.2);
    }

    #[test]
    fn dirac_passes_channels_through() -> Result<()> {
        let x = random(&[1, 4, 5, 2], DType::F32, 1)?;
        let weight = dirac([3, 2, 3, 3], DType::F32, &Device::Cpu)?;
        let config = Conv2dConfig {
            padding: 1,
            ..Conv2dConfig::default()
        };
        let y = conv2d(&x, &weight, None, config)?;
        let difference = (y.narrow(3, 0, 2)? - &x)?.abs()?.max_all()?;
        assert_eq!(difference.to_scalar::<f32>()?, 0.0);
        assert_eq!(
            y.narrow(3, 2, 1)?.abs()?.max_all()?.to_scalar::<f32>()?,
            0.0
        );
        Ok(())
    }
}
