//! The update rules as in-place ops: parameters and moments are written where they lie.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, WithDType, bail};
use rayon::prelude::*;

/// Values a thread takes at once; smaller parameters stay on the calling thread.
const CHUNK: usize = 1 << 15;

/// f32 or f64.
trait Real: WithDType {
    fn sqrt(self) -> Self;
    fn times_plus(self, factor: Self, term: Self) -> Self;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            fn times_plus(self, factor: Self, term: Self) -> Self {
                self * factor + term
            }
        }
    };
}
real!(f32);
real!(f64);

/// Coefficients of one SGD step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sgd {
    /// Learning rate of this parameter.
    pub(super) rate: f64,
    /// 1 − rate·decay.
    pub(super) shrink: f64,
    /// Factor on the gradient, from clipping.
    pub(super) scale: f64,
    pub(super) momentum: f64,
}

/// Coefficients of one AdamW step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adamw {
    /// Learning rate of this parameter over the first moment's bias correction.
    pub(super) rate: f64,
    /// 1 − rate·decay.
    pub(super) shrink: f64,
    /// Factor on the gradient, from clipping.
    pub(super) scale: f64,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    /// 1 − beta2^steps.
    pub(super) second_correction: f64,
    pub(super) epsilon: f64,
}

/// v ← μ·v + s·g, then p ← shrink·p − rate·(s·g + μ·v).
pub(super) fn sgd(
    parameter: &Tensor,
    gradient: &Tensor,
    velocity: &Tensor,
    step: Sgd,
) -> Result<()> {
    velocity.inplace_op2(
        gradient,
        &Blend {
            keep: step.momentum,
            add: step.scale,
        },
    )?;
    parameter.inplace_op3(gradient, velocity, &step)
}

/// m ← β₁·m + (1−β₁)·s·g, v ← β₂·v + (1−β₂)·(s·g)², then p ← shrink·p − rate·m / (√(v/correction) + ε).
pub(super) fn adamw(
    parameter: &Tensor,
    gradient: &Tensor,
    (first, second): (&Tensor, &Tensor),
    step: Adamw,
) -> Result<()> {
    first.inplace_op2(
        gradient,
        &Blend {
            keep: step.beta1,
            add: (1.0 - step.beta1) * step.scale,
        },
    )?;
    second.inplace_op2(
        gradient,
        &BlendSquare {
            keep: step.beta2,
            add: (1.0 - step.beta2) * step.scale * step.scale,
        },
    )?;
    parameter.inplace_op3(first, second, &step)
}

/// target ← target + weight·(source − target): the step of a moving average.
pub(crate) fn average(target: &Tensor, source: &Tensor, weight: f64) -> Result<()> {
    target.inplace_op2(
        source,
        &Blend {
            keep: 1.0 - weight,
            add: weight,
        },
    )
}

/// a ← keep·a + add·b.
struct Blend {
    keep: f64,
    add: f64,
}

/// a ← keep·a + add·b².
struct BlendSquare {
    keep: f64,
    add: f64,
}

impl InplaceOp2 for Blend {
    fn name(&self) -> &'static str {
        "blend"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_layout: &Layout,
        src: &CpuStorage,
        src_layout: &Layout,
    ) -> Result<()> {
        struct Run<'a>(&'a Blend);
        impl Kernel<1> for Run<'_> {
            fn run<T: Real>(&self, a: &mut [T], [b]: [&[T]; 1]) {
                let (keep, add) = (T::from_f64(self.0.keep), T::from_f64(self.0.add));
                for (a, &b) in a.iter_mut().zip(b) {
                    *a = a.times_plus(keep, add * b);
                }
            }
        }
        apply(
            self.name(),
            dst,
            dst_layout,
            [(src, src_layout)],
            &Run(self),
        )
    }
}

impl InplaceOp2 for BlendSquare {
    fn name(&self) -> &'static str {
        "blend-square"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_layout: &Layout,
        src: &CpuStorage,
        src_layout: &Layout,
    ) -> Result<()> {
        struct Run<'a>(&'a BlendSquare);
        impl Kernel<1> for Run<'_> {
            fn run<T: Real>(&self, a: &mut [T], [b]: [&[T]; 1]) {
                let (keep, add) = (T::from_f64(self.0.keep), T::from_f64(self.0.add));
                for (a, &b) in a.iter_mut().zip(b) {
                    *a = a.times_plus(keep, add * b * b);
                }
            }
        }
        apply(
            self.name(),
            dst,
            dst_layout,
            [(src, src_layout)],
            &Run(self),
        )
    }
}

