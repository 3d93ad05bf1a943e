//! Layer normalisation over the last axis.

use candle_core::{D, DType, Result, Tensor};

use super::cast::in_f32;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element};
use super::tape::{Backward, Values};
use crate::cpu::rows;
use crate::cpu::simd::isa::Isa;

/// (x − mean)/√(variance + eps) over the last axis (the biased variance), scaled by `weight` `[d]` and shifted by
/// `bias` `[d]` where given. arXiv 1607.06450.
///
/// # Errors
/// When shapes do not fit or the last axis is empty.
pub fn layer_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let features = x.dim(D::Minus1)?;
    for (name, tensor) in [("weight", weight), ("bias", bias)] {
        if let Some(tensor) = tensor
            && tensor.dims() != [features]
        {
            candle_core::bail!(
                "layer norm over {features} features needs a {name} of that length, found {:?}",
                tensor.dims()
            );
        }
    }
    if features == 0 {
        candle_core::bail!("layer norm needs at least one feature");
    }
    let parameters = [weight, bias];
    if x.dtype() == DType::BF16 && parameters.iter().flatten().all(|t| t.dtype() == DType::F32) {
        return in_f32(x, |x| layer_norm(x, weight, bias, eps));
    }
    let mut y = apply(Normalize { eps }, &[x])?;
    if let Some(weight) = weight {
        y = y.broadcast_mul(weight)?;
    }
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

struct Normalize {
    eps: f64,
}

impl Op for Normalize {
    const NAME: &'static str = "layer_norm";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        let cols = x.dim(D::Minus1)?;
        Ok(with_element!(x.dtype(), T => {
            let (y, _) = rows::normalize::<T>(Isa::best(), &elements(x)?, cols, self.eps);
            values(y, x.shape())
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let x = inputs[0];
        let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
        centered.broadcast_div(&(variance + self.eps)?.sqrt()?)
    }
}

impl Backward for Normalize {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        let (isa, cols) = (Isa::best(), x.dim(D::Minus1)?);
        with_element!(x.dtype(), T => Ok(vec![gradient_of(x, || {
            let (y, inverse) = rows::normalize::<T>(isa, &elements(x)?, cols, self.eps);
            Ok(rows::normalize_gradient(isa, &y, &inverse, &elements(dy)?, cols))
        })?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, random};

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for shape in [vec![1, 2], vec![2, 3, 13]] {
            let d = shape[shape.len() - 1];
            let x = random(&shape, DType::F64, 1)?;
            let (weight, bias) = (random(&[d], DType::F64, 2)?, random(&[d], DType::F64, 3)?);
            assert_gradients(std::slice::from_ref(&x), 1e-7, |t| {
                layer_norm(&t[0], None, None, 0.1)
            });
            assert_gradients(&[x, weight, bias], 1e-7, |t| {
                layer_norm(&t[0], Some(&t[1]), Some(&t[2]), 0.1)
            });
        }
        let x = random(&[9, 4], DType::F64, 1)?;
        assert_gradients(&[x], 1e-7, |t| layer_norm(&t[0].t()?, None, None, 1e-5));
        Ok(())
    }

    #[test]
    fn every_path_matches_f64() -> Result<()> {
        for cols in [1, 7, 8, 33] {
            let x = random(&[5, cols], DType::F64, 2)?.affine(3.0, 1.0)?;
            let dy = random(&[5, cols], DType::F64, 3)?;
            let wide: Vec<f64> = x.flatten_all()?.to_vec1()?;
            let narrow: Vec<f32> = wide.iter().map(|&v| v as f32).collect();
            let dy: Vec<f64> = dy.flatten_all()?.to_vec1()?;
            let dy32: Vec<f32> = dy.iter().map(|&v| v as f32).collect();
            for isa in Isa::available() {
                let (y, inverse) = rows::normalize(isa, &wide, cols, 0.1);
                let (y32, inverse32) = rows::normalize(isa, &narrow, cols, 0.1);
                let dx = rows::normalize_gradient(isa, &y, &inverse, &dy, cols);
                let dx32 = rows::normalize_gradient(isa, &y32, &inverse32, &dy32, cols);
                let pairs = y.iter().zip(&y32).chain(dx.iter().zip(&dx32));
                for (wide, narrow) in pairs {
                    assert!((wide - f64::from(*narrow)).abs() < 1e-5, "{isa:?} {cols}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn matches_candle() -> Result<()> {
        let x = random(&[4, 10], DType::F32, 1)?;
        let (weight, bias) = (random(&[10], DType::F32, 2)?, random(&[10], DType::F32, 3)?);
        let expected = candle_nn::ops::layer_norm(&x, &weight, &bias, 1e-5)?;
        let found = layer_norm(&x, Some(&weight), Some(&bias), 1e-5)?;
        let error = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(error < 1e-5, "{error}");
        assert!(layer_norm(&x, Some(&bias.narrow(0, 0, 9)?), None, 1e-5).is_err());
        Ok(())
    }
}
