//! The GMNM layer, a trainable Gaussian mixture in place of a fixed activation (arXiv 2510.06660), and the
//! differentiable ops that its networks train through.
//!
//! Image activations are channels-last everywhere: `[batch, height, width, channels]`. Weights keep PyTorch's
//! shapes and names.

pub mod gradient_check;
pub mod init;
pub mod ops;
pub mod params;
pub mod rng;

mod cpu;
mod layer;

pub use layer::{Aggregation, Gmnm, GmnmConfig};
pub use params::{LoadError, Mismatch, ParamStore};
