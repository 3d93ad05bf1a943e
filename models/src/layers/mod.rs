//! The layers that networks share.

mod attention;
mod batch_norm;
mod channel_mixer;
mod conv;
mod dropout;
mod linear;
mod lstm;
mod mixer;
mod names;
mod whitening;

pub use attention::{Attention, AttentionConfig};
pub use batch_norm::BatchNorm;
pub use channel_mixer::{ChannelMixer, ChannelMixerConfig, Placement};
pub use conv::{Conv2d, ConvTranspose2d};
pub use dropout::dropout;
pub use linear::Linear;
pub use lstm::Lstm;
pub use mixer::{Mixer, MixerConfig, MixtureConfig, PerceptronConfig};
pub use whitening::{Whitening, WhiteningConfig, whitening_filters};

pub(crate) use names::{ActivationName, AggregationName};

/// The scale of a mixer's output weights at the start, against their usual one, where it stands beside an identity or a
/// linear map: the network begins near what it is without the mixer. At 1 it learns more slowly than without.
pub(crate) const START_BESIDE: f64 = 0.1;
