//! Settings of an optimizer.

use serde::{Deserialize, Serialize};

/// Which rule updates the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// v ← μ·v + g; p ← p − rate·(g + μ·v): PyTorch's `SGD(nesterov=True)`.
    Sgd,
    /// Adam with bias correction and decoupled decay: PyTorch's `AdamW`.
    Adamw,
}

/// Settings of an [`Optimizer`](super::Optimizer). Weights decay apart from the gradient (arXiv 1711.05101): p ← p −
/// rate·decay·p. Norms, biases and mixtures do not unless the configuration says so.
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
