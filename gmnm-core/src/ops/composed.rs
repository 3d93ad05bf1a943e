//! What the composed forms of several ops need.

use candle_core::{DType, Result, Tensor};

/// `x` in f64 if it is, in f32 otherwise.
pub(super) fn widened(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F32 | DType::F64 => Ok(x.clone()),
        _ => x.to_dtype(DType::F32),
    }
}

/// The slices start, start + step, ... of `axis`, `count` of them.
pub(super) fn every(
    x: &Tensor,
    axis: usize,
    start: usize,
    step: usize,
    count: usize,
) -> Result<Tensor> {
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
