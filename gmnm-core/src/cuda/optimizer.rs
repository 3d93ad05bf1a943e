//! An optimizer's step over many parameters in one launch.

use candle_core::{DType, Result, Tensor};

use super::machine::{Argument, Grid, Machine};
use crate::update::{Adamw, Parameter, Sgd};

/// Elements of a block, as in the kernels.
const PER_BLOCK: usize = 2048;

/// Where the parameters lie: what the kernels read.
struct Table {
    machine: Machine,
    parameters: Tensor,
    blocks: Tensor,
    count: usize,
}

impl Table {
    fn new(machine: Machine, parameters: &[Parameter]) -> Result<Self> {
        let (mut rows, mut blocks) = (Vec::new(), Vec::new());
        for (i, parameter) in parameters.iter().enumerate() {
            let len = parameter.value.elem_count();
            let [first, second] = [0, 1].map(|i| match parameter.moments.get(i) {
                Some(moment) => address(&machine, moment),
                None => Ok(0),
            });
            let coefficients = [parameter.rate as f32, parameter.shrink as f32].map(f32::to_bits);
            rows.extend([
                address(&machine, parameter.value)? as i64,
                address(&machine, parameter.gradient)? as i64,
                first? as i64,
                second? as i64,
                len as i64,
                // Little-endian: the rate comes first in memory.
                (u64::from(coefficients[0]) | u64::from(coefficients[1]) << 32) as i64,
            ]);
            for start in (0..len).step_by(PER_BLOCK) {
                blocks.extend([i as i64, start as i64]);
            }
        }
        let count = blocks.len() / 2;
        let device = machine.device().clone();
        let (rows_len, blocks_len) = (rows.len(), blocks.len());
        Ok(Self {
            machine,
            parameters: Tensor::from_vec(rows, rows_len, &device)?,
            blocks: Tensor::from_vec(blocks, blocks_len, &device)?,
            count,
        })
    }

    /// # Safety
    /// `coefficients` are what `kernel` takes after the table.
    unsafe fn launch(&self, kernel: &str, coefficients: &[f64]) -> Result<()> {
        let grid = Grid {
            blocks: [self.count, 1, 1],
            threads: 256,
        };
        let mut arguments = vec![
            Argument::Read(&self.parameters),
            Argument::Read(&self.blocks),
        ];
        arguments.extend(coefficients.iter().map(|&c| Argument::Real(c)));
        // SAFETY: the table holds addresses of tensors as long as it says, borrowed by the caller.
        unsafe { self.machine.launch(kernel, grid, &mut arguments) }
    }
}

fn address(machine: &Machine, tensor: &Tensor) -> Result<u64> {
    let Some((start, _)) = tensor.layout().contiguous_offsets() else {
        candle_core::bail!("an optimizer needs contiguous tensors");
    };
    let start = (start * tensor.dtype().size_in_bytes()) as u64;
    Ok(machine.written_address(tensor)? + start)
}

/// The machine of the parameters, if the kernels take them: all in f32 on one device.
fn machine(parameters: &[Parameter]) -> Result<Option<Machine>> {
    let Some(first) = parameters.first() else {
        return Ok(None);
    };
    let device = first.value.device();
    let fits = |t: &Tensor| t.dtype() == DType::F32 && t.device().same_device(device);
    let all = |p: &Parameter| {
        fits(p.value) && fits(p.gradient) && p.moments.iter().all(|moment| fits(moment))
    };
    match parameters.iter().all(all) {
        true => Machine::of(first.value),
        false => Ok(None),
    }
}

/// One step of SGD, if there are kernels for it; whether it was taken.
pub(crate) fn sgd(parameters: &[Parameter], step: &Sgd) -> Result<bool> {
    let Some(machine) = machine(parameters)? else {
        return Ok(false);
    };
    let table = Table::new(machine, parameters)?;
    // SAFETY: the kernel's coefficients.
    unsafe { table.launch("optimizer_sgd", &[step.scale, step.momentum])? };
    Ok(true)
}

/// One step of AdamW, if there are kernels for it; whether it was taken.
pub(crate) fn adamw(parameters: &[Parameter], step: &Adamw) -> Result<bool> {
    let Some(machine) = machine(parameters)? else {
        return Ok(false);
    };
    let table = Table::new(machine, parameters)?;
    let coefficients = [
        step.scale,
        step.beta1,
        step.beta2,
        1.0 - step.beta1,
        1.0 - step.beta2,
        1.0 / step.second_correction,
        step.epsilon,
    ];
    // SAFETY: the kernel's coefficients.
    unsafe { table.launch("optimizer_adamw", &coefficients)? };
    Ok(true)
}

/// A step of a moving average, if there are kernels for it; whether it was taken.
pub(crate) fn average(parameters: &[Parameter], weight: f64) -> Result<bool> {
    let Some(machine) = machine(parameters)? else {
        return Ok(false);
    };
    let table = Table::new(machine, parameters)?;
    // SAFETY: the kernel's coefficients.
    unsafe { table.launch("optimizer_average", &[weight])? };
    Ok(true)
}
