//! Batch normalisation with its activation and pooling on a device.

use candle_core::{D, DType, Result, Tensor};

use super::launch::{Arguments, Buffer, Grid, KernelDevice};
use crate::cpu::batch_norm::BatchNormConfig;
use crate::cpu::simd::activation::Activation;
use crate::cpu::windows::{MAX_KERNEL, PoolGeometry};

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
}

impl BatchNorm {
    /// The batch norm of `x`. Shapes were checked.
    ///
    /// # Errors
    /// When `x` has no axis.
    pub(crate) fn new(
        device: KernelDevice,
        x: &Tensor,
        config: &BatchNormConfig,
        pool: Option<PoolGeometry>,
        train: bool,
    ) -> Result<Self> {
        let channels = x.dim(D::Minus1)?;
        Ok(Self {
            device,
            rows: x.elem_count() / channels,
            channels,
            config: *config,
            pool,
            train,
        })
    }

    /// The normalised, activated and pooled `x`, if there are kernels for it: activations in f32 or bf16, weight, bias
    /// and running statistics in f32, windows up to 16 wide. In training the running statistics have moved.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn forward(
        self,
        x: &Tensor,
        [weight, bias]: [Option<&Tensor>; 2],
        running: &[Tensor; 2],
    ) -> Result<Option<(Buffer, Done)>> {
        let mut others = [weight, bias].into_iter().flatten().chain(running);
        let taken = matches!(x.dtype(), DType::F32 | DType::BF16)
            && others.all(|t| t.dtype() == DType::F32)
            && self.pool.is_none_or(|g| g.kernel <= MAX_KERNEL);
        if !taken {
            return Ok(None);
        }
        let statistics = self.statistics(x, running)?;
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
        let all = Arguments::default()
            .read([x, &statistics])
            .read_some([weight, bias])
            .write([&mut y]);
        let rows = self.output_rows();
        let sizes = [rows, self.channels, share_rows, self.activation()];
        let (kernel, all) = match &mut places {
            Some(places) => {
                let all = all.write([places]).ints(sizes).ints(self.windows());
                ("batch_norm_pool_forward", all)
            }
            None => ("batch_norm_forward", all.ints(sizes)),
        };
        // SAFETY: the kernel's arguments; x and y have the rows and channels that the sizes say.
        unsafe { self.launch(kernel, x.dtype(), grid, all)? };
        let done = Done {
            places: places.map(Buffer::tensor),
            statistics,
            op: self,
        };
        Ok(Some((y, done)))
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
        arguments: Arguments,
    ) -> Result<()> {
        let kernel = format!("{kernel}_{}", dtype.as_str());
        // SAFETY: the caller's.
        unsafe { self.device.launch(&kernel, grid, arguments) }
    }

    /// Means and inverse standard deviations, `[2, channels]`.
    fn statistics(&self, x: &Tensor, [mean, var]: &[Tensor; 2]) -> Result<Tensor> {
        let channels = self.channels;
        let mut statistics = self.device.buffer((2, channels), DType::F32)?;
        if !self.train {
            let (mean, var) = (mean.contiguous()?, var.contiguous()?);
            let all = Arguments::default()
                .read([&mean, &var])
                .write([&mut statistics])
                .ints([channels])
                .reals([self.config.eps]);
            let grid = Grid::of_elements(channels);
            // SAFETY: the kernel's arguments; all hold a number for each channel.
            unsafe { self.device.launch("batch_norm_running", grid, all)? };
            return Ok(statistics.tensor());
        }
        let (grid, share_rows) = self.shares(self.rows);
        let count = grid.blocks[1];
        let mut shares = self.device.buffer((count, 2, channels), DType::F32)?;
        let all = Arguments::default().read([x]).write([&mut shares]);
        let all = all.ints([self.rows, channels, share_rows]);
        // SAFETY: the kernel's arguments; each block writes its share.
        unsafe { self.launch("batch_norm_moments", x.dtype(), grid, all)? };
        let shares = shares.tensor();
        let all = Arguments::default()
            .read([x, &shares])
            .write([&mut statistics])
            .update([mean, var])
            .ints([count, self.rows, channels])
            .reals([self.config.eps, self.config.momentum]);
        let grid = Grid::of_elements(channels);
        // SAFETY: the kernel's arguments; the others hold a number or two for each channel.
        unsafe { self.launch("batch_norm_statistics", x.dtype(), grid, all)? };
        Ok(statistics.tensor())
    }

    /// The windows' sizes; none at all are those of single places.
    fn windows(&self) -> [usize; 5] {
        self.pool
            .map_or([1; 5], |g| [g.h, g.w, g.oh, g.ow, g.kernel])
    }
}

/// After the forward.
pub(crate) struct Done {
    op: BatchNorm,
    statistics: Tensor,
    places: Option<Tensor>,
}

impl Done {
    /// The gradients of `x` and of the parameters that there are, from that of the output.
    ///
    /// # Errors
    /// When a launch fails.
    pub(crate) fn gradients(
        &self,
        x: &Tensor,
        [weight, bias]: [Option<&Tensor>; 2],
        dy: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let op = &self.op;
        let channels = op.channels;
        let (grid, share_rows) = op.shares(op.output_rows());
        let count = grid.blocks[1];
        let mut shares = op.device.buffer((count, 2, channels), DType::F32)?;
        let mut bias_sum = op.device.buffer(channels, DType::F32)?;
        let mut weight_sum = op.device.buffer(channels, DType::F32)?;
        let common = || {
            let statistics = Some(&self.statistics);
            Arguments::default().read([x, dy]).read_some([
                self.places.as_ref(),
                statistics,
                weight,
                bias,
            ])
        };
        let all = common()
            .write([&mut shares])
            .ints([op.output_rows(), channels, share_rows, op.activation()])
            .ints(op.windows());
        // SAFETY: the kernel's arguments; each block writes its share.
        unsafe { op.launch("batch_norm_sums", x.dtype(), grid, all)? };
        let shares = shares.tensor();
        let all = Arguments::default().read([&shares]);
        let all = all.write([&mut bias_sum, &mut weight_sum]);
        let all = all.ints([count, channels]);
        let grid = Grid::of_elements(channels);
        // SAFETY: the kernel's arguments; there is a sum for each channel.
        unsafe { op.device.launch("batch_norm_total", grid, all)? };
        let (bias_sum, weight_sum) = (bias_sum.tensor(), weight_sum.tensor());
        let mut gradients = vec![None];
        if x.track_op() {
            let mut dx = op.device.buffer(x.shape(), x.dtype())?;
            let (grid, share_rows) = op.shares(op.rows);
            let train = usize::from(op.train);
            let all = common()
                .read([&bias_sum, &weight_sum])
                .write([&mut dx])
                .ints([op.rows, channels, share_rows, op.activation(), train])
                .ints(op.windows());
            // SAFETY: the kernel's arguments; dx has the rows and channels of x.
            unsafe { op.launch("batch_norm_input", x.dtype(), grid, all)? };
            gradients[0] = Some(dx.tensor());
        }
        let sums = [(weight, weight_sum), (bias, bias_sum)].into_iter();
        gradients
            .extend(sums.filter_map(|(given, sum)| given.map(|t| t.track_op().then_some(sum))));
        Ok(gradients)
    }
}
