//! What random changes do to the bytes of one image. The factors of colours are those of the Python imaging library and
//! torchvision: 1 leaves an image as it is.

use super::super::ImageShape;
use super::reflect;

/// The bytes of an image, `[height, width, channels]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) bytes: Vec<u8>,
    pub(super) shape: ImageShape,
}

/// The lightness of a pixel as television weighs red, green and blue (ITU-R BT.601).
fn luma(pixel: &[u8]) -> f32 {
    match pixel {
        [red, green, blue] => {
            0.299 * f32::from(*red) + 0.587 * f32::from(*green) + 0.114 * f32::from(*blue)
        }
        _ => f32::from(pixel.first().copied().unwrap_or_default()),
    }
}

/// The nearest byte.
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

impl Pixels {
    /// The image whose pixel at row y and column x is this one's at `from(y, x)`, in pixels from the middle of the first
    /// one: linear between pixels, a reflection beyond the border.
    pub(super) fn moved(&self, from: impl Fn(f32, f32) -> (f32, f32)) -> Self {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for y in 0..height {
            for x in 0..width {
                let (row, column) = from(y as f32, x as f32);
                let ends = |at: f32, size: usize| {
                    let low = at.floor();
                    let pixel = |at: f32| folded(at as isize, size);
                    (pixel(low), pixel(low + 1.0), at - low)
                };
                let (top, bottom, down) = ends(row, height);
                let (left, right, across) = ends(column, width);
                for channel in 0..channels {
                    let at = |y: usize, x: usize| {
                        f32::from(self.bytes[(y * width + x) * channels + channel])
                    };
                    let line = |y: usize| at(y, left) * (1.0 - across) + at(y, right) * across;
                    bytes.push(byte(line(top) * (1.0 - down) + line(bottom) * down));
                }
            }
        }
        Self {
            bytes,
            shape: self.shape,
        }
    }

    /// Each byte as `to` says.
    pub(super) fn mapped(mut self, to: impl Fn(u8) -> u8) -> Self {
        let table: [u8; 256] = std::array::from_fn(|value| to(value as u8));
        for value in &mut self.bytes {
            *value = table[usize::from(*value)];
        }
        self
    }

    /// Each channel by a table of its own, made from how often it has each value.
    fn mapped_by_channel(mut self, table: impl Fn(&[usize; 256]) -> [u8; 256]) -> Self {
        for channel in 0..self.shape.channels {
            let own = self.bytes.iter_mut().skip(channel);
            let mut own: Vec<&mut u8> = own.step_by(self.shape.channels).collect();
            let mut counts = [0; 256];
            for value in &own {
                counts[usize::from(**value)] += 1;
            }
            let table = table(&counts);
            for value in &mut own {
                **value = table[usize::from(**value)];
            }
        }
        self
    }

    /// Between black (0) and this image (1), and beyond.
    pub(super) fn brightness(self, factor: f32) -> Self {
        self.mapped(|value| byte(f32::from(value) * factor))
    }

    /// Between the grey of its mean lightness (0) and this image (1), and beyond.
    pub(super) fn contrast(self, factor: f32) -> Self {
        let pixels = self.bytes.chunks_exact(self.shape.channels.max(1));
        let count = pixels.len().max(1) as f32;
        let mean = (pixels.map(luma).sum::<f32>() / count).round();
        self.mapped(|value| byte(mean + (f32::from(value) - mean) * factor))
    }

    /// Between this image in grey (0) and in colour (1), and beyond.
    pub(super) fn saturation(mut self, factor: f32) -> Self {
        for pixel in self.bytes.chunks_exact_mut(self.shape.channels.max(1)) {
            let grey = luma(pixel);
            for value in pixel {
                *value = byte(grey + (f32::from(*value) - grey) * factor);
            }
        }
        self
    }

