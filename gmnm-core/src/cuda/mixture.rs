//! The Gaussian mixture on a device.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Buffer, Grid, KernelDevice};
use crate::cpu::mixture::Sizes;

/// Rows of a block, as in the kernels.
const ROWS: usize = 64;
/// Projections of a tile.
const TILE: usize = 64;
/// Elements of all shares of the parameters' gradient together, at most (256 MiB).
const SHARES: usize = 1 << 26;

/// A mixture of these sizes.
pub(crate) struct Mixture {
    device: KernelDevice,
    rows: usize,
    sizes: Sizes,
}

/// Centers, projections, weight and bias.
pub(crate) type Parameters<'a> = [&'a Tensor; 4];

impl Mixture {
    /// The op for `x`, if there are kernels for it: activations in f32 or bf16, parameters in f32, at most 64
    /// projections of a component. Shapes were checked.
    pub(crate) fn new(
        device: KernelDevice,
        sizes: Sizes,
        x: &Tensor,
        parameters: Parameters,
    ) -> Option<Self> {
        let taken = matches!(x.dtype(), DType::F32 | DType::BF16)
            && parameters.iter().all(|t| t.dtype() == DType::F32)
            && (sizes.summed || sizes.projections <= TILE)
            && x.elem_count() > 0;
        taken.then(|| Self {
            device,
            rows: x.elem_count() / sizes.inputs,
            sizes,
        })
    }

