//! What an op needs of a device: buffers, and kernels launched there.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Shape, Storage, Tensor};

/// A kernel's operand.
enum Argument<'a> {
    /// The elements of a contiguous tensor.
    Read(&'a Tensor),
    /// Buffer that the kernel fills.
    Write(&'a mut Buffer),
    /// The elements of a contiguous tensor, changed where they lie.
    Update(&'a Tensor),
    /// A null pointer.
    Nothing,
    /// An `int`.
    Int(usize),
    /// A `long long`.
    Long(usize),
    /// A `float`.
    Real(f64),
}

/// A kernel's operands, in its order.
#[derive(Default)]
pub(super) struct Arguments<'a>(Vec<Argument<'a>>);

impl<'a> Arguments<'a> {
    fn and(mut self, more: impl IntoIterator<Item = Argument<'a>>) -> Self {
        self.0.extend(more);
        self
    }

    /// Then the elements of contiguous tensors.
    pub(super) fn read<const N: usize>(self, tensors: [&'a Tensor; N]) -> Self {
        self.and(tensors.map(Argument::Read))
    }

    /// Then the elements of contiguous tensors, null pointers where there are none.
    pub(super) fn read_some<const N: usize>(self, tensors: [Option<&'a Tensor>; N]) -> Self {
        self.and(tensors.map(|tensor| tensor.map_or(Argument::Nothing, Argument::Read)))
    }

    /// Then buffers that the kernel fills.
    pub(super) fn write<const N: usize>(self, buffers: [&'a mut Buffer; N]) -> Self {
        self.and(buffers.map(Argument::Write))
    }

    /// Then the elements of contiguous tensors, changed where they lie.
    pub(super) fn update<const N: usize>(self, tensors: [&'a Tensor; N]) -> Self {
        self.and(tensors.map(Argument::Update))
    }

    /// Then numbers of type `int`.
    pub(super) fn ints<const N: usize>(self, values: [usize; N]) -> Self {
        self.and(values.map(Argument::Int))
    }

    /// Then a number of type `long long`.
    pub(super) fn long(self, value: usize) -> Self {
        self.and([Argument::Long(value)])
    }

    /// Then numbers of type `float`.
    pub(super) fn reals<const N: usize>(self, values: [f64; N]) -> Self {
        self.and(values.map(Argument::Real))
    }
}

/// An operand as a launch passes it.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(super) enum Raw {
    /// Where an array lies, and its bytes.
    Array {
        address: u64,
        #[cfg_attr(not(test), allow(dead_code))]
        bytes: usize,
        #[cfg_attr(not(test), allow(dead_code))]
        written: bool,
    },
    /// An `int`.
    Int(i32),
    /// A `long long`.
    Long(i64),
    /// A `float`.
    Real(f32),
}

/// Blocks along three axes, and the threads of each.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(super) struct Grid {
    pub(super) blocks: [usize; 3],
    pub(super) threads: usize,
}

impl Grid {
    /// Enough blocks of 256 threads for one thread an element.
    pub(super) fn of_elements(count: usize) -> Self {
        Self {
            blocks: [count.div_ceil(256), 1, 1],
            threads: 256,
        }
    }
}

/// What launches kernels.
pub(super) trait Driver: Send + Sync {
    /// Memory for `len` elements, of any content.
    fn storage(&self, shape: &Shape, dtype: DType) -> Result<Storage>;

    /// Where the elements of a storage begin.
    fn address(&self, storage: &Storage) -> Result<u64>;

    /// As [`Self::address`], for writing.
    fn address_mut(&self, storage: &mut Storage) -> Result<u64>;

    /// Starts `kernel`. The device comes to it after all that was started before.
    ///
    /// # Safety
    /// Arguments are those of the kernel, and arrays as long as it expects.
    unsafe fn launch(&self, kernel: &str, grid: Grid, arguments: &[Raw]) -> Result<()>;

    /// Blocks that run at once, about.
    fn blocks(&self) -> usize;
}

/// Memory of a device on its way to become a tensor, uninitialised until a kernel has filled it.
pub(crate) struct Buffer {
    storage: Storage,
    shape: Shape,
    dtype: DType,
}

impl Buffer {
    /// What cuDNN has filled.
    #[cfg(feature = "cudnn")]
    pub(super) fn new(storage: Storage, shape: impl Into<Shape>, dtype: DType) -> Self {
        Self {
            storage,
            shape: shape.into(),
            dtype,
        }
    }

    /// The tensor, once a kernel has filled it.
    pub(crate) fn tensor(self) -> Tensor {
        Tensor::from_storage(self.storage, self.shape, BackpropOp::none(), false)
    }

    /// The memory and its shape.
    pub(crate) fn parts(self) -> (Storage, Shape) {
        (self.storage, self.shape)
    }
}

/// A device with kernels.
#[derive(Clone)]
pub(crate) struct KernelDevice {
    driver: Arc<dyn Driver>,
    device: Device,
}

impl KernelDevice {
    /// The device where `x` lies, if it has kernels.
    ///
    /// # Errors
    /// When the kernels cannot be compiled for the device.
    pub(crate) fn of(x: &Tensor) -> Result<Option<Self>> {
        let device = x.device();
        Ok(driver(device)?.map(|driver| Self {
            driver,
            device: device.clone(),
        }))
    }

    /// The device.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Blocks that run at once, about.
    pub(super) fn blocks(&self) -> usize {
        self.driver.blocks()
    }

    /// Memory for a kernel to fill.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn buffer(&self, shape: impl Into<Shape>, dtype: DType) -> Result<Buffer> {
        let shape = shape.into();
        Ok(Buffer {
            storage: self.driver.storage(&shape, dtype)?,
            shape,
            dtype,
        })
    }

    /// Starts `kernel`.
    ///
    /// # Errors
    /// When an operand is not contiguous, does not fit an `int`, or the launch fails.
    ///
    /// # Safety
    /// Arguments are those of the kernel in type and order, and arrays as long as it expects for its sizes.
    pub(super) unsafe fn launch(
        &self,
        kernel: &str,
        grid: Grid,
        arguments: Arguments,
    ) -> Result<()> {
        if grid.blocks.contains(&0) {
            return Ok(());
        }
        let mut borrowed = Vec::new();
        let mut raw = Vec::with_capacity(arguments.0.len());
        for argument in arguments.0 {
            raw.push(match argument {
                Argument::Read(tensor) => {
                    let (storage, _) = tensor.storage_and_layout();
                    let size = tensor.dtype().size_in_bytes();
                    let start = (start(tensor, kernel)? * size) as u64;
                    let address = self.driver.address(&storage)? + start;
                    borrowed.push(storage);
                    Raw::Array {
                        address,
                        bytes: tensor.elem_count() * size,
                        written: false,
                    }
                }
                Argument::Write(buffer) => Raw::Array {
                    address: self.driver.address_mut(&mut buffer.storage)?,
                    bytes: buffer.shape.elem_count() * buffer.dtype.size_in_bytes(),
                    written: true,
                },
                Argument::Update(tensor) => {
                    let size = tensor.dtype().size_in_bytes();
                    let start = (start(tensor, kernel)? * size) as u64;
                    Raw::Array {
                        address: self.written_address(tensor)? + start,
                        bytes: tensor.elem_count() * size,
                        written: true,
                    }
                }
                Argument::Nothing => Raw::Long(0),
                Argument::Int(value) => match i32::try_from(value) {
                    Ok(value) => Raw::Int(value),
                    Err(_) => candle_core::bail!(
                        "{kernel}: a size of {value} is too large; use a smaller batch"
                    ),
                },
                Argument::Long(value) => Raw::Long(value as i64),
                Argument::Real(value) => Raw::Real(value as f32),
            });
        }
        // SAFETY: the caller guarantees that the arguments fit; storages stay borrowed until the launch is queued.
        unsafe { self.driver.launch(kernel, grid, &raw) }
    }

    /// Where a tensor's storage begins, for writing.
    pub(super) fn written_address(&self, tensor: &Tensor) -> Result<u64> {
        let address = Address {
            driver: &*self.driver,
            found: Cell::new(0),
        };
        tensor.inplace_op1(&address)?;
        Ok(address.found.get())
    }
}

fn start(tensor: &Tensor, kernel: &str) -> Result<usize> {
    match tensor.layout().contiguous_offsets() {
        Some((start, _)) => Ok(start),
        None => candle_core::bail!("{kernel} needs contiguous operands; call contiguous() first"),
    }
}

/// Asks a tensor for the address of its storage, as one who will write there.
struct Address<'a> {
    driver: &'a dyn Driver,
    found: Cell<u64>,
}

impl InplaceOp1 for Address<'_> {
    fn name(&self) -> &'static str {
        "address"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        let taken = std::mem::replace(storage, CpuStorage::U8(Vec::new()));
        let mut owned = Storage::Cpu(taken);
        let address = self.driver.address_mut(&mut owned);
        if let Storage::Cpu(taken) = owned {
            *storage = taken;
        }
        self.found.set(address?);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut candle_core::CudaStorage, _: &Layout) -> Result<()> {
        self.found.set(super::driver::address_mut(storage)?);
        Ok(())
    }
}

#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
fn driver(device: &Device) -> Result<Option<Arc<dyn Driver>>> {
    #[cfg(all(test, unix))]
    if super::host::is_wanted() {
        return super::host::driver().map(Some);
    }
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return super::driver::driver(device).map(Some);
    }
    Ok(None)
}
