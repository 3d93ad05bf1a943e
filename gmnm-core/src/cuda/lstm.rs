//! A long short-term memory on a device: products of candle's, and one kernel a step for all else.

use candle_core::{DType, Result, Tensor};

use super::machine::{Argument, Grid, Machine};
use crate::cpu::lstm::Sizes;
use crate::ops::join;
use crate::ops::tape::{Backward, recorded};

/// A layer of these sizes, in f32.
pub(crate) struct Lstm {
    machine: Machine,
    sizes: Sizes,
}

/// The flat parameters, as views.
struct Parameters {
    input: Tensor,
    hidden: Tensor,
    bias: Tensor,
}

impl Lstm {
    /// The op, if there are kernels for it: f32 throughout. Shapes were checked.
    pub(crate) fn new(machine: Machine, sizes: Sizes, operands: &[&Tensor]) -> Option<Self> {
        let fits = operands.iter().all(|t| t.dtype() == DType::F32);
        fits.then_some(Self { machine, sizes })
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
        let transposed = recurrent.t()?;
        let products = self.rows(&x.detach())?.matmul(&input.t()?)?;
        let products = products.reshape((steps, batch, 4 * hidden))?;
        let (mut h, mut c) = self.state(&state.detach())?;
        let (mut gates, mut cells, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..steps {
            let product = h.matmul(&transposed)?;
            let mut room = [4 * hidden, hidden, hidden]
                .map(|columns| self.machine.room((batch, columns), DType::F32));
            let [gate, cell, output] = &mut room;
            let (Ok(gate), Ok(cell), Ok(output)) = (gate, cell, output) else {
                candle_core::bail!("lstm: the device has no memory left; use a smaller batch");
            };
            // SAFETY: the kernel's arguments, of the lengths that the sizes say.
            unsafe {
                self.machine.launch(
                    "lstm_forward",
                    Grid::of_elements(batch * hidden),
                    &mut [
                        Argument::Read(&products.get(step)?),
                        Argument::Read(&product),
                        Argument::Read(&bias),
                        Argument::Read(&c),
                        Argument::Write(gate),
                        Argument::Write(cell),
                        Argument::Write(output),
                        Argument::Int(batch),
                        Argument::Int(hidden),
                    ],
                )?;
            }
            let [gate, cell, output] = room;
            gates.push(gate?.tensor());
            (c, h) = (cell?.tensor(), output?.tensor());
            cells.push(c.clone());
            outputs.push(h.clone());
        }
        outputs.push(c);
        let all = Tensor::stack(&outputs, 0)?;
        outputs.pop();
        let done = Done {
            op: self,
            gates,
            cells,
            outputs,
        };
        let (storage, layout) = all.storage_and_layout();
        let storage = storage.try_clone(layout)?;
        recorded(done, &[x, &flat, &state], storage, all.shape().clone())
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

/// After the forward: what each step left.
struct Done {
    op: Lstm,
    /// The gates after their functions.
    gates: Vec<Tensor>,
    cells: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Backward for Done {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
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
        let four = 4 * hidden;
        let parameters = op.split(&flat.detach())?;
        let (h0, c0) = op.state(&state.detach())?;
        let gradient = gradient.contiguous()?;
        // Changed from step to step.
        let dc = gradient.get(steps)?.copy()?;
        let mut dh: Option<Tensor> = None;
        let mut slopes = Vec::new();
        for step in (0..steps).rev() {
            let mut slope = op.machine.room((batch, four), DType::F32)?;
            let before = if step == 0 {
                &c0
            } else {
                &self.cells[step - 1]
            };
            // SAFETY: the kernel's arguments, of the lengths that the sizes say.
            unsafe {
                op.machine.launch(
                    "lstm_backward",
                    Grid::of_elements(batch * hidden),
                    &mut [
                        Argument::Read(&self.gates[step]),
                        Argument::Read(&self.cells[step]),
                        Argument::Read(before),
                        Argument::Read(&gradient.get(step)?),
                        dh.as_ref().map_or(Argument::Nothing, Argument::Read),
                        Argument::Update(&dc),
                        Argument::Write(&mut slope),
                        Argument::Int(batch),
                        Argument::Int(hidden),
                    ],
                )?;
            }
            let slope = slope.tensor();
            dh = Some(slope.matmul(&parameters.hidden)?);
            slopes.push(slope);
        }
        slopes.reverse();
        let slopes = Tensor::cat(&slopes, 0)?;
        let dx = if x.track_op() {
            let dx = slopes.matmul(&parameters.input)?;
            let dx = dx.reshape((steps, batch, features))?.transpose(0, 1)?;
            Some(dx.contiguous()?)
        } else {
            None
        };
        let dflat = if flat.track_op() {
            let transposed = slopes.t()?;
            let before: Vec<&Tensor> = std::iter::once(&h0)
                .chain(&self.outputs[..steps - 1])
                .collect();
            let bias = slopes.sum(0)?;
            let parts = [
                transposed.matmul(&op.rows(&x.detach())?)?.flatten_all()?,
                transposed
                    .matmul(&Tensor::cat(&before, 0)?)?
                    .flatten_all()?,
                bias.clone(),
                bias,
            ];
            Some(Tensor::cat(&parts, 0)?)
        } else {
            None
        };
        let dstate = match dh {
            Some(dh) if state.track_op() => {
                Some(Tensor::stack(&[dh, dc], 0)?.reshape(state.shape())?)
            }
            _ => None,
        };
        Ok(vec![dx, dflat, dstate])
    }
}
