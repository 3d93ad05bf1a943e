//! A step of many parameters at once, carried out where they lie.

use std::cell::Cell;

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Tensor, bail};

use super::composed;
use crate::cpu::optimizer::{Factors, Step, adamw, average, sgd};
use crate::cuda::optimizer::{Clipped, Parameter, Table};
use crate::ops::slices::{Element, elements, with_element};
use crate::route::on_cpu;

/// Moves all `parameters` by one step, their gradients times `scale` where it is given.
///
/// # Errors
/// When a parameter's moments are not those of the step, or its tensors differ in shape, dtype or device.
pub(super) fn apply(step: &Step, parameters: &[Parameter], scale: Option<&Tensor>) -> Result<()> {
    for p in parameters {
        let mut moments = p.moments.iter().map(|moment| moment.dims());
        if p.moments.len() != step.moments()
            || p.gradient.dims() != p.value.dims()
            || !moments.all(|dims| dims == p.value.dims())
        {
            bail!(
                "an optimizer's step needs {} moments and a gradient of the shape of the parameter, {:?}",
                step.moments(),
                p.value.dims()
            );
        }
    }
    if let Some(table) = Table::new(parameters)? {
        return table.step(step, scale);
    }
    if !are_on_cpu(parameters) {
        return composed::apply(step, parameters, scale);
    }
    let scale = scale.map_or(Ok(1.0), Tensor::to_scalar)?;
    parameters
        .iter()
        .try_for_each(|p| with_element!(p.value.dtype(), T => in_place::<T>(step, p, scale)))
}

/// Whether the processor's kernels take all parameters.
fn are_on_cpu(parameters: &[Parameter]) -> bool {
    let taken = |p: &Parameter| matches!(p.value.dtype(), DType::F32 | DType::F64);
    parameters.iter().all(|p| on_cpu(p.value) && taken(p))
}

/// The global norm of the gradients of at least one parameter, and the factor that limits it.
///
/// # Errors
/// When gradients lie on several devices.
pub(super) fn clip(parameters: &[Parameter], limit: f64) -> Result<Clipped> {
    if let Some(table) = Table::new(parameters)? {
        return table.clip(limit);
    }
    if !are_on_cpu(parameters) {
        return composed::clip(parameters, limit);
    }
    let mut sum = 0.0;
    for parameter in parameters {
        let squares = parameter.gradient.sqr()?.sum_all()?;
        sum += squares.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    }
    let norm = sum.sqrt();
    let scale = if norm > limit { limit / norm } else { 1.0 };
    Ok(Clipped {
        norm: Tensor::new(norm, &Device::Cpu)?,
        scale: Tensor::new(scale, &Device::Cpu)?,
    })
}

/// The step of one parameter on the processor.
fn in_place<T: Element>(step: &Step, p: &Parameter, scale: f64) -> Result<()> {
    let gradient = elements::<T>(&p.gradient)?;
    let factors = Factors {
        rate: p.rate,
        shrink: p.shrink,
        scale,
    };
    write::<T>(p.value, |value| match (step, p.moments) {
        (Step::Sgd { momentum }, [velocity]) => write(velocity, |v| {
            sgd(*momentum, &factors, [value, v], &gradient);
            Ok(())
        }),
        (Step::Adamw(rule), [first, second]) => write(first, |m| {
            write(second, |v| {
                adamw(rule, &factors, [value, m, v], &gradient);
                Ok(())
            })
        }),
        (Step::Average { weight }, []) => {
            average(*weight, value, &gradient);
            Ok(())
        }
        _ => bail!("a parameter's moments are not those of the optimizer's step"),
    })
}

/// Calls `f` with the elements of a tensor of the processor, to change them.
fn write<T: Element>(tensor: &Tensor, f: impl FnOnce(&mut [T]) -> Result<()>) -> Result<()> {
    struct Write<F, T>(Cell<Option<F>>, std::marker::PhantomData<T>);
    impl<T: Element, F: FnOnce(&mut [T]) -> Result<()>> InplaceOp1 for Write<F, T> {
        fn name(&self) -> &'static str {
            "optimizer"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let range = layout.contiguous_offsets();
            let (Some((start, end)), Some(all), Some(f)) =
                (range, T::elements_mut(storage), self.0.take())
            else {
                bail!("an optimizer needs contiguous tensors of one type");
            };
            f(&mut all[start..end])
        }
    }
    tensor.inplace_op1(&Write(Cell::new(Some(f)), std::marker::PhantomData))
}
