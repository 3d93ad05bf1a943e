//! The layers that networks share.

mod attention;
mod batch_norm;
mod channel_mixer;
mod conv;
pub mod kan;
mod linear;
mod lstm;
pub mod mixture;
pub mod mlp;
pub mod spline;
mod whitening;

pub use attention::{Attention, AttentionConfig};
pub use batch_norm::BatchNorm;
pub use channel_mixer::{
    ChannelMixer, GmnmFunction, MixFunction, MixerConfig, MlpFunction, Placement,
};
pub use conv::{Conv2d, ConvTranspose2d};
pub use linear::Linear;
pub use lstm::Lstm;
pub use whitening::{Whitening, WhiteningConfig, whitening_filters};
