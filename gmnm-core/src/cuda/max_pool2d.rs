//! Max pooling on a device.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};
use crate::ops::tape::{Backward, recorded};

/// A pooling of this geometry.
pub(crate) struct MaxPool2d {
    device: KernelDevice,
    geometry: PoolGeometry,
}

impl MaxPool2d {
    /// The op, if there are kernels for it: f32 or bf16, windows up to 16 wide.
    pub(crate) fn new(device: KernelDevice, x: &Tensor, geometry: PoolGeometry) -> Option<Self> {
        let fits = matches!(x.dtype(), DType::F32 | DType::BF16) && geometry.kernel <= MAX_KERNEL;
        fits.then_some(Self { device, geometry })
    }

    /// The maximum of each window.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn apply(self, x: &Tensor) -> Result<Tensor> {
        let (x, g) = (x.contiguous()?, &self.geometry);
        let shape = (g.n, g.oh, g.ow, g.c);
        let mut y = self.device.buffer(shape, x.dtype())?;
        let mut places = self.device.buffer(shape, DType::U8)?;
        let count = g.n * g.oh * g.ow * g.c;
        let mut arguments = vec![
            Argument::Read(&x),
            Argument::Write(&mut y),
            Argument::Write(&mut places),
            Argument::Long(count),
        ];
        arguments.extend(self.sizes());
        let kernel = format!("max_pool2d_forward_{}", x.dtype().as_str());
        // SAFETY: the kernel's arguments, of the lengths that the geometry says.
        unsafe {
            self.device
                .launch(&kernel, Grid::of_elements(count), &mut arguments)?
        };
        let (storage, shape) = y.parts();
        let done = Done {
            places: places.tensor(),
            op: self,
        };
        recorded(done, &[&x], storage, shape)
    }

    fn sizes<'a>(&self) -> [Argument<'a>; 7] {
        let g = &self.geometry;
        [g.h, g.w, g.c, g.oh, g.ow, g.kernel, g.stride].map(Argument::Int)
    }
}

/// After the forward.
struct Done {
    op: MaxPool2d,
    places: Tensor,
}

impl Backward for Done {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(x) = inputs.first() else {
            candle_core::bail!("max_pool2d has an operand");
        };
        let dy = gradient.to_dtype(x.dtype())?.contiguous()?;
        let mut dx = self.op.device.buffer(x.shape(), x.dtype())?;
        let mut arguments = vec![
            Argument::Read(&dy),
            Argument::Read(&self.places),
            Argument::Write(&mut dx),
            Argument::Long(x.elem_count()),
        ];
        arguments.extend(self.op.sizes());
        let kernel = format!("max_pool2d_input_{}", x.dtype().as_str());
        let grid = Grid::of_elements(x.elem_count());
        // SAFETY: the kernel's arguments, of the lengths that the geometry says.
        unsafe { self.op.device.launch(&kernel, grid, &mut arguments)? };
        Ok(vec![Some(dx.tensor())])
    }
}
