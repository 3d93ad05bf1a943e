//! Images that lie on a device as bytes, and the batches of a [`Loader`] made there.
//!
//! The host draws order and augmentation as ever, from the same generators; only indices go to the device, for
//! 64 steps at once. The pixels are then selected, flipped, shifted, normalised and cut out there.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

use super::augment::{Augmenter, Variation};
use super::loader::{Batch, Loader};
use super::{ImageShape, Images};

/// The most bytes of pixels that are kept on a device; larger datasets are sent batch by batch.
pub const BUDGET: usize = 2 << 30;

/// Steps whose indices go to the device at once: a transfer may wait for what is queued there.
const BLOCK: usize = 64;

/// The pixels of some images on a device.
#[derive(Debug, Clone)]
pub struct Resident {
    /// u8, a row for each line of each image: `[count · height, width · channels]`.
    lines: Tensor,
    shape: ImageShape,
}

impl Resident {
    /// `images` on `device`; none where the device is the CPU, which has them anyway, or where they are above
    /// [`BUDGET`].
    ///
    /// # Errors
    /// When the device refuses them.
    pub fn on(device: &Device, images: &Images) -> Result<Option<Self>> {
        if device.is_cpu() || images.is_empty() || images.pixels.len() > BUDGET {
            return Ok(None);
        }
        Self::new(device, images).map(Some)
    }

    fn new(device: &Device, images: &Images) -> Result<Self> {
        let shape = images.shape();
        let lines = (images.len() * shape.height, shape.width * shape.channels);
        Ok(Self {
            lines: Tensor::from_slice(&images.pixels, lines, device)?,
            shape,
        })
    }

    /// The batches that `loader`, a loader over the same images, gives for one epoch from `first_step` on; its images are
    /// neither mixed nor changed in more than their places, which is done on the host alone.
    ///
    /// # Errors
    /// When the device refuses mean and deviation, or the loader's batches cannot be made there.
    pub fn epoch(&self, loader: &Loader, epoch: u64, first_step: usize) -> Result<ResidentBatches> {
        if loader.needs_host() {
            candle_core::bail!(
                "images that are mixed or distorted are made on the host; take them from the loader"
            );
        }
        let (device, options) = (self.lines.device(), loader.options());
        let channels = options.mean.len();
        Ok(ResidentBatches {
            images: self.clone(),
            order: loader.order(epoch),
            augmenter: loader.augmenter(epoch),
            scale: Tensor::full(255f32, channels, device)?,
            mean: Tensor::new(options.mean.as_slice(), device)?,
            std: Tensor::new(options.std.as_slice(), device)?,
            steps: first_step.min(loader.steps())..loader.steps(),
            block: None,
            loader: loader.clone(),
        })
    }
}

/// The batches of one epoch, in order.
#[derive(Debug)]
pub struct ResidentBatches {
    images: Resident,
    loader: Loader,
    order: Vec<usize>,
    augmenter: Option<Augmenter>,
    scale: Tensor,
    mean: Tensor,
    std: Tensor,
    steps: Range<usize>,
    block: Option<Block>,
}

/// What the device must know of some steps.
#[derive(Debug)]
struct Block {
    steps: Range<usize>,
    /// `[images]`, u32.
    labels: Tensor,
    /// The line of [`Resident`] for each line of each image: `[images · height]`, u32.
    lines: Tensor,
    varied: Option<Varied>,
}

/// What the device must know of variations.
#[derive(Debug)]
struct Varied {
    /// For each column of each image, the column that it was among those of its batch: `[images · width]`, u32.
    columns: Tensor,
    /// Which rows and columns are cut out: `[images, height, 1]` and `[images, 1, width]`, f32, 1 where they are.
    holes: Option<[Tensor; 2]>,
}

impl ResidentBatches {
    /// Positions in the order that some steps take.
    fn positions(&self, steps: &Range<usize>) -> Range<usize> {
        let size = self.loader.options().batch_size;
        let end = (steps.end * size).min(self.order.len());
        (steps.start * size).min(end)..end
    }

