//! Convolutions by cuDNN, channels last.
//!
//! Weights are turned to `[out, kh, kw, in]`, which its kernels for tensor cores read, and their gradients back. f32 is
//! multiplied as f32 (not as TF32, whose 10 bits miss the accuracy that ops promise), bf16 on tensor cores with sums in
//! f32. An algorithm and its workspace are chosen once for a shape; the workspace is shared, as all work of a device
//! follows one stream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDType, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{
    CudaDevice, DType, Device, Error, Layout, Result, Shape, Storage, Tensor, WithDType,
};
use half::bf16;

use crate::cpu::conv::Geometry;
use crate::ops::tape::{Backward, recorded};

const LAYOUT: sys::cudnnTensorFormat_t = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;

/// A dtype that cuDNN convolves.
trait Element: CudnnDataType + CudaDType + DeviceRepr + WithDType {
    /// How products are taken.
    const MATH: sys::cudnnMathType_t;
}

impl Element for f32 {
    const MATH: sys::cudnnMathType_t = sys::cudnnMathType_t::CUDNN_FMA_MATH;
}

impl Element for bf16 {
    const MATH: sys::cudnnMathType_t = sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH;
}

/// What tells one choice of an algorithm from another.
type Key = (DType, [usize; 12]);

/// A thread's handle for a device, and what it has chosen.
struct Handle {
    cudnn: Arc<Cudnn>,
    workspace: Option<CudaSlice<u8>>,
    forward: HashMap<Key, (sys::cudnnConvolutionFwdAlgo_t, usize)>,
    data: HashMap<Key, (sys::cudnnConvolutionBwdDataAlgo_t, usize)>,
    filter: HashMap<Key, (sys::cudnnConvolutionBwdFilterAlgo_t, usize)>,
}

thread_local! {
    /// A handle belongs to one thread.
    static HANDLES: RefCell<HashMap<DeviceId, Handle>> = RefCell::default();
}

fn with_handle<R>(device: &CudaDevice, f: impl FnOnce(&mut Handle) -> Result<R>) -> Result<R> {
    HANDLES.with_borrow_mut(|handles| {
        let handle = match handles.entry(device.id()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Handle {
                cudnn: Cudnn::new(device.cuda_stream()).map_err(Error::wrap)?,
                workspace: None,
                forward: HashMap::new(),
                data: HashMap::new(),
                filter: HashMap::new(),
            }),
        };
        f(handle)
    })
}

/// `workspace` of at least `bytes`, or nothing where nothing is needed.
fn grown<'a>(
    workspace: &'a mut Option<CudaSlice<u8>>,
    device: &CudaDevice,
    bytes: usize,
) -> Result<Option<&'a mut CudaSlice<u8>>> {
    if bytes == 0 {
        return Ok(None);
    }
    if workspace.as_ref().is_none_or(|slice| slice.len() < bytes) {
        // The old one goes first, so that there is room.
        *workspace = None;
        // SAFETY: cuDNN reads nothing of it that it has not written.
        *workspace = Some(unsafe { device.alloc::<u8>(bytes) }?);
    }
    Ok(workspace.as_mut())
}

/// A convolution or its transpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    geometry: Geometry,
    transposed: bool,
}

impl Convolution {
    /// The op, if cuDNN has it: f32 or bf16, with sizes that fit an `int`.
    pub(crate) fn new(geometry: &Geometry, transposed: bool, x: &Tensor) -> Option<Self> {
        let g = geometry;
        let images = [g.n * g.h * g.w * g.input, g.n * g.oh * g.ow * g.out];
        let fits = matches!(x.device(), Device::Cuda(_))
            && matches!(x.dtype(), DType::F32 | DType::BF16)
            && images.iter().all(|&size| i32::try_from(size).is_ok());
        fits.then_some(Self {
            geometry: *geometry,
            transposed,
        })
    }

    /// The convolution of `x` with `weight`, plus `bias`.
    ///
    /// # Errors
    /// When cuDNN fails.
    pub(crate) fn apply(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let filter = turned(weight, x.dtype())?;
        let y = match x.dtype() {
            DType::BF16 => self.output::<bf16>(&x, &filter)?,
            _ => self.output::<f32>(&x, &filter)?,
        };
        let g = &self.geometry;
        let shape = match self.transposed {
            true => (g.n, g.h, g.w, g.input),
            false => (g.n, g.oh, g.ow, g.out),
        };
        let y = recorded(self, &[&x, weight], y, Shape::from(shape))?;
        match bias {
            Some(bias) => y.broadcast_add(&bias.to_dtype(y.dtype())?),
            None => Ok(y),
        }
    }

