//! A long short-term memory on a device: one kernel for all steps each way, and products of candle's before and after.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument, Grid, KernelDevice};
use crate::cpu::lstm::Sizes;
use crate::ops::join;
use crate::ops::tape::{Backward, recorded};

/// Sequences of a block, as in the kernels.
const SEQUENCES: usize = 2;
/// The most features of the output, as in the kernels. The recurrent weights of larger ones are better multiplied step
/// by step.
const MOST_HIDDEN: usize = 512;

/// A layer of these sizes, in f32.
pub(crate) struct Lstm {
    device: KernelDevice,
    sizes: Sizes,
}

/// The flat parameters, as views.
struct Parameters {
    input: Tensor,
    hidden: Tensor,
    bias: Tensor,
}

impl Lstm {
    /// The op, if there are kernels for it: f32 throughout, at most [`MOST_HIDDEN`] features. Shapes were checked.
    pub(crate) fn new(device: KernelDevice, sizes: Sizes, operands: &[&Tensor]) -> Option<Self> {
        let fits = operands.iter().all(|t| t.dtype() == DType::F32) && sizes.hidden <= MOST_HIDDEN;
        fits.then_some(Self { device, sizes })
    }

    /// The hidden values after each step and, after them, the last cells, `[steps + 1, batch, hidden]`.
    ///
    /// # Errors
    /// When a product or a launch fails.
    pub(crate) fn apply(
        self,
        x: &Tensor,
        parameters: &[&Tensor; 4],
        [h0, c0]: [&Tensor; 2],
    ) -> Result<Tensor> {
        let Sizes {
            batch,
            steps,
            hidden,
            ..
        } = self.sizes;
        let (flat, state) = (join(parameters)?, join(&[h0, c0])?);
        let Parameters {
            input,
            hidden: recurrent,
            bias,
        } = self.split(&flat.detach())?;
        let products = self.rows(&x.detach())?.matmul(&input.t()?)?;
        let (h, c) = self.state(&state.detach())?;
        let buffer = |shape| self.device.buffer(shape, DType::F32);
        let mut gates = buffer((steps, batch, 4 * hidden))?;
        let mut cells = buffer((steps, batch, hidden))?;
        let mut outputs = buffer((steps + 1, batch, hidden))?;
        // SAFETY: the kernel's arguments, of the lengths that the sizes say.
        unsafe {
            self.device.launch(
                "lstm_forward",
                self.grid(),
                &mut [
                    Argument::Read(&products),
                    Argument::Read(&recurrent.t()?.contiguous()?),
                    Argument::Read(&bias),
                    Argument::Read(&h),
                    Argument::Read(&c),
                    Argument::Write(&mut gates),
                    Argument::Write(&mut cells),
                    Argument::Write(&mut outputs),
                    Argument::Int(steps),
                    Argument::Int(batch),
                    Argument::Int(hidden),
                ],
            )?;
        }
        let done = Done {
            gates: gates.tensor(),
            cells: cells.tensor(),
            op: self,
        };
        let (storage, shape) = outputs.parts();
        recorded(done, &[x, &flat, &state], storage, shape)
    }

    /// Two sequences a block, a thread a gate as far as threads go.
    fn grid(&self) -> Grid {
        Grid {
            blocks: [self.sizes.batch.div_ceil(SEQUENCES), 1, 1],
            threads: (4 * self.sizes.hidden).next_multiple_of(32).min(512),
        }
    }

    /// The input step by step, `[steps·batch, inputs]`.
    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        let rows = self.sizes.batch * self.sizes.steps;
        x.transpose(0, 1)?
            .contiguous()?
            .reshape((rows, self.sizes.inputs))
    }

    fn split(&self, flat: &Tensor) -> Result<Parameters> {
        let Sizes { inputs, hidden, .. } = self.sizes;
        let four = 4 * hidden;
        let ends = [four * inputs, four * hidden, four, four];
        let mut start = 0;
        let parts = ends.map(|len| {
            start += len;
            flat.narrow(0, start - len, len)
        });
        let [input, recurrent, first, second] = parts;
        Ok(Parameters {
            input: input?.reshape((four, inputs))?,
            hidden: recurrent?.reshape((four, hidden))?,
            bias: (first? + second?)?,
        })
    }

    /// The first hidden values and cells.
    fn state(&self, state: &Tensor) -> Result<(Tensor, Tensor)> {
        let Sizes { batch, hidden, .. } = self.sizes;
        let state = state.reshape((2, batch, hidden))?;
        Ok((state.get(0)?, state.get(1)?))
    }
}

/// After the forward.
struct Done {
    op: Lstm,
    /// The gates after their functions, `[steps, batch, 4·hidden]`.
    gates: Tensor,
    /// `[steps, batch, hidden]`.
    cells: Tensor,
}

impl Backward for Done {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let [x, flat, state] = inputs else {
            candle_core::bail!("lstm has three operands");
        };
        let op = &self.op;
        let Sizes {
            batch,
            steps,
            inputs: features,
            hidden,
        } = op.sizes;
        let rows = steps * batch;
        let parameters = op.split(&flat.detach())?;
        let (h0, c0) = op.state(&state.detach())?;
        let mut slopes = op.device.buffer((rows, 4 * hidden), DType::F32)?;
        let mut first = op.device.buffer(state.shape(), DType::F32)?;
        // SAFETY: the kernel's arguments, of the lengths that the sizes say.
        unsafe {
            op.device.launch(
                "lstm_backward",
                op.grid(),
                &mut [
                    Argument::Read(&self.gates),
                    Argument::Read(&self.cells),
                    Argument::Read(&c0),
                    Argument::Read(&gradient.contiguous()?),
                    Argument::Read(&parameters.hidden),
                    Argument::Write(&mut slopes),
                    Argument::Write(&mut first),
                    Argument::Int(steps),
                    Argument::Int(batch),
                    Argument::Int(hidden),
                ],
            )?;
        }
        let slopes = slopes.tensor();
        let dx = if x.track_op() {
            let dx = slopes.matmul(&parameters.input)?;
            let dx = dx.reshape((steps, batch, features))?.transpose(0, 1)?;
            Some(dx.contiguous()?)
        } else {
            None
        };
        let dflat = if flat.track_op() {
            let transposed = slopes.t()?;
            let before = match steps {
                1 => h0,
                _ => {
                    let outputs = output.detach().narrow(0, 0, steps - 1)?;
                    Tensor::cat(&[&h0, &outputs.reshape((rows - batch, hidden))?], 0)?
                }
            };
            let bias = slopes.sum(0)?;
            let parts = [
                transposed.matmul(&op.rows(&x.detach())?)?.flatten_all()?,
                transposed.matmul(&before)?.flatten_all()?,
                bias.clone(),
                bias,
            ];
            Some(Tensor::cat(&parts, 0)?)
        } else {
            None
        };
        let dstate = state.track_op().then(|| first.tensor());
        Ok(vec![dx, dflat, dstate])
    }
}