    fn block(&self, steps: Range<usize>) -> Result<Block> {
        let device = self.images.lines.device();
        let ImageShape { height, width, .. } = self.images.shape;
        let chosen = &self.order[self.positions(&steps)];
        let labels = Tensor::from_vec(self.loader.labels(chosen), chosen.len(), device)?;
        let drawn: Option<Vec<Variation>> = self
            .augmenter
            .as_ref()
            .map(|augmenter| chosen.par_iter().map(|&i| augmenter.draw(i)).collect());
        let mut lines = Vec::with_capacity(chosen.len() * height);
        for (i, &draw) in chosen.iter().enumerate() {
            let image = self.loader.image(draw);
            let line = |row: usize| (image * height + row) as u32;
            match &drawn {
                Some(drawn) => lines.extend(drawn[i].rows.iter().map(|&row| line(row))),
                None => lines.extend((0..height).map(line)),
            }
        }
        let varied = drawn.map(|drawn| -> Result<Varied> {
            let batch_size = self.loader.options().batch_size;
            let mut columns = Vec::with_capacity(drawn.len() * width);
            for (i, variation) in drawn.iter().enumerate() {
                let first = i % batch_size * width;
                columns.extend(variation.columns.iter().map(|&c| (first + c) as u32));
            }
            let cut = self.loader.options().augmentation.cutout > 0;
            let holes = |axis: usize, size: usize| -> Result<Tensor> {
                let inside = drawn.iter().flat_map(|v| {
                    let hole = &v.hole[axis];
                    (0..size).map(|i| f32::from(u8::from(hole.contains(&i))))
                });
                Tensor::from_vec(inside.collect::<Vec<f32>>(), (drawn.len(), size), device)
            };
            Ok(Varied {
                columns: Tensor::from_vec(columns, drawn.len() * width, device)?,
                holes: match cut {
                    true => Some([
                        holes(0, height)?.unsqueeze(2)?,
                        holes(1, width)?.unsqueeze(1)?,
                    ]),
                    false => None,
                },
            })
        });
        Ok(Block {
            steps,
            labels,
            lines: Tensor::from_vec(lines, chosen.len() * height, device)?,
            varied: varied.transpose()?,
        })
    }

    fn batch(&self, block: &Block, step: usize) -> Result<Batch> {
        let ImageShape {
            height,
            width,
            channels,
        } = self.images.shape;
        let first = self.positions(&block.steps).start;
        let positions = self.positions(&(step..step + 1));
        let (start, count) = (positions.start - first, positions.len());
        let lines = block.lines.narrow(0, start * height, count * height)?;
        let pixels = self.images.lines.index_select(&lines, 0)?;
        let mut pixels = pixels.reshape((count, height, width, channels))?;
        if let Some(varied) = &block.varied {
            // Columns first, so that each is a row to select.
            let columns = pixels.transpose(1, 2)?.contiguous()?;
            let columns = columns.reshape((count * width, height * channels))?;
            let chosen = varied.columns.narrow(0, start * width, count * width)?;
            let columns = columns.index_select(&chosen, 0)?;
            pixels = columns
                .reshape((count, width, height, channels))?
                .transpose(1, 2)?
                .contiguous()?;
        }
        let mut images = pixels
            .to_dtype(DType::F32)?
            .broadcast_div(&self.scale)?
            .broadcast_sub(&self.mean)?
            .broadcast_div(&self.std)?;
        if let Some([rows, columns]) = block.varied.as_ref().and_then(|v| v.holes.as_ref()) {
            let rows = rows.narrow(0, start, count)?;
            let hole = rows.broadcast_mul(&columns.narrow(0, start, count)?)?;
            images = images.broadcast_mul(&hole.affine(-1.0, 1.0)?.unsqueeze(3)?)?;
        }
        Ok(Batch {
            images,
            labels: block.labels.narrow(0, start, count)?,
            mixed: None,
        })
    }
}

