//! Batches of images as tensors, made on another thread while the network runs.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::{self, JoinHandle},
};

use candle_core::{Device, Result, Tensor, bail};
use gmnm_core::rng::Philox;
use rayon::prelude::*;

use super::{
    Images,
    augment::{Augmentation, Augmenter},
    mixing::{Mixer, Mixing},
    normalise::Normaliser,
    sampling::{Sampling, balanced},
};

/// Batches that wait, ready, for the network.
const AHEAD: usize = 2;

/// How a [`Loader`] makes batches.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Images in a batch.
    pub batch_size: usize,
    /// Mean of each channel, for pixels scaled to 0..=1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, for pixels scaled to 0..=1.
    pub std: Vec<f32>,
    /// Fixes the order and the augmentation of every epoch.
    pub seed: u64,
    /// A new order in every epoch; without it the images come in their own order.
    pub shuffle: bool,
    /// Leave out the last batch of an epoch when it is not full.
    pub drop_last: bool,
    /// How images are varied.
    pub augmentation: Augmentation,
    /// How often each class is shown in an epoch; of no effect without a new order.
    pub sampling: Sampling,
    /// How images are mixed.
    pub mixing: Mixing,
}

impl LoaderOptions {
    /// Batches for an evaluation: every image once, in order, as it is.
    pub fn evaluation(batch_size: usize, mean: &[f32], std: &[f32]) -> Self {
        Self {
            batch_size,
            mean: mean.into(),
            std: std.into(),
            seed: 0,
            shuffle: false,
            drop_last: false,
            augmentation: Augmentation::default(),
            sampling: Sampling::default(),
            mixing: Mixing::default(),
        }
    }
}

/// One batch on its device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, height, width, channels]`, f32: `(byte / 255 − mean) / std`.
    pub images: Tensor,
    /// `[batch]`, u32.
    pub labels: Tensor,
    /// The other images that these are mixed with.
    pub mixed: Option<Mixed>,
}

/// The second images of mixtures.
#[derive(Debug, Clone)]
pub struct Mixed {
    /// Their classes: `[batch]`, u32.
    pub labels: Tensor,
    /// The share of the first image in each mixture: `[batch]`, f32 in 0..=1.
    pub shares: Tensor,
}

/// Makes the batches of any epoch, from any step on.
///
/// The batches of (epoch, step) are the same bytes whether the epoch is begun there or before, on any
/// number of threads.
#[derive(Debug, Clone)]
pub struct Loader {
    images: Arc<Images>,
    indices: Arc<Vec<usize>>,
    options: Arc<LoaderOptions>,
    normaliser: Arc<Normaliser>,
}

impl Loader {
    /// A loader over the images with these indices (a split), or over all of them.
    ///
    /// # Errors
    /// When the batch size is 0, mean and deviation don't fit the channels, or an index is out of range.
    pub fn new(
        images: Arc<Images>,
        indices: Option<Vec<usize>>,
        options: LoaderOptions,
    ) -> Result<Self> {
        if options.batch_size == 0 {
            bail!("a batch of 0 images trains nothing; set a batch size of 1 or more");
        }
        if options.mean.len() != images.channels || options.std.len() != images.channels {
            bail!(
                "{} means and {} deviations do not fit images of {} channels; give one of each a channel",
                options.mean.len(),
                options.std.len(),
                images.channels
            );
        }
        let indices = indices.unwrap_or_else(|| (0..images.len()).collect());
        if let Some(index) = indices.iter().find(|&&index| index >= images.len()) {
            bail!(
                "there is no image {index} among {}; choose smaller indices",
                images.len()
            );
        }
        Ok(Self {
            normaliser: Arc::new(Normaliser::new(&options.mean, &options.std)),
            images,
            indices: Arc::new(indices),
            options: Arc::new(options),
        })
    }

    /// Images in an epoch; those of a last batch that is left out are counted too.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Batches in an epoch.
    pub fn steps(&self) -> usize {
        if self.options.drop_last {
            self.len() / self.options.batch_size
        } else {
            self.len().div_ceil(self.options.batch_size)
        }
    }

