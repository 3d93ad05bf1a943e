//! Two-dimensional convolution on channels-last input.

use candle_core::{Result, Tensor};

/// Geometry of a convolution, the same along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Step between two output positions, at least 1.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
    /// Distance between two kernel taps, at least 1.
    pub dilation: usize,
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
        }
    }
}

/// Convolves `x` `[n, h, w, in]` with `weight` `[out, in, kh, kw]` (PyTorch's layout), adds `bias` `[out]`, and
/// returns `[n, oh, ow, out]`.
///
/// # Errors
/// When shapes, dtypes or devices do not fit each other.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: Conv2dConfig,
) -> Result<Tensor> {
    let y = x
        .permute((0, 3, 1, 2))?
        .contiguous()?
        .conv2d(weight, config.padding, config.stride, config.dilation, 1)?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