    /// Colours turned by a part of their circle.
    pub(super) fn hue(mut self, turn: f32) -> Self {
        if self.shape.channels != 3 {
            return self;
        }
        for pixel in self.bytes.chunks_exact_mut(3) {
            let [hue, saturation, value] = hsv([pixel[0], pixel[1], pixel[2]]);
            pixel.copy_from_slice(&rgb([(hue + turn).rem_euclid(1.0), saturation, value]));
        }
        self
    }

    /// Between this image smoothed (0) and as it is (1), and beyond; its border stays.
    pub(super) fn sharpness(self, factor: f32) -> Self {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        let mut bytes = self.bytes.clone();
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                for channel in 0..channels {
                    let at = |y: usize, x: usize| {
                        f32::from(self.bytes[(y * width + x) * channels + channel])
                    };
                    let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (y, x)));
                    let sum: f32 = around.map(|(y, x)| at(y, x)).sum();
                    let smooth = ((sum + 4.0 * at(y, x)) / 13.0).round();
                    let sharp = smooth + (at(y, x) - smooth) * factor;
                    bytes[(y * width + x) * channels + channel] = byte(sharp);
                }
            }
        }
        Self { bytes, ..self }
    }

    /// So many bits of each byte.
    pub(super) fn posterized(self, bits: u32) -> Self {
        let kept = 0xffu8.checked_shl(8 - bits.min(8)).unwrap_or(0);
        self.mapped(|value| value & kept)
    }

    /// Bytes from `threshold` on turned to their negative.
    pub(super) fn solarized(self, threshold: f32) -> Self {
        self.mapped(|value| match f32::from(value) < threshold {
            true => value,
            false => 255 - value,
        })
    }

    /// The darkest value of each channel black, the lightest white.
    pub(super) fn stretched(self) -> Self {
        self.mapped_by_channel(|counts| {
            let there = |value: &usize| counts[*value] > 0;
            let low = (0..256).find(there).unwrap_or_default() as f32;
            let high = (0..256).rev().find(there).unwrap_or_default() as f32;
            std::array::from_fn(|value| match high > low {
                true => byte((value as f32 - low) * 255.0 / (high - low)),
                false => value as u8,
            })
        })
    }

    /// The values of each channel spread so that all are about as frequent.
    pub(super) fn equalized(self) -> Self {
        self.mapped_by_channel(|counts| {
            let last = counts.iter().rev().find(|count| **count > 0);
            let step = (counts.iter().sum::<usize>() - last.copied().unwrap_or_default()) / 255;
            let mut below = 0;
            std::array::from_fn(|value| {
                let spread = (below + step / 2).checked_div(step);
                below += counts[value];
                spread.map_or(value as u8, |spread| spread.min(255) as u8)
            })
        })
    }
}

/// `at` mirrored back into 0..size, however far it is.
fn folded(at: isize, size: usize) -> usize {
    if size < 2 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    reflect(at.rem_euclid(period), size)
}

/// Hue as a part of its circle, saturation and value, all in 0..=1.
fn hsv(pixel: [u8; 3]) -> [f32; 3] {
    let [red, green, blue] = pixel.map(|value| f32::from(value) / 255.0);
    let high = red.max(green).max(blue);
    let range = high - red.min(green).min(blue);
    if range == 0.0 {
        return [0.0, 0.0, high];
    }
    let sixth = match () {
        () if high == red => (green - blue) / range,
        () if high == green => 2.0 + (blue - red) / range,
        () => 4.0 + (red - green) / range,
    };
    [(sixth / 6.0).rem_euclid(1.0), range / high, high]
}

