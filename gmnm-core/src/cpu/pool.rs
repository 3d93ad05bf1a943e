//! Max pooling over channels-last images.

use rayon::prelude::*;

use super::lanes::Real;

/// The shape of a pooling of `[n, h, w, c]` to `[n, oh, ow, c]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolGeometry {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) c: usize,
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// The maxima and, for each, its place in the window, row by row: the first of equals; a NaN wins.
pub(crate) fn forward<T: Real>(g: &PoolGeometry, x: &[T]) -> (Vec<T>, Vec<u16>) {
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
                            #[allow(clippy::eq_op)]
                            let wins = (x > *best) | (x != x);
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
pub(crate) fn gradient<T: Real>(g: &PoolGeometry, dy: &[T], places: &[u16]) -> Vec<T> {
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
                        dx[(iy * g.w + ix) * g.c + c] += dy[start + c];
                    }
                }
            }
        });
    dx
}
