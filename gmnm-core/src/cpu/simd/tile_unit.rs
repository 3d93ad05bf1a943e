//! The tile unit of AMX: whether there is one, and its sizes.

#[cfg(test)]
pub(crate) mod emulator;

use std::sync::OnceLock;

/// Rows of a tile; also its columns of sums, and the pairs of a step.
pub(crate) const SIDE: usize = 16;
/// Tiles side by side in a block of sums, both ways.
pub(crate) const TILES: usize = 2;
/// Rows of a block of sums.
pub(crate) const ROWS: usize = TILES * SIDE;

/// Whether the processor has tiles with products in bf16, and the kernel lets this process use them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| processor_has_tiles() && permitted())
}

/// What CPUID and the enabled state components say (Intel's manual, volume 1, 18.3).
fn processor_has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const TILE_STATE: u64 = 0b11 << 17;

    /// # Safety
    /// The processor has XGETBV.
    #[target_feature(enable = "xsave")]
    unsafe fn enabled_state() -> u64 {
        // SAFETY: as the caller guarantees.
        unsafe { _xgetbv(0) }
    }

    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    let wanted = AMX_BF16 | AMX_TILE;
    // SAFETY: OSXSAVE says that there is XGETBV.
    features & wanted == wanted && unsafe { enabled_state() } & TILE_STATE == TILE_STATE
}

/// Asks the kernel for the tiles' state, which a process must before it uses them.
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: the call takes two numbers and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}
