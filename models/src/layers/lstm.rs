//! A long short-term memory layer.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::init::uniform_fan_in;
use gmnm_core::ops::{self, LstmOutput, LstmWeights};

/// One layer with PyTorch's parameters `weight_ih_l0` `[4·hidden, inputs]`, `weight_hh_l0` `[4·hidden, hidden]`,
/// `bias_ih_l0` and `bias_hh_l0` `[4·hidden]`.
#[derive(Debug, Clone)]
pub struct Lstm {
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
}

impl Lstm {
    /// The layer with its parameters from `vb`, drawn as PyTorch does when they are new: uniform in ±1/√hidden.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(inputs: usize, hidden: usize, vb: VarBuilder) -> Result<Self> {
        let init = uniform_fan_in(hidden);
        let rows = 4 * hidden;
        Ok(Self {
            weight_ih: vb.get_with_hints((rows, inputs), "weight_ih_l0", init)?,
            weight_hh: vb.get_with_hints((rows, hidden), "weight_hh_l0", init)?,
            bias_ih: vb.get_with_hints(rows, "bias_ih_l0", init)?,
            bias_hh: vb.get_with_hints(rows, "bias_hh_l0", init)?,
        })
    }

    /// Runs over `x` `[batch, steps, inputs]` from `state` (hidden values and cells `[batch, hidden]`), or from zeros.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, state: Option<(&Tensor, &Tensor)>) -> Result<LstmOutput> {
        let weights = LstmWeights {
            weight_ih: &self.weight_ih,
            weight_hh: &self.weight_hh,
            biases: Some((&self.bias_ih, &self.bias_hh)),
        };
        ops::lstm(x, &weights, state)
    }
}
