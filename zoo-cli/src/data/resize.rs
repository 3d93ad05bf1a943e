//! Resizing as the Python imaging library does it: separable filters whose support grows when an image
//! shrinks, so that nothing aliases.
//!
//! A crop after a resize is computed without the pixels that it throws away: a 1×60,000 image that is
//! scaled to cover 32×32 never becomes 32×1,920,000.

use models::preprocessor::{Interpolation, Preprocessor, ResizeRule};

/// The source pixels and weights that make each target pixel along one axis.
struct Axis {
    /// First source index and the weights from there on, by target index.
    taps: Vec<(usize, Vec<f32>)>,
}

fn filter(interpolation: Interpolation, x: f64) -> f64 {
    let x = x.abs();
    match interpolation {
        Interpolation::Nearest => f64::from(u8::from(x <= 0.5)),
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
    /// `source` pixels resized to `scaled`, of which `target` from `offset` on are wanted.
    fn new(
        source: usize,
        scaled: usize,
        offset: usize,
        target: usize,
        interpolation: Interpolation,
    ) -> Self {
        let scale = source as f64 / scaled as f64;
        let stretch = scale.max(1.0);
        let radius = match interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        } * stretch;
        let taps = (offset..offset + target)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                if interpolation == Interpolation::Nearest {
                    return ((centre as usize).min(source - 1), vec![1.0]);
                }
                let first = (centre - radius + 0.5).max(0.0) as usize;
                let end = ((centre + radius + 0.5) as usize)
                    .min(source)
                    .max(first + 1);
                let weights: Vec<f64> = (first..end)
                    .map(|j| filter(interpolation, (j as f64 + 0.5 - centre) / stretch))
                    .collect();
                let sum: f64 = weights.iter().sum();
                (first, weights.iter().map(|w| (w / sum) as f32).collect())
            })
            .collect();
        Self { taps }
    }

    /// The source indices that any target pixel needs.
    fn span(&self) -> std::ops::Range<usize> {
        let start = self.taps.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let end = self
            .taps
            .iter()
            .map(|(first, weights)| first + weights.len())
            .max();
        start..end.unwrap_or(start)
    }
}

