//! Forecasters of series: an LSTM over segments of the look-back with a Gaussian mixture as its head, DLinear, and a
//! plain LSTM over single steps.
//!
//! The recurrent network is SegRNN's (arXiv 2308.11200) with an LSTM in the place of its GRU. Each channel is a series
//! of its own, all share the parameters. The look-back is cut into segments, each is embedded, and the LSTM reads one
//! segment a step. All segments of the horizon are decoded at once: the last state, repeated, takes one more step on a
//! learned embedding of the segment's position and of the channel, and a head maps each result to a segment.
//!
//! | parameter | shape |
//! |---|---|
//! | `embed.weight`, `embed.bias` | `[hidden, segment]`, `[hidden]`; or those of a mixture |
//! | `lstm.*_l0` | as `torch.nn.LSTM` |
//! | `position`, `channel` | `[segments of the horizon, hidden/2]`, `[channels, hidden/2]` |
//! | `head.linear.*`, `head.mixture.*`, `head.mlp.*` | as the head says |
//! | `seasonal.*`, `trend.*` | `[horizon, look_back]`, `[horizon]`: DLinear |
//! | `output.*` | `[horizon·channels, hidden]`, `[horizon·channels]`: the plain LSTM, beside its `lstm.*_l0` |
//!
//! The defaults come from trials that the validation part of ETTh1 judged: RESULTS.md, "Trials behind the defaults".

use candle_core::{D, Module, Result, Tensor};
use candle_nn::VarBuilder;
use gmnm_core::rng::Philox;
use gmnm_core::{init, ops};

use crate::layers::{Linear, Lstm, Mixer, MixerConfig, MixtureConfig, START_BESIDE, dropout};

mod config;
mod format;
mod weekdays;

pub use config::{
    DecompositionConfig, ForecastNetwork, ForecasterConfig, HeadConfig, HeadMixer, InstanceNorm,
    LstmConfig, RecurrentConfig,
};
pub use format::{SeriesFormat, Step};
pub use weekdays::Weekdays;

#[derive(Debug, Clone)]
struct Head {
    linear: Option<Linear>,
    mixer: Option<Mixer>,
}

impl Head {
    fn new(config: &HeadConfig, hidden: usize, segment: usize, vb: VarBuilder) -> Result<Self> {
        let (mixer, linear) = config.parts();
        let scale = if linear { START_BESIDE } else { 1.0 };
        let mixer = mixer.map(|mixer| {
            let name = match mixer {
                MixerConfig::Gmnm(_) => "mixture",
                MixerConfig::Mlp(_) => "mlp",
            };
            Mixer::new(Some(&mixer), hidden, segment, scale, vb.pp(name))
        });
        let linear = linear.then(|| Linear::new(hidden, segment, vb.pp("linear")));
        Ok(Self {
            linear: linear.transpose()?,
            mixer: mixer.transpose()?,
        })
    }
}

impl Module for Head {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let linear = self.linear.as_ref().map(|l| l.forward(x)).transpose()?;
        let Some(mixer) = &self.mixer else {
            return linear.map_or_else(|| Ok(x.clone()), Ok);
        };
        // Hidden values are far from the unit variance that a mixture starts for.
        let mixed = mixer.forward(&ops::layer_norm(x, None, None, 1e-5)?)?;
        match linear {
            Some(linear) => linear + mixed,
            None => Ok(mixed),
        }
    }
}

#[derive(Debug, Clone)]
struct Recurrent {
    segment: usize,
    embed: Mixer,
    lstm: Lstm,
    position: Tensor,
    channel: Tensor,
    dropout: f64,
    head: Head,
}

impl Recurrent {
    fn new(config: &ForecasterConfig, own: &RecurrentConfig, vb: VarBuilder) -> Result<Self> {
        let (segment, hidden) = (own.segment, own.hidden);
        let segments = config.horizon.div_ceil(segment);
        let mixture = own.embed_components.map(MixtureConfig::new);
        let mixture = mixture.map(MixerConfig::Gmnm);
        let embed = Mixer::new(mixture.as_ref(), segment, hidden, 1.0, vb.pp("embed"))?;
        let normal = init::normal(1.0);
        let half = hidden / 2;
        Ok(Self {
            segment,
            embed,
            lstm: Lstm::new(hidden, hidden, vb.pp("lstm"))?,
            position: vb.get_with_hints((segments, half), "position", normal)?,
            channel: vb.get_with_hints((config.channels, half), "channel", normal)?,
            dropout: own.dropout,
            head: Head::new(&own.head, hidden, segment, vb.pp("head"))?,
        })
    }

    /// `[n, channels, look_back]` to `[n, channels, horizon]`; drops hidden values where it is given `noise`.
    fn forward(&self, x: &Tensor, horizon: usize, noise: Option<&mut Philox>) -> Result<Tensor> {
        let (n, channels, look_back) = x.dims3()?;
        let (segments, half) = self.position.dims2()?;
        let (decoded, hidden) = (channels * segments, 2 * half);
        let steps = x.reshape((n * channels, look_back / self.segment, self.segment))?;
        let mut embedded = self.embed.forward(&steps)?;
        if let Mixer::Linear(_) = self.embed {
            embedded = embedded.relu()?;
        }
        let read = self.lstm.forward(&embedded, None)?;
        let repeat = |state: &Tensor| {
            state
                .unsqueeze(1)?
                .broadcast_as((n * channels, segments, hidden))?
                .reshape((n * decoded, hidden))
        };
        let shape = (n, channels, segments, half);
        let position = self.position.broadcast_as(shape)?;
        let channel = self.channel.unsqueeze(1)?.broadcast_as(shape)?;
        let queries =
            Tensor::cat(&[position, channel], D::Minus1)?.reshape((n * decoded, 1, hidden))?;
        let state = (repeat(&read.hidden)?, repeat(&read.cell)?);
        let written = self.lstm.forward(&queries, Some((&state.0, &state.1)))?;
        let hidden = match noise {
            Some(noise) => dropout(&written.hidden, self.dropout, noise)?,
            None => written.hidden,
        };
        self.head
            .forward(&hidden)?
            .reshape((n, channels, segments * self.segment))?
            .narrow(2, 0, horizon)
    }
}

