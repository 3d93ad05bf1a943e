//! Max pooling over channels-last images.

use rayon::prelude::*;

use super::stored::Stored;

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

/// The maxima of each image's channels over all positions, `[n, positions, channels]` to `[n, channels]`, and the
/// position of each: the first of equals; a NaN wins.
pub(crate) fn image_maxima<T: Stored>(
    x: &[T],
    positions: usize,
    channels: usize,
) -> (Vec<T::Real>, Vec<u32>) {
    let image = positions * channels;
    let mut y = vec![T::Real::default(); x.len() / positions.max(1)];
    let mut places = vec![0u32; y.len()];
    y.par_chunks_mut(channels.max(1))
        .zip(places.par_chunks_mut(channels.max(1)))
        .zip(x.par_chunks(image.max(1)))
        .for_each(|((y, places), x)| {
            for (best, &x) in y.iter_mut().zip(x) {
                *best = x.widen();
            }
            for (position, x) in x.chunks_exact(channels).enumerate().skip(1) {
                for ((best, at), &x) in y.iter_mut().zip(places.iter_mut()).zip(x) {
                    let value = x.widen();
                    #[allow(clippy::eq_op)]
                    let wins = (value > *best) | (value != value);
                    *best = if wins { value } else { *best };
                    *at = if wins { position as u32 } else { *at };
                }
            }
        });
    (y, places)
}

/// The gradient of the input of [`image_maxima`].
pub(crate) fn image_maxima_gradient<T: Stored>(
    dy: &[T::Real],
    places: &[u32],
    positions: usize,
    channels: usize,
) -> Vec<T> {
    let mut dx = vec![T::default(); dy.len() * positions];
    dx.par_chunks_mut((positions * channels).max(1))
        .zip(dy.par_chunks(channels.max(1)))
        .zip(places.par_chunks(channels.max(1)))
        .for_each(|((dx, dy), places)| {
            for (c, (&dy, &place)) in dy.iter().zip(places).enumerate() {
                dx[place as usize * channels + c] = T::narrow(dy);
            }
        });
    dx
}
