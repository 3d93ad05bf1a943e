//! Resizing as the Python imaging library does it: separable filters whose support grows when an image
//! shrinks, so that nothing aliases.
//!
//! New models resize bytes as it does, to one level: along the rows first, rounded and cut off at 0 and 255, then along
//! the columns. Models of before keep the pass over floats that their files record.
//!
//! A crop after a resize is computed without the pixels that it throws away: a 1×60,000 image that is
//! scaled to cover 32×32 never becomes 32×1,920,000.

use std::ops::Range;

use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeError, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::{U8, U8x3},
};
use models::preprocessor::{Interpolation, Preprocessor, ResamplePrecision, ResizeRule};

/// One axis: `source` pixels are resized to `scaled`, of which `target` from `offset` on are wanted.
#[derive(Clone, Copy)]
struct Axis {
    source: usize,
    scaled: usize,
    offset: usize,
    target: usize,
}

/// The source pixels and weights that make each target pixel along one axis: the first source index and the weights
/// from there on.
type Taps = Vec<(usize, Vec<f32>)>;

fn filter(interpolation: Interpolation, x: f64) -> f64 {
    // A pixel whose centre is on a border of boxes belongs to the one above.
    if interpolation == Interpolation::Box {
        return f64::from(u8::from(x > -0.5 && x <= 0.5));
    }
    let x = x.abs();
    match interpolation {
        Interpolation::Nearest | Interpolation::Box => f64::from(u8::from(x <= 0.5)),
        Interpolation::Bilinear => (1.0 - x).max(0.0),
        // Keys' kernel with a = −½.
        Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        Interpolation::Bicubic => 0.0,
        Interpolation::Lanczos if x >= 3.0 => 0.0,
        Interpolation::Lanczos => {
            let sinc = |x: f64| {
                let angle = std::f64::consts::PI * x;
                if x == 0.0 { 1.0 } else { angle.sin() / angle }
            };
            sinc(x) * sinc(x / 3.0)
        }
    }
}

impl Axis {
    /// Source pixels to a scaled one.
    fn scale(&self) -> f64 {
        self.source as f64 / self.scaled as f64
    }

    /// How far a filter reaches to both sides of a pixel's centre.
    fn radius(&self, interpolation: Interpolation) -> f64 {
        let radius = match interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => 0.5,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        };
        radius * self.scale().max(1.0)
    }

    fn taps(&self, interpolation: Interpolation) -> Taps {
        let (scale, radius) = (self.scale(), self.radius(interpolation));
        let stretch = scale.max(1.0);
        (self.offset..self.offset + self.target)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                if interpolation == Interpolation::Nearest {
                    return ((centre as usize).min(self.source - 1), vec![1.0]);
                }
                let first = (centre - radius + 0.5).max(0.0) as usize;
                let end = ((centre + radius + 0.5) as usize)
                    .min(self.source)
                    .max(first + 1);
                let weights: Vec<f64> = (first..end)
                    .map(|j| filter(interpolation, (j as f64 + 0.5 - centre) / stretch))
                    .collect();
                let sum: f64 = weights.iter().sum();
                (first, weights.iter().map(|w| (w / sum) as f32).collect())
            })
            .collect()
    }

    /// Where the wanted pixels begin in the source and how far they go.
    fn window(&self) -> (f64, f64) {
        let start = self.offset as f64 * self.scale();
        let length = (self.target as f64 * self.scale()).min(self.source as f64 - start);
        (start, length)
    }

    /// The source pixels that the wanted ones need, and perhaps one more at each end.
    fn needed(&self, interpolation: Interpolation) -> Range<usize> {
        let ((start, length), radius) = (self.window(), self.radius(interpolation));
        let first = (start - radius - 1.0).max(0.0) as usize;
        let end = ((start + length + radius + 2.0) as usize).min(self.source);
        first..end
    }
}

/// The source indices that any target pixel needs.
fn span(taps: &Taps) -> Range<usize> {
    let start = taps.iter().map(|(first, _)| *first).min().unwrap_or(0);
    let end = taps
        .iter()
        .map(|(first, weights)| first + weights.len())
        .max();
    start..end.unwrap_or(start)
}

