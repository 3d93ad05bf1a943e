//! A long short-term memory over whole sequences.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{D, DType, Result, Tensor};

use super::cast::cast;
use super::composed::widened;
use super::dispatch::{Kernels, contiguous};
use super::slices::{Element, elements, gradient_of, operands, values, with_element};
use super::tape::{Backward, recorded};
use crate::cpu::lstm::{Forward, Layer, Parameters, Sizes};
use crate::cpu::product::products::Products;
use crate::cpu::simd::isa::Isa;
use crate::cuda::{self, KernelDevice};
use crate::precision::products;

/// One layer's parameters, under PyTorch's names and shapes: the gates lie in the order input, forget, cell, output.
#[derive(Debug, Clone, Copy)]
pub struct LstmWeights<'a> {
    /// `weight_ih_l*` `[4·hidden, inputs]`.
    pub weight_ih: &'a Tensor,
    /// `weight_hh_l*` `[4·hidden, hidden]`.
    pub weight_hh: &'a Tensor,
    /// `bias_ih_l*` and `bias_hh_l*`, both `[4·hidden]`; they act as their sum.
    pub biases: Option<(&'a Tensor, &'a Tensor)>,
}

/// What [`lstm`] gives.
#[derive(Debug, Clone)]
pub struct LstmOutput {
    /// The hidden values after each step, `[batch, steps, hidden]`.
    pub outputs: Tensor,
    /// The hidden values after the last step, `[batch, hidden]`.
    pub hidden: Tensor,
    /// The cells after the last step, `[batch, hidden]`.
    pub cell: Tensor,
}

/// Runs one layer over `x` `[batch, steps, inputs]`, from `state` (hidden values and cells, `[batch, hidden]` each) or
/// from zeros. Several layers are composed: the outputs of one are the next one's input.
///
/// ```text
/// i, f, g, o = σ, σ, tanh, σ of weight_ih·x + weight_hh·h + biases
/// c' = f·c + i·g        h' = o·tanh(c')
/// ```
///
/// Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000, as `torch.nn.LSTM`.
///
/// On the CPU a layer is one op: the backward goes through all steps without a graph of them. Input in bf16 takes
/// parameters and state in f32 and gives outputs in bf16, and hidden values and cells in f32.
///
/// # Errors
/// When shapes do not fit or a size is zero.
pub fn lstm(
    x: &Tensor,
    weights: &LstmWeights,
    state: Option<(&Tensor, &Tensor)>,
) -> Result<LstmOutput> {
    let (batch, steps, inputs) = x.dims3()?;
    let hidden = weights.weight_hh.dim(D::Minus1)?;
    let sizes = Sizes {
        batch,
        steps,
        inputs,
        hidden,
    };
    check(&sizes, weights, state)?;
    if x.dtype() == DType::BF16 && weights.weight_hh.dtype() == DType::F32 {
        let wide = lstm(&cast(x, DType::F32)?, weights, state)?;
        return Ok(LstmOutput {
            outputs: cast(&wide.outputs, DType::BF16)?,
            ..wide
        });
    }
    let zeros = |shape: &[usize]| Tensor::zeros(shape, x.dtype(), x.device());
    let (h0, c0) = match state {
        Some((h0, c0)) => (h0.clone(), c0.clone()),
        None => (zeros(&[batch, hidden])?, zeros(&[batch, hidden])?),
    };
    let (bias_ih, bias_hh) = match weights.biases {
        Some((ih, hh)) => (ih.clone(), hh.clone()),
        None => (zeros(&[4 * hidden])?, zeros(&[4 * hidden])?),
    };
    let inputs = [
        x,
        weights.weight_ih,
        weights.weight_hh,
        &bias_ih,
        &bias_hh,
        &h0,
        &c0,
    ];
    let kernels = Kernels::of(&inputs, 1, false)?;
    let inputs = contiguous(&inputs)?;
    match kernels {
        Kernels::Cuda(device) => on_cuda(device, sizes, &inputs),
        Kernels::Cpu => with_element!(x.dtype(), T => on_cpu::<T>(sizes, &inputs)),
        Kernels::None => composed(&inputs),
    }
}

