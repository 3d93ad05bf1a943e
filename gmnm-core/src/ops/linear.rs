//! A linear map of the last axis.

use candle_core::{D, DType, Result, Tensor};

use super::cast::in_f32;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element, with_last};
use super::tape::{Backward, Values};
use crate::cpu::product::matmul::{self, View};
use crate::cpu::product::products::Products;
use crate::precision::products;
use crate::route::on_cpu;

/// x·weightᵀ + bias over the last axis: `x` `[..., in]`, `weight` `[out, in]` (PyTorch's layout), `bias` `[out]`, to
/// `[..., out]`. Input in bf16 takes parameters in f32 and gives bf16.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let bias_fits = bias.is_none_or(|bias| bias.dims() == [outputs]);
    if x.dim(D::Minus1)? != inputs || !bias_fits {
        candle_core::bail!(
            "a linear map with weight {:?} does not fit input {:?} and bias {:?}",
            weight.dims(),
            x.dims(),
            bias.map(Tensor::dims)
        );
    }
    if on_cpu(x) && x.dtype() == DType::BF16 && weight.dtype() == DType::F32 {
        return in_f32(x, |x| linear(x, weight, bias));
    }
    let op = Linear {
        products: products(x),
    };
    match bias {
        Some(bias) => apply(op, &[x, weight, bias]),
        None => apply(op, &[x, weight]),
    }
}

struct Linear {
    products: Products,
}

