//! Slices of tensors on the processor, and tensors of the slices that its kernels fill.

use std::marker::PhantomData;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Result, Shape, Storage, Tensor, WithDType};
use half::bf16;

use super::tape::Values;
use crate::cpu::simd::lanes::Real;
use crate::cpu::simd::stored::Stored;

/// A dtype that the kernels compute in.
pub(crate) trait Element: WithDType + Real {
    /// The elements of a storage, if they are of this type.
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Element for f32 {
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(elements) => Some(elements),
            _ => None,
        }
    }
}

impl Element for f64 {
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(elements) => Some(elements),
            _ => None,
        }
    }
}

/// A dtype of activations: one that the kernels compute in, or bf16, which they widen.
pub(super) trait ActivationElement: WithDType + Stored<Real: Element> {}

impl ActivationElement for f32 {}
impl ActivationElement for f64 {}
impl ActivationElement for bf16 {}

/// The `N` inputs of an op.
///
/// # Errors
/// When there are more or fewer.
pub(super) fn operands<const N: usize>(inputs: &[Tensor]) -> Result<&[Tensor; N]> {
    match inputs.try_into() {
        Ok(inputs) => Ok(inputs),
        Err(_) => candle_core::bail!("an op of {N} operands has {}", inputs.len()),
    }
}

/// The elements of a contiguous tensor, borrowed for as long as the result lives.
///
/// # Errors
/// When they are no contiguous `T`s of the processor.
pub(crate) fn elements<T: WithDType>(tensor: &Tensor) -> Result<impl Deref<Target = [T]> + '_> {
    let (storage, layout) = tensor.storage_and_layout();
    let range = layout.contiguous_offsets();
    let (Some((start, end)), Storage::Cpu(_), true) =
        (range, &*storage, tensor.dtype() == T::DTYPE)
    else {
        candle_core::bail!(
            "a kernel of the processor reads contiguous {} there, not {tensor:?}; move or convert it first",
            T::DTYPE.as_str()
        );
    };
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

/// What a kernel gave, in a shape.
pub(super) fn values<T: WithDType>(values: Vec<T>, shape: impl Into<Shape>) -> Values {
    (Storage::Cpu(T::to_cpu_storage_owned(values)), shape.into())
}

/// The shape of `x` with `features` in its last axis.
pub(super) fn with_last(x: &Tensor, features: usize) -> Vec<usize> {
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = features;
    }
    dims
}

/// The gradient of `input`, made if one is asked for.
///
/// # Errors
/// Those of `make`, or when there are not as many numbers as in `input`.
pub(super) fn gradient_of<T: WithDType>(
    input: &Tensor,
    make: impl FnOnce() -> Result<Vec<T>>,
) -> Result<Option<Tensor>> {
    let tensor = || Tensor::from_vec(make()?, input.shape(), input.device());
    input.track_op().then(tensor).transpose()
}

/// Calls `$call` with `$element` naming the type of `$dtype` that kernels compute in, or fails.
macro_rules! with_element {
    ($dtype:expr, $element:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $element = f32;
                $call
            }
            candle_core::DType::F64 => {
                type $element = f64;
                $call
            }
            dtype => candle_core::bail!("no kernel takes {dtype:?}; convert first"),
        }
    };
}

/// [`with_element`] for activations, which may lie in bf16.
macro_rules! with_activation {
    ($dtype:expr, $element:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::BF16 => {
                type $element = half::bf16;
                $call
            }
            dtype => super::slices::with_element!(dtype, $element => $call),
        }
    };
}

pub(super) use with_activation;
pub(crate) use with_element;
