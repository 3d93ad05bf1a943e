//! What the trainer asks of a problem: what a batch is, its loss, and what is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::ParamStore;

use super::Watch;
use super::measure::Measures;
use super::metrics::Row;

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the optimizer learns from.
    Train,
    /// Held out of the training examples to watch the run.
    Validation,
    /// Measured once, at the end.
    Test,
}

impl Part {
    /// The part in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// What one training step computes.
#[derive(Debug)]
pub struct Loss {
    /// The scalar that is minimised: a mean over the batch.
    pub value: Tensor,
    /// For every measure of the task, its sum over the batch.
    pub sums: Sums,
}

/// The measures of a task summed over a batch, in their order.
#[derive(Debug, Clone)]
pub enum Sums {
    /// Numbers.
    Known(Vec<f64>),
    /// Scalars where the network computes, perhaps not computed yet, and a factor on each. They track no gradient.
    Queued(Vec<(Tensor, f64)>),
}

/// Batches in their order.
pub type Batches<'a, B> = Box<dyn Iterator<Item = Result<B>> + 'a>;

/// The examples of a problem in their parts and batches.
pub trait Examples: Sync {
    /// Some examples as tensors.
    type Batch: Sync;

    /// The number of examples of a part.
    fn count(&self, part: Part) -> usize;

    /// Steps of an epoch, at least 1 where there are training examples.
    fn steps(&self) -> u64;

    /// The batches of an epoch (from 0) from step `first_step` (from 0) on. Their order and every random change to
    /// them come from the seed, `epoch` and the example alone, so that a resumed run sees the same.
    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, Self::Batch>;

    /// All examples of a part, unchanged and in their order, at most `batch_size` at once.
    fn batches(&self, part: Part, batch_size: usize) -> Batches<'_, Self::Batch>;

    /// The examples in a batch.
    fn batch_len(&self, batch: &Self::Batch) -> usize;
}

/// Some examples of a task as tensors.
pub type BatchOf<T> = <<T as Task>::Examples as Examples>::Batch;

/// A kind of problem on one dataset. The trainer owns parameters, schedule and state; the task owns the examples.
pub trait Task: Sync {
    /// The network.
    type Model: Sync;
    /// What it learns from.
    type Examples: Examples;

    /// What it learns from.
    fn examples(&self) -> &Self::Examples;

    /// The network over the parameters of `vb`.
    ///
    /// # Errors
    /// When the network's configuration is not valid.
    fn build(&self, vb: VarBuilder) -> Result<Self::Model>;

    /// Gives the drawn parameters in `store` the values that depend on the training examples. Called once, before the
    /// first step of a run.
    ///
    /// # Errors
    /// When the examples do not serve.
    fn initialize(&self, store: &ParamStore) -> Result<()> {
        let _ = store;
        Ok(())
    }

    /// The names of the parameters that are not trained in `epoch` (from 0).
    fn frozen(&self, epoch: usize) -> BTreeSet<String> {
        let _ = epoch;
        BTreeSet::new()
    }

    /// What is measured, in the order of [`Loss::sums`].
    fn measures(&self) -> Measures;

    /// The loss of a training step, and the measures on its batch.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn loss(&self, model: &Self::Model, batch: &BatchOf<Self>) -> Result<Loss>;

    /// The measures summed over a batch, the network evaluating.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn measure(&self, model: &Self::Model, batch: &BatchOf<Self>) -> Result<Sums>;

    /// Buffers of the network that are found for the trained parameters, `batch_size` examples a forward pass; nothing
    /// where `stop` is set before the end.
    ///
    /// # Errors
    /// When the network fails.
    fn conclude(
        &self,
        model: &Self::Model,
        batch_size: usize,
        watch: &dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Option<BTreeMap<String, Tensor>>> {
        let _ = (model, batch_size, watch, stop);
        Ok(Some(BTreeMap::new()))
    }

    /// The learning curves of these epochs as SVG.
    fn curves(&self, title: &str, history: &[Row]) -> String;
}
