//! Dropout of hidden values.

use candle_core::{Result, Tensor};
use gmnm_core::rng::Philox;

/// `x` with a share `rate` (in 0..1) of its values set to zero, drawn from `noise`, and the others divided by 1 − `rate`.
///
/// # Errors
/// When memory for the mask cannot be had.
pub fn dropout(x: &Tensor, rate: f64, noise: &mut Philox) -> Result<Tensor> {
    if rate == 0.0 {
        return Ok(x.clone());
    }
    // Bytes, because they may have a way to go.
    let kept: Vec<u8> = (0..x.elem_count())
        .map(|_| {
            // 24 random bits, as many as f32 holds.
            let uniform = f64::from(noise.next_u32() >> 8) / f64::from(1u32 << 24);
            u8::from(uniform >= rate)
        })
        .collect();
    let kept = Tensor::from_vec(kept, x.shape(), x.device())?.to_dtype(x.dtype())?;
    x * (kept * (1.0 / (1.0 - rate)))?
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn a_share_is_dropped_and_the_mean_stays() -> Result<()> {
        let x = Tensor::ones((40, 250), DType::F32, &Device::Cpu)?;
        for rate in [0.1, 0.5, 0.9] {
            let y = dropout(&x, rate, &mut Philox::new(3, 1))?.flatten_all()?;
            let values = y.to_vec1::<f32>()?;
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(values.iter().all(|&v| v == 0.0 || v == kept), "{rate}");
            let dropped = values.iter().filter(|&&v| v == 0.0).count() as f64 / 1e4;
            // Four standard deviations of the widest case.
            assert!((dropped - rate).abs() < 0.02, "{rate}: {dropped}");
        }
        Ok(())
    }

    #[test]
    fn the_gradient_passes_where_the_value_did() -> Result<()> {
        let x = Var::ones((5, 7), DType::F32, &Device::Cpu)?;
        let y = dropout(x.as_tensor(), 0.4, &mut Philox::new(3, 1))?;
        let gradients = y.sum_all()?.backward()?;
        let gradient = gradients.get(x.as_tensor()).map(Tensor::to_vec2::<f32>);
        assert_eq!(gradient.transpose()?, Some(y.to_vec2::<f32>()?));
        Ok(())
    }

    #[test]
    fn a_rate_of_zero_draws_nothing() -> Result<()> {
        let x = Tensor::ones((5, 7), DType::F32, &Device::Cpu)?;
        let mut noise = Philox::new(3, 1);
        assert_eq!(
            dropout(&x, 0.0, &mut noise)?.to_vec2::<f32>()?,
            x.to_vec2::<f32>()?
        );
        assert_eq!(noise.next_u32(), Philox::new(3, 1).next_u32());
        Ok(())
    }
}
