//! Softmax cross-entropy with label smoothing.

use candle_core::{DType, Result, Tensor, WithDType};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element};
use super::tape::{Backward, Values};
use crate::route::on_cpu;

/// The mean over the batch of the cross-entropy between softmax(`logits`) `[n, k]` and the classes `targets` `[n]`
/// (integers), smoothed: the target distribution is (1 − s)·one-hot + s/k, as in PyTorch. A scalar.
///
/// Stable for logits of any size: the largest of a row is taken out before exponentiation.
///
/// # Errors
/// When shapes do not fit, the batch is empty, a target is not below k (on a device other than the CPU, where a check
/// would wait for it, the loss is then NaN), or the smoothing is outside 0..=1.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if targets.dims() != [rows] || rows == 0 {
        candle_core::bail!(
            "cross-entropy of logits {:?} needs {rows} (at least one) targets, found {:?}",
            logits.dims(),
            targets.dims()
        );
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        candle_core::bail!("label smoothing must be in 0..=1, found {label_smoothing}");
    }
    let mut list = Vec::new();
    if on_cpu(logits) {
        list = targets.to_dtype(DType::U32)?.to_vec1()?;
        if let Some(target) = list.iter().find(|&&target| target as usize >= classes) {
            candle_core::bail!(
                "target class {target} is not below the number of classes, {classes}"
            );
        }
    }
    let op = CrossEntropy {
        targets: targets.clone(),
        list,
        smoothing: label_smoothing,
    };
    apply(op, &[logits])
}

struct CrossEntropy {
    targets: Tensor,
    /// The targets, read where that waits for no device.
    list: Vec<u32>,
    smoothing: f64,
}

impl CrossEntropy {
    /// The sum over rows of the loss, and where `gradient` is given, softmax − target in it.
    fn run<T: WithDType>(&self, logits: &[T], mut gradient: Option<&mut [T]>) -> f64 {
        let classes = logits.len() / self.list.len();
        let uniform = self.smoothing / classes as f64;
        let mut exponentials = vec![0f64; classes];
        let mut total = 0.0;
        for (i, (row, &target)) in logits.chunks_exact(classes).zip(&self.list).enumerate() {
            let max = row.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.to_f64()));
            let (mut sum, mut linear) = (0.0, 0.0);
            for (e, v) in exponentials.iter_mut().zip(row) {
                let shifted = v.to_f64() - max;
                *e = shifted.exp();
                sum += *e;
                linear += shifted;
            }
            let picked = row[target as usize].to_f64() - max;
            total += sum.ln() - (1.0 - self.smoothing) * picked - uniform * linear;
            if let Some(gradient) = &mut gradient {
                let row = &mut gradient[i * classes..][..classes];
                for (class, (g, e)) in row.iter_mut().zip(&exponentials).enumerate() {
                    let hot = f64::from(u8::from(class == target as usize));
                    *g = T::from_f64(e / sum - (1.0 - self.smoothing) * hot - uniform);
                }
            }
        }
        total
    }
}

impl Op for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [logits] = operands(inputs)?;
        let rows = self.list.len() as f64;
        Ok(with_element!(logits.dtype(), T => {
            let total = self.run::<T>(&elements(logits)?, None);
            values(vec![<T as WithDType>::from_f64(total / rows)], ())
        }))
    }

    /// A target that is no class makes it NaN: to say so in an error would wait for the device.
    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let logits = inputs[0];
        let targets = self
            .targets
            .to_device(logits.device())?
            .to_dtype(DType::U32)?;
        let limit = Tensor::full(logits.dim(1)? as u32, targets.shape(), targets.device())?;
        let valid = targets.lt(&limit)?;
        let targets = valid.where_cond(&targets, &targets.zeros_like()?)?;
        let log_p = candle_nn::ops::log_softmax(&widened(logits)?, 1)?;
        let picked = log_p.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
        let nan =
            Tensor::full(f32::NAN, picked.shape(), picked.device())?.to_dtype(picked.dtype())?;
        let picked = valid.where_cond(&picked, &nan)?.mean_all()?;
        picked.affine(self.smoothing - 1.0, 0.0)? - log_p.mean_all()?.affine(self.smoothing, 0.0)?
    }
}

