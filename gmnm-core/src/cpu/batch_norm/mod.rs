//! Batch normalisation over rows of channels, fused with an activation ([`rows`]) and with a max pooling ([`pool`]).
//!
//! The forward pass reads the input twice (moments, then output), the backward pass twice (two sums per channel, then
//! the gradient); the normalised input and the activation are computed again instead of stored.

pub(crate) mod pool;
pub(crate) mod rows;

use super::scratch::Aligned;
use super::simd::activation::Activation;
use super::simd::lanes::{Lanes, MAX_COUNT, Real};
use super::simd::stored::Stored;

/// Settings of [`batch_norm`](crate::ops::batch_norm).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormConfig {
    /// Added to the variance.
    pub eps: f64,
    /// Weight of the new batch in the running statistics, in 0..=1.
    pub momentum: f64,
    /// Applied after the scale and shift.
    pub activation: Activation,
    /// Max pooling with kernel = stride = this, after the activation (rows and columns that do not fill a window are
    /// dropped).
    pub pool: Option<usize>,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
            activation: Activation::Identity,
            pool: None,
        }
    }
}

/// What a channel is normalised with.
#[derive(Debug, Clone)]
pub(crate) struct Coefficients {
    /// Subtracted first.
    pub(crate) mean: Vec<f64>,
    /// 1 / √(variance + eps).
    pub(crate) inv_std: Vec<f64>,
    /// The trained factor.
    pub(crate) scale: Vec<f64>,
    /// The trained term.
    pub(crate) shift: Vec<f64>,
}

impl Coefficients {
    /// Mean, inverse deviation, scale and shift over a period.
    fn repeated<T: Real>(&self, period: usize) -> Repeated<4> {
        let all = [&self.mean, &self.inv_std, &self.scale, &self.shift];
        Repeated::new::<T>(all.map(Vec::as_slice), period)
    }
}

/// Numbers of each channel over a period, in buffers of whole registers.
struct Repeated<const N: usize> {
    values: [Aligned; N],
    len: usize,
}

impl<const N: usize> Repeated<N> {
    /// Each of `values` `[channels]`, as T.
    fn new<T: Real>(values: [&[f64]; N], period: usize) -> Self {
        let len = period.next_multiple_of(MAX_COUNT);
        let repeated = |values: &[f64]| {
            let mut out = Aligned::zeros::<T>(len);
            for (i, out) in out.slice_mut::<T>(len)[..period].iter_mut().enumerate() {
                *out = T::from_f64(values[i % values.len()]);
            }
            out
        };
        Self {
            values: values.map(repeated),
            len,
        }
    }

    fn view<T: Real>(&self) -> [&[T]; N] {
        self.values.each_ref().map(|values| values.slice(self.len))
    }
}

/// The register of `values` from `channel` on.
///
/// # Safety
/// The processor has V's features.
#[inline(always)]
unsafe fn register<V: Lanes>(values: &[V::Scalar], channel: usize) -> V {
    // SAFETY: the slice holds a register; the caller checked the features.
    unsafe { V::load(values[channel..channel + V::COUNT].as_ptr()) }
}

/// The coefficients of one register of channels.
#[derive(Clone, Copy)]
struct Normal<V> {
    mean: V,
    inv_std: V,
    scale: V,
    shift: V,
}

impl<V: Lanes> Normal<V> {
    /// # Safety
    /// The processor has V's features.
    #[inline(always)]
    unsafe fn load(view: [&[V::Scalar]; 4], channel: usize) -> Self {
        // SAFETY: as the caller guarantees.
        let [mean, inv_std, scale, shift] = view.map(|values| unsafe { register(values, channel) });
        Self {
            mean,
            inv_std,
            scale,
            shift,
        }
    }

    /// (x − mean) / std.
    #[inline(always)]
    fn normalise(&self, x: V) -> V {
        x.sub(self.mean).mul(self.inv_std)
    }

