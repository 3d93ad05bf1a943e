//! Ops that are written as candle's custom ops, applied so that the tape records them.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Result, Storage, Tensor};

use super::{Backward, record};

struct Unary<C>(C);
struct Binary<C>(C);
struct Ternary<C>(C);

impl<C: CustomOp1 + Send + Sync> Backward for Unary<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn gradients(&self, x: &[Tensor], y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![self.0.bwd(&x[0], y, dy)?])
    }
}

impl<C: CustomOp2 + Send + Sync> Backward for Binary<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn gradients(&self, x: &[Tensor], y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (a, b) = self.0.bwd(&x[0], &x[1], y, dy)?;
        Ok(vec![a, b])
    }
}

impl<C: CustomOp3 + Send + Sync> Backward for Ternary<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn gradients(&self, x: &[Tensor], y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (a, b, c) = self.0.bwd(&x[0], &x[1], &x[2], y, dy)?;
        Ok(vec![a, b, c])
    }
}

/// `op` of `x`, recorded where a gradient may be asked for.
///
/// # Errors
/// Those of the op's forward.
pub(in crate::ops) fn apply1<C: CustomOp1 + Send + Sync + 'static>(
    x: &Tensor,
    op: C,
) -> Result<Tensor> {
    if !records(&[x]) {
        return x.apply_op1(op);
    }
    let (output, shape) = {
        let (storage, layout) = x.storage_and_layout();
        op.cpu_fwd(cpu(&storage)?, layout)?
    };
    record(Box::new(Unary(op)), &[x], Storage::Cpu(output), shape)
}

/// `op` of `x` and `y`; see [`apply1`].
///
/// # Errors
/// Those of the op's forward.
pub(in crate::ops) fn apply2<C: CustomOp2 + Send + Sync + 'static>(
    x: &Tensor,
    y: &Tensor,
    op: C,
) -> Result<Tensor> {
    if !records(&[x, y]) {
        return x.apply_op2(y, op);
    }
    let (output, shape) = {
        let (x, x_layout) = x.storage_and_layout();
        let (y, y_layout) = y.storage_and_layout();
        op.cpu_fwd(cpu(&x)?, x_layout, cpu(&y)?, y_layout)?
    };
    record(Box::new(Binary(op)), &[x, y], Storage::Cpu(output), shape)
}

/// `op` of `x`, `y` and `z`; see [`apply1`].
///
/// # Errors
/// Those of the op's forward.
pub(in crate::ops) fn apply3<C: CustomOp3 + Send + Sync + 'static>(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    op: C,
) -> Result<Tensor> {
    if !records(&[x, y, z]) {
        return x.apply_op3(y, z, op);
    }
    let (output, shape) = {
        let (x, x_layout) = x.storage_and_layout();
        let (y, y_layout) = y.storage_and_layout();
        let (z, z_layout) = z.storage_and_layout();
        op.cpu_fwd(cpu(&x)?, x_layout, cpu(&y)?, y_layout, cpu(&z)?, z_layout)?
    };
    record(
        Box::new(Ternary(op)),
        &[x, y, z],
        Storage::Cpu(output),
        shape,
    )
}

fn records(inputs: &[&Tensor]) -> bool {
    inputs.iter().any(|x| x.track_op()) && inputs.iter().all(|x| x.device().is_cpu())
}

fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => candle_core::bail!("the op runs on the CPU only; move its operands there"),
    }
}
