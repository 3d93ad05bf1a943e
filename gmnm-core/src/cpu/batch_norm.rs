//! Batch normalisation over rows of channels, fused with an activation.
//!
//! The forward pass reads the input twice (moments, then output), the backward pass twice (two sums per channel, then
//! the gradient); the normalised input and the activation are computed again instead of stored.

use std::marker::PhantomData;

use super::output::filled_by;
use super::parallel::*;
use super::scratch::Aligned;
use super::simd::activation::{Activation, Function, with_function};
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;

/// Elements per block: a block of sums is f32, the blocks are added in f64. Fixed, so that the result does not depend
/// on the number of threads.
const BLOCK: usize = 16 * 1024;

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

/// Gradients of a normalisation.
pub(crate) struct Gradients<T: Stored> {
    pub(crate) input: Vec<T>,
    pub(crate) scale: Vec<T::Real>,
    pub(crate) shift: Vec<T::Real>,
}

/// Rows per repetition and elements in it: a row of channels, or as many rows as fill whole registers.
fn period(channels: usize, count: usize) -> (usize, usize) {
    let mut rows = 1;
    while !(rows * channels).is_multiple_of(count) {
        rows += 1;
    }
    (rows, rows * channels)
}

/// `values` `[channels]` over a period, as T, in a buffer of whole registers.
pub(super) fn repeated<T: Real>(values: &[f64], period: usize) -> Aligned {
    let len = period.next_multiple_of(super::simd::lanes::MAX_COUNT);
    let mut out = Aligned::zeros::<T>(len);
    for (i, out) in out.slice_mut::<T>(len)[..period].iter_mut().enumerate() {
        *out = T::from_f64(values[i % values.len()]);
    }
    out
}

/// Coefficients as the kernels read them.
pub(super) struct Prepared {
    mean: Aligned,
    inv_std: Aligned,
    scale: Aligned,
    shift: Aligned,
    len: usize,
}

impl Prepared {
    pub(super) fn new<T: Real>(c: &Coefficients, period: usize) -> Self {
        Self {
            mean: repeated::<T>(&c.mean, period),
            inv_std: repeated::<T>(&c.inv_std, period),
            scale: repeated::<T>(&c.scale, period),
            shift: repeated::<T>(&c.shift, period),
            len: period.next_multiple_of(super::simd::lanes::MAX_COUNT),
        }
    }

    pub(super) fn view<T: Real>(&self) -> View<'_, T> {
        View {
            mean: self.mean.slice(self.len),
            inv_std: self.inv_std.slice(self.len),
            scale: self.scale.slice(self.len),
            shift: self.shift.slice(self.len),
        }
    }
}

/// [`Prepared`] as slices.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    mean: &'a [T],
    inv_std: &'a [T],
    scale: &'a [T],
    shift: &'a [T],
}

/// The coefficients of one register of channels.
#[derive(Clone, Copy)]
pub(super) struct Normal<V> {
    mean: V,
    pub(super) inv_std: V,
    pub(super) scale: V,
    shift: V,
}

impl<V: Lanes> Normal<V> {
    /// # Safety
    /// The processor has V's features.
    #[inline(always)]
    pub(super) unsafe fn load(view: &View<'_, V::Scalar>, channel: usize) -> Self {
        let at = |values: &[V::Scalar]| {
            let values = &values[channel..channel + V::COUNT];
            // SAFETY: the slice holds a register; the caller checked the features.
            unsafe { V::load(values.as_ptr()) }
        };
        Self {
            mean: at(view.mean),
            inv_std: at(view.inv_std),
            scale: at(view.scale),
            shift: at(view.shift),
        }
    }

    /// (x − mean) / std.
    #[inline(always)]
    pub(super) fn normalise(&self, x: V) -> V {
        x.sub(self.mean).mul(self.inv_std)
    }

    /// The activation's argument at normalised x.
    #[inline(always)]
    pub(super) fn scaled(&self, normal: V) -> V {
        normal.mul_add(self.scale, self.shift)
    }
}

