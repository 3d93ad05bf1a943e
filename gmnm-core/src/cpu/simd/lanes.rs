//! Vectors of floats that live in registers.

use super::isa::{self, Isa, Kernel};
use super::stored::Stored;
use crate::cpu::scratch::Plain;
use half::bf16;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// A float that kernels compute with: f32 or f64.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Stored<Real = Self>
    + Plain
{
    /// Arrays for any processor.
    type Portable: Lanes<Scalar = Self>;

    /// Floats in a register of `isa`, and the registers side by side in its tiles.
    fn shape(isa: Isa) -> (usize, usize);
    /// Runs `kernel` on `isa`.
    ///
    /// # Safety
    /// The processor has the features of `isa`.
    unsafe fn dispatch(isa: Isa, kernel: impl Kernel<Self>);
    /// Runs a kernel that multiplies, reads or writes in bf16 on `isa`.
    ///
    /// # Safety
    /// The processor has the features of `isa`.
    unsafe fn dispatch_bf16(isa: Isa, kernel: impl Kernel<Self>) {
        // SAFETY: as the caller guarantees.
        unsafe { Self::dispatch(isa, kernel) }
    }
    /// The values as f32, if that is what they are.
    fn singles(values: &mut [Self]) -> Result<&mut [f32], &mut [Self]>;
    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// This number as f64.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
}

/// A register of [`Lanes::COUNT`] floats.
///
/// Values of the x86 types may only be made where the processor's features were checked ([`super::isa`]); hence
/// the constructors are unsafe and the arithmetic is not.
pub(crate) trait Lanes: Copy {
    /// The element.
    type Scalar: Real;
    /// Elements in a register.
    const COUNT: usize;

    /// `x` in every lane.
    ///
    /// # Safety
    /// The processor has the features of this type.
    unsafe fn splat(x: Self::Scalar) -> Self;

    /// The `COUNT` elements from `from` on, of any alignment.
    ///
    /// # Safety
    /// The processor has the features of this type, and the elements are readable.
    unsafe fn load(from: *const Self::Scalar) -> Self;

    /// Writes the `COUNT` elements from `to` on, of any alignment.
    ///
    /// # Safety
    /// The elements are writable.
    unsafe fn store(self, to: *mut Self::Scalar);

    /// self + other.
    fn add(self, other: Self) -> Self;
    /// self − other.
    fn sub(self, other: Self) -> Self;
    /// self · other.
    fn mul(self, other: Self) -> Self;
    /// self / other.
    fn div(self, other: Self) -> Self;
    /// self · factor + term, rounded once where the processor can.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `then` in the lanes where self > other, `otherwise` in the rest (also where either is NaN).
    fn select_gt(self, other: Self, then: Self, otherwise: Self) -> Self;
    /// The nearest whole numbers.
    fn round(self) -> Self;
    /// 2^self for whole numbers within the range of normal numbers.
    fn exp2_whole(self) -> Self;
    /// The `COUNT` bytes from `from` on, as floats.
    ///
    /// # Safety
    /// The processor has the features of this type, and the bytes are readable.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Writes whole numbers in 0..=255 as `COUNT` bytes from `to` on.
    ///
    /// # Safety
    /// The bytes are writable.
    unsafe fn store_bytes(self, to: *mut u8);
    /// The `COUNT` elements from `from` on, widened.
    ///
    /// # Safety
    /// The processor has the features of this type, and the elements are readable.
    unsafe fn load_bf16(from: *const bf16) -> Self;
    /// Writes the lanes, rounded to the nearest (ties to even), from `to` on.
    ///
    /// # Safety
    /// The elements are writable.
    unsafe fn store_bf16(self, to: *mut bf16);
    /// The lanes rounded as [`Lanes::store_bf16`] does.
    fn round_bf16(self) -> Self;
    /// Writes the lanes, which [`Lanes::round_bf16`] leaves as they are, as the first (and zero as the second) or, over
    /// what is there, as the second elements of `COUNT` pairs from `to` on.
    ///
    /// # Safety
    /// The pairs are writable, and initialised where `second`.
    unsafe fn store_halves(self, to: *mut [bf16; 2], second: bool);
    /// A register of pairs, as the processor's products take them.
    type Pairs: Copy;
    /// The `COUNT` pairs from `from` on.
    ///
    /// # Safety
    /// The processor has the features of this type, and the pairs are readable.
    unsafe fn load_pairs(from: *const [bf16; 2]) -> Self::Pairs;
    /// One pair in every lane; it may lie on any two bytes.
    ///
    /// # Safety
    /// The processor has the features of this type, and both elements are readable.
    unsafe fn splat_pair(from: *const bf16) -> Self::Pairs;
    /// self + a₀·b₀ + a₁·b₁, lane by lane.
    fn dot(self, a: Self::Pairs, b: Self::Pairs) -> Self;
    /// e^self; in f32 within 2 ulp, and never below e^-87 or above e^88.
    fn exp(self) -> Self;
    /// The normal distribution function and its density at self; in f32 within 1.5e-7.
    fn normal(self) -> (Self, Self);