impl Op for Linear {
    const NAME: &'static str = "linear";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x, weight] = operands(&inputs[..2])?;
        let (outputs, features) = weight.dims2()?;
        let rows = x.elem_count() / features;
        Ok(with_element!(x.dtype(), T => {
            let mut y = vec![0.0; rows * outputs];
            let bias = inputs.get(2).map(elements::<T>).transpose()?;
            matmul::linear::<T>(
                self.products,
                &mut y,
                View::new(&elements(x)?, rows, features),
                View::new(&elements(weight)?, outputs, features),
                bias.as_deref(),
            );
            values(y, with_last(x, outputs))
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let x = inputs[0];
        // Only a contiguous input is multiplied without a copy of the weight for each of its matrices.
        let like = |t: &Tensor| t.to_dtype(x.dtype());
        let y = x.contiguous()?.broadcast_matmul(&like(inputs[1])?.t()?)?;
        match inputs.get(2) {
            Some(bias) => y.broadcast_add(&like(bias)?),
            None => Ok(y),
        }
    }
}

impl Backward for Linear {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, weight] = operands(&inputs[..2])?;
        let (outputs, features) = weight.dims2()?;
        let rows = x.elem_count() / features;
        with_element!(x.dtype(), T => {
            let dy = elements::<T>(dy)?;
            let dy = View::new(&dy, rows, outputs);
            let dx = gradient_of(x, || {
                let mut dx = vec![0.0; rows * features];
                let weight = elements(weight)?;
                let weight = View::new(&weight, outputs, features).t();
                matmul::linear(self.products, &mut dx, dy, weight, None);
                Ok(dx)
            })?;
            let dw = weight.track_op().then(|| {
                let values = elements(x)?;
                let x = View::new(&values, rows, features);
                // Threads share the wider side.
                if outputs >= features {
                    let dw = matmul::transposed_product(self.products, dy, x);
                    return Tensor::from_vec(dw, (outputs, features), weight.device());
                }
                let dw = matmul::transposed_product(self.products, x, dy);
                Tensor::from_vec(dw, (features, outputs), weight.device())?.t()
            });
            let mut gradients = vec![dx, dw.transpose()?];
            if let Some(bias) = inputs.get(2) {
                gradients.push(gradient_of(bias, || {
                    let ones = vec![1.0; rows];
                    let ones = View::new(&ones, rows, 1);
                    Ok(matmul::transposed_product(Products::Full, dy, ones))
                })?);
            }
            Ok(gradients)
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::Precision;
    use crate::gradient_check::{assert_gradients, random};

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for (shape, outputs) in [
            (vec![1, 1], 1),
            (vec![3], 5),
            (vec![2, 3, 7], 4),
            (vec![5, 3], 8),
        ] {
            let d = shape[shape.len() - 1];
            let x = random(&shape, DType::F64, 1)?;
            let weight = random(&[outputs, d], DType::F64, 2)?;
            let bias = random(&[outputs], DType::F64, 3)?;
            let inputs = [x, weight, bias];
            assert_gradients(&inputs[..2], 1e-8, |t| linear(&t[0], &t[1], None));
            assert_gradients(&inputs, 1e-8, |t| linear(&t[0], &t[1], Some(&t[2])));
        }
        let (x, weight) = (
            random(&[4, 9], DType::F64, 1)?,
            random(&[4, 6], DType::F64, 2)?,
        );
        assert_gradients(&[x, weight], 1e-8, |t| linear(&t[0].t()?, &t[1].t()?, None));
        Ok(())
    }

    #[test]
    fn blocks_of_rows_match_candle() -> Result<()> {
        for (rows, d, outputs) in [(1, 300, 10), (300, 17, 70), (129, 40, 3)] {
            let x = Var::from_tensor(&random(&[rows, d], DType::F32, 1)?)?;
            let weight = Var::from_tensor(&random(&[outputs, d], DType::F32, 2)?)?;
            let bias = Var::from_tensor(&random(&[outputs], DType::F32, 3)?)?;
            let upstream = random(&[rows, outputs], DType::F32, 4)?;
            let found = linear(&x, &weight, Some(&bias))?;
            let expected = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
            let close = |a: &Tensor, b: &Tensor| -> Result<bool> {
                let error = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
                Ok(error < 1e-3)
            };
            assert!(close(&found, &expected)?);
            let found = (found * &upstream)?.sum_all()?.backward()?;
            let expected = (expected * &upstream)?.sum_all()?.backward()?;
            for var in [&x, &weight, &bias] {
                let (Some(found), Some(expected)) = (found.get(var), expected.get(var)) else {
                    candle_core::bail!("no gradient");
                };
                assert!(close(found, expected)?);
            }
        }
        Ok(())
    }

    #[test]
    fn every_precision_is_near_f64() -> Result<()> {
        for (rows, d, outputs) in [(1, 300, 10), (300, 17, 70), (129, 40, 3)] {
            let exact = [
                random(&[rows, d], DType::F64, 1)?,
                random(&[outputs, d], DType::F64, 2)?,
                random(&[outputs], DType::F64, 3)?,
            ];
            let upstream = random(&[rows, outputs], DType::F64, 4)?;
            let run = |dtype: DType, x: DType| -> Result<Vec<Tensor>> {
                let vars = exact.iter().map(|t| Var::from_tensor(&t.to_dtype(dtype)?));
                let vars = vars.collect::<Result<Vec<_>>>()?;
                let y = linear(&vars[0].to_dtype(x)?, &vars[1], Some(&vars[2]))?;
                assert_eq!(y.dtype(), x);
                let y = y.to_dtype(dtype)?;
                let gradients = (&y * upstream.to_dtype(dtype)?)?.sum_all()?.backward()?;
                let of = |var: &Var| gradients.get(var).cloned();
                let mut all = vec![y];
                all.extend(vars.iter().filter_map(of));
                Ok(all)
            };
            let expected = run(DType::F64, DType::F64)?;
            for (precision, x, tolerance) in [
                (Precision::F32, DType::F32, 1e-6),
                (Precision::Bf16x3, DType::F32, 3e-5),
                (Precision::Bf16, DType::F32, 1e-2),
                (Precision::Bf16, DType::BF16, 2e-2),
            ] {
                let _guard = precision.enter();
                let found = run(DType::F32, x)?;
                assert_eq!(found.len(), 4);
                for (found, expected) in found.iter().zip(&expected) {
                    let difference = (found.to_dtype(DType::F64)? - expected)?.abs()?;
                    let error = difference.max_all()?.to_scalar::<f64>()?;
                    let scale = expected.abs()?.max_all()?.to_scalar::<f64>()?;
                    assert!(
                        error < tolerance * scale,
                        "{precision} {x:?} {error} {scale}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn misfits_are_errors() -> Result<()> {
        let (x, weight) = (
            random(&[2, 3], DType::F32, 1)?,
            random(&[4, 5], DType::F32, 1)?,
        );
        assert!(linear(&x, &weight, None).is_err());
        let weight = random(&[4, 3], DType::F32, 1)?;
        assert!(linear(&x, &weight, Some(&random(&[3], DType::F32, 1)?)).is_err());
        let none = linear(&x.narrow(0, 0, 0)?, &weight, None)?;
        assert_eq!(none.dims(), [0, 4]);
        Ok(())
    }
}
