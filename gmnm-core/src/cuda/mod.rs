//! Kernels for NVIDIA GPUs, and the ops that launch them.
//!
//! The kernels' sources are compiled for the device at hand by NVRTC when a process first uses it, and kept for as long
//! as it runs: a build needs no more of CUDA than candle's own does, one binary fits every device, and the compiler is
//! a library that candle links anyway. A kernel includes no header and uses no library.
//!
//! An op here knows tensors and [`KernelDevice`], which makes buffers there and launches kernels. Under test
//! there is a second device: the same kernels, compiled for the processor, with fibers for threads and guarded pages
//! around every array. All of this code thus runs in the tests of a machine without a GPU but for the few lines of
//! `driver.rs` and those where `products.cuh` asks for tensor cores and asynchronous copies, in whose place plain loops
//! stand there.
//!
//! Convolutions are cuDNN's, under the feature `cudnn`, and products of candle's without it.
//!
//! Activations lie in f32 or bf16; parameters, statistics and all sums are f32, and so are products
//! but those of mixtures, whose factors are split into two numbers of TF32. Sums over a batch are made in
//! shares whose order is fixed, so that results repeat from run to run.

pub(crate) mod batch_norm;
#[cfg(feature = "cudnn")]
pub(crate) mod convolution;
#[cfg(feature = "cudnn")]
mod cudnn;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(all(test, unix))]
pub(crate) mod host;
mod launch;
pub(crate) mod lstm;
pub(crate) mod max_pool2d;
pub(crate) mod mixture;
pub(crate) mod optimizer;
pub(crate) mod sum;
#[cfg(all(test, any(unix, feature = "cuda")))]
mod tests;

#[cfg(feature = "cuda")]
pub(crate) use driver::multiplies_bf16;
pub(crate) use launch::{Buffer, KernelDevice};

/// Whether the device multiplies in bf16; there is none in this build.
#[cfg(not(feature = "cuda"))]
pub(crate) fn multiplies_bf16(_: &candle_core::CudaDevice) -> bool {
    false
}

/// Lets an NVIDIA GPU keep memory that was freed, for the process to take again; nothing on other devices. By default
/// all of it goes back whenever the host waits for the device, and the next step asks for it anew.
///
/// # Errors
/// When the driver refuses.
pub fn keep_freed_device_memory(device: &candle_core::Device) -> candle_core::Result<()> {
    match device {
        #[cfg(feature = "cuda")]
        candle_core::Device::Cuda(device) => driver::keep_freed_memory(device),
        _ => Ok(()),
    }
}

/// All kernels, one translation unit.
#[cfg(any(feature = "cuda", all(test, unix)))]
const SOURCE: &str = concat!(
    include_str!("kernels/common.cuh"),
    include_str!("kernels/products.cuh"),
    include_str!("kernels/mixture.cu"),
    include_str!("kernels/mixture_gradient.cu"),
    include_str!("kernels/batch_norm.cu"),
    include_str!("kernels/max_pool2d.cu"),
    include_str!("kernels/lstm.cu"),
    include_str!("kernels/optimizer.cu"),
    include_str!("kernels/sum.cu"),
);

/// Every kernel that a host may launch.
#[cfg(test)]
const KERNELS: &[&str] = &[
    "mixture_prepare",
    "mixture_forward_f32_16",
    "mixture_forward_f32_64",
    "mixture_forward_f32_128",
    "mixture_forward_bf16_16",
    "mixture_forward_bf16_64",
    "mixture_forward_bf16_128",
    "mixture_input_f32_16",
    "mixture_input_f32_64",
    "mixture_input_f32_128",
    "mixture_input_bf16_16",
    "mixture_input_bf16_64",
    "mixture_input_bf16_128",
    "mixture_parameters_f32",
    "mixture_parameters_bf16",
    "mixture_total",
    "mixture_gradients",
    "batch_norm_moments_f32",
    "batch_norm_moments_bf16",
    "batch_norm_statistics_f32",
    "batch_norm_statistics_bf16",
    "batch_norm_running",
    "batch_norm_forward_f32",
    "batch_norm_forward_bf16",
    "batch_norm_pool_forward_f32",
    "batch_norm_pool_forward_bf16",
    "batch_norm_sums_f32",
    "batch_norm_sums_bf16",
    "batch_norm_total",
    "batch_norm_input_f32",
    "batch_norm_input_bf16",
    "max_pool2d_forward_f32",
    "max_pool2d_forward_bf16",
    "max_pool2d_input_f32",
    "max_pool2d_input_bf16",
    "lstm_forward",
    "lstm_backward",
    "optimizer_sgd",
    "optimizer_adamw",
    "optimizer_average",
    "optimizer_squares",
    "optimizer_clip",
    "sum_f32",
    "sum_bf16",
];
