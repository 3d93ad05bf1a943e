//! Slices of tensors on the CPU.

use std::marker::PhantomData;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, WithDType};

use half::bf16;

use super::route::on_cpu;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::stored::Stored;

/// A dtype that the kernels compute in.
pub(super) trait Element: WithDType + Real {}

impl Element for f32 {}
impl Element for f64 {}

/// A dtype of activations: one that the kernels compute in, or bf16, which they widen.
pub(super) trait ActivationElement: WithDType + Stored<Real: Element> {}

impl ActivationElement for f32 {}
impl ActivationElement for f64 {}
impl ActivationElement for bf16 {}

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

/// Whether the kernels compute a tensor of this type where it is; for others an op is composed of candle's.
pub(super) fn has_kernels(tensor: &Tensor) -> bool {
    on_cpu(tensor) && matches!(tensor.dtype(), DType::F32 | DType::F64)
}

/// Whether the kernels widen a tensor where it is.
pub(super) fn is_bf16(tensor: &Tensor) -> bool {
    on_cpu(tensor) && tensor.dtype() == DType::BF16
}

/// The elements of a contiguous operand of op `name` on the CPU, borrowed for as long as the result lives.
pub(super) fn elements<'a, T: WithDType>(
    name: &'static str,
    tensor: &'a Tensor,
) -> Result<impl Deref<Target = [T]> + 'a> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("{name} needs contiguous operands; call contiguous() first");
    };
    if !matches!(&*storage, Storage::Cpu(_)) || tensor.dtype() != T::DTYPE {
        candle_core::bail!("{name} needs {} operands on the CPU", T::DTYPE.as_str());
    }
    Ok(Elements {
        storage,
        range: start..end,
        element: PhantomData,
    })
}

struct Elements<G, T> {
    storage: G,
    range: Range<usize>,
    element: PhantomData<T>,
}

impl<G: Deref<Target = Storage>, T: WithDType> Deref for Elements<G, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &*self.storage {
            Storage::Cpu(storage) => storage
                .as_slice::<T>()
                .map_or(&[], |all| &all[self.range.clone()]),
            _ => &[],
        }
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

/// [`with_element`] for activations, which may lie in bf16.
macro_rules! with_activation {
    ($name:expr, $dtype:expr, $element:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::BF16 => {
                type $element = half::bf16;
                $call
            }
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
                    "{} takes f32, f64 or bf16, not {dtype:?}; convert first",
                    $name
                )
            }
        }
    };
}

pub(super) use {with_activation, with_element};
