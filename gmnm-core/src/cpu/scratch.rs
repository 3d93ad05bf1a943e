//! Buffers that a thread keeps between calls.

use std::cell::Cell;

use super::lanes::Real;

/// One cache line, so that vectors of any width are aligned at a buffer's start.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

const ZERO: Line = Line { _bytes: [0; 64] };

/// An aligned buffer of floats.
pub(super) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// `len` elements, all zero.
    pub(super) fn zeros<T: Real>(len: usize) -> Self {
        Self {
            lines: vec![ZERO; (len * size_of::<T>()).div_ceil(64)],
        }
    }

    /// The first `len` elements.
    ///
    /// # Panics
    /// When the buffer is shorter.
    pub(super) fn slice<T: Real>(&self, len: usize) -> &[T] {
        assert!(len * size_of::<T>() <= self.lines.len() * 64);
        // SAFETY: the lines are initialised, long enough and aligned, and every bit pattern is a float.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    /// The first `len` elements.
    ///
    /// # Panics
    /// When the buffer is shorter.
    pub(super) fn slice_mut<T: Real>(&mut self, len: usize) -> &mut [T] {
        assert!(len * size_of::<T>() <= self.lines.len() * 64);
        // SAFETY: as in `slice`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}

thread_local! {
    static BUFFER: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with this thread's buffer of `len` elements. They hold whatever the last use left.
pub(super) fn with_scratch<T: Real, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    // Taken out while in use: a nested call gets a buffer of its own.
    let mut buffer = Aligned {
        lines: BUFFER.take(),
    };
    let lines = (len * size_of::<T>()).div_ceil(64);
    if buffer.lines.len() < lines {
        buffer.lines.resize(lines, ZERO);
    }
    let result = f(buffer.slice_mut(len));
    BUFFER.set(buffer.lines);
    result
}
