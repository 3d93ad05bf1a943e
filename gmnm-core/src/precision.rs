//! What a network computes in: f32, or bf16 where the processor multiplies pairs of it in one instruction.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor};

use crate::cpu::product::products::Products;
use crate::cpu::simd::isa::Isa;

/// The numbers of activations and of the factors in products. Parameters, their gradients and all sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Activations and factors rounded to bf16 (8 bits of precision).
    Bf16,
    /// Activations in f32; factors as sums of two numbers in bf16, three products for each, an error of about 2⁻¹⁶.
    Bf16x3,
}

impl Precision {
    /// Whether this processor multiplies in bf16 (AVX512-BF16, or the tiles of AMX). Where it does not, bf16 is still the
    /// format of activations in [`Precision::Bf16`], and products are taken in f32.
    pub fn processor_multiplies_bf16() -> bool {
        Isa::best().multiplies_bf16()
    }

    /// Whether `device` multiplies in bf16: a processor as [`Precision::processor_multiplies_bf16`] says, NVIDIA GPUs
    /// with tensor cores for it (compute capability 8.0 and above).
    pub fn multiplies_bf16(device: &Device) -> bool {
        match device {
            Device::Cpu => Self::processor_multiplies_bf16(),
            Device::Cuda(device) => crate::cuda::multiplies_bf16(device),
            Device::Metal(_) => false,
        }
    }

    /// The dtype of activations.
    pub fn dtype(self) -> DType {
        match self {
            Self::Bf16 => DType::BF16,
            Self::F32 | Self::Bf16x3 => DType::F32,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Bf16x3 => "bf16x3",
        }
    }

    /// Lets the ops of [`crate::ops`] that this thread applies to tensors in f32 multiply in this precision, until the
    /// guard is dropped; bf16 only where the processor does. Their backward multiplies as their forward did.
    #[must_use = "the precision holds until the guard is dropped"]
    pub fn enter(self) -> PrecisionGuard {
        let products = match self {
            Self::F32 => Products::Full,
            Self::Bf16 if Self::processor_multiplies_bf16() => Products::Half,
            Self::Bf16 => Products::Full,
            Self::Bf16x3 => Products::Split,
        };
        PrecisionGuard {
            before: PRODUCTS.replace(products),
            same_thread: PhantomData,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no precision.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no precision; use f32, bf16 or bf16x3")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        [Self::F32, Self::Bf16, Self::Bf16x3]
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| UnknownPrecision(name.to_string()))
    }
}

thread_local! {
    /// How factors in f32 are multiplied.
    static PRODUCTS: Cell<Products> = const { Cell::new(Products::Full) };
}

/// Ends what [`Precision::enter`] began.
#[derive(Debug)]
pub struct PrecisionGuard {
    before: Products,
    /// It must be dropped where it was made.
    same_thread: PhantomData<*const ()>,
}

impl Drop for PrecisionGuard {
    fn drop(&mut self) {
        PRODUCTS.set(self.before);
    }
}

/// How products of activations like `x` are taken.
pub(crate) fn products(x: &Tensor) -> Products {
    match x.dtype() {
        DType::BF16 if Isa::best().multiplies_bf16() => Products::Half,
        DType::F32 => PRODUCTS.get(),
        _ => Products::Full,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Bf16x3] {
            assert_eq!(precision.name().parse::<Precision>().unwrap(), precision);
        }
        let error = "fp16".parse::<Precision>().unwrap_err().to_string();
        assert!(
            error.contains("`fp16`") && error.contains("bf16x3"),
            "{error}"
        );
    }

    #[test]
    fn a_guard_ends_with_its_scope_and_leaves_other_dtypes_alone() {
        let x = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        {
            let _outer = Precision::Bf16x3.enter();
            assert_eq!(products(&x), Products::Split);
            assert_eq!(products(&x.to_dtype(DType::F64).unwrap()), Products::Full);
            {
                let _inner = Precision::F32.enter();
                assert_eq!(products(&x), Products::Full);
            }
            assert_eq!(products(&x), Products::Split);
        }
        assert_eq!(products(&x), Products::Full);
        let _guard = Precision::Bf16.enter();
        let halves = Precision::processor_multiplies_bf16();
        assert_eq!(products(&x) == Products::Half, halves);
    }
}
