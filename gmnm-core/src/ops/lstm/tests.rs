use candle_core::{Device, Var};

use super::*;
use crate::cpu::product::factor::tolerances;
use crate::gradient_check::{assert_gradients, assert_only_tracked, random};

/// x, both weights, both biases, h0, c0.
fn inputs([batch, steps, d, h]: [usize; 4], dtype: DType) -> Result<Vec<Tensor>> {
    let shapes: [&[usize]; 7] = [
        &[batch, steps, d],
        &[4 * h, d],
        &[4 * h, h],
        &[4 * h],
        &[4 * h],
        &[batch, h],
        &[batch, h],
    ];
    let random = |(seed, shape): (usize, &&[usize])| random(shape, dtype, seed as u64 + 1);
    shapes.iter().enumerate().map(random).collect()
}

fn weights(t: &[Tensor]) -> LstmWeights<'_> {
    LstmWeights {
        weight_ih: &t[1],
        weight_hh: &t[2],
        biases: t.get(3).zip(t.get(4)),
    }
}

/// All three results side by side, so that each has its own upstream gradient.
fn joined(output: &LstmOutput) -> Result<Tensor> {
    let parts = [&output.outputs, &output.hidden, &output.cell];
    let parts = parts.map(Tensor::flatten_all);
    Tensor::cat(&parts.into_iter().collect::<Result<Vec<_>>>()?, 0)
}

#[test]
fn gradients_match_finite_differences() -> Result<()> {
    for sizes in [[1, 1, 1, 1], [2, 3, 3, 5], [17, 2, 1, 2]] {
        let all = inputs(sizes, DType::F64)?;
        assert_gradients(&all, 1e-7, |t| {
            joined(&lstm(&t[0], &weights(t), Some((&t[5], &t[6])))?)
        });
        assert_gradients(&all[..3], 1e-7, |t| {
            Ok(lstm(&t[0], &weights(t), None)?.outputs)
        });
        assert_gradients(
            &all[..5],
            1e-7,
            |t| Ok(lstm(&t[0], &weights(t), None)?.cell),
        );
    }
    let mut all = inputs([2, 3, 4, 3], DType::F64)?;
    all.truncate(5);
    all[0] = all[0].transpose(0, 2)?.contiguous()?;
    assert_gradients(&all, 1e-7, |t| {
        Ok(lstm(&t[0].transpose(0, 2)?, &weights(t), None)?.hidden)
    });
    Ok(())
}

#[test]
fn two_layers_compose() -> Result<()> {
    let first = inputs([2, 3, 2, 3], DType::F64)?;
    let second = inputs([2, 3, 3, 2], DType::F64)?;
    let all = [&first[..5], &second[1..5]].concat();
    assert_gradients(&all, 1e-7, |t| {
        let below = lstm(&t[0], &weights(&t[..5]), None)?;
        let above = [std::slice::from_ref(&below.outputs), &t[5..]].concat();
        joined(&lstm(&above[0], &weights(&above), None)?)
    });
    Ok(())
}

