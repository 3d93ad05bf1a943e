//! Batch normalisation, activation and max pooling in one pass over channels-last images.

use std::marker::PhantomData;

use super::batch_norm::{Back, Coefficients, Gradients, Means, Normal, Prepared, View, fold};
use super::output::filled_by;
use super::parallel::*;
use super::simd::activation::{Activation, Function, with_function};
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;
use super::windows::{MAX_KERNEL, PoolGeometry, at_place, load_places};

/// The pooled output and each maximum's place in its window, row by row. Windows must not overlap.
pub(crate) fn forward<T: Stored>(
    isa: Isa,
    g: &PoolGeometry,
    x: &[T],
    coefficients: &Coefficients,
    activation: Activation,
) -> (Vec<T>, Vec<u8>) {
    check(g, x.len());
    let prepared = Prepared::new::<T::Real>(coefficients, g.c);
    let row = g.ow * g.c;
    let mut places = vec![0u8; g.n * g.oh * row];
    let y = with_function!(activation, F => {
        let places = &Places(places.as_mut_ptr());
        // SAFETY: the kernel writes a row of outputs and of places, and rows do not overlap.
        unsafe {
            filled_by(g.n * g.oh * row, row, |i, y, _| {
                T::run(isa, Forward::<F, T> {
                    g,
                    x: &x[(i / g.oh * g.h + i % g.oh * g.kernel) * g.w * g.c..],
                    y,
                    places: places.0.add(i * row),
                    view: prepared.view(),
                    function: PhantomData,
                });
            })
        }
    });
    (y, places)
}

fn check(g: &PoolGeometry, len: usize) {
    assert_eq!(len, g.n * g.h * g.w * g.c);
    assert!(g.kernel == g.stride && g.kernel <= MAX_KERNEL);
    assert!(g.oh * g.kernel <= g.h && g.ow * g.kernel <= g.w);
}

struct Places(*mut u8);

// SAFETY: rows of places are written by one thread each.
unsafe impl Sync for Places {}

struct Forward<'a, F, T: Stored> {
    g: &'a PoolGeometry,
    x: &'a [T],
    y: *mut T,
    places: *mut u8,
    view: View<'a, T::Real>,
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Forward<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let g = self.g;
        let row = g.w * g.c;
        assert!(self.x.len() >= (g.kernel - 1) * row + g.ow * g.kernel * g.c);
        let x = self.x.as_ptr();
        let mut c = 0;
        while c < g.c {
            let count = V::COUNT.min(g.c - c);
            // SAFETY: windows lie inside the rows that were checked; `count` channels are left.
            unsafe {
                let zero = V::splat(T::Real::default());
                let normal = Normal::<V>::load(&self.view, c);
                for ox in 0..g.ow {
                    let window = x.add(ox * g.kernel * g.c + c);
                    let (mut best, mut place) = (value::<F, T, V>(&normal, window, count), zero);
                    let (mut ky, mut kx) = (0, 1);
                    let (one, mut here) = (V::splat(T::Real::from_f64(1.0)), zero);
                    for _ in 1..g.kernel * g.kernel {
                        if kx == g.kernel {
                            (ky, kx) = (ky + 1, 0);
                        }
                        let candidate =
                            value::<F, T, V>(&normal, window.add(ky * row + kx * g.c), count);
                        here = here.add(one);
                        place = candidate.select_gt(best, here, place);
                        best = candidate.select_gt(best, candidate, best);
                        // A NaN wins over numbers, the last one over others: only numbers equal themselves.
                        let numbers = candidate.sub(candidate);
                        best = one.select_gt(numbers, best, candidate);
                        place = one.select_gt(numbers, place, here);
                        kx += 1;
                    }
                    let to = ox * g.c + c;
                    T::store_some(best, self.y.add(to), count);
                    if count == V::COUNT {
                        place.store_bytes(self.places.add(to));
                    } else {
                        let mut bytes = [0u8; super::simd::lanes::MAX_COUNT];
                        place.store_bytes(bytes.as_mut_ptr());
                        std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.places.add(to), count);
                    }
                }
            }
            c += V::COUNT;
        }
    }
}

/// The activation of the channels at `from`.
#[inline(always)]
unsafe fn value<F: Function, T: Stored, V: Lanes<Scalar = T::Real>>(
    normal: &Normal<V>,
    from: *const T,
    count: usize,
) -> V {
    // SAFETY: the caller guarantees `count` elements.
    unsafe {
        let x = T::load_some(from, count, V::splat(T::Real::default()));
        F::value(normal.scaled(normal.normalise(x)))
    }
}

