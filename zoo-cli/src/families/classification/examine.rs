//! A trained classifier image by image.

use candle_core::{Device, Tensor};
use gmnm_core::on_worker;
use gmnm_core::ops::cross_entropy;
use models::ModelDir;
use models::classifier::Classifier;

use super::grad_cam::{enlarged, grad_cam};
use super::{Classification, Labelled, load, settings, sums};
use crate::data::split::hold_out;
use crate::data::{ImageDataset, Images};
use crate::evaluation::{
    Augmented, Calibration, ClassFigures, ClassFindings, Examination, Examined, Findings, HeldOut,
    Mistake, Predictions, Tempered, fit_temperature,
};
use crate::families::image_parts::ImageParts;
use crate::train::{Part, Watch, measure};

/// The logits of normalised images `[n, height, width, channels]`, and what the head reads: with
/// [`Augmented::Flip`] the means over each image and its mirror image. The head is linear, so that the mean of the
/// logits is what it makes of the mean.
///
/// # Errors
/// When the images do not fit the network.
pub fn features_and_logits(
    network: &Classifier,
    images: &Tensor,
    augmented: Augmented,
) -> candle_core::Result<(Tensor, Tensor)> {
    let of = |images: &Tensor| network.features(&network.stages(images, false)?, false);
    let mut features = of(images)?;
    if augmented == Augmented::Flip {
        let mirrored = of(&images.flip(&[2])?.contiguous()?)?;
        features = ((features + mirrored)? * 0.5)?;
    }
    let logits = network.logits(&features)?;
    Ok((features, logits))
}

impl Labelled {
    /// Measures `model` on the test part, and what else is found of it.
    pub(super) fn examined(
        mut self,
        model: &ModelDir,
        device: &Device,
        watch: &dyn Watch,
        how: &Examination,
    ) -> anyhow::Result<Examined> {
        self.data.align_labels(&model.labels)?;
        let held_out = match how.fit {
            true => held_out(&mut self.data, how.held_out),
            false => Err("none was asked for".to_owned()),
        };
        let (held_out, missing) = match held_out {
            Ok(images) => (Some(images), None),
            Err(reason) => (None, Some(reason)),
        };
        let parts = ImageParts::evaluation(self.data.test, held_out, model, device)?;
        let task = Classification::evaluation(settings(&model.config)?, parts);
        let network = load(model, device)?;
        let batch_size = self.evaluation_batch_size;
        let labelled = |part| task.labelled(&network, part, batch_size, watch, how.augmented);
        let (measures, predictions) = labelled(Part::Test)?;
        anyhow::ensure!(
            predictions.is_finite(),
            "the outputs of `{}` are not finite, so that there is nothing to report; train it again with a smaller \
             `optimizer.learning_rate`",
            model.model
        );
        let temperature = match missing {
            Some(reason) => Err(reason),
            None => {
                let (_, held_out) = labelled(Part::Validation)?;
                fit_temperature(&held_out).map(|temperature| Tempered {
                    examples: held_out.len(),
                    calibration: Calibration::of(&predictions, temperature),
                })
            }
        };
        let test = task.parts.test();
        Ok(Examined {
            measures,
            findings: Findings::Classes(Box::new(ClassFindings {
                figures: ClassFigures::of(&predictions, &model.labels),
                mistakes: task.mistakes(&network, &predictions, how.worst)?,
                shape: (test.height, test.width, test.channels),
                predictions,
                temperature,
            })),
        })
    }
}

/// The images that training watched, or why there are none.
fn held_out(data: &mut ImageDataset, how: Option<HeldOut>) -> Result<Images, String> {
    if let Some(validation) = data.validation.take() {
        return Ok(validation);
    }
    let Some(how) = how else {
        return Err(format!(
            "`{}` has no validation part, and is not what the network was trained on",
            data.source.name
        ));
    };
    let (_, held_out) = hold_out(&data.train.labels, how.fraction, how.seed);
    match held_out.is_empty() {
        true => Err("the training held no images out (`validation.fraction` of its recipe)".into()),
        false => Ok(data.train.select(&held_out)),
    }
}

impl Classification {
    /// The measures of a part, and what the network says of each image of it.
    fn labelled(
        &self,
        network: &Classifier,
        part: Part,
        batch_size: usize,
        watch: &dyn Watch,
        augmented: Augmented,
    ) -> anyhow::Result<(Vec<f64>, Predictions)> {
        let mut predictions = Predictions::new(self.config.classes);
        let measures = measure(&self.parts, part, batch_size, watch, |batch| {
            let logits = on_worker(|| match augmented {
                // The bits of every other evaluation.
                Augmented::None => network.forward(&batch.images, false),
                Augmented::Flip => {
                    features_and_logits(network, &batch.images, augmented).map(|(_, logits)| logits)
                }
            })?;
            let values = logits.flatten_all()?.to_vec1::<f32>()?;
            predictions.extend(&values, &batch.labels.to_vec1()?);
            let loss = cross_entropy(&logits, &batch.labels, 0.0)?;
            sums(&loss, &logits, &batch.labels)
        })?;
        Ok((measures, predictions))
    }

    /// The `most` wrong labels of the test part that the network is surest of, with where it looked.
    fn mistakes(
        &self,
        network: &Classifier,
        predictions: &Predictions,
        most: usize,
    ) -> anyhow::Result<Vec<Mistake>> {
        let wrong = (0..predictions.len()).filter(|&i| predictions.rank(i) > 0);
        let mut wrong: Vec<(usize, f64)> = wrong
            .map(|i| {
                (
                    i,
                    predictions.probabilities(i, 1.0)[predictions.predicted(i)],
                )
            })
            .collect();
        wrong.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        wrong.truncate(most);
        if wrong.is_empty() {
            return Ok(Vec::new());
        }
        let images = self
            .parts
            .test_images(wrong.iter().map(|(i, _)| *i).collect())?;
        let classes: Vec<u32> = wrong
            .iter()
            .map(|(i, _)| predictions.predicted(*i) as u32)
            .collect();
        let classes = Tensor::new(classes, images.device())?;
        let maps = on_worker(|| grad_cam(network, &images, &classes))?;
        let (_, rows, columns) = maps.dims3()?;
        let maps = maps.flatten_all()?.to_vec1::<f32>()?;
        let test = self.parts.test();
        let mistake = |((index, probability), map): ((usize, f64), &[f32])| Mistake {
            index,
            label: predictions.label(index),
            predicted: predictions.predicted(index),
            probability,
            image: test.image(index).to_vec(),
            heat: enlarged(map, (rows, columns), (test.height, test.width)),
        };
        let maps = maps.chunks_exact(rows * columns);
        Ok(wrong.into_iter().zip(maps).map(mistake).collect())
    }
}
