//! Registers of AVX2 and AVX-512.

use std::arch::x86_64::*;

use half::bf16;

use super::{Lanes, exp_f32, normal_f32};

/// Eight f32 in an AVX register.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

/// Sixteen f32 in an AVX-512 register.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Sixteen f32 in an AVX-512 register of a processor that multiplies in bf16.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(__m512);

/// The methods that are one instruction in each register width.
macro_rules! one_instruction {
    ($count:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $fmadd:ident) => {
        type Scalar = f32;
        const COUNT: usize = $count;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller checked the processor's features.
            Self(unsafe { $splat(x) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller checked the features and guarantees readable elements.
            Self(unsafe { $load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: a value exists only where the features do; the caller guarantees writable elements.
            unsafe { $store(to, self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { $add(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { $sub(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { $mul(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { $div(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { $fmadd(self.0, factor.0, term.0) })
        }
        #[inline(always)]
        fn exp(self) -> Self {
            exp_f32(self)
        }
        #[inline(always)]
        fn normal(self) -> (Self, Self) {
            normal_f32(self)
        }
    };
}

impl Lanes for Avx2 {
    one_instruction!(
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_fmadd_ps
    );

    #[inline(always)]
    fn select_gt(self, other: Self, then: Self, otherwise: Self) -> Self {
        // SAFETY: a value exists only where the processor has the features.
        unsafe {
            let mask = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0);
            Self(_mm256_blendv_ps(otherwise.0, then.0, mask))
        }
    }
    #[inline(always)]
    fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: a value exists only where the processor has the features.
        Self(unsafe { _mm256_round_ps::<NEAREST>(self.0) })
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // SAFETY: a value exists only where the processor has the features.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: the caller checked the features and guarantees 8 readable bytes.
        unsafe {
            let bytes = _mm_loadl_epi64(from.cast());
            Self(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: a value exists only where the features do; the caller guarantees 8 writable bytes.
        unsafe {
            let whole = _mm256_cvtps_epi32(self.0);
            let (low, high) = (
                _mm256_castsi256_si128(whole),
                _mm256_extracti128_si256::<1>(whole),
            );
            let words = _mm_packs_epi32(low, high);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: the caller checked the features and guarantees 8 readable elements.
        unsafe {
            let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves)))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        // SAFETY: a value exists only where the features do; the caller guarantees 8 writable elements.
        unsafe {
            let high = _mm256_srli_epi32::<16>(_mm256_castps_si256(self.round_bf16().0));
            let words = _mm256_packus_epi32(high, high);
            let words = _mm256_permute4x64_epi64::<0b1000>(words);
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(words));
        }
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        // SAFETY: a value exists only where the processor has the features.
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let high = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            let rounded = _mm256_and_si256(_mm256_add_epi32(bits, bias), high);
            // A NaN must not round to a number: made quiet, it keeps its upper half.
            let quiet = _mm256_and_si256(_mm256_or_si256(bits, _mm256_set1_epi32(1 << 22)), high);
            let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0);
            Self(_mm256_blendv_ps(
                _mm256_castsi256_ps(rounded),
                _mm256_castsi256_ps(quiet),
                nan,
            ))
        }
    }
    #[inline(always)]
    unsafe fn store_halves(self, to: *mut [bf16; 2], second: bool) {
        // SAFETY: a value exists only where the features do; the caller guarantees 8 writable pairs.
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let pairs = if second {
                _mm256_or_si256(bits, _mm256_loadu_si256(to.cast()))
            } else {
                _mm256_srli_epi32::<16>(bits)
            };
            _mm256_storeu_si256(to.cast(), pairs);
        }
    }
    type Pairs = [Self; 2];
    #[inline(always)]
    unsafe fn load_pairs(from: *const [bf16; 2]) -> [Self; 2] {
        // SAFETY: the caller checked the features and guarantees 8 readable pairs.
        unsafe { halves_256(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn splat_pair(from: *const bf16) -> [Self; 2] {
        // SAFETY: the caller checked the features and guarantees two readable elements.
        unsafe { halves_256(_mm256_set1_epi32(from.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    fn dot(self, a: [Self; 2], b: [Self; 2]) -> Self {
        a[0].mul_add(b[0], a[1].mul_add(b[1], self))
    }
}

/// The first and the second elements of pairs, widened.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn halves_256(pairs: __m256i) -> [Avx2; 2] {
    // SAFETY: the caller checked the features.
    unsafe {
        let high = _mm256_set1_epi32(0xffff_0000_u32 as i32);
        [
            Avx2(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs))),
            Avx2(_mm256_castsi256_ps(_mm256_and_si256(pairs, high))),
        ]
    }
}

/// The methods that AVX-512 has with and without products in bf16.
macro_rules! avx512 {
    () => {
        one_instruction!(
            16,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_div_ps,
            _mm512_fmadd_ps
        );

        #[inline(always)]
        fn select_gt(self, other: Self, then: Self, otherwise: Self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            unsafe {
                let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0);
                Self(_mm512_mask_blend_ps(mask, otherwise.0, then.0))
            }
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            Self(unsafe { _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(self.0) })
        }
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            // SAFETY: a value exists only where the processor has the features.
            unsafe {
                let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
            }
        }
        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> Self {
            // SAFETY: the caller checked the features and guarantees 16 readable bytes.
            unsafe {
                let bytes = _mm_loadu_si128(from.cast());
                Self(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)))
            }
        }
        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8) {
            // SAFETY: a value exists only where the features do; the caller guarantees 16 writable bytes.
            unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0))) }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const bf16) -> Self {
            // SAFETY: the caller checked the features and guarantees 16 readable elements.
            unsafe {
                let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves)))
            }
        }
        #[inline(always)]
        unsafe fn store_halves(self, to: *mut [bf16; 2], second: bool) {
            // SAFETY: a value exists only where the features do; the caller guarantees 16 writable pairs.
            unsafe {
                let bits = _mm512_castps_si512(self.0);
                let pairs = if second {
                    _mm512_or_si512(bits, _mm512_loadu_si512(to.cast()))
                } else {
                    _mm512_srli_epi32::<16>(bits)
                };
                _mm512_storeu_si512(to.cast(), pairs);
            }
        }
    };
}

