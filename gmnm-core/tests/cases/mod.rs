//! Every op of the crate on inputs of awkward sizes, for comparing one way of computing it with another.
//!
//! Compiled twice: for the test of the devices that a machine has, and for the crate's own tests, which take other
//! routes on the CPU.

use candle_core::{DType, Device, Result, Tensor, Var};
use gmnm_core::Aggregation;
use gmnm_core::gradient_check::random;
use gmnm_core::ops::{
    self, Activation, BatchNormConfig, Conv2dConfig, ConvTranspose2dConfig, LstmWeights,
};

type Run = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>>;

/// An op on some inputs: first activations, which may lie in bf16, then parameters.
pub(super) struct Case {
    /// What it is.
    name: String,
    activations: usize,
    inputs: Vec<Tensor>,
    run: Run,
    /// Whether rounding between its ops may change which of two values is the larger.
    chooses: bool,
}

/// What a case gave: its outputs, then the gradient of each input.
pub(super) type Results = Vec<(String, Vec<f64>)>;

impl Case {
    fn new(
        name: String,
        activations: usize,
        shapes: &[&[usize]],
        run: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + 'static,
    ) -> Self {
        let inputs = shapes.iter().enumerate();
        let inputs = inputs.map(|(i, shape)| random(shape, DType::F64, 100 + i as u64));
        Self {
            name,
            activations,
            inputs: inputs.collect::<Result<_>>().expect("inputs on the CPU"),
            run: Box::new(run),
            chooses: false,
        }
    }

    /// Whether its results in `dtype` can be near the exact ones.
    fn takes(&self, dtype: DType) -> bool {
        dtype != DType::BF16 || !self.chooses
    }

    /// Inputs as they are after rounding activations to `dtype` and parameters to f32 at most.
    fn rounded(&self, dtype: DType) -> Result<Vec<Tensor>> {
        let narrow = |(i, input): (usize, &Tensor)| input.to_dtype(self.dtype(i, dtype));
        self.inputs.iter().enumerate().map(narrow).collect()
    }

    fn dtype(&self, input: usize, dtype: DType) -> DType {
        match dtype {
            DType::BF16 if input >= self.activations => DType::F32,
            dtype => dtype,
        }
    }

    /// The op on `device`, activations in `dtype`.
    ///
    /// # Errors
    /// Those of the op.
    pub(super) fn evaluate(&self, dtype: DType, device: &Device) -> Result<Results> {
        let inputs = self.rounded(dtype)?;
        let vars = inputs
            .iter()
            .map(|input| Var::from_tensor(&input.to_device(device)?))
            .collect::<Result<Vec<_>>>()?;
        self.results(&vars)
    }

    /// The exact results for the inputs that [`Self::evaluate`] rounds.
    ///
    /// # Errors
    /// Those of the op.
    fn exact(&self, dtype: DType) -> Result<Results> {
        let inputs = self.rounded(dtype)?;
        let vars = inputs
            .iter()
            .map(|input| Var::from_tensor(&input.to_dtype(DType::F64)?))
            .collect::<Result<Vec<_>>>()?;
        self.results(&vars)
    }

    fn results(&self, vars: &[Var]) -> Result<Results> {
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let outputs = (self.run)(&tensors)?;
        let mut results = Vec::new();
        let mut loss: Option<Tensor> = None;
        for (i, output) in outputs.iter().enumerate() {
            results.push((format!("output {i}"), values(output)?));
            let dtype = match output.dtype() {
                DType::BF16 => DType::F32,
                dtype => dtype,
            };
            let upstream = random(output.dims(), dtype, 200 + i as u64)?;
            let upstream = upstream.to_device(output.device())?;
            let part = (output.to_dtype(dtype)? * upstream)?.sum_all()?;
            loss = Some(match loss {
                Some(loss) => (loss + part.to_dtype(outputs[0].dtype())?)?,
                None => part.to_dtype(outputs[0].dtype())?,
            });
        }
        let Some(loss) = loss else {
            candle_core::bail!("{}: no output", self.name);
        };
        let gradients = ops::backward(&loss)?;
        for (i, var) in vars.iter().enumerate() {
            let Some(gradient) = gradients.get(var) else {
                candle_core::bail!("{}: input {i} has no gradient", self.name);
            };
            if gradient.dims() != var.dims() || gradient.dtype() != var.dtype() {
                candle_core::bail!(
                    "{}: the gradient of input {i} is {:?} {:?}",
                    self.name,
                    gradient.dims(),
                    gradient.dtype()
                );
            }
            results.push((format!("gradient {i}"), values(gradient)?));
        }
        Ok(results)
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1()
}

/// The first result further from the exact one than `tolerance` times the largest of the exact values.
fn apart(found: &Results, exact: &Results, tolerance: f64) -> Option<String> {
    if found.len() != exact.len() {
        return Some(format!("{} results, not {}", found.len(), exact.len()));
    }
    for ((name, found), (_, exact)) in found.iter().zip(exact) {
        if found.len() != exact.len() {
            return Some(format!(
                "{name} has {} elements, not {}",
                found.len(),
                exact.len()
            ));
        }
        let scale = exact.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
            let error = (found - exact).abs() / scale;
            // A NaN is apart, too.
            if error.is_nan() || error > tolerance {
                return Some(format!(
                    "{name}[{i}] is {found}, not {exact}: {error:e} of {scale}"
                ));
            }
        }
    }
    None
}

