//! Optimizer steps in place: parameters and moments are read and written once.

use rayon::prelude::*;

use super::simd::lanes::Real;

/// Values a thread takes at once; smaller parameters stay on the calling thread.
const CHUNK: usize = 1 << 15;

/// How a step changes a parameter p and its moments, given the gradient g.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// SGD with Nesterov momentum: v ← μ·v + g, then p ← shrink·p − rate·(g + μ·v).
    Sgd {
        /// μ
        momentum: f64,
    },
    /// AdamW: m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², then p ← shrink·p − rate·m / (√(v/correction) + ε).
    Adamw(Adamw),
    /// A moving average: p ← p + weight·(g − p), where g is what p moves towards.
    Average {
        /// Of what is new.
        weight: f64,
    },
}

/// Coefficients of AdamW that all parameters share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adamw {
    /// β₁, in 0..1.
    pub(crate) beta1: f64,
    /// β₂, in 0..1.
    pub(crate) beta2: f64,
    /// 1 − beta2^steps.
    pub(crate) second_correction: f64,
    /// ε, above 0.
    pub(crate) epsilon: f64,
}

impl Step {
    /// The moments of a parameter: SGD's velocity, AdamW's first and second moment.
    pub(crate) fn moments(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
            Self::Adamw(_) => 2,
            Self::Average { .. } => 0,
        }
    }
}

/// One parameter's numbers in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    /// Learning rate; for AdamW over the first moment's bias correction.
    pub(crate) rate: f64,
    /// 1 − learning rate·decay.
    pub(crate) shrink: f64,
    /// What the gradient is multiplied by.
    pub(crate) scale: f64,
}

/// [`Step::Sgd`] of a parameter and its velocity.
///
/// # Panics
/// When lengths differ.
pub(crate) fn sgd<T: Real>(momentum: f64, factors: &Factors, written: [&mut [T]; 2], g: &[T]) {
    let [rate, shrink, scale]: [T; 3] = factors.as_reals();
    let momentum = T::from_f64(momentum);
    in_chunks(written, g, |[p, v], g| {
        for ((p, v), &g) in p.iter_mut().zip(v).zip(g) {
            let g = scale * g;
            *v = momentum * *v + g;
            *p = shrink * *p - rate * (g + momentum * *v);
        }
    });
}

/// [`Step::Adamw`] of a parameter and its first and second moment.
///
/// # Panics
/// When lengths differ.
pub(crate) fn adamw<T: Real>(rule: &Adamw, factors: &Factors, written: [&mut [T]; 3], g: &[T]) {
    let t = T::from_f64;
    let [rate, shrink, _]: [T; 3] = factors.as_reals();
    let (beta1, beta2, epsilon) = (t(rule.beta1), t(rule.beta2), t(rule.epsilon));
    let on_first = t((1.0 - rule.beta1) * factors.scale);
    let on_second = t((1.0 - rule.beta2) * factors.scale * factors.scale);
    let correction = t(1.0 / rule.second_correction);
    in_chunks(written, g, |[p, m, v], g| {
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m = beta1 * *m + on_first * g;
            *v = beta2 * *v + on_second * g * g;
            *p = shrink * *p - rate * *m / ((*v * correction).sqrt() + epsilon);
        }
    });
}

/// [`Step::Average`] of `p` towards `g`.
///
/// # Panics
/// When lengths differ.
pub(crate) fn average<T: Real>(weight: f64, p: &mut [T], g: &[T]) {
    let (keep, add) = (T::from_f64(1.0 - weight), T::from_f64(weight));
    in_chunks([p], g, |[p], g| {
        for (p, &g) in p.iter_mut().zip(g) {
            *p = keep * *p + add * g;
        }
    });
}

impl Factors {
    fn as_reals<T: Real>(&self) -> [T; 3] {
        [self.rate, self.shrink, self.scale].map(T::from_f64)
    }
}

/// Calls `run` with chunks of all slices, on all threads.
fn in_chunks<T: Real, const W: usize>(
    written: [&mut [T]; W],
    read: &[T],
    run: impl Fn([&mut [T]; W], &[T]) + Sync,
) {
    assert!(written.iter().all(|slice| slice.len() == read.len()));
    if read.len() <= CHUNK {
        return run(written, read);
    }
    let mut parts: Vec<([&mut [T]; W], &[T])> = Vec::new();
    let mut chunks = written.map(|slice| slice.chunks_mut(CHUNK));
    for read in read.chunks(CHUNK) {
        let written = chunks
            .each_mut()
            .map(|chunk| chunk.next().unwrap_or_default());
        parts.push((written, read));
    }
    parts
        .into_par_iter()
        .for_each(|(written, read)| run(written, read));
}
