//! Two-dimensional convolution on channels-last input.

use candle_core::{Result, Tensor};

use super::convolution::Convolution;
use crate::cpu::conv::geometry::Geometry;
use crate::precision::products;

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
/// returns `[n, oh, ow, out]` with oh = (h + 2·padding − dilation·(kh − 1) − 1) / stride + 1, rounded down.
///
/// The gradient of an input that no variable leads to is not computed.
///
/// # Errors
/// When shapes, dtypes or devices do not fit each other, or a dimension is zero.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: Conv2dConfig,
) -> Result<Tensor> {
    let convolution = Convolution::<false> {
        geometry: geometry(x, weight, config)?,
        products: products(x),
    };
    convolution.apply(x, weight, bias)
}

fn geometry(x: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Geometry> {
    let (n, h, w, input) = x.dims4()?;
    let (out, weight_input, kh, kw) = weight.dims4()?;
    let Conv2dConfig {
        stride,
        padding,
        dilation,
    } = config;
    if weight_input != input {
        candle_core::bail!(
            "conv2d: the input has {input} channels, the weight {:?} expects {weight_input}",
            weight.dims()
        );
    }
    if [n, h, w, input, out, kh, kw, stride, dilation].contains(&0) {
        candle_core::bail!(
            "conv2d: input {:?}, weight {:?}, stride {stride} and dilation {dilation} must not contain zero",
            x.dims(),
            weight.dims()
        );
    }
    let size = |size: usize, kernel: usize| {
        let (size, reach) = (size + 2 * padding, dilation * (kernel - 1) + 1);
        (size >= reach).then(|| (size - reach) / stride + 1)
    };
    let (Some(oh), Some(ow)) = (size(h, kh), size(w, kw)) else {
        candle_core::bail!(
            "conv2d: an image of {h}×{w} with padding {padding} is smaller than a {kh}×{kw} kernel with dilation \
             {dilation}; pad it more"
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
        dilation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};
    use candle_core::DType;

    fn config(stride: usize, padding: usize, dilation: usize) -> Conv2dConfig {
        Conv2dConfig {
            stride,
            padding,
            dilation,
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        // (n, h, w, in, out, kh, kw, stride, padding, dilation)
        for (n, h, w, input, out, kh, kw, stride, padding, dilation) in [
            (2, 5, 7, 3, 5, 3, 3, 1, 1, 1),
            (1, 7, 5, 2, 3, 3, 3, 2, 1, 1),
            (2, 6, 6, 1, 17, 3, 3, 2, 0, 1),
            (1, 7, 8, 3, 2, 3, 2, 1, 2, 2),
            (1, 9, 9, 2, 3, 3, 3, 3, 2, 2),
            (3, 3, 4, 5, 3, 1, 1, 1, 0, 1),
            (1, 5, 5, 2, 3, 1, 1, 3, 0, 1),
            (1, 4, 4, 2, 2, 5, 5, 1, 3, 1),
            (1, 8, 6, 2, 3, 2, 4, 4, 1, 1),
            (1, 1, 1, 3, 4, 1, 1, 1, 0, 1),
            (1, 4, 3, 1, 1, 2, 2, 3, 4, 3),
        ] {
            let x = random(&[n, h, w, input], DType::F64, 1).unwrap();
            let weight = random(&[out, input, kh, kw], DType::F64, 2).unwrap();
            let bias = random(&[out], DType::F64, 3).unwrap();
            let config = config(stride, padding, dilation);
            assert_gradients(&[x, weight, bias], 1e-7, |t| {
                conv2d(&t[0], &t[1], Some(&t[2]), config)
            });
        }
    }

    #[test]
    fn gradients_reach_through_non_contiguous_operands() {
        let x = random(&[2, 3, 6, 5], DType::F64, 1).unwrap();
        let weight = random(&[3, 3, 4, 3], DType::F64, 2).unwrap();
        assert_gradients(&[x, weight], 1e-7, |t| {
            let x = t[0].permute((0, 2, 3, 1))?.narrow(1, 1, 4)?;
            conv2d(&x, &t[1].transpose(0, 2)?, None, config(1, 1, 1))
        });
    }

    #[test]
    fn agrees_with_candle_forward() {
        for (stride, padding, dilation) in [(1, 1, 1), (2, 1, 1), (1, 0, 2), (3, 2, 1)] {
            let x = random(&[3, 9, 8, 5], DType::F32, 1).unwrap();
            let weight = random(&[19, 5, 3, 3], DType::F32, 2).unwrap();
            let ours = conv2d(&x, &weight, None, config(stride, padding, dilation)).unwrap();
            let theirs = x
                .permute((0, 3, 1, 2))
                .unwrap()
                .contiguous()
                .unwrap()
                .conv2d(&weight, padding, stride, dilation, 1)
                .unwrap()
                .permute((0, 2, 3, 1))
                .unwrap();
            let difference = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        }
    }

    #[test]
    fn an_untracked_input_gets_no_gradient() {
        let x = random(&[1, 4, 4, 2], DType::F32, 1).unwrap();
        let weight = random(&[3, 2, 3, 3], DType::F32, 2).unwrap();
        for tracked in 0..2 {
            assert_only_tracked(&[x.clone(), weight.clone()], tracked, |t| {
                conv2d(&t[0], &t[1], None, config(1, 1, 1))
            });
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[1, 4, 4, 2], DType::F32, 1).unwrap();
        let weight = |shape: [usize; 4]| random(&shape, DType::F32, 2).unwrap();
        assert!(conv2d(&x, &weight([3, 1, 3, 3]), None, config(1, 1, 1)).is_err());
        assert!(conv2d(&x, &weight([3, 2, 5, 5]), None, config(1, 0, 1)).is_err());
        assert!(conv2d(&x, &weight([3, 2, 3, 3]), None, config(0, 0, 1)).is_err());
        let bias = random(&[2], DType::F32, 3).unwrap();
        assert!(conv2d(&x, &weight([3, 2, 3, 3]), Some(&bias), config(1, 0, 1)).is_err());
        let half = x.to_dtype(DType::F16).unwrap();
        assert!(conv2d(&half, &weight([3, 2, 3, 3]), None, config(1, 0, 1)).is_err());
    }
}
