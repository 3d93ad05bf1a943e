//! Grey to colour and back, and small images on a larger canvas.

use super::{ImageShape, Images};

/// Luma of ITU-R BT.601, as the Python imaging library computes its mode `L`.
fn luma(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb.map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// Pixels of `from` channels as pixels of `to` channels, each 1 (grey) or 3 (RGB). Grey is repeated,
/// colour becomes its luma.
pub(crate) fn convert(pixels: Vec<u8>, from: usize, to: usize) -> Vec<u8> {
    match (from, to) {
        (1, 3) => pixels.into_iter().flat_map(|grey| [grey; 3]).collect(),
        (3, 1) => pixels
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&rgb| luma(rgb))
            .collect(),
        _ => pixels,
    }
}

/// The images in the middle of a black canvas of `height` × `width`; the odd pixel goes below and right.
/// The canvas must not be smaller than the images.
pub(crate) fn pad(images: &Images, height: usize, width: usize) -> Images {
    let from = images.shape();
    let shape = ImageShape::new(height, width, from.channels);
    let (top, left) = ((height - from.height) / 2, (width - from.width) / 2);
    let mut pixels = vec![0; images.len() * shape.len()];
    for (canvas, image) in pixels
        .chunks_exact_mut(shape.len())
        .zip(images.pixels.chunks_exact(from.len()))
    {
        for (y, line) in image.chunks_exact(from.width * from.channels).enumerate() {
            let start = ((top + y) * width + left) * from.channels;
            canvas[start..start + line.len()].copy_from_slice(line);
        }
    }
    Images {
        pixels,
        labels: images.labels.clone(),
        ..Images::empty(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_that_of_the_python_imaging_library() {
        // Image.new("RGB", (1, 1), c).convert("L") for these c:
        for (rgb, expected) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255; 3], 255),
            ([12, 200, 99], 132),
        ] {
            assert_eq!(luma(rgb), expected, "{rgb:?}");
        }
        assert_eq!(convert(vec![5, 9], 1, 3), [5, 5, 5, 9, 9, 9]);
        assert_eq!(convert(vec![5, 5, 5, 9, 9, 9], 3, 1), [5, 9]);
    }

    #[test]
    fn padding_keeps_the_image_in_the_middle() {
        let mut images = Images::empty(ImageShape::new(1, 2, 1));
        images.push(&[1, 2], 0);
        images.push(&[3, 4], 1);
        let padded = pad(&images, 3, 5);
        let mut expected = vec![0; 15];
        expected[6..8].copy_from_slice(&[1, 2]);
        assert_eq!(padded.image(0), expected);
        expected[6..8].copy_from_slice(&[3, 4]);
        assert_eq!(padded.image(1), expected);
        assert_eq!(padded.labels, [0, 1]);
    }
}
