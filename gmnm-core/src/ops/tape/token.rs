//! What stands in candle's graph for a recorded op: its tokens, and the step from there to its output.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, TensorId,
};
#[cfg(feature = "cuda")]
use candle_core::{
    CudaStorage, DType,
    backend::{BackendDevice, BackendStorage},
};

use super::{Backward, LINKS, Slot, VARIABLES, Values, leave, locked};

/// What a recorded op keeps for its backward.
#[derive(Clone)]
pub(super) struct Saved {
    pub(super) inputs: Vec<Tensor>,
    pub(super) output: Tensor,
}

/// A recorded op.
pub(super) struct Record {
    pub(super) name: &'static str,
    pub(super) op: Box<dyn Backward>,
    /// Where the gradient of each input goes that a recorded op made.
    pub(super) links: Vec<Option<Arc<Slot>>>,
    pub(super) saved: Mutex<Option<Saved>>,
    pub(super) gradient: Arc<Slot>,
    /// What the backward found for candle, input by input, until the tokens have handed it on.
    pub(super) found: Mutex<Vec<Option<Tensor>>>,
}

impl Record {
    /// Runs the backward. `zero` tells candle that a token takes part.
    fn backward(&self, zero: &Tensor) -> Result<()> {
        let saved = if VARIABLES.with_borrow(Option::is_some) {
            locked(&self.saved).take()
        } else {
            locked(&self.saved).clone()
        };
        let (Some(Saved { inputs, output }), Some(gradient)) = (saved, self.gradient.take()) else {
            candle_core::bail!(
                "{}: a backward has gone through and let its inputs go; run the forward again",
                self.name
            );
        };
        let gradient = gradient.to_dtype(output.dtype())?.contiguous()?;
        let gradients = self.op.gradients(&inputs, &output, &gradient)?;
        drop(gradient);
        let places = inputs.iter().zip(&self.links).zip(gradients);
        *locked(&self.found) = places
            .map(|((input, link), gradient)| match (link, gradient) {
                (Some(link), Some(gradient)) => {
                    link.add(gradient)?;
                    Ok(Some(zero.clone()))
                }
                (None, Some(gradient)) => leave(input, gradient),
                (_, None) => Ok(None),
            })
            .collect::<Result<_>>()?;
        Ok(())
    }
}

/// A scalar that stands for a recorded op, or for its inputs from the third on: it depends on the tokens of three of
/// them, or of two and of the rest. (candle knows no op of more operands.)
pub(super) struct Token {
    record: Arc<Record>,
    /// Places of the inputs that it depends on itself.
    inputs: Vec<usize>,
    /// Whether its last operand is the rest's token.
    rest: bool,
    /// Whether it is the op's own token, whose backward comes first.
    first: bool,
}

impl Token {
    /// The token of `record`, whose `inputs` are shown to candle as these tensors, each with its place.
    pub(super) fn of(
        record: &Arc<Record>,
        inputs: &[(usize, Tensor)],
        first: bool,
    ) -> Result<Tensor> {
        let (own, rest) = match inputs.len() {
            ..=3 => (inputs, &inputs[..0]),
            _ => inputs.split_at(2),
        };
        let mut shown: Vec<Tensor> = own.iter().map(|(_, shown)| shown.clone()).collect();
        if !rest.is_empty() {
            shown.push(Self::of(record, rest, false)?);
        }
        let token = Self {
            record: record.clone(),
            inputs: own.iter().map(|&(place, _)| place).collect(),
            rest: !rest.is_empty(),
            first,
        };
        // The last operand stands in for those that are missing, which get no gradient.
        let operand = |i: usize| &shown[i.min(shown.len() - 1)];
        operand(0).apply_op3(operand(1), operand(2), token)
    }
}

impl CustomOp3 for Token {
    fn name(&self) -> &'static str {
        self.record.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        input: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let shape = Shape::from(());
        let value = input.device().zeros_impl(&shape, DType::F32)?;
        Ok((value, shape))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        zero: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if self.first {
            self.record.backward(zero)?;
        }
        let mut found = locked(&self.record.found);
        let own = self
            .inputs
            .iter()
            .map(|&place| found.get_mut(place)?.take());
        let mut all = own.chain(self.rest.then(|| Some(zero.clone())));
        let mut next = || all.next().flatten();
        Ok((next(), next(), next()))
    }
}

/// The step from a token to the output itself, which hands gradients from candle's ops to the recorded one.
pub(super) struct Output {
    pub(super) values: Mutex<Option<Values>>,
    pub(super) gradient: Arc<Slot>,
    pub(super) key: Arc<OnceLock<TensorId>>,
}

impl CustomOp1 for Output {
    fn name(&self) -> &'static str {
        "output"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match locked(&self.values).take() {
            Some((Storage::Cpu(values), shape)) => Ok((values, shape)),
            _ => candle_core::bail!("an op's output is taken once, on its device"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        match locked(&self.values).take() {
            Some((Storage::Cuda(values), shape)) => Ok((values, shape)),
            _ => candle_core::bail!("an op's output is taken once, on its device"),
        }
    }

    fn bwd(&self, token: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.gradient.add(gradient.clone())?;
        // candle only needs to know that the token takes part.
        Ok(Some(token.detach()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(id) = self.key.get() {
            // Dropped after the lock: a token's end may be that of other outputs.
            let link = locked(&LINKS).remove(id);
            drop(link);
        }
    }
}
