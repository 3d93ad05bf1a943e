//! A long short-term memory on a device: one kernel for all steps each way, and products of candle's before and after.

use candle_core::{DType, Result, Tensor};

use super::launch::{Arguments, Buffer, Grid, KernelDevice};
use crate::cpu::lstm::Sizes;

/// Sequences of a block, as in the kernels.
const SEQUENCES: usize = 2;
/// The most features of the output, as in the kernels. The recurrent weights of larger ones are better multiplied step
/// by step.
const MOST_HIDDEN: usize = 512;

/// The input, its weight, the hidden values' weight, both biases, and the first hidden values and cells.
type Inputs = [Tensor; 7];

/// After the forward.
pub(crate) struct Done {
    device: KernelDevice,
    sizes: Sizes,
    /// The gates after their functions, `[steps, batch, 4·hidden]`.
    gates: Tensor,
    /// `[steps, batch, hidden]`.
    cells: Tensor,
}

/// The hidden values after each step and, after them, the last cells, `[steps + 1, batch, hidden]`, if there are kernels
/// for it: f32 throughout, at most [`MOST_HIDDEN`] features. Shapes were checked.
///
/// # Errors
/// When a product or a launch fails.
pub(crate) fn forward(
    device: KernelDevice,
    sizes: Sizes,
    inputs: &Inputs,
) -> Result<Option<(Buffer, Done)>> {
    if sizes.hidden > MOST_HIDDEN || inputs.iter().any(|t| t.dtype() != DType::F32) {
        return Ok(None);
    }
    let Sizes {
        batch,
        steps,
        hidden,
        ..
    } = sizes;
    let [x, input, recurrent, first, second, h0, c0] = &inputs.each_ref().map(Tensor::detach);
    let products = rows(&sizes, x)?.matmul(&input.t()?)?;
    let bias = (first + second)?;
    let buffer = |shape| device.buffer(shape, DType::F32);
    let mut gates = buffer((steps, batch, 4 * hidden))?;
    let mut cells = buffer((steps, batch, hidden))?;
    let mut outputs = buffer((steps + 1, batch, hidden))?;
    let recurrent = recurrent.t()?.contiguous()?;
    let arguments = Arguments::default()
        .read([&products, &recurrent, &bias, h0, c0])
        .write([&mut gates, &mut cells, &mut outputs])
        .ints([steps, batch, hidden]);
    // SAFETY: the kernel's arguments, of the lengths that the sizes say.
    unsafe {
        device.launch("lstm_forward", grid(&sizes), arguments)?;
    }
    let done = Done {
        gates: gates.tensor(),
        cells: cells.tensor(),
        device,
        sizes,
    };
    Ok(Some((outputs, done)))
}

/// Two sequences a block, a thread a gate as far as threads go.
fn grid(sizes: &Sizes) -> Grid {
    Grid {
        blocks: [sizes.batch.div_ceil(SEQUENCES), 1, 1],
        threads: (4 * sizes.hidden).next_multiple_of(32).min(512),
    }
}

/// The input step by step, `[steps·batch, inputs]`.
fn rows(sizes: &Sizes, x: &Tensor) -> Result<Tensor> {
    x.transpose(0, 1)?
        .contiguous()?
        .reshape((sizes.batch * sizes.steps, sizes.inputs))
}

impl Done {
    /// The gradients of the inputs, from that of the `output`.
    ///
    /// # Errors
    /// When a product or a launch fails.
    pub(crate) fn gradients(
        &self,
        inputs: &Inputs,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let Sizes {
            batch,
            steps,
            inputs: features,
            hidden,
        } = self.sizes;
        let count = steps * batch;
        let [x, input, recurrent, _, _, h0, c0] = &inputs.each_ref().map(Tensor::detach);
        let mut slopes = self.device.buffer((count, 4 * hidden), DType::F32)?;
        let mut state = self.device.buffer((2, batch, hidden), DType::F32)?;
        let arguments = Arguments::default()
            .read([&self.gates, &self.cells, c0, gradient, recurrent])
            .write([&mut slopes, &mut state])
            .ints([steps, batch, hidden]);
        // SAFETY: the kernel's arguments, of the lengths that the sizes say.
        unsafe {
            self.device
                .launch("lstm_backward", grid(&self.sizes), arguments)?;
        }
        let (slopes, state) = (slopes.tensor(), state.tensor());
        let transposed = slopes.t()?;
        let before = || match steps {
            1 => Ok(h0.clone()),
            _ => {
                let outputs = output.detach().narrow(0, 0, steps - 1)?;
                Tensor::cat(&[h0, &outputs.reshape((count - batch, hidden))?], 0)
            }
        };
        let gradient = |place: usize| match place {
            0 => {
                let dx = slopes.matmul(input)?;
                let dx = dx.reshape((steps, batch, features))?.transpose(0, 1)?;
                dx.contiguous()
            }
            1 => transposed.matmul(&rows(&self.sizes, x)?),
            2 => transposed.matmul(&before()?),
            3 | 4 => slopes.sum(0),
            place => state.get(place - 5),
        };
        let all = inputs.iter().enumerate();
        all.map(|(place, input)| input.track_op().then(|| gradient(place)).transpose())
            .collect()
    }
}
