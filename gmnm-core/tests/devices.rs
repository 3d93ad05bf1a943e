//! Every op on every device of this machine, against the CPU in f64.
//!
//! A feature for a device that the machine lacks is reported, and an error where `ZOO_REQUIRE_DEVICES` is set.

use candle_core::{DType, Device};

#[path = "cases/mod.rs"]
mod cases;

/// The CPU, and the devices that this build can use and this machine has.
fn devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut devices = vec![Device::Cpu];
    #[cfg(feature = "cuda")]
    devices.extend(opened("cuda", || Device::new_cuda(0)));
    #[cfg(feature = "metal")]
    devices.extend(opened("metal", || Device::new_metal(0)));
    devices
}

#[cfg(any(feature = "cuda", feature = "metal"))]
#[allow(clippy::print_stderr)]
fn opened(name: &str, open: fn() -> candle_core::Result<Device>) -> Option<Device> {
    // Where there is no such device, candle may panic.
    let device = std::panic::catch_unwind(open)
        .unwrap_or_else(|_| Err(candle_core::Error::Msg("it panics".into())));
    if let Err(error) = &device {
        assert!(
            std::env::var_os("ZOO_REQUIRE_DEVICES").is_none(),
            "no {name} device: {error}"
        );
        eprintln!("SKIPPED: the ops on {name}, as no device opens: {error}");
    }
    device.ok()
}

fn compare(dtype: DType, tolerance: f64) {
    for device in devices() {
        cases::assert_all_close(dtype, tolerance, |case| case.evaluate(dtype, &device));
    }
}

#[test]
fn every_device_agrees_in_f32() {
    compare(DType::F32, 1e-4);
}

#[test]
fn every_device_agrees_in_bf16() {
    compare(DType::BF16, 1e-2);
}
