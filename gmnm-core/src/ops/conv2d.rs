//! Two-dimensional convolution on channels-last input.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::cpu_storage::{Element, slice, with_element, with_slice};
use crate::cpu::conv::{self, Geometry};
use crate::cpu::conv_weight::weight_gradient;
use crate::cpu::dispatch::Path;
use crate::cpu::reduce::column_sums;

const NAME: &str = "conv2d";

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
    let geometry = geometry(x, weight, config)?;
    let op = Conv2d { geometry };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => {
            if bias.dims() != [geometry.out] {
                candle_core::bail!(
                    "conv2d: the bias has shape {:?}, give it [{}], one number for each output channel",
                    bias.dims(),
                    geometry.out
                );
            }
            x.apply_op3(&weight, &bias.contiguous()?, op)
        }
        None => x.apply_op2(&weight, op),
    }
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

struct Conv2d {
    geometry: Geometry,
}

impl Conv2d {
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
        let y = conv::forward(Path::best(), g, x, weight, bias);
        Ok((T::to_cpu_storage_owned(y), (g.n, g.oh, g.ow, g.out).into()))
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
                    Ok(conv::input_gradient(path, g, dy, weight, None))
                })?;
                Some(Tensor::from_vec(dx, x.shape(), x.device())?)
            } else {
                None
            };
            let dw = if weight.track_op() {
                let dw = with_slice(NAME, x, |x| Ok(weight_gradient(path, g, x, dy)))?;
                Some(Tensor::from_vec(dw, weight.shape(), weight.device())?)
            } else {
                None
            };
            let db = match bias {
                Some(bias) if bias.track_op() => {
                    let sums = column_sums(path, dy, g.out);
                    Some(Tensor::from_vec(sums, bias.shape(), bias.device())?)
                }
                _ => None,
            };
            Ok([dx, dw, db])
        })
    }
}

impl CustomOp2 for Conv2d {
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

impl CustomOp3 for Conv2d {
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
    use candle_core::{DType, Var};

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
        let weight = Var::from_tensor(&random(&[3, 2, 3, 3], DType::F32, 2).unwrap()).unwrap();
        let y = conv2d(&x, &weight, None, config(1, 1, 1)).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&x).is_none());
        assert!(grads.get(&weight).is_some());
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
        let half = x.to_dtype(DType::BF16).unwrap();
        assert!(conv2d(&half, &weight([3, 2, 3, 3]), None, config(1, 0, 1)).is_err());
    }
}
