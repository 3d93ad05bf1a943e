//! The Gaussian mixture on a device.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::Aggregation;
use crate::ops::join;
use crate::ops::tape::{Backward, recorded};

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
    d: usize,
    m: usize,
    /// Projections of the parameters.
    r: usize,
    o: usize,
    summed: bool,
}

impl Mixture {
    /// The op for `x`, if there are kernels for it: activations in f32 or bf16, parameters in f32, at most 64
    /// projections of a component. Shapes were checked.
    pub(crate) fn new(
        device: KernelDevice,
        x: &Tensor,
        [centers, projections, weight]: [&Tensor; 3],
        aggregation: Aggregation,
    ) -> Result<Option<Self>> {
        let (m, r, d) = projections.dims3()?;
        let summed = aggregation == Aggregation::Sum;
        let parameters = [centers, projections, weight];
        let fits = matches!(x.dtype(), DType::F32 | DType::BF16)
            && parameters.iter().all(|t| t.dtype() == DType::F32)
            && (summed || r <= TILE)
            && x.elem_count() > 0;
        Ok(fits.then_some(Self {
            device,
            rows: x.elem_count() / d,
            d,
            m,
            r,
            o: weight.dim(0)?,
            summed,
        }))
    }

    /// The mixture of `x`.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn apply(
        self,
        x: &Tensor,
        centers: &Tensor,
        projections: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let bias = match bias {
            Some(bias) => bias.to_dtype(DType::F32)?,
            None => Tensor::zeros(self.o, DType::F32, x.device())?,
        };
        let flat = join(&[centers, projections, weight, &bias])?;
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.o;
        }
        let projected = self.projected(&flat)?;
        let mut out = self.device.buffer(dims, x.dtype())?;
        let kernel = self.kernel("forward", x.dtype(), self.o);
        let [.., weight, bias] = self.parts();
        let [d, m, r, o] = self.sizes();
        // SAFETY: the kernel's arguments; each array has the length that the sizes say.
        unsafe {
            self.device.launch(
                &kernel.name,
                self.grid(kernel.width, self.o),
                &mut [
                    Argument::Read(&x),
                    projected.weight(&self, &flat),
                    Argument::Read(&projected.offset),
                    Argument::Part(&flat, weight),
                    Argument::Part(&flat, bias),
                    Argument::Write(&mut out),
                    Argument::Int(self.rows),
                    Argument::Int(d),
                    Argument::Int(m),
                    Argument::Int(r),
                    Argument::Int(o),
                ],
            )?;
        }
        let (storage, shape) = out.parts();
        recorded(self, &[&x, &flat], storage, shape)
    }

    /// Where centers, projections, weight and bias lie in the flat parameters.
    fn parts(&self) -> [std::ops::Range<usize>; 4] {
        let mut start = 0;
        let sizes = [
            self.m * self.d,
            self.m * self.r * self.d,
            self.o * self.m,
            self.o,
        ];
        sizes.map(|size| {
            start += size;
            start - size..start
        })
    }

    /// d, m, r and o as the kernels see them: under Sum there is one projection.
    fn sizes(&self) -> [usize; 4] {
        let r = if self.summed { 1 } else { self.r };
        [self.d, self.m, r, self.o]
    }

    fn projected(&self, flat: &Tensor) -> Result<Projected> {
        let [d, m, r, _] = self.sizes();
        let mut offset = self.device.buffer(m * r, DType::F32)?;
        let mut summed = match self.summed {
            true => Some(self.device.buffer((m, d), DType::F32)?),
            false => None,
        };
        let [centers, projections, ..] = self.parts();
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
                    Argument::Part(flat, centers),
                    Argument::Part(flat, projections),
                    match &mut summed {
                        Some(buffer) => Argument::Write(buffer),
                        None => Argument::Nothing,
                    },
                    Argument::Write(&mut offset),
                    Argument::Int(d),
                    Argument::Int(self.r),
                    Argument::Int(usize::from(self.summed)),
                ],
            )?;
        }
        Ok(Projected {
            summed: summed.map(|buffer| buffer.tensor()),
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

    fn input_gradient(&self, [x, flat, dy]: [&Tensor; 3], projected: &Projected) -> Result<Tensor> {
        let mut dx = self.device.buffer(x.shape(), x.dtype())?;
        let kernel = self.kernel("input", x.dtype(), self.d);
        let [.., weight, _] = self.parts();
        let [d, m, r, o] = self.sizes();
        // SAFETY: the kernel's arguments; each array has the length that the sizes say.
        unsafe {
            self.device.launch(
                &kernel.name,
                self.grid(kernel.width, self.d),
                &mut [
                    Argument::Read(x),
                    projected.weight(self, flat),
                    Argument::Read(&projected.offset),
                    Argument::Part(flat, weight),
                    Argument::Read(dy),
                    Argument::Write(&mut dx),
                    Argument::Int(self.rows),
                    Argument::Int(d),
                    Argument::Int(m),
                    Argument::Int(r),
                    Argument::Int(o),
                ],
            )?;
        }
        Ok(dx.tensor())
    }

    fn parameter_gradient(
        &self,
        [x, flat, dy]: [&Tensor; 3],
        projected: &Projected,
    ) -> Result<Tensor> {
        let [d, m, r, o] = self.sizes();
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
        let [centers, _, weight, _] = self.parts();
        let grid = Grid {
            blocks: [tiles[0], tiles[1], shares],
            threads: 256,
        };
        let mut total = self.device.buffer(length, DType::F32)?;
        let mut gradient = self.device.buffer(flat.shape(), DType::F32)?;
        // SAFETY: the kernels' arguments; each array has the length that the sizes say, and the blocks of a share write
        // all of it.
        unsafe {
            self.device.launch(
                &name,
                grid,
                &mut [
                    Argument::Read(x),
                    projected.weight(self, flat),
                    Argument::Read(&projected.offset),
                    Argument::Part(flat, weight.clone()),
                    Argument::Read(dy),
                    Argument::Write(&mut parts),
                    Argument::Int(self.rows),
                    Argument::Int(d),
                    Argument::Int(m),
                    Argument::Int(r),
                    Argument::Int(o),
                    Argument::Int(share_rows),
                ],
            )?;
            let parts = parts.tensor();
            self.device.launch(
                "mixture_total",
                Grid {
                    blocks: [length.div_ceil(32), 1, 1],
                    threads: 256,
                },
                &mut [
                    Argument::Read(&parts),
                    Argument::Write(&mut total),
                    Argument::Int(shares),
                    Argument::Long(length),
                ],
            )?;
            let total = total.tensor();
            self.device.launch(
                "mixture_gradients",
                Grid::of_elements(m * d + o * m + o),
                &mut [
                    Argument::Read(&total),
                    Argument::Part(flat, centers),
                    projected.weight(self, flat),
                    Argument::Write(&mut gradient),
                    Argument::Int(d),
                    Argument::Int(m),
                    Argument::Int(self.r),
                    Argument::Int(o),
                    Argument::Int(usize::from(self.summed)),
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
    fn weight<'a>(&'a self, mixture: &Mixture, flat: &'a Tensor) -> Argument<'a> {
        let [_, projections, ..] = mixture.parts();
        match &self.summed {
            Some(summed) => Argument::Read(summed),
            None => Argument::Part(flat, projections),
        }
    }
}

struct Kernel {
    name: String,
    width: usize,
}

impl Backward for Mixture {
    fn name(&self) -> &'static str {
        "mixture"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let [x, flat] = inputs else {
            candle_core::bail!("a mixture has two operands");
        };
        let dy = gradient.to_dtype(x.dtype())?.contiguous()?;
        let projected = self.projected(flat)?;
        let all = [x, flat, &dy];
        let dx = x.track_op().then(|| self.input_gradient(all, &projected));
        let parameters = || self.parameter_gradient(all, &projected);
        let dflat = flat.track_op().then(parameters);
        Ok(vec![dx.transpose()?, dflat.transpose()?])
    }
}
