//! Softmax cross-entropy.

use candle_core::{DType, Result, Tensor};

use super::widened;

/// The mean cross-entropy with smoothed targets. A target that is no class makes it NaN: to say so in an error would
/// wait for the device.
pub(in crate::ops) fn cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    smoothing: f64,
) -> Result<Tensor> {
    let classes = logits.dim(1)?;
    let targets = targets.to_device(logits.device())?.to_dtype(DType::U32)?;
    let limit = Tensor::full(classes as u32, targets.shape(), targets.device())?;
    let valid = targets.lt(&limit)?;
    let targets = valid.where_cond(&targets, &targets.zeros_like()?)?;
    let log_p = candle_nn::ops::log_softmax(&widened(logits)?, 1)?;
    let picked = log_p.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let nan = Tensor::full(f32::NAN, picked.shape(), picked.device())?.to_dtype(picked.dtype())?;
    let picked = valid.where_cond(&picked, &nan)?.mean_all()?;
    picked.affine(smoothing - 1.0, 0.0)? - log_p.mean_all()?.affine(smoothing, 0.0)?
}
