//! Max pooling over channels-last images.

use super::batch_norm::Coefficients;
use super::batch_norm_pool;
use super::output::filled_by;
use super::parallel::*;
use super::simd::activation::Activation;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;
use super::windows::{PoolGeometry, are_disjoint, at_place, load_places};

/// The maxima and, for each, its place in the window, row by row: the first of equals; a NaN wins.
pub(crate) fn forward<T: Stored>(g: &PoolGeometry, x: &[T]) -> (Vec<T>, Vec<u16>) {
    assert_eq!(x.len(), g.n * g.h * g.w * g.c);
    let row = g.ow * g.c;
    let mut y = vec![T::default(); g.n * g.oh * row];
    let mut places = vec![0u16; y.len()];
    y.par_chunks_mut(row.max(1))
        .zip(places.par_chunks_mut(row.max(1)))
        .enumerate()
        .for_each(|(i, (y, places))| {
            let (image, oy) = (i / g.oh, i % g.oh);
            for ox in 0..g.ow {
                let y = &mut y[ox * g.c..][..g.c];
                let places = &mut places[ox * g.c..][..g.c];
                for ky in 0..g.kernel {
                    for kx in 0..g.kernel {
                        let (iy, ix) = (oy * g.stride + ky, ox * g.stride + kx);
                        let x = &x[((image * g.h + iy) * g.w + ix) * g.c..][..g.c];
                        let place = ky * g.kernel + kx;
                        if place == 0 {
                            y.copy_from_slice(x);
                            continue;
                        }
                        for ((best, at), &x) in y.iter_mut().zip(places.iter_mut()).zip(x) {
                            let (value, before) = (x.widen(), best.widen());
                            #[allow(clippy::eq_op)]
                            let wins = (value > before) | (value != value);
                            *best = if wins { x } else { *best };
                            *at = if wins { place as u16 } else { *at };
                        }
                    }
                }
            }
        });
    (y, places)
}

/// The gradient of the input: each output's goes to the place that its maximum came from.
pub(crate) fn gradient<T: Stored>(g: &PoolGeometry, dy: &[T], places: &[u16]) -> Vec<T> {
    assert_eq!(dy.len(), g.n * g.oh * g.ow * g.c);
    assert_eq!(places.len(), dy.len());
    let image = g.h * g.w * g.c;
    let mut dx = vec![T::default(); g.n * image];
    dx.par_chunks_mut(image.max(1))
        .enumerate()
        .for_each(|(i, dx)| {
            for oy in 0..g.oh {
                for ox in 0..g.ow {
                    let start = ((i * g.oh + oy) * g.ow + ox) * g.c;
                    for c in 0..g.c {
                        let place = usize::from(places[start + c]);
                        let iy = oy * g.stride + place / g.kernel;
                        let ix = ox * g.stride + place % g.kernel;
                        let dx = &mut dx[(iy * g.w + ix) * g.c + c];
                        *dx = T::narrow(dx.widen() + dy[start + c].widen());
                    }
                }
            }
        });
    dx
}

/// [`forward`] of disjoint windows, on registers.
///
/// # Panics
/// When windows are not [disjoint](are_disjoint).
pub(crate) fn forward_disjoint<T: Stored>(
    isa: Isa,
    g: &PoolGeometry,
    x: &[T],
) -> (Vec<T>, Vec<u8>) {
    let unchanged = Coefficients {
        mean: vec![0.0; g.c],
        inv_std: vec![1.0; g.c],
        scale: vec![1.0; g.c],
        shift: vec![0.0; g.c],
    };
    batch_norm_pool::forward(isa, g, x, &unchanged, Activation::Identity)
}

/// [`gradient`] of disjoint windows, on registers.
///
/// # Panics
/// When windows are not [disjoint](are_disjoint), or a length does not fit.
pub(crate) fn gradient_disjoint<T: Stored>(
    isa: Isa,
    g: &PoolGeometry,
    dy: &[T],
    places: &[u8],
) -> Vec<T> {
    let (image, pooled) = (g.h * g.w * g.c, g.oh * g.ow * g.c);
    assert!(are_disjoint(g) && g.oh * g.kernel <= g.h && g.ow * g.kernel <= g.w);
    assert!(dy.len() == g.n * pooled && places.len() == dy.len());
    // SAFETY: the kernel writes one gradient for each input of the image.
    unsafe {
        filled_by(g.n * image, image, |i, dx, _| {
            let own = i * pooled..(i + 1) * pooled;
            T::run(
                isa,
                Scatter {
                    g,
                    dy: &dy[own.clone()],
                    places: &places[own],
                    dx,
                },
            );
        })
    }
}

/// The gradients of one image's inputs.
struct Scatter<'a, T> {
    g: &'a PoolGeometry,
    dy: &'a [T],
    places: &'a [u8],
    dx: *mut T,
}

impl<T: Stored> Kernel<T::Real> for Scatter<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let g = self.g;
        // SAFETY: the caller checked the processor's features and the lengths; windows lie inside the image.
        unsafe {
            let zero = V::splat(T::Real::default());
            let one = V::splat(T::Real::from_f64(1.0));
            for i in 0..g.oh * g.ow {
                let start = (i / g.ow * g.w + i % g.ow) * g.kernel * g.c;
                for c in (0..g.c).step_by(V::COUNT) {
                    let count = V::COUNT.min(g.c - c);
                    let at = i * g.c + c;
                    let dy = T::load_some(self.dy.as_ptr().add(at), count, zero);
                    let place = load_places::<V>(self.places.as_ptr().add(at), count);
                    let mut here = zero;
                    for ky in 0..g.kernel {
                        for kx in 0..g.kernel {
                            let to = start + (ky * g.w + kx) * g.c + c;
                            T::store_some(at_place(place, here, dy), self.dx.add(to), count);
                            here = here.add(one);
                        }
                    }
                }
            }
            for y in 0..g.h {
                let reached = y < g.oh * g.kernel;
                let first = if reached { g.ow * g.kernel } else { 0 };
                for rest in first * g.c..g.w * g.c {
                    self.dx.add(y * g.w * g.c + rest).write(T::default());
                }
            }
        }
    }
}
