//! Example inputs with the outputs that a network gave for them, stored beside its weights: whoever
//! loads the model can tell whether it still computes the same.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use gmnm_core::rng::Philox;
use models::model_dir::ModelDir;

use crate::families;

/// Between two machines the sums of a network come in different orders: outputs may differ by this
/// much, as a part of the largest.
const TOLERANCE: f64 = 1e-4;
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// Two inputs of normal noise, the same on every machine, and the network's outputs, as the bytes
/// of a safetensors file with `input` and `output` in f32.
///
/// # Errors
///
/// When the network can't be computed.
pub fn make(model: &ModelDir) -> candle_core::Result<Vec<u8>> {
    let family = families::of(&model.config);
    let shape = family.example_shape(model).map_err(refused)?;
    let mut rng = Philox::named(0, "examples");
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
    let input = Tensor::from_vec(values, shape, &Device::Cpu)?;
    let output = forward(model, &input)?;
    let tensors = BTreeMap::from([(INPUT, input), (OUTPUT, output)]);
    safetensors::serialize(tensors, None).map_err(candle_core::Error::wrap)
}

/// Runs the network on the inputs of the file `bytes`; gives the largest difference from the stored outputs, as
/// a part of the largest output.
///
/// # Errors
///
/// A part of a sentence that follows the file's name: it is damaged, does not fit the network, or the
/// outputs differ.
pub fn check(model: &ModelDir, bytes: &[u8]) -> Result<f64, String> {
    let file = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| format!("is not a safetensors file ({error})"))?;
    let (input, stored) = (tensor(&file, INPUT)?, tensor(&file, OUTPUT)?);
    let unfit = |error: candle_core::Error| format!("does not fit the network ({error})");
    let output = forward(model, input).map_err(unfit)?;
    if output.dims() != stored.dims() {
        return Err(format!(
            "stores outputs of shape {:?}, the network gives {:?}",
            stored.dims(),
            output.dims()
        ));
    }
    let pairs = values(&output)
        .and_then(|new| Ok((new, values(stored)?)))
        .map_err(unfit)?;
    let scale = pairs.1.iter().fold(1e-3, |most: f64, v| most.max(v.abs()));
    let mut difference: f64 = 0.0;
    for (new, old) in pairs.0.iter().zip(&pairs.1) {
        let apart = (new - old).abs() / scale;
        if apart.is_nan() || apart > TOLERANCE {
            return Err(format!(
                "stores {old} where the network now gives {new}: the weights or the program are not the same"
            ));
        }
        difference = difference.max(apart);
    }
    Ok(difference)
}

fn values(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()
}

fn tensor<'a>(file: &'a HashMap<String, Tensor>, name: &str) -> Result<&'a Tensor, String> {
    let tensor = file.get(name);
    let tensor = tensor.ok_or_else(|| format!("has no tensor `{name}`"))?;
    match tensor.dtype() {
        DType::F32 => Ok(tensor),
        _ => Err(format!("has `{name}` in another type than f32")),
    }
}

fn forward(model: &ModelDir, input: &Tensor) -> candle_core::Result<Tensor> {
    let network = families::load(model, &Device::Cpu).map_err(refused)?;
    network(input, false)
}

fn refused(error: anyhow::Error) -> candle_core::Error {
    candle_core::Error::Msg(format!("{error:#}"))
}
