//! Labelling images: files are read, decoded and preprocessed on all cores while the network runs.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::bail;
use candle_core::{Device, Tensor};
use gmnm_core::on_worker;
use models::classifier::Classifier;
use models::{ModelDir, Preprocessor};
use rayon::prelude::*;

use self::list::PathList;
use crate::data::decode::{Preprocessed, preprocess};
use crate::data::normalise::Normaliser;
use crate::data::{classes, walk_images};
use crate::evaluation::{Augmented, Predictions};
use crate::families::classification::{features_and_logits, load};

mod list;

/// Decoded batches that wait for the network: with the one that is decoded and the one that is computed, all that is
/// in memory.
const AHEAD: usize = 2;

/// A batch is not waited for: one that is not full so long after its first input is labelled as it is.
const PATIENCE: Duration = Duration::from_millis(100);

/// The label of an image that no class is probable enough for.
pub const UNKNOWN: &str = "unknown";

/// One label that an image may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The class's name, or [`UNKNOWN`].
    pub label: String,
    /// The class's index; none where it is unknown.
    pub index: Option<usize>,
    /// The network's probability, in 0..=1; where the class is unknown, that of the most probable.
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
    /// The class whose name its folder has, if it has that of one.
    pub folder_class: Option<String>,
    /// What the head of the network read, where that is kept.
    pub features: Vec<f32>,
}

/// A classifier with its labels and preprocessing.
#[derive(Debug)]
pub struct Labeller {
    network: Classifier,
    labels: Vec<String>,
    input: Preprocessor,
    device: Device,
    augmented: Augmented,
    temperature: f64,
    threshold: f64,
    with_features: bool,
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

impl Labeller {
    /// The classifier of a model directory.
    ///
    /// # Errors
    /// When it is no classifier, or does not say how images are preprocessed.
    pub fn new(model: &ModelDir, device: &Device) -> anyhow::Result<Self> {
        let network = load(model, device)?;
        let Some(input) = model.preprocessor.clone() else {
            bail!("the model has no `preprocessor_config.json`, which says how images are read");
        };
        Ok(Self {
            network,
            labels: model.labels.clone(),
            input,
            device: device.clone(),
            augmented: Augmented::None,
            temperature: 1.0,
            threshold: 0.0,
            with_features: false,
        })
    }

    /// Labels images also in another way.
    #[must_use]
    pub fn augmented(mut self, augmented: Augmented) -> Self {
        self.augmented = augmented;
        self
    }

    /// Divides the logits by `temperature`, which is positive.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Gives images whose highest probability is below `threshold` the one label [`UNKNOWN`].
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Keeps what the head of the network reads of each image.
    #[must_use]
    pub fn with_features(mut self) -> Self {
        self.with_features = true;
        self
    }

    /// Labels every input in order with its `top_k` most probable classes, at most `batch_size` images a forward pass,
    /// and gives each batch's results to `sink`: soon after they have come where inputs come slowly. Memory does not
    /// grow with the number of inputs.
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
        let batch_size = batch_size.max(1);
        std::thread::scope(|scope| {
            let (found, inputs_found) = sync_channel::<Input>(batch_size);
            let (sender, receiver) = sync_channel::<Vec<Decoded>>(AHEAD);
            // The receivers are gone when labelling failed.
            scope.spawn(move || {
                for input in inputs {
                    if found.send(input).is_err() {
                        return;
                    }
                }
            });
            scope.spawn(move || {
                while let Some(batch) = next_batch(&inputs_found, batch_size) {
                    let decoded = batch
                        .into_par_iter()
                        .map(|input| Decoded::new(input, &self.input))
                        .collect();
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
        let mut predictions = Predictions::new(self.labels.len());
        let mut features = Vec::new();
        if !good.is_empty() {
            let mut values = vec![0f32; good.len() * size];
            for (pixels, values) in good.iter().zip(values.chunks_exact_mut(size)) {
                normaliser.apply(pixels, values);
            }
            let shape = (good.len(), height, width, channels);
            let images = Tensor::from_vec(values, shape, &self.device)?;
            let (read, logits) =
                on_worker(|| features_and_logits(&self.network, &images, self.augmented))?;
            // Nobody knows the classes.
            let unknown = vec![0; good.len()];
            predictions.extend(&logits.flatten_all()?.to_vec1()?, &unknown);
            if self.with_features {
                features = read.to_vec2::<f32>()?;
            }
        }
        let mut features = features.into_iter();
        let mut places = 0..predictions.len();
        let labelled = |decoded: Decoded| Labelled {
            multi_frame: decoded.image.as_ref().is_ok_and(|image| image.multi_frame),
            folder_class: self.folder_class(&decoded.path),
            features: match decoded.image {
                Ok(_) => features.next().unwrap_or_default(),
                Err(_) => Vec::new(),
            },
            outcome: decoded.image.map(|_| {
                let place = places.next();
                place.map_or(Vec::new(), |i| self.top(&predictions, i, top_k))
            }),
            path: decoded.path,
        };
        Ok(batch.into_iter().map(labelled).collect())
    }

    fn top(&self, predictions: &Predictions, i: usize, top_k: usize) -> Vec<Prediction> {
        let probabilities = predictions.probabilities(i, self.temperature);
        let highest = probabilities[predictions.predicted(i)];
        if highest < self.threshold {
            return vec![Prediction {
                label: UNKNOWN.to_owned(),
                index: None,
                probability: highest,
            }];
        }
        let prediction = |index: usize| Prediction {
            label: self.labels[index].clone(),
            index: Some(index),
            probability: probabilities[index],
        };
        let ranked = predictions.ranked(i, top_k);
        ranked.into_iter().map(prediction).collect()
    }

    /// The class that the folder of an image has the name of.
    fn folder_class(&self, path: &Path) -> Option<String> {
        let folder = path.parent()?.file_name()?.to_str()?;
        let class = classes::position(&self.labels, folder)?;
        Some(self.labels[class].clone())
    }
}

/// The next inputs, `most` at most; none after the last.
fn next_batch(inputs: &Receiver<Input>, most: usize) -> Option<Vec<Input>> {
    let mut batch = vec![inputs.recv().ok()?];
    let end = Instant::now() + PATIENCE;
    while batch.len() < most {
        let left = end.saturating_duration_since(Instant::now());
        match inputs.recv_timeout(left) {
            Ok(input) => batch.push(input),
            Err(_) => break,
        }
    }
    Some(batch)
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
