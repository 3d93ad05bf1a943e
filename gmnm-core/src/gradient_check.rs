//! Finite-difference checks of gradients, for the tests of every differentiable op and model.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::rng::Philox;

/// A tensor of standard normal numbers on the CPU, fixed by `seed`.
pub fn random(shape: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
    let mut rng = Philox::named(seed, "gradient_check");
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

/// The largest difference between backward's gradients and central differences over all inputs, relative to the
/// largest gradient of that input (at least 1).
///
/// `f` maps the inputs to a tensor of any shape; the checked scalar is its inner product with fixed random numbers,
/// so that every output element counts. Inputs must be f64: `step` is then best near 1e-5.
pub fn gradient_error(
    inputs: &[Tensor],
    step: f64,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<f64> {
    let scalar = |tensors: &[Tensor]| -> Result<Tensor> {
        let out = f(tensors)?;
        let weights = random(out.dims(), out.dtype(), 0xC07A)?.to_device(out.device())?;
        (out * weights)?.sum_all()
    };
    let vars = inputs
        .iter()
        .map(Var::from_tensor)
        .collect::<Result<Vec<_>>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = scalar(&tracked)?.backward()?;
    let mut worst = 0f64;
    for (i, var) in vars.iter().enumerate() {
        let Some(grad) = grads.get(var) else {
            candle_core::bail!("input {i} has no gradient");
        };
        let shape = var.dims().to_vec();
        if grad.dims() != shape {
            candle_core::bail!(
                "input {i} has shape {shape:?}, its gradient {:?}",
                grad.dims()
            );
        }
        let grad: Vec<f64> = grad.flatten_all()?.to_vec1()?;
        let values: Vec<f64> = var.flatten_all()?.to_vec1()?;
        let scale = grad.iter().fold(1f64, |m, g| m.max(g.abs()));
        let at = |k: usize, delta: f64| -> Result<f64> {
            let mut shifted = values.clone();
            shifted[k] += delta;
            let mut all: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
            all[i] = Tensor::from_vec(shifted, shape.as_slice(), &Device::Cpu)?;
            scalar(&all)?.to_scalar::<f64>()
        };
        for (k, analytic) in grad.iter().enumerate() {
            let numeric = (at(k, step)? - at(k, -step)?) / (2.0 * step);
            let error = (numeric - analytic).abs() / scale;
            if error.is_nan() {
                candle_core::bail!("input {i}, element {k}: the gradient or the value is NaN");
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}

/// Panics when [`gradient_error`] at step 1e-5 exceeds `tolerance`. For tests.
///
/// # Panics
/// When the error is larger, or when the function fails.
pub fn assert_gradients(
    inputs: &[Tensor],
    tolerance: f64,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    match gradient_error(inputs, 1e-5, f) {
        Ok(error) => assert!(
            error <= tolerance,
            "gradient error {error:e} exceeds {tolerance:e}"
        ),
        Err(error) => panic!("gradient check failed: {error}"),
    }
}

/// Fails unless `f` gives a gradient to its input number `tracked` where that one is a variable, and to no other.
///
/// # Panics
/// When a gradient is missing or superfluous, or `f` fails.
pub fn assert_only_tracked(
    inputs: &[Tensor],
    tracked: usize,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let check = || -> Result<Vec<bool>> {
        let mut all: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
        all[tracked] = Var::from_tensor(&all[tracked])?.into_inner();
        let gradients = f(&all)?.sum_all()?.backward()?;
        Ok(all
            .iter()
            .map(|input| gradients.get(input).is_some())
            .collect())
    };
    match check() {
        Ok(found) => {
            for (i, found) in found.into_iter().enumerate() {
                assert_eq!(found, i == tracked, "input {i} while {tracked} is tracked");
            }
        }
        Err(error) => panic!("the op failed: {error}"),
    }
}