impl Lanes for Avx512 {
    avx512!();

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        // SAFETY: a value exists only where the features do; the caller guarantees 16 writable elements.
        unsafe {
            let high = _mm512_srli_epi32::<16>(_mm512_castps_si512(self.round_bf16().0));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(high));
        }
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        // SAFETY: a value exists only where the processor has the features.
        unsafe {
            let bits = _mm512_castps_si512(self.0);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            let rounded = _mm512_and_si512(_mm512_add_epi32(bits, bias), high);
            // A NaN must not round to a number: made quiet, it keeps its upper half.
            let quiet = _mm512_and_si512(_mm512_or_si512(bits, _mm512_set1_epi32(1 << 22)), high);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            Self(_mm512_castsi512_ps(_mm512_mask_blend_epi32(
                nan, rounded, quiet,
            )))
        }
    }
    type Pairs = [Self; 2];
    #[inline(always)]
    unsafe fn load_pairs(from: *const [bf16; 2]) -> [Self; 2] {
        // SAFETY: the caller checked the features and guarantees 16 readable pairs.
        unsafe { halves_512(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn splat_pair(from: *const bf16) -> [Self; 2] {
        // SAFETY: the caller checked the features and guarantees two readable elements.
        unsafe { halves_512(_mm512_set1_epi32(from.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    fn dot(self, a: [Self; 2], b: [Self; 2]) -> Self {
        a[0].mul_add(b[0], a[1].mul_add(b[1], self))
    }
}

/// The first and the second elements of pairs, widened.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn halves_512(pairs: __m512i) -> [Avx512; 2] {
    // SAFETY: the caller checked the features.
    unsafe {
        let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
        [
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs))),
            Avx512(_mm512_castsi512_ps(_mm512_and_si512(pairs, high))),
        ]
    }
}

impl Lanes for Avx512Bf16 {
    avx512!();

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        // SAFETY: a value exists only where the features do; the caller guarantees 16 writable elements.
        unsafe {
            to.cast::<__m256bh>()
                .write_unaligned(_mm512_cvtneps_pbh(self.0))
        }
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        // SAFETY: a value exists only where the processor has the features; both types are 32 bytes of bits.
        unsafe {
            let halves: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(self.0));
            let bits = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves));
            Self(_mm512_castsi512_ps(bits))
        }
    }
    type Pairs = __m512bh;
    #[inline(always)]
    unsafe fn load_pairs(from: *const [bf16; 2]) -> __m512bh {
        // SAFETY: the caller checked the features and guarantees 16 readable pairs.
        unsafe { from.cast::<__m512bh>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn splat_pair(from: *const bf16) -> __m512bh {
        // SAFETY: the caller checked the features and guarantees two readable elements; both types are 64 bytes of
        // bits.
        unsafe { std::mem::transmute(_mm512_set1_epi32(from.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    fn dot(self, a: __m512bh, b: __m512bh) -> Self {
        // SAFETY: a value exists only where the processor has the features.
        Self(unsafe { _mm512_dpbf16_ps(self.0, a, b) })
    }
}
