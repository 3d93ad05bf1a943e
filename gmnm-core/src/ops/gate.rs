//! A factor near 1 for each channel of an image.

use candle_core::{Result, Tensor};

use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_activation};
use super::tape::{Backward, Values};
use crate::cpu::gate::{backward, forward};
use crate::cpu::simd::isa::Isa;

/// `x` `[n, h, w, c]` times 1 + `factors` `[n, c]`. For `x` in bf16 the factors are in f32, and only the product is
/// rounded.
///
/// # Errors
/// When shapes, dtypes or devices do not fit each other.
pub fn gate(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = x.dims4()?;
    if factors.dims() != [n, c] {
        candle_core::bail!(
            "gate: the factors have shape {:?}, give them [{n}, {c}], one for each image and channel",
            factors.dims()
        );
    }
    apply(Gate, &[x, factors])
}

struct Gate;

impl Op for Gate {
    const NAME: &'static str = "gate";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x, factors] = operands(inputs)?;
        let (_, h, w, c) = x.dims4()?;
        Ok(with_activation!(x.dtype(), T => {
            let y = forward(Isa::best(), &elements::<T>(x)?, &elements(factors)?, h * w, c);
            values(y, x.shape())
        }))
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (n, _, _, c) = inputs[0].dims4()?;
        let factors = (widened(inputs[1])? + 1.0)?.reshape((n, 1, 1, c))?;
        let product = widened(inputs[0])?.broadcast_mul(&factors)?;
        product.to_dtype(inputs[0].dtype())
    }
}

impl Backward for Gate {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, factors] = operands(inputs)?;
        let (_, h, w, c) = x.dims4()?;
        with_activation!(x.dtype(), T => {
            let (values, gains, dy) = (elements::<T>(x)?, elements(factors)?, elements(dy)?);
            let (dx, sums) = backward(Isa::best(), &values, &gains, &dy, h * w, c);
            Ok(vec![gradient_of(x, || Ok(dx))?, gradient_of(factors, || Ok(sums))?])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};
    use candle_core::{DType, Var};

    #[test]
    fn gradients_match_finite_differences() {
        for shape in [[2, 3, 5, 7], [1, 1, 1, 3], [1, 4, 1, 17], [3, 2, 2, 33]] {
            let x = random(&shape, DType::F64, 1).unwrap();
            let factors = random(&[shape[0], shape[3]], DType::F64, 2).unwrap();
            assert_gradients(&[x, factors], 1e-8, |t| gate(&t[0], &t[1]));
        }
        let x = random(&[2, 4, 5, 3], DType::F64, 1).unwrap();
        let factors = random(&[5, 2], DType::F64, 2).unwrap();
        assert_gradients(&[x, factors], 1e-8, |t| {
            gate(&t[0].permute((0, 1, 3, 2))?, &t[1].t()?)
        });
    }

    #[test]
    fn equals_a_broadcast_product() {
        let x = random(&[3, 4, 5, 21], DType::F32, 1).unwrap();
        let factors = random(&[3, 21], DType::F32, 2).unwrap();
        let wide = (&factors + 1.0).unwrap().reshape((3, 1, 1, 21)).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let expected = flat(&x.broadcast_mul(&wide).unwrap());
        assert_eq!(flat(&gate(&x, &factors).unwrap()), expected);
    }

    #[test]
    fn bf16_is_rounded_once() {
        let half = random(&[2, 3, 3, 19], DType::F32, 1).unwrap();
        let half = half.to_dtype(DType::BF16).unwrap();
        let run = |x: &Tensor| {
            let x = Var::from_tensor(x).unwrap();
            let factors = Var::from_tensor(&random(&[2, 19], DType::F32, 2).unwrap()).unwrap();
            let y = gate(&x, &factors).unwrap();
            let upstream = half.to_dtype(x.dtype()).unwrap();
            let gradients = super::super::backward_from(&y, &upstream).unwrap();
            let rounded = |t: &Tensor| {
                let t = t.to_dtype(DType::BF16).unwrap().flatten_all().unwrap();
                t.to_vec1::<half::bf16>().unwrap()
            };
            let of = |v: &Var| rounded(gradients.get(v).unwrap());
            (rounded(&y), of(&x), of(&factors))
        };
        assert_eq!(run(&half), run(&half.to_dtype(DType::F32).unwrap()));
    }

    #[test]
    fn an_untracked_operand_gets_no_gradient() {
        let x = random(&[1, 2, 2, 3], DType::F32, 1).unwrap();
        let factors = random(&[1, 3], DType::F32, 2).unwrap();
        for tracked in 0..2 {
            assert_only_tracked(&[x.clone(), factors.clone()], tracked, |t| {
                gate(&t[0], &t[1])
            });
        }
    }

    #[test]
    fn misfits_are_errors() {
        let x = random(&[2, 2, 2, 3], DType::F32, 1).unwrap();
        assert!(gate(&x, &random(&[1, 3], DType::F32, 2).unwrap()).is_err());
        assert!(gate(&x, &random(&[2, 3], DType::F64, 2).unwrap()).is_err());
    }
}