/// Panics with every case that takes `dtype` and for which `evaluate` fails or is not near the exact results.
pub(super) fn assert_all_close(
    dtype: DType,
    tolerance: f64,
    evaluate: impl Fn(&Case) -> Result<Results>,
) {
    let cases = all().into_iter().filter(|case| case.takes(dtype));
    let problems: Vec<String> = cases
        .filter_map(|case| {
            let compared =
                evaluate(&case).and_then(|found| Ok(apart(&found, &case.exact(dtype)?, tolerance)));
            match compared {
                Ok(problem) => problem,
                Err(error) => Some(format!("it fails: {error}")),
            }
            .map(|problem| format!("{}: {problem}", case.name))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Every op.
fn all() -> Vec<Case> {
    let mut cases = mixtures();
    cases.extend(batch_norms());
    cases.extend(poolings());
    cases.extend(convolutions());
    cases.extend(lstms());
    cases.extend(others());
    cases
}

fn one(tensor: Tensor) -> Vec<Tensor> {
    vec![tensor]
}

fn mixtures() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, d, m, r, o) in [
        (1, 1, 1, 1, 1),
        (65, 3, 5, 2, 17),
        (130, 33, 70, 1, 16),
        (64, 16, 23, 3, 65),
        (7, 130, 9, 5, 140),
        (1, 2, 3, 64, 4),
        (200, 20, 33, 2, 3),
        (70, 36, 20, 4, 12),
        (130, 64, 68, 1, 64),
    ] {
        for aggregation in [Aggregation::Norm, Aggregation::Sum] {
            let scale = 1.0 / (2.0 * (d * r) as f64).sqrt();
            let run = move |t: &[Tensor]| {
                let projections = t[2].affine(scale, 0.0)?;
                ops::mixture(&t[0], &t[1], &projections, &t[3], Some(&t[4]), aggregation).map(one)
            };
            let shapes: [&[usize]; 5] = [&[rows, d], &[m, d], &[m, r, d], &[o, m], &[o]];
            let name = format!("mixture {rows} {d} {m} {r} {o} {aggregation:?}");
            cases.push(Case::new(name, 1, &shapes, run));
        }
    }
    let run = |t: &[Tensor]| {
        let x = t[0].transpose(0, 2)?;
        ops::mixture(
            &x,
            &t[1],
            &t[2].affine(0.3, 0.0)?,
            &t[3],
            None,
            Aggregation::Norm,
        )
        .map(one)
    };
    let shapes: [&[usize]; 4] = [&[5, 3, 2], &[4, 5], &[4, 2, 5], &[6, 4]];
    cases.push(Case::new("mixture of a view".into(), 1, &shapes, run));
    cases
}

fn batch_norms() -> Vec<Case> {
    use Activation::{Gelu, Identity, Relu, Silu};
    let mut cases = Vec::new();
    for (shape, activation, pool) in [
        ([2, 3, 5, 3], Identity, None),
        ([1, 5, 4, 33], Relu, None),
        ([3, 7, 9, 40], Gelu, None),
        ([1, 1, 2, 1], Silu, None),
        ([2, 5, 7, 3], Identity, Some(2)),
        ([1, 4, 4, 70], Relu, Some(2)),
        ([1, 7, 3, 8], Gelu, Some(3)),
        ([3, 12, 15, 5], Silu, Some(5)),
        ([1, 17, 18, 2], Relu, Some(17)),
    ] {
        for train in [true, false] {
            let run = move |t: &[Tensor]| {
                let config = BatchNormConfig {
                    activation,
                    pool,
                    momentum: 0.3,
                    ..Default::default()
                };
                // The statistics are no variables: copies without a gradient.
                let mean = t[3].detach().copy()?;
                let var = (t[4].detach().sqr()? + 0.5)?;
                let y =
                    ops::batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &var, &config, train)?;
                // So that these inputs have gradients to compare, too.
                let rest = (t[3].sum_all()? + t[4].sum_all()?)?;
                Ok(vec![y, mean, var, rest])
            };
            let c = shape[3];
            let name = format!("batch norm {shape:?} {activation:?} {pool:?} {train}");
            let shapes: [&[usize]; 5] = [&shape, &[c], &[c], &[c], &[c]];
            cases.push(Case::new(name, 1, &shapes, run));
        }
    }
    let run = |t: &[Tensor]| {
        let mean = Tensor::zeros(5, t[0].dtype(), t[0].device())?;
        let (var, x) = (mean.ones_like()?, (&t[0] + 300.0)?);
        ops::batch_norm(
            &x,
            None,
            None,
            &mean,
            &var,
            &BatchNormConfig::default(),
            true,
        )
        .map(one)
    };
    cases.push(Case::new(
        "batch norm far from zero".into(),
        0,
        &[&[67, 5]],
        run,
    ));
    cases
}

