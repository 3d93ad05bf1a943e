//! Labelling images: files are read, decoded and preprocessed on all cores while the network runs.

use std::fmt;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use gmnm_core::on_worker;
use models::ModelDir;
use models::Preprocessor;
use rayon::prelude::*;

use self::list::PathList;
use crate::data::decode::{Preprocessed, preprocess};
use crate::data::normalise::Normaliser;
use crate::data::walk_images;
use crate::families::{self, Forward};

mod list;

/// Decoded batches that wait for the network: with the one that is decoded and the one that is computed, all that is
/// in memory.
const AHEAD: usize = 2;

/// One label that an image may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The class's name.
    pub label: String,
    /// The class's index.
    pub index: usize,
    /// The network's probability, in 0..=1.
    pub probability: f64,
}

/// What became of one input.
#[derive(Debug)]
pub struct Labelled {
    /// The file as it was given or found.
    pub path: PathBuf,
    /// The most probable labels, most probable first, or why there are none.
    pub outcome: Result<Vec<Prediction>, String>,
    /// Whether it has more than one page or frame, of which the first is labelled.
    pub multi_frame: bool,
}

/// A classifier with its labels and preprocessing.
pub struct Labeller {
    network: Forward,
    labels: Vec<String>,
    input: Preprocessor,
    device: Device,
}

/// An input: a file, or a path with the reason why there is no file.
pub type Input = Result<PathBuf, (PathBuf, String)>;

fn walk(path: PathBuf) -> impl Iterator<Item = Input> + Send {
    let found = walk_images(std::slice::from_ref(&path));
    found.into_iter().map(move |file| {
        file.map_err(|error| {
            let at = error.path().unwrap_or(&path).to_path_buf();
            (at, error.to_string())
        })
    })
}

/// The images that `paths` stand for: files, folders (walked), or `-` for a list of paths on stdin, read as they are
/// needed.
pub fn inputs(paths: Vec<PathBuf>) -> impl Iterator<Item = Input> + Send {
    paths
        .into_iter()
        .flat_map(|path| -> Box<dyn Iterator<Item = Input> + Send> {
            if path.as_os_str() != "-" {
                return Box::new(walk(path));
            }
            let listed = PathList::new(BufReader::new(std::io::stdin()));
            let named = listed.flat_map(|line| -> Box<dyn Iterator<Item = Input> + Send> {
                match line {
                    Ok(path) => Box::new(walk(path)),
                    Err(reason) => Box::new(std::iter::once(Err((PathBuf::from("-"), reason)))),
                }
            });
            Box::new(named)
        })
}

impl fmt::Debug for Labeller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labeller")
            .field("labels", &self.labels)
            .field("input", &self.input)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl Labeller {
    /// The classifier of a model directory.
    ///
    /// # Errors
    /// When it is no classifier, or does not say how images are preprocessed.
    pub fn new(model: &ModelDir, device: &Device) -> anyhow::Result<Self> {
        if model.config.classes().is_none() {
            bail!("this network is no classifier, and only classifiers can be used here");
        }
        let Some(input) = model.preprocessor.clone() else {
            bail!("the model has no `preprocessor_config.json`, which says how images are read");
        };
        Ok(Self {
            network: families::load(model, device)?,
            labels: model.labels.clone(),
            input,
            device: device.clone(),
        })
    }

    /// Labels every input in order with its `top_k` most probable classes, `batch_size` images a forward pass, and
    /// gives each batch's results to `sink`. Memory does not grow with the number of inputs.
    ///
    /// # Errors
    /// When the network or `sink` fails. An input that fails is a result.
    pub fn label_all(
        &self,
        inputs: impl Iterator<Item = Input> + Send,
        batch_size: usize,
        top_k: usize,
        mut sink: impl FnMut(Vec<Labelled>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Vec<Decoded>>(AHEAD);
            scope.spawn(move || {
                let mut inputs = inputs.peekable();
                while inputs.peek().is_some() {
                    let batch: Vec<Input> = inputs.by_ref().take(batch_size.max(1)).collect();
                    let decoded = batch
                        .into_par_iter()
                        .map(|input| Decoded::new(input, &self.input))
                        .collect();
                    // The receiver is gone when labelling failed.
                    if sender.send(decoded).is_err() {
                        return;
                    }
                }
            });
            for batch in receiver {
                sink(self.label(batch, top_k)?)?;
            }
            Ok(())
        })
    }

    fn label(&self, batch: Vec<Decoded>, top_k: usize) -> candle_core::Result<Vec<Labelled>> {
        let Preprocessor {
            height,
            width,
            channels,
            ..
        } = self.input;
        let normaliser = Normaliser::new(&self.input.mean, &self.input.std);
        let size = height * width * channels;
        let good: Vec<&[u8]> = batch
            .iter()
            .filter_map(|decoded| Some(decoded.image.as_ref().ok()?.pixels.as_slice()))
            .collect();
        let mut probabilities = if good.is_empty() {
            Vec::new()
        } else {
            let mut values = vec![0f32; good.len() * size];
            for (pixels, values) in good.iter().zip(values.chunks_exact_mut(size)) {
                normaliser.apply(pixels, values);
            }
            let shape = (good.len(), height, width, channels);
            let images = Tensor::from_vec(values, shape, &self.device)?;
            let logits = on_worker(|| (self.network)(&images, false))?;
            // Not every device computes in f64.
            let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            candle_nn::ops::softmax(&logits, 1)?.to_vec2::<f64>()?
        }
        .into_iter();
        Ok(batch
            .into_iter()
            .map(|decoded| Labelled {
                multi_frame: decoded.image.as_ref().is_ok_and(|image| image.multi_frame),
                outcome: decoded
                    .image
                    .map(|_| self.top(probabilities.next().unwrap_or_default(), top_k)),
                path: decoded.path,
            })
            .collect())
    }

    fn top(&self, probabilities: Vec<f64>, top_k: usize) -> Vec<Prediction> {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        order
            .into_iter()
            .take(top_k)
            .map(|index| Prediction {
                label: self.labels.get(index).cloned().unwrap_or_default(),
                index,
                probability: probabilities[index],
            })
            .collect()
    }
}

struct Decoded {
    path: PathBuf,
    image: Result<Preprocessed, String>,
}

impl Decoded {
    fn new(input: Input, to: &Preprocessor) -> Self {
        match input {
            Ok(path) => Self {
                image: preprocess(&path, to).map_err(|e| e.to_string()),
                path,
            },
            Err((path, reason)) => Self {
                path,
                image: Err(reason),
            },
        }
    }
}