    /// The activation's argument at normalised x.
    #[inline(always)]
    fn scaled(&self, normal: V) -> V {
        normal.mul_add(self.scale, self.shift)
    }
}

/// What the gradients of a forward pass are taken from.
pub(crate) struct Backward<'a, T> {
    pub(crate) x: &'a [T],
    /// The output's gradient.
    pub(crate) dy: &'a [T],
    /// The places of the maxima, where the output was pooled.
    pub(crate) places: &'a [u8],
    pub(crate) coefficients: &'a Coefficients,
    pub(crate) activation: Activation,
    /// Whether mean and variance are functions of `x`.
    pub(crate) batch_statistics: bool,
    /// Whether the input's gradient is computed; it stays empty where not.
    pub(crate) input_wanted: bool,
}

/// Gradients of a normalisation.
pub(crate) struct Gradients<T: Stored> {
    pub(crate) input: Vec<T>,
    pub(crate) scale: Vec<T::Real>,
    pub(crate) shift: Vec<T::Real>,
}

impl<T: Stored> Backward<'_, T> {
    /// The gradients from partial sums `[2, period]` of dz and of dz · normalised x; `input` makes that of the input from
    /// the means of both over the batch.
    fn gradients(
        &self,
        partials: &[Vec<T::Real>],
        period: usize,
        input: impl FnOnce([&[T::Real]; 2]) -> Vec<T>,
    ) -> Gradients<T> {
        let channels = self.coefficients.mean.len();
        let totals = fold(partials, channels);
        let (shift, scale) = totals.split_at(channels);
        let input = if self.input_wanted {
            let rows = (self.x.len() / channels) as f64;
            // Where the statistics are constants, the means are none of the gradient's business.
            let factor = if self.batch_statistics {
                1.0 / rows
            } else {
                0.0
            };
            let means =
                [shift, scale].map(|total| total.iter().map(|t| t * factor).collect::<Vec<_>>());
            let means = means.each_ref().map(Vec::as_slice);
            input(Repeated::new::<T::Real>(means, period).view())
        } else {
            Vec::new()
        };
        let [shift, scale] =
            [shift, scale].map(|total| total.iter().map(|&t| T::Real::from_f64(t)).collect());
        Gradients {
            input,
            scale,
            shift,
        }
    }
}

/// Adds partial sums `[2, period]` up to `[2, channels]` in f64, in order.
fn fold<T: Real>(partials: &[Vec<T>], channels: usize) -> Vec<f64> {
    let mut totals = vec![0f64; 2 * channels];
    for partial in partials {
        let (first, second) = partial.split_at(partial.len() / 2);
        for (half, sums) in [first, second].into_iter().enumerate() {
            let totals = &mut totals[half * channels..(half + 1) * channels];
            for row in sums.chunks_exact(channels) {
                for (total, sum) in totals.iter_mut().zip(row) {
                    *total += sum.to_f64();
                }
            }
        }
    }
    totals
}

/// What turns dz into the input's gradient, for one register of channels.
#[derive(Clone, Copy)]
struct Back<V> {
    factor: V,
    shift_mean: V,
    scale_mean: V,
}

impl<V: Lanes> Back<V> {
    /// # Safety
    /// The processor has V's features.
    #[inline(always)]
    unsafe fn load(normal: &Normal<V>, [shift, scale]: [&[V::Scalar]; 2], channel: usize) -> Self {
        // SAFETY: as the caller guarantees.
        unsafe {
            Self {
                factor: normal.inv_std.mul(normal.scale),
                shift_mean: register(shift, channel),
                scale_mean: register(scale, channel),
            }
        }
    }

    /// scale · inv_std · (dz − mean(dz) − n · mean(dz · n)).
    #[inline(always)]
    fn gradient(&self, dz: V, n: V) -> V {
        dz.sub(self.shift_mean)
            .sub(n.mul(self.scale_mean))
            .mul(self.factor)
    }
}