impl InplaceOp3 for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_layout: &Layout,
        src: &CpuStorage,
        src_layout: &Layout,
        moment: &CpuStorage,
        moment_layout: &Layout,
    ) -> Result<()> {
        struct Run<'a>(&'a Sgd);
        impl Kernel<2> for Run<'_> {
            fn run<T: Real>(&self, p: &mut [T], [g, v]: [&[T]; 2]) {
                let shrink = T::from_f64(self.0.shrink);
                let on_gradient = T::from_f64(-self.0.rate * self.0.scale);
                let on_velocity = T::from_f64(-self.0.rate * self.0.momentum);
                for ((p, &g), &v) in p.iter_mut().zip(g).zip(v) {
                    *p = p.times_plus(shrink, on_gradient * g + on_velocity * v);
                }
            }
        }
        let srcs = [(src, src_layout), (moment, moment_layout)];
        apply(self.name(), dst, dst_layout, srcs, &Run(self))
    }
}

impl InplaceOp3 for Adamw {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        dst: &mut CpuStorage,
        dst_layout: &Layout,
        src: &CpuStorage,
        src_layout: &Layout,
        moment: &CpuStorage,
        moment_layout: &Layout,
    ) -> Result<()> {
        struct Run<'a>(&'a Adamw);
        impl Kernel<2> for Run<'_> {
            fn run<T: Real>(&self, p: &mut [T], [m, v]: [&[T]; 2]) {
                let (rate, shrink) = (T::from_f64(self.0.rate), T::from_f64(self.0.shrink));
                let correction = T::from_f64(1.0 / self.0.second_correction);
                let epsilon = T::from_f64(self.0.epsilon);
                for ((p, &m), &v) in p.iter_mut().zip(m).zip(v) {
                    *p = *p * shrink - rate * m / ((v * correction).sqrt() + epsilon);
                }
            }
        }
        let srcs = [(src, src_layout), (moment, moment_layout)];
        apply(self.name(), dst, dst_layout, srcs, &Run(self))
    }
}

/// Element by element over one written and N read slices of the same length.
trait Kernel<const N: usize>: Sync {
    fn run<T: Real>(&self, dst: &mut [T], srcs: [&[T]; N]);
}

fn apply<const N: usize>(
    name: &str,
    dst: &mut CpuStorage,
    dst_layout: &Layout,
    srcs: [(&CpuStorage, &Layout); N],
    kernel: &impl Kernel<N>,
) -> Result<()> {
    fn typed<const N: usize, T: Real>(
        dst: &mut [T],
        dst_layout: &Layout,
        srcs: [(&CpuStorage, &Layout); N],
        kernel: &impl Kernel<N>,
    ) -> Option<Result<()>> {
        let (start, end) = dst_layout.contiguous_offsets()?;
        let dst = &mut dst[start..end];
        let mut slices: [&[T]; N] = [&[]; N];
        for (slice, (storage, layout)) in slices.iter_mut().zip(srcs) {
            let (start, end) = layout.contiguous_offsets()?;
            *slice = match storage.as_slice::<T>() {
                Ok(all) => &all[start..end],
                Err(error) => return Some(Err(error)),
            };
            if slice.len() != dst.len() {
                return None;
            }
        }
        if dst.len() <= CHUNK {
            kernel.run(dst, slices);
        } else {
            dst.par_chunks_mut(CHUNK).enumerate().for_each(|(i, part)| {
                let range = i * CHUNK..i * CHUNK + part.len();
                kernel.run(part, slices.map(|slice| &slice[range.clone()]));
            });
        }
        Some(Ok(()))
    }
    let done = match dst {
        CpuStorage::F32(dst) => typed(dst, dst_layout, srcs, kernel),
        CpuStorage::F64(dst) => typed(dst, dst_layout, srcs, kernel),
        other => bail!("`{name}` needs f32 or f64 tensors, not {:?}", other.dtype()),
    };
    match done {
        Some(result) => result,
        None => bail!("`{name}` needs contiguous tensors of one shape"),
    }
}
