//! What a classifier is taught where its classes have weights or its images are mixed.

use candle_core::{DType, Result, Tensor};

use crate::data::loader::Mixed;

/// The targets `[n, classes]` of images of the classes `labels` `[n]` (u32), for
/// [`soft_cross_entropy`](gmnm_core::ops::soft_cross_entropy).
///
/// Each image's is its class, or its two classes where it is `mixed` of two images, by their shares; of that the part
/// `smoothing` is spread over all classes. A class counts its weight, one of `weights` `[classes]`, and all are divided
/// by the weights of the images' own classes: what PyTorch's `CrossEntropyLoss(weight, label_smoothing)` computes.
///
/// # Errors
/// When shapes do not fit.
pub fn targets(
    labels: &Tensor,
    mixed: Option<&Mixed>,
    classes: usize,
    weights: Option<&Tensor>,
    smoothing: f64,
) -> Result<Tensor> {
    let all = Tensor::arange(0u32, classes as u32, labels.device())?.unsqueeze(0)?;
    let hot = |labels: &Tensor| {
        labels
            .unsqueeze(1)?
            .broadcast_eq(&all)?
            .to_dtype(DType::F32)
    };
    let mut shares = hot(labels)?;
    if let Some(Mixed {
        labels,
        shares: own,
    }) = mixed
    {
        let own = own.unsqueeze(1)?;
        let others = hot(labels)?.broadcast_mul(&own.affine(-1.0, 1.0)?)?;
        shares = (shares.broadcast_mul(&own)? + others)?;
    }
    let smoothed = shares.affine(1.0 - smoothing, smoothing / classes as f64)?;
    match weights {
        None => smoothed / labels.elem_count() as f64,
        Some(weights) => {
            let weights = weights.unsqueeze(0)?;
            let total = shares.broadcast_mul(&weights)?.sum_all()?;
            smoothed.broadcast_mul(&weights)?.broadcast_div(&total)
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use gmnm_core::gradient_check::random;
    use gmnm_core::ops::{cross_entropy, soft_cross_entropy};

    use super::*;

    fn tensor<T: candle_core::WithDType>(values: &[T]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn loss(logits: &Tensor, targets: &Tensor) -> f64 {
        let loss = soft_cross_entropy(logits, targets).unwrap();
        f64::from(loss.to_scalar::<f32>().unwrap())
    }

    #[test]
    fn without_weights_and_mixtures_it_is_the_cross_entropy() {
        let logits = random(&[4, 3], DType::F32, 1).unwrap();
        let labels = tensor(&[0u32, 2, 1, 2]);
        for smoothing in [0.0, 0.2] {
            let expected = cross_entropy(&logits, &labels, smoothing).unwrap();
            let expected = f64::from(expected.to_scalar::<f32>().unwrap());
            let equal = tensor(&[2f32, 2.0, 2.0]);
            for weights in [None, Some(&equal)] {
                let targets = targets(&labels, None, 3, weights, smoothing).unwrap();
                assert!((loss(&logits, &targets) - expected).abs() < 1e-6);
            }
        }
    }

    /// By the formula of PyTorch's documentation: Σ w[y]·l / Σ w[y].
    #[test]
    fn weights_count_as_in_the_formula() {
        let logits = random(&[4, 3], DType::F32, 1).unwrap();
        let labels = [0u32, 2, 1, 2];
        let weights = [0.5f32, 1.0, 4.0];
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, label) in labels.iter().enumerate() {
            let own = logits.narrow(0, row, 1).unwrap();
            let one = cross_entropy(&own, &tensor(&[*label]), 0.0).unwrap();
            let weight = f64::from(weights[*label as usize]);
            sum += weight * f64::from(one.to_scalar::<f32>().unwrap());
            total += weight;
        }
        let targets = targets(&tensor(&labels), None, 3, Some(&tensor(&weights)), 0.0).unwrap();
        assert!((loss(&logits, &targets) - sum / total).abs() < 1e-6);
    }

    #[test]
    fn a_mixture_is_taught_both_classes_by_their_shares() {
        let logits = random(&[2, 3], DType::F32, 1).unwrap();
        let [labels, others] = [[0u32, 2], [1, 2]].map(|labels| tensor(&labels));
        let mixed = Mixed {
            labels: others.clone(),
            shares: tensor(&[0.25f32, 0.6]),
        };
        let targets = targets(&labels, Some(&mixed), 3, None, 0.0).unwrap();
        let values = targets.to_vec2::<f32>().unwrap();
        let expected = [[0.125, 0.375, 0.0], [0.0, 0.0, 0.5]];
        for (row, expected) in values.iter().zip(expected) {
            for (value, expected) in row.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-6, "{values:?}");
            }
        }
        assert!(loss(&logits, &targets).is_finite());
    }
}
