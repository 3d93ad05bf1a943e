//! Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): where a classifier looked.

use candle_core::{Result, Tensor, Var};
use gmnm_core::ops::backward;
use models::classifier::Classifier;

/// Where the network looked in normalised images `[n, height, width, channels]` for the logit of `classes` `[n]`:
/// what the last stage gives, weighted by the mean gradient of each feature and summed, where it speaks for the class.
/// `[n, h, w]` at the size of the last stage, at least 0.
///
/// # Errors
/// When shapes do not fit, or a class is none.
pub fn grad_cam(network: &Classifier, images: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let stages = Var::from_tensor(&network.stages(images, false)?.detach())?;
    let logits = network.logits(&network.features(stages.as_tensor(), false)?)?;
    // An image's logits depend on no other image: the sum has the gradient of each.
    let chosen = logits.gather(&classes.unsqueeze(1)?, 1)?.sum_all()?;
    let gradients = backward(&chosen)?;
    let Some(gradient) = gradients.get(stages.as_tensor()) else {
        candle_core::bail!("no gradient reaches the last stage of the classifier");
    };
    let weights = gradient.mean_keepdim((1, 2))?;
    stages.broadcast_mul(&weights)?.sum(3)?.relu()
}

/// A map of `rows` by `columns` brought to `height` by `width`, bilinearly between the middles of its cells as PyTorch's
/// `interpolate` does, and divided by its maximum where that is not 0.
pub(super) fn enlarged(
    map: &[f32],
    (rows, columns): (usize, usize),
    (height, width): (usize, usize),
) -> Vec<f32> {
    let down = places(rows, height);
    let across = places(columns, width);
    let mut large = Vec::with_capacity(height * width);
    for &(top, bottom, lower) in &down {
        for &(left, right, further) in &across {
            let at = |row: usize, column: usize| map[row * columns + column];
            let between = |row| at(row, left) * (1.0 - further) + at(row, right) * further;
            large.push(between(top) * (1.0 - lower) + between(bottom) * lower);
        }
    }
    let highest = large.iter().copied().fold(0.0, f32::max);
    if highest > 0.0 {
        large.iter_mut().for_each(|value| *value /= highest);
    }
    large
}

/// For each of `large` pixels the two of `small` cells around it, and how far it is on the way from one to the other.
fn places(small: usize, large: usize) -> Vec<(usize, usize, f32)> {
    let scale = small as f32 / large as f32;
    let place = |pixel: usize| {
        let at = ((pixel as f32 + 0.5) * scale - 0.5).clamp(0.0, (small - 1) as f32);
        let first = at as usize;
        (first, (first + 1).min(small - 1), at - first as f32)
    };
    (0..large).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_enlarged_between_the_middles_of_cells() {
        // torch.nn.functional.interpolate([[0, 2], [4, 8]], size=(4, 3), mode="bilinear"), divided by 8.
        let large = enlarged(&[0.0, 2.0, 4.0, 8.0], (2, 2), (4, 3));
        let expected = [0.0, 1.0, 2.0, 1.0, 2.25, 3.5, 3.0, 4.75, 6.5, 4.0, 6.0, 8.0];
        for (a, b) in large.iter().zip(expected) {
            assert!((a - b / 8.0).abs() < 1e-6, "{large:?}");
        }
        assert_eq!(enlarged(&[0.0], (1, 1), (2, 2)), [0.0; 4]);
    }
}