fn check(sizes: &Sizes, weights: &LstmWeights, state: Option<(&Tensor, &Tensor)>) -> Result<()> {
    let (four, hidden) = (4 * sizes.hidden, sizes.hidden);
    let expect = |name: &str, tensor: &Tensor, shape: &[usize]| {
        if tensor.dims() != shape {
            candle_core::bail!(
                "lstm needs `{name}` of shape {shape:?}, found {:?}",
                tensor.dims()
            );
        }
        Ok(())
    };
    if [sizes.batch, sizes.steps, sizes.inputs, hidden].contains(&0) {
        candle_core::bail!("lstm needs at least one sequence, step, input and hidden value");
    }
    expect("weight_ih", weights.weight_ih, &[four, sizes.inputs])?;
    expect("weight_hh", weights.weight_hh, &[four, hidden])?;
    if let Some((ih, hh)) = weights.biases {
        expect("bias_ih", ih, &[four])?;
        expect("bias_hh", hh, &[four])?;
    }
    if let Some((h0, c0)) = state {
        expect("h0", h0, &[sizes.batch, hidden])?;
        expect("c0", c0, &[sizes.batch, hidden])?;
    }
    Ok(())
}

fn on_cuda(device: KernelDevice, sizes: Sizes, inputs: &[Tensor]) -> Result<LstmOutput> {
    let Some((all, done)) = cuda::lstm::forward(device, sizes, operands(inputs)?)? else {
        return composed(inputs);
    };
    let op = Lstm {
        sizes,
        saved: Saved::Cuda(done),
    };
    let all = recorded("lstm", op, inputs, all.parts())?;
    let steps = sizes.steps;
    Ok(LstmOutput {
        outputs: all.narrow(0, 0, steps)?.transpose(0, 1)?.contiguous()?,
        hidden: all.get(steps - 1)?,
        cell: all.get(steps)?,
    })
}

/// Calls `$call` with `$layer` naming the layer of these sizes and inputs.
macro_rules! with_layer {
    ($sizes:expr, $inputs:expr, $layer:ident => $call:expr) => {{
        let [x, input, hidden, first, second, h0, c0] = operands($inputs)?;
        let (x, input, hidden) = (elements(x)?, elements(input)?, elements(hidden)?);
        let (first, second) = (elements(first)?, elements(second)?);
        let (h0, c0) = (elements(h0)?, elements(c0)?);
        let $layer = Layer {
            sizes: $sizes,
            x: &x,
            parameters: Parameters {
                input: &input,
                hidden: &hidden,
                biases: [&first, &second],
            },
            state: [&h0, &c0],
        };
        $call
    }};
}

fn on_cpu<T: Element>(sizes: Sizes, inputs: &[Tensor]) -> Result<LstmOutput> {
    let Sizes {
        batch,
        steps,
        hidden,
        ..
    } = sizes;
    let products = products(&inputs[0]);
    let forward: Forward<Vec<T>> = with_layer!(sizes, inputs, layer => {
        layer.forward((Isa::best(), products))
    });
    let cells = forward.cells.chunks_exact(steps * hidden);
    let last = cells.flat_map(|row| &row[(steps - 1) * hidden..]).copied();
    let cell = values(last.collect::<Vec<T>>(), (batch, hidden));
    let saved =
        |values, features| Tensor::from_vec(values, (batch, steps, features), inputs[0].device());
    let cell_gradient = Arc::default();
    let op = Lstm {
        sizes,
        saved: Saved::Cpu {
            products,
            gates: saved(forward.gates, 4 * hidden)?,
            cells: saved(forward.cells, hidden)?,
            cell_gradient: Arc::clone(&cell_gradient),
        },
    };
    let outputs = recorded(
        "lstm",
        op,
        inputs,
        values(forward.outputs, (batch, steps, hidden)),
    )?;
    let cell = recorded(
        "lstm-last-cell",
        LastCell(cell_gradient),
        std::slice::from_ref(&outputs),
        cell,
    )?;
    Ok(LstmOutput {
        hidden: outputs.narrow(1, steps - 1, 1)?.squeeze(1)?,
        outputs,
        cell,
    })
}

