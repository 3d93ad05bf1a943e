//! Bringing the images of a dataset that has a size of its own to the input of a model.

use models::preprocessor::Preprocessor;
use rayon::prelude::*;

use super::{ImageShape, Images, channels, resize::resize};

/// Images at the size and with the channels of `to`. Images that lack at most an eighth of the height and of
/// the width are padded with black, as the embedded sample is (28×28 to 32×32); others are resized by the
/// rule of `to`.
pub(crate) fn fit(images: Images, to: &Preprocessor) -> Images {
    let lacks_little = |from: usize, to: usize| from <= to && (to - from) * 8 <= to;
    let fitted = if (images.height, images.width) == (to.height, to.width) {
        images
    } else if lacks_little(images.height, to.height) && lacks_little(images.width, to.width) {
        channels::pad(&images, to.height, to.width)
    } else {
        let shape = ImageShape::new(to.height, to.width, images.channels);
        let mut pixels = vec![0; images.len() * shape.len()];
        pixels
            .par_chunks_mut(shape.len())
            .enumerate()
            .for_each(|(i, output)| {
                let from = images.image(i);
                output.copy_from_slice(&resize(
                    from,
                    images.height,
                    images.width,
                    images.channels,
                    to,
                ));
            });
        Images {
            pixels,
            labels: images.labels,
            ..Images::empty(shape)
        }
    };
    fitted.with_channels(to.channels)
}

/// An input of this size, scaled to cover it, the centre cut out.
pub(crate) fn input(height: usize, width: usize, channels: usize) -> Preprocessor {
    Preprocessor {
        height,
        width,
        channels,
        mean: vec![0.5; channels],
        std: vec![0.5; channels],
        interpolation: models::preprocessor::Interpolation::Bilinear,
        resize: models::preprocessor::ResizeRule::Crop,
        precision: models::preprocessor::ResamplePrecision::Uint8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_padded_and_more_is_resized() {
        let mut images = Images::empty(ImageShape::new(28, 28, 1));
        images.push(&[200; 28 * 28], 4);
        let padded = fit(images.clone(), &input(32, 32, 3));
        assert_eq!(padded.shape(), ImageShape::new(32, 32, 3));
        assert_eq!(padded.image(0)[..3], [0; 3]);
        assert_eq!(padded.image(0)[(2 * 32 + 2) * 3..][..3], [200; 3]);
        let larger = Preprocessor {
            height: 64,
            width: 40,
            channels: 1,
            ..input(32, 32, 3)
        };
        let resized = fit(images, &larger);
        assert_eq!(resized.pixels, [200; 64 * 40]);
        assert_eq!(resized.labels, [4]);
    }
}
