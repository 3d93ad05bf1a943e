//! The kernels compiled for the processor.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{CpuStorage, DType, Result, Shape, Storage};
use half::bf16;

use super::launch::{Driver, Grid, Raw};
use super::{KERNELS, SOURCE};
use crate::route::forced;

/// Whether this thread's test asks for these kernels.
pub(super) fn is_wanted() -> bool {
    forced::route() == forced::Route::Emulated
}

/// Whether there is a C++ compiler. Where one must be there (`ZOO_REQUIRE_PEERS`), its absence fails the test.
pub(crate) fn has_compiler() -> bool {
    let found = Command::new(compiler()).arg("--version").output().is_ok();
    if !found {
        let required = std::env::var_os("ZOO_REQUIRE_PEERS").is_some();
        assert!(
            !required,
            "the tests of the CUDA kernels need a C++ compiler; install one, or set CXX"
        );
        #[allow(clippy::print_stderr)]
        {
            eprintln!(
                "SKIPPED: the CUDA kernels, as there is no C++ compiler ({})",
                compiler()
            );
        }
    }
    found
}

fn compiler() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".into())
}

pub(super) fn driver() -> Result<Arc<dyn Driver>> {
    Ok(host()?)
}

/// The kernels that this process has not launched.
pub(crate) fn unused() -> Result<Vec<&'static str>> {
    let host = host()?;
    let launched = host.launched.lock().unwrap_or_else(PoisonError::into_inner);
    let unused = KERNELS.iter().filter(|&&name| !launched.contains(name));
    Ok(unused.copied().collect())
}

fn host() -> Result<Arc<Host>> {
    static HOST: OnceLock<std::result::Result<Arc<Host>, String>> = OnceLock::new();
    match HOST.get_or_init(|| build().map(Arc::new)) {
        Ok(host) => Ok(host.clone()),
        Err(error) => candle_core::bail!("the kernels do not compile for the processor: {error}"),
    }
}

/// Kernels that show whether faults are noticed.
const FAULTS: [&str; 4] = ["fault_none", "fault_race", "fault_before", "fault_left"];

type Launch = unsafe extern "C" fn(
    name: *const c_char,
    grid: *const u32,
    threads: u32,
    arguments: *const Passed,
    count: usize,
) -> *const c_char;

/// As the shim lays it out.
#[repr(C)]
struct Passed {
    at: *mut c_void,
    bytes: u64,
    written: u64,
}

struct Host {
    library: libloading::Library,
    /// What was launched. Held through a launch, as blocks share one set of fibers and of shared memory.
    launched: Mutex<BTreeSet<String>>,
}

fn build() -> std::result::Result<Host, String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (source, library) = (
        directory.path().join("kernels.cpp"),
        directory.path().join("kernels.so"),
    );
    let entries: String = KERNELS
        .iter()
        .chain(&FAULTS)
        .map(|name| {
            format!("{{\"{name}\", host::Caller<{name}>::call, host::Caller<{name}>::count}},\n")
        })
        .collect();
    let faults = include_str!("host/faults.cu");
    let text = format!(
        "#include \"shim.hpp\"\n{SOURCE}\n{faults}\nstatic const host::Kernel kernels[] = {{\n{entries}}};\n\
         extern \"C\" const char* launch(const char* name, const unsigned* grid, unsigned threads,\n\
             const host::Argument* arguments, size_t count) {{\n\
             return host::launch(kernels, sizeof kernels / sizeof *kernels, name, grid, threads, arguments, count);\n}}\n"
    );
    std::fs::write(&source, text).map_err(|e| e.to_string())?;
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda/host");
    let output = Command::new(compiler())
        .args(["-std=c++17", "-O2", "-shared", "-fPIC", "-w"])
        // An index beyond a local or shared array stops the test.
        .args(["-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"])
        .arg("-I")
        .arg(shim)
        .arg("-o")
        .args([&library, &source])
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // SAFETY: the library was just made from the sources at hand; it has no initialisers but those of its own statics.
    let library = unsafe { libloading::Library::new(&library) }.map_err(|e| e.to_string())?;
    Ok(Host {
        library,
        launched: Mutex::default(),
    })
}

macro_rules! with_vec {
    ($storage:expr, $values:ident => $call:expr) => {
        match $storage {
            Storage::Cpu(CpuStorage::F32($values)) => $call,
            Storage::Cpu(CpuStorage::BF16($values)) => $call,
            Storage::Cpu(CpuStorage::U8($values)) => $call,
            Storage::Cpu(CpuStorage::I64($values)) => $call,
            _ => candle_core::bail!("no kernel takes these elements"),
        }
    };
}

