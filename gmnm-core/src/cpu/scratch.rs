//! Buffers that a thread keeps between calls.

use std::cell::RefCell;

use half::bf16;

/// A type for which any bytes are a value.
///
/// # Safety
/// Every bit pattern is valid, and the alignment is at most that of a cache line.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: every bit pattern is a float.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}
// SAFETY: as above.
unsafe impl Plain for bf16 {}
// SAFETY: as above, twice.
unsafe impl Plain for [bf16; 2] {}

/// One cache line, so that vectors of any width are aligned at a buffer's start.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

const ZERO: Line = Line { _bytes: [0; 64] };

/// An aligned buffer.
pub(crate) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// `len` elements, all zero.
    pub(crate) fn zeros<T: Plain>(len: usize) -> Self {
        Self {
            lines: vec![ZERO; (len * size_of::<T>()).div_ceil(64)],
        }
    }

    /// The first `len` elements.
    ///
    /// # Panics
    /// When the buffer is shorter.
    pub(crate) fn slice<T: Plain>(&self, len: usize) -> &[T] {
        assert!(len * size_of::<T>() <= self.lines.len() * 64);
        // SAFETY: the lines are initialised, long enough and aligned, and every bit pattern is valid.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    /// The first `len` elements.
    ///
    /// # Panics
    /// When the buffer is shorter.
    pub(crate) fn slice_mut<T: Plain>(&mut self, len: usize) -> &mut [T] {
        assert!(len * size_of::<T>() <= self.lines.len() * 64);
        // SAFETY: as in `slice`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}

thread_local! {
    /// Buffers that are not in use, the one that was given back last on top.
    static BUFFERS: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with a buffer of `len` elements of this thread's. They hold whatever the last use left. Nested calls get
/// buffers of their own, the same ones each time.
pub(crate) fn with_scratch<T: Plain, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let lines = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    let mut buffer = Aligned { lines };
    let lines = (len * size_of::<T>()).div_ceil(64);
    if buffer.lines.len() < lines {
        buffer.lines.resize(lines, ZERO);
    }
    let result = f(buffer.slice_mut(len));
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer.lines));
    result
}

/// [`with_scratch`] for two buffers.
pub(crate) fn with_two_scratches<A: Plain, B: Plain, R>(
    (first, second): (usize, usize),
    f: impl FnOnce(&mut [A], &mut [B]) -> R,
) -> R {
    let lines = (first * size_of::<A>()).div_ceil(64);
    let bytes = lines * 64 + second * size_of::<B>();
    with_scratch(bytes.div_ceil(size_of::<f64>()), |all: &mut [f64]| {
        let (a, b) = all.split_at_mut(lines * 64 / size_of::<f64>());
        // SAFETY: both halves start at a cache line and hold as many bytes as their elements take, each of which may
        // be anything.
        unsafe {
            f(
                std::slice::from_raw_parts_mut(a.as_mut_ptr().cast(), first),
                std::slice::from_raw_parts_mut(b.as_mut_ptr().cast(), second),
            )
        }
    })
}
