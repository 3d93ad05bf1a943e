//! Batch normalisation with its activation and pooling on a device.

use candle_core::{D, DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};
use crate::ops::tape::{Backward, recorded};
use crate::ops::{Activation, BatchNormConfig};

/// Channels and rows of a block at a time, as in the kernels.
const CHANNELS: usize = 32;
const ROWS: usize = 8;

/// A batch norm of these sizes.
pub(crate) struct BatchNorm {
    device: KernelDevice,
    rows: usize,
    channels: usize,
    config: BatchNormConfig,
    pool: Option<PoolGeometry>,
    train: bool,
    weighted: bool,
    shifted: bool,
}

/// Its operands.
pub(crate) struct Operands<'a> {
    pub(crate) x: &'a Tensor,
    pub(crate) weight: Option<&'a Tensor>,
    pub(crate) bias: Option<&'a Tensor>,
    pub(crate) running: [&'a Tensor; 2],
}

impl BatchNorm {
    /// The op, if there are kernels for it: activations in f32 or bf16, all else in f32, windows up to 16 wide. Shapes
    /// were checked.
    pub(crate) fn new(
        device: KernelDevice,
        operands: &Operands,
        config: &BatchNormConfig,
        pool: Option<PoolGeometry>,
        train: bool,
    ) -> Result<Option<Self>> {
        let x = operands.x;
        let [mean, var] = operands.running;
        let all = [operands.weight, operands.bias, Some(mean), Some(var)];
        let fits = matches!(x.dtype(), DType::F32 | DType::BF16)
            && all.iter().flatten().all(|t| t.dtype() == DType::F32)
            && pool.is_none_or(|g| g.kernel <= MAX_KERNEL);
        let channels = x.dim(D::Minus1)?;
        Ok(fits.then_some(Self {
            device,
            rows: x.elem_count() / channels,
            channels,
            config: *config,
            pool,
            train,
            weighted: operands.weight.is_some(),
            shifted: operands.bias.is_some(),
        }))
    }

    /// The normalised, activated and pooled `x`; in training the running statistics have moved.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn apply(self, operands: &Operands) -> Result<Tensor> {
        let x = operands.x.contiguous()?;
        let contiguous = |t: Option<&Tensor>| t.map(Tensor::contiguous).transpose();
        let (weight, bias) = (contiguous(operands.weight)?, contiguous(operands.bias)?);
        let statistics = self.statistics(&x, operands.running)?;
        let dims = match &self.pool {
            Some(g) => vec![g.n, g.oh, g.ow, g.c],
            None => x.dims().to_vec(),
        };
        let mut places = match self.pool {
            Some(_) => Some(self.device.buffer(dims.as_slice(), DType::U8)?),
            None => None,
        };
        let mut y = self.device.buffer(dims, x.dtype())?;
        let (grid, share_rows) = self.shares(self.output_rows());
        let start = [
            Argument::Read(&x),
            Argument::Read(&statistics),
            optional(weight.as_ref()),
            optional(bias.as_ref()),
            Argument::Write(&mut y),
        ];
        let sizes = [
            Argument::Int(self.output_rows()),
            Argument::Int(self.channels),
            Argument::Int(share_rows),
            Argument::Int(self.activation()),
        ];
        // SAFETY: the kernels' arguments; x and y have the rows and channels that the sizes say.
        unsafe {
            match (&self.pool, &mut places) {
                (Some(g), Some(places)) => {
                    let places = [Argument::Write(places)];
                    let mut all: Vec<Argument> =
                        start.into_iter().chain(places).chain(sizes).collect();
                    all.extend(windows(Some(g)));
                    self.launch("batch_norm_pool_forward", x.dtype(), grid, &mut all)?;
                }
                _ => {
                    let mut all: Vec<Argument> = start.into_iter().chain(sizes).collect();
                    self.launch("batch_norm_forward", x.dtype(), grid, &mut all)?;
                }
            }
        }
        let done = Done {
            places: places.map(|buffer| buffer.tensor()),
            statistics,
            op: self,
        };
        // A missing parameter has no gradient; x stands in for it.
        let inputs = [
            &x,
            weight.as_ref().unwrap_or(&x),
            bias.as_ref().unwrap_or(&x),
        ];
        let (storage, shape) = y.parts();
        match (&weight, &bias) {
            (None, None) => recorded(done, &inputs[..1], storage, shape),
            _ => recorded(done, &inputs, storage, shape),
        }
    }

    fn activation(&self) -> usize {
        match self.config.activation {
            Activation::Identity => 0,
            Activation::Relu => 1,
            Activation::Gelu => 2,
            Activation::Silu => 3,
        }
    }

    fn output_rows(&self) -> usize {
        match &self.pool {
            Some(g) => g.n * g.oh * g.ow,
            None => self.rows,
        }
    }

    /// Blocks that share `rows`, and the rows of each share.
    fn shares(&self, rows: usize) -> (Grid, usize) {
        let tiles = self.channels.div_ceil(CHANNELS);
        let wanted = (4 * self.device.blocks()).div_ceil(tiles);
        let share = rows.div_ceil(wanted).next_multiple_of(ROWS);
        let grid = Grid {
            blocks: [tiles, rows.div_ceil(share), 1],
            threads: CHANNELS * ROWS,
        };
        (grid, share)
    }

    /// # Safety
    /// As of [`KernelDevice::launch`].
    unsafe fn launch(
        &self,
        kernel: &str,
        dtype: DType,
        grid: Grid,
        arguments: &mut [Argument],
    ) -> Result<()> {
        let kernel = format!("{kernel}_{}", dtype.as_str());
        // SAFETY: the caller's.
        unsafe { self.device.launch(&kernel, grid, arguments) }
    }

    /// Means and inverse standard deviations, `[2, channels]`.
    fn statistics(&self, x: &Tensor, [mean, var]: [&Tensor; 2]) -> Result<Tensor> {
        let channels = self.channels;
        let mut statistics = self.device.buffer((2, channels), DType::F32)?;
        if !self.train {
            let (mean, var) = (mean.contiguous()?, var.contiguous()?);
            // SAFETY: the kernel's arguments; all hold a number for each channel.
            unsafe {
                self.device.launch(
                    "batch_norm_running",
                    Grid::of_elements(channels),
                    &mut [
                        Argument::Read(&mean),
                        Argument::Read(&var),
                        Argument::Write(&mut statistics),
                        Argument::Int(channels),
                        Argument::Real(self.config.eps),
                    ],
                )?;
            }
            return Ok(statistics.tensor());
        }
        let (grid, share_rows) = self.shares(self.rows);
        let count = grid.blocks[1];
        let mut shares = self.device.buffer((count, 2, channels), DType::F32)?;
        // SAFETY: the kernels' arguments; each block writes its share.
        unsafe {
            self.launch(
                "batch_norm_moments",
                x.dtype(),
                grid,
                &mut [
                    Argument::Read(x),
                    Argument::Write(&mut shares),
                    Argument::Int(self.rows),
                    Argument::Int(channels),
                    Argument::Int(share_rows),
                ],
            )?;
            self.launch(
                "batch_norm_statistics",
                x.dtype(),
                Grid::of_elements(channels),
                &mut [
                    Argument::Read(x),
                    Argument::Read(&shares.tensor()),
                    Argument::Write(&mut statistics),
                    Argument::Update(mean),
                    Argument::Update(var),
                    Argument::Int(count),
                    Argument::Int(self.rows),
                    Argument::Int(channels),
                    Argument::Real(self.config.eps),
                    Argument::Real(self.config.momentum),
                ],
            )?;
        }
        Ok(statistics.tensor())
    }
}

