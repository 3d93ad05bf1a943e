//! Registers of the vector unit, the instruction sets that have them, and functions of them.

pub(crate) mod activation;
pub(crate) mod exp;
pub(crate) mod isa;
pub(crate) mod lanes;
pub(crate) mod stored;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod tile_unit;
