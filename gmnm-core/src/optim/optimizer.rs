//! The optimizer: moments of every parameter, and steps of all of them.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use super::config::{OptimizerConfig, Rule};
use super::role::{Role, role};
use super::step::{apply, clip};
use crate::ParamStore;
use crate::cpu::optimizer::{Adamw, Step};
use crate::cuda::optimizer::Parameter;

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    /// SGD: the velocity. AdamW: the first and the second moment.
    moments: Vec<Var>,
    rate_factor: f64,
    decay: f64,
    /// Steps of the optimizer before its first.
    late: u64,
}

/// Updates every trainable parameter of a store.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    steps: u64,
}

impl Optimizer {
    /// An optimizer at its first step, with moments of zero.
    ///
    /// # Errors
    /// When a moment cannot be allocated.
    pub fn new(store: &ParamStore, config: OptimizerConfig) -> Result<Self> {
        let parameters = store.trainable();
        let all = store.all();
        let names: BTreeSet<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let moments = match config.rule {
            Rule::Sgd => 1,
            Rule::Adamw => 2,
        };
        let slots = parameters
            .iter()
            .map(|(name, var)| {
                let role = role(name, var.rank(), &names);
                let decays = match role {
                    Role::Weight => true,
                    Role::Norm | Role::Bias | Role::NormBias => config.decay_norms_and_biases,
                    Role::Mixture => config.decay_mixtures,
                };
                Ok(Slot {
                    name: name.clone(),
                    var: var.clone(),
                    moments: (0..moments)
                        .map(|_| Var::zeros(var.shape(), var.dtype(), var.device()))
                        .collect::<Result<_>>()?,
                    rate_factor: match role {
                        Role::Mixture => config.mixture_rate,
                        Role::Bias => config.bias_rate,
                        Role::NormBias => config.bias_rate * config.norm_bias_rate,
                        Role::Weight | Role::Norm => 1.0,
                    },
                    decay: if decays { config.weight_decay } else { 0.0 },
                    late: 0,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            config,
            slots,
            steps: 0,
        })
    }

    /// Multiplies the learning rates of the parameters called `names` by `factor`.
    pub fn scale_rates(&mut self, names: &BTreeSet<String>, factor: f64) {
        let named = self.slots.iter_mut().filter(|s| names.contains(&s.name));
        named.for_each(|slot| slot.rate_factor *= factor);
    }

    /// Counts the steps of the parameters called `names` from that after `steps` steps on: until then they have no
    /// gradients, and the bias correction of AdamW's moments begins there.
    pub fn begin_after(&mut self, steps: u64, names: &BTreeSet<String>) {
        let named = self.slots.iter_mut().filter(|s| names.contains(&s.name));
        named.for_each(|slot| slot.late = steps);
        // Those that began together are moved together.
        self.slots.sort_by_key(|slot| slot.late);
    }

    /// Moves every parameter that has a gradient by one step at `learning_rate`, and returns the gradient's global
    /// norm before clipping, a scalar where the parameters live, if clipping is on and there is a gradient. Does not
    /// wait for a device.
    ///
    /// # Errors
    /// When a gradient's shape or dtype is not its parameter's.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<Option<Tensor>> {
        self.steps += 1;
        let mut parameters = Vec::with_capacity(self.slots.len());
        let mut counts = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            if let Some(gradient) = gradients.get(slot.var.as_tensor()) {
                let count = self.steps.saturating_sub(slot.late).max(1);
                let rate = learning_rate * slot.rate_factor;
                parameters.push(Parameter {
                    value: &slot.var,
                    gradient: gradient.contiguous()?,
                    moments: &slot.moments,
                    rate: rate / self.rule(count).1,
                    shrink: 1.0 - rate * slot.decay,
                });
                counts.push(count);
            }
        }
        let limit = self.config.clip_norm;
        let clipped = if limit > 0.0 && !parameters.is_empty() {
            Some(clip(&parameters, limit)?)
        } else {
            None
        };
        let scale = clipped.as_ref().map(|clipped| &clipped.scale);
        let mut rest = parameters.as_slice();
        for together in counts.chunk_by(|a, b| a == b) {
            let (now, later) = rest.split_at(together.len());
            apply(&self.rule(together[0]).0, now, scale)?;
            rest = later;
        }
        Ok(clipped.map(|clipped| clipped.norm))
    }

    /// What moves a parameter in its step number `count`, from 1, and the bias correction of its first moment.
    fn rule(&self, count: u64) -> (Step, f64) {
        match self.config.rule {
            Rule::Sgd => {
                let momentum = self.config.momentum;
                (Step::Sgd { momentum }, 1.0)
            }
            Rule::Adamw => {
                let [beta1, beta2] = self.config.betas;
                let count = count as i32;
                let rule = Adamw {
                    beta1,
                    beta2,
                    second_correction: 1.0 - beta2.powi(count),
                    epsilon: self.config.epsilon,
                };
                (Step::Adamw(rule), 1.0 - beta1.powi(count))
            }
        }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments by `PARAMETER.0`, `PARAMETER.1`.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        self.slots
            .iter()
            .flat_map(|slot| {
                let named = slot.moments.iter().enumerate();
                named.map(|(i, moment)| (format!("{}.{i}", slot.name), moment.as_detached_tensor()))
            })
            .collect()
    }

    /// Continues from the moments that [`Self::state`] gave after `steps` steps.
    ///
    /// # Errors
    /// When a moment is missing or has another shape; then nothing has changed.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        let moments = self
            .slots
            .iter()
            .map(|slot| {
                (0..slot.moments.len())
                    .map(|i| match state.get(&format!("{}.{i}", slot.name)) {
                        Some(saved) if saved.shape() == slot.var.shape() => {
                            let saved = saved.detach().to_dtype(slot.var.dtype())?;
                            Var::from_tensor(&saved.to_device(slot.var.device())?.copy()?)
                        }
                        _ => bail!("the checkpoint has no moment {i} of `{}`", slot.name),
                    })
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<Vec<_>>>()?;
        for (slot, moments) in self.slots.iter_mut().zip(moments) {
            slot.moments = moments;
        }
        self.steps = steps;
        Ok(())
    }
}
