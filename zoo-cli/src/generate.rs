//! What an image generator makes of images, and what it makes up, on one sheet.

use std::io::Cursor;

use anyhow::{Context, bail};
use candle_core::{Device, Tensor};
use gmnm_core::rng::Philox;
use image::{ImageFormat, Rgb, RgbImage};
use models::generator::Generator;
use models::{ModelDir, Preprocessor};

use crate::data::ImageShape;
use crate::data::normalise::Normaliser;
use crate::families::reconstruction::{self, quality};

/// Images side by side.
const COLUMNS: usize = 8;
/// Rows of interpolations at most.
const INTERPOLATIONS: usize = 4;
/// The longer edge of a tile is at least this many pixels, where whole multiples of the image allow it.
const LEAST_EDGE: usize = 64;
/// White pixels between tiles, and between groups of rows.
const GAP: usize = 2;
const GROUP_GAP: usize = 12;

/// The most originals on one sheet.
pub const MAX_ORIGINALS: usize = 64;

/// A generator with its preprocessing.
#[derive(Debug)]
pub struct Painter {
    network: Generator,
    input: Preprocessor,
    device: Device,
}

/// What a [`Painter`] draws.
#[derive(Debug)]
pub struct Painted {
    /// The sheet as the bytes of a PNG file. From the top: originals, each row with its reconstructions below;
    /// samples; in each of the last rows, the way from one original (or sample, where there are fewer than two
    /// originals) to the next in equal steps of the latent vector.
    pub png: Vec<u8>,
    /// Means over the originals of mean squared error, PSNR and SSIM, in the order of
    /// [`reconstruction::MEASURES`]; none without originals.
    pub quality: Option<[f64; 3]>,
}

impl Painter {
    /// The generator of a model directory.
    ///
    /// # Errors
    /// When it is no generator, or does not say how images are read.
    pub fn new(model: &ModelDir, device: &Device) -> anyhow::Result<Self> {
        let (network, input) = reconstruction::load(model, device)?;
        Ok(Self {
            network,
            input,
            device: device.clone(),
        })
    }

    /// The input of the network, which originals must be brought to.
    pub fn input(&self) -> &Preprocessor {
        &self.input
    }

    /// Draws `originals`, `[height, width, channels]` bytes each, and `samples` samples, which `seed` fixes.
    ///
    /// # Errors
    /// When an original has another size, there is nothing to draw, or the network fails.
    pub fn draw(
        &self,
        originals: &[Vec<u8>],
        samples: usize,
        seed: u64,
    ) -> anyhow::Result<Painted> {
        if originals.is_empty() && samples == 0 {
            bail!("there is nothing to draw; give images, or ask for samples with `--samples`");
        }
        let mut groups = Vec::new();
        let (mut ends, mut measured) = (Vec::new(), None);
        if !originals.is_empty() {
            let images = self.normalised(originals)?;
            let latents = self.network.encode(&images, false)?;
            let outputs = self.network.decode(&latents, false)?;
            let statistics = (self.input.mean.as_slice(), self.input.std.as_slice());
            let each = quality(&outputs, &images, statistics)?;
            let mean = |i: usize| each.iter().map(|q| q[i]).sum::<f64>() / each.len() as f64;
            measured = Some([mean(0), mean(1), mean(2)]);
            let outputs = self.tiles(&outputs)?;
            for (above, below) in originals.chunks(COLUMNS).zip(outputs.chunks(COLUMNS)) {
                groups.push(vec![above.to_vec(), below.to_vec()]);
            }
            ends.push(latents);
        }
        if samples > 0 {
            let length = self.network.config().latent;
            let mut rng = Philox::named(seed, "samples");
            let noise: Vec<f32> = (0..samples * length).map(|_| rng.normal() as f32).collect();
            let noise = Tensor::from_vec(noise, (samples, length), &self.device)?;
            let latents = self.network.latents().sample(&noise)?;
            let tiles = self.tiles(&self.network.decode(&latents, false)?)?;
            groups.push(tiles.chunks(COLUMNS).map(<[_]>::to_vec).collect());
            ends.push(latents);
        }
        let two = |latents: &&Tensor| latents.dim(0).is_ok_and(|n| n >= 2);
        if let Some(latents) = ends.iter().find(two) {
            groups.push(self.between(latents)?);
        }
        Ok(Painted {
            png: self.sheet(&groups)?,
            quality: measured,
        })
    }

