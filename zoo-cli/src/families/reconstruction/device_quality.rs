//! The measures of [`super::quality`] by candle's ops: on a device that works while the program goes on, images
//! need not come back for them.

use candle_core::{Device, Result, Tensor};

use super::quality::{C1, C2, LEAST_MSE, WINDOW, window};

/// Mean squared error, PSNR and SSIM of pairs of images `[n, height, width, channels]`, normalised with `mean` and `std`
/// for each channel, each a scalar on their device: the sum over the pairs.
///
/// # Errors
/// When the shapes differ, or there is not one mean and deviation a channel.
pub(super) fn sums(
    images: &Tensor,
    originals: &Tensor,
    (mean, std): (&[f32], &[f32]),
) -> Result<[Tensor; 3]> {
    let device = images.device();
    let (mean, std) = (Tensor::new(mean, device)?, Tensor::new(std, device)?);
    let pixels = |values: &Tensor| {
        let scaled = values.detach().broadcast_mul(&std)?;
        scaled.broadcast_add(&mean)?.clamp(0f32, 1f32)
    };
    let (images, originals) = (pixels(images)?, pixels(originals)?);
    let mse = (&images - &originals)?.sqr()?.flatten_from(1)?.mean(1)?;
    let decibels = -10.0 / std::f64::consts::LN_10;
    let psnr = (mse.maximum(LEAST_MSE)?.log()? * decibels)?;
    let similarity = ssim(&images, &originals)?;
    Ok([mse.sum_all()?, psnr.sum_all()?, similarity])
}

/// The sum over pairs of images `[n, height, width, channels]` with pixels in 0..=1 of their structural similarity.
fn ssim(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (count, height, width, channels) = a.dims4()?;
    let planes = count * channels;
    let flat = |t: &Tensor| {
        let planes = t.permute((0, 3, 1, 2))?.contiguous()?;
        planes.reshape((count * channels, height, width))
    };
    let (a, b) = (flat(a)?, flat(b)?);
    let all = Tensor::cat(&[&a, &b, &a.sqr()?, &b.sqr()?, &(&a * &b)?], 0)?;
    let window = window(WINDOW.min(height).min(width));
    let means = blur(&all, &window)?;
    let part = |i: usize| means.narrow(0, i * planes, planes);
    let (x, y) = (part(0)?, part(1)?);
    let (xx, yy) = ((part(2)? - x.sqr()?)?, (part(3)? - y.sqr()?)?);
    let xy = (part(4)? - (&x * &y)?)?;
    let (c1, c2) = (f64::from(C1), f64::from(C2));
    let structure = ((((&x * &y)? * 2.0)? + c1)? * ((xy * 2.0)? + c2)?)?;
    let spread = (((x.sqr()? + y.sqr()?)? + c1)? * ((xx + yy)? + c2)?)?;
    let similarity = (structure / spread)?.flatten_from(1)?.mean(1)?;
    similarity.sum_all()? / channels as f64
}

/// The window's weighted mean around every place where it fits: `[n, height, width]` to `[n, …]`, places in any order.
fn blur(planes: &Tensor, window: &[f32]) -> Result<Tensor> {
    let (count, height, width) = planes.dims3()?;
    let (rows, columns) = (height + 1 - window.len(), width + 1 - window.len());
    let across = band(window, width, planes.device())?;
    let down = band(window, height, planes.device())?;
    let lines = planes.reshape((count * height, width))?.matmul(&across)?;
    let lines = lines.reshape((count, height, columns))?.transpose(1, 2)?;
    let lines = lines.contiguous()?.reshape((count * columns, height))?;
    lines.matmul(&down)?.reshape((count, columns * rows))
}

/// The matrix `[size, places]` that takes a line to its weighted means.
fn band(window: &[f32], size: usize, device: &Device) -> Result<Tensor> {
    let places = size + 1 - window.len();
    let mut values = vec![0f32; size * places];
    for place in 0..places {
        for (k, weight) in window.iter().enumerate() {
            values[(place + k) * places + place] = *weight;
        }
    }
    Tensor::from_vec(values, (size, places), device)
}

#[cfg(test)]
mod tests {
    use super::super::quality;
    use super::*;
    use gmnm_core::rng::Philox;

    #[test]
    fn sums_are_those_of_the_host() {
        for [count, height, width, channels] in [[3, 13, 16, 3], [1, 8, 5, 1], [2, 1, 1, 2]] {
            let shape = (count, height, width, channels);
            let random = |name: &str| {
                let mut rng = Philox::named(1, name);
                let size = count * height * width * channels;
                let values: Vec<f32> = (0..size).map(|_| rng.normal() as f32).collect();
                Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
            };
            let originals = random("originals");
            let near = (&originals + (random("noise") * 0.2).unwrap()).unwrap();
            let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
            let statistics = (mean.as_slice(), std.as_slice());
            for images in [&near, &random("images"), &originals] {
                let each = quality(images, &originals, statistics).unwrap();
                let found = sums(images, &originals, statistics).unwrap();
                for (i, found) in found.iter().enumerate() {
                    let expected: f64 = each.iter().map(|q| q[i]).sum();
                    let found = f64::from(found.to_scalar::<f32>().unwrap());
                    assert!(
                        (found - expected).abs() <= 2e-5 * (1.0 + expected.abs()),
                        "{shape:?} {i}: {found} {expected}"
                    );
                }
            }
        }
    }
}
