//! A long short-term memory over whole sequences.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, DType, Layout, Result, Shape, Tensor};

use super::cast::cast;
use super::composed::widened;
use super::cpu_storage::{Element, elements, has_kernels, slice, with_element};
use super::join::join;
use super::tape;
use crate::cpu::lstm::{self, Done, Saved, Sizes};
use crate::cpu::product::products::Products;
use crate::cpu::simd::isa::Isa;
use crate::cuda::{self, KernelDevice};
use crate::precision::products;

const NAME: &str = "lstm";

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
    let parameters = [weights.weight_ih, weights.weight_hh, &bias_ih, &bias_hh];
    let operands = [&[x, &h0, &c0], &parameters[..]].concat();
    if let Some(device) = KernelDevice::of(x)?
        && let Some(op) = cuda::lstm::Lstm::new(device, sizes, &operands)
    {
        let all = op.apply(x, &parameters, [&h0, &c0])?;
        return Ok(LstmOutput {
            outputs: all.narrow(0, 0, steps)?.transpose(0, 1)?.contiguous()?,
            hidden: all.get(steps - 1)?,
            cell: all.get(steps)?,
        });
    }
    let same = |t: &&Tensor| t.dtype() == x.dtype() && t.device().is_cpu();
    if !has_kernels(x) || !parameters.iter().chain(&[&h0, &c0]).all(same) {
        return composed(x, parameters, h0, c0);
    }
    let shared = Arc::new(Mutex::new(Shared::default()));
    let op = Lstm {
        sizes,
        products: products(x),
        shared: shared.clone(),
    };
    let state = join(&[&h0, &c0])?;
    let outputs = tape::apply3(&x.contiguous()?, &join(&parameters)?, &state, op)?;
    let cell = tape::apply1(&outputs, LastCell { sizes, shared })?;
    let last = outputs.narrow(1, steps - 1, 1)?.squeeze(1)?;
    Ok(LstmOutput {
        hidden: last,
        outputs,
        cell,
    })
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

/// The same of candle's ops, step by step, for devices and types that have no kernel.
fn composed(x: &Tensor, parameters: [&Tensor; 4], h0: Tensor, c0: Tensor) -> Result<LstmOutput> {
    let dtype = x.dtype();
    let [weight_ih, weight_hh, bias_ih, bias_hh] = parameters.map(widened);
    let (weight_hh, bias) = (weight_hh?, (bias_ih? + bias_hh?)?);
    let products = widened(x)?
        .contiguous()?
        .broadcast_matmul(&weight_ih?.t()?)?
        .broadcast_add(&bias)?;
    let (mut h, mut c) = (widened(&h0)?, widened(&c0)?);
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

/// What passes between the ops of one layer beside their tensors.
#[derive(Default)]
struct Shared {
    /// Gates and cells of the forward.
    saved: Option<(CpuStorage, CpuStorage)>,
    /// The gradient of the last cells: [`LastCell`] depends on the outputs, so its backward runs before [`Lstm`]'s.
    cell_gradient: Option<Tensor>,
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outputs of the sequences, the flat parameters and the first state.
struct Lstm {
    sizes: Sizes,
    products: Products,
    shared: Arc<Mutex<Shared>>,
}

impl Lstm {
    fn with(&self) -> (Isa, Products) {
        (Isa::best(), self.products)
    }

    fn forward<T: Element>(&self, x: &[T], flat: &[T], state: &[T]) -> CpuStorage {
        let (outputs, saved) = lstm::forward(self.with(), self.sizes, x, flat, state);
        let Saved { gates, cells } = saved;
        let store = T::to_cpu_storage_owned;
        locked(&self.shared).saved = Some((store(gates), store(cells)));
        store(outputs)
    }

    fn gradients<T: Element>(
        &self,
        [x, flat, state, outputs, dy]: [&Tensor; 5],
    ) -> Result<[Option<Tensor>; 3]> {
        let mut shared = locked(&self.shared);
        let dc = match shared.cell_gradient.take() {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<T>()?,
            None => Vec::new(),
        };
        let Some((gates, cells)) = &shared.saved else {
            candle_core::bail!("lstm: the backward needs a forward first");
        };
        let done = Done {
            sizes: self.sizes,
            x: &elements::<T>(NAME, x)?,
            flat: &elements::<T>(NAME, flat)?,
            state: &elements::<T>(NAME, state)?,
            outputs: &elements::<T>(NAME, outputs)?,
            gates: gates.as_slice()?,
            cells: cells.as_slice()?,
        };
        let dy = elements::<T>(NAME, dy)?;
        let gradients = done.backward(self.with(), &dy, &dc, x.track_op());
        let wrap = |tensor: &Tensor, gradient: Vec<T>| {
            let make = || Tensor::from_vec(gradient, tensor.shape(), tensor.device());
            tensor.track_op().then(make).transpose()
        };
        Ok([
            wrap(x, gradients.x)?,
            wrap(flat, gradients.parameters)?,
            wrap(state, gradients.state)?,
        ])
    }
}

impl CustomOp3 for Lstm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let outputs = with_element!(NAME, x.dtype(), T => self.forward::<T>(
            slice(NAME, x, x_layout)?,
            slice(NAME, flat, flat_layout)?,
            slice(NAME, state, state_layout)?,
        ));
        let Sizes {
            batch,
            steps,
            hidden,
            ..
        } = self.sizes;
        Ok((outputs, (batch, steps, hidden).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        flat: &Tensor,
        state: &Tensor,
        outputs: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let all = [x, flat, state, outputs, &grad.contiguous()?];
        let [dx, dflat, dstate] = with_element!(NAME, x.dtype(), T => self.gradients::<T>(all)?);
        Ok((dx, dflat, dstate))
    }
}

/// The last cells of the forward whose outputs it is applied to.
struct LastCell {
    sizes: Sizes,
    shared: Arc<Mutex<Shared>>,
}

impl LastCell {
    fn last<T: Element>(&self, cells: &CpuStorage) -> Result<CpuStorage> {
        let (n, h) = (self.sizes.steps, self.sizes.hidden);
        let cells = cells.as_slice::<T>()?.chunks_exact(n * h);
        let last = cells.flat_map(|row| &row[(n - 1) * h..]).copied().collect();
        Ok(T::to_cpu_storage_owned(last))
    }
}

impl CustomOp1 for LastCell {
    fn name(&self) -> &'static str {
        "lstm-last-cell"
    }

    fn cpu_fwd(&self, outputs: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shared = locked(&self.shared);
        let Some((_, cells)) = &shared.saved else {
            candle_core::bail!("lstm: the last cell needs a forward first");
        };
        let last = with_element!(NAME, outputs.dtype(), T => self.last::<T>(cells)?);
        Ok((last, (self.sizes.batch, self.sizes.hidden).into()))
    }

    fn bwd(&self, outputs: &Tensor, _cell: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        locked(&self.shared).cell_gradient = Some(grad.contiguous()?);
        // Nothing flows through the outputs, but their backward must run.
        outputs.zeros_like().map(Some)
    }
}

#[cfg(test)]
mod tests;