    /// Rows from each latent vector to the next.
    fn between(&self, latents: &Tensor) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let rows = (latents.dim(0)? - 1).min(INTERPOLATIONS);
        (0..rows)
            .map(|i| {
                let (from, to) = (latents.narrow(0, i, 1)?, latents.narrow(0, i + 1, 1)?);
                let steps: Vec<Tensor> = (0..COLUMNS)
                    .map(|step| {
                        let part = step as f64 / (COLUMNS - 1) as f64;
                        (&from * (1.0 - part))? + (&to * part)?
                    })
                    .collect::<candle_core::Result<_>>()?;
                self.tiles(&self.network.decode(&Tensor::cat(&steps, 0)?, false)?)
            })
            .collect()
    }

    fn normalised(&self, images: &[Vec<u8>]) -> anyhow::Result<Tensor> {
        let shape = self.shape();
        if images.iter().any(|image| image.len() != shape.len()) {
            bail!("an image has another size than the network's input");
        }
        let normaliser = Normaliser::new(&self.input.mean, &self.input.std);
        let mut values = vec![0f32; images.len() * shape.len()];
        for (image, values) in images.iter().zip(values.chunks_exact_mut(shape.len())) {
            normaliser.apply(image, values);
        }
        let shape = (images.len(), shape.height, shape.width, shape.channels);
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }

    fn shape(&self) -> ImageShape {
        ImageShape::new(self.input.height, self.input.width, self.input.channels)
    }

    /// Outputs of the network as the bytes of images.
    fn tiles(&self, outputs: &Tensor) -> anyhow::Result<Vec<Vec<u8>>> {
        let values = outputs.flatten_all()?.to_vec1::<f32>()?;
        let byte = |value: &f32| (value * 255.0).round() as u8;
        let image = |values: &[f32]| {
            let pixels = reconstruction::pixels(values, &self.input.mean, &self.input.std);
            pixels.iter().map(byte).collect()
        };
        Ok(values.chunks_exact(self.shape().len()).map(image).collect())
    }

    /// Groups of rows of tiles on white.
    fn sheet(&self, groups: &[Vec<Vec<Vec<u8>>>]) -> anyhow::Result<Vec<u8>> {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape();
        let scale = (LEAST_EDGE / height.max(width)).max(1);
        let rows: usize = groups.iter().map(Vec::len).sum();
        let total_height = rows * (height * scale + GAP) + groups.len() * GROUP_GAP + GROUP_GAP;
        let total_width = COLUMNS * (width * scale + GAP) + 2 * GROUP_GAP;
        let mut sheet =
            RgbImage::from_pixel(total_width as u32, total_height as u32, Rgb([255; 3]));
        let mut top = GROUP_GAP;
        for group in groups {
            for row in group {
                for (column, tile) in row.iter().enumerate() {
                    let left = GROUP_GAP + column * (width * scale + GAP);
                    for (i, pixel) in tile.chunks_exact(channels).enumerate() {
                        // Grey images have one channel for all three colours.
                        let color = [0, 1, 2].map(|c| pixel[c.min(channels - 1)]);
                        let (x, y) = (left + i % width * scale, top + i / width * scale);
                        for (dx, dy) in (0..scale * scale).map(|d| (d % scale, d / scale)) {
                            sheet.put_pixel((x + dx) as u32, (y + dy) as u32, Rgb(color));
                        }
                    }
                }
                top += height * scale + GAP;
            }
            top += GROUP_GAP;
        }
        let mut bytes = Cursor::new(Vec::new());
        sheet
            .write_to(&mut bytes, ImageFormat::Png)
            .context("the sheet cannot be written as PNG")?;
        Ok(bytes.into_inner())
    }
}
