//! A first convolution that whitens patches of the images, fixed before training.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::uniform_fan_in;
use gmnm_core::ops::{self, Activation, BatchNormConfig, Conv2dConfig};
use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, ensure, in_range};
use crate::eigen;

/// The settings of a [`Whitening`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhiteningConfig {
    /// Rows and columns of a patch.
    pub kernel: usize,
    /// ε, at least 0: added to each eigenvalue, so that directions in which patches hardly vary are not blown up.
    #[serde(default = "default_eps")]
    pub eps: f64,
}

fn default_eps() -> f64 {
    WhiteningConfig::EPS
}

impl WhiteningConfig {
    /// The ε that Keller Jordan takes for CIFAR-10.
    pub const EPS: f64 = 5e-4;

    /// Checks every field; `at` is the key of these settings.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub(crate) fn validate(&self, at: &str) -> std::result::Result<(), ConfigError> {
        in_range(&format!("{at}.kernel"), self.kernel, 1..=8)?;
        ensure(
            (0.0..=1e6).contains(&self.eps),
            &format!("{at}.eps"),
            || format!("it is {}; give a number from 0 to 1e6", self.eps),
        )
    }

    /// Features of the output: each direction of a patch and its opposite.
    pub fn features(&self, channels: usize) -> usize {
        2 * self.kernel * self.kernel * channels
    }
}

/// A convolution without padding whose filters are ±v/√(λ + ε) for the eigenvalues λ and eigenvectors v of the
/// patches' second moments (Keller Jordan, arXiv 2404.00498, section 3.1), a bias, and an activation.
///
/// The filters are the buffer `whitening` `[features, channels, kernel, kernel]`, which no optimizer touches: drawn at
/// random when they are new, and replaced by [`whitening_filters`] before training. `bias` `[features]` is trained.
#[derive(Debug, Clone)]
pub struct Whitening {
    filters: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    activation: Activation,
}

impl Whitening {
    /// The layer on images of `channels` channels.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(
        config: &WhiteningConfig,
        channels: usize,
        activation: Activation,
        vb: VarBuilder,
    ) -> Result<Self> {
        let (kernel, features) = (config.kernel, config.features(channels));
        let shape = (features, channels, kernel, kernel);
        let init = uniform_fan_in(kernel * kernel * channels);
        let filters = vb.get_with_hints(shape, "whitening", init)?;
        Ok(Self {
            filters: filters.detach(),
            bias: vb.get_with_hints(features, "bias", init)?,
            mean: Tensor::zeros(features, vb.dtype(), vb.device())?,
            var: Tensor::ones(features, vb.dtype(), vb.device())?,
            activation,
        })
    }

    /// `[n, h, w, channels]` to `[n, h − kernel + 1, w − kernel + 1, features]`.
    ///
    /// # Errors
    /// When an image is smaller than a patch.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let patches = ops::conv2d(images, &self.filters, None, Conv2dConfig::default())?;
        // Bias and activation in one pass: a normalisation by mean 0 and variance 1.
        let shift = BatchNormConfig {
            eps: 0.0,
            activation: self.activation,
            ..BatchNormConfig::default()
        };
        let (mean, var) = (&self.mean, &self.var);
        ops::batch_norm(&patches, None, Some(&self.bias), mean, var, &shift, false)
    }
}

/// The filters of a [`Whitening`] from normalised images `[n, h, w, channels]`, in f32.
///
/// # Errors
/// When an image is smaller than a patch, or the images hold a number that is not finite.
pub fn whitening_filters(images: &Tensor, config: &WhiteningConfig) -> Result<Tensor> {
    let WhiteningConfig { kernel, eps } = *config;
    let (n, h, w, channels) = images.dims4()?;
    if n == 0 || kernel == 0 || h < kernel || w < kernel {
        candle_core::bail!(
            "{n} images of {w}×{h} pixels hold no patch of {kernel}×{kernel} to whiten"
        );
    }
    let size = channels * kernel * kernel;
    let moments = second_moments(images, kernel)?;
    if moments.iter().any(|m| !m.is_finite()) {
        candle_core::bail!("the images hold numbers that are not finite, they cannot be whitened");
    }
    let (values, vectors) = eigen::symmetric(moments, size);
    let scaled = |sign: f64| {
        let rows = values.iter().zip(vectors.chunks_exact(size));
        rows.flat_map(move |(value, vector)| {
            let scale = sign / (value.max(0.0) + eps).sqrt();
            vector.iter().map(move |v| (scale * v) as f32)
        })
    };
    let filters: Vec<f32> = scaled(1.0).chain(scaled(-1.0)).collect();
    Tensor::from_vec(filters, (2 * size, channels, kernel, kernel), &Device::Cpu)
}

