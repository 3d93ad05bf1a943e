//! The update rules, and how they are carried out where the parameters live.

mod composed;
mod launched;
mod one_pass;

use std::fmt;

use candle_core::{Device, Result, Tensor, Var, bail};

#[cfg(test)]
pub(super) use composed::Composed;

/// SGD: v ← μ·v + g, then p ← shrink·p − rate·(g + μ·v).
#[derive(Debug, Clone, Copy)]
pub(super) struct Sgd {
    /// μ
    pub(super) momentum: f64,
}

/// AdamW: m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², then p ← shrink·p − rate·m / (√(v/correction) + ε).
#[derive(Debug, Clone, Copy)]
pub(super) struct Adamw {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    /// 1 − beta2^steps.
    pub(super) second_correction: f64,
    pub(super) epsilon: f64,
}

/// What one parameter takes part with in a step.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) parameter: &'a Var,
    /// Contiguous, of the parameter's shape, dtype and device.
    pub(super) gradient: Tensor,
    /// SGD: the velocity. AdamW: the first and the second moment.
    pub(super) moments: &'a [Var],
    /// Learning rate; for AdamW over the first moment's bias correction.
    pub(super) rate: f64,
    /// 1 − learning rate·decay.
    pub(super) shrink: f64,
}

impl Change<'_> {
    /// As many moments as the rule keeps.
    fn moments<const COUNT: usize>(&self) -> Result<&[Var; COUNT]> {
        match self.moments.try_into() {
            Ok(moments) => Ok(moments),
            Err(_) => bail!(
                "an optimizer's state has {} moments where its rule keeps {COUNT}",
                self.moments.len()
            ),
        }
    }
}

/// Scalars where the gradients lie.
#[derive(Debug)]
pub(super) struct Clipped {
    /// The global norm.
    pub(super) norm: Tensor,
    /// The factor that brings the norm to the limit where it is above, else 1.
    pub(super) scale: Tensor,
}

/// Carries out updates of many parameters at once on one kind of device. What is called for a whole step can be one
/// launch for all parameters. The factor on the gradients, where there is one, is a [`Clipped::scale`] of the same
/// backend.
pub(super) trait Backend: fmt::Debug + Sync {
    /// The global norm of the gradients of at least one parameter, and the factor that limits it.
    fn clip(&self, changes: &[Change], limit: f64) -> Result<Clipped>;

    /// One step of SGD.
    fn sgd(&self, changes: &[Change], step: &Sgd, scale: Option<&Tensor>) -> Result<()>;

    /// One step of AdamW.
    fn adamw(&self, changes: &[Change], step: &Adamw, scale: Option<&Tensor>) -> Result<()>;

    /// target ← target + weight·(source − target) for pairs of target and source: the step of a moving average.
    fn average(&self, pairs: &[(Var, Var)], weight: f64) -> Result<()>;
}

/// The fastest way to update parameters on `device`.
pub(super) fn backend(device: &Device) -> &'static dyn Backend {
    match device {
        Device::Cpu => &one_pass::OnePass,
        Device::Cuda(_) => &launched::Launched,
        Device::Metal(_) => &composed::Composed,
    }
}

/// target ← target + weight·(source − target) for pairs of target and source that lie on one device.
pub(crate) fn average(pairs: &[(Var, Var)], weight: f64) -> Result<()> {
    match pairs.first() {
        Some((target, _)) => backend(target.device()).average(pairs, weight),
        None => Ok(()),
    }
}
