//! Steps by candle's ops, on any device: some launches for every parameter. Nothing here waits for the device.

use candle_core::{Result, Tensor, Var, bail};

use crate::cpu::optimizer::Step;
use crate::cuda::optimizer::{Clipped, Parameter};

/// As [`super::step::clip`].
pub(super) fn clip(parameters: &[Parameter], limit: f64) -> Result<Clipped> {
    let squares = parameters
        .iter()
        .map(|p| p.gradient.sqr()?.sum_all())
        .collect::<Result<Vec<_>>>()?;
    let norm = Tensor::stack(&squares, 0)?.sum_all()?.sqrt()?;
    // limit / 0 is infinite: a gradient of 0 keeps the factor 1.
    let scale = (norm.recip()? * limit)?.minimum(1.0)?;
    Ok(Clipped { norm, scale })
}

/// As [`super::step::apply`].
pub(super) fn apply(step: &Step, parameters: &[Parameter], scale: Option<&Tensor>) -> Result<()> {
    for p in parameters {
        let gradient = match scale {
            Some(scale) => p.gradient.broadcast_mul(scale)?,
            None => p.gradient.clone(),
        };
        match (step, p.moments) {
            (Step::Sgd { momentum }, [velocity]) => {
                mix(velocity, *momentum, &gradient, 1.0)?;
                let ahead = (gradient + (velocity.as_detached_tensor() * *momentum)?)?;
                mix(p.value, p.shrink, &ahead, -p.rate)?;
            }
            (Step::Adamw(rule), [first, second]) => {
                mix(first, rule.beta1, &gradient, 1.0 - rule.beta1)?;
                mix(second, rule.beta2, &gradient.sqr()?, 1.0 - rule.beta2)?;
                let spread = (second.as_detached_tensor() * (1.0 / rule.second_correction))?;
                let spread = (spread.sqrt()? + rule.epsilon)?;
                let direction = (first.as_detached_tensor() / spread)?;
                mix(p.value, p.shrink, &direction, -p.rate)?;
            }
            (Step::Average { weight }, []) => {
                mix(p.value, 1.0 - weight, &gradient.detach(), *weight)?;
            }
            _ => bail!("a parameter's moments are not those of the optimizer's step"),
        }
    }
    Ok(())
}

/// target ← keep·target + add·value.
fn mix(target: &Var, keep: f64, value: &Tensor, add: f64) -> Result<()> {
    target.set(&((target.as_detached_tensor() * keep)? + (value * add)?)?)
}
