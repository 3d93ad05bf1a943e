//! Which code computes an op: kernels of a CUDA device, kernels of the processor, or candle's ops.

use candle_core::{DType, Result, Tensor};

use super::tape::{Backward, Values, recorded};
use crate::cuda::{Buffer, KernelDevice};
use crate::route::on_cpu;

/// An op of one output, in each way that computes it.
pub(super) trait Op: Backward + Sized + 'static {
    /// The op's name, for errors.
    const NAME: &'static str;
    /// Whether the processor's kernels read activations in bf16, too.
    const BF16: bool = false;
    /// How many of the inputs are activations: the first ones. The others are parameters, in the type that the kernels
    /// compute in.
    const ACTIVATIONS: usize = 1;

    /// By the processor's kernels, of contiguous inputs that they take. What the backward needs beside them is kept.
    ///
    /// # Errors
    /// When the inputs are not those of the op.
    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values>;

    /// By the kernels of a CUDA device, if there are some for these contiguous inputs; else nothing has changed.
    ///
    /// # Errors
    /// When a launch fails.
    fn cuda(&mut self, _: KernelDevice, _: &[Tensor]) -> Result<Option<Buffer>> {
        Ok(None)
    }

    /// By candle's ops, for devices and types that have no kernels: right values and gradients before speed. What lies in
    /// a narrower type than f32 is computed in f32 and rounded once, at the end. Nothing reads a value back, so that a
    /// device is never waited for.
    ///
    /// # Errors
    /// Those of candle's ops.
    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor>;
}

/// `op` of `inputs`, computed by the fastest code for the device where the first of them lies.
///
/// # Errors
/// Those of the op.
pub(super) fn apply<O: Op>(mut op: O, inputs: &[&Tensor]) -> Result<Tensor> {
    match Kernels::of(inputs, O::ACTIVATIONS, O::BF16)? {
        Kernels::Cuda(device) => {
            let inputs = contiguous(inputs)?;
            if let Some(output) = op.cuda(device, &inputs)? {
                return recorded(O::NAME, op, &inputs, output.parts());
            }
        }
        Kernels::Cpu => {
            let inputs = contiguous(inputs)?;
            let output = op.cpu(&inputs)?;
            return recorded(O::NAME, op, &inputs, output);
        }
        Kernels::None => {}
    }
    op.composed(inputs)
}

/// Whose kernels compute an op.
pub(super) enum Kernels {
    /// A CUDA device's, if it has some for the op.
    Cuda(KernelDevice),
    /// The processor's.
    Cpu,
    /// Nobody's.
    None,
}

impl Kernels {
    /// Those for `inputs`, of which the first are activations; `bf16` tells whether the processor's read bf16.
    ///
    /// # Errors
    /// When a device's kernels cannot be compiled for it.
    pub(super) fn of(inputs: &[&Tensor], activations: usize, bf16: bool) -> Result<Self> {
        let x = inputs[0];
        if let Some(device) = KernelDevice::of(x)? {
            return Ok(Self::Cuda(device));
        }
        let computed = match x.dtype() {
            DType::BF16 if bf16 => DType::F32,
            DType::F32 | DType::F64 => x.dtype(),
            _ => return Ok(Self::None),
        };
        let (first, rest) = inputs.split_at(activations);
        let taken = on_cpu(x)
            && x.elem_count() > 0
            && inputs.iter().all(|t| t.device().is_cpu())
            && first.iter().all(|t| t.dtype() == x.dtype())
            && rest.iter().all(|t| t.dtype() == computed);
        Ok(if taken { Self::Cpu } else { Self::None })
    }
}

/// `tensors`, copied where they are not contiguous.
///
/// # Errors
/// When there is no memory for a copy.
pub(super) fn contiguous(tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
    tensors.iter().map(|tensor| tensor.contiguous()).collect()
}
