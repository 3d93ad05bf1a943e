//! Convolutions and their transposes by cuDNN.
//!
//! Weights are turned to `[out, kh, kw, in]`, which its kernels for tensor cores read, and their gradients back.

use candle_core::{DType, Device, Result, Shape, Tensor};
use half::bf16;

use super::cudnn::{Element, Plan};
use super::launch::Buffer;
use crate::cpu::conv::geometry::Geometry;

/// Whether cuDNN has the convolution of `x` and its gradients: f32 or bf16, with sizes that fit an `int`.
///
/// # Errors
/// When cuDNN cannot be opened.
pub(crate) fn takes(g: &Geometry, x: &Tensor) -> Result<bool> {
    let images = [g.n * g.h * g.w * g.input, g.n * g.oh * g.ow * g.out];
    let Device::Cuda(device) = x.device() else {
        return Ok(false);
    };
    Ok(images.iter().all(|&size| i32::try_from(size).is_ok())
        && match x.dtype() {
            DType::F32 => Plan::<f32>::new(g, device)?.is_some(),
            DType::BF16 => Plan::<bf16>::new(g, device)?.is_some(),
            _ => false,
        })
}

/// The convolution of `x` with `weight`, or its transpose, where cuDNN [takes](takes) it.
///
/// # Errors
/// When cuDNN fails.
pub(crate) fn forward(
    g: &Geometry,
    transposed: bool,
    x: &Tensor,
    weight: &Tensor,
) -> Result<Buffer> {
    match x.dtype() {
        DType::BF16 => pass::<bf16>(g, transposed, x, weight),
        _ => pass::<f32>(g, transposed, x, weight),
    }
}

/// The gradients of the input and the weight, from that of the output.
///
/// # Errors
/// When cuDNN fails.
pub(crate) fn gradients(
    g: &Geometry,
    transposed: bool,
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
) -> Result<Vec<Option<Tensor>>> {
    let dx = x.track_op().then(|| match x.dtype() {
        DType::BF16 => pass::<bf16>(g, !transposed, dy, weight),
        _ => pass::<f32>(g, !transposed, dy, weight),
    });
    let (input, output) = if transposed { (dy, x) } else { (x, dy) };
    let dw = weight.track_op().then(|| {
        let dw = match x.dtype() {
            DType::BF16 => plan::<bf16>(g, x)?.filter(input, output)?,
            _ => plan::<f32>(g, x)?.filter(input, output)?,
        };
        let dw = Buffer::new(dw, (g.out, g.kh, g.kw, g.input), x.dtype()).tensor();
        let dw = dw.to_dtype(weight.dtype())?.permute((0, 3, 1, 2))?;
        dw.contiguous()
    });
    Ok(vec![dx.transpose()?.map(Buffer::tensor), dw.transpose()?])
}

/// One way of a convolution; its other way, the input's gradient, is that of the transpose.
fn pass<T: Element>(g: &Geometry, back: bool, x: &Tensor, weight: &Tensor) -> Result<Buffer> {
    let filter = weight
        .detach()
        .to_dtype(x.dtype())?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    let plan = plan::<T>(g, x)?;
    let (values, shape) = match back {
        true => (plan.data(x, &filter)?, (g.n, g.h, g.w, g.input)),
        false => (plan.forward(x, &filter)?, (g.n, g.oh, g.ow, g.out)),
    };
    Ok(Buffer::new(values, Shape::from(shape), x.dtype()))
}

fn plan<T: Element>(g: &Geometry, x: &Tensor) -> Result<Plan<T>> {
    let Device::Cuda(device) = x.device() else {
        candle_core::bail!("cuDNN convolves on CUDA devices");
    };
    match Plan::new(g, device)? {
        Some(plan) => Ok(plan),
        None => candle_core::bail!("cuDNN does not have this convolution"),
    }
}
