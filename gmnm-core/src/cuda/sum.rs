//! The sum of two tensors on a device, whose backward copies nothing.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::ops::tape::{Backward, recorded};

/// `x` + `y` of one shape, if there are kernels for them: both in f32 or both in bf16.
///
/// # Errors
/// When the launch fails.
pub(crate) fn sum(device: &KernelDevice, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>> {
    let fits = matches!(x.dtype(), DType::F32 | DType::BF16)
        && x.dtype() == y.dtype()
        && x.dims() == y.dims()
        && x.device().same_device(y.device());
    if !fits {
        return Ok(None);
    }
    let (x, y) = (x.contiguous()?, y.contiguous()?);
    let count = x.elem_count();
    let mut to = device.buffer(x.shape(), x.dtype())?;
    let kernel = format!("sum_{}", x.dtype().as_str());
    let most = 8 * device.blocks();
    let grid = Grid {
        blocks: [count.div_ceil(256).min(most), 1, 1],
        threads: 256,
    };
    // SAFETY: the kernel's arguments; all three have `count` elements.
    unsafe {
        device.launch(
            &kernel,
            grid,
            &mut [
                Argument::Read(&x),
                Argument::Read(&y),
                Argument::Write(&mut to),
                Argument::Long(count),
            ],
        )?;
    }
    let (storage, shape) = to.parts();
    recorded(Sum, &[&x, &y], storage, shape).map(Some)
}

struct Sum;

impl Backward for Sum {
    fn name(&self) -> &'static str {
        "add"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let of = |t: &Tensor| t.track_op().then(|| gradient.clone());
        Ok(inputs.iter().map(of).collect())
    }
}
