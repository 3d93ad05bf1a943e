//! The GMNM layer, a trainable Gaussian mixture in place of a fixed activation (arXiv 2510.06660), and the
//! differentiable ops that its networks train through.
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use gmnm_core::{Gmnm, GmnmConfig, ParamStore};
//!
//! # fn main() -> candle_core::Result<()> {
//! let store = ParamStore::new(0, DType::F32, &Device::Cpu);
//! let layer = Gmnm::new(GmnmConfig::new(2, 1, 16), store.var_builder())?;
//! let x = Tensor::new(&[[0.5f32, -1.0], [1.5, 0.0]], &Device::Cpu)?;
//! let loss = (layer.forward(&x)? - 1.0)?.sqr()?.mean_all()?;
//! let gradients = loss.backward()?;
//! for (_name, parameter) in store.trainable() {
//!     let step = (gradients.get(&parameter).expect("every parameter takes part") * 0.01)?;
//!     parameter.set(&(parameter.as_tensor() - step)?)?;
//! }
//! assert!((layer.forward(&x)? - 1.0)?.sqr()?.mean_all()?.to_scalar::<f32>()? < loss.to_scalar()?);
//! # Ok(())
//! # }
//! ```
//!
//! # The layer
//!
//! An input x of D features meets M components with R linear projections each and becomes O outputs:
//!
//! ```text
//! p[m,r] = w[m,r] · (x − μ[m])
//! Norm   y[m]² = Σ_r p[m,r]²
//! Sum    y[m]  = Σ_r p[m,r]
//! φ[m]   = exp(−y[m]²/2)
//! G(x)[o] = Σ_m π[o,m]·φ[m] + b[o]
//! ```
//!
//! # Conventions
//!
//! Image activations are channels-last everywhere: `[batch, height, width, channels]`. Weights keep PyTorch's
//! shapes and names. Every op of [`ops`] has a gradient, checked against finite differences; none is differentiable
//! twice.
//!
//! # Devices
//!
//! The CPU has kernels for every op. With the feature `cuda`, mixtures, batch norms, max pooling, LSTMs (of up to 512
//! features) and sums have kernels on NVIDIA GPUs, compiled for the device when it is first used, and so have the
//! optimizers of [`optim`]; with `cudnn`, convolutions are cuDNN's. All else there, and everything on Apple GPUs
//! (`metal`), is made of candle's ops, with the same results and gradients.
//!
//! # Memory safety
//!
//! All unsafe code is in the CPU kernels and in the launches of CUDA kernels. Those kernels, but for the lines that ask
//! for tensor cores and asynchronous copies, run on the processor, too, in tests: each array between pages that cannot
//! be touched, each index into shared memory checked. Tests convolve random shapes; valgrind sees every read and write
//! of theirs (on vector units that it knows: AVX2, not AVX-512):
//!
//! ```text
//! cargo test --release -p gmnm-core --lib --no-run
//! PROPTEST_CASES=6 valgrind -q --error-exitcode=9 target/release/deps/gmnm_core-HASH --test-threads 1 of_any
//! ```

pub mod gradient_check;
pub mod init;
pub mod ops;
pub mod optim;
pub mod params;
mod precision;
pub mod rng;
mod threads;

mod cpu;
mod cuda;
mod layer;
mod route;
#[cfg(test)]
mod routes;

// Tests that are shared with those of the devices call the crate by its name.
#[cfg(test)]
extern crate self as gmnm_core;

#[cfg(feature = "mimalloc")]
pub use cpu::pages::keep_freed_pages;
pub use cpu::simd::isa::instruction_set;
pub use cuda::keep_freed_device_memory;
pub use layer::{Gmnm, GmnmConfig};
pub use ops::Aggregation;
pub use params::{LoadError, Mismatch, ParamStore};
pub use precision::{Precision, PrecisionGuard, UnknownPrecision};
pub use threads::on_worker;
