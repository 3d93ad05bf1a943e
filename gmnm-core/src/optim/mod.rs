//! Optimizers: SGD with Nesterov momentum and AdamW with decoupled weight decay, the global norm's limit, and the moving
//! average of weights. Their steps are carried out where the parameters lie, in place, and wait for no device.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use gmnm_core::optim::{Optimizer, OptimizerConfig};
//! use gmnm_core::{Gmnm, GmnmConfig, ParamStore, ops};
//! # use candle_core::Module;
//!
//! # fn main() -> candle_core::Result<()> {
//! let store = ParamStore::new(0, DType::F32, &Device::Cpu);
//! let layer = Gmnm::new(GmnmConfig::new(2, 1, 16), store.var_builder())?;
//! let mut optimizer = Optimizer::new(&store, OptimizerConfig::default())?;
//! let x = Tensor::new(&[[0.5f32, -1.0], [1.5, 0.0]], &Device::Cpu)?;
//! for _ in 0..3 {
//!     let loss = (layer.forward(&x)? - 1.0)?.sqr()?.mean_all()?;
//!     optimizer.step(&ops::backward(&loss)?, 1e-3)?;
//! }
//! assert_eq!(optimizer.steps(), 3);
//! # Ok(())
//! # }
//! ```

mod composed;
mod config;
mod ema;
mod optimizer;
mod role;
mod step;

pub use config::{OptimizerConfig, Rule};
pub use ema::Ema;
pub use optimizer::Optimizer;

#[cfg(test)]
mod tests;
