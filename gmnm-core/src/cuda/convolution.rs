//! Convolutions and their transposes by cuDNN.
//!
//! Weights are turned to `[out, kh, kw, in]`, which its kernels for tensor cores read, and their gradients back.

use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Result, Shape, Storage, Tensor};
use half::bf16;

use super::cudnn::{Element, Plan};
use crate::cpu::conv::geometry::Geometry;
use crate::ops::tape::{Backward, recorded};

/// A convolution or its transpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    geometry: Geometry,
    transposed: bool,
}

impl Convolution {
    /// The op, if cuDNN has it and its gradients: f32 or bf16, with sizes that fit an `int`.
    ///
    /// # Errors
    /// When cuDNN cannot be opened.
    pub(crate) fn new(geometry: &Geometry, transposed: bool, x: &Tensor) -> Result<Option<Self>> {
        let g = geometry;
        let images = [g.n * g.h * g.w * g.input, g.n * g.oh * g.ow * g.out];
        let Device::Cuda(device) = x.device() else {
            return Ok(None);
        };
        let known = images.iter().all(|&size| i32::try_from(size).is_ok())
            && match x.dtype() {
                DType::F32 => Plan::<f32>::new(g, device)?.is_some(),
                DType::BF16 => Plan::<bf16>::new(g, device)?.is_some(),
                _ => false,
            };
        Ok(known.then_some(Self {
            geometry: *geometry,
            transposed,
        }))
    }

    /// The convolution of `x` with `weight`, plus `bias`.
    ///
    /// # Errors
    /// When cuDNN fails.
    pub(crate) fn apply(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let filter = turned(weight, x.dtype())?;
        let y = match x.dtype() {
            DType::BF16 => self.output::<bf16>(&x, &filter)?,
            _ => self.output::<f32>(&x, &filter)?,
        };
        let g = &self.geometry;
        let shape = match self.transposed {
            true => (g.n, g.h, g.w, g.input),
            false => (g.n, g.oh, g.ow, g.out),
        };
        let y = recorded(self, &[&x, weight], y, Shape::from(shape))?;
        match bias {
            Some(bias) => y.broadcast_add(&bias.to_dtype(y.dtype())?),
            None => Ok(y),
        }
    }

    fn plan<T: Element>(&self, x: &Tensor) -> Result<Plan<T>> {
        let Device::Cuda(device) = x.device() else {
            candle_core::bail!("cuDNN convolves on CUDA devices");
        };
        match Plan::new(&self.geometry, device)? {
            Some(plan) => Ok(plan),
            None => candle_core::bail!("cuDNN does not have this convolution"),
        }
    }

    fn output<T: Element>(&self, x: &Tensor, filter: &Tensor) -> Result<Storage> {
        let plan = self.plan::<T>(x)?;
        match self.transposed {
            true => plan.data(x, filter),
            false => plan.forward(x, filter),
        }
    }

    fn gradients<T: Element>(&self, [x, weight, dy]: [&Tensor; 3]) -> Result<[Option<Tensor>; 2]> {
        let plan = self.plan::<T>(x)?;
        let tensor = |storage: Storage, shape: &Shape| {
            Tensor::from_storage(storage, shape.clone(), BackpropOp::none(), false)
        };
        let dx = if x.track_op() {
            let filter = turned(weight, x.dtype())?;
            let dx = match self.transposed {
                true => plan.forward(dy, &filter)?,
                false => plan.data(dy, &filter)?,
            };
            Some(tensor(dx, x.shape()))
        } else {
            None
        };
        let dw = if weight.track_op() {
            let (input, output) = if self.transposed { (dy, x) } else { (x, dy) };
            let g = &self.geometry;
            let dw = plan.filter(input, output)?;
            let dw = tensor(dw, &Shape::from((g.out, g.kh, g.kw, g.input)));
            let dw = dw.to_dtype(weight.dtype())?.permute((0, 3, 1, 2))?;
            Some(dw.contiguous()?)
        } else {
            None
        };
        Ok([dx, dw])
    }
}

/// `weight` `[out, in, kh, kw]` as `[out, kh, kw, in]` in `dtype`.
fn turned(weight: &Tensor, dtype: DType) -> Result<Tensor> {
    weight
        .detach()
        .to_dtype(dtype)?
        .permute((0, 2, 3, 1))?
        .contiguous()
}

impl Backward for Convolution {
    fn name(&self) -> &'static str {
        if self.transposed {
            "conv_transpose2d"
        } else {
            "conv2d"
        }
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let [x, weight] = inputs else {
            candle_core::bail!("a convolution has two operands");
        };
        let dy = gradient.to_dtype(x.dtype())?.contiguous()?;
        let all = [x, weight, &dy];
        let gradients = match x.dtype() {
            DType::BF16 => self.gradients::<bf16>(all)?,
            _ => self.gradients::<f32>(all)?,
        };
        Ok(gradients.into())
    }
}