impl Backward for CrossEntropy {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [logits] = operands(inputs)?;
        let scale = dy.to_dtype(DType::F64)?.to_scalar::<f64>()? / self.list.len() as f64;
        let gradient = with_element!(logits.dtype(), T => gradient_of(logits, || {
            let values = elements::<T>(logits)?;
            let mut gradient = vec![<T as Default>::default(); values.len()];
            self.run(&values, Some(&mut gradient));
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
    use candle_core::{Device, Var};

    use super::*;
    use crate::gradient_check::{assert_gradients, random};

    fn targets(list: &[u32]) -> Result<Tensor> {
        Tensor::new(list, &Device::Cpu)
    }

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for (rows, classes) in [(1, 2), (5, 7), (3, 1)] {
            let list: Vec<u32> = (0..rows).map(|i| (i * 5 % classes) as u32).collect();
            let targets = targets(&list)?;
            let logits = random(&[rows, classes], DType::F64, 1)?;
            for smoothing in [0.0, 0.1, 1.0] {
                let f = |t: &[Tensor]| cross_entropy(&t[0], &targets, smoothing);
                assert_gradients(std::slice::from_ref(&logits), 1e-8, f);
            }
            let transposed = random(&[classes, rows], DType::F64, 1)?;
            let f = |t: &[Tensor]| cross_entropy(&t[0].t()?, &targets, 0.2);
            assert_gradients(&[transposed], 1e-8, f);
        }
        Ok(())
    }

    /// `torch.nn.functional.cross_entropy(torch.tensor([[1., 2., 3.], [0.5, -1., 0.]]), torch.tensor([2, 0]),
    /// label_smoothing=s)` for s = 0 and 0.2.
    #[test]
    fn matches_pytorch() -> Result<()> {
        let logits = Tensor::new(&[[1f32, 2., 3.], [0.5, -1., 0.]], &Device::Cpu)?;
        let targets = targets(&[2, 0])?;
        for (smoothing, expected) in [(0.0, 0.505_868_3), (0.2, 0.672_534_97)] {
            let loss = cross_entropy(&logits, &targets, smoothing)?.to_scalar::<f32>()?;
            assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        }
        Ok(())
    }

    #[test]
    fn is_stable_for_huge_logits() -> Result<()> {
        let logits = Var::new(&[[1e4f32, -1e4, 0.], [-1e4, 1e4, 0.]], &Device::Cpu)?;
        let loss = cross_entropy(&logits, &targets(&[0, 0])?, 0.1)?;
        let grads = loss.backward()?;
        // Row 0: 0.1/3·(20,000 + 10,000); row 1: 0.9·20,000 + the same.
        assert_eq!(loss.to_scalar::<f32>()?, 10_000.0);
        let grad = grads.get(&logits).map(Tensor::to_vec2::<f32>);
        let grad = grad.expect("tracked")?;
        assert!((grad[1][1] - (1.0 - 0.1 / 3.0) / 2.0).abs() < 1e-6);
        assert!((grad[1][0] + (0.9 + 0.1 / 3.0) / 2.0).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn bad_input_is_an_error() -> Result<()> {
        let logits = random(&[2, 3], DType::F32, 1)?;
        let good = targets(&[0, 2])?;
        assert!(cross_entropy(&logits, &good, 0.0).is_ok());
        let error = cross_entropy(&logits, &targets(&[0, 3])?, 0.0).unwrap_err();
        assert!(error.to_string().contains("target class 3"), "{error}");
        assert!(cross_entropy(&logits, &targets(&[0])?, 0.0).is_err());
        assert!(cross_entropy(&logits, &good, 1.5).is_err());
        assert!(cross_entropy(&logits, &good, f64::NAN).is_err());
        let empty = Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?;
        let none = Tensor::zeros(0, DType::U32, &Device::Cpu)?;
        assert!(cross_entropy(&empty, &none, 0.0).is_err());
        Ok(())
    }

    #[test]
    fn matches_the_composed_form() -> Result<()> {
        let logits = random(&[9, 11], DType::F32, 2)?;
        let list: Vec<u32> = (0..9).collect();
        let targets = targets(&list)?;
        let fused = cross_entropy(&logits, &targets, 0.1)?.to_scalar::<f32>()?;
        let half = cross_entropy(&logits.to_dtype(DType::BF16)?, &targets, 0.1)?;
        let half = half.to_dtype(DType::F32)?.to_scalar::<f32>()?;
        assert!((fused - half).abs() < 0.05, "{fused} {half}");
        Ok(())
    }
}
