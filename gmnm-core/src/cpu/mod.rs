//! Kernels over slices for the processor's cores, chosen at run time by its vector unit.
//!
//! Nothing in here knows a tensor: the ops check shapes and dtypes and call these functions with slices whose lengths
//! fit. Each kernel is one generic function over [`simd::lanes::Lanes`]; [`simd::isa::Isa`] instantiates it for AVX-512,
//! for AVX2 with FMA and for portable arrays that the compiler vectorises (NEON on aarch64). Products in bf16 have kernels
//! of their own for AVX512-BF16 and for the tiles of AMX.

pub(crate) mod batch_norm;
pub(crate) mod batch_norm_pool;
pub(crate) mod conv;
pub(crate) mod gate;
pub(crate) mod lstm;
pub(crate) mod max_pool2d;
pub(crate) mod mixture;
pub(crate) mod optimizer;
mod output;
#[cfg(feature = "mimalloc")]
pub(crate) mod pages;
mod parallel;
mod parts;
pub(crate) mod product;
pub(crate) mod reduce;
pub(crate) mod rows;
mod scratch;
pub(crate) mod simd;
pub(crate) mod windows;

#[cfg(test)]
mod tests;