fn rgb([hue, saturation, value]: [f32; 3]) -> [u8; 3] {
    [5.0, 3.0, 1.0].map(|offset| {
        let at = (offset + hue * 6.0).rem_euclid(6.0);
        let share = at.min(4.0 - at).clamp(0.0, 1.0);
        byte((value - value * saturation * share) * 255.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize, bytes: &[u8]) -> Pixels {
        let channels = bytes.len() / (height * width);
        Pixels {
            bytes: bytes.to_vec(),
            shape: ImageShape::new(height, width, channels),
        }
    }

    fn random(channels: usize) -> Pixels {
        let bytes: Vec<u8> = (0..6 * 5 * channels)
            .map(|i| (i * 97 % 251) as u8)
            .collect();
        image(6, 5, &bytes)
    }

    #[test]
    fn factors_of_one_leave_an_image_as_it_is() {
        for image in [random(1), random(3)] {
            assert_eq!(image.clone().brightness(1.0), image);
            assert_eq!(image.clone().contrast(1.0), image);
            assert_eq!(image.clone().saturation(1.0), image);
            assert_eq!(image.clone().sharpness(1.0), image);
            assert_eq!(image.clone().hue(0.0), image);
            assert_eq!(image.clone().hue(1.0), image);
            assert_eq!(image.clone().posterized(8), image);
            assert_eq!(image.clone().solarized(256.0), image);
            assert_eq!(image.moved(|y, x| (y, x)), image);
        }
    }

    #[test]
    fn factors_of_zero_are_the_other_end() {
        let image = random(3);
        assert!(image.clone().brightness(0.0).bytes.iter().all(|v| *v == 0));
        let flat = image.clone().contrast(0.0);
        assert!(flat.bytes.iter().all(|value| *value == flat.bytes[0]));
        let grey = image.clone().saturation(0.0);
        assert!(
            grey.bytes
                .chunks_exact(3)
                .all(|p| p[0] == p[1] && p[1] == p[2])
        );
        let white = image.solarized(0.0);
        assert_eq!(white.bytes[1], 255 - 97);
    }

    #[test]
    fn hues_turn_through_red_green_and_blue() {
        let red = image(1, 1, &[200, 20, 20]);
        assert_eq!(red.clone().hue(1.0 / 3.0).bytes, [20, 200, 20]);
        assert_eq!(red.clone().hue(2.0 / 3.0).bytes, [20, 20, 200]);
        assert_eq!(red.hue(0.5).bytes, [20, 200, 200]);
    }

    #[test]
    fn movement_is_linear_between_pixels_and_reflects() {
        let image = image(1, 4, &[0, 100, 200, 40]);
        let shifted = |by: f32| image.moved(|y, x| (y, x + by)).bytes;
        assert_eq!(shifted(0.5), [50, 150, 120, 120]);
        assert_eq!(shifted(1.0), [100, 200, 40, 200]);
        assert_eq!(shifted(-2.0), [200, 100, 0, 100]);
        // However far.
        assert_eq!(shifted(6.0), shifted(0.0));
    }

    #[test]
    fn histograms_are_stretched_and_equalized() {
        let pixels = image(1, 4, &[50, 100, 100, 150]);
        assert_eq!(pixels.clone().stretched().bytes, [0, 128, 128, 255]);
        let flat = image(1, 4, &[7, 7, 7, 7]);
        assert_eq!(flat.clone().stretched(), flat);
        assert_eq!(flat.clone().equalized(), flat);
        // As `ImageOps.equalize` of the Python imaging library: 512 pixels, half of each value but the last.
        let bytes: Vec<u8> = (0..512).map(|i| [10, 20][usize::from(i >= 256)]).collect();
        let spread = image(16, 32, &bytes).equalized();
        assert_eq!((spread.bytes[0], spread.bytes[511]), (0, 255));
        assert_eq!(
            image(1, 2, &[0b1011_0111, 0xff]).posterized(3).bytes,
            [0b1010_0000, 0xe0]
        );
    }

    #[test]
    fn smoothing_spares_the_border() {
        let image = image(3, 3, &[0, 0, 0, 0, 130, 0, 0, 0, 0]);
        assert_eq!(image.clone().sharpness(0.0).bytes[4], 50);
        assert_eq!(image.sharpness(2.0).bytes[4], 210);
    }
}
