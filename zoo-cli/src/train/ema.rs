//! The moving average of the weights.

use candle_core::Result;
use gmnm_core::ParamStore;
use serde::{Deserialize, Serialize};

use super::optimizer::average;

/// Settings of an [`Ema`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Weight of the past at each step, in 0..1; 0 turns the average off.
    pub decay: f64,
    /// Training batches, at most one epoch of them, over which batch norms take new running statistics under the
    /// averaged weights before these are tested and kept; 0 keeps the averaged statistics.
    #[serde(default)]
    pub norm_batches: usize,
}

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
    /// An average that starts at the values of `store`.
    ///
    /// # Errors
    /// When memory for the copy cannot be had.
    pub fn new(store: &ParamStore, config: EmaConfig) -> Result<Self> {
        Ok(Self {
            store: store.deep_copy()?,
            decay: config.decay,
        })
    }

    /// Takes in the values of `store` after step `step` (from 1).
    ///
    /// # Errors
    /// When the stores differ.
    pub fn update(&mut self, store: &ParamStore, step: u64) -> Result<()> {
        let step = step as f64;
        let decay = self.decay.min(step / (step + 9.0));
        let means = self.store.all().into_iter().zip(store.all());
        let pairs: Vec<_> = means.map(|((_, mean), (_, value))| (mean, value)).collect();
        average(&pairs, 1.0 - decay)
    }

    /// The averaged values.
    pub fn store(&self) -> &ParamStore {
        &self.store
    }
}
