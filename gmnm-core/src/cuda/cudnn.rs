//! cuDNN's convolutions, channels last, one pass at a time.
//!
//! f32 is multiplied as f32 (not as TF32, whose 10 bits miss the accuracy that ops promise), bf16 on tensor cores with
//! sums in f32. Algorithms and their workspaces are chosen once for a shape; the workspace is shared, as all work of a
//! device follows one stream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    CudnnError, FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDType, DeviceId};
use candle_core::{CudaDevice, DType, Error, Layout, Result, Storage, Tensor, WithDType};
use half::bf16;

use crate::cpu::conv::geometry::Geometry;

const LAYOUT: sys::cudnnTensorFormat_t = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;

/// A dtype that cuDNN convolves.
pub(super) trait Element: CudnnDataType + CudaDType + DeviceRepr + WithDType {
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

/// Algorithms, and the bytes of workspace that they need.
#[derive(Clone, Copy)]
struct Choice {
    forward: (sys::cudnnConvolutionFwdAlgo_t, usize),
    data: (sys::cudnnConvolutionBwdDataAlgo_t, usize),
    filter: (sys::cudnnConvolutionBwdFilterAlgo_t, usize),
}

/// A thread's handle for a device, and what it has chosen; nothing for what cuDNN does not have.
struct Handle {
    cudnn: Arc<Cudnn>,
    workspace: Option<CudaSlice<u8>>,
    choices: HashMap<Key, Option<Choice>>,
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
                choices: HashMap::new(),
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

fn choose<T: Element>(
    conv: &ConvDescriptor<f32>,
    input: &TensorDescriptor<T>,
    output: &TensorDescriptor<T>,
    weight: &FilterDescriptor<T>,
) -> std::result::Result<Choice, CudnnError> {
    let forward = ConvForward::<T, f32, T> {
        conv,
        x: input,
        w: weight,
        y: output,
    };
    let data = ConvBackwardData::<T, f32, T> {
        conv,
        dx: input,
        w: weight,
        dy: output,
    };
    let filter = ConvBackwardFilter::<T, f32, T> {
        conv,
        x: input,
        dw: weight,
        dy: output,
    };
    let algorithms = (
        forward.pick_algorithm()?,
        data.pick_algorithm()?,
        filter.pick_algorithm()?,
    );
    Ok(Choice {
        forward: (algorithms.0, forward.get_workspace_size(algorithms.0)?),
        data: (algorithms.1, data.get_workspace_size(algorithms.1)?),
        filter: (algorithms.2, filter.get_workspace_size(algorithms.2)?),
    })
}

/// A convolution's descriptors. Its input is `[n, h, w, in]`, its output `[n, oh, ow, out]`, whichever of them is sought.
pub(super) struct Plan<T> {
    device: CudaDevice,
    input: TensorDescriptor<T>,
    output: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    convolution: ConvDescriptor<f32>,
    choice: Choice,
    lengths: [usize; 3],
}

impl<T: Element> Plan<T> {
    /// The plan, if cuDNN has all its passes.
    pub(super) fn new(g: &Geometry, device: &CudaDevice) -> Result<Option<Self>> {
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
            let key = (
                T::DTYPE,
                [
                    g.n, g.h, g.w, g.input, g.oh, g.ow, g.out, g.kh, g.kw, g.stride, g.padding,
                    g.dilation,
                ],
            );
            let input = image(sizes([g.n, g.input, g.h, g.w])?)?;
            let output = image(sizes([g.n, g.out, g.oh, g.ow])?)?;
            let weight = cudnn
                .create_4d_filter::<T>(LAYOUT, weight)
                .map_err(Error::wrap)?;
            let choice = match handle.choices.get(&key) {
                Some(known) => *known,
                None => {
                    // What fails here is not supported.
                    let choice = choose(&convolution, &input, &output, &weight).ok();
                    handle.choices.insert(key, choice);
                    choice
                }
            };
            Ok(choice.map(|choice| Self {
                device: device.clone(),
                input,
                output,
                weight,
                convolution,
                choice,
                lengths: [
                    g.n * g.h * g.w * g.input,
                    g.n * g.oh * g.ow * g.out,
                    g.out * g.kh * g.kw * g.input,
                ],
            }))
        })
    }

    /// The output.
    pub(super) fn forward(&self, x: &Tensor, filter: &Tensor) -> Result<Storage> {
        let pass = ConvForward::<T, f32, T> {
            conv: &self.convolution,
            x: &self.input,
            w: &self.weight,
            y: &self.output,
        };
        self.run([x, filter], self.lengths[1], |handle, [x, filter], y| {
            let (algorithm, bytes) = self.choice.forward;
            let workspace = grown(&mut handle.workspace, &self.device, bytes)?;
            // SAFETY: the arrays have the descriptors' types and sizes.
            unsafe { pass.launch(algorithm, workspace, (T::one(), T::zero()), x, filter, y) }
                .map_err(Error::wrap)
        })
    }

    /// The gradient of the input, `dy` being that of the output.
    pub(super) fn data(&self, dy: &Tensor, filter: &Tensor) -> Result<Storage> {
        let pass = ConvBackwardData::<T, f32, T> {
            conv: &self.convolution,
            dx: &self.input,
            w: &self.weight,
            dy: &self.output,
        };
        self.run([dy, filter], self.lengths[0], |handle, [dy, filter], dx| {
            let (algorithm, bytes) = self.choice.data;
            let workspace = grown(&mut handle.workspace, &self.device, bytes)?;
            // SAFETY: the arrays have the descriptors' types and sizes.
            unsafe { pass.launch(algorithm, workspace, (T::one(), T::zero()), dx, filter, dy) }
                .map_err(Error::wrap)
        })
    }

    /// The gradient of the weight.
    pub(super) fn filter(&self, x: &Tensor, dy: &Tensor) -> Result<Storage> {
        let pass = ConvBackwardFilter::<T, f32, T> {
            conv: &self.convolution,
            x: &self.input,
            dw: &self.weight,
            dy: &self.output,
        };
        self.run([x, dy], self.lengths[2], |handle, [x, dy], dw| {
            let (algorithm, bytes) = self.choice.filter;
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
