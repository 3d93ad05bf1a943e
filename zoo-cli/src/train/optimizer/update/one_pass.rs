//! Updates on the CPU in place: parameters and moments are read and written once, where they lie.

use std::cell::Cell;
use std::ops::Range;

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, Layout, Result, Storage, Tensor, Var, WithDType, bail,
};
use rayon::prelude::*;

use super::{Adamw, Backend, Change, Clipped, Sgd};

/// Values a thread takes at once; smaller parameters stay on the calling thread.
const CHUNK: usize = 1 << 15;

/// One pass over a parameter and its moments.
#[derive(Debug)]
pub(super) struct OnePass;

impl Backend for OnePass {
    fn clip(&self, changes: &[Change], limit: f64) -> Result<Clipped> {
        let mut sum = 0.0;
        for change in changes {
            let squares = change.gradient.sqr()?.sum_all()?;
            sum += squares.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        }
        let norm = sum.sqrt();
        let scale = if norm > limit { limit / norm } else { 1.0 };
        Ok(Clipped {
            norm: Tensor::new(norm, &Device::Cpu)?,
            scale: Tensor::new(scale, &Device::Cpu)?,
        })
    }

    fn sgd(&self, changes: &[Change], step: &Sgd, scale: Option<&Tensor>) -> Result<()> {
        let scale = scale_of(scale)?;
        for change in changes {
            let [velocity] = change.moments()?;
            let update = Step::new(step, change, scale);
            write(change.parameter, |p| {
                write(velocity, |v| {
                    apply("sgd", [p, v], &change.gradient, &update)
                })
            })?;
        }
        Ok(())
    }

    fn adamw(&self, changes: &[Change], step: &Adamw, scale: Option<&Tensor>) -> Result<()> {
        let scale = scale_of(scale)?;
        for change in changes {
            let [first, second] = change.moments()?;
            let update = Step::new(step, change, scale);
            write(change.parameter, |p| {
                write(first, |m| {
                    write(second, |v| {
                        apply("adamw", [p, m, v], &change.gradient, &update)
                    })
                })
            })?;
        }
        Ok(())
    }

    fn average(&self, pairs: &[(Var, Var)], weight: f64) -> Result<()> {
        for (target, source) in pairs {
            let update = Average { weight };
            write(target, |a| apply("average", [a], source, &update))?;
        }
        Ok(())
    }
}

fn scale_of(scale: Option<&Tensor>) -> Result<f64> {
    scale.map_or(Ok(1.0), Tensor::to_scalar)
}

/// f32 or f64.
trait Real: WithDType {
    fn sqrt(self) -> Self;
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! real {
    ($t:ty, $variant:ident) => {
        impl Real for $t {
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }

            fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(values) => Some(values),
                    _ => None,
                }
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);

/// An update of some values, element by element: `W` tensors are written, one is read.
trait Update<const W: usize>: Sync {
    fn run<T: Real>(&self, written: [&mut [T]; W], read: &[T]);
}

/// One parameter's step by a rule, with the factor on its gradient.
struct Step<R> {
    rule: R,
    rate: f64,
    shrink: f64,
    scale: f64,
}

impl<R: Copy> Step<R> {
    fn new(rule: &R, change: &Change, scale: f64) -> Self {
        Self {
            rule: *rule,
            rate: change.rate,
            shrink: change.shrink,
            scale,
        }
    }
}

impl Update<2> for Step<Sgd> {
    fn run<T: Real>(&self, [p, v]: [&mut [T]; 2], g: &[T]) {
        let (rate, shrink) = (T::from_f64(self.rate), T::from_f64(self.shrink));
        let (scale, momentum) = (T::from_f64(self.scale), T::from_f64(self.rule.momentum));
        for ((p, v), &g) in p.iter_mut().zip(v).zip(g) {
            let g = scale * g;
            *v = momentum * *v + g;
            *p = shrink * *p - rate * (g + momentum * *v);
        }
    }
}

impl Update<3> for Step<Adamw> {
    fn run<T: Real>(&self, [p, m, v]: [&mut [T]; 3], g: &[T]) {
        let t = T::from_f64;
        let rule = &self.rule;
        let (rate, shrink, epsilon) = (t(self.rate), t(self.shrink), t(rule.epsilon));
        let (beta1, beta2) = (t(rule.beta1), t(rule.beta2));
        let on_first = t((1.0 - rule.beta1) * self.scale);
        let on_second = t((1.0 - rule.beta2) * self.scale * self.scale);
        let correction = t(1.0 / rule.second_correction);
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m = beta1 * *m + on_first * g;
            *v = beta2 * *v + on_second * g * g;
            *p = shrink * *p - rate * *m / ((*v * correction).sqrt() + epsilon);
        }
    }
}