fn poolings() -> Vec<Case> {
    let shapes = [
        (2, 4, 4, 3, 2, 2),
        (1, 5, 7, 2, 2, 2),
        (1, 7, 6, 9, 3, 2),
        (1, 5, 5, 1, 2, 3),
        (2, 3, 3, 2, 3, 1),
        (1, 4, 5, 2, 1, 1),
        (1, 19, 20, 2, 17, 2),
    ];
    let case = |(n, h, w, c, kernel, stride)| {
        let run = move |t: &[Tensor]| ops::max_pool2d(&t[0], kernel, stride).map(one);
        let name = format!("max pool {n} {h} {w} {c} {kernel} {stride}");
        Case::new(name, 1, &[&[n, h, w, c]], run)
    };
    shapes.into_iter().map(case).collect()
}

fn convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, h, w, input, out, kh, kw, stride, padding, dilation) in [
        (2, 5, 7, 3, 5, 3, 3, 1, 1, 1),
        (1, 7, 5, 2, 3, 3, 3, 2, 1, 1),
        (2, 6, 6, 1, 17, 3, 3, 2, 0, 1),
        (1, 7, 8, 3, 2, 3, 2, 1, 2, 2),
        (1, 9, 9, 2, 3, 3, 3, 3, 2, 2),
        (3, 3, 4, 5, 3, 1, 1, 1, 0, 1),
        (1, 5, 5, 2, 3, 1, 1, 3, 0, 1),
        (1, 4, 4, 2, 2, 5, 5, 1, 3, 1),
        (1, 8, 6, 2, 3, 2, 4, 4, 1, 1),
        (1, 1, 1, 3, 4, 1, 1, 1, 0, 1),
        (1, 4, 3, 1, 1, 2, 2, 3, 4, 3),
    ] {
        let run = move |t: &[Tensor]| {
            let config = Conv2dConfig {
                stride,
                padding,
                dilation,
            };
            ops::conv2d(&t[0], &t[1], Some(&t[2]), config).map(one)
        };
        let name =
            format!("conv {n} {h} {w} {input} {out} {kh} {kw} {stride} {padding} {dilation}");
        let shapes: [&[usize]; 3] = [&[n, h, w, input], &[out, input, kh, kw], &[out]];
        cases.push(Case::new(name, 1, &shapes, run));
    }
    for (stride, padding, output_padding) in [
        (1, 0, 0),
        (1, 1, 0),
        (2, 1, 0),
        (2, 1, 1),
        (3, 0, 2),
        (4, 1, 3),
    ] {
        let run = move |t: &[Tensor]| {
            let config = ConvTranspose2dConfig {
                stride,
                padding,
                output_padding,
            };
            ops::conv_transpose2d(&t[0], &t[1], Some(&t[2]), config).map(one)
        };
        let name = format!("transposed conv {stride} {padding} {output_padding}");
        cases.push(Case::new(
            name,
            1,
            &[&[2, 3, 2, 3], &[3, 5, 3, 4], &[5]],
            run,
        ));
    }
    cases
}

