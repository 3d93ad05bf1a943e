//! Convolutions as products: candle's own loses its gradient where a stride leaves part of a side over.

use candle_core::{Result, Tensor};

use super::{every, widened};
use crate::cpu::conv::geometry::Geometry;

/// The convolution of `x` with `weight`, or its transpose, plus `bias`.
pub(in crate::ops) fn convolution(
    g: &Geometry,
    transposed: bool,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (dtype, weight, x) = (x.dtype(), widened(weight)?, widened(x)?);
    let y = if transposed {
        spread(g, &x, &weight)?
    } else {
        let patches = patches(g, &x)?;
        let weight = weight.permute((2, 3, 1, 0))?.contiguous()?;
        let weight = weight.reshape((g.kh * g.kw * g.input, g.out))?;
        patches.matmul(&weight)?.reshape((g.n, g.oh, g.ow, g.out))?
    };
    match bias {
        Some(bias) => y.broadcast_add(&widened(bias)?)?.to_dtype(dtype),
        None => y.to_dtype(dtype),
    }
}

/// What each output position sees of `x`, tap by tap: `[n·oh·ow, kh·kw·in]`.
fn patches(g: &Geometry, x: &Tensor) -> Result<Tensor> {
    let x = x
        .pad_with_zeros(1, g.padding, g.padding)?
        .pad_with_zeros(2, g.padding, g.padding)?;
    let mut taps = Vec::with_capacity(g.kh * g.kw);
    for ky in 0..g.kh {
        let rows = every(&x, 1, ky * g.dilation, g.stride, g.oh)?;
        for kx in 0..g.kw {
            taps.push(every(&rows, 2, kx * g.dilation, g.stride, g.ow)?);
        }
    }
    let patches = Tensor::cat(&taps, 3)?;
    patches.reshape((g.n * g.oh * g.ow, g.kh * g.kw * g.input))
}

/// The transpose, whose gradient in candle is right.
fn spread(g: &Geometry, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let x = x.permute((0, 3, 1, 2))?.contiguous()?;
    let output_padding = g.h + 2 * g.padding - (g.oh - 1) * g.stride - g.kh;
    let weight = weight.contiguous()?;
    let y = x.conv_transpose2d(&weight, g.padding, output_padding, g.stride, g.dilation)?;
    y.permute((0, 2, 3, 1))?.contiguous()
}