    fn output<T: Element>(&self, x: &Tensor, filter: &Tensor) -> Result<Storage> {
        let plan = Plan::<T>::new(&self.geometry, x)?;
        match self.transposed {
            true => plan.data(x, filter),
            false => plan.forward(x, filter),
        }
    }

    fn gradients<T: Element>(&self, [x, weight, dy]: [&Tensor; 3]) -> Result<[Option<Tensor>; 2]> {
        let plan = Plan::<T>::new(&self.geometry, x)?;
        let tensor = |storage: Storage, shape: &Shape| {
            Tensor::from_storage(storage, shape.clone(), BackpropOp::none(), false)
        };
        let dx = if x.track_op() {
            let filter = turned(weight, x.dtype())?;
            let dx = match self.transposed {
                true => plan.forward(dy, &filter)?,
                false => plan.data(dy, &filter)?,
            };
            Some(tensor(dx, x.shape()))
        } else {
            None
        };
        let dw = if weight.track_op() {
            let (input, output) = if self.transposed { (dy, x) } else { (x, dy) };
            let g = &self.geometry;
            let dw = plan.filter(input, output)?;
            let dw = tensor(dw, &Shape::from((g.out, g.kh, g.kw, g.input)));
            let dw = dw.to_dtype(weight.dtype())?.permute((0, 3, 1, 2))?;
            Some(dw.contiguous()?)
        } else {
            None
        };
        Ok([dx, dw])
    }
}

/// `weight` `[out, in, kh, kw]` as `[out, kh, kw, in]` in `dtype`.
fn turned(weight: &Tensor, dtype: DType) -> Result<Tensor> {
    weight
        .detach()
        .to_dtype(dtype)?
        .permute((0, 2, 3, 1))?
        .contiguous()
}

impl Backward for Convolution {
    fn name(&self) -> &'static str {
        if self.transposed {
            "conv_transpose2d"
        } else {
            "conv2d"
        }
    }

    fn gradients(
        &self,
        inputs: &[Tensor],
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>> {
        let [x, weight] = inputs else {
            candle_core::bail!("a convolution has two operands");
        };
        let dy = gradient.to_dtype(x.dtype())?.contiguous()?;
        let all = [x, weight, &dy];
        let gradients = match x.dtype() {
            DType::BF16 => self.gradients::<bf16>(all)?,
            _ => self.gradients::<f32>(all)?,
        };
        Ok(gradients.into())
    }
}

/// A convolution's descriptors. Its input is `[n, h, w, in]`, its output `[n, oh, ow, out]`, whichever of them is sought.
struct Plan<T> {
    device: CudaDevice,
    key: Key,
    input: TensorDescriptor<T>,
    output: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    convolution: ConvDescriptor<f32>,
    lengths: [usize; 3],
}

impl<T: Element> Plan<T> {
    fn new(g: &Geometry, x: &Tensor) -> Result<Self> {
        let Device::Cuda(device) = x.device() else {
            candle_core::bail!("cuDNN convolves on CUDA devices");
        };
        let size = |size: usize| i32::try_from(size).map_err(Error::wrap);
        let sizes = |sizes: [usize; 4]| -> Result<[i32; 4]> {
            let [a, b, c, d] = sizes.map(size);
            Ok([a?, b?, c?, d?])
        };
        let pair = |n: usize| -> Result<[i32; 2]> { Ok([size(n)?; 2]) };
        with_handle(device, |handle| {
            let cudnn = &handle.cudnn;
            // Sizes are named as for channels first, whatever the layout.
            let image = |dims| {
                cudnn
                    .create_4d_tensor::<T>(LAYOUT, dims)
                    .map_err(Error::wrap)
            };
            let mut convolution = cudnn
                .create_conv2d::<f32>(
                    pair(g.padding)?,
                    pair(g.stride)?,
                    pair(g.dilation)?,
                    sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                )
                .map_err(Error::wrap)?;
            convolution.set_math_type(T::MATH).map_err(Error::wrap)?;
            let weight = sizes([g.out, g.input, g.kh, g.kw])?;
            Ok(Self {
                device: device.clone(),
                key: (
                    T::DTYPE,
                    [
                        g.n, g.h, g.w, g.input, g.oh, g.ow, g.out, g.kh, g.kw, g.stride, g.padding,
                        g.dilation,
                    ],
                ),
                input: image(sizes([g.n, g.input, g.h, g.w])?)?,
                output: image(sizes([g.n, g.out, g.oh, g.ow])?)?,
                weight: cudnn
                    .create_4d_filter::<T>(LAYOUT, weight)
                    .map_err(Error::wrap)?,
                convolution,
                lengths: [
                    g.n * g.h * g.w * g.input,
                    g.n * g.oh * g.ow * g.out,
                    g.out * g.kh * g.kw * g.input,
                ],
            })
        })
    }

