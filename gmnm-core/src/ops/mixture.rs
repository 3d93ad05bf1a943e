//! The Gaussian mixture itself.

use candle_core::{D, Result, Tensor};

use crate::Aggregation;

/// G(x)[o] = Σ_m weight[o,m]·exp(−y[m]²/2) + bias[o] over the last axis of `x` `[..., d]`, giving `[..., o]`.
///
/// p[m,r] = projections[m,r]·(x − centers[m]); y[m]² = Σ_r p[m,r]² ([`Aggregation::Norm`]) or y[m] = Σ_r p[m,r]
/// ([`Aggregation::Sum`]). Shapes: `centers` `[m, d]`, `projections` `[m, r, d]`, `weight` `[o, m]`, `bias` `[o]`.
///
/// # Errors
/// When shapes do not fit.
pub fn mixture(
    x: &Tensor,
    centers: &Tensor,
    projections: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    aggregation: Aggregation,
) -> Result<Tensor> {
    let (m, r, d) = projections.dims3()?;
    let mut shape = x.dims().to_vec();
    let rows = x.elem_count() / d.max(1);
    let x = x.reshape((rows, d))?;
    let offset = projections
        .broadcast_mul(&centers.unsqueeze(1)?)?
        .sum(D::Minus1)?
        .reshape(m * r)?;
    let p = x
        .matmul(&projections.reshape((m * r, d))?.t()?)?
        .broadcast_sub(&offset)?
        .reshape((rows, m, r))?;
    let y2 = match aggregation {
        Aggregation::Norm => p.sqr()?.sum(D::Minus1)?,
        Aggregation::Sum => p.sum(D::Minus1)?.sqr()?,
    };
    let phi = (y2 * -0.5)?.exp()?;
    let mut out = phi.matmul(&weight.t()?)?;
    if let Some(bias) = bias {
        out = out.broadcast_add(bias)?;
    }
    if let Some(last) = shape.last_mut() {
        *last = weight.dim(0)?;
    }
    out.reshape(shape)
}
