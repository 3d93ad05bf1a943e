//! Two-dimensional transposed convolution on channels-last input: the input gradient of a convolution as an op.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::cpu_storage::{Element, slice, with_element, with_slice};
use crate::cpu::conv::{self, Geometry};
use crate::cpu::conv_weight::weight_gradient;
use crate::cpu::dispatch::Path;
use crate::cpu::reduce::column_sums;

const NAME: &str = "conv_transpose2d";

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
    let geometry = geometry(x, weight, config)?;
    let op = ConvTranspose2d { geometry };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => {
            if bias.dims() != [geometry.input] {
                candle_core::bail!(
                    "conv_transpose2d: the bias has shape {:?}, give it [{}], one number for each output channel",
                    bias.dims(),
                    geometry.input
                );
            }
            x.apply_op3(&weight, &bias.contiguous()?, op)
        }
        None => x.apply_op2(&weight, op),
    }
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

struct ConvTranspose2d {
    geometry: Geometry,
}

impl ConvTranspose2d {
    fn forward<T: Element>(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let bias = bias
            .map(|(storage, layout)| slice::<T>(NAME, storage, layout))
            .transpose()?;
        let x = slice::<T>(NAME, x.0, x.1)?;
        let weight = slice::<T>(NAME, weight.0, weight.1)?;
        let y = conv::input_gradient(Path::best(), g, x, weight, bias);
        Ok((T::to_cpu_storage_owned(y), (g.n, g.h, g.w, g.input).into()))
    }

    fn backward<T: Element>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let g = &self.geometry;
        let path = Path::best();
        with_slice::<T, _>(NAME, dy, |dy| {
            let dx = if x.track_op() {
                let dx = with_slice(NAME, weight, |weight| {
                    Ok(conv::forward(path, g, dy, weight, None))
                })?;
                Some(Tensor::from_vec(dx, x.shape(), x.device())?)
            } else {
                None
            };
            let dw = if weight.track_op() {
                let dw = with_slice(NAME, x, |x| Ok(weight_gradient(path, g, dy, x)))?;
                Some(Tensor::from_vec(dw, weight.shape(), weight.device())?)
            } else {
                None
            };
            let db = match bias {
                Some(bias) if bias.track_op() => {
                    let sums = column_sums(path, dy, g.input);
                    Some(Tensor::from_vec(sums, bias.shape(), bias.device())?)
                }
                _ => None,
            };
            Ok([dx, dw, db])
        })
    }
}

impl CustomOp2 for ConvTranspose2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(NAME, x.dtype(), T => self.forward::<T>((x, x_layout), (weight, weight_layout), None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] =
            with_element!(NAME, x.dtype(), T => self.backward::<T>(x, weight, None, dy))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for ConvTranspose2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(NAME, x.dtype(), T => {
            self.forward::<T>((x, x_layout), (weight, weight_layout), Some((bias, bias_layout)))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] =
            with_element!(NAME, x.dtype(), T => self.backward::<T>(x, weight, Some(bias), dy))?;
        Ok((dx, dw, db))
    }
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
