//! How near an image is to another.

/// Side and standard deviation of the window of Wang et al. 2004, section III.B.
pub(super) const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// K₁² and K₂² of Wang et al. 2004 for pixels in 0..=1.
pub(super) const C1: f32 = 0.01 * 0.01;
pub(super) const C2: f32 = 0.03 * 0.03;

/// Differences below a mean square of 1e-10 (100 dB) are not told apart.
pub(super) const LEAST_MSE: f64 = 1e-10;

/// Peak signal-to-noise ratio in dB of a mean squared error of pixels in 0..=1; at most 100.
pub fn psnr(mse: f64) -> f64 {
    -10.0 * mse.max(LEAST_MSE).log10()
}

/// Structural similarity of two images `[height, width, channels]` with pixels in 0..=1, at most 1 (equal): the mean
/// over channels and over all places where an 11×11 Gaussian window fits (Wang et al., Image quality assessment: from
/// error visibility to structural similarity, IEEE TIP 13, 2004). Smaller images get the largest odd window that fits.
///
/// # Panics
/// When the lengths are not height · width · channels, or one of these is 0.
pub fn ssim(a: &[f32], b: &[f32], height: usize, width: usize, channels: usize) -> f64 {
    assert!(a.len() == b.len() && a.len() == height * width * channels && !a.is_empty());
    let window = window(WINDOW.min(height).min(width));
    let (rows, row) = (height - window.len() + 1, width * channels);
    let valid = (width - window.len() + 1) * channels;
    let products =
        |f: fn(f32, f32) -> f32| -> Vec<f32> { a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect() };
    let mean = |values: &[f32]| blur(values, &window, row, channels, rows, valid);
    let (ma, mb) = (mean(a), mean(b));
    let (aa, bb) = (mean(&products(|a, _| a * a)), mean(&products(|_, b| b * b)));
    let ab = mean(&products(|a, b| a * b));
    let mut sum = 0.0;
    for i in 0..ma.len() {
        let (x, y) = (ma[i], mb[i]);
        let (xx, yy, xy) = (aa[i] - x * x, bb[i] - y * y, ab[i] - x * y);
        let structure = (2.0 * x * y + C1) * (2.0 * xy + C2);
        sum += f64::from(structure / ((x * x + y * y + C1) * (xx + yy + C2)));
    }
    sum / ma.len() as f64
}

/// A Gaussian window with the sum 1 whose side is odd and at most `side`.
pub(super) fn window(side: usize) -> Vec<f32> {
    let radius = (side.max(1) - 1) / 2;
    let weights: Vec<f64> = (0..=2 * radius)
        .map(|i| (-((i as f64 - radius as f64) / SIGMA).powi(2) / 2.0).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// The window's weighted mean around every place where it fits: `rows` rows of `valid` values, from rows of `row`.
fn blur(
    values: &[f32],
    window: &[f32],
    row: usize,
    channels: usize,
    rows: usize,
    valid: usize,
) -> Vec<f32> {
    let across: Vec<Vec<f32>> = values
        .chunks_exact(row)
        .map(|line| {
            let mut sums = vec![0f32; valid];
            for (k, weight) in window.iter().enumerate() {
                for (sum, value) in sums.iter_mut().zip(&line[k * channels..]) {
                    *sum += weight * value;
                }
            }
            sums
        })
        .collect();
    let mut output = vec![0f32; rows * valid];
    for (y, sums) in output.chunks_exact_mut(valid).enumerate() {
        for (weight, line) in window.iter().zip(&across[y..]) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += weight * value;
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    fn noise(count: usize, name: &str) -> Vec<f32> {
        let mut rng = Philox::named(1, name);
        (0..count).map(|_| rng.uniform() as f32).collect()
    }

    /// The definition in f64, place by place, without separating the window.
    fn by_definition(a: &[f32], b: &[f32], h: usize, w: usize, c: usize) -> f64 {
        let (mut total, mut places) = (0.0, 0.0);
        for top in 0..=h - 11 {
            for left in 0..=w - 11 {
                for channel in 0..c {
                    let (mut sum, mut m) = (0.0, [0.0; 5]);
                    for y in 0..11 {
                        for x in 0..11 {
                            let square = (y as f64 - 5.0).powi(2) + (x as f64 - 5.0).powi(2);
                            let weight = (-square / (2.0 * 1.5 * 1.5)).exp();
                            let at = ((top + y) * w + left + x) * c + channel;
                            let (p, q) = (f64::from(a[at]), f64::from(b[at]));
                            sum += weight;
                            for (m, v) in m.iter_mut().zip([p, q, p * p, q * q, p * q]) {
                                *m += weight * v;
                            }
                        }
                    }
                    let [p, q, pp, qq, pq] = m.map(|m| m / sum);
                    let (vp, vq, cov) = (pp - p * p, qq - q * q, pq - p * q);
                    total += (2.0 * p * q + 1e-4) * (2.0 * cov + 9e-4)
                        / ((p * p + q * q + 1e-4) * (vp + vq + 9e-4));
                    places += 1.0;
                }
            }
        }
        total / places
    }

    #[test]
    fn ssim_is_that_of_its_definition() {
        let (h, w, c) = (13, 16, 3);
        let a = noise(h * w * c, "a");
        let near: Vec<f32> = a
            .iter()
            .zip(noise(h * w * c, "b"))
            .map(|(a, n)| 0.8 * a + 0.2 * n)
            .collect();
        for b in [near, noise(h * w * c, "far")] {
            let (ours, exact) = (ssim(&a, &b, h, w, c), by_definition(&a, &b, h, w, c));
            assert!((ours - exact).abs() < 1e-4, "{ours} and {exact}");
        }
        assert!((ssim(&a, &a, h, w, c) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn small_images_have_a_similarity_too() {
        let (a, b) = (noise(8 * 6, "a"), noise(8 * 6, "b"));
        assert!(ssim(&a, &b, 8, 6, 1) < 0.9);
        assert!((ssim(&a, &a, 6, 8, 1) - 1.0).abs() < 1e-6);
        assert_eq!(ssim(&[0.5], &[0.5], 1, 1, 1), 1.0);
    }

    #[test]
    fn psnr_is_in_decibels_and_ends_at_100() {
        assert!((psnr(1e-2) - 20.0).abs() < 1e-9);
        assert_eq!(psnr(0.0), 100.0);
    }
}