fn optional(tensor: Option<&Tensor>) -> Argument<'_> {
    tensor.map_or(Argument::Nothing, Argument::Read)
}

/// The windows' sizes; none at all are those of single places.
fn windows<'a>(pool: Option<&PoolGeometry>) -> [Argument<'a>; 5] {
    let sizes = pool.map_or([1; 5], |g| [g.h, g.w, g.oh, g.ow, g.kernel]);
    sizes.map(Argument::Int)
}

/// After the forward.
struct Done {
    op: BatchNorm,
    statistics: Tensor,
    places: Option<Tensor>,
}

impl Backward for Done {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let op = &self.op;
        let Some(x) = inputs.first() else {
            candle_core::bail!("batch norm has an operand");
        };
        let parameter = |i: usize, given: bool| inputs.get(i).filter(|_| given);
        let (weight, bias) = (parameter(1, op.weighted), parameter(2, op.shifted));
        let dy = gradient.to_dtype(x.dtype())?.contiguous()?;
        let channels = op.channels;
        let (grid, share_rows) = op.shares(op.output_rows());
        let count = grid.blocks[1];
        let mut shares = op.device.buffer((count, 2, channels), DType::F32)?;
        let mut bias_sum = op.device.buffer(channels, DType::F32)?;
        let mut weight_sum = op.device.buffer(channels, DType::F32)?;
        let common = || {
            [
                Argument::Read(x),
                Argument::Read(&dy),
                optional(self.places.as_ref()),
                Argument::Read(&self.statistics),
                optional(weight),
                optional(bias),
            ]
        };
        let mut sums: Vec<Argument> = common().into_iter().collect();
        sums.extend([
            Argument::Write(&mut shares),
            Argument::Int(op.output_rows()),
            Argument::Int(channels),
            Argument::Int(share_rows),
            Argument::Int(op.activation()),
        ]);
        sums.extend(windows(op.pool.as_ref()));
        // SAFETY: the kernels' arguments; each block writes its share.
        unsafe {
            op.launch("batch_norm_sums", x.dtype(), grid, &mut sums)?;
            op.device.launch(
                "batch_norm_total",
                Grid::of_elements(channels),
                &mut [
                    Argument::Read(&shares.tensor()),
                    Argument::Write(&mut bias_sum),
                    Argument::Write(&mut weight_sum),
                    Argument::Int(count),
                    Argument::Int(channels),
                ],
            )?;
        }
        let (bias_sum, weight_sum) = (bias_sum.tensor(), weight_sum.tensor());
        let dx = if x.track_op() {
            let mut dx = op.device.buffer(x.shape(), x.dtype())?;
            let (grid, share_rows) = op.shares(op.rows);
            let mut all: Vec<Argument> = common().into_iter().collect();
            all.extend([
                Argument::Read(&bias_sum),
                Argument::Read(&weight_sum),
                Argument::Write(&mut dx),
                Argument::Int(op.rows),
                Argument::Int(channels),
                Argument::Int(share_rows),
                Argument::Int(op.activation()),
                Argument::Int(usize::from(op.train)),
            ]);
            all.extend(windows(op.pool.as_ref()));
            // SAFETY: the kernel's arguments; dx has the rows and channels of x.
            unsafe { op.launch("batch_norm_input", x.dtype(), grid, &mut all)? };
            Some(dx.tensor())
        } else {
            None
        };
        let of = |t: Option<&Tensor>, sum: Tensor| t.filter(|t| t.track_op()).map(|_| sum);
        let mut gradients = vec![dx, of(weight, weight_sum), of(bias, bias_sum)];
        gradients.truncate(inputs.len());
        Ok(gradients)
    }
}