/// Mean and (biased) variance of each channel of `x` `[rows, channels]`, in one pass.
///
/// The sums are taken around the mean of a few rows, so that they do not cancel when a channel's mean is large against
/// its spread.
pub(crate) fn moments<T: Stored>(isa: Isa, x: &[T], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = x.len() / channels;
    let samples = rows.min(16);
    let mut center = vec![0f64; channels];
    for i in 0..samples {
        let row = &x[i * rows / samples * channels..][..channels];
        for (center, &x) in center.iter_mut().zip(row) {
            *center += x.widen().to_f64() / samples as f64;
        }
    }
    // The value that is subtracted, rounded as it will be.
    for center in &mut center {
        *center = T::Real::from_f64(*center).to_f64();
    }
    let (_, period) = period(channels, isa.shape::<T::Real>().0);
    let prepared = repeated::<T::Real>(&center, period);
    let padded = period.next_multiple_of(super::simd::lanes::MAX_COUNT);
    let block = (BLOCK / period).max(1) * period;
    let partials: Vec<Vec<T::Real>> = x
        .par_chunks(block)
        .map(|x| {
            let mut sums = vec![T::Real::default(); 2 * period];
            T::run(
                isa,
                Moments {
                    x,
                    center: prepared.slice(padded),
                    sums: &mut sums,
                },
            );
            sums
        })
        .collect();
    let totals = fold::<T::Real>(&partials, channels);
    let n = rows as f64;
    let (mut mean, mut variance) = (Vec::new(), Vec::new());
    for (c, center) in center.iter().enumerate() {
        let offset = totals[c] / n;
        mean.push(center + offset);
        // Not max(0): a NaN must stay one.
        let spread = totals[channels + c] / n - offset * offset;
        variance.push(if spread < 0.0 { 0.0 } else { spread });
    }
    (mean, variance)
}

/// Adds partial sums `[2, period]` up to `[2, channels]` in f64, in order.
pub(super) fn fold<T: Real>(partials: &[Vec<T>], channels: usize) -> Vec<f64> {
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

/// Sums of x − center and of its square over a block.
struct Moments<'a, T: Stored> {
    x: &'a [T],
    center: &'a [T::Real],
    sums: &'a mut [T::Real],
}

impl<T: Stored> Kernel<T::Real> for Moments<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let period = self.sums.len() / 2;
        let (rows, rest) = (self.x.len() / period, self.x.len() % period);
        let (x, sums) = (self.x.as_ptr(), self.sums.as_mut_ptr());
        let mut c = 0;
        while c < period {
            // SAFETY: a period is a whole number of registers; all reads and writes lie inside the slices.
            unsafe {
                let center = V::load(self.center[c..c + V::COUNT].as_ptr());
                let zero = V::splat(T::Real::default());
                // Two chains hide the latency of the additions.
                let (mut first, mut second) = ([zero; 2], [zero; 2]);
                for row in 0..rows {
                    let d = T::load::<V>(x.add(row * period + c)).sub(center);
                    first[row % 2] = first[row % 2].add(d);
                    second[row % 2] = d.mul_add(d, second[row % 2]);
                }
                if rest > c {
                    let d = T::load_some(x.add(rows * period + c), rest - c, center).sub(center);
                    first[0] = first[0].add(d);
                    second[0] = d.mul_add(d, second[0]);
                }
                first[0].add(first[1]).store(sums.add(c));
                second[0].add(second[1]).store(sums.add(period + c));
            }
            c += V::COUNT;
        }
    }
}

/// `activation((x − mean) · inv_std · scale + shift)`.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    x: &[T],
    coefficients: &Coefficients,
    activation: Activation,
) -> Vec<T> {
    let (_, period) = period(coefficients.mean.len(), isa.shape::<T::Real>().0);
    let prepared = Prepared::new::<T::Real>(coefficients, period);
    let block = (BLOCK / period).max(1) * period;
    with_function!(activation, F => {
        // SAFETY: the kernel writes one output for each input of the block.
        unsafe {
            filled_by(x.len(), block, |i, y, len| {
                T::run(isa, Forward::<F, T> {
                    x: &x[i * block..i * block + len],
                    y,
                    period,
                    view: prepared.view(),
                    function: PhantomData,
                });
            })
        }
    })
}

