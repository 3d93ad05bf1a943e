//! The moving average of the weights.

use std::collections::BTreeSet;

use candle_core::Result;

use super::step::apply;
use crate::ParamStore;
use crate::cpu::optimizer::Step;
use crate::cuda::optimizer::Parameter;

/// An exponential moving average of parameters and buffers.
///
/// The decay of step t (from 1) is min(decay, t / (t + 9)): early averages forget the first, bad weights. Running
/// statistics are averaged with the same weights as the parameters that they belong to.
#[derive(Debug)]
pub struct Ema {
    store: ParamStore,
    decay: f64,
}

impl Ema {
    /// An average that starts at the values of `store`; `decay`, in 0..1, is the weight of the past at each step.
    ///
    /// # Errors
    /// When memory for the copy cannot be had.
    pub fn new(store: &ParamStore, decay: f64) -> Result<Self> {
        Ok(Self {
            store: store.deep_copy()?,
            decay,
        })
    }

    /// Takes in the values of `store` after step `step` (from 1), but those called `frozen`, which have been the same since
    /// the average began: rounding would move it away from them.
    ///
    /// # Errors
    /// When the stores differ.
    pub fn update(
        &mut self,
        store: &ParamStore,
        step: u64,
        frozen: &BTreeSet<String>,
    ) -> Result<()> {
        let step = step as f64;
        let decay = self.decay.min(step / (step + 9.0));
        let (means, values) = (self.store.all(), store.all());
        let parameters: Vec<Parameter> = means
            .iter()
            .zip(values)
            .filter(|((name, _), _)| !frozen.contains(name))
            .map(|((_, mean), (_, value))| Parameter {
                value: mean,
                gradient: value.as_detached_tensor(),
                moments: &[],
                rate: 0.0,
                shrink: 1.0,
            })
            .collect();
        let weight = 1.0 - decay;
        apply(&Step::Average { weight }, &parameters, None)
    }

    /// The averaged values.
    pub fn store(&self) -> &ParamStore {
        &self.store
    }
}