/// The two axes (from row to row, from column to column) that bring `height` × `width` to the preprocessor's size by
/// its rule.
fn axes(height: usize, width: usize, to: &Preprocessor) -> (Axis, Axis) {
    let (scaled_height, scaled_width) = match to.resize {
        ResizeRule::Stretch => (to.height, to.width),
        // The shorter edge becomes the longer edge of the target, the other follows, rounded down.
        ResizeRule::Crop => {
            let (edge, shorter) = (to.height.max(to.width), height.min(width));
            let scaled = |size: usize| (edge as u128 * size as u128 / shorter as u128) as usize;
            (scaled(height), scaled(width))
        }
    };
    let axis = |source, scaled: usize, target| Axis {
        source,
        scaled,
        offset: (scaled - target) / 2,
        target,
    };
    (
        axis(height, scaled_height, to.height),
        axis(width, scaled_width, to.width),
    )
}

/// Brings `[height, width, channels]` bytes to `[to.height, to.width, channels]`. The image must not be empty.
pub(crate) fn resize(
    pixels: &[u8],
    height: usize,
    width: usize,
    channels: usize,
    to: &Preprocessor,
) -> Vec<u8> {
    let (rows, columns) = axes(height, width, to);
    let over_floats = || {
        let (rows, columns) = (rows.taps(to.interpolation), columns.taps(to.interpolation));
        over_floats(pixels, width, channels, &rows, &columns)
    };
    let algorithm = match (to.precision, to.interpolation) {
        (ResamplePrecision::Float32, _) | (_, Interpolation::Nearest) => return over_floats(),
        (_, Interpolation::Box) => FilterType::Box,
        (_, Interpolation::Bilinear) => FilterType::Bilinear,
        (_, Interpolation::Bicubic) => FilterType::CatmullRom,
        (_, Interpolation::Lanczos) => FilterType::Lanczos3,
    };
    // The library's own choice by the kind of pixel would link its kernels for all kinds, four megabytes.
    let over_bytes = match channels {
        1 => over_bytes::<U8>,
        3 => over_bytes::<U8x3>,
        _ => return over_floats(),
    };
    let needed = rows.needed(to.interpolation);
    let pixels = &pixels[needed.start * width * channels..needed.end * width * channels];
    over_bytes(pixels, algorithm, needed, &rows, &columns)
        // It fails for windows outside the image only, of which there are none.
        .unwrap_or_else(|_| over_floats())
}

/// Along the columns into a line of floats, and along that to bytes.
fn over_floats(
    pixels: &[u8],
    width: usize,
    channels: usize,
    rows: &Taps,
    columns: &Taps,
) -> Vec<u8> {
    let span = span(columns);
    let mut output = Vec::with_capacity(rows.len() * columns.len() * channels);
    let mut line = vec![0f32; span.len() * channels];
    for (first, weights) in rows {
        line.fill(0.0);
        for (row, &weight) in (*first..).zip(weights) {
            let start = (row * width + span.start) * channels;
            for (sum, &byte) in line.iter_mut().zip(&pixels[start..]) {
                *sum += weight * f32::from(byte);
            }
        }
        for (first, weights) in columns {
            let start = (first - span.start) * channels;
            for channel in 0..channels {
                let values = line[start + channel..].iter().step_by(channels);
                let sum: f32 = values
                    .zip(weights)
                    .map(|(value, weight)| value * weight)
                    .sum();
                output.push((sum + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    output
}

/// Along the rows to bytes, and along the columns to bytes. The pixels are those of the rows `needed`.
fn over_bytes<P: PixelTrait>(
    pixels: &[u8],
    filter: FilterType,
    needed: Range<usize>,
    rows: &Axis,
    columns: &Axis,
) -> Result<Vec<u8>, ResizeError> {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false);
    let (height, width) = (needed.len() as u32, columns.target as u32);
    let source = TypedImageRef::<P>::from_buffer(columns.source as u32, height, pixels)
        .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
    // In one call the library would choose which of the two comes first.
    let mut resizer = Resizer::new();
    let mut narrow = TypedImage::<P>::new(width, height);
    let (left, length) = columns.window();
    let window = options.crop(left, 0.0, length, f64::from(height));
    resizer.resize_typed(&source, &mut narrow, &window)?;
    let mut bytes = vec![0; columns.target * rows.target * P::size()];
    let mut output = TypedImage::<P>::from_buffer(width, rows.target as u32, &mut bytes)
        .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
    let (top, length) = rows.window();
    let top = top - needed.start as f64;
    let window = options.crop(0.0, top, f64::from(width), length);
    resizer.resize_typed(&narrow, &mut output, &window)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