    /// The batches of one epoch, counted from 0, from `first_step` on.
    pub fn epoch(&self, epoch: u64, first_step: usize, device: &Device) -> Batches {
        let (sender, receiver) = sync_channel(AHEAD);
        let steps = first_step.min(self.steps())..self.steps();
        let left = steps.len();
        let loader = self.clone();
        let worker = thread::spawn(move || {
            let order = loader.order(epoch);
            for step in steps {
                let start = step * loader.options.batch_size;
                let end = (start + loader.options.batch_size).min(order.len());
                // The receiver is gone when the epoch is given up.
                if sender
                    .send(loader.host_batch(epoch, &order[start..end]))
                    .is_err()
                {
                    break;
                }
            }
        });
        Batches {
            receiver: Some(receiver),
            worker: Some(worker),
            left,
            image: [self.images.height, self.images.width, self.images.channels],
            device: device.clone(),
        }
    }

    /// How its batches are made.
    pub(super) fn options(&self) -> &LoaderOptions {
        &self.options
    }

    /// Whether its batches can be made on the host alone.
    pub(crate) fn needs_host(&self) -> bool {
        self.options.augmentation.distorts() || self.options.mixing != Mixing::default()
    }

    /// The draws of an epoch in the order in which they come: [`Self::image`] is the image of each.
    pub(super) fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.indices.as_ref().clone();
        if self.options.shuffle {
            let mut random = Philox::named(self.options.seed, &format!("order of epoch {epoch}"));
            match self.options.sampling {
                Sampling::Shuffled => random.shuffle(&mut order),
                Sampling::Balanced => {
                    let labels = &self.images.labels;
                    order = balanced(&order, labels, self.images.len(), &mut random);
                }
            }
        }
        order
    }

    /// The index of the image of a draw. An image that comes again in an epoch is drawn by another number, so that it is
    /// varied in another way.
    pub(super) fn image(&self, draw: usize) -> usize {
        draw % self.images.len().max(1)
    }

    /// What varies the images of an epoch, if anything does.
    pub(super) fn augmenter(&self, epoch: u64) -> Option<Augmenter> {
        let augmentation = self.options.augmentation;
        let shape = self.images.shape();
        (augmentation != Augmentation::default())
            .then(|| Augmenter::new(augmentation, shape, self.options.seed, epoch))
    }

    /// The classes of the images of these draws.
    pub(super) fn labels(&self, draws: &[usize]) -> Vec<u32> {
        let labels = draws
            .iter()
            .map(|&draw| self.images.labels[self.image(draw)]);
        labels.collect()
    }

    fn host_batch(&self, epoch: u64, draws: &[usize]) -> HostBatch {
        let LoaderOptions { seed, mixing, .. } = *self.options;
        let shape = self.images.shape();
        let augmenter = self.augmenter(epoch);
        let mixer = Mixer::new(mixing, shape, seed, epoch);
        let mixtures = mixer.map(|mixer| {
            let mixtures = draws.iter().map(|&draw| mixer.draw(draw, &self.indices));
            mixtures.collect::<Vec<_>>()
        });
        let show = |draw: usize, output: &mut [f32]| {
            let image = self.images.image(self.image(draw));
            match &augmenter {
                Some(augmenter) => augmenter.apply(draw, image, &self.normaliser, output),
                None => self.normaliser.apply(image, output),
            }
        };
        let mut pixels = vec![0f32; draws.len() * shape.len()];
        pixels
            .par_chunks_mut(shape.len().max(1))
            .zip(draws)
            .enumerate()
            .for_each(|(i, (output, &draw))| {
                show(draw, output);
                if let Some(mixture) = mixtures.as_ref().map(|mixtures| &mixtures[i]) {
                    let mut other = vec![0f32; output.len()];
                    show(mixture.other, &mut other);
                    mixture.apply(&other, output, shape);
                }
            });
        let mixed = mixtures.map(|mixtures| {
            let others: Vec<usize> = mixtures.iter().map(|mixture| mixture.other).collect();
            let shares = mixtures.iter().map(|mixture| mixture.share);
            (self.labels(&others), shares.collect())
        });
        HostBatch {
            pixels,
            labels: self.labels(draws),
            mixed,
        }
    }
}

