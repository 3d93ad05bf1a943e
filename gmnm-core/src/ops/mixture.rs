//! The Gaussian mixture itself.

use candle_core::{D, DType, Result, Tensor};

use super::cast::in_f32;
use super::composed::widened;
use super::dispatch::{Op, apply};
use super::slices::{elements, gradient_of, operands, values, with_element, with_last};
use super::tape::{Backward, Values};
use crate::cpu::mixture::{Mixture, Parameters, Sizes};
use crate::cpu::product::products::Products;
use crate::cpu::simd::isa::Isa;
use crate::cuda::{self, Buffer, KernelDevice};
use crate::precision::products;
use crate::route::on_cpu;

/// How the R projections p\[m,r\] = w\[m,r\]·(x − μ\[m\]) of a component become one distance y\[m\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// y² = Σ_r p_r²: a Mahalanobis distance whose Σ⁻¹ = WᵀW is positive semi-definite of rank at most R.
    #[default]
    Norm,
    /// y = Σ_r p_r: the paper's Figure 1 read literally. R projections act as one, Σ_r w\[m,r\]: R > 1 adds parameters
    /// and no expressive power, and [`Gmnm::fold`](crate::Gmnm::fold) takes them out again.
    Sum,
}

/// G(x)\[o\] = Σ_m weight\[o,m\]·exp(−y\[m\]²/2) + bias\[o\] over the last axis of `x` `[..., d]`, giving `[..., o]`.
///
/// p\[m,r\] = projections\[m,r\]·(x − centers\[m\]); y\[m\]² = Σ_r p\[m,r\]² ([`Aggregation::Norm`]) or
/// y\[m\] = Σ_r p\[m,r\] ([`Aggregation::Sum`]). Shapes: `centers` `[m, d]`, `projections` `[m, r, d]`, `weight`
/// `[o, m]`, `bias` `[o]`.
///
/// On the CPU one op does all of it, tile by tile: it keeps nothing but its inputs for the backward, and its memory
/// beyond inputs and outputs does not grow with the batch. Under [`Aggregation::Sum`] R projections cost as much as
/// one.
///
/// # Errors
/// When shapes do not fit or a size is zero.
pub fn mixture(
    x: &Tensor,
    centers: &Tensor,
    projections: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    aggregation: Aggregation,
) -> Result<Tensor> {
    let (m, r, d) = projections.dims3()?;
    let o = weight.dim(0)?;
    let fits = x.dim(D::Minus1)? == d
        && centers.dims() == [m, d]
        && weight.dims() == [o, m]
        && bias.is_none_or(|bias| bias.dims() == [o]);
    if !fits || [m, r, d, o].contains(&0) {
        candle_core::bail!(
            "a mixture of input {:?}, centers {:?}, projections {:?}, weight {:?} and bias {:?} does not fit together",
            x.dims(),
            centers.dims(),
            projections.dims(),
            weight.dims(),
            bias.map(Tensor::dims)
        );
    }
    let zeros;
    let bias = match bias {
        Some(bias) => bias,
        None => {
            zeros = Tensor::zeros(o, weight.dtype(), x.device())?;
            &zeros
        }
    };
    let parameters = [centers, projections, weight, bias];
    if on_cpu(x) && x.dtype() == DType::BF16 && parameters.iter().all(|t| t.dtype() == DType::F32) {
        return in_f32(x, |x| {
            mixture(x, centers, projections, weight, Some(bias), aggregation)
        });
    }
    let op = MixtureOp {
        sizes: Sizes {
            inputs: d,
            components: m,
            projections: r,
            outputs: o,
            summed: aggregation == Aggregation::Sum,
        },
        products: products(x),
        cuda: None,
    };
    apply(op, &[x, centers, projections, weight, bias])
}

struct MixtureOp {
    sizes: Sizes,
    products: Products,
    /// Where a device's kernels compute it.
    cuda: Option<cuda::mixture::Mixture>,
}

/// Calls `$call` with `$parameters` naming the elements of centers, projections, weight and bias.
macro_rules! with_parameters {
    ($inputs:expr, $parameters:ident => $call:expr) => {{
        let [centers, projections, weight, bias] = $inputs;
        let (centers, projections) = (elements(centers)?, elements(projections)?);
        let (weight, bias) = (elements(weight)?, elements(bias)?);
        let $parameters = Parameters {
            centers: &centers,
            projections: &projections,
            weight: &weight,
            bias: &bias,
        };
        $call
    }};
}

impl Op for MixtureOp {
    const NAME: &'static str = "mixture";

    fn cpu(&mut self, inputs: &[Tensor]) -> Result<Values> {
        let [x, parameters @ ..] = operands::<5>(inputs)?;
        Ok(
            with_element!(x.dtype(), T => with_parameters!(parameters, parameters => {
                let mixture = Mixture::<T>::new(Isa::best(), self.products, self.sizes, parameters);
                values(mixture.forward(&elements(x)?), with_last(x, self.sizes.outputs))
            })),
        )
    }

