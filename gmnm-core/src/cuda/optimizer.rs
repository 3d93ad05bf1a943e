//! An optimizer's step over many parameters in one launch.

use candle_core::{DType, Result, Tensor, Var};

use super::launch::{Arguments, Grid, KernelDevice};
use crate::cpu::optimizer::Step;

/// A parameter that takes part in a step. All its tensors have one shape, are contiguous and share no memory.
#[derive(Debug)]
pub(crate) struct Parameter<'a> {
    /// What is changed.
    pub(crate) value: &'a Var,
    /// Its gradient, or what it moves towards.
    pub(crate) gradient: Tensor,
    /// What the rule keeps from step to step.
    pub(crate) moments: &'a [Var],
    /// Learning rate of this parameter; for AdamW over the first moment's bias correction.
    pub(crate) rate: f64,
    /// 1 − learning rate·decay.
    pub(crate) shrink: f64,
}

/// Scalars where the gradients lie.
#[derive(Debug)]
pub(crate) struct Clipped {
    /// The norm of all gradients taken as one vector.
    pub(crate) norm: Tensor,
    /// The factor that brings the norm to the limit where it is above, else 1.
    pub(crate) scale: Tensor,
}

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
                address(&device, &parameter.gradient)?,
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

    /// The table, which a kernel takes first.
    fn arguments(&self) -> Arguments<'_> {
        Arguments::default().read([&self.parameters, &self.blocks])
    }

    /// # Safety
    /// `arguments` are the table and what `kernel` takes after it.
    unsafe fn launch(&self, kernel: &str, arguments: Arguments) -> Result<()> {
        let grid = Grid {
            blocks: [self.count, 1, 1],
            threads: 256,
        };
        // SAFETY: the table holds the addresses of tensors as long as it says, which its user keeps.
        unsafe { self.device.launch(kernel, grid, arguments) }
    }

    /// One step of all parameters, their gradients times `scale` where it is given.
    pub(crate) fn step(&self, step: &Step, scale: Option<&Tensor>) -> Result<()> {
        let all = self.arguments();
        let (kernel, all) = match step {
            Step::Sgd { momentum } => ("optimizer_sgd", all.read_some([scale]).reals([*momentum])),
            Step::Adamw(rule) => {
                let coefficients = [
                    rule.beta1,
                    rule.beta2,
                    1.0 - rule.beta1,
                    1.0 - rule.beta2,
                    1.0 / rule.second_correction,
                    rule.epsilon,
                ];
                (
                    "optimizer_adamw",
                    all.read_some([scale]).reals(coefficients),
                )
            }
            Step::Average { weight } => ("optimizer_average", all.reals([*weight])),
        };
        // SAFETY: the kernel's arguments.
        unsafe { self.launch(kernel, all) }
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
            let all = self.arguments().write([&mut shares]);
            self.launch("optimizer_squares", all)?;
            let shares = shares.tensor();
            let all = Arguments::default().read([&shares]).write([&mut clipped]);
            let all = all.ints([self.count]).reals([limit]);
            self.device.launch("optimizer_clip", grid, all)?;
        }
        let clipped = clipped.tensor();
        Ok(Clipped {
            norm: clipped.get(0)?,
            scale: clipped.get(1)?,
        })
    }
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
    let taken = |t: &Tensor| t.dtype() == DType::F32 && t.device().same_device(device);
    let all = |p: &Parameter| {
        taken(p.value) && taken(&p.gradient) && p.moments.iter().all(|moment| taken(moment))
    };
    match parameters.iter().all(all) {
        true => KernelDevice::of(first.value),
        false => Ok(None),
    }
}
