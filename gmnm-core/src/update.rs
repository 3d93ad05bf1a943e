//! Optimizer steps that change all parameters of a CUDA device where they lie, in one launch each.
//!
//! Each function here tells whether it did its work: where the device or the dtype has no kernels, nothing has changed,
//! and the step is the caller's to make of candle's ops. Nothing waits for the device.

use candle_core::{Result, Tensor};

use crate::cuda::optimizer::Table;

/// A parameter that takes part in a step. All its tensors have one shape, are contiguous and share no memory.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// What is changed.
    pub value: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// What the rule keeps from step to step: SGD the velocity, AdamW the first and the second moment.
    pub moments: &'a [&'a Tensor],
    /// Learning rate of this parameter; for AdamW over the first moment's bias correction, 1 − beta1^steps.
    pub rate: f64,
    /// 1 − learning rate·decay.
    pub shrink: f64,
}

/// Coefficients of AdamW that all parameters share.
#[derive(Debug, Clone, Copy)]
pub struct Adamw {
    /// β₁, in 0..1.
    pub beta1: f64,
    /// β₂, in 0..1.
    pub beta2: f64,
    /// 1 − beta2^steps.
    pub second_correction: f64,
    /// ε, above 0.
    pub epsilon: f64,
}

/// Scalars on the device of the gradients.
#[derive(Debug, Clone)]
pub struct Clipped {
    /// The norm of all gradients taken as one vector.
    pub norm: Tensor,
    /// The factor that brings the norm to the limit where it is above, else 1.
    pub scale: Tensor,
}

/// One step of SGD with Nesterov momentum: v ← μ·v + s·g, then p ← shrink·p − rate·(s·g + μ·v), with s a scalar on the
/// device, or 1. Whether there were kernels for it.
///
/// # Errors
/// When a parameter does not have one moment, tensors do not fit, or the launch fails.
pub fn sgd(parameters: &[Parameter], scale: Option<&Tensor>, momentum: f64) -> Result<bool> {
    check(parameters, 1)?;
    run(parameters, |table| table.sgd(scale, momentum)).map(|done| done.is_some())
}

/// One step of AdamW (arXiv 1711.05101): m ← β₁·m + (1−β₁)·s·g, v ← β₂·v + (1−β₂)·(s·g)², then
/// p ← shrink·p − rate·m / (√(v/correction) + ε), with s a scalar on the device, or 1. Whether there were kernels for it.
///
/// # Errors
/// When a parameter does not have two moments, tensors do not fit, or the launch fails.
pub fn adamw(parameters: &[Parameter], scale: Option<&Tensor>, step: &Adamw) -> Result<bool> {
    check(parameters, 2)?;
    run(parameters, |table| table.adamw(scale, step)).map(|done| done.is_some())
}

/// The step of a moving average: value ← value + weight·(gradient − value), where the `gradient` of each parameter is
/// what it moves towards. Whether there were kernels for it.
///
/// # Errors
/// When tensors do not fit, or the launch fails.
pub fn average(parameters: &[Parameter], weight: f64) -> Result<bool> {
    check(parameters, 0)?;
    run(parameters, |table| table.average(weight)).map(|done| done.is_some())
}

/// The norm of the gradients of all `parameters`, and the factor that limits it, if there are kernels for them.
///
/// # Errors
/// When tensors do not fit, or a launch fails.
pub fn clip(parameters: &[Parameter], limit: f64) -> Result<Option<Clipped>> {
    run(parameters, |table| table.clip(limit))
}

fn run<R>(parameters: &[Parameter], f: impl FnOnce(&Table) -> Result<R>) -> Result<Option<R>> {
    Table::new(parameters)?.map(|table| f(&table)).transpose()
}