impl Iterator for ResidentBatches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.steps.next()?;
        let block = match self
            .block
            .take()
            .filter(|block| block.steps.contains(&step))
        {
            Some(block) => Ok(block),
            None => self.block(step..(step + BLOCK).min(self.steps.end)),
        };
        let batch = block.and_then(|block| {
            let batch = self.batch(&block, step)?;
            self.block = Some(block);
            Ok(batch)
        });
        if batch.is_err() {
            self.steps = 0..0;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::augment::{Augmentation, Flip};
    use super::super::loader::LoaderOptions;
    use super::super::sampling::Sampling;
    use super::*;

    fn images(count: usize, shape: ImageShape) -> Arc<Images> {
        let mut images = Images::empty(shape);
        for i in 0..count {
            let pixels: Vec<u8> = (0..shape.len()).map(|p| (i * 31 + p * 7) as u8).collect();
            images.push(&pixels, i as u32 % 5);
        }
        Arc::new(images)
    }

    fn values(batch: &Batch) -> (Vec<usize>, Vec<f32>, Vec<u32>) {
        (
            batch.images.dims().to_vec(),
            batch.images.flatten_all().unwrap().to_vec1().unwrap(),
            batch.labels.to_vec1().unwrap(),
        )
    }

    fn assert_same(images: &Arc<Images>, indices: Option<Vec<usize>>, options: LoaderOptions) {
        let loader = Loader::new(images.clone(), indices, options).unwrap();
        let resident = Resident::new(&Device::Cpu, images).unwrap();
        for (epoch, first_step) in [(0, 0), (1, 0), (4, 1), (0, 999)] {
            let host: Vec<_> = loader
                .epoch(epoch, first_step, &Device::Cpu)
                .map(|batch| values(&batch.unwrap()))
                .collect();
            let ours: Vec<_> = resident
                .epoch(&loader, epoch, first_step)
                .unwrap()
                .map(|batch| values(&batch.unwrap()))
                .collect();
            assert_eq!(host.len(), ours.len());
            assert_eq!(host.len(), loader.steps().saturating_sub(first_step));
            for ((dims, pixels, labels), (our_dims, our_pixels, our_labels)) in
                host.iter().zip(&ours)
            {
                assert_eq!((dims, labels), (our_dims, our_labels));
                let apart = pixels.iter().zip(our_pixels).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0f32, f32::max) <= 1e-6);
            }
        }
    }

    #[test]
    fn batches_are_those_of_the_host() {
        for shape in [
            ImageShape::new(5, 7, 3),
            ImageShape::new(1, 1, 1),
            ImageShape::new(6, 2, 1),
        ] {
            let images = images(23, shape);
            let mean: Vec<f32> = (0..shape.channels).map(|c| 0.4 + 0.1 * c as f32).collect();
            let std: Vec<f32> = (0..shape.channels).map(|c| 0.2 + 0.05 * c as f32).collect();
            let plain = LoaderOptions::evaluation(4, &mean, &std);
            // Every image in order, the last batch not full; and a split of them.
            assert_same(&images, None, plain.clone());
            assert_same(&images, Some(vec![20, 3, 4, 9, 0]), plain.clone());
            for flip in [Flip::None, Flip::Random, Flip::Alternating] {
                for (translate, cutout) in [(0, 0), (2, 0), (0, 3), (9, 1)] {
                    let options = LoaderOptions {
                        shuffle: true,
                        drop_last: true,
                        seed: 5,
                        augmentation: Augmentation {
                            flip,
                            translate,
                            cutout,
                            ..Augmentation::default()
                        },
                        ..plain.clone()
                    };
                    assert_same(&images, None, options.clone());
                    let balanced = LoaderOptions {
                        sampling: Sampling::Balanced,
                        ..options.clone()
                    };
                    assert_same(&images, Some((3..16).collect()), balanced);
                    assert_same(&images, Some((3..16).collect()), options);
                }
            }
        }
    }

    #[test]
    fn blocks_join_without_a_seam() {
        let shape = ImageShape::new(2, 3, 1);
        let images = images(2 * BLOCK + 3, shape);
        let options = LoaderOptions {
            shuffle: true,
            seed: 1,
            augmentation: Augmentation {
                flip: Flip::Random,
                translate: 1,
                cutout: 1,
                ..Augmentation::default()
            },
            ..LoaderOptions::evaluation(1, &[0.5], &[0.25])
        };
        assert_same(&images, None, options);
    }

    #[test]
    fn the_cpu_keeps_no_second_copy() {
        let images = images(2, ImageShape::new(1, 1, 1));
        assert!(Resident::on(&Device::Cpu, &images).unwrap().is_none());
    }
}