/// a ← a + weight·(b − a).
struct Average {
    weight: f64,
}

impl Update<1> for Average {
    fn run<T: Real>(&self, [a]: [&mut [T]; 1], b: &[T]) {
        let (keep, add) = (T::from_f64(1.0 - self.weight), T::from_f64(self.weight));
        for (a, &b) in a.iter_mut().zip(b) {
            *a = keep * *a + add * b;
        }
    }
}

/// A tensor's elements while they are written.
struct Written<'a> {
    storage: &'a mut CpuStorage,
    range: Range<usize>,
}

/// Calls `f` with the elements of a tensor.
fn write(tensor: &Tensor, f: impl FnOnce(Written) -> Result<()>) -> Result<()> {
    struct Write<F>(Cell<Option<F>>);
    impl<F: FnOnce(Written) -> Result<()>> InplaceOp1 for Write<F> {
        fn name(&self) -> &'static str {
            "optimizer"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let (Some((start, end)), Some(f)) = (layout.contiguous_offsets(), self.0.take()) else {
                bail!("the optimizer needs contiguous tensors");
            };
            let range = start..end;
            f(Written { storage, range })
        }
    }
    tensor.inplace_op1(&Write(Cell::new(Some(f))))
}

fn apply<const W: usize>(
    name: &str,
    written: [Written; W],
    read: &Tensor,
    update: &impl Update<W>,
) -> Result<()> {
    let (storage, layout) = read.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets())
    else {
        bail!("`{name}` needs a contiguous gradient on the CPU");
    };
    match read.dtype() {
        DType::F32 => typed(
            name,
            written,
            &storage.as_slice::<f32>()?[start..end],
            update,
        ),
        DType::F64 => typed(
            name,
            written,
            &storage.as_slice::<f64>()?[start..end],
            update,
        ),
        other => bail!("`{name}` needs f32 or f64 tensors, not {other:?}"),
    }
}

fn typed<const W: usize, T: Real>(
    name: &str,
    written: [Written; W],
    read: &[T],
    update: &impl Update<W>,
) -> Result<()> {
    let slices = written.map(|written| {
        let all = T::slice_mut(written.storage)?;
        Some(&mut all[written.range])
    });
    let fits = |slice: &Option<&mut [T]>| slice.as_ref().is_some_and(|s| s.len() == read.len());
    if !slices.iter().all(fits) {
        bail!("`{name}` needs tensors of one shape and type");
    }
    let slices = slices.map(Option::unwrap_or_default);
    if read.len() <= CHUNK {
        update.run(slices, read);
        return Ok(());
    }
    let mut parts: Vec<([&mut [T]; W], &[T])> = Vec::new();
    let mut chunks = slices.map(|slice| slice.chunks_mut(CHUNK));
    for read in read.chunks(CHUNK) {
        let written = chunks
            .each_mut()
            .map(|chunk| chunk.next().unwrap_or_default());
        parts.push((written, read));
    }
    parts
        .into_par_iter()
        .for_each(|(written, read)| update.run(written, read));
    Ok(())
}