    /// The first `count` elements from `from` on, `rest` in the other lanes.
    ///
    /// # Safety
    /// The processor has the features of this type, and `count` elements are readable.
    #[inline(always)]
    unsafe fn load_partial(from: *const Self::Scalar, count: usize, rest: Self) -> Self {
        let mut buffer = [Self::Scalar::default(); MAX_COUNT];
        // SAFETY: the buffer holds a register, and `count` elements are readable.
        unsafe {
            rest.store(buffer.as_mut_ptr());
            std::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), count.min(Self::COUNT));
            Self::load(buffer.as_ptr())
        }
    }

    /// Writes the first `count` lanes from `to` on.
    ///
    /// # Safety
    /// `count` elements are writable.
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut Self::Scalar, count: usize) {
        let mut buffer = [Self::Scalar::default(); MAX_COUNT];
        // SAFETY: the buffer holds a register, and `count` elements are writable.
        unsafe {
            self.store(buffer.as_mut_ptr());
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), to, count.min(Self::COUNT));
        }
    }
}

/// No register holds more elements.
pub(crate) const MAX_COUNT: usize = 16;

/// e^x for f32 registers: 2^n · e^r with |r| ≤ ln 2 / 2 and a polynomial of degree 6 (Cephes' expf).
#[inline(always)]
fn exp_f32<V: Lanes<Scalar = f32>>(x: V) -> V {
    // SAFETY: a register exists, so the processor has its features.
    let constant = |value: f32| unsafe { V::splat(value) };
    let (low, high) = (constant(-87.0), constant(88.0));
    // In this order a NaN passes through.
    let x = low.select_gt(x, low, x);
    let x = x.select_gt(high, high, x);
    let n = x.mul(constant(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(constant(-0.693_359_4), x);
    let r = n.mul_add(constant(2.121_944_4e-4), r);
    let mut p = constant(1.987_569_1e-4);
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p.mul_add(r, constant(c));
    }
    let one = constant(1.0);
    p.mul_add(r.mul(r), r.add(one)).mul(n.exp2_whole())
}

/// Φ and its density for f32 registers (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn normal_f32<V: Lanes<Scalar = f32>>(z: V) -> (V, V) {
    // SAFETY: a register exists, so the processor has its features.
    let constant = |value: f32| unsafe { V::splat(value) };
    let (zero, one) = (constant(0.0), constant(1.0));
    let magnitude = z.select_gt(zero, z, zero.sub(z));
    let x = magnitude.mul(constant(std::f32::consts::FRAC_1_SQRT_2));
    let t = one.div(x.mul_add(constant(0.327_591_1), one));
    let mut p = constant(1.061_405_4);
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = p.mul_add(t, constant(c));
    }
    let e = exp_f32(zero.sub(x.mul(x)));
    let tail = p.mul(t).mul(e).mul(constant(0.5));
    let cdf = z.select_gt(zero, one.sub(tail), tail);
    // 1 / √(2π)
    (cdf, e.mul(constant(0.398_942_3)))
}

/// An array that the compiler keeps in whatever vector registers the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T, const N: usize>([T; N]);

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
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.zip(other, |a, b| a + b)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.zip(other, |a, b| a - b)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.zip(other, |a, b| a * b)
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self.zip(other, |a, b| a / b)
            }
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

#[cfg(target_arch = "x86_64")]
mod x86;

impl Real for f32 {
    type Portable = Portable<f32, 4>;

    fn shape(isa: Isa) -> (usize, usize) {
        match isa {
            Isa::Portable => (4, isa::PORTABLE_COLS),
            Isa::Avx2 => (8, 2),
            Isa::Avx512 | Isa::Avx512Bf16 | Isa::Amx => (16, 4),
        }
    }

    unsafe fn dispatch(isa: Isa, kernel: impl Kernel<f32>) {
        // SAFETY: the caller checked the features.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            match isa {
                Isa::Portable => isa::portable(kernel),
                Isa::Avx2 => isa::avx2::<x86::Avx2, _>(kernel),
                // Nothing of f32 gains from products in bf16.
                Isa::Avx512 | Isa::Avx512Bf16 | Isa::Amx => isa::avx512::<x86::Avx512, _>(kernel),
            }
        }
        // SAFETY: arrays need no feature.
        #[cfg(not(target_arch = "x86_64"))]
        unsafe {
            let _ = isa;
            isa::portable(kernel);
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn dispatch_bf16(isa: Isa, kernel: impl Kernel<f32>) {
        // SAFETY: the caller checked the features.
        unsafe {
            if isa.multiplies_bf16() {
                isa::avx512_bf16::<x86::Avx512Bf16, _>(kernel);
            } else {
                Self::dispatch(isa, kernel);
            }
        }
    }

    fn singles(values: &mut [f32]) -> Result<&mut [f32], &mut [f32]> {
        Ok(values)
    }

    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    type Portable = Portable<f64, 4>;

    fn shape(_: Isa) -> (usize, usize) {
        (4, isa::PORTABLE_COLS)
    }

    // f64 is for checks: one instantiation serves every processor.
    unsafe fn dispatch(_: Isa, kernel: impl Kernel<f64>) {
        // SAFETY: arrays need no feature.
        unsafe { isa::portable(kernel) }
    }

    fn singles(values: &mut [f64]) -> Result<&mut [f32], &mut [f64]> {
        Err(values)
    }

    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
}