    fn cuda(&mut self, device: KernelDevice, inputs: &[Tensor]) -> Result<Option<Buffer>> {
        let [x, parameters @ ..] = operands::<5>(inputs)?;
        let parameters = parameters.each_ref();
        self.cuda = cuda::mixture::Mixture::new(device, self.sizes, x, parameters);
        let forward = |op: &cuda::mixture::Mixture| {
            op.forward(x, parameters, with_last(x, self.sizes.outputs))
        };
        self.cuda.as_ref().map(forward).transpose()
    }

    fn composed(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [m, r, d] = [
            self.sizes.components,
            self.sizes.projections,
            self.sizes.inputs,
        ];
        let rows = inputs[0].elem_count() / d;
        let wide = inputs
            .iter()
            .map(|t| widened(t))
            .collect::<Result<Vec<_>>>()?;
        let [x, centers, projections, weight, bias] = operands(&wide)?;
        let offset = projections
            .broadcast_mul(&centers.unsqueeze(1)?)?
            .sum(D::Minus1)?
            .reshape(m * r)?;
        let p = x
            .reshape((rows, d))?
            .matmul(&projections.reshape((m * r, d))?.t()?)?
            .broadcast_sub(&offset)?
            .reshape((rows, m, r))?;
        let y2 = match self.sizes.summed {
            false => p.sqr()?.sum(D::Minus1)?,
            true => p.sum(D::Minus1)?.sqr()?,
        };
        let phi = (y2 * -0.5)?.exp()?;
        let out = phi.matmul(&weight.t()?)?.broadcast_add(bias)?;
        out.reshape(with_last(x, self.sizes.outputs))?
            .to_dtype(inputs[0].dtype())
    }
}

