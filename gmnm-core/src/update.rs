//! Optimizer steps on devices: parameters and moments are changed where they lie, on a CUDA device all of them by one
//! kernel.

use candle_core::{DType, Device, Result, Tensor};

use crate::cuda::optimizer as kernels;

/// A parameter that takes part in a step. All tensors have one shape and dtype, are contiguous and share no memory.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// What is changed.
    pub value: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// What the rule keeps from step to step: SGD the velocity, AdamW the first and the second moment.
    pub moments: &'a [Tensor],
    /// Learning rate of this parameter; for AdamW over the first moment's bias correction, 1 − beta1^steps.
    pub rate: f64,
    /// 1 − learning rate·decay.
    pub shrink: f64,
}

/// SGD with Nesterov momentum: v ← μ·v + s·g, then p ← shrink·p − rate·(s·g + μ·v).
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// Factor s on gradients, from clipping.
    pub scale: f64,
    /// μ, in 0..1.
    pub momentum: f64,
}

/// AdamW (arXiv 1711.05101): m ← β₁·m + (1−β₁)·s·g, v ← β₂·v + (1−β₂)·(s·g)², then
/// p ← shrink·p − rate·m / (√(v/correction) + ε).
#[derive(Debug, Clone, Copy)]
pub struct Adamw {
    /// Factor s on gradients, from clipping.
    pub scale: f64,
    /// β₁, in 0..1.
    pub beta1: f64,
    /// β₂, in 0..1.
    pub beta2: f64,
    /// 1 − beta2^steps.
    pub second_correction: f64,
    /// ε, above 0.
    pub epsilon: f64,
}

/// One step of SGD.
///
/// # Errors
/// When a parameter does not have one moment, or tensors do not fit.
pub fn sgd(parameters: &[Parameter], step: &Sgd) -> Result<()> {
    check(parameters, 1)?;
    if kernels::sgd(parameters, step)? {
        return Ok(());
    }
    for p in parameters {
        let gradient = (p.gradient * step.scale)?;
        let velocity = ((p.moments[0].detach() * step.momentum)? + &gradient)?;
        let move_by = ((gradient + (&velocity * step.momentum)?)? * p.rate)?;
        set(&p.moments[0], &velocity)?;
        set(p.value, &((p.value.detach() * p.shrink)? - move_by)?)?;
    }
    Ok(())
}

/// One step of AdamW.
///
/// # Errors
/// When a parameter does not have two moments, or tensors do not fit.
pub fn adamw(parameters: &[Parameter], step: &Adamw) -> Result<()> {
    check(parameters, 2)?;
    if kernels::adamw(parameters, step)? {
        return Ok(());
    }
    for p in parameters {
        let gradient = (p.gradient * step.scale)?;
        let blend =
            |old: &Tensor, new: &Tensor, beta: f64| (old.detach() * beta)? + (new * (1.0 - beta))?;
        let first = blend(&p.moments[0], &gradient, step.beta1)?;
        let second = blend(&p.moments[1], &gradient.sqr()?, step.beta2)?;
        let size = ((&second / step.second_correction)?.sqrt()? + step.epsilon)?;
        let move_by = ((&first / size)? * p.rate)?;
        set(&p.moments[0], &first)?;
        set(&p.moments[1], &second)?;
        set(p.value, &((p.value.detach() * p.shrink)? - move_by)?)?;
    }
    Ok(())
}

/// The step of a moving average: value ← value + weight·(gradient − value), where the `gradient` of each parameter is
/// what it moves towards.
///
/// # Errors
/// When tensors do not fit.
pub fn average(parameters: &[Parameter], weight: f64) -> Result<()> {
    check(parameters, 0)?;
    if kernels::average(parameters, weight)? {
        return Ok(());
    }
    for p in parameters {
        let kept = (p.value.detach() * (1.0 - weight))?;
        set(p.value, &(kept + (p.gradient.detach() * weight)?)?)?;
    }
    Ok(())
}

/// The norm of all `gradients` taken as one vector. It waits for the device once.
///
/// # Errors
/// When a gradient cannot be summed on its device.
pub fn global_norm<'a>(gradients: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    let mut sum: Option<Tensor> = None;
    for gradient in gradients {
        let square = gradient.sqr()?.sum_all()?;
        sum = Some(match sum {
            Some(sum) => (sum + square)?,
            None => square,
        });
    }
    match sum {
        Some(sum) => {
            let sum = sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            Ok(sum.to_scalar::<f64>()?.sqrt())
        }
        None => Ok(0.0),
    }
}

fn check(parameters: &[Parameter], moments: usize) -> Result<()> {
    for p in parameters {
        let others = p.moments.iter().chain([p.gradient]);
        let fits = |t: &Tensor| t.dims() == p.value.dims() && t.dtype() == p.value.dtype();
        if p.moments.len() != moments || !others.clone().all(fits) {
            candle_core::bail!(
                "an optimizer's step needs {moments} moments and a gradient like the parameter {:?}",
                p.value.dims()
            );
        }
        if !others.chain([p.value]).all(Tensor::is_contiguous) {
            candle_core::bail!("an optimizer's step needs contiguous tensors");
        }
    }
    Ok(())
}