struct HostBatch {
    pixels: Vec<f32>,
    labels: Vec<u32>,
    /// The classes of the other images of mixtures, and the shares of the first ones.
    mixed: Option<(Vec<u32>, Vec<f32>)>,
}

/// The batches of one epoch, in order. Dropping it stops the thread that makes them.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<HostBatch>>,
    worker: Option<JoinHandle<()>>,
    left: usize,
    image: [usize; 3],
    device: Device,
}

impl Batches {
    fn to_device(&self, batch: HostBatch) -> Result<Batch> {
        let count = batch.labels.len();
        let [height, width, channels] = self.image;
        let mixed = batch.mixed.map(|(labels, shares)| -> Result<Mixed> {
            Ok(Mixed {
                labels: Tensor::from_vec(labels, count, &self.device)?,
                shares: Tensor::from_vec(shares, count, &self.device)?,
            })
        });
        Ok(Batch {
            images: Tensor::from_vec(batch.pixels, (count, height, width, channels), &self.device)?,
            labels: Tensor::from_vec(batch.labels, count, &self.device)?,
            mixed: mixed.transpose()?,
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(match self.receiver.as_ref().map(Receiver::recv) {
            Some(Ok(batch)) => self.to_device(batch),
            _ => {
                self.left = 0;
                Err(candle_core::Error::Msg(
                    "the thread that makes the batches ended early; run again".into(),
                ))
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // Closing the channel first lets a waiting worker go.
        self.receiver.take();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ImageShape, augment::Flip},
        *,
    };

    fn images(count: usize) -> Arc<Images> {
        let mut images = Images::empty(ImageShape::new(3, 4, 2));
        for i in 0..count {
            let pixels: Vec<u8> = (0..24).map(|p| (i * 24 + p) as u8).collect();
            images.push(&pixels, i as u32);
        }
        Arc::new(images)
    }

    fn training(batch_size: usize) -> LoaderOptions {
        LoaderOptions {
            shuffle: true,
            drop_last: true,
            seed: 5,
            augmentation: Augmentation {
                flip: Flip::Random,
                translate: 1,
                cutout: 1,
                ..Augmentation::default()
            },
            ..LoaderOptions::evaluation(batch_size, &[0.5, 0.4], &[0.25, 0.2])
        }
    }

    fn collect(loader: &Loader, epoch: u64, first_step: usize) -> Vec<(Vec<f32>, Vec<u32>)> {
        loader
            .epoch(epoch, first_step, &Device::Cpu)
            .map(|batch| {
                let batch = batch.unwrap();
                (
                    batch.images.flatten_all().unwrap().to_vec1().unwrap(),
                    batch.labels.to_vec1().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn evaluation_sees_every_image_once_in_order() {
        let loader = Loader::new(
            images(7),
            None,
            LoaderOptions::evaluation(3, &[0.5, 0.4], &[0.25, 0.2]),
        )
        .unwrap();
        assert_eq!(loader.steps(), 3);
        let batches = collect(&loader, 0, 0);
        let labels: Vec<u32> = batches
            .iter()
            .flat_map(|(_, labels)| labels.clone())
            .collect();
        assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6]);
        let (pixels, labels) = &batches[2];
        assert_eq!(labels, &[6]);
        assert_eq!(pixels.len(), 24);
        assert_eq!(pixels[3], ((6 * 24 + 3) as f32 / 255.0 - 0.4) / 0.2);
        let batch = loader.epoch(0, 2, &Device::Cpu).next().unwrap().unwrap();
        assert_eq!(batch.images.dims(), [1, 3, 4, 2]);
    }

    #[test]
    fn training_shuffles_and_drops_the_partial_batch() {
        let loader = Loader::new(images(10), None, training(4)).unwrap();
        assert_eq!(loader.steps(), 2);
        let labels = |epoch| -> Vec<u32> {
            collect(&loader, epoch, 0)
                .into_iter()
                .flat_map(|(_, l)| l)
                .collect()
        };
        let (first, second) = (labels(0), labels(1));
        assert_eq!(first.len(), 8);
        assert_ne!(first, second);
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 8);
    }

    #[test]
    fn an_epoch_resumes_with_the_same_bytes() {
        let loader = Loader::new(images(40), None, training(4)).unwrap();
        let whole = collect(&loader, 3, 0);
        assert_eq!(collect(&loader, 3, 6), whole[6..]);
        assert_eq!(collect(&loader, 3, 99), []);
        let single = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let step = single.install(|| loader.host_batch(3, &[1, 2, 3]).pixels);
        assert_eq!(step, loader.host_batch(3, &[1, 2, 3]).pixels);
    }

    #[test]
    fn a_variation_does_not_depend_on_the_batch() {
        let loader = Loader::new(images(20), None, training(4)).unwrap();
        let alone = loader.host_batch(2, &[7]).pixels;
        let among = loader.host_batch(2, &[3, 7]).pixels;
        assert_eq!(alone, among[24..]);
    }

    #[test]
    fn mixed_and_distorted_batches_are_the_same_on_any_threads_and_from_any_step() {
        use super::super::augment::Jitter;
        let options = LoaderOptions {
            augmentation: Augmentation {
                crop: 0.5,
                policy: 2,
                jitter: Jitter {
                    brightness: 0.3,
                    ..Jitter::default()
                },
                ..training(4).augmentation
            },
            sampling: Sampling::Balanced,
            mixing: Mixing {
                mixup: 0.4,
                cutmix: 1.0,
            },
            ..training(4)
        };
        let loader = Loader::new(images(24), Some((4..20).collect()), options).unwrap();
        assert!(loader.needs_host());
        let batches = |first_step| {
            let batches = loader.epoch(1, first_step, &Device::Cpu);
            let values = |batch: Result<Batch>| {
                let batch = batch.unwrap();
                let mixed = batch.mixed.unwrap();
                let shares: Vec<f32> = mixed.shares.to_vec1().unwrap();
                let others: Vec<u32> = mixed.labels.to_vec1().unwrap();
                assert!(
                    others.iter().all(|other| (4..20).contains(other)),
                    "{others:?}"
                );
                let pixels: Vec<f32> = batch.images.flatten_all().unwrap().to_vec1().unwrap();
                (pixels, shares, others)
            };
            batches.map(values).collect::<Vec<_>>()
        };
        let whole = batches(0);
        assert_eq!(whole.len(), 4);
        assert!(
            whole
                .iter()
                .flat_map(|batch| &batch.1)
                .any(|share| *share < 1.0)
        );
        assert_eq!(batches(2), whole[2..]);
        let single = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let draws = loader.order(1);
        let alone = single.install(|| loader.host_batch(1, &draws[..4]).pixels);
        assert_eq!(alone, whole[0].0);
    }

    #[test]
    fn a_split_stays_within_its_indices() {
        let loader = Loader::new(images(10), Some(vec![2, 4, 6]), training(1)).unwrap();
        let mut labels: Vec<u32> = collect(&loader, 0, 0)
            .into_iter()
            .flat_map(|(_, l)| l)
            .collect();
        labels.sort_unstable();
        assert_eq!(labels, [2, 4, 6]);
    }

    #[test]
    fn an_epoch_given_up_early_ends_its_thread() {
        let loader = Loader::new(images(40), None, training(1)).unwrap();
        let mut epoch = loader.epoch(0, 0, &Device::Cpu);
        epoch.next().unwrap().unwrap();
        drop(epoch);
        assert_eq!(Arc::strong_count(&loader.images), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |indices, options| {
            Loader::new(images(2), indices, options)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(None, training(0)).contains("batch size"));
        assert!(refused(Some(vec![2]), training(1)).contains("no image 2 among 2"));
        assert!(refused(None, LoaderOptions::evaluation(1, &[0.5], &[0.5])).contains("2 channels"));
    }
}
