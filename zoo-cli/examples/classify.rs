//! Loads a model (a pretrained one by its name, a model directory, or a repository of the Hub) and labels images with it.
//!
//! ```text
//! cargo run --release -p zoo-cli --example classify -- fashion-classifier boot.png shirt.png
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::path::PathBuf;

use candle_core::Device;
use zoo::hub::{Overrides, Settings, Silent};
use zoo::{Labeller, Prediction};

/// The most probable label of each image that can be read; of the others it says why they cannot.
fn classify(model: &str, images: Vec<PathBuf>) -> anyhow::Result<Vec<Prediction>> {
    let settings = Settings::resolve(&Overrides::default())?;
    let model = zoo::resolve(model, &settings, &Silent)?.model;
    let labeller = Labeller::new(&model, &Device::Cpu)?;
    let mut predictions = Vec::new();
    labeller.label_all(zoo::infer::inputs(images), 64, 1, |batch| {
        for labelled in batch {
            match labelled.outcome {
                Ok(mut best) => predictions.append(&mut best),
                Err(reason) => println!("{reason}"),
            }
        }
        Ok(())
    })?;
    Ok(predictions)
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(model) = arguments.next() else {
        anyhow::bail!("give a model and images");
    };
    for prediction in classify(&model, arguments.map(PathBuf::from).collect())? {
        println!("{} ({:.3})", prediction.label, prediction.probability);
    }
    Ok(())
}

#[test]
fn images_of_the_sample_are_labelled() {
    const IMAGES: usize = 50;
    let data = zoo::open_images(Some("sample"), "sample", &zoo::OpenOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (width, height) = (data.test.width as u32, data.test.height as u32);
    let pixels = data
        .test
        .pixels
        .chunks_exact(data.test.pixels.len() / data.test.labels.len());
    let paths = pixels.take(IMAGES).enumerate().map(|(i, pixels)| {
        let path = dir.path().join(format!("{i}.png"));
        image::RgbImage::from_raw(width, height, pixels.to_vec())
            .unwrap()
            .save(&path)
            .unwrap();
        path
    });
    let predictions = classify("fashion-classifier", paths.collect()).unwrap();
    assert_eq!(predictions.len(), IMAGES);
    let names = data
        .test
        .labels
        .iter()
        .map(|&label| &data.label_names[label as usize]);
    let right = predictions
        .iter()
        .zip(names)
        .filter(|(p, name)| p.label == **name);
    assert!(right.count() > IMAGES * 7 / 10);
}
