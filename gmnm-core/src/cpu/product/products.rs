//! What products are taken in.

use crate::cpu::simd::isa::Isa;

/// What the products of a convolution are taken in; sums are always those of the type that is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Products {
    /// The type that is computed in.
    #[default]
    Full,
    /// Factors rounded to bf16.
    Half,
    /// Factors as the sum of two numbers in bf16, without the product of the two smaller ones: an error of about 2⁻¹⁶.
    Split,
}

impl Products {
    /// What a convolution that is not in Winograd's form multiplies in: on registers, three products in bf16 and the
    /// gathering of rows take longer than one in f32.
    pub(crate) fn direct(self, isa: Isa) -> Self {
        match self {
            Self::Split if isa != Isa::Amx => Self::Full,
            products => products,
        }
    }
}
