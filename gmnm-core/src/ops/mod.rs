//! Differentiable ops with right gradients, on channels-last tensors.

mod batch_norm;
mod conv2d;
mod cpu_storage;
mod cross_entropy;
mod global_mean;
mod max_pool2d;
mod mixture;

pub use batch_norm::{Activation, BatchNormConfig, batch_norm};
pub use conv2d::{Conv2dConfig, conv2d};
pub use cross_entropy::cross_entropy;
pub use global_mean::global_mean;
pub use max_pool2d::max_pool2d;
pub use mixture::mixture;
