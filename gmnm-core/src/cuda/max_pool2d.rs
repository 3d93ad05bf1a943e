//! Max pooling on a device.

use candle_core::{DType, Result, Tensor};

use super::launch::{Arguments, Buffer, Grid, KernelDevice};
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};

/// The maximum of each window and its place there, if there are kernels for them: f32 or bf16, windows up to 16 wide.
///
/// # Errors
/// When the launch fails.
pub(crate) fn forward(
    device: &KernelDevice,
    g: &PoolGeometry,
    x: &Tensor,
) -> Result<Option<(Buffer, Tensor)>> {
    if !matches!(x.dtype(), DType::F32 | DType::BF16) || g.kernel > MAX_KERNEL {
        return Ok(None);
    }
    let shape = (g.n, g.oh, g.ow, g.c);
    let mut y = device.buffer(shape, x.dtype())?;
    let mut places = device.buffer(shape, DType::U8)?;
    let count = g.n * g.oh * g.ow * g.c;
    let arguments = Arguments::default()
        .read([x])
        .write([&mut y, &mut places])
        .long(count);
    let kernel = format!("max_pool2d_forward_{}", x.dtype().as_str());
    // SAFETY: the kernel's arguments, of the lengths that the geometry says.
    unsafe { device.launch(&kernel, Grid::of_elements(count), arguments.ints(sizes(g)))? };
    Ok(Some((y, places.tensor())))
}

/// The gradient of `x`, from that of the maxima and their places.
///
/// # Errors
/// When the launch fails.
pub(crate) fn gradient(
    device: &KernelDevice,
    g: &PoolGeometry,
    x: &Tensor,
    dy: &Tensor,
    places: &Tensor,
) -> Result<Tensor> {
    let mut dx = device.buffer(x.shape(), x.dtype())?;
    let count = x.elem_count();
    let arguments = Arguments::default()
        .read([dy, places])
        .write([&mut dx])
        .long(count);
    let kernel = format!("max_pool2d_input_{}", x.dtype().as_str());
    // SAFETY: the kernel's arguments, of the lengths that the geometry says.
    unsafe { device.launch(&kernel, Grid::of_elements(count), arguments.ints(sizes(g)))? };
    Ok(dx.tensor())
}

fn sizes(g: &PoolGeometry) -> [usize; 7] {
    [g.h, g.w, g.c, g.oh, g.ow, g.kernel, g.stride]
}