impl Backward for MixtureOp {
    fn gradients(&self, inputs: &[Tensor], _: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, parameters @ ..] = operands::<5>(inputs)?;
        if let Some(op) = &self.cuda {
            return op.gradients(x, parameters.each_ref(), dy);
        }
        with_element!(x.dtype(), T => with_parameters!(parameters, slices => {
            let mixture = Mixture::<T>::new(Isa::best(), self.products, self.sizes, slices);
            let (values, dy) = (elements(x)?, elements(dy)?);
            let (dx, gradients) =
                mixture.backward(self.sizes, slices, &values, &dy, x.track_op());
            let mut all = vec![gradient_of(x, || Ok(dx))?];
            for (parameter, gradient) in parameters.iter().zip(gradients) {
                all.push(gradient_of(parameter, || Ok(gradient))?);
            }
            Ok(all)
        }))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::cpu::product::factor::tolerances;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};

    const BOTH: [Aggregation; 2] = [Aggregation::Norm, Aggregation::Sum];

    /// x, centers, projections, weight, bias.
    fn inputs(x: &[usize], [m, r, o]: [usize; 3], dtype: DType) -> Result<Vec<Tensor>> {
        let d = x[x.len() - 1];
        let scale = 1.0 / (2.0 * d as f64 * r as f64).sqrt();
        Ok(vec![
            random(x, dtype, 1)?,
            random(&[m, d], dtype, 2)?,
            random(&[m, r, d], dtype, 3)?.affine(scale, 0.0)?,
            random(&[o, m], dtype, 4)?,
            random(&[o], dtype, 5)?,
        ])
    }

    fn apply(t: &[Tensor], aggregation: Aggregation) -> Result<Tensor> {
        mixture(&t[0], &t[1], &t[2], &t[3], t.get(4), aggregation)
    }

    #[test]
    fn gradients_match_finite_differences() -> Result<()> {
        for aggregation in BOTH {
            for (x, sizes) in [
                (vec![1, 1], [1, 1, 1]),
                (vec![3], [5, 2, 3]),
                (vec![2, 3, 5], [9, 3, 2]),
                (vec![131, 2], [3, 2, 1]),
            ] {
                let all = inputs(&x, sizes, DType::F64)?;
                assert_gradients(&all, 1e-7, |t| apply(t, aggregation));
                assert_gradients(&all[..4], 1e-7, |t| apply(t, aggregation));
            }
            let mut all = inputs(&[7, 3], [4, 2, 2], DType::F64)?;
            all[0] = all[0].t()?.contiguous()?;
            assert_gradients(&all, 1e-7, |t| {
                mixture(&t[0].t()?, &t[1], &t[2], &t[3], t.get(4), aggregation)
            });
        }
        Ok(())
    }

    fn difference(a: &Tensor, b: &Tensor) -> Result<f64> {
        let (a, b) = (a.to_dtype(DType::F64)?, b.to_dtype(DType::F64)?);
        (a - b)?.abs()?.max_all()?.to_scalar()
    }

    #[test]
    fn every_path_matches_the_composed_form_at_f64() -> Result<()> {
        for aggregation in BOTH {
            for (rows, d, m, r, o) in [(1, 3, 1, 1, 1), (300, 17, 13, 3, 5), (1100, 8, 32, 2, 9)] {
                let exact = inputs(&[rows, d], [m, r, o], DType::F64)?;
                let vars = exact
                    .iter()
                    .map(Var::from_tensor)
                    .collect::<Result<Vec<_>>>()?;
                let [x, c, p, w, b] = &vars[..] else {
                    candle_core::bail!("five inputs");
                };
                let sizes = Sizes {
                    inputs: d,
                    components: m,
                    projections: r,
                    outputs: o,
                    summed: aggregation == Aggregation::Sum,
                };
                let op = MixtureOp {
                    sizes,
                    products: Products::Full,
                    cuda: None,
                };
                let expected = op.composed(&[x, c, p, w, b])?;
                let dy = random(&[rows, o], DType::F64, 6)?;
                let grads = (&expected * &dy)?.sum_all()?.backward()?;
                let to_f32 = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
                let flat = exact[1..].iter().map(to_f32).collect::<Result<Vec<_>>>()?;
                let parameters = Parameters {
                    centers: &flat[0],
                    projections: &flat[1],
                    weight: &flat[2],
                    bias: &flat[3],
                };
                for ((isa, products), tolerance) in
                    Isa::available().into_iter().flat_map(tolerances)
                {
                    let mixture = Mixture::new(isa, products, sizes, parameters);
                    let x32 = to_f32(&exact[0])?;
                    let out = Tensor::from_vec(mixture.forward(&x32), (rows, o), &Device::Cpu)?;
                    let scale = expected.abs()?.max_all()?.to_scalar::<f64>()?.max(1.0);
                    let error = difference(&out, &expected)? / scale;
                    assert!(error < tolerance, "{isa:?} {products:?} {error}");
                    let (dx, gradient) =
                        mixture.backward(sizes, parameters, &x32, &to_f32(&dy)?, true);
                    let found = [dx, gradient.concat()].concat();
                    let found = Tensor::new(found, &Device::Cpu)?;
                    let expected = vars
                        .iter()
                        .map(|v| {
                            grads
                                .get(v)
                                .map_or_else(|| v.zeros_like(), Tensor::flatten_all)
                        })
                        .collect::<Result<Vec<_>>>()?;
                    let expected = Tensor::cat(&expected, 0)?;
                    let scale = expected.abs()?.max_all()?.to_scalar::<f64>()?;
                    let error = difference(&found, &expected)? / scale;
                    assert!(error < tolerance, "{isa:?} {products:?} {error}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_number_of_threads_changes_nothing() -> Result<()> {
        let run = |threads: usize| -> Result<Vec<Vec<f32>>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(candle_core::Error::wrap)?;
            pool.install(|| {
                let vars = inputs(&[1500, 6], [10, 2, 4], DType::F32)?
                    .iter()
                    .map(Var::from_tensor)
                    .collect::<Result<Vec<_>>>()?;
                let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
                let out = apply(&tensors, Aggregation::Norm)?;
                let grads = out.sqr()?.sum_all()?.backward()?;
                let mut all = vec![out.flatten_all()?.to_vec1()?];
                for grad in vars.iter().filter_map(|v| grads.get(v)) {
                    all.push(grad.flatten_all()?.to_vec1()?);
                }
                Ok(all)
            })
        };
        let one = run(1)?;
        assert_eq!(one.len(), 6);
        assert_eq!(one, run(3)?);
        Ok(())
    }

    #[test]
    fn an_untracked_input_gets_no_gradient_and_bad_shapes_are_errors() -> Result<()> {
        let all = inputs(&[4, 3], [5, 2, 2], DType::F32)?;
        for tracked in 0..5 {
            assert_only_tracked(&all, tracked, |t| apply(t, Aggregation::Norm));
        }
        for i in 0..5 {
            let mut bad = all.clone();
            bad[i] = bad[i].narrow(bad[i].rank() - 1, 0, 1)?;
            assert!(apply(&bad, Aggregation::Norm).is_err(), "input {i}");
        }
        let empty = mixture(
            &all[0].narrow(0, 0, 0)?,
            &all[1],
            &all[2],
            &all[3],
            None,
            Aggregation::Sum,
        )?;
        assert_eq!(empty.dims(), [0, 2]);
        Ok(())
    }

    #[test]
    fn nan_is_passed_on() -> Result<()> {
        let mut all = inputs(&[2, 3], [4, 2, 2], DType::F32)?;
        all[0] = Tensor::new(&[[f32::NAN, 0.0, 0.0], [0.0; 3]], &Device::Cpu)?;
        let out = apply(&all, Aggregation::Norm)?.to_vec2::<f32>()?;
        assert!(out[0].iter().all(|v| v.is_nan()), "{out:?}");
        assert!(out[1].iter().all(|v| v.is_finite()), "{out:?}");
        Ok(())
    }
}
