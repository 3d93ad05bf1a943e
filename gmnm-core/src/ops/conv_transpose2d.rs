//! Two-dimensional transposed convolution on channels-last input: the input gradient of a convolution as an op.

use candle_core::{Result, Tensor};

use super::convolution::Convolution;
use crate::cpu::conv::geometry::Geometry;
use crate::precision::products;

/// Geometry of a transposed convolution, the same along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2dConfig {
    /// Step between the places of two input positions in the output, at least 1.
    pub stride: usize,
    /// Rows and columns cut off on each side.
    pub padding: usize,
    /// Rows and columns added at the end, less than the stride.
    pub output_padding: usize,
}

impl Default for ConvTranspose2dConfig {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            output_padding: 0,
        }
    }
}

/// Spreads `x` `[n, h, w, in]` with `weight` `[in, out, kh, kw]` (PyTorch's layout), adds `bias` `[out]`, and returns
/// `[n, oh, ow, out]` with oh = (h − 1)·stride − 2·padding + kh + output_padding.
///
/// The gradient of an input that no variable leads to is not computed.
///
/// # Errors
/// When shapes, dtypes or devices do not fit each other, a dimension is zero, or nothing is left of the output.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
) -> Result<Tensor> {
    let convolution = Convolution::<true> {
        geometry: geometry(x, weight, config)?,
        products: products(x),
    };
    convolution.apply(x, weight, bias)
}

/// The convolution whose input gradient this is: its output is `x`.
fn geometry(x: &Tensor, weight: &Tensor, config: ConvTranspose2dConfig) -> Result<Geometry> {
    let (n, oh, ow, out) = x.dims4()?;
    let (weight_out, input, kh, kw) = weight.dims4()?;
    let ConvTranspose2dConfig {
        stride,
        padding,
        output_padding,
    } = config;
    if weight_out != out {
        candle_core::bail!(
            "conv_transpose2d: the input has {out} channels, the weight {:?} expects {weight_out}",
            weight.dims()
        );
    }
    if [n, oh, ow, out, input, kh, kw, stride].contains(&0) {
        candle_core::bail!(
            "conv_transpose2d: input {:?}, weight {:?} and stride {stride} must not contain zero",
            x.dims(),
            weight.dims()
        );
    }
    if output_padding >= stride {
        candle_core::bail!(
            "conv_transpose2d: output padding {output_padding} must be less than the stride {stride}"
        );
    }
    let size = |size: usize, kernel: usize| {
        ((size - 1) * stride + kernel + output_padding)
            .checked_sub(2 * padding)
            .filter(|&size| size > 0)
    };
    let (Some(h), Some(w)) = (size(oh, kh), size(ow, kw)) else {
        candle_core::bail!(
            "conv_transpose2d: padding {padding} leaves nothing of the output; use less"
        );
    };
    Ok(Geometry {
        n,
        h,
        w,
        input,
        oh,
        ow,
        out,
        kh,
        kw,
        stride,
        padding,
        dilation: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use candle_core::DType;

    fn config(stride: usize, padding: usize, output_padding: usize) -> ConvTranspose2dConfig {
        ConvTranspose2dConfig {
            stride,
            padding,
            output_padding,
        }
    }

    const SHAPES: [(usize, usize, usize); 6] = [
        (1, 0, 0),
        (1, 1, 0),
        (2, 1, 0),
        (2, 1, 1),
        (3, 0, 2),
        (4, 1, 3),
    ];

    #[test]
    fn gradients_match_finite_differences() {
        for (stride, padding, output_padding) in SHAPES {
            let x = random(&[2, 3, 2, 3], DType::F64, 1).unwrap();
            let weight = random(&[3, 5, 3, 4], DType::F64, 2).unwrap();
            let bias = random(&[5], DType::F64, 3).unwrap();
            assert_gradients(&[x, weight, bias], 1e-7, |t| {
                let config = config(stride, padding, output_padding);
                conv_transpose2d(&t[0], &t[1], Some(&t[2]), config)
            });
        }
        let x = random(&[1, 4, 3, 2], DType::F64, 1).unwrap();
        let weight = random(&[2, 1, 2, 2], DType::F64, 2).unwrap();
        assert_gradients(&[x, weight], 1e-7, |t| {
            let x = t[0].transpose(1, 2)?.narrow(1, 1, 2)?;
            conv_transpose2d(&x, &t[1], None, config(2, 0, 0))
        });
    }

    #[test]
    fn agrees_with_candle_forward() {
        for (stride, padding, output_padding) in SHAPES {
            let x = random(&[2, 4, 5, 6], DType::F64, 1).unwrap();
            let weight = random(&[6, 9, 3, 3], DType::F64, 2).unwrap();
            let config = config(stride, padding, output_padding);
            let ours = conv_transpose2d(&x, &weight, None, config).unwrap();
            let nchw = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
            let theirs = nchw
                .conv_transpose2d(&weight, padding, output_padding, stride, 1)
                .unwrap();
            let theirs = theirs.permute((0, 2, 3, 1)).unwrap();
            let difference = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f64>().unwrap() < 1e-12);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[1, 4, 4, 2], DType::F32, 1).unwrap();
        let weight = |shape: [usize; 4]| random(&shape, DType::F32, 2).unwrap();
        assert!(conv_transpose2d(&x, &weight([3, 2, 3, 3]), None, config(1, 0, 0)).is_err());
        assert!(conv_transpose2d(&x, &weight([2, 3, 3, 3]), None, config(2, 0, 2)).is_err());
        assert!(conv_transpose2d(&x, &weight([2, 3, 3, 3]), None, config(1, 3, 0)).is_err());
        assert!(conv_transpose2d(&x, &weight([2, 3, 3, 3]), None, config(0, 0, 0)).is_err());
    }
}
