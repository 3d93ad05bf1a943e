//! A CUDA device: kernels compiled for it once, and launched on candle's stream.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::driver::result::{device::get_default_mem_pool, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::{CUdevice_attribute, CUmemPool_attribute};
use candle_core::cuda_backend::cudarc::driver::{
    DevicePtr, DevicePtrMut, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaStorageSlice, DeviceId};
use candle_core::{CudaDevice, CudaStorage, DType, Error, Result, Shape, Storage};

use super::SOURCE;
use super::launch::{Driver, Grid, Raw};

/// What candle calls the loaded kernels of a device.
const MODULE: &str = "gmnm-core";

/// The kernels of each device in use.
static DRIVERS: LazyLock<Mutex<HashMap<DeviceId, Arc<Cuda>>>> = LazyLock::new(Mutex::default);

struct Cuda {
    device: CudaDevice,
    ptx: String,
    processors: usize,
}

pub(super) fn driver(device: &CudaDevice) -> Result<Arc<dyn Driver>> {
    let mut drivers = DRIVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = drivers.get(&device.id()) {
        return Ok(found.clone());
    }
    let stream = device.cuda_stream();
    let context = stream.context();
    let capability = context.compute_capability().map_err(Error::wrap)?;
    let processors = context
        .attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        .map_err(Error::wrap)?;
    let new = Arc::new(Cuda {
        device: device.clone(),
        ptx: compiled(capability)?,
        processors: usize::try_from(processors).unwrap_or(1).max(1),
    });
    drivers.insert(device.id(), new.clone());
    Ok(new)
}

/// As [`super::keep_freed_device_memory`]. The pool is the process's own, and ends with it.
pub(super) fn keep_freed_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut threshold = u64::MAX;
    let attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the context's device has a pool, and this attribute is a u64.
    unsafe {
        let pool = get_default_mem_pool(context.cu_device()).map_err(Error::wrap)?;
        mem_pool::set_attribute(pool, attribute, (&raw mut threshold).cast()).map_err(Error::wrap)
    }
}

/// Whether the device has tensor cores for bf16; no where it does not say.
pub(crate) fn multiplies_bf16(device: &CudaDevice) -> bool {
    let stream = device.cuda_stream();
    let capability = stream.context().compute_capability();
    capability.is_ok_and(|(major, _)| major >= 8)
}

/// The kernels in PTX for a compute capability.
pub(super) fn compiled((major, minor): (i32, i32)) -> Result<String> {
    let options = CompileOptions {
        options: vec![format!("--gpu-architecture=compute_{major}{minor}")],
        name: Some("gmnm-core.cu".into()),
        ..Default::default()
    };
    match compile_ptx_with_opts(SOURCE, options) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(error) => candle_core::bail!(
            "the kernels do not compile for a device of compute capability {major}.{minor}: {error:?}; use CUDA libraries \
             that know it"
        ),
    }
}

/// Calls `$call` with `$slice`, the elements of a kind that kernels take.
macro_rules! with_slice {
    ($storage:expr, $slice:ident => $call:expr) => {
        match $storage {
            CudaStorageSlice::F32($slice) => $call,
            CudaStorageSlice::BF16($slice) => $call,
            CudaStorageSlice::U8($slice) => $call,
            CudaStorageSlice::I64($slice) => $call,
            _ => candle_core::bail!("no kernel takes these elements"),
        }
    };
}

pub(super) fn address_mut(storage: &mut CudaStorage) -> Result<u64> {
    let stream = storage.device().cuda_stream();
    Ok(with_slice!(&mut storage.slice, slice => slice.device_ptr_mut(&stream).0))
}

impl Driver for Cuda {
    fn storage(&self, shape: &Shape, dtype: DType) -> Result<Storage> {
        // SAFETY: a kernel fills it before anything reads it.
        unsafe { self.device.alloc_uninit(shape, dtype) }.map(Storage::Cuda)
    }

    fn address(&self, storage: &Storage) -> Result<u64> {
        let Storage::Cuda(storage) = storage else {
            candle_core::bail!("a kernel's operands must lie on its device; move them there");
        };
        if !storage.device().same_device(&self.device) {
            candle_core::bail!("a kernel's operands must lie on one device; move them there");
        }
        let stream = self.device.cuda_stream();
        Ok(with_slice!(&storage.slice, slice => slice.device_ptr(&stream).0))
    }

    fn address_mut(&self, storage: &mut Storage) -> Result<u64> {
        match storage {
            Storage::Cuda(storage) => address_mut(storage),
            _ => candle_core::bail!("a kernel's results must lie on its device"),
        }
    }

    unsafe fn launch(&self, kernel: &str, grid: Grid, arguments: &[Raw]) -> Result<()> {
        let function = self
            .device
            .get_or_load_custom_func(kernel, MODULE, &self.ptx)?;
        let size = |n: usize| u32::try_from(n).map_err(Error::wrap);
        let [x, y, z] = grid.blocks;
        let config = LaunchConfig {
            grid_dim: (size(x)?, size(y)?, size(z)?),
            block_dim: (size(grid.threads)?, 1, 1),
            shared_mem_bytes: 0,
        };
        let mut launch = function.builder();
        for argument in arguments {
            match argument {
                Raw::Array { address, .. } => launch.arg(address),
                Raw::Int(value) => launch.arg(value),
                Raw::Long(value) => launch.arg(value),
                Raw::Real(value) => launch.arg(value),
            };
        }
        // SAFETY: the caller guarantees that the arguments are the kernel's.
        unsafe { launch.launch(config) }.map_err(Error::wrap)?;
        Ok(())
    }

    fn blocks(&self) -> usize {
        // Two blocks of 256 threads fit a multiprocessor beside each other.
        2 * self.processors
    }
}
