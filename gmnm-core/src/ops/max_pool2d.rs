//! Max pooling on channels-last input.

use candle_core::{Result, Tensor};

/// The maximum over `kernel`×`kernel` windows of `x` `[n, h, w, c]` at distance `stride`, as `[n, oh, ow, c]`; windows
/// lie inside the input. The gradient goes to the first maximum of each window, as in PyTorch.
///
/// # Errors
/// When `x` is not of rank 4 or smaller than one window.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if kernel != stride {
        candle_core::bail!("max_pool2d: kernel and stride differ");
    }
    let (oh, ow) = (h / kernel, w / kernel);
    x.narrow(1, 0, oh * kernel)?
        .narrow(2, 0, ow * kernel)?
        .contiguous()?
        .reshape((n, oh, kernel, ow, kernel * c))?
        .reshape(vec![n, oh, kernel, ow, kernel, c])?
        .max(4)?
        .max(2)
}