#[test]
fn every_path_matches_the_composed_form_at_f64() -> Result<()> {
    for dims @ [batch, steps, inputs_, hidden] in [[1, 2, 3, 1], [19, 7, 5, 11], [16, 51, 8, 16]] {
        let mut all = inputs(dims, DType::F64)?;
        // As layers start: from larger weights a rounding grows from step to step.
        for weight in &mut all[1..3] {
            *weight = weight.affine((hidden as f64).powf(-0.5), 0.0)?;
        }
        let vars = all
            .iter()
            .map(Var::from_tensor)
            .collect::<Result<Vec<_>>>()?;
        let t: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let expected = composed(&t)?;
        let dy = random(&[batch, steps, hidden], DType::F64, 20)?;
        let grads = (&expected.outputs * &dy)?.sum_all()?.backward()?;
        let narrow = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let narrowed = all.iter().map(narrow).collect::<Result<Vec<_>>>()?;
        let sizes = Sizes {
            batch,
            steps,
            inputs: inputs_,
            hidden,
        };
        let layer = Layer {
            sizes,
            x: &narrowed[0],
            parameters: Parameters {
                input: &narrowed[1],
                hidden: &narrowed[2],
                biases: [&narrowed[3], &narrowed[4]],
            },
            state: [&narrowed[5], &narrowed[6]],
        };
        for (with, tolerance) in Isa::available().into_iter().flat_map(tolerances) {
            let forward = layer.forward(with);
            let wide: Vec<f64> = expected.outputs.flatten_all()?.to_vec1()?;
            for (found, expected) in forward.outputs.iter().zip(&wide) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < tolerance, "{with:?} {dims:?} {error}");
            }
            let done = Forward {
                outputs: forward.outputs.as_slice(),
                gates: &forward.gates,
                cells: &forward.cells,
            };
            let found = layer.backward(with, &done, &narrow(&dy)?, &[], true);
            let [input, hidden, bias] = found.parameters;
            let [h0, c0] = found.state;
            let found = [found.x, input, hidden, bias.clone(), bias, h0, c0].concat();
            let mut at = 0;
            for var in &vars {
                let Some(grad) = grads.get(var) else {
                    candle_core::bail!("no gradient");
                };
                let grad: Vec<f64> = grad.flatten_all()?.to_vec1()?;
                let scale = grad.iter().fold(1f64, |m, g| m.max(g.abs()));
                for expected in grad {
                    let error = (f64::from(found[at]) - expected).abs();
                    assert!(
                        error < tolerance * scale,
                        "{with:?} {dims:?} {error} {scale}"
                    );
                    at += 1;
                }
            }
            assert_eq!(at, found.len());
        }
    }
    Ok(())
}

/// The expected numbers are printed by `tests/reference/lstm.py` from the same formula for the weights.
#[test]
fn matches_pytorch() -> Result<()> {
    let wave = |shape: &[usize], phase: f64| -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| (i as f64 + phase).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    };
    let t = [
        wave(&[2, 3, 2], 0.0)?,
        wave(&[12, 2], 1.0)?,
        wave(&[12, 3], 2.0)?,
        wave(&[12], 3.0)?,
        wave(&[12], 4.0)?,
    ];
    let found = lstm(&t[0], &weights(&t), None)?;
    let found: Vec<f64> = joined(&found)?.to_vec1()?;
    assert_eq!(found.len(), EXPECTED.len());
    for (found, expected) in found.iter().zip(EXPECTED) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    Ok(())
}

const EXPECTED: [f64; 30] = [
    0.206_616_2,
    -0.065_768_7,
    -0.126_928_0,
    0.260_646_9,
    -0.152_742_6,
    -0.155_955_5,
    -0.002_326_5,
    -0.218_107_2,
    -0.238_331_0,
    0.100_466_3,
    -0.069_351_0,
    -0.173_983_8,
    0.313_959_6,
    -0.146_205_6,
    -0.141_041_4,
    -0.003_591_3,
    -0.231_574_2,
    -0.276_565_3,
    -0.002_326_5,
    -0.218_107_2,
    -0.238_331_0,
    -0.003_591_3,
    -0.231_574_2,
    -0.276_565_3,
    -0.009_071_1,
    -0.339_472_5,
    -0.252_439_3,
    -0.014_575_0,
    -0.336_287_3,
    -0.297_390_8,
];

#[test]
fn misfits_are_errors_and_untracked_inputs_get_no_gradient() -> Result<()> {
    let all = inputs([2, 3, 4, 5], DType::F32)?;
    let run = |t: &[Tensor]| lstm(&t[0], &weights(t), Some((&t[5], &t[6])));
    assert!(run(&all).is_ok());
    for i in 0..7 {
        let mut bad = all.clone();
        bad[i] = bad[i].narrow(bad[i].rank() - 1, 0, 1)?;
        assert!(run(&bad).is_err(), "input {i}");
    }
    for tracked in 0..7 {
        assert_only_tracked(&all, tracked, |t| joined(&run(t)?));
    }
    let mut tracked = all.clone();
    let var = Var::from_tensor(&all[1])?;
    tracked[1] = var.as_tensor().clone();
    let output = run(&tracked)?;
    // Twice: what the forward saved is kept.
    for _ in 0..2 {
        let grads = output.cell.sum_all()?.backward()?;
        assert!(grads.get(&var).is_some());
    }
    assert!(lstm(&all[0].narrow(1, 0, 0)?, &weights(&all), None).is_err());
    Ok(())
}