/// The mean of p·pᵀ over all patches p, in the order of a filter: channel, row, column.
fn second_moments(images: &Tensor, kernel: usize) -> Result<Vec<f64>> {
    let (n, h, w, channels) = images.dims4()?;
    let pixels: Vec<f32> = images.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let size = channels * kernel * kernel;
    let (mut moments, mut patch) = (vec![0f64; size * size], vec![0f32; size]);
    for image in pixels.chunks_exact(h * w * channels) {
        // Sums of one image stay small enough for f32.
        let mut sums = vec![0f32; size * size];
        for y in 0..=h - kernel {
            for x in 0..=w - kernel {
                for (i, value) in patch.iter_mut().enumerate() {
                    let (c, ky, kx) = (i / (kernel * kernel), i / kernel % kernel, i % kernel);
                    *value = image[((y + ky) * w + x + kx) * channels + c];
                }
                for (row, &a) in sums.chunks_exact_mut(size).zip(&patch) {
                    for (sum, &b) in row.iter_mut().zip(&patch) {
                        *sum += a * b;
                    }
                }
            }
        }
        for (moment, sum) in moments.iter_mut().zip(sums) {
            *moment += f64::from(sum);
        }
    }
    let patches = (n * (h - kernel + 1) * (w - kernel + 1)) as f64;
    Ok(moments.into_iter().map(|m| m / patches).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::gradient_check::random;

    fn config(kernel: usize) -> WhiteningConfig {
        WhiteningConfig {
            kernel,
            eps: WhiteningConfig::EPS,
        }
    }

    /// Correlated channels of unlike scales.
    fn images(channels: usize) -> Tensor {
        let noise = random(&[40, 9, 7, channels], DType::F32, 1).unwrap();
        let common = (noise.mean_keepdim(3).unwrap() * 4.0).unwrap();
        noise.broadcast_add(&common).unwrap()
    }

    #[test]
    fn whitened_patches_have_unit_second_moments() {
        for (channels, kernel) in [(3, 2), (1, 2), (1, 3)] {
            let images = images(channels);
            let filters = whitening_filters(&images, &config(kernel)).unwrap();
            let size = channels * kernel * kernel;
            assert_eq!(filters.dims(), [2 * size, channels, kernel, kernel]);
            let y = ops::conv2d(&images, &filters, None, Conv2dConfig::default()).unwrap();
            let y = y.reshape(((), 2 * size)).unwrap();
            let rows = y.dim(0).unwrap() as f64;
            let moments = (y.t().unwrap().matmul(&y).unwrap() / rows).unwrap();
            let moments = moments.to_vec2::<f32>().unwrap();
            for (i, row) in moments.iter().enumerate() {
                for (j, &m) in row.iter().enumerate() {
                    let expected = match (i % size == j % size, i == j) {
                        (true, true) => 1.0,
                        (true, false) => -1.0,
                        _ => 0.0,
                    };
                    assert!((m - expected).abs() < 0.02, "({i}, {j}): {m}");
                }
            }
        }
    }

    #[test]
    fn a_larger_eps_damps_the_directions_that_hardly_vary() {
        let images = images(3);
        let scales = |eps| {
            let filters = whitening_filters(&images, &WhiteningConfig { kernel: 2, eps }).unwrap();
            let squares = filters.sqr().unwrap().sum((1, 2, 3)).unwrap();
            squares.to_vec1::<f32>().unwrap()
        };
        // A filter's square is 1/(λ + ε).
        for (small, large) in scales(1e-3).into_iter().zip(scales(0.5)) {
            assert!(
                (1.0 / large - 1.0 / small - 0.499).abs() < 1e-3,
                "{small} {large}"
            );
        }
    }

    #[test]
    fn images_of_one_colour_give_finite_filters() {
        let filters = whitening_filters(
            &Tensor::ones((2, 4, 4, 3), DType::F32, &Device::Cpu).unwrap(),
            &config(2),
        )
        .unwrap();
        let sum = filters.abs().unwrap().sum_all().unwrap();
        assert!(sum.to_scalar::<f32>().unwrap().is_finite());
    }

    #[test]
    fn what_has_no_patch_is_refused() {
        let small = Tensor::ones((2, 1, 4, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(whitening_filters(&small, &config(2)).is_err());
        let nan = Tensor::full(f32::NAN, (1, 4, 4, 1), &Device::Cpu).unwrap();
        let error = whitening_filters(&nan, &config(2)).unwrap_err().to_string();
        assert!(error.contains("not finite"), "{error}");
    }

    #[test]
    fn the_layer_is_a_convolution_with_bias_and_activation() {
        let store = gmnm_core::ParamStore::new(1, DType::F32, &Device::Cpu);
        let config = config(2);
        let layer = Whitening::new(&config, 3, Activation::Relu, store.var_builder()).unwrap();
        let images = images(3);
        let y = layer.forward(&images).unwrap();
        assert_eq!(y.dims(), [40, 8, 6, 24]);
        let plain = Conv2dConfig::default();
        let (filters, bias) = (&layer.filters, Some(&layer.bias));
        let expected = ops::conv2d(&images, filters, bias, plain).unwrap();
        let difference = (y - expected.relu().unwrap()).unwrap().abs().unwrap();
        let largest = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest < 1e-5, "{largest}");
        let trained: Vec<String> = store.trainable().into_iter().map(|(n, _)| n).collect();
        assert_eq!(trained, ["bias"]);
    }
}
