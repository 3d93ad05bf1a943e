//! Tensors one after the other on a device; their gradients are views, and nothing is added up.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::ops::tape::{Backward, recorded};

/// The elements of two or three `parts` as one axis, if there is a kernel for them: all in f32.
///
/// # Errors
/// When the launch fails.
pub(crate) fn join(device: &KernelDevice, parts: &[&Tensor]) -> Result<Option<Tensor>> {
    let fits = matches!(parts.len(), 2 | 3)
        && parts
            .iter()
            .all(|part| part.dtype() == DType::F32 && part.device().same_device(parts[0].device()));
    if !fits {
        return Ok(None);
    }
    let parts = parts.iter().map(|part| part.contiguous());
    let parts: Vec<Tensor> = parts.collect::<Result<_>>()?;
    let counts = [0, 1, 2].map(|i| parts.get(i).map_or(0, Tensor::elem_count));
    let total = counts.iter().sum();
    let mut to = device.buffer(total, DType::F32)?;
    // SAFETY: the kernel's arguments; each array has the elements that its count says, the last none where it is null.
    unsafe {
        device.launch(
            "join_f32",
            Grid::of_elements(total),
            &mut [
                Argument::Read(&parts[0]),
                Argument::Read(&parts[1]),
                parts.get(2).map_or(Argument::Nothing, Argument::Read),
                Argument::Write(&mut to),
                Argument::Long(counts[0]),
                Argument::Long(counts[1]),
                Argument::Long(counts[2]),
            ],
        )?;
    }
    let (storage, shape) = to.parts();
    let operands: Vec<&Tensor> = parts.iter().collect();
    recorded(Join, &operands, storage, shape).map(Some)
}

struct Join;

impl Backward for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.contiguous()?;
        let mut start = 0;
        let share = |part: &Tensor| {
            let count = part.elem_count();
            start += count;
            let view = || {
                gradient
                    .narrow(0, start - count, count)?
                    .reshape(part.shape())
            };
            part.track_op().then(view).transpose()
        };
        inputs.iter().map(share).collect()
    }
}