/// What the backward pass reads.
pub(crate) struct Backward<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) dy: &'a [T],
    pub(crate) places: &'a [u8],
    pub(crate) coefficients: &'a Coefficients,
    pub(crate) activation: Activation,
    /// Whether mean and variance are functions of `x`.
    pub(crate) batch_statistics: bool,
    /// Whether the input's gradient is asked for; it is empty otherwise.
    pub(crate) input_wanted: bool,
}

/// The gradients of [`forward`].
pub(crate) fn backward<T: Stored>(isa: Isa, g: &PoolGeometry, b: &Backward<'_, T>) -> Gradients<T> {
    check(g, b.x.len());
    let row = g.ow * g.c;
    assert_eq!(b.dy.len(), g.n * g.oh * row);
    assert_eq!(b.places.len(), b.dy.len());
    let prepared = Prepared::new::<T::Real>(b.coefficients, g.c);
    let image = g.h * g.w * g.c;
    with_function!(b.activation, F => {
        let partials: Vec<Vec<T::Real>> = (0..g.n)
            .into_par_iter()
            .map(|i| {
                let mut sums = vec![T::Real::default(); 2 * g.c];
                T::run(isa, Sums::<F, T> {
                    g,
                    x: &b.x[i * image..(i + 1) * image],
                    dy: &b.dy[i * g.oh * row..(i + 1) * g.oh * row],
                    places: &b.places[i * g.oh * row..(i + 1) * g.oh * row],
                    sums: &mut sums,
                    view: prepared.view(),
                    function: PhantomData,
                });
                sums
            })
            .collect();
        let totals = fold(&partials, g.c);
        let input = if b.input_wanted {
            let rows = g.n * g.h * g.w;
            let means = Means::new::<T::Real>(&totals, rows, g.c, b.batch_statistics);
            // SAFETY: the kernel writes one gradient for each input of the image.
            unsafe {
                filled_by(b.x.len(), image, |i, dx, _| {
                    T::run(isa, InputGradient::<F, T> {
                        g,
                        x: &b.x[i * image..(i + 1) * image],
                        dy: &b.dy[i * g.oh * row..(i + 1) * g.oh * row],
                        places: &b.places[i * g.oh * row..(i + 1) * g.oh * row],
                        dx,
                        view: prepared.view(),
                        means: means.view(),
                        function: PhantomData,
                    });
                })
            }
        } else {
            Vec::new()
        };
        let (shift, scale) = totals.split_at(g.c);
        Gradients {
            input,
            scale: scale.iter().map(|&x| T::Real::from_f64(x)).collect(),
            shift: shift.iter().map(|&x| T::Real::from_f64(x)).collect(),
        }
    })
}

/// Sums of dz and of dz · normalised x over the maxima of an image.
struct Sums<'a, F, T: Stored> {
    g: &'a PoolGeometry,
    x: &'a [T],
    dy: &'a [T],
    places: &'a [u8],
    sums: &'a mut [T::Real],
    view: View<'a, T::Real>,
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> Kernel<T::Real> for Sums<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let g = self.g;
        for oy in 0..g.oh {
            let mut c = 0;
            while c < g.c {
                let count = V::COUNT.min(g.c - c);
                // SAFETY: windows lie inside the image; `count` channels are left.
                unsafe {
                    let zero = V::splat(T::Real::default());
                    let normal = Normal::<V>::load(&self.view, c);
                    let (mut shift, mut scale) = (zero, zero);
                    for i in oy * g.ow..(oy + 1) * g.ow {
                        let window = Window::<T, V>::load(g, self.x, self.places, i, c, count);
                        let n = normal.normalise(window.maximum(g));
                        let dy = T::load_some(self.dy.as_ptr().add(i * g.c + c), count, zero);
                        let dz = dy.mul(F::slope(normal.scaled(n)));
                        shift = shift.add(dz);
                        scale = dz.mul_add(n, scale);
                    }
                    let (shifts, scales) = self.sums.split_at_mut(g.c);
                    let (to_shift, to_scale) = (shifts[c..].as_mut_ptr(), scales[c..].as_mut_ptr());
                    Stored::store_some(
                        shift.add(Stored::load_some(to_shift, count, zero)),
                        to_shift,
                        count,
                    );
                    Stored::store_some(
                        scale.add(Stored::load_some(to_scale, count, zero)),
                        to_scale,
                        count,
                    );
                }
                c += V::COUNT;
            }
        }
    }
}

/// One window's channels.
struct Window<T, V> {
    x: *const T,
    place: V,
    row: usize,
    count: usize,
}

