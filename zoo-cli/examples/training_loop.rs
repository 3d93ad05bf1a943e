//! A training loop of one's own: a classifier of the registry, narrowed, on the embedded sample, with a learning rate that
//! falls to zero, written as a model directory that `zoo infer` reads.
//!
//! ```text
//! cargo run --release -p zoo-cli --example training_loop -- DIR
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use candle_core::{DType, Device};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use gmnm_core::{ParamStore, ops};
use models::preprocessor::{Interpolation, ResamplePrecision, ResizeRule};
use models::{Classifier, ModelConfig, ModelDir, Preprocessor, Storage, model_dir, registry};
use zoo::data::loader::{Loader, LoaderOptions};

const BATCH: usize = 100;
const RATE: f64 = 0.005;
const MEAN: [f32; 3] = [0.2; 3];
const STD: [f32; 3] = [0.3; 3];

/// Trains for `epochs` passes over `examples` images (1 to 6,000), writes the model to `dir`, and gives its accuracy on the
/// test images.
fn train(dir: &Path, examples: usize, epochs: usize) -> anyhow::Result<f64> {
    let device = Device::Cpu;
    let data = zoo::open_images(Some("sample"), "sample", &zoo::OpenOptions::default())?;
    let (height, width) = (data.train.height, data.train.width);

    let ModelConfig::Classifier(mut config) = registry::find("cifar-classifier.plain")?.config()
    else {
        bail!("`cifar-classifier.plain` is no classifier");
    };
    config.widths = vec![8, 16, 32];
    config.classes = data.label_names.len();
    let parameters = ParamStore::new(0, DType::F32, &device);
    let network = Classifier::new(&config, parameters.var_builder())?;

    let options = LoaderOptions {
        shuffle: true,
        drop_last: true,
        ..LoaderOptions::evaluation(BATCH, &MEAN, &STD)
    };
    // The images lie there class after class: these are of all classes.
    let count = data.train.len();
    let spread = (0..examples).map(|i| i * count / examples).collect();
    let loader = Loader::new(Arc::new(data.train), Some(spread), options)?;
    let variables = parameters.trainable().into_iter().map(|(_, var)| var);
    let mut optimizer = AdamW::new(variables.collect(), ParamsAdamW::default())?;
    let steps = epochs * loader.steps();
    for epoch in 0..epochs {
        let mut loss = 0.0;
        for (step, batch) in loader.epoch(epoch as u64, 0, &device).enumerate() {
            let batch = batch?;
            let done = (epoch * loader.steps() + step) as f64 / steps as f64;
            optimizer.set_learning_rate(RATE * (1.0 - done));
            let logits = network.forward(&batch.images, true)?;
            let step_loss = ops::cross_entropy(&logits, &batch.labels, 0.0)?;
            optimizer.backward_step(&step_loss)?;
            loss += f64::from(step_loss.to_scalar::<f32>()?);
        }
        println!(
            "epoch {}: loss {:.3}",
            epoch + 1,
            loss / loader.steps() as f64
        );
    }

    let test = Loader::new(
        Arc::new(data.test),
        None,
        LoaderOptions::evaluation(BATCH, &MEAN, &STD),
    )?;
    let mut right = 0.0;
    for batch in test.epoch(0, 0, &device) {
        let batch = batch?;
        let predicted = network.forward(&batch.images, false)?.argmax(1)?;
        let hits = predicted.eq(&batch.labels)?.to_dtype(DType::F64)?;
        right += hits.sum_all()?.to_scalar::<f64>()?;
    }
    let model = ModelDir {
        model: "cifar-classifier.plain".into(),
        config: ModelConfig::Classifier(config),
        labels: data.label_names,
        preprocessor: Some(Preprocessor {
            height,
            width,
            channels: 3,
            mean: MEAN.to_vec(),
            std: STD.to_vec(),
            interpolation: Interpolation::Bilinear,
            resize: ResizeRule::Stretch,
            precision: ResamplePrecision::Uint8,
        }),
        tensors: parameters.tensors(),
    };
    model_dir::save(dir, &model, Storage::Full)?;
    Ok(right / test.len() as f64)
}

fn main() -> anyhow::Result<()> {
    let Some(dir) = std::env::args_os().nth(1) else {
        bail!("give the directory to write the model to");
    };
    let accuracy = train(dir.as_ref(), 6000, 2)?;
    println!("accuracy {accuracy:.3}");
    Ok(())
}

#[test]
fn a_loop_of_ones_own_trains_a_model_that_can_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let accuracy = train(dir.path(), 2000, 2).unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
    assert_eq!(model_dir::load(dir.path()).unwrap().labels.len(), 10);
}
