//! The Gaussian mixture on a device.

use candle_core::{DType, Result, Shape, Tensor};

use super::launch::{Arguments, Buffer, Grid, KernelDevice};
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
        let operands = projected.operands(x, parameters, parameters[3]);
        self.columns("forward", operands, shape.into(), self.sizes.outputs)
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
        let operands = projected.operands(x, parameters, dy);
        let input = || self.columns("input", operands, x.shape().clone(), self.sizes.inputs);
        let dx = x.track_op().then(input).transpose()?;
        let mut gradients = vec![dx.map(Buffer::tensor)];
        if !parameters.iter().any(|parameter| parameter.track_op()) {
            gradients.resize(5, None);
            return Ok(gradients);
        }
        let flat = self.parameter_gradient(operands, parameters)?;
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
    fn sizes(&self) -> [usize; 5] {
        let s = &self.sizes;
        [
            self.rows,
            s.inputs,
            s.components,
            self.projections(),
            s.outputs,
        ]
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
        let all = Arguments::default().read([centers, projections]);
        let all = match &mut summed {
            Some(summed) => all.write([summed]),
            None => all.read_some([None]),
        };
        let sizes = [d, self.sizes.projections, usize::from(self.sizes.summed)];
        let all = all.write([&mut offset]).ints(sizes);
        // SAFETY: as the kernel's signature; it writes a row of w and an offset for each block.
        unsafe { self.device.launch("mixture_prepare", grid, all)? };
        Ok(Projected {
            summed: summed.map(Buffer::tensor),
            offset: offset.tensor(),
        })
    }

    /// What the instance of a kernel gives whose columns fit `columns` best.
    fn columns(
        &self,
        what: &str,
        operands: [&Tensor; 5],
        shape: Shape,
        columns: usize,
    ) -> Result<Buffer> {
        let dtype = operands[0].dtype();
        let width = match columns {
            ..=16 => 16,
            17..=64 => 64,
            _ => 128,
        };
        let name = format!("mixture_{what}_{}_{width}", dtype.as_str());
        let grid = Grid {
            blocks: [self.rows.div_ceil(ROWS), columns.div_ceil(width), 1],
            threads: 256,
        };
        let mut out = self.device.buffer(shape, dtype)?;
        let all = Arguments::default().read(operands).write([&mut out]);
        // SAFETY: the kernel's arguments; each array has the length that the sizes say.
        unsafe { self.device.launch(&name, grid, all.ints(self.sizes()))? };
        Ok(out)
    }

    /// That of all parameters, one after the other.
    fn parameter_gradient(&self, operands: [&Tensor; 5], parameters: Parameters) -> Result<Tensor> {
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
        let [x, projections, ..] = operands;
        let name = format!("mixture_parameters_{}", x.dtype().as_str());
        let grid = Grid {
            blocks: [tiles[0], tiles[1], shares],
            threads: 256,
        };
        let mut total = self.device.buffer(length, DType::F32)?;
        let elements: usize = parameters.iter().map(|t| t.elem_count()).sum();
        let mut gradient = self.device.buffer(elements, DType::F32)?;
        let all = Arguments::default().read(operands).write([&mut parts]);
        let all = all.ints(self.sizes()).ints([share_rows]);
        // SAFETY: the kernel's arguments; each array has the length that the sizes say, and the blocks of a share write
        // all of it.
        unsafe { self.device.launch(&name, grid, all)? };
        let parts = parts.tensor();
        let all = Arguments::default().read([&parts]).write([&mut total]);
        let grid = Grid {
            blocks: [length.div_ceil(32), 1, 1],
            threads: 256,
        };
        // SAFETY: as above.
        unsafe {
            self.device
                .launch("mixture_total", grid, all.ints([shares]).long(length))?
        };
        let total = total.tensor();
        let summed = usize::from(self.sizes.summed);
        let all = Arguments::default()
            .read([&total, parameters[0], projections])
            .write([&mut gradient])
            .ints([d, m, self.sizes.projections, o, summed]);
        let grid = Grid::of_elements(m * d + o * m + o);
        // SAFETY: as above.
        unsafe { self.device.launch("mixture_gradients", grid, all)? };
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
    /// What the kernels read of rows `x`: the projections, their offsets, the weight and what stands `last`.
    fn operands<'a>(
        &'a self,
        x: &'a Tensor,
        [_, projections, weight, _]: Parameters<'a>,
        last: &'a Tensor,
    ) -> [&'a Tensor; 5] {
        let projections = self.summed.as_ref().unwrap_or(projections);
        [x, projections, &self.offset, weight, last]
    }
}
