//! Which instruction set a kernel is compiled for.

use super::lanes::{Lanes, Real};

/// An instruction set for which kernels are instantiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Arrays of four elements; the compiler picks the target's baseline instructions.
    Portable,
    /// 256-bit registers with fused multiply-add.
    Avx2,
    /// 512-bit registers.
    Avx512,
    /// 512-bit registers with products of pairs in bf16.
    Avx512Bf16,
    /// The same, and products of tiles in bf16.
    Amx,
}

/// Work on registers of type `V`, with register tiles of `ROWS` × `COLS` registers.
///
/// Implementations are `#[inline(always)]`, so that they are compiled with its features.
pub(crate) trait Kernel<T: Real> {
    /// Does the work.
    ///
    /// # Safety
    /// The processor has the features of `V`.
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(self);
}

/// On the terminal, past the test harness that hides what a passing test prints.
#[cfg(test)]
fn say_which_are_left_out(isas: &[Isa]) {
    use std::io::Write;
    static SAID: std::sync::Once = std::sync::Once::new();
    if !isas.is_empty() {
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED the kernels of {isas:?}, which this processor cannot run"
            );
        });
    }
}

/// The instruction set that kernels take on this processor: `amx`, `avx512-bf16`, `avx512`, `avx2` or `portable`.
pub fn instruction_set() -> &'static str {
    match Isa::best() {
        Isa::Portable => "portable",
        Isa::Avx2 => "avx2",
        Isa::Avx512 => "avx512",
        Isa::Avx512Bf16 => "avx512-bf16",
        Isa::Amx => "amx",
    }
}

impl Isa {
    /// The fastest instruction set of this processor.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
                #[cfg(target_os = "linux")]
                if super::tile_unit::available() {
                    return Self::Amx;
                }
                return Self::Avx512Bf16;
            }
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// The instruction sets that this processor can run, for tests; tiles that it lacks are emulated.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let all = [
            Self::Portable,
            Self::Avx2,
            Self::Avx512,
            Self::Avx512Bf16,
            Self::Amx,
        ];
        let best = all.iter().position(|&isa| isa == Self::best());
        let mut available = all[..=best.expect("a isa")].to_vec();
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if available.last() == Some(&Self::Avx512Bf16) {
            super::tile_unit::emulator::install();
            available.push(Self::Amx);
        }
        say_which_are_left_out(&all[available.len()..]);
        available
    }

    /// Whether the processor multiplies in bf16.
    pub(crate) fn multiplies_bf16(self) -> bool {
        matches!(self, Self::Avx512Bf16 | Self::Amx)
    }

    /// Rows of a tile of products in bf16.
    pub(crate) fn bf16_rows(self) -> usize {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => super::tile_unit::ROWS,
            _ => 6,
        }
    }

    /// Floats in a register and registers side by side in a tile: what weights are packed for.
    pub(crate) fn shape<T: Real>(self) -> (usize, usize) {
        T::shape(self)
    }

    /// Runs `kernel` on this instruction set.
    #[inline]
    pub(crate) fn run<T: Real>(self, kernel: impl Kernel<T>) {
        // SAFETY: they come from `best` and `available`, which checked the features.
        unsafe { T::dispatch(self, kernel) }
    }

    /// Runs a kernel that multiplies, reads or writes in bf16 on this instruction set.
    #[inline]
    pub(crate) fn run_bf16<T: Real>(self, kernel: impl Kernel<T>) {
        // SAFETY: as in `run`.
        unsafe { T::dispatch_bf16(self, kernel) }
    }
}

// Sixteen architectural registers hold a 6 × 2 tile with its operands, thirty-two a 6 × 4 or 7 × 4 one.
pub(crate) const PORTABLE_COLS: usize = if cfg!(target_arch = "aarch64") { 4 } else { 2 };

/// # Safety
/// None: arrays need no feature.
pub(crate) unsafe fn portable<T: Real, K: Kernel<T>>(kernel: K) {
    // SAFETY: arrays need no feature.
    unsafe { kernel.run::<T::Portable, 6, PORTABLE_COLS>() }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn avx2<V: Lanes, K: Kernel<V::Scalar>>(kernel: K) {
    // SAFETY: the caller checked the features.
    unsafe { kernel.run::<V, 6, 2>() }
}

/// # Safety
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
pub(crate) unsafe fn avx512<V: Lanes, K: Kernel<V::Scalar>>(kernel: K) {
    // SAFETY: the caller checked the features.
    unsafe { kernel.run::<V, 7, 4>() }
}

/// # Safety
/// The processor has AVX-512F and AVX512-BF16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
pub(crate) unsafe fn avx512_bf16<V: Lanes, K: Kernel<V::Scalar>>(kernel: K) {
    // SAFETY: the caller checked the features.
    // One row less than in f32: a product of pairs takes no operand from memory, so that the factor needs a register.
    unsafe { kernel.run::<V, 6, 4>() }
}
