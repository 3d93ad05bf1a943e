//! What is known of a trained network once it was measured example by example: figures and the examples that it does
//! worst, as data. Nothing here computes a network, draws or prints.

mod calibration;
mod classes;
mod predictions;

pub use calibration::{BINS, Bin, Calibration, fit_temperature};
pub use classes::{Averages, ClassFigures, ClassScore, Confused, TopK};
pub use predictions::Predictions;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is done with an image at test time besides labelling it as it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Augmented {
    /// Nothing.
    #[default]
    None,
    /// The mirror image is labelled, too: the logits are the mean of both.
    Flip,
}

/// How a network is to be examined.
#[derive(Debug, Clone, Copy, Default)]
pub struct Examination {
    /// Test-time augmentation of images.
    pub augmented: Augmented,
    /// Whether a temperature is fitted, where the family has one.
    pub fit: bool,
    /// How the training held examples out, where the data are those of the training.
    pub held_out: Option<HeldOut>,
    /// How many of the worst examples are kept for drawings.
    pub worst: usize,
}

/// How a training held examples out to watch itself, where the dataset has no part for that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOut {
    /// The part of the training examples, in 0..1.
    pub fraction: f64,
    /// The seed of the choice.
    pub seed: u64,
}

/// What came of an examination.
#[derive(Debug)]
pub struct Examined {
    /// The measures of the family on the test part, as an evaluation gives them.
    pub measures: Vec<f64>,
    /// What else was found.
    pub findings: Findings,
}

/// What an examination finds, by kind of task.
#[derive(Debug)]
pub enum Findings {
    /// Nothing besides the measures.
    None,
    /// Of a classifier of images.
    Classes(Box<ClassFindings>),
}

/// What was found of a classifier of images.
#[derive(Debug)]
pub struct ClassFindings {
    /// The figures of the test part.
    pub figures: ClassFigures,
    /// What it said of each test image.
    pub predictions: Predictions,
    /// The temperature that was fitted, or why there is none, as a part of a sentence.
    pub temperature: Result<Tempered, String>,
    /// The surest of the wrong labels, the surest first.
    pub mistakes: Vec<Mistake>,
    /// Height, width and channels of the images of the mistakes.
    pub shape: (usize, usize, usize),
}

/// A temperature that was fitted to held-out examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tempered {
    /// Examples that it was fitted to.
    pub examples: usize,
    /// How good the probabilities of the test part are with it.
    #[serde(flatten)]
    pub calibration: Calibration,
}

/// An image with a wrong label.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Its number in the test part, from 0.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The class that it was taken for.
    pub predicted: usize,
    /// The probability of that class.
    pub probability: f64,
    /// Its pixels, `[height, width, channels]`.
    pub image: Vec<u8>,
    /// Where the network looked, `[height, width]` from 0 to 1: Grad-CAM of the predicted class at the last stage of
    /// convolutions.
    pub heat: Vec<f32>,
}
