//! The threads that compute.

/// Runs `f` on one of the threads that compute, while the calling thread waits.
///
/// Every op of [`crate::ops`] shares its work out to these threads. From another thread each op is handed over on its
/// own, which costs more than a small op itself; within `f` they start at once.
pub fn on_worker<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_where_ops_compute_also_when_nested() {
        assert!(rayon::current_thread_index().is_none());
        let threads = on_worker(|| {
            [
                rayon::current_thread_index(),
                on_worker(rayon::current_thread_index),
            ]
        });
        assert!(threads[0].is_some() && threads[0] == threads[1]);
    }
}
