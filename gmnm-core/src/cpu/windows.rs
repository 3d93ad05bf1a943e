//! The windows of a pooling, and the places of their maxima.

use super::simd::lanes::{Lanes, MAX_COUNT, Real};

/// Windows up to this side have places that fit a byte.
pub(crate) const MAX_KERNEL: usize = 16;

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

/// Whether windows share no input and their places fit a byte.
pub(crate) fn are_disjoint(g: &PoolGeometry) -> bool {
    g.kernel == g.stride && g.kernel <= MAX_KERNEL
}

#[inline(always)]
pub(super) unsafe fn load_places<V: Lanes>(from: *const u8, count: usize) -> V {
    // SAFETY: the caller guarantees `count` bytes.
    unsafe {
        if count == V::COUNT {
            return V::load_bytes(from);
        }
        let mut bytes = [0u8; MAX_COUNT];
        std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count);
        V::load_bytes(bytes.as_ptr())
    }
}

/// `then` where `place` is `here`, else zero.
#[inline(always)]
pub(super) unsafe fn at_place<V: Lanes>(place: V, here: V, then: V) -> V {
    // SAFETY: the caller checked the processor's features.
    unsafe {
        let d = place.sub(here);
        let half = V::splat(V::Scalar::from_f64(0.5));
        half.select_gt(d.mul(d), then, V::splat(V::Scalar::default()))
    }
}
