//! Arrays as registers, for any processor.

use half::bf16;

use super::{Lanes, exp_f32, normal_f32};

/// An array that the compiler keeps in whatever vector registers the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T, const N: usize>([T; N]);

/// Methods of two registers that are one operator on each lane.
macro_rules! lanewise {
    ($($name:ident $operator:tt),*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            self.zip(other, |a, b| a $operator b)
        }
    )*};
}

macro_rules! portable_lanes {
    ($scalar:ty, $bits:ty, $bias:expr, $shift:expr, $exp:path, $normal:path) => {
        impl<const N: usize> Portable<$scalar, N> {
            #[inline(always)]
            fn zip(self, other: Self, f: impl Fn($scalar, $scalar) -> $scalar) -> Self {
                let mut out = self;
                for (out, &other) in out.0.iter_mut().zip(&other.0) {
                    *out = f(*out, other);
                }
                out
            }
        }

        impl<const N: usize> Lanes for Portable<$scalar, N> {
            type Scalar = $scalar;
            const COUNT: usize = N;

            #[inline(always)]
            unsafe fn splat(x: $scalar) -> Self {
                Self([x; N])
            }
            #[inline(always)]
            unsafe fn load(from: *const $scalar) -> Self {
                // SAFETY: the caller guarantees N readable elements.
                Self(unsafe { from.cast::<[$scalar; N]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $scalar) {
                // SAFETY: the caller guarantees N writable elements.
                unsafe { to.cast::<[$scalar; N]>().write_unaligned(self.0) }
            }
            lanewise!(add +, sub -, mul *, div /);
            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // Two roundings: the fused form is a slow library call where the target lacks it.
                self.mul(factor).add(term)
            }
            #[inline(always)]
            fn select_gt(self, other: Self, then: Self, otherwise: Self) -> Self {
                let mut out = otherwise;
                for i in 0..N {
                    if self.0[i] > other.0[i] {
                        out.0[i] = then.0[i];
                    }
                }
                out
            }
            #[inline(always)]
            fn round(self) -> Self {
                let mut out = self;
                for x in &mut out.0 {
                    *x = x.round_ties_even();
                }
                out
            }
            #[inline(always)]
            fn exp2_whole(self) -> Self {
                let mut out = self;
                for x in &mut out.0 {
                    *x = <$scalar>::from_bits((((*x as i32) + $bias) as $bits) << $shift);
                }
                out
            }
            #[inline(always)]
            unsafe fn load_bytes(from: *const u8) -> Self {
                // SAFETY: the caller guarantees N readable bytes.
                let bytes = unsafe { from.cast::<[u8; N]>().read_unaligned() };
                Self(bytes.map(<$scalar>::from))
            }
            #[inline(always)]
            unsafe fn store_bytes(self, to: *mut u8) {
                // SAFETY: the caller guarantees N writable bytes.
                unsafe {
                    to.cast::<[u8; N]>()
                        .write_unaligned(self.0.map(|x| x as u8))
                }
            }
            #[inline(always)]
            unsafe fn load_bf16(from: *const bf16) -> Self {
                // SAFETY: the caller guarantees N readable elements.
                let halves = unsafe { from.cast::<[bf16; N]>().read_unaligned() };
                Self(halves.map(<$scalar>::from))
            }
            #[inline(always)]
            unsafe fn store_bf16(self, to: *mut bf16) {
                let halves = self.0.map(|x| bf16::from_f32(x as f32));
                // SAFETY: the caller guarantees N writable elements.
                unsafe { to.cast::<[bf16; N]>().write_unaligned(halves) }
            }
            #[inline(always)]
            fn round_bf16(self) -> Self {
                Self(self.0.map(|x| bf16::from_f32(x as f32).into()))
            }
            #[inline(always)]
            unsafe fn store_halves(self, to: *mut [bf16; 2], second: bool) {
                for (i, x) in self.0.into_iter().enumerate() {
                    let half = bf16::from_f32(x as f32);
                    // SAFETY: the caller guarantees N writable pairs.
                    unsafe {
                        if second {
                            (*to.add(i))[1] = half;
                        } else {
                            to.add(i).write([half, bf16::ZERO]);
                        }
                    }
                }
            }
            type Pairs = [Self; 2];
            #[inline(always)]
            unsafe fn load_pairs(from: *const [bf16; 2]) -> [Self; 2] {
                // SAFETY: the caller guarantees N readable pairs.
                let pairs = unsafe { from.cast::<[[bf16; 2]; N]>().read_unaligned() };
                [0, 1].map(|half| Self(pairs.map(|pair| <$scalar>::from(pair[half]))))
            }
            #[inline(always)]
            unsafe fn splat_pair(from: *const bf16) -> [Self; 2] {
                // SAFETY: the caller guarantees two readable elements.
                let pair = unsafe { from.cast::<[bf16; 2]>().read_unaligned() };
                pair.map(|x| Self([<$scalar>::from(x); N]))
            }
            #[inline(always)]
            fn dot(self, a: [Self; 2], b: [Self; 2]) -> Self {
                a[0].mul_add(b[0], a[1].mul_add(b[1], self))
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn normal(self) -> (Self, Self) {
                $normal(self)
            }
        }
    };
}

portable_lanes!(f32, u32, 127, 23, exp_f32, normal_f32);
portable_lanes!(f64, u64, 1023, 52, exp_f64, normal_f64);

// Checks by finite differences need the full precision of f64; its speed does not matter.
fn exp_f64<const N: usize>(x: Portable<f64, N>) -> Portable<f64, N> {
    Portable(x.0.map(f64::exp))
}

fn normal_f64<const N: usize>(z: Portable<f64, N>) -> (Portable<f64, N>, Portable<f64, N>) {
    let cdf =
        z.0.map(|z| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2));
    let density =
        z.0.map(|z| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt());
    (Portable(cdf), Portable(density))
}