struct Forward<'a, F, T: Stored> {
    x: &'a [T],
    y: *mut T,
    period: usize,
    view: View<'a, T::Real>,
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Forward<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let (rows, rest) = (self.x.len() / self.period, self.x.len() % self.period);
        let x = self.x.as_ptr();
        let mut c = 0;
        while c < self.period {
            // SAFETY: a period is a whole number of registers; `y` is as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(&self.view, c);
                for row in 0..rows {
                    let at = row * self.period + c;
                    let z = normal.scaled(normal.normalise(T::load::<V>(x.add(at))));
                    T::store(F::value(z), self.y.add(at));
                }
                if rest > c {
                    let at = rows * self.period + c;
                    let x = T::load_some(x.add(at), rest - c, V::splat(T::Real::default()));
                    let y = F::value(normal.scaled(normal.normalise(x)));
                    T::store_some(y, self.y.add(at), rest - c);
                }
            }
            c += V::COUNT;
        }
    }
}

/// The gradients of [`forward`] at `x` from `dy`; with `batch_statistics` the mean and the variance are functions of `x`.
/// The input's gradient is left out (empty) where it is not `wanted`.
pub(crate) fn backward<T: Stored>(
    isa: Isa,
    x: &[T],
    dy: &[T],
    coefficients: &Coefficients,
    activation: Activation,
    batch_statistics: bool,
    wanted: bool,
) -> Gradients<T> {
    assert_eq!(x.len(), dy.len());
    let channels = coefficients.mean.len();
    let (_, period) = period(channels, isa.shape::<T::Real>().0);
    let prepared = Prepared::new::<T::Real>(coefficients, period);
    let block = (BLOCK / period).max(1) * period;
    with_function!(activation, F => {
        let partials: Vec<Vec<T::Real>> = x
            .par_chunks(block)
            .zip(dy.par_chunks(block))
            .map(|(x, dy)| {
                let mut sums = vec![T::Real::default(); 2 * period];
                T::run(isa, Sums::<F, T> {
                    x,
                    dy,
                    sums: &mut sums,
                    view: prepared.view(),
                    function: PhantomData,
                });
                sums
            })
            .collect();
        let totals = fold(&partials, channels);
        let input = if wanted {
            let means = Means::new::<T::Real>(&totals, x.len() / channels, period, batch_statistics);
            // SAFETY: the kernel writes one gradient for each input of the block.
            unsafe {
                filled_by(x.len(), block, |i, dx, len| {
                    T::run(isa, InputGradient::<F, T> {
                        x: &x[i * block..i * block + len],
                        dy: &dy[i * block..i * block + len],
                        dx,
                        period,
                        view: prepared.view(),
                        means: means.view(),
                        function: PhantomData,
                    });
                })
            }
        } else {
            Vec::new()
        };
        let (shift, scale) = totals.split_at(channels);
        Gradients {
            input,
            scale: scale.iter().map(|&x| T::Real::from_f64(x)).collect(),
            shift: shift.iter().map(|&x| T::Real::from_f64(x)).collect(),
        }
    })
}

/// The means over the batch of dz and of dz · normalised x, zero where the statistics are constants.
pub(super) struct Means {
    shift: Aligned,
    scale: Aligned,
    len: usize,
}

impl Means {
    pub(super) fn new<T: Real>(
        totals: &[f64],
        rows: usize,
        period: usize,
        batch_statistics: bool,
    ) -> Self {
        let factor = if batch_statistics {
            1.0 / rows as f64
        } else {
            0.0
        };
        let means: Vec<f64> = totals.iter().map(|total| total * factor).collect();
        let (shift, scale) = means.split_at(means.len() / 2);
        Self {
            shift: repeated::<T>(shift, period),
            scale: repeated::<T>(scale, period),
            len: period.next_multiple_of(super::simd::lanes::MAX_COUNT),
        }
    }

    pub(super) fn view<T: Real>(&self) -> (&[T], &[T]) {
        (self.shift.slice(self.len), self.scale.slice(self.len))
    }
}

