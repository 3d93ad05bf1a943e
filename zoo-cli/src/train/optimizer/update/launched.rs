//! Updates of all parameters in one launch, on CUDA devices. What has no kernels there is left to candle's ops.

use candle_core::{Result, Tensor, Var};
use gmnm_core::update::{self, Parameter};

use super::composed::Composed;
use super::{Adamw, Backend, Change, Clipped, Sgd};

/// One launch for all parameters.
#[derive(Debug)]
pub(super) struct Launched;

impl Backend for Launched {
    fn clip(&self, changes: &[Change], limit: f64) -> Result<Clipped> {
        let moments = moments(changes);
        match update::clip(&parameters(changes, &moments), limit)? {
            Some(update::Clipped { norm, scale }) => Ok(Clipped { norm, scale }),
            None => Composed.clip(changes, limit),
        }
    }

    fn sgd(&self, changes: &[Change], step: &Sgd, scale: Option<&Tensor>) -> Result<()> {
        let moments = moments(changes);
        match update::sgd(&parameters(changes, &moments), scale, step.momentum)? {
            true => Ok(()),
            false => Composed.sgd(changes, step, scale),
        }
    }

    fn adamw(&self, changes: &[Change], step: &Adamw, scale: Option<&Tensor>) -> Result<()> {
        let moments = moments(changes);
        let shared = update::Adamw {
            beta1: step.beta1,
            beta2: step.beta2,
            second_correction: step.second_correction,
            epsilon: step.epsilon,
        };
        match update::adamw(&parameters(changes, &moments), scale, &shared)? {
            true => Ok(()),
            false => Composed.adamw(changes, step, scale),
        }
    }

    fn average(&self, pairs: &[(Var, Var)], weight: f64) -> Result<()> {
        let parameter = |(target, source)| Parameter {
            value: target,
            gradient: source,
            moments: &[],
            rate: 0.0,
            shrink: 1.0,
        };
        let tensors = pairs.iter().map(|(a, b)| (a.as_tensor(), b.as_tensor()));
        let parameters: Vec<Parameter> = tensors.map(parameter).collect();
        match update::average(&parameters, weight)? {
            true => Ok(()),
            false => Composed.average(pairs, weight),
        }
    }
}

fn moments<'a>(changes: &'a [Change]) -> Vec<Vec<&'a Tensor>> {
    let of = |change: &'a Change| change.moments.iter().map(|m| m.as_tensor()).collect();
    changes.iter().map(of).collect()
}

fn parameters<'a>(changes: &'a [Change], moments: &'a [Vec<&'a Tensor>]) -> Vec<Parameter<'a>> {
    let pairs = changes.iter().zip(moments);
    pairs
        .map(|(change, moments)| Parameter {
            value: change.parameter,
            gradient: &change.gradient,
            moments,
            rate: change.rate,
            shrink: change.shrink,
        })
        .collect()
}