fn check(parameters: &[Parameter], moments: usize) -> Result<()> {
    for p in parameters {
        let mut others = p.moments.iter().copied().chain([p.gradient]);
        if p.moments.len() != moments || !others.all(|t| t.dims() == p.value.dims()) {
            candle_core::bail!(
                "an optimizer's step needs {moments} moments and a gradient of the shape of the parameter, {:?}",
                p.value.dims()
            );
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::cuda::host::has_compiler;
    use crate::gradient_check::random;
    use crate::ops::route::forced::{Route, along};

    const SHAPES: [&[usize]; 5] = [&[], &[1], &[5, 7], &[2048], &[3, 1000]];

    /// Parameters, each with its moments, and gradients.
    fn inputs(moments: usize) -> Result<(Vec<Vec<Tensor>>, Vec<Tensor>)> {
        let (mut all, mut gradients) = (Vec::new(), Vec::new());
        for (i, shape) in SHAPES.iter().enumerate() {
            let new = |k: usize| random(shape, DType::F32, (10 * i + k) as u64)?.abs();
            all.push((0..=moments).map(new).collect::<Result<Vec<_>>>()?);
            gradients.push(random(shape, DType::F32, 500 + i as u64)?);
        }
        Ok((all, gradients))
    }

    fn wide(t: &Tensor) -> Result<Vec<f64>> {
        t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
    }

    /// Compares two steps over all shapes with the formula in f64, element by element.
    fn compare(
        moments: usize,
        formula: impl Fn(&mut [f64], f64),
        step: impl Fn(&[Parameter]) -> Result<bool>,
    ) -> Result<()> {
        let (all, gradients) = inputs(moments)?;
        let before = all
            .iter()
            .map(|tensors| tensors.iter().map(wide).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        let others: Vec<Vec<&Tensor>> = all.iter().map(|t| t[1..].iter().collect()).collect();
        for _ in 0..2 {
            let parameters: Vec<Parameter> = all
                .iter()
                .zip(&gradients)
                .zip(&others)
                .map(|((tensors, gradient), moments)| Parameter {
                    value: &tensors[0],
                    gradient,
                    moments,
                    rate: 0.1,
                    shrink: 0.98,
                })
                .collect();
            assert!(!step(&parameters)?, "the CPU has no such kernels");
            assert!(along(Route::Emulated, || step(&parameters))?);
        }
        for ((tensors, before), gradient) in all.iter().zip(before).zip(&gradients) {
            let found = tensors.iter().map(wide).collect::<Result<Vec<_>>>()?;
            for (i, g) in wide(gradient)?.into_iter().enumerate() {
                let mut state: Vec<f64> = before.iter().map(|values| values[i]).collect();
                formula(&mut state, g);
                formula(&mut state, g);
                for (found, expected) in found.iter().zip(state) {
                    let error = (found[i] - expected).abs();
                    assert!(
                        error < 1e-5 * (1.0 + expected.abs()),
                        "{} {expected}",
                        found[i]
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn steps_follow_the_formulas() -> Result<()> {
        if !has_compiler() {
            return Ok(());
        }
        let scale = Tensor::new(0.7f32, &Device::Cpu)?;
        for (factor, scale) in [(0.7, Some(&scale)), (1.0, None)] {
            let formula = |s: &mut [f64], g: f64| {
                let g = factor * g;
                s[1] = 0.9 * s[1] + g;
                s[0] = 0.98 * s[0] - 0.1 * (g + 0.9 * s[1]);
            };
            compare(1, formula, |p| sgd(p, scale, 0.9))?;
            let rule = Adamw {
                beta1: 0.9,
                beta2: 0.99,
                second_correction: 0.3,
                epsilon: 1e-3,
            };
            let formula = |s: &mut [f64], g: f64| {
                let g = factor * g;
                s[1] = 0.9 * s[1] + 0.1 * g;
                s[2] = 0.99 * s[2] + 0.01 * g * g;
                s[0] = 0.98 * s[0] - 0.1 * s[1] / ((s[2] / 0.3).sqrt() + 1e-3);
            };
            compare(2, formula, |p| adamw(p, scale, &rule))?;
        }
        compare(0, |s, g| s[0] += 0.25 * (g - s[0]), |p| average(p, 0.25))
    }

    #[test]
    fn a_norm_spans_all_gradients_and_is_limited() -> Result<()> {
        if !has_compiler() {
            return Ok(());
        }
        let (all, gradients) = inputs(0)?;
        let parameters: Vec<Parameter> = all
            .iter()
            .zip(&gradients)
            .map(|(tensors, gradient)| Parameter {
                value: &tensors[0],
                gradient,
                moments: &[],
                rate: 0.0,
                shrink: 1.0,
            })
            .collect();
        let squares = gradients.iter().map(wide).collect::<Result<Vec<_>>>()?;
        let norm = squares.concat().iter().map(|g| g * g).sum::<f64>().sqrt();
        for (limit, scale) in [(1.0, 1.0 / norm), (1e6, 1.0)] {
            assert!(clip(&parameters, limit)?.is_none());
            let found = along(Route::Emulated, || clip(&parameters, limit))?.expect("kernels");
            let [found_norm, found_scale] = [found.norm, found.scale].map(|t| t.to_scalar::<f32>());
            assert!((f64::from(found_norm?) / norm - 1.0).abs() < 1e-5);
            assert!((f64::from(found_scale?) / scale - 1.0).abs() < 1e-5);
        }
        Ok(())
    }

    #[test]
    fn misfits_are_errors() -> Result<()> {
        let (value, gradient) = (random(&[3], DType::F32, 1)?, random(&[4], DType::F32, 2)?);
        let moment = random(&[3], DType::F32, 3)?;
        let run = |gradient: &Tensor, moments: &[&Tensor]| {
            let parameter = Parameter {
                value: &value,
                gradient,
                moments,
                rate: 0.1,
                shrink: 1.0,
            };
            sgd(&[parameter], None, 0.0)
        };
        assert!(run(&gradient, &[&moment]).is_err());
        assert!(run(&moment, &[]).is_err());
        assert!(run(&gradient.narrow(0, 0, 3)?, &[&moment]).is_ok());
        Ok(())
    }
}