/// Copies `new` into the memory of `target`.
fn set(target: &Tensor, new: &Tensor) -> Result<()> {
    if target.elem_count() == 0 {
        return Ok(());
    }
    target
        .detach()
        .flatten_all()?
        .slice_set(&new.flatten_all()?, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::random;
    use crate::ops::route::forced::{Route, along};

    const SHAPES: [&[usize]; 5] = [&[], &[1], &[5, 7], &[2048], &[3, 1000]];

    /// The values and moments after two steps of `rule` over all shapes, by the formula in f64 and by `route`.
    fn compare(
        route: Route,
        moments: usize,
        formula: impl Fn(&mut [f64], f64),
        step: impl Fn(&[Parameter]) -> Result<()>,
    ) -> Result<()> {
        let (mut all, mut gradients) = (Vec::new(), Vec::new());
        for (i, shape) in SHAPES.iter().enumerate() {
            let new = |k: usize| {
                random(shape, DType::F32, (10 * i + k) as u64)?
                    .abs()?
                    .copy()
            };
            all.push((0..=moments).map(new).collect::<Result<Vec<_>>>()?);
            gradients.push(random(shape, DType::F32, 500 + i as u64)?);
        }
        let wide = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let mut expected = Vec::new();
        for (tensors, gradient) in all.iter().zip(&gradients) {
            let values = tensors.iter().map(wide).collect::<Result<Vec<_>>>()?;
            for (i, g) in wide(gradient)?.into_iter().enumerate() {
                let mut state: Vec<f64> = values.iter().map(|v| v[i]).collect();
                formula(&mut state, g);
                formula(&mut state, g);
                expected.extend(state);
            }
        }
        for _ in 0..2 {
            let parameters: Vec<Parameter> = all
                .iter()
                .zip(&gradients)
                .map(|(tensors, gradient)| Parameter {
                    value: &tensors[0],
                    gradient,
                    moments: &tensors[1..],
                    rate: 0.1,
                    shrink: 0.98,
                })
                .collect();
            along(route, || step(&parameters))?;
        }
        let mut found = Vec::new();
        for tensors in &all {
            let values = tensors.iter().map(wide).collect::<Result<Vec<_>>>()?;
            for i in 0..values[0].len() {
                found.extend(values.iter().map(|v| v[i]));
            }
        }
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
        Ok(())
    }

    fn every_rule(route: Route) -> Result<()> {
        let rule = Sgd {
            scale: 0.7,
            momentum: 0.9,
        };
        let formula = |s: &mut [f64], g: f64| {
            let g = 0.7 * g;
            s[1] = 0.9 * s[1] + g;
            s[0] = 0.98 * s[0] - 0.1 * (g + 0.9 * s[1]);
        };
        compare(route, 1, formula, |p| sgd(p, &rule))?;
        let rule = Adamw {
            scale: 0.7,
            beta1: 0.9,
            beta2: 0.99,
            second_correction: 0.3,
            epsilon: 1e-3,
        };
        let formula = |s: &mut [f64], g: f64| {
            let g = 0.7 * g;
            s[1] = 0.9 * s[1] + 0.1 * g;
            s[2] = 0.99 * s[2] + 0.01 * g * g;
            s[0] = 0.98 * s[0] - 0.1 * s[1] / ((s[2] / 0.3).sqrt() + 1e-3);
        };
        compare(route, 2, formula, |p| adamw(p, &rule))?;
        compare(
            route,
            0,
            |s, g| s[0] += 0.25 * (g - s[0]),
            |p| average(p, 0.25),
        )
    }

    #[test]
    fn steps_of_candles_ops_follow_the_formulas() -> Result<()> {
        every_rule(Route::Composed)
    }

    #[cfg(unix)]
    #[test]
    fn steps_of_the_cuda_kernels_follow_the_formulas() -> Result<()> {
        if crate::cuda::host::has_compiler() {
            every_rule(Route::Emulated)?;
        }
        Ok(())
    }

    #[test]
    fn a_norm_spans_all_gradients() -> Result<()> {
        let gradients = [
            Tensor::new(&[3f32, 0.0], &Device::Cpu)?,
            Tensor::new(&[[4f32]], &Device::Cpu)?,
        ];
        assert_eq!(global_norm(&gradients)?, 5.0);
        assert_eq!(global_norm([])?, 0.0);
        Ok(())
    }

    #[test]
    fn misfits_are_errors() -> Result<()> {
        let (value, gradient) = (random(&[3], DType::F32, 1)?, random(&[4], DType::F32, 2)?);
        let moments = [random(&[3], DType::F32, 3)?];
        let run = |gradient: &Tensor, moments: &[Tensor]| {
            let parameter = Parameter {
                value: &value,
                gradient,
                moments,
                rate: 0.1,
                shrink: 1.0,
            };
            sgd(
                &[parameter],
                &Sgd {
                    scale: 1.0,
                    momentum: 0.0,
                },
            )
        };
        assert!(run(&gradient, &moments).is_err());
        assert!(run(&moments[0], &[]).is_err());
        assert!(run(&gradient.narrow(0, 0, 3)?, &moments).is_ok());
        Ok(())
    }
}
