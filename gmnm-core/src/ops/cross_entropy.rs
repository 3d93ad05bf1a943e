//! Softmax cross-entropy with label smoothing.

use candle_core::{Result, Tensor};

/// The mean over the batch of the cross-entropy between softmax(`logits`) `[n, k]` and the classes `targets` `[n]`
/// (u32), smoothed: the target distribution is (1 − s)·one-hot + s/k, as in PyTorch. A scalar.
///
/// # Errors
/// When shapes do not fit or a target is not below k.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    let log_p = candle_nn::ops::log_softmax(logits, 1)?;
    let picked = log_p
        .gather(&targets.unsqueeze(1)?, 1)?
        .mean_all()?
        .affine(label_smoothing - 1.0, 0.0)?;
    picked - log_p.mean_all()?.affine(label_smoothing, 0.0)?
}
