//! Every route that an op can take, compared with the processor's kernels in f64.

use candle_core::{DType, Device, Result};

use crate::route::forced::{Route, along};

#[path = "../tests/cases/mod.rs"]
mod cases;

fn compare(route: Route, dtype: DType, tolerance: f64) {
    cases::assert_all_close(dtype, tolerance, |case| {
        along(route, || case.evaluate(dtype, &Device::Cpu))
    });
}

#[test]
fn ops_of_candle_give_what_kernels_give() {
    // As near as the processor's kernels know GELU.
    compare(Route::Composed, DType::F64, 1e-6);
    compare(Route::Composed, DType::F32, 1e-4);
}

#[cfg(unix)]
#[test]
fn cuda_kernels_give_what_the_processors_give() -> Result<()> {
    if !crate::cuda::host::has_compiler() {
        return Ok(());
    }
    compare(Route::Emulated, DType::F32, 1e-4);
    compare(Route::Emulated, DType::BF16, 1e-2);
    // Those of the optimizer have a test of their own.
    let unused = crate::cuda::host::unused()?;
    let unused: Vec<_> = unused
        .iter()
        .filter(|name| !name.starts_with("optimizer"))
        .collect();
    assert!(unused.is_empty(), "no case launches {unused:?}");
    Ok(())
}

#[test]
fn ops_of_candle_take_bf16() {
    compare(Route::Composed, DType::BF16, 1e-2);
}
