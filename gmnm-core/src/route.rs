//! Who computes: the processor's own kernels, or whoever a test asks for.

use candle_core::Tensor;

/// Whether the processor's own kernels compute what is done to `x`, if they take its type.
pub(crate) fn on_cpu(x: &Tensor) -> bool {
    #[cfg(test)]
    if forced::route() != forced::Route::Own {
        return false;
    }
    x.device().is_cpu()
}

/// Routes that tests take on the CPU in place of its own kernels.
#[cfg(test)]
pub(crate) mod forced {
    use std::cell::Cell;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Route {
        /// The processor's kernels.
        Own,
        /// candle's ops, as on a device without kernels.
        Composed,
        /// The CUDA kernels, compiled for the processor.
        Emulated,
    }

    thread_local! {
        static ROUTE: Cell<Route> = const { Cell::new(Route::Own) };
    }

    pub(crate) fn route() -> Route {
        ROUTE.get()
    }

    /// Runs `f` with the ops of this thread on `route`.
    pub(crate) fn along<R>(route: Route, f: impl FnOnce() -> R) -> R {
        struct Back(Route);
        impl Drop for Back {
            fn drop(&mut self) {
                ROUTE.set(self.0);
            }
        }
        let _back = Back(ROUTE.replace(route));
        f()
    }
}
