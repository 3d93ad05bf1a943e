//! Updates by candle's ops, on any device. Nothing here waits for the device.

use candle_core::{Result, Tensor, Var};

use super::{Adamw, Backend, Change, Clipped, Sgd};

/// Some launches for every parameter.
#[derive(Debug)]
pub(in crate::train::optimizer) struct Composed;

impl Backend for Composed {
    fn clip(&self, changes: &[Change], limit: f64) -> Result<Clipped> {
        let squares = changes
            .iter()
            .map(|change| change.gradient.sqr()?.sum_all())
            .collect::<Result<Vec<_>>>()?;
        let norm = Tensor::stack(&squares, 0)?.sum_all()?.sqrt()?;
        // limit / 0 is infinite: a gradient of 0 keeps the factor 1.
        let scale = (norm.recip()? * limit)?.minimum(1.0)?;
        Ok(Clipped { norm, scale })
    }

    fn sgd(&self, changes: &[Change], step: &Sgd, scale: Option<&Tensor>) -> Result<()> {
        for change in changes {
            let [velocity] = change.moments()?;
            let gradient = scaled(&change.gradient, scale)?;
            velocity.set(&((velocity.as_detached_tensor() * step.momentum)? + &gradient)?)?;
            let ahead = (gradient + (velocity.as_detached_tensor() * step.momentum)?)?;
            mix(change.parameter, change.shrink, &ahead, -change.rate)?;
        }
        Ok(())
    }

    fn adamw(&self, changes: &[Change], step: &Adamw, scale: Option<&Tensor>) -> Result<()> {
        for change in changes {
            let [first, second] = change.moments()?;
            let gradient = scaled(&change.gradient, scale)?;
            mix(first, step.beta1, &gradient, 1.0 - step.beta1)?;
            mix(second, step.beta2, &gradient.sqr()?, 1.0 - step.beta2)?;
            let spread = (second.as_detached_tensor() * (1.0 / step.second_correction))?;
            let spread = (spread.sqrt()? + step.epsilon)?;
            let direction = (first.as_detached_tensor() / spread)?;
            mix(change.parameter, change.shrink, &direction, -change.rate)?;
        }
        Ok(())
    }

    fn average(&self, pairs: &[(Var, Var)], weight: f64) -> Result<()> {
        for (target, source) in pairs {
            mix(target, 1.0 - weight, &source.as_detached_tensor(), weight)?;
        }
        Ok(())
    }
}

fn scaled(gradient: &Tensor, scale: Option<&Tensor>) -> Result<Tensor> {
    match scale {
        Some(scale) => gradient.broadcast_mul(scale),
        None => Ok(gradient.clone()),
    }
}

/// target ← keep·target + add·value.
fn mix(target: &Var, keep: f64, value: &Tensor, add: f64) -> Result<()> {
    target.set(&((target.as_detached_tensor() * keep)? + (value * add)?)?)
}