impl Driver for Host {
    fn storage(&self, shape: &Shape, dtype: DType) -> Result<Storage> {
        let len = shape.elem_count();
        // What a kernel forgets to write must not look right.
        Ok(Storage::Cpu(match dtype {
            DType::F32 => CpuStorage::F32(vec![f32::NAN; len]),
            DType::BF16 => CpuStorage::BF16(vec![bf16::NAN; len]),
            DType::U8 => CpuStorage::U8(vec![0xEE; len]),
            other => candle_core::bail!("no kernel writes {other:?}"),
        }))
    }

    fn address(&self, storage: &Storage) -> Result<u64> {
        Ok(with_vec!(storage, values => values.as_ptr() as u64))
    }

    fn address_mut(&self, storage: &mut Storage) -> Result<u64> {
        Ok(with_vec!(storage, values => values.as_mut_ptr() as u64))
    }

    unsafe fn launch(&self, kernel: &str, grid: Grid, arguments: &[Raw]) -> Result<()> {
        let pass = |argument: &Raw| match argument {
            Raw::Array {
                address,
                bytes,
                written,
            } => Passed {
                at: *address as *mut c_void,
                bytes: *bytes as u64,
                written: u64::from(*written),
            },
            Raw::Int(value) => Passed {
                at: std::ptr::from_ref(value).cast_mut().cast(),
                bytes: 0,
                written: 0,
            },
            Raw::Long(value) => Passed {
                at: std::ptr::from_ref(value).cast_mut().cast(),
                bytes: 0,
                written: 0,
            },
            Raw::Real(value) => Passed {
                at: std::ptr::from_ref(value).cast_mut().cast(),
                bytes: 0,
                written: 0,
            },
        };
        let passed: Vec<Passed> = arguments.iter().map(pass).collect();
        let name = CString::new(kernel).map_err(candle_core::Error::wrap)?;
        let blocks = grid.blocks.map(|n| n as u32);
        let mut launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        launched.insert(kernel.into());
        // SAFETY: the shim checks the name and the number of arguments; the caller guarantees the rest.
        let error = unsafe {
            let launch = self
                .library
                .get::<Launch>(b"launch")
                .map_err(candle_core::Error::wrap)?;
            let error = launch(
                name.as_ptr(),
                blocks.as_ptr(),
                grid.threads as u32,
                passed.as_ptr(),
                passed.len(),
            );
            (!error.is_null()).then(|| {
                std::ffi::CStr::from_ptr(error)
                    .to_string_lossy()
                    .into_owned()
            })
        };
        match error {
            Some(error) => candle_core::bail!("{kernel}: {error}"),
            None => Ok(()),
        }
    }

    fn blocks(&self) -> usize {
        // Few enough that shares have several tiles, and more than one share.
        6
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Result, Tensor};

    use super::has_compiler;
    use crate::cuda::KernelDevice;
    use crate::cuda::launch::{Arguments, Grid};
    use crate::route::forced::{Route, along};

    /// What `kernel` writes with three blocks of 64 threads.
    fn launched(kernel: &str) -> Result<Vec<f32>> {
        let x = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
        let device = along(Route::Emulated, || KernelDevice::of(&x))?.expect("asked for");
        let mut buffer = device.buffer(3 * 64, DType::F32)?;
        let grid = Grid {
            blocks: [3, 1, 1],
            threads: 64,
        };
        // SAFETY: the kernels take one array, and their faults stay within the pages around it.
        unsafe { device.launch(kernel, grid, Arguments::default().write([&mut buffer]))? };
        buffer.tensor().to_vec1()
    }

    #[test]
    fn faults_are_noticed() -> Result<()> {
        if !has_compiler() {
            return Ok(());
        }
        let right: Vec<f32> = (0..3 * 64).map(|i| ((i + 1) % 64) as f32).collect();
        assert_eq!(launched("fault_none")?, right);
        assert_ne!(launched("fault_race")?, right);
        let error = launched("fault_before").unwrap_err().to_string();
        assert!(error.contains("before an array"), "{error}");
        let error = launched("fault_left").unwrap_err().to_string();
        assert!(error.contains("threads left"), "{error}");
        assert!(launched("fault_unknown").is_err());
        Ok(())
    }
}
