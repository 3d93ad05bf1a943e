//! Products of matrices.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
pub(crate) mod dots;
pub(crate) mod factor;
pub(crate) mod half_tile;
pub(crate) mod matmul;
pub(crate) mod pack;
pub(crate) mod products;
pub(crate) mod tile;
