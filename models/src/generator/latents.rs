//! The distribution of latent vectors that samples are drawn from: one Gaussian, fitted to those of the training
//! images after training.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::cholesky;

const MEAN: &str = "latent_mean";
const FACTOR: &str = "latent_factor";

/// What is added to every variance, as a part of the mean variance: directions in which the latents do not vary, or
/// fewer latents than dimensions, leave the covariance singular.
const RIDGE: f64 = 1e-6;

/// A Gaussian over latent vectors by its mean `[latent]` and the lower triangle L of its covariance L·Lᵀ
/// `[latent, latent]`. Both are buffers of the network: saved, loaded and checked with its weights, never trained.
#[derive(Debug, Clone)]
pub struct Latents {
    mean: Tensor,
    factor: Tensor,
}

impl Latents {
    /// The Gaussian with its buffers `latent_mean` and `latent_factor` from `vb`; a new one is the point 0.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(latent: usize, vb: VarBuilder) -> Result<Self> {
        let zero = Init::Const(0.0);
        Ok(Self {
            mean: vb.get_with_hints(latent, MEAN, zero)?,
            factor: vb.get_with_hints((latent, latent), FACTOR, zero)?,
        })
    }

    /// The buffers of the Gaussian with the mean and the covariance of `latents` `[n, latent]`, to replace those of a
    /// network by their names. They are fitted in f64 on the CPU, and lie where the latents do.
    ///
    /// # Errors
    /// When there are no latents, or one is not finite.
    pub fn fit(latents: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        let (count, length) = latents.dims2()?;
        if count == 0 {
            candle_core::bail!("no latent vectors, a Gaussian needs some; give training images");
        }
        let (dtype, device) = (latents.dtype(), latents.device());
        let latents = latents.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mean = latents.mean(0)?;
        let centered = latents.broadcast_sub(&mean)?;
        let covariance = (centered.t()?.matmul(&centered)? / count as f64)?;
        let mut factor: Vec<f64> = covariance.flatten_all()?.to_vec1()?;
        let trace: f64 = factor.iter().step_by(length + 1).sum();
        // A tiny number besides, for latents that are all the same.
        let ridge = RIDGE * trace / length as f64 + 1e-12;
        for variance in factor.iter_mut().step_by(length + 1) {
            *variance += ridge;
        }
        if !cholesky::factor(&mut factor, length) {
            candle_core::bail!("the covariance of the latent vectors is not finite");
        }
        for (i, row) in factor.chunks_exact_mut(length).enumerate() {
            row[i + 1..].fill(0.0);
        }
        let factor = Tensor::from_vec(factor, (length, length), &Device::Cpu)?;
        let named = |name: &str, value: Tensor| {
            Ok((name.to_string(), value.to_dtype(dtype)?.to_device(device)?))
        };
        [named(MEAN, mean), named(FACTOR, factor)]
            .into_iter()
            .collect()
    }

    /// Standard normal `noise` `[n, latent]` as draws of this Gaussian.
    ///
    /// # Errors
    /// When the noise has another length.
    pub fn sample(&self, noise: &Tensor) -> Result<Tensor> {
        noise
            .matmul(&self.factor.t()?.contiguous()?)?
            .broadcast_add(&self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::ParamStore;
    use gmnm_core::rng::Philox;

    fn normal(count: usize, length: usize, name: &str) -> Tensor {
        let mut rng = Philox::named(3, name);
        let values: Vec<f64> = (0..count * length).map(|_| rng.normal()).collect();
        Tensor::from_vec(values, (count, length), &Device::Cpu).unwrap()
    }

    fn fitted(latents: &Tensor) -> Latents {
        let tensors = Latents::fit(latents).unwrap();
        let store = ParamStore::from_tensors(&tensors, DType::F64, &Device::Cpu).unwrap();
        assert!(store.trainable().is_empty());
        Latents::new(latents.dim(1).unwrap(), store.detached().var_builder()).unwrap()
    }

    #[test]
    fn samples_have_the_mean_and_the_covariance_of_the_latents() {
        // x = 5 + A·z has the covariance A·Aᵀ.
        let mixing = Tensor::new(
            &[[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 3.0, 0.1]],
            &Device::Cpu,
        );
        let mixing: Tensor = mixing.unwrap();
        let latents = normal(400, 3, "latents")
            .matmul(&mixing.t().unwrap())
            .unwrap();
        let latents = (latents + 5.0).unwrap();
        let moments = |x: &Tensor| {
            let mean = x.mean(0).unwrap();
            let centered = x.broadcast_sub(&mean).unwrap();
            let covariance = centered.t().unwrap().matmul(&centered).unwrap();
            let covariance = (covariance / x.dim(0).unwrap() as f64).unwrap();
            let all = Tensor::cat(&[mean, covariance.flatten_all().unwrap()], 0).unwrap();
            all.to_vec1::<f64>().unwrap()
        };
        // ±√3 along each axis: the mean is 0 and the covariance is the identity, without the error of random draws.
        let axes = (Tensor::eye(3, DType::F64, &Device::Cpu).unwrap() * 3f64.sqrt()).unwrap();
        let noise = Tensor::cat(&[&axes, &axes.neg().unwrap()], 0).unwrap();
        let samples = fitted(&latents).sample(&noise).unwrap();
        for (sampled, given) in moments(&samples).iter().zip(moments(&latents)) {
            assert!((sampled - given).abs() < 1e-4, "{sampled} and {given}");
        }
    }

    #[test]
    fn fewer_latents_than_dimensions_and_equal_ones_can_be_fitted() {
        let few = normal(2, 5, "few");
        let samples = fitted(&few).sample(&normal(100, 5, "noise")).unwrap();
        assert!(
            samples
                .abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap()
                < 20.0
        );
        let equal = Tensor::ones((4, 3), DType::F64, &Device::Cpu).unwrap();
        let samples = fitted(&equal).sample(&normal(100, 3, "noise")).unwrap();
        let off = (samples - 1.0).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f64>().unwrap() < 1e-4);
        let broken = (equal * f64::NAN).unwrap();
        assert!(Latents::fit(&broken).is_err());
    }
}
