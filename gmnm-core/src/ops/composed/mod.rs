//! Ops made of candle's, for devices that have no kernels of ours: right values and gradients before speed.
//!
//! What lies in a narrower type than f32 is computed in f32 and rounded once, at the end. Nothing here reads a value
//! back, so that a device is never waited for.

mod batch_norm;
mod convolution;
mod cross_entropy;
mod max_pool2d;

pub(super) use batch_norm::batch_norm;
pub(super) use convolution::convolution;
pub(super) use cross_entropy::cross_entropy;
pub(super) use max_pool2d::max_pool2d;

use candle_core::{DType, Result, Tensor};

/// `x` in f64 if it is, in f32 otherwise.
pub(super) fn widened(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F32 | DType::F64 => Ok(x.clone()),
        _ => x.to_dtype(DType::F32),
    }
}

/// The mean of `x` `[n, h, w, c]` over height and width, in f32 at least.
pub(super) fn global_mean(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    widened(x)?.reshape((n, h * w, c))?.mean(1)
}

/// The maximum of `x` `[n, h, w, c]` over height and width, in f32 at least. One of equal values takes the gradient.
pub(super) fn global_max(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let x = widened(x)?.contiguous()?.reshape((n, h * w, c))?;
    let x = x.transpose(1, 2)?.contiguous()?;
    let places = x.detach().argmax_keepdim(2)?;
    x.gather(&places, 2)?.squeeze(2)
}

/// `x` `[n, h, w, c]` times 1 + `factors` `[n, c]`.
pub(super) fn gate(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = x.dims4()?;
    let factors = (widened(factors)? + 1.0)?.reshape((n, 1, 1, c))?;
    widened(x)?.broadcast_mul(&factors)?.to_dtype(x.dtype())
}

/// The elements of all `parts`, one after the other.
pub(super) fn join(parts: &[&Tensor]) -> Result<Tensor> {
    let flat = parts.iter().map(|part| part.flatten_all());
    Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)
}

/// The slices start, start + step, ... of `axis`, `count` of them.
fn every(x: &Tensor, axis: usize, start: usize, step: usize, count: usize) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(axis, start, count);
    }
    let needed = start + count * step;
    let missing = needed.saturating_sub(x.dim(axis)?);
    let x = if missing > 0 {
        x.pad_with_zeros(axis, 0, missing)?
    } else {
        x.clone()
    };
    let mut dims = x.dims().to_vec();
    dims.splice(axis..=axis, [count, step]);
    x.narrow(axis, start, count * step)?
        .contiguous()?
        .reshape(dims)?
        .narrow(axis + 1, 0, 1)?
        .squeeze(axis + 1)
}
