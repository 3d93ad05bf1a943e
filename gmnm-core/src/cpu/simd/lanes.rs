//! Vectors of floats that live in registers.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use half::bf16;

use super::isa::{self, Isa, Kernel};
use super::stored::Stored;
use crate::cpu::scratch::Plain;

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use portable::Portable;

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