/// The two axes (rows, columns) that bring `height` × `width` to the preprocessor's size by its rule.
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
    let axis = |source, scaled: usize, target| {
        Axis::new(
            source,
            scaled,
            (scaled - target) / 2,
            target,
            to.interpolation,
        )
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
    let span = columns.span();
    let mut output = Vec::with_capacity(to.height * to.width * channels);
    let mut line = vec![0f32; span.len() * channels];
    for (first, weights) in &rows.taps {
        line.fill(0.0);
        for (row, &weight) in (*first..).zip(weights) {
            let start = (row * width + span.start) * channels;
            for (sum, &byte) in line.iter_mut().zip(&pixels[start..]) {
                *sum += weight * f32::from(byte);
            }
        }
        for (first, weights) in &columns.taps {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn to(
        height: usize,
        width: usize,
        interpolation: Interpolation,
        resize: ResizeRule,
    ) -> Preprocessor {
        Preprocessor {
            height,
            width,
            channels: 1,
            mean: vec![0.0],
            std: vec![1.0],
            interpolation,
            resize,
        }
    }

    /// `numpy.array([(i * 37 + i * i) % 256 for i in range(n)], "uint8")`
    fn pattern(count: usize) -> Vec<u8> {
        (0..count).map(|i| ((i * 37 + i * i) % 256) as u8).collect()
    }

    #[test]
    fn agrees_with_the_python_imaging_library() {
        // Image.fromarray(pattern.astype("float32").reshape(7, 9)).resize((4, 3), filter), and to (11, 10),
        // clipped to 0..=255, rounded and flattened; for bytes the library also rounds between its passes.
        for (interpolation, small, large) in EXPECTED {
            let cases: [(usize, usize, &[u8]); 2] = [(3, 4, small), (10, 11, large)];
            for (height, width, expected) in cases {
                let found = resize(
                    &pattern(63),
                    7,
                    9,
                    1,
                    &to(height, width, interpolation, ResizeRule::Stretch),
                );
                assert_eq!(found, expected, "{interpolation:?} {width}");
            }
        }
    }

    #[test]
    fn a_crop_is_the_resize_and_then_the_crop() {
        for (height, width) in [(7, 9), (9, 7), (20, 61), (5, 5), (40, 3)] {
            let pixels = pattern(height * width * 3);
            let cropped = resize(
                &pixels,
                height,
                width,
                3,
                &to(6, 4, Interpolation::Bilinear, ResizeRule::Crop),
            );
            let shorter = height.min(width);
            let (tall, wide) = (6 * height / shorter, 6 * width / shorter);
            let whole = resize(
                &pixels,
                height,
                width,
                3,
                &to(tall, wide, Interpolation::Bilinear, ResizeRule::Stretch),
            );
            for y in 0..6 {
                for x in 0..4 * 3 {
                    let at = ((y + (tall - 6) / 2) * wide + (wide - 4) / 2) * 3 + x;
                    assert_eq!(
                        cropped[y * 12 + x],
                        whole[at],
                        "{height}×{width} at ({y}, {x})"
                    );
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let pixels = pattern(5 * 6 * 3);
        for interpolation in [
            Interpolation::Nearest,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::Lanczos,
        ] {
            assert_eq!(
                resize(
                    &pixels,
                    5,
                    6,
                    3,
                    &to(5, 6, interpolation, ResizeRule::Stretch)
                ),
                pixels
            );
        }
    }

    #[test]
    fn extreme_shapes_stay_small() {
        let target = to(32, 32, Interpolation::Bicubic, ResizeRule::Crop);
        assert_eq!(resize(&[77], 1, 1, 1, &target), vec![77; 32 * 32]);
        assert_eq!(
            resize(&vec![9; 60_000 * 3], 1, 60_000, 3, &target),
            vec![9; 32 * 32 * 3]
        );
        assert_eq!(
            resize(&vec![9; 60_000], 60_000, 1, 1, &target),
            vec![9; 32 * 32]
        );
    }

    type Expected = (Interpolation, &'static [u8], &'static [u8]);

    const EXPECTED: [Expected; 4] = [
        (
            Interpolation::Nearest,
            &[214, 76, 202, 80, 28, 218, 160, 110, 234, 240, 254, 20],
            &[
                0, 38, 78, 78, 120, 164, 210, 2, 2, 52, 104, 158, 214, 16, 16, 76, 138, 202, 12,
                12, 80, 150, 158, 214, 16, 16, 76, 138, 202, 12, 12, 80, 150, 222, 40, 116, 116,
                194, 18, 100, 184, 184, 14, 102, 192, 28, 122, 122, 218, 60, 160, 6, 6, 110, 216,
                192, 28, 122, 122, 218, 60, 160, 6, 6, 110, 216, 68, 178, 34, 34, 148, 8, 126, 246,
                246, 112, 236, 106, 234, 108, 108, 240, 118, 254, 136, 136, 20, 162, 106, 234, 108,
                108, 240, 118, 254, 136, 136, 20, 162, 50, 196, 88, 88, 238, 134, 32, 188, 188, 90,
                250,
            ],
        ),
        (
            Interpolation::Lanczos,
            &[97, 109, 121, 67, 127, 113, 106, 135, 132, 158, 140, 149],
            &[
                0, 5, 57, 104, 131, 163, 221, 74, 0, 72, 101, 67, 137, 89, 32, 101, 164, 236, 58,
                0, 108, 137, 191, 220, 97, 29, 102, 105, 175, 109, 39, 88, 143, 231, 94, 48, 165,
                166, 20, 70, 190, 108, 19, 109, 235, 50, 36, 213, 205, 46, 127, 89, 30, 103, 175,
                147, 96, 56, 137, 170, 43, 132, 100, 69, 173, 249, 58, 170, 97, 65, 138, 10, 93,
                244, 183, 125, 241, 88, 216, 152, 124, 205, 88, 228, 235, 76, 57, 176, 77, 195,
                153, 149, 249, 139, 149, 169, 79, 78, 207, 35, 165, 129, 125, 242, 132, 4, 140,
                158, 129, 255,
            ],
        ),
        (
            Interpolation::Bilinear,
            &[104, 104, 122, 79, 117, 123, 111, 127, 135, 155, 141, 141],
            &[
                0, 28, 60, 93, 128, 164, 202, 78, 25, 66, 104, 87, 122, 85, 63, 106, 150, 195, 80,
                35, 84, 129, 174, 171, 100, 64, 106, 108, 164, 99, 59, 84, 138, 219, 95, 83, 139,
                158, 24, 90, 150, 104, 41, 104, 203, 79, 80, 153, 180, 45, 122, 94, 72, 104, 176,
                149, 99, 86, 128, 166, 42, 129, 111, 99, 141, 223, 70, 151, 103, 79, 127, 14, 111,
                201, 180, 141, 232, 97, 186, 149, 136, 194, 91, 198, 185, 109, 81, 181, 81, 180,
                153, 150, 218, 125, 149, 157, 110, 92, 202, 50, 156, 137, 143, 219, 134, 51, 131,
                143, 134, 250,
            ],
        ),
        (
            Interpolation::Bicubic,
            &[102, 104, 122, 73, 121, 117, 107, 132, 135, 155, 142, 145],
            &[
                0, 14, 57, 98, 130, 166, 218, 69, 6, 66, 103, 78, 135, 85, 45, 101, 158, 219, 65,
                11, 91, 134, 182, 200, 99, 41, 101, 111, 178, 96, 45, 86, 144, 228, 84, 68, 151,
                171, 20, 83, 172, 109, 23, 104, 221, 55, 62, 176, 201, 46, 130, 83, 51, 103, 181,
                152, 90, 72, 133, 178, 42, 137, 99, 83, 153, 238, 62, 165, 99, 67, 136, 10, 104,
                224, 188, 131, 239, 94, 206, 151, 130, 209, 93, 226, 203, 91, 59, 177, 77, 194,
                153, 147, 238, 133, 154, 164, 97, 77, 204, 41, 165, 132, 133, 235, 135, 22, 136,
                151, 127, 255,
            ],
        ),
    ];
}