/// Sums of dz and of dz · normalised x over a block.
struct Sums<'a, F, T: Stored> {
    x: &'a [T],
    dy: &'a [T],
    sums: &'a mut [T::Real],
    view: View<'a, T::Real>,
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Sums<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let period = self.sums.len() / 2;
        let (rows, rest) = (self.x.len() / period, self.x.len() % period);
        let (x, dy, sums) = (self.x.as_ptr(), self.dy.as_ptr(), self.sums.as_mut_ptr());
        let mut c = 0;
        while c < period {
            // SAFETY: a period is a whole number of registers; `dy` is as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(&self.view, c);
                let zero = V::splat(T::Real::default());
                let (mut shift, mut scale) = ([zero; 2], [zero; 2]);
                for row in 0..rows {
                    let at = row * period + c;
                    let n = normal.normalise(T::load::<V>(x.add(at)));
                    let dz = T::load::<V>(dy.add(at)).mul(F::slope(normal.scaled(n)));
                    shift[row % 2] = shift[row % 2].add(dz);
                    scale[row % 2] = dz.mul_add(n, scale[row % 2]);
                }
                if rest > c {
                    let at = rows * period + c;
                    let n = normal.normalise(T::load_some(x.add(at), rest - c, zero));
                    let dy = T::load_some(dy.add(at), rest - c, zero);
                    let dz = dy.mul(F::slope(normal.scaled(n)));
                    shift[0] = shift[0].add(dz);
                    scale[0] = dz.mul_add(n, scale[0]);
                }
                shift[0].add(shift[1]).store(sums.add(c));
                scale[0].add(scale[1]).store(sums.add(period + c));
            }
            c += V::COUNT;
        }
    }
}

struct InputGradient<'a, F, T: Stored> {
    x: &'a [T],
    dy: &'a [T],
    dx: *mut T,
    period: usize,
    view: View<'a, T::Real>,
    means: (&'a [T::Real], &'a [T::Real]),
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for InputGradient<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let (rows, rest) = (self.x.len() / self.period, self.x.len() % self.period);
        let (x, dy) = (self.x.as_ptr(), self.dy.as_ptr());
        let mut c = 0;
        while c < self.period {
            // SAFETY: a period is a whole number of registers; `dy` and `dx` are as long as `x`.
            unsafe {
                let normal = Normal::<V>::load(&self.view, c);
                let back = Back::load(&normal, self.means, c);
                for row in 0..rows {
                    let at = row * self.period + c;
                    let n = normal.normalise(T::load::<V>(x.add(at)));
                    let dz = T::load::<V>(dy.add(at)).mul(F::slope(normal.scaled(n)));
                    T::store(back.gradient(dz, n), self.dx.add(at));
                }
                if rest > c {
                    let at = rows * self.period + c;
                    let zero = V::splat(T::Real::default());
                    let n = normal.normalise(T::load_some(x.add(at), rest - c, zero));
                    let dy = T::load_some(dy.add(at), rest - c, zero);
                    let dz = dy.mul(F::slope(normal.scaled(n)));
                    T::store_some(back.gradient(dz, n), self.dx.add(at), rest - c);
                }
            }
            c += V::COUNT;
        }
    }
}

/// What turns dz into the input's gradient, for one register of channels.
#[derive(Clone, Copy)]
pub(super) struct Back<V> {
    factor: V,
    shift_mean: V,
    scale_mean: V,
}

impl<V: Lanes> Back<V> {
    /// # Safety
    /// The processor has V's features.
    #[inline(always)]
    pub(super) unsafe fn load(
        normal: &Normal<V>,
        (shift, scale): (&[V::Scalar], &[V::Scalar]),
        channel: usize,
    ) -> Self {
        // SAFETY: the slices hold a register; the caller checked the features.
        unsafe {
            Self {
                factor: normal.inv_std.mul(normal.scale),
                shift_mean: V::load(shift[channel..channel + V::COUNT].as_ptr()),
                scale_mean: V::load(scale[channel..channel + V::COUNT].as_ptr()),
            }
        }
    }

    /// scale · inv_std · (dz − mean(dz) − n · mean(dz · n)).
    #[inline(always)]
    pub(super) fn gradient(&self, dz: V, n: V) -> V {
        dz.sub(self.shift_mean)
            .sub(n.mul(self.scale_mean))
            .mul(self.factor)
    }
}