fn lstms() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, steps, inputs, hidden) in [
        (1, 1, 1, 1),
        (2, 3, 4, 5),
        (17, 4, 3, 33),
        (3, 2, 5, 70),
        (2, 2, 3, 150),
    ] {
        let four = 4 * hidden;
        let shapes: [&[usize]; 7] = [
            &[batch, steps, inputs],
            &[batch, hidden],
            &[batch, hidden],
            &[four, inputs],
            &[four, hidden],
            &[four],
            &[four],
        ];
        let run = |t: &[Tensor]| {
            let weights = LstmWeights {
                weight_ih: &t[3],
                weight_hh: &t[4],
                biases: Some((&t[5], &t[6])),
            };
            let output = ops::lstm(&t[0], &weights, Some((&t[1], &t[2])))?;
            Ok(vec![output.outputs, output.hidden, output.cell])
        };
        let name = format!("lstm {batch} {steps} {inputs} {hidden}");
        cases.push(Case::new(name, 1, &shapes, run));
    }
    let run = |t: &[Tensor]| {
        let weights = LstmWeights {
            weight_ih: &t[1],
            weight_hh: &t[2],
            biases: None,
        };
        let x = t[0].transpose(0, 2)?;
        Ok(vec![ops::lstm(&x, &weights, None)?.outputs])
    };
    let shapes: [&[usize]; 3] = [&[3, 2, 4], &[8, 3], &[8, 2]];
    cases.push(Case::new("lstm from zeros".into(), 1, &shapes, run));
    cases
}

fn others() -> Vec<Case> {
    let linear = |t: &[Tensor]| ops::linear(&t[0], &t[1], Some(&t[2])).map(one);
    let softmax = |t: &[Tensor]| ops::softmax(&t[0]).map(one);
    let layer_norm = |t: &[Tensor]| ops::layer_norm(&t[0], Some(&t[1]), Some(&t[2]), 0.1).map(one);
    let global_mean = |t: &[Tensor]| ops::global_mean(&t[0]).map(one);
    let global_max = |t: &[Tensor]| ops::global_max(&t[0]).map(one);
    let gate = |t: &[Tensor]| ops::gate(&t[0], &t[1]).map(one);
    let add = |t: &[Tensor]| ops::add(&t[0], &t[1]).map(one);
    let cross_entropy = |t: &[Tensor]| {
        let targets = Tensor::new(&[2u32, 0, 6, 1, 1], t[0].device())?;
        ops::cross_entropy(&t[0], &targets, 0.1).map(one)
    };
    let shapes: [&[usize]; 8] = [
        &[2, 9, 9, 3],
        &[8, 3, 3, 3],
        &[8],
        &[8],
        &[6, 8],
        &[6, 2, 8],
        &[8, 6],
        &[4, 8],
    ];
    let mut row = Case::new("ops in a row".into(), 1, &shapes, network);
    row.chooses = true;
    vec![
        row,
        Case::new("linear".into(), 1, &[&[2, 3, 7], &[4, 7], &[4]], linear),
        Case::new("softmax".into(), 1, &[&[3, 2, 19]], softmax),
        Case::new(
            "layer norm".into(),
            1,
            &[&[2, 3, 13], &[13], &[13]],
            layer_norm,
        ),
        Case::new("global mean".into(), 1, &[&[2, 3, 5, 7]], global_mean),
        Case::new("global max".into(), 1, &[&[2, 3, 5, 7]], global_max),
        Case::new("gate".into(), 1, &[&[2, 3, 5, 7], &[2, 7]], gate),
        Case::new("add".into(), 2, &[&[3, 4, 5], &[3, 4, 5]], add),
        Case::new("cross-entropy".into(), 1, &[&[5, 7]], cross_entropy),
    ]
}

/// Ops in a row, as in a model: each must find the gradient that the one after it leaves.
fn network(t: &[Tensor]) -> Result<Vec<Tensor>> {
    let config = Conv2dConfig {
        padding: 1,
        ..Default::default()
    };
    let x = ops::conv2d(&t[0], &t[1], None, config)?;
    let mean = Tensor::zeros(8, t[2].dtype(), x.device())?;
    let config = BatchNormConfig {
        activation: Activation::Gelu,
        pool: Some(2),
        ..Default::default()
    };
    let x = ops::batch_norm(
        &x,
        Some(&t[2]),
        Some(&t[3]),
        &mean,
        &mean.ones_like()?,
        &config,
        true,
    )?;
    let projections = t[5].affine(0.2, 0.0)?;
    let mixed = ops::mixture(&x, &t[4], &projections, &t[6], None, Aggregation::Norm)?;
    let x = ops::max_pool2d(&ops::add(&x, &mixed)?, 2, 2)?;
    let x = ops::linear(&ops::global_mean(&x)?, &t[7], None)?;
    Ok(vec![ops::softmax(&x)?])
}