    /// The mixture of `x`, in `shape`.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        parameters: Parameters,
        shape: Vec<usize>,
    ) -> Result<Buffer> {
        let projected = self.projected(parameters)?;
        let mut out = self.device.buffer(shape, x.dtype())?;
        let kernel = self.kernel("forward", x.dtype(), self.sizes.outputs);
        let [.., weight, bias] = parameters;
        let mut all = vec![
            Argument::Read(x),
            projected.weight(parameters),
            Argument::Read(&projected.offset),
            Argument::Read(weight),
            Argument::Read(bias),
            Argument::Write(&mut out),
        ];
        all.extend(self.sizes());
        let grid = self.grid(kernel.width, self.sizes.outputs);
        // SAFETY: the kernel's arguments; each array has the length that the sizes say.
        unsafe { self.device.launch(&kernel.name, grid, &mut all)? };
        Ok(out)
    }

    /// The gradients of `x` and of the parameters.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn gradients(
        &self,
        x: &Tensor,
        parameters: Parameters,
        dy: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let projected = self.projected(parameters)?;
        let mut gradients = vec![None];
        if x.track_op() {
            gradients[0] = Some(self.input_gradient([x, dy], parameters, &projected)?);
        }
        if !parameters.iter().any(|parameter| parameter.track_op()) {
            gradients.resize(5, None);
            return Ok(gradients);
        }
        let flat = self.parameter_gradient([x, dy], parameters, &projected)?;
        let mut start = 0;
        for parameter in parameters {
            let count = parameter.elem_count();
            let part = || flat.narrow(0, start, count)?.reshape(parameter.shape());
            gradients.push(parameter.track_op().then(part).transpose()?);
            start += count;
        }
        Ok(gradients)
    }

    /// Projections of a component as the kernels see them: under Sum there is one.
    fn projections(&self) -> usize {
        if self.sizes.summed {
            1
        } else {
            self.sizes.projections
        }
    }

    /// Rows, d, m, r and o as the kernels take them.
    fn sizes<'a>(&self) -> [Argument<'a>; 5] {
        let s = &self.sizes;
        [
            self.rows,
            s.inputs,
            s.components,
            self.projections(),
            s.outputs,
        ]
        .map(Argument::Int)
    }

    fn projected(&self, [centers, projections, ..]: Parameters) -> Result<Projected> {
        let (d, m, r) = (self.sizes.inputs, self.sizes.components, self.projections());
        let mut offset = self.device.buffer(m * r, DType::F32)?;
        let mut summed = match self.sizes.summed {
            true => Some(self.device.buffer((m, d), DType::F32)?),
            false => None,
        };
        let grid = Grid {
            blocks: [m * r, 1, 1],
            threads: 128,
        };
        // SAFETY: as the kernel's signature; it writes a row of w and an offset for each block.
        unsafe {
            self.device.launch(
                "mixture_prepare",
                grid,
                &mut [
                    Argument::Read(centers),
                    Argument::Read(projections),
                    summed.as_mut().map_or(Argument::Nothing, Argument::Write),
                    Argument::Write(&mut offset),
                    Argument::Int(d),
                    Argument::Int(self.sizes.projections),
                    Argument::Int(usize::from(self.sizes.summed)),
                ],
            )?;
        }
        Ok(Projected {
            summed: summed.map(Buffer::tensor),
            offset: offset.tensor(),
        })
    }

    /// The instance of a kernel whose columns fit `columns` best.
    fn kernel(&self, what: &str, dtype: DType, columns: usize) -> Kernel {
        let width = match columns {
            ..=16 => 16,
            17..=64 => 64,
            _ => 128,
        };
        Kernel {
            name: format!("mixture_{what}_{}_{width}", dtype.as_str()),
            width,
        }
    }

    fn grid(&self, width: usize, columns: usize) -> Grid {
        Grid {
            blocks: [self.rows.div_ceil(ROWS), columns.div_ceil(width), 1],
            threads: 256,
        }
    }

    fn input_gradient(
        &self,
        [x, dy]: [&Tensor; 2],
        parameters: Parameters,
        projected: &Projected,
    ) -> Result<Tensor> {
        let mut dx = self.device.buffer(x.shape(), x.dtype())?;
        let kernel = self.kernel("input", x.dtype(), self.sizes.inputs);
        let [.., weight, _] = parameters;
        let mut all = vec![
            Argument::Read(x),
            projected.weight(parameters),
            Argument::Read(&projected.offset),
            Argument::Read(weight),
            Argument::Read(dy),
            Argument::Write(&mut dx),
        ];
        all.extend(self.sizes());
        let grid = self.grid(kernel.width, self.sizes.inputs);
        // SAFETY: the kernel's arguments; each array has the length that the sizes say.
        unsafe { self.device.launch(&kernel.name, grid, &mut all)? };
        Ok(dx.tensor())
    }

    /// That of all parameters, one after the other.
    fn parameter_gradient(
        &self,
        [x, dy]: [&Tensor; 2],
        parameters: Parameters,
        projected: &Projected,
    ) -> Result<Tensor> {
        let (d, m, o) = (self.sizes.inputs, self.sizes.components, self.sizes.outputs);
        let r = self.projections();
        let length = m * r * d + m * r + m * o + o;
        let tiles = [m.div_ceil(TILE / r), d.max(o).div_ceil(TILE)];
        let wanted = self.device.blocks().div_ceil(tiles[0] * tiles[1]);
        let most = self.rows.div_ceil(ROWS).min((SHARES / length).max(1));
        let share_rows = self
            .rows
            .div_ceil(wanted.clamp(1, most))
            .next_multiple_of(ROWS);
        let shares = self.rows.div_ceil(share_rows);
        let mut parts = self.device.buffer((shares, length), DType::F32)?;
        let name = format!("mixture_parameters_{}", x.dtype().as_str());
        let [centers, _, weight, _] = parameters;
        let grid = Grid {
            blocks: [tiles[0], tiles[1], shares],
            threads: 256,
        };
        let mut total = self.device.buffer(length, DType::F32)?;
        let elements: usize = parameters.iter().map(|t| t.elem_count()).sum();
        let mut gradient = self.device.buffer(elements, DType::F32)?;
        let mut all = vec![
            Argument::Read(x),
            projected.weight(parameters),
            Argument::Read(&projected.offset),
            Argument::Read(weight),
            Argument::Read(dy),
            Argument::Write(&mut parts),
        ];
        all.extend(self.sizes());
        all.push(Argument::Int(share_rows));
        // SAFETY: the kernels' arguments; each array has the length that the sizes say, and the blocks of a share write
        // all of it.
        unsafe {
            self.device.launch(&name, grid, &mut all)?;
            self.device.launch(
                "mixture_total",
                Grid {
                    blocks: [length.div_ceil(32), 1, 1],
                    threads: 256,
                },
                &mut [
                    Argument::Read(&parts.tensor()),
                    Argument::Write(&mut total),
                    Argument::Int(shares),
                    Argument::Long(length),
                ],
            )?;
            self.device.launch(
                "mixture_gradients",
                Grid::of_elements(m * d + o * m + o),
                &mut [
                    Argument::Read(&total.tensor()),
                    Argument::Read(centers),
                    projected.weight(parameters),
                    Argument::Write(&mut gradient),
                    Argument::Int(d),
                    Argument::Int(m),
                    Argument::Int(self.sizes.projections),
                    Argument::Int(o),
                    Argument::Int(usize::from(self.sizes.summed)),
                ],
            )?;
        }
        Ok(gradient.tensor())
    }
}

/// The projections as the kernels take them, and their products with the centers.
struct Projected {
    /// Each component's sum, under Sum.
    summed: Option<Tensor>,
    offset: Tensor,
}

impl Projected {
    fn weight<'a>(&'a self, [_, projections, ..]: Parameters<'a>) -> Argument<'a> {
        Argument::Read(self.summed.as_ref().unwrap_or(projections))
    }
}

struct Kernel {
    name: String,
    width: usize,
}
