//! Kernels over slices for the processor's cores, chosen at run time by its vector unit.
//!
//! Nothing in here knows a tensor: the ops check shapes and dtypes and call these functions with slices whose lengths
//! fit. Each kernel is one generic function over [`lanes::Lanes`]; [`dispatch::Path`] instantiates it for AVX-512, for
//! AVX2 with FMA and for portable arrays that the compiler vectorises (NEON on aarch64). Products in bf16 have paths of
//! their own for AVX512-BF16 and for the tiles of AMX.

pub(crate) mod activation;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
pub(crate) mod batch_norm;
pub(crate) mod batch_norm_pool;
pub(crate) mod conv;
pub(crate) mod conv_geometry;
mod conv_half;
mod conv_passes;
mod conv_tiles;
pub(crate) mod conv_weight;
pub(crate) mod dispatch;
mod dots;
mod exp;
pub(crate) mod factor;
pub(crate) mod gate;
mod half_tile;
pub(crate) mod lanes;
pub(crate) mod lstm;
pub(crate) mod matmul;
pub(crate) mod mixture;
mod output;
mod pack;
#[cfg(feature = "mimalloc")]
pub(crate) mod pages;
mod parts;
mod planes;
pub(crate) mod pool;
pub(crate) mod products;
pub(crate) mod reduce;
pub(crate) mod rows;
mod scratch;
pub(crate) mod stored;
pub(crate) mod tile;
mod winograd;
mod winograd_transform;
mod winograd_weight;

#[cfg(test)]
mod tests;
