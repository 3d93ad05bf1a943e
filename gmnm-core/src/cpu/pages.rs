//! Pages that the allocator keeps after a free.

use std::ffi::c_long;
use std::time::Duration;

/// `mi_option_purge_delay`, in milliseconds.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Lets mimalloc, where it is the process's allocator, keep freed pages for `time` before the system gets them back.
///
/// A training step frees and asks again for the same large buffers. Pages that went back in between are cleared by the
/// system when they return: without this, where steps take as long as mimalloc's own delay of a second, that is two
/// fifths of the time.
pub fn keep_freed_pages(time: Duration) {
    let milliseconds = c_long::try_from(time.as_millis()).unwrap_or(c_long::MAX);
    // SAFETY: options are atomic; any thread may set one at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
}