impl<T: Stored, V: Lanes<Scalar = T::Real>> Window<T, V> {
    /// Window `i` of an image.
    ///
    /// # Safety
    /// `count` channels from `c` on exist, and the processor has V's features.
    #[inline(always)]
    unsafe fn load(
        g: &PoolGeometry,
        x: &[T],
        places: &[u8],
        i: usize,
        c: usize,
        count: usize,
    ) -> Self {
        let (oy, ox) = (i / g.ow, i % g.ow);
        // SAFETY: the window lies inside the image.
        unsafe {
            Self {
                x: x.as_ptr().add((oy * g.w + ox) * g.kernel * g.c + c),
                place: load_places(places.as_ptr().add(i * g.c + c), count),
                row: g.w * g.c,
                count,
            }
        }
    }

    /// The input that the output came from.
    #[inline(always)]
    unsafe fn maximum(&self, g: &PoolGeometry) -> V {
        // SAFETY: all positions lie inside the window.
        unsafe {
            let zero = V::splat(V::Scalar::default());
            let one = V::splat(V::Scalar::from_f64(1.0));
            // Places count upward: a place beyond j − ½ is j or later.
            let mut before = V::splat(V::Scalar::from_f64(-0.5));
            let mut x = zero;
            for ky in 0..g.kernel {
                for kx in 0..g.kernel {
                    let candidate =
                        T::load_some(self.x.add(ky * self.row + kx * g.c), self.count, zero);
                    x = self.place.select_gt(before, candidate, x);
                    before = before.add(one);
                }
            }
            x
        }
    }
}

struct InputGradient<'a, F, T: Stored> {
    g: &'a PoolGeometry,
    x: &'a [T],
    dy: &'a [T],
    places: &'a [u8],
    dx: *mut T,
    view: View<'a, T::Real>,
    means: (&'a [T::Real], &'a [T::Real]),
    function: PhantomData<F>,
}

impl<F: Function, T: Stored> InputGradient<'_, F, T> {
    /// A row of windows.
    #[inline(always)]
    unsafe fn windows<V: Lanes<Scalar = T::Real>>(&self, oy: usize, c: usize, count: usize) {
        let g = self.g;
        // SAFETY: windows lie inside the image; `count` channels are left.
        unsafe {
            let zero = V::splat(T::Real::default());
            let one = V::splat(T::Real::from_f64(1.0));
            let normal = Normal::<V>::load(&self.view, c);
            let back = Back::load(&normal, self.means, c);
            for ox in 0..g.ow {
                let i = oy * g.ow + ox;
                let window = Window::<T, V>::load(g, self.x, self.places, i, c, count);
                let n = normal.normalise(window.maximum(g));
                let dy = T::load_some(self.dy.as_ptr().add(i * g.c + c), count, zero);
                let dz = dy.mul(F::slope(normal.scaled(n)));
                let start = (oy * g.w + ox) * g.kernel * g.c + c;
                let mut here = zero;
                for ky in 0..g.kernel {
                    for kx in 0..g.kernel {
                        let at = start + (ky * g.w + kx) * g.c;
                        let n =
                            normal.normalise(T::load_some(self.x.as_ptr().add(at), count, zero));
                        let dx = back.gradient(at_place(window.place, here, dz), n);
                        T::store_some(dx, self.dx.add(at), count);
                        here = here.add(one);
                    }
                }
            }
        }
    }

    /// The positions of a row that no window reaches.
    #[inline(always)]
    unsafe fn outside<V: Lanes<Scalar = T::Real>>(
        &self,
        y: usize,
        first: usize,
        c: usize,
        count: usize,
    ) {
        let g = self.g;
        // SAFETY: the positions lie inside the image; `count` channels are left.
        unsafe {
            let zero = V::splat(T::Real::default());
            let normal = Normal::<V>::load(&self.view, c);
            let back = Back::load(&normal, self.means, c);
            for x in first..g.w {
                let at = (y * g.w + x) * g.c + c;
                let n = normal.normalise(T::load_some(self.x.as_ptr().add(at), count, zero));
                T::store_some(back.gradient(zero, n), self.dx.add(at), count);
            }
        }
    }
}

impl<F: Function, T: Stored> Kernel<T::Real> for InputGradient<'_, F, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T::Real>, const ROWS: usize, const COLS: usize>(self) {
        let g = self.g;
        for oy in 0..g.oh {
            let mut c = 0;
            while c < g.c {
                // SAFETY: the caller checked the features.
                unsafe { self.windows::<V>(oy, c, V::COUNT.min(g.c - c)) };
                c += V::COUNT;
            }
        }
        for y in 0..g.h {
            let first = if y < g.oh * g.kernel {
                g.ow * g.kernel
            } else {
                0
            };
            if first == g.w {
                continue;
            }
            let mut c = 0;
            while c < g.c {
                // SAFETY: the caller checked the features.
                unsafe { self.outside::<V>(y, first, c, V::COUNT.min(g.c - c)) };
                c += V::COUNT;
            }
        }
    }
}
