//! An optimizer's step over many parameters in one launch.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::update::{Adamw, Clipped, Parameter};

/// Elements of a block, as in the kernels.
const PER_BLOCK: usize = 2048;

/// Where the parameters lie: what the kernels read.
pub(crate) struct Table {
    device: KernelDevice,
    parameters: Tensor,
    blocks: Tensor,
    count: usize,
}

impl Table {
    /// The table of `parameters`, if there are kernels for them: all in f32 on one device that has kernels. Shapes were
    /// checked.
    pub(crate) fn new(parameters: &[Parameter]) -> Result<Option<Self>> {
        let Some(device) = device(parameters)? else {
            return Ok(None);
        };
        let (mut rows, mut blocks) = (Vec::new(), Vec::new());
        for (i, parameter) in parameters.iter().enumerate() {
            let len = parameter.value.elem_count();
            let [first, second] = [0, 1].map(|i| match parameter.moments.get(i) {
                Some(moment) => address(&device, moment),
                None => Ok(0),
            });
            let [rate, shrink] = [parameter.rate, parameter.shrink].map(|x| (x as f32).to_bits());
            rows.extend([
                address(&device, parameter.value)?,
                address(&device, parameter.gradient)?,
                first?,
                second?,
                len as i64,
                // Both devices and hosts of theirs are little-endian: the rate comes first in memory.
                (u64::from(rate) | (u64::from(shrink) << 32)) as i64,
            ]);
            for start in (0..len).step_by(PER_BLOCK) {
                blocks.extend([i as i64, start as i64]);
            }
        }
        let count = blocks.len() / 2;
        let on_device = |values: Vec<i64>| {
            let len = values.len();
            Tensor::from_vec(values, len, device.device())
        };
        Ok(Some(Self {
            parameters: on_device(rows)?,
            blocks: on_device(blocks)?,
            device,
            count,
        }))
    }

    /// # Safety
    /// `rest` is what `kernel` takes after the table.
    unsafe fn launch(&self, kernel: &str, rest: Vec<Argument>) -> Result<()> {
        let grid = Grid {
            blocks: [self.count, 1, 1],
            threads: 256,
        };
        let mut arguments = vec![
            Argument::Read(&self.parameters),
            Argument::Read(&self.blocks),
        ];
        arguments.extend(rest);
        // SAFETY: the table holds the addresses of tensors as long as it says, which its user keeps.
        unsafe { self.device.launch(kernel, grid, &mut arguments) }
    }

    /// One step of SGD.
    pub(crate) fn sgd(&self, scale: Option<&Tensor>, momentum: f64) -> Result<()> {
        // SAFETY: the kernel's arguments.
        unsafe {
            self.launch(
                "optimizer_sgd",
                vec![factor(scale), Argument::Real(momentum)],
            )
        }
    }

    /// One step of AdamW.
    pub(crate) fn adamw(&self, scale: Option<&Tensor>, step: &Adamw) -> Result<()> {
        let coefficients = [
            step.beta1,
            step.beta2,
            1.0 - step.beta1,
            1.0 - step.beta2,
            1.0 / step.second_correction,
            step.epsilon,
        ];
        let coefficients = coefficients.map(Argument::Real);
        let all = std::iter::once(factor(scale)).chain(coefficients);
        // SAFETY: the kernel's arguments.
        unsafe { self.launch("optimizer_adamw", all.collect()) }
    }

    /// The step of a moving average.
    pub(crate) fn average(&self, weight: f64) -> Result<()> {
        // SAFETY: the kernel's arguments.
        unsafe { self.launch("optimizer_average", vec![Argument::Real(weight)]) }
    }

    /// The norm of all gradients, and the factor that limits it.
    pub(crate) fn clip(&self, limit: f64) -> Result<Clipped> {
        let mut shares = self.device.buffer(self.count, DType::F32)?;
        let mut clipped = self.device.buffer(2, DType::F32)?;
        let grid = Grid {
            blocks: [1, 1, 1],
            threads: 256,
        };
        // SAFETY: the kernels' arguments; there is a share for each block.
        unsafe {
            self.launch("optimizer_squares", vec![Argument::Write(&mut shares)])?;
            self.device.launch(
                "optimizer_clip",
                grid,
                &mut [
                    Argument::Read(&shares.tensor()),
                    Argument::Write(&mut clipped),
                    Argument::Int(self.count),
                    Argument::Real(limit),
                ],
            )?;
        }
        let clipped = clipped.tensor();
        Ok(Clipped {
            norm: clipped.get(0)?,
            scale: clipped.get(1)?,
        })
    }
}

fn factor(scale: Option<&Tensor>) -> Argument<'_> {
    scale.map_or(Argument::Nothing, Argument::Read)
}

fn address(device: &KernelDevice, tensor: &Tensor) -> Result<i64> {
    let Some((start, _)) = tensor.layout().contiguous_offsets() else {
        candle_core::bail!("an optimizer needs contiguous tensors");
    };
    let start = (start * tensor.dtype().size_in_bytes()) as u64;
    Ok((device.written_address(tensor)? + start) as i64)
}

fn device(parameters: &[Parameter]) -> Result<Option<KernelDevice>> {
    let Some(first) = parameters.first() else {
        return Ok(None);
    };
    let device = first.value.device();
    let fits = |t: &Tensor| t.dtype() == DType::F32 && t.device().same_device(device);
    let all = |p: &Parameter| {
        fits(p.value) && fits(p.gradient) && p.moments.iter().all(|moment| fits(moment))
    };
    match parameters.iter().all(all) {
        true => KernelDevice::of(first.value),
        false => Ok(None),
    }
}
