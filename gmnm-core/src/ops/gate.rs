//! A factor near 1 for each channel of an image.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};

use super::cpu_storage::{
    ActivationElement, has_kernels, is_bf16, slice, with_activation, with_slice,
};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cpu::gate::{backward, forward};
use crate::cpu::simd::isa::Isa;

const NAME: &str = "gate";

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
    let real = match x.dtype() {
        DType::BF16 => DType::F32,
        dtype => dtype,
    };
    let kernels = on_cpu(x) && (has_kernels(x) || is_bf16(x));
    if !kernels || factors.dtype() != real || !factors.device().is_cpu() {
        return composed::gate(x, factors);
    }
    tape::apply2(&x.contiguous()?, &factors.contiguous()?, Gate)
}

struct Gate;

impl Gate {
    fn gradients<T: ActivationElement>(
        x: &Tensor,
        factors: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, h, w, c) = x.dims4()?;
        let (dx, sums) = with_slice(NAME, x, |x_slice: &[T]| {
            with_slice(NAME, factors, |factors| {
                with_slice(NAME, dy, |dy| {
                    Ok(backward(Isa::best(), x_slice, factors, dy, h * w, c))
                })
            })
        })?;
        let dx = x
            .track_op()
            .then(|| Tensor::from_vec(dx, x.shape(), x.device()));
        let sums = factors
            .track_op()
            .then(|| Tensor::from_vec(sums, factors.shape(), factors.device()));
        Ok((dx.transpose()?, sums.transpose()?))
    }
}

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        factors: &CpuStorage,
        factors_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, h, w, c) = x_layout.shape().dims4()?;
        let y = with_activation!(NAME, x.dtype(), T => {
            let factors = slice(NAME, factors, factors_layout)?;
            let x = slice::<T>(NAME, x, x_layout)?;
            candle_core::WithDType::to_cpu_storage_owned(forward(Isa::best(), x, factors, h * w, c))
        });
        Ok((y, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        factors: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_activation!(NAME, x.dtype(), T => Self::gradients::<T>(x, factors, dy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};
    use candle_core::Var;

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