    /// The output.
    fn forward(&self, x: &Tensor, filter: &Tensor) -> Result<Storage> {
        let pass = ConvForward::<T, f32, T> {
            conv: &self.convolution,
            x: &self.input,
            w: &self.weight,
            y: &self.output,
        };
        self.run([x, filter], self.lengths[1], |handle, [x, filter], y| {
            let (algorithm, bytes) = match handle.forward.get(&self.key) {
                Some(&known) => known,
                None => {
                    let algorithm = pass.pick_algorithm().map_err(Error::wrap)?;
                    let bytes = pass.get_workspace_size(algorithm).map_err(Error::wrap)?;
                    handle.forward.insert(self.key, (algorithm, bytes));
                    (algorithm, bytes)
                }
            };
            let workspace = grown(&mut handle.workspace, &self.device, bytes)?;
            // SAFETY: the arrays have the descriptors' types and sizes.
            unsafe { pass.launch(algorithm, workspace, (T::one(), T::zero()), x, filter, y) }
                .map_err(Error::wrap)
        })
    }

    /// The gradient of the input, `dy` being that of the output.
    fn data(&self, dy: &Tensor, filter: &Tensor) -> Result<Storage> {
        let pass = ConvBackwardData::<T, f32, T> {
            conv: &self.convolution,
            dx: &self.input,
            w: &self.weight,
            dy: &self.output,
        };
        self.run([dy, filter], self.lengths[0], |handle, [dy, filter], dx| {
            let (algorithm, bytes) = match handle.data.get(&self.key) {
                Some(&known) => known,
                None => {
                    let algorithm = pass.pick_algorithm().map_err(Error::wrap)?;
                    let bytes = pass.get_workspace_size(algorithm).map_err(Error::wrap)?;
                    handle.data.insert(self.key, (algorithm, bytes));
                    (algorithm, bytes)
                }
            };
            let workspace = grown(&mut handle.workspace, &self.device, bytes)?;
            // SAFETY: the arrays have the descriptors' types and sizes.
            unsafe { pass.launch(algorithm, workspace, (T::one(), T::zero()), dx, filter, dy) }
                .map_err(Error::wrap)
        })
    }

    /// The gradient of the weight.
    fn filter(&self, x: &Tensor, dy: &Tensor) -> Result<Storage> {
        let pass = ConvBackwardFilter::<T, f32, T> {
            conv: &self.convolution,
            x: &self.input,
            dw: &self.weight,
            dy: &self.output,
        };
        self.run([x, dy], self.lengths[2], |handle, [x, dy], dw| {
            let (algorithm, bytes) = match handle.filter.get(&self.key) {
                Some(&known) => known,
                None => {
                    let algorithm = pass.pick_algorithm().map_err(Error::wrap)?;
                    let bytes = pass.get_workspace_size(algorithm).map_err(Error::wrap)?;
                    handle.filter.insert(self.key, (algorithm, bytes));
                    (algorithm, bytes)
                }
            };
            let workspace = grown(&mut handle.workspace, &self.device, bytes)?;
            // SAFETY: the arrays have the descriptors' types and sizes.
            unsafe { pass.launch(algorithm, workspace, (T::one(), T::zero()), x, dw, dy) }
                .map_err(Error::wrap)
        })
    }

    /// Calls `pass` with the elements of contiguous operands and of a result of `len`.
    fn run(
        &self,
        operands: [&Tensor; 2],
        len: usize,
        pass: impl FnOnce(&mut Handle, [&CudaView<T>; 2], &mut CudaSlice<T>) -> Result<()>,
    ) -> Result<Storage> {
        // SAFETY: the pass writes all of it before anything reads it.
        let mut result = unsafe { self.device.alloc::<T>(len) }?;
        let [(first, first_layout), (second, second_layout)] =
            operands.map(Tensor::storage_and_layout);
        fn view<'a, T: Element>(
            device: &CudaDevice,
            storage: &'a Storage,
            layout: &Layout,
        ) -> Result<CudaView<'a, T>> {
            match (storage, layout.contiguous_offsets()) {
                (Storage::Cuda(storage), Some((start, end)))
                    if storage.device().id() == device.id() =>
                {
                    Ok(T::as_cuda_slice(storage)?.slice(start..end))
                }
                _ => {
                    candle_core::bail!("a convolution's operands must lie contiguous on one device")
                }
            }
        }
        let first = view::<T>(&self.device, &first, first_layout)?;
        let second = view::<T>(&self.device, &second, second_layout)?;
        with_handle(&self.device, |handle| {
            pass(handle, [&first, &second], &mut result)
        })?;
        Ok(Storage::Cuda(T::wrap_cuda_slice(
            result,
            self.device.clone(),
        )))
    }
}
