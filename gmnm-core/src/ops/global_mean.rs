//! The mean over all positions of an image.

use candle_core::{Result, Tensor};

/// The mean of `x` `[n, h, w, c]` over height and width: `[n, c]`.
///
/// # Errors
/// When `x` is not of rank 4.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    x.reshape((n, h * w, c))?.mean(1)
}
