//! The same numbers in another dtype.

use candle_core::{DType, Result, Tensor};
use half::bf16;

use super::dispatch::{Op, apply};
use super::slices::{elements, operands, values};
use super::tape::{Backward, Values};
use crate::cpu::reduce::narrowed;

/// `x` in `dtype`, rounded to the nearest where that is bf16. Its gradient is cast back.
///
/// # Errors
/// When the numbers cannot be converted.
pub fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let own = |dtype| matches!(dtype, DType::F32 | DType::BF16);
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    if !own(x.dtype()) || !own(dtype) {
        return x.to_dtype(dtype);
    }
    apply(Cast { dtype }, &[x])
}

/// `f` of `x`, computed in f32 where `x` is in bf16, and its result in the dtype of `x`.
///
/// # Errors
/// Those of `f`.
pub fn in_f32(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    if x.dtype() == DType::BF16 {
        return cast(&f(&cast(x, DType::F32)?)?, DType::BF16);
    }
    f(x)
}

/// From f32 to bf16 or back.
struct Cast {
    dtype: DType,
}

impl Op for Cast {
    const NAME: &'static str = "cast";
    const BF16: bool = true;

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x] = operands(inputs)?;
        Ok(match self.dtype {
            DType::BF16 => values(narrowed::<_, bf16>(&elements::<f32>(x)?), x.shape()),
            _ => values(narrowed::<_, f32>(&elements::<bf16>(x)?), x.shape()),
        })
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        inputs[0].to_dtype(self.dtype)
    }
}

impl Backward for Cast {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x] = operands(inputs)?;
        Ok(vec![Some(cast(&dy.detach(), x.dtype())?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::random;
    use candle_core::Var;

    #[test]
    fn numbers_are_rounded_as_candle_rounds_them_and_widened_exactly() {
        for shape in [vec![1], vec![7, 5], vec![3, 33, 701]] {
            let x = random(&shape, DType::F32, 1).unwrap();
            let half = cast(&x, DType::BF16).unwrap();
            let expected = x.to_dtype(DType::BF16).unwrap();
            let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<half::bf16>().unwrap();
            assert_eq!(bits(&half), bits(&expected));
            let back = cast(&half, DType::F32).unwrap();
            assert_eq!(bits(&cast(&back, DType::BF16).unwrap()), bits(&half));
        }
    }

    #[test]
    fn the_gradient_is_cast_back_and_reaches_through_transposed_input() {
        let x = Var::from_tensor(&random(&[3, 4], DType::F32, 1).unwrap()).unwrap();
        let half = cast(&x.t().unwrap(), DType::BF16).unwrap();
        let upstream = random(&[4, 3], DType::F32, 2).unwrap();
        let upstream = upstream.to_dtype(DType::BF16).unwrap();
        let gradients = crate::ops::backward_from(&half, &upstream).unwrap();
        let found = gradients.get(&x).unwrap().to_vec2::<f32>().unwrap();
        let expected = upstream.t().unwrap().to_dtype(DType::F32).unwrap();
        assert_eq!(found, expected.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn other_dtypes_are_candle_s() {
        let x = random(&[2, 2], DType::F64, 1).unwrap();
        assert_eq!(cast(&x, DType::F32).unwrap().dtype(), DType::F32);
        assert_eq!(cast(&x, DType::F64).unwrap().id(), x.id());
    }
}
