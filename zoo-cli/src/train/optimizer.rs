//! SGD with Nesterov momentum and AdamW, in place, with state that can be saved.
//!
//! Both decay weights apart from the gradient (AdamW, arXiv 1711.05101): p ← p − rate·decay·p. Norms, biases and
//! mixtures are not decayed unless the configuration says so.

mod update;

pub(crate) use update::average;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};
use gmnm_core::ParamStore;
use serde::{Deserialize, Serialize};

use update::{Backend, Change};

/// Which rule updates the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// v ← μ·v + g; p ← p − rate·(g + μ·v): PyTorch's `SGD(nesterov=True)`.
    Sgd,
    /// Adam with bias correction and decoupled decay: PyTorch's `AdamW`.
    Adamw,
}

/// Settings of an [`Optimizer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The update rule.
    pub rule: Rule,
    /// The peak learning rate, above 0.
    pub learning_rate: f64,
    /// SGD's momentum μ, in 0..1.
    pub momentum: f64,
    /// AdamW's decay rates of the first and second moment, in 0..1.
    pub betas: [f64; 2],
    /// AdamW's term in the denominator, above 0.
    pub epsilon: f64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
    /// Whether norms and biases are decayed too.
    pub decay_norms_and_biases: bool,
    /// Whether a mixture's centers, projections and weight are decayed too.
    pub decay_mixtures: bool,
    /// Factor on the learning rate of a mixture's centers, projections and weight, above 0.
    pub mixture_rate: f64,
    /// Factor on the learning rate of biases, at least 0.
    pub bias_rate: f64,
    /// Another factor on the learning rate of the biases of batch norms, above 0.
    #[serde(default = "one")]
    pub norm_bias_rate: f64,
    /// Largest global norm of the gradient; 0 leaves gradients as they are.
    pub clip_norm: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            rule: Rule::Adamw,
            learning_rate: 1e-3,
            momentum: 0.9,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.01,
            decay_norms_and_biases: false,
            decay_mixtures: false,
            mixture_rate: 1.0,
            bias_rate: 1.0,
            norm_bias_rate: 1.0,
            clip_norm: 0.0,
        }
    }
}

/// What a parameter is to the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Weight,
    Norm,
    Bias,
    NormBias,
    Mixture,
}

/// A mixture is known by its centers, a batch norm by its running mean; a norm's scale is the only weight of one axis.
fn role(name: &str, rank: usize, names: &BTreeSet<&str>) -> Role {
    let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let beside = |sibling: &str| match module {
        "" => names.contains(sibling),
        module => names.contains(format!("{module}.{sibling}").as_str()),
    };
    match leaf {
        "centers" | "projections" | "weight" if beside("centers") => Role::Mixture,
        "bias" if beside("running_mean") => Role::NormBias,
        _ if leaf.starts_with("bias") => Role::Bias,
        _ if rank <= 1 => Role::Norm,
        _ => Role::Weight,
    }
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    /// SGD: the velocity. AdamW: the first and the second moment.
    moments: Vec<Var>,
    rate_factor: f64,
    decay: f64,
}

/// Updates every trainable parameter of a store.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    steps: u64,
    backend: &'static dyn Backend,
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
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            config,
            slots,
            steps: 0,
            backend: update::backend(store.device()),
        })
    }

    /// Moves every parameter that has a gradient by one step at `learning_rate`, and returns the gradient's global
    /// norm before clipping, a scalar where the parameters live, if clipping is on and there is a gradient. Does not
    /// wait for a device.
    ///
    /// # Errors
    /// When a gradient's shape or dtype is not its parameter's.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<Option<Tensor>> {
        self.steps += 1;
        let steps = self.steps as i32;
        let [beta1, beta2] = self.config.betas;
        let correction = match self.config.rule {
            Rule::Sgd => 1.0,
            Rule::Adamw => 1.0 - beta1.powi(steps),
        };
        let mut changes = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            if let Some(gradient) = gradients.get(slot.var.as_tensor()) {
                let rate = learning_rate * slot.rate_factor;
                changes.push(Change {
                    parameter: &slot.var,
                    gradient: gradient.contiguous()?,
                    moments: &slot.moments,
                    rate: rate / correction,
                    shrink: 1.0 - rate * slot.decay,
                });
            }
        }
        let limit = self.config.clip_norm;
        let clipped = if limit > 0.0 && !changes.is_empty() {
            Some(self.backend.clip(&changes, limit)?)
        } else {
            None
        };
        let scale = clipped.as_ref().map(|clipped| &clipped.scale);
        match self.config.rule {
            Rule::Sgd => {
                let momentum = self.config.momentum;
                self.backend
                    .sgd(&changes, &update::Sgd { momentum }, scale)?;
            }
            Rule::Adamw => {
                let step = update::Adamw {
                    beta1,
                    beta2,
                    second_correction: 1.0 - beta2.powi(steps),
                    epsilon: self.config.epsilon,
                };
                self.backend.adamw(&changes, &step, scale)?;
            }
        }
        Ok(clipped.map(|clipped| clipped.norm))
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

#[cfg(test)]
mod tests;