#[derive(Debug, Clone)]
struct Decomposition {
    window: usize,
    seasonal: Linear,
    trend: Linear,
}

impl Decomposition {
    /// `[n, channels, look_back]` to `[n, channels, horizon]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let trend = self.moving_average(x)?;
        self.seasonal.forward(&(x - &trend)?)? + self.trend.forward(&trend)?
    }

    /// The mean of the window around each step, the first and last values repeated beyond the ends.
    fn moving_average(&self, x: &Tensor) -> Result<Tensor> {
        let (n, channels, steps) = x.dims3()?;
        let side = self.window / 2;
        if side == 0 {
            return Ok(x.clone());
        }
        let end = |at| x.narrow(2, at, 1)?.broadcast_as((n, channels, side));
        let padded = Tensor::cat(&[end(0)?, x.clone(), end(steps - 1)?], 2)?;
        let mut sum = padded.narrow(2, 0, steps)?;
        for shift in 1..self.window {
            sum = (sum + padded.narrow(2, shift, steps)?)?;
        }
        sum / self.window as f64
    }
}

#[derive(Debug, Clone)]
struct StepByStep {
    lstm: Lstm,
    output: Linear,
}

impl StepByStep {
    /// `[n, channels, look_back]` to `[n, channels, horizon]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, channels, _) = x.dims3()?;
        let steps = x.transpose(1, 2)?.contiguous()?;
        let read = self.lstm.forward(&steps, None)?;
        let y = self.output.forward(&read.hidden)?;
        y.reshape((n, (), channels))?.transpose(1, 2)?.contiguous()
    }
}

#[derive(Debug, Clone)]
enum Network {
    Recurrent(Recurrent),
    Decomposition(Decomposition),
    StepByStep(StepByStep),
}

/// A forecaster; see [`ForecasterConfig`].
#[derive(Debug, Clone)]
pub struct Forecaster {
    config: ForecasterConfig,
    network: Network,
}

impl Forecaster {
    /// The network with its parameters from `vb`, named as the module says.
    ///
    /// # Errors
    /// When a tensor has another shape.
    pub fn new(config: &ForecasterConfig, vb: VarBuilder) -> Result<Self> {
        let network = match &config.network {
            ForecastNetwork::Recurrent(own) => Network::Recurrent(Recurrent::new(config, own, vb)?),
            ForecastNetwork::Decomposition(own) => {
                let linear = |name| Linear::new(config.look_back, config.horizon, vb.pp(name));
                Network::Decomposition(Decomposition {
                    window: own.window,
                    seasonal: linear("seasonal")?,
                    trend: linear("trend")?,
                })
            }
            ForecastNetwork::Lstm(own) => {
                let values = config.horizon * config.channels;
                Network::StepByStep(StepByStep {
                    lstm: Lstm::new(config.channels, own.hidden, vb.pp("lstm"))?,
                    output: Linear::new(own.hidden, values, vb.pp("output"))?,
                })
            }
        };
        Ok(Self {
            config: config.clone(),
            network,
        })
    }

    /// The settings of the network.
    pub fn config(&self) -> &ForecasterConfig {
        &self.config
    }

    /// Scaled values `[n, look_back, channels]` to the next `[n, horizon, channels]`.
    ///
    /// # Errors
    /// When the values have another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// As [`forward`](Self::forward), but as a training step sees it: with dropout, drawn from `noise`.
    ///
    /// # Errors
    /// When the values have another shape.
    pub fn forward_training(&self, x: &Tensor, noise: &mut Philox) -> Result<Tensor> {
        self.run(x, Some(noise))
    }

    fn run(&self, x: &Tensor, noise: Option<&mut Philox>) -> Result<Tensor> {
        let (n, steps, channels) = x.dims3()?;
        let c = &self.config;
        if (steps, channels) != (c.look_back, c.channels) {
            candle_core::bail!(
                "{steps} steps of {channels} series do not fit, the network takes {} of {}",
                c.look_back,
                c.channels
            );
        }
        let x = x.transpose(1, 2)?.contiguous()?;
        let (shift, scale) = match c.normalization {
            InstanceNorm::None => (None, None),
            InstanceNorm::Last => (Some(x.narrow(2, steps - 1, 1)?), None),
            InstanceNorm::Mean => (Some(x.mean_keepdim(2)?), None),
            InstanceNorm::MeanStd => {
                let mean = x.mean_keepdim(2)?;
                let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim(2)?;
                (Some(mean), Some((variance + 1e-5)?.sqrt()?))
            }
        };
        let mut x = x;
        if let Some(shift) = &shift {
            x = x.broadcast_sub(shift)?;
        }
        if let Some(scale) = &scale {
            x = x.broadcast_div(scale)?;
        }
        let mut y = match &self.network {
            Network::Recurrent(network) => network.forward(&x, c.horizon, noise)?,
            Network::Decomposition(network) => network.forward(&x)?,
            Network::StepByStep(network) => network.forward(&x)?,
        };
        if let Some(scale) = &scale {
            y = y.broadcast_mul(scale)?;
        }
        if let Some(shift) = &shift {
            y = y.broadcast_add(shift)?;
        }
        debug_assert_eq!(y.dims(), [n, channels, c.horizon]);
        y.transpose(1, 2)?.contiguous()
    }
}
