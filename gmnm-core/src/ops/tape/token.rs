//! What stands in candle's graph for a recorded op: its token, and the step from there to its output.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, TensorId,
};
#[cfg(feature = "cuda")]
use candle_core::{
    CudaStorage,
    backend::{BackendDevice, BackendStorage},
};

use super::{Backward, LINKS, Slot, VARIABLES, leave, locked};

/// What a recorded op keeps for its backward.
#[derive(Clone)]
pub(super) struct Saved {
    pub(super) inputs: Vec<Tensor>,
    pub(super) output: Option<Tensor>,
}

/// A recorded op as candle's graph knows it: a scalar that depends on the tokens of its inputs.
pub(super) struct Token {
    pub(super) op: Box<dyn Backward>,
    /// Where the gradient of each input goes that a recorded op made.
    pub(super) links: Vec<Option<Arc<Slot>>>,
    pub(super) saved: Arc<Mutex<Option<Saved>>>,
    pub(super) gradient: Arc<Slot>,
}

impl Token {
    fn value() -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_value(input: &CudaStorage) -> Result<(CudaStorage, Shape)> {
        let shape = Shape::from(());
        let value = input.device().zeros_impl(&shape, candle_core::DType::F32)?;
        Ok((value, shape))
    }

    fn backward(&self) -> Result<Vec<Option<Tensor>>> {
        let saved = if VARIABLES.with_borrow(Option::is_some) {
            locked(&self.saved).take()
        } else {
            locked(&self.saved).clone()
        };
        let (Some(Saved { inputs, output }), Some(gradient)) = (saved, self.gradient.take()) else {
            candle_core::bail!(
                "{}: a backward has gone through and let its inputs go; run the forward again",
                self.op.name()
            );
        };
        let output = output.as_ref().unwrap_or(&gradient);
        let gradients = self.op.gradients(&inputs, output, &gradient)?;
        drop(gradient);
        let places = inputs.iter().zip(&self.links).zip(gradients);
        places
            .map(|((input, link), gradient)| match (link, gradient) {
                (Some(link), Some(gradient)) => {
                    link.add(gradient)?;
                    // candle only needs to know that the token takes part.
                    Tensor::zeros((), candle_core::DType::F32, input.device()).map(Some)
                }
                (None, Some(gradient)) => leave(input, gradient),
                (_, None) => Ok(None),
            })
            .collect()
    }
}

impl CustomOp1 for Token {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Self::value()
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, input: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        Self::cuda_value(input)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.backward()?.remove(0))
    }
}

impl CustomOp2 for Token {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::value()
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        input: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::cuda_value(input)
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.backward()?.into_iter();
        let mut next = || gradients.next().flatten();
        Ok((next(), next()))
    }
}

impl CustomOp3 for Token {
    fn name(&self) -> &'static str {
        self.op.name()
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
        Self::value()
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
        Self::cuda_value(input)
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.backward()?.into_iter();
        let mut next = || gradients.next().flatten();
        Ok((next(), next(), next()))
    }
}

/// The step from a token to the output itself, which hands gradients from candle's ops to the recorded one.
pub(super) struct Output {
    pub(super) values: Mutex<Option<(Storage, Shape)>>,
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
        token.zeros_like().map(Some)
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
