//! What a convolution and its transpose share: each one's forward is the other's input gradient.

use candle_core::{DType, Result, Tensor};

use super::composed::{every, widened};
use super::dispatch::{Op, apply};
use super::slices::{ActivationElement, elements, gradient_of, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::conv;
use crate::cpu::conv::geometry::Geometry;
use crate::cpu::conv::weight::weight_gradient;
use crate::cpu::product::products::Products;
use crate::cpu::reduce::column_sums;
use crate::cpu::simd::isa::Isa;
#[cfg(feature = "cudnn")]
use crate::cuda::{self, Buffer, KernelDevice};
use crate::route::on_cpu;

/// A convolution of this geometry, or the transpose of one: its input is the convolution's output and the other way round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution<const TRANSPOSED: bool> {
    pub(super) geometry: Geometry,
    pub(super) products: Products,
}

impl<const TRANSPOSED: bool> Convolution<TRANSPOSED> {
    /// The convolution of `x` with `weight`, plus `bias`.
    ///
    /// # Errors
    /// When the bias does not have one number for each output channel, or the processor does not know the type of `x`.
    pub(super) fn apply(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        if on_cpu(x) && !matches!(x.dtype(), DType::F32 | DType::F64 | DType::BF16) {
            candle_core::bail!(
                "{} takes f32, f64 or bf16 on the CPU, not {:?}; convert first",
                Self::NAME,
                x.dtype()
            );
        }
        let [.., channels] = self.output();
        let Some(bias) = bias else {
            return apply(self, &[x, weight]);
        };
        if bias.dims() != [channels] {
            candle_core::bail!(
                "{}: the bias has shape {:?}, give it [{channels}], one number for each output channel",
                Self::NAME,
                bias.dims()
            );
        }
        #[cfg(feature = "cudnn")]
        if cuda::convolution::takes(&self.geometry, x)? {
            let y = apply(self, &[x, weight])?;
            return y.broadcast_add(&bias.to_dtype(y.dtype())?);
        }
        apply(self, &[x, weight, bias])
    }

    fn output(&self) -> [usize; 4] {
        let g = &self.geometry;
        if TRANSPOSED {
            [g.n, g.h, g.w, g.input]
        } else {
            [g.n, g.oh, g.ow, g.out]
        }
    }

    /// One way; `back` is the other.
    fn pass<T: ActivationElement>(
        &self,
        back: bool,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Vec<T>> {
        let pass = if TRANSPOSED == back {
            conv::forward
        } else {
            conv::input_gradient
        };
        let (x, weight) = (elements::<T>(x)?, elements(weight)?);
        let bias = bias.map(elements).transpose()?;
        let (isa, products) = (Isa::best(), self.products);
        Ok(pass(
            isa,
            products,
            &self.geometry,
            &x,
            &weight,
            bias.as_deref(),
        ))
    }
}

impl<const TRANSPOSED: bool> Op for Convolution<TRANSPOSED> {
    const NAME: &'static str = if TRANSPOSED {
        "conv_transpose2d"
    } else {
        "conv2d"
    };
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x, weight] = operands(&inputs[..2])?;
        Ok(with_activation!(x.dtype(), T => {
            values(self.pass::<T>(false, x, weight, inputs.get(2))?, &self.output())
        }))
    }

    #[cfg(feature = "cudnn")]
    fn cuda(&mut self, _: KernelDevice, inputs: &[Tensor]) -> Result<Option<Buffer>> {
        let [x, weight] = operands(&inputs[..2])?;
        if inputs.len() > 2 || !cuda::convolution::takes(&self.geometry, x)? {
            return Ok(None);
        }
        cuda::convolution::forward(&self.geometry, TRANSPOSED, x, weight).map(Some)
    }

    /// As products: candle's own loses its gradient where a stride leaves part of a side over.
    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (dtype, g) = (inputs[0].dtype(), &self.geometry);
        let (weight, x) = (widened(inputs[1])?.contiguous()?, widened(inputs[0])?);
        let y = if TRANSPOSED {
            spread(g, &x, &weight)?
        } else {
            let patches = patches(g, &x)?;
            let weight = weight.permute((2, 3, 1, 0))?.contiguous()?;
            let weight = weight.reshape((g.kh * g.kw * g.input, g.out))?;
            patches.matmul(&weight)?.reshape((g.n, g.oh, g.ow, g.out))?
        };
        match inputs.get(2) {
            Some(bias) => y.broadcast_add(&widened(bias)?)?.to_dtype(dtype),
            None => y.to_dtype(dtype),
        }
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
    let y = x.conv_transpose2d(weight, g.padding, output_padding, g.stride, g.dilation)?;
    y.permute((0, 2, 3, 1))?.contiguous()
}

impl<const TRANSPOSED: bool> Backward for Convolution<TRANSPOSED> {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, weight] = operands(&inputs[..2])?;
        #[cfg(feature = "cudnn")]
        if x.device().is_cuda() {
            return cuda::convolution::gradients(&self.geometry, TRANSPOSED, x, weight, dy);
        }
        with_activation!(x.dtype(), T => {
            let dx = gradient_of(x, || self.pass::<T>(true, dy, weight, None))?;
            let dw = gradient_of(weight, || {
                let (x, dy) = (elements::<T>(x)?, elements(dy)?);
                let (input, output) = if TRANSPOSED { (&dy, &x) } else { (&x, &dy) };
                Ok(weight_gradient(Isa::best(), self.products, &self.geometry, input, output))
            })?;
            let mut gradients = vec![dx, dw];
            if let Some(bias) = inputs.get(2) {
                let [.., channels] = self.output();
                gradients.push(gradient_of(bias, || {
                    Ok(column_sums(Isa::best(), &elements::<T>(dy)?, channels))
                })?);
            }
            Ok(gradients)
        })
    }
}