/// The same of candle's ops, step by step, for devices and types that have no kernel.
fn composed(inputs: &[Tensor]) -> Result<LstmOutput> {
    let dtype = inputs[0].dtype();
    let wide = inputs.iter().map(widened).collect::<Result<Vec<_>>>()?;
    let [x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0] = operands(&wide)?;
    let products = x
        .broadcast_matmul(&weight_ih.t()?)?
        .broadcast_add(&(bias_ih + bias_hh)?)?;
    let (mut h, mut c) = (h0.clone(), c0.clone());
    let mut outputs = Vec::new();
    for t in 0..x.dim(1)? {
        let gates = (products.narrow(1, t, 1)?.squeeze(1)? + h.matmul(&weight_hh.t()?)?)?;
        let gates = gates.chunk(4, 1)?;
        let sigmoid = candle_nn::ops::sigmoid;
        let (i, f) = (sigmoid(&gates[0])?, sigmoid(&gates[1])?);
        let (g, o) = (gates[2].tanh()?, sigmoid(&gates[3])?);
        c = ((f * c)? + (i * g)?)?;
        h = (o * c.tanh()?)?;
        outputs.push(h.clone());
    }
    Ok(LstmOutput {
        outputs: Tensor::stack(&outputs, 1)?.to_dtype(dtype)?,
        hidden: h.to_dtype(dtype)?,
        cell: c.to_dtype(dtype)?,
    })
}

/// The outputs of a layer after its forward.
struct Lstm {
    sizes: Sizes,
    saved: Saved,
}

/// What the backward needs of the forward.
enum Saved {
    Cpu {
        products: Products,
        gates: Tensor,
        cells: Tensor,
        /// The gradient of the last cells: [`LastCell`] depends on the outputs, so that its backward runs before theirs.
        cell_gradient: Arc<Mutex<Option<Tensor>>>,
    },
    Cuda(cuda::lstm::Done),
}

impl Backward for Lstm {
    fn gradients(
        &self,
        inputs: &[Tensor],
        outputs: &Tensor,
        dy: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let (products, gates, cells, cell_gradient) = match &self.saved {
            Saved::Cpu {
                products,
                gates,
                cells,
                cell_gradient,
            } => (*products, gates, cells, cell_gradient),
            Saved::Cuda(done) => return done.gradients(operands(inputs)?, outputs, dy),
        };
        let dc = cell_gradient
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        with_element!(dy.dtype(), T => {
            let dc = match dc {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<T>()?,
                None => Vec::new(),
            };
            let (outputs, gates, cells) = (elements(outputs)?, elements(gates)?, elements(cells)?);
            let done = Forward::<&[T]> {
                outputs: &outputs,
                gates: &gates,
                cells: &cells,
            };
            let gradients = with_layer!(self.sizes, inputs, layer => {
                let wanted = inputs[0].track_op();
                layer.backward((Isa::best(), products), &done, &elements(dy)?, &dc, wanted)
            });
            let [input, hidden, bias] = gradients.parameters;
            let [h0, c0] = gradients.state;
            let all = [gradients.x, input, hidden, bias.clone(), bias, h0, c0];
            let pairs = inputs.iter().zip(all);
            pairs.map(|(input, gradient)| gradient_of(input, || Ok(gradient))).collect()
        })
    }
}

/// The last cells, as an op of the outputs of the layer that keeps their gradient.
struct LastCell(Arc<Mutex<Option<Tensor>>>);

impl Backward for LastCell {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dc: &Tensor) -> Result<Vec<Option<Tensor>>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(dc.clone());
        // Nothing flows through the outputs, but their backward must run.
        Ok(vec![Some(inputs[0].zeros_like()?)])
    }
}

#[cfg(test)]
mod tests;
