//! Max pooling from shifted images.

use candle_core::{Result, Tensor};

use super::every;
use crate::cpu::windows::PoolGeometry;

/// The maximum of each window. The first of equal values takes the gradient, and a NaN wins.
pub(in crate::ops) fn max_pool2d(g: &PoolGeometry, x: &Tensor) -> Result<Tensor> {
    let mut best: Option<Tensor> = None;
    for ky in 0..g.kernel {
        let rows = every(x, 1, ky, g.stride, g.oh)?;
        for kx in 0..g.kernel {
            let next = every(&rows, 2, kx, g.stride, g.ow)?.contiguous()?;
            best = Some(match best {
                None => next,
                Some(best) => {
                    let larger = next.gt(&best)?;
                    // Only a NaN differs from itself.
                    let wins = (larger + next.ne(&next)?)?;
                    wins.where_cond(&next, &best)?
                }
            });
        }
    }
    match best {
        Some(best) => Ok(best),
        None => candle_core::bail!("max_pool2d: a window needs at least one place"),
    }
}
