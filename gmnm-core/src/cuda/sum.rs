//! The sum of two tensors on a device.

use candle_core::{DType, Result, Tensor};

use super::launch::{Arguments, Buffer, Grid, KernelDevice};

/// `x` + `y` of one shape, if there are kernels for them: both in f32 or both in bf16.
///
/// # Errors
/// When the launch fails.
pub(crate) fn sums(device: &KernelDevice, x: &Tensor, y: &Tensor) -> Result<Option<Buffer>> {
    let taken = matches!(x.dtype(), DType::F32 | DType::BF16)
        && x.dtype() == y.dtype()
        && x.device().same_device(y.device());
    if !taken {
        return Ok(None);
    }
    let count = x.elem_count();
    let mut sums = device.buffer(x.shape(), x.dtype())?;
    let kernel = format!("sum_{}", x.dtype().as_str());
    let grid = Grid {
        blocks: [count.div_ceil(256).min(8 * device.blocks()), 1, 1],
        threads: 256,
    };
    // SAFETY: the kernel's arguments; all three have `count` elements.
    unsafe {
        let arguments = Arguments::default().read([x, y]).write([&mut sums]);
        device.launch(&kernel, grid, arguments.long(count))?;
    }
    Ok(Some(sums))
}
