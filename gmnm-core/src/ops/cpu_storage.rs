//! Slices of tensors on the CPU.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType};

use crate::cpu::lanes::Real;

/// A dtype that the kernels compute in.
pub(super) trait Element: WithDType + Real {}

impl Element for f32 {}
impl Element for f64 {}

/// The elements of a contiguous operand of op `name`.
pub(super) fn slice<'a, T: WithDType>(
    name: &'static str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => candle_core::bail!("{name} needs contiguous operands; call contiguous() first"),
    }
}

/// Calls `f` with the elements of a tensor on the CPU.
pub(super) fn with_slice<T: WithDType, R>(
    name: &'static str,
    tensor: &Tensor,
    f: impl FnOnce(&[T]) -> Result<R>,
) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(name, storage, layout)?),
        _ => candle_core::bail!("{name} runs on the CPU only; move its operands there"),
    }
}

/// Calls `$call` with `$element` naming the element type of `$dtype`, or fails.
macro_rules! with_element {
    ($name:expr, $dtype:expr, $element:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $element = f32;
                $call
            }
            candle_core::DType::F64 => {
                type $element = f64;
                $call
            }
            dtype => {
                candle_core::bail!(
                    "{} computes in f32 or f64, not {dtype:?}; convert first",
                    $name
                )
            }
        }
    };
}

pub(super) use with_element;
