//! Cross-entropy against targets that may be any numbers.

use candle_core::{DType, Result, Tensor, WithDType};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element};
use super::tape::{Backward, Values};
use crate::route::on_cpu;

/// −Σ t·log softmax(`logits`) over all rows and classes, both `[n, k]`, for the `targets` t: a scalar. The targets are
/// constants: distributions, mixed or smoothed, each times the weight of its row or class.
///
/// Stable for logits of any size: the largest of a row is taken out before exponentiation.
///
/// # Errors
/// When shapes do not fit, or the batch is empty.
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if targets.dims() != [rows, classes] || rows == 0 {
        candle_core::bail!(
            "soft cross-entropy of logits {:?} needs as many targets (of at least one row), found {:?}",
            logits.dims(),
            targets.dims()
        );
    }
    let targets = targets.detach();
    let mut list = Vec::new();
    if on_cpu(logits) {
        list = targets.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    }
    apply(SoftCrossEntropy { targets, list }, &[logits])
}

struct SoftCrossEntropy {
    targets: Tensor,
    /// The targets, read where that waits for no device.
    list: Vec<f64>,
}

impl SoftCrossEntropy {
    /// The loss, and where `gradient` is given, softmax·Σt − t of each row in it.
    fn run<T: WithDType>(
        &self,
        logits: &[T],
        classes: usize,
        mut gradient: Option<&mut [T]>,
    ) -> f64 {
        let mut exponentials = vec![0f64; classes];
        let mut total = 0.0;
        let rows = logits
            .chunks_exact(classes)
            .zip(self.list.chunks_exact(classes));
        for (i, (row, targets)) in rows.enumerate() {
            let max = row.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.to_f64()));
            let (mut sum, mut linear, mut weight) = (0.0, 0.0, 0.0);
            for ((e, v), target) in exponentials.iter_mut().zip(row).zip(targets) {
                let shifted = v.to_f64() - max;
                *e = shifted.exp();
                sum += *e;
                linear += target * shifted;
                weight += target;
            }
            total += weight * sum.ln() - linear;
            if let Some(gradient) = &mut gradient {
                let row = &mut gradient[i * classes..][..classes];
                for ((g, e), target) in row.iter_mut().zip(&exponentials).zip(targets) {
                    *g = T::from_f64(weight * e / sum - target);
                }
            }
        }
        total
    }
}

impl Op for SoftCrossEntropy {
    const NAME: &'static str = "soft_cross_entropy";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [logits] = operands(inputs)?;
        let classes = logits.dim(1)?;
        Ok(with_element!(logits.dtype(), T => {
            let total = self.run::<T>(&elements(logits)?, classes, None);
            values(vec![<T as WithDType>::from_f64(total)], ())
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let log_p = candle_nn::ops::log_softmax(&widened(inputs[0])?, 1)?;
        let targets = self.targets.to_device(log_p.device())?;
        (log_p * targets.to_dtype(widened(inputs[0])?.dtype())?)?
            .sum_all()?
            .neg()
    }
}

impl Backward for SoftCrossEntropy {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [logits] = operands(inputs)?;
        let classes = logits.dim(1)?;
        let scale = dy.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let gradient = with_element!(logits.dtype(), T => gradient_of(logits, || {
            let values = elements::<T>(logits)?;
            let mut gradient = vec![<T as Default>::default(); values.len()];
            self.run(&values, classes, Some(&mut gradient));
            Ok(gradient)
        })?);
        Ok(vec![
            gradient
                .map(|gradient| gradient.affine(scale, 0.0))
                .transpose()?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::gradient_check::{assert_gradients, random};
    use crate::ops::cross_entropy;

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for (rows, classes) in [(1, 2), (5, 7), (3, 1)] {
            let targets = random(&[rows, classes], DType::F64, 3)?.abs()?;
            let logits = random(&[rows, classes], DType::F64, 1)?;
            let f = |t: &[Tensor]| soft_cross_entropy(&t[0], &targets);
            assert_gradients(std::slice::from_ref(&logits), 1e-8, f);
            let transposed = random(&[classes, rows], DType::F64, 1)?;
            let f = |t: &[Tensor]| soft_cross_entropy(&t[0].t()?, &targets);
            assert_gradients(&[transposed], 1e-8, f);
        }
        Ok(())
    }

    #[test]
    fn smoothed_classes_give_the_cross_entropy() -> Result<()> {
        let (rows, classes, smoothing) = (4, 5, 0.2);
        let labels = Tensor::new(&[3u32, 0, 4, 3], &Device::Cpu)?;
        let targets: Vec<f64> = [3usize, 0, 4, 3]
            .iter()
            .flat_map(|label| {
                (0..classes).map(move |class| {
                    let hot = f64::from(u8::from(class == *label));
                    ((1.0 - smoothing) * hot + smoothing / classes as f64) / rows as f64
                })
            })
            .collect();
        let targets = Tensor::from_vec(targets, (rows, classes), &Device::Cpu)?;
        let logits = (random(&[rows, classes], DType::F64, 2)? * 30.0)?;
        let soft = soft_cross_entropy(&logits, &targets)?.to_scalar::<f64>()?;
        let hard = cross_entropy(&logits, &labels, smoothing)?.to_scalar::<f64>()?;
        assert!((soft - hard).abs() < 1e-12, "{soft} {hard}");
        Ok(())
    }

    #[test]
    fn matches_the_composed_form_and_is_stable() -> Result<()> {
        let logits = random(&[9, 11], DType::F32, 2)?;
        let targets = random(&[9, 11], DType::F32, 4)?.abs()?;
        let fused = soft_cross_entropy(&logits, &targets)?.to_scalar::<f32>()?;
        let half = soft_cross_entropy(&logits.to_dtype(DType::BF16)?, &targets)?;
        let half = half.to_dtype(DType::F32)?.to_scalar::<f32>()?;
        assert!((fused - half).abs() < 0.01 * fused.abs(), "{fused} {half}");
        let huge = Tensor::new(&[[1e4f32, -1e4, 0.0]], &Device::Cpu)?;
        let targets = Tensor::new(&[[0.5f32, 0.25, 0.25]], &Device::Cpu)?;
        let loss = soft_cross_entropy(&huge, &targets)?.to_scalar::<f32>()?;
        assert_eq!(loss, 7_500.0);
        Ok(())
    }

    #[test]
    fn bad_input_is_an_error() -> Result<()> {
        let logits = random(&[2, 3], DType::F32, 1)?;
        assert!(soft_cross_entropy(&logits, &random(&[3, 2], DType::F32, 1)?).is_err());
        let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?;
        assert!(soft_cross_entropy(&none, &none).is_err());
        Ok(())
    }
}
