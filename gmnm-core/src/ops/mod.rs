//! Differentiable ops with right gradients, on channels-last tensors.

mod batch_norm;
mod cast;
mod composed;
mod conv2d;
mod conv_transpose2d;
mod convolution;
mod cross_entropy;
mod dispatch;
mod gate;
mod global_max;
mod global_mean;
mod layer_norm;
mod linear;
mod lstm;
mod max_pool2d;
mod mixture;
pub(crate) mod slices;
mod softmax;
mod sum;
mod tape;

pub use batch_norm::{Activation, BatchNormConfig, batch_norm};
pub use cast::{cast, in_f32};
pub use conv_transpose2d::{ConvTranspose2dConfig, conv_transpose2d};
pub use conv2d::{Conv2dConfig, conv2d};
pub use cross_entropy::cross_entropy;
pub use gate::gate;
pub use global_max::global_max;
pub use global_mean::global_mean;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use lstm::{LstmOutput, LstmWeights, lstm};
pub use max_pool2d::max_pool2d;
pub use mixture::{Aggregation, mixture};
pub use softmax::softmax;
pub use sum::add;
pub use tape::{backward, backward_from};
