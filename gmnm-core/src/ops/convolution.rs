//! What a convolution and its transpose share: each one's forward is the other's input gradient.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use super::cpu_storage::{ActivationElement, slice, with_activation, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::conv;
use crate::cpu::conv::geometry::Geometry;
use crate::cpu::conv::weight::weight_gradient;
use crate::cpu::product::products::Products;
use crate::cpu::reduce::column_sums;
use crate::cpu::simd::isa::Isa;

/// A convolution of this geometry, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub(super) geometry: Geometry,
    /// Whether the input is the convolution's output and the other way round.
    pub(super) transposed: bool,
    pub(super) products: Products,
}

impl Convolution {
    /// The convolution of `x` with `weight`, plus `bias`.
    ///
    /// # Errors
    /// When the bias does not have one number for each output channel.
    pub(super) fn apply(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (x, weight) = (x.contiguous()?, weight.contiguous()?);
        let [.., channels] = self.output();
        if let Some(bias) = bias
            && bias.dims() != [channels]
        {
            candle_core::bail!(
                "{}: the bias has shape {:?}, give it [{channels}], one number for each output channel",
                self.label(),
                bias.dims()
            );
        }
        #[cfg(feature = "cudnn")]
        if let Some(op) =
            crate::cuda::convolution::Convolution::new(&self.geometry, self.transposed, &x)?
        {
            return op.apply(&x, &weight, bias);
        }
        if !on_cpu(&x) {
            return composed::convolution(&self.geometry, self.transposed, &x, &weight, bias);
        }
        match bias {
            Some(bias) => tape::apply3(&x, &weight, &bias.contiguous()?, self),
            None => tape::apply2(&x, &weight, self),
        }
    }

    fn label(&self) -> &'static str {
        if self.transposed {
            "conv_transpose2d"
        } else {
            "conv2d"
        }
    }

    fn output(&self) -> [usize; 4] {
        let g = &self.geometry;
        if self.transposed {
            [g.n, g.h, g.w, g.input]
        } else {
            [g.n, g.oh, g.ow, g.out]
        }
    }

    /// One way; `back` is the other.
    fn pass<T: ActivationElement>(
        &self,
        back: bool,
        x: &[T],
        weight: &[T::Real],
        bias: Option<&[T::Real]>,
    ) -> Vec<T> {
        let pass = if self.transposed == back {
            conv::forward
        } else {
            conv::input_gradient
        };
        pass(Isa::best(), self.products, &self.geometry, x, weight, bias)
    }

    fn forward<T: ActivationElement>(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let name = self.label();
        let bias = bias
            .map(|(storage, layout)| slice::<T::Real>(name, storage, layout))
            .transpose()?;
        let x = slice::<T>(name, x.0, x.1)?;
        let weight = slice::<T::Real>(name, weight.0, weight.1)?;
        let y = self.pass(false, x, weight, bias);
        Ok((T::to_cpu_storage_owned(y), Shape::from(&self.output())))
    }

    fn backward<T: ActivationElement>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let name = self.label();
        fn like<E: WithDType>(tensor: &Tensor, values: Vec<E>) -> Result<Option<Tensor>> {
            Tensor::from_vec(values, tensor.shape(), tensor.device()).map(Some)
        }
        with_slice::<T, _>(name, dy, |dy| {
            let dx = if x.track_op() {
                let dx = with_slice(name, weight, |weight| Ok(self.pass(true, dy, weight, None)))?;
                like(x, dx)?
            } else {
                None
            };
            let dw = if weight.track_op() {
                let dw = with_slice(name, x, |x| {
                    let (input, output) = if self.transposed { (dy, x) } else { (x, dy) };
                    Ok(weight_gradient(
                        Isa::best(),
                        self.products,
                        &self.geometry,
                        input,
                        output,
                    ))
                })?;
                like(weight, dw)?
            } else {
                None
            };
            let db = match bias {
                Some(bias) if bias.track_op() => {
                    let [.., channels] = self.output();
                    like(bias, column_sums(Isa::best(), dy, channels))?
                }
                _ => None,
            };
            Ok([dx, dw, db])
        })
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_activation!(self.label(), x.dtype(), T => {
            self.forward::<T>((x, x_layout), (weight, weight_layout), None)
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = with_activation!(self.label(), x.dtype(), T => self.backward::<T>(x, weight, None, dy))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        self.label()
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
        with_activation!(self.label(), x.dtype(), T => {
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
        let [dx, dw, db] = with_activation!(self.label(), x.dtype(), T => {
            self.backward::<T>(x, weight, Some(bias), dy)
        })?;
        Ok((dx, dw, db))
    }
}
