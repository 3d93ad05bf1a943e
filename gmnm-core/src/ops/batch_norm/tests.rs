use super::*;
use crate::gradient_check::{assert_gradients, random};
use candle_core::{Device, Var};

fn statistics(channels: usize) -> (Tensor, Tensor) {
    let mean = random(&[channels], DType::F64, 7).unwrap();
    let var = random(&[channels], DType::F64, 8).unwrap();
    (mean, (var.sqr().unwrap() + 0.5).unwrap())
}

fn config(activation: Activation, pool: Option<usize>) -> BatchNormConfig {
    BatchNormConfig {
        activation,
        pool,
        ..Default::default()
    }
}

#[test]
fn gradients_match_finite_differences() {
    use Activation::{Gelu, Identity, Relu, Silu};
    for (shape, activation, pool) in [
        ([2, 3, 5, 3], Identity, None),
        ([1, 5, 4, 9], Relu, None),
        ([2, 2, 3, 8], Gelu, None),
        ([1, 3, 3, 5], Silu, None),
        ([2, 5, 7, 3], Identity, Some(2)),
        ([1, 4, 4, 9], Relu, Some(2)),
        ([1, 7, 3, 8], Gelu, Some(3)),
        ([3, 2, 5, 2], Silu, Some(2)),
        ([2, 3, 2, 3], Gelu, Some(1)),
    ] {
        for train in [true, false] {
            let c = shape[3];
            let x = random(&shape, DType::F64, 1).unwrap();
            let weight = random(&[c], DType::F64, 2).unwrap();
            let bias = random(&[c], DType::F64, 3).unwrap();
            let (mean, var) = statistics(c);
            assert_gradients(&[x, weight, bias], 1e-6, |t| {
                let config = config(activation, pool);
                batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &var, &config, train)
            });
        }
    }
}

#[test]
fn gradients_reach_through_non_contiguous_operands() {
    let x = random(&[2, 3, 5, 6], DType::F64, 1).unwrap();
    let weight = random(&[3, 2], DType::F64, 2).unwrap();
    let (mean, var) = statistics(3);
    for pool in [None, Some(2)] {
        assert_gradients(&[x.clone(), weight.clone()], 1e-6, |t| {
            let x = t[0].permute((0, 2, 3, 1))?.narrow(1, 1, 4)?;
            let weight = t[1].narrow(1, 1, 1)?.squeeze(1)?;
            let config = config(Activation::Gelu, pool);
            batch_norm(&x, Some(&weight), None, &mean, &var, &config, true)
        });
    }
}

#[test]
fn running_statistics_follow_the_formula() {
    for dtype in [DType::F32, DType::F64] {
        let x = random(&[3, 5, 7, 6], dtype, 1).unwrap();
        let (mean, var) = statistics(6);
        let (mean, var) = (mean.to_dtype(dtype).unwrap(), var.to_dtype(dtype).unwrap());
        let before = [&mean, &var].map(|t| {
            let t = t.to_dtype(DType::F64).unwrap();
            t.to_vec1::<f64>().unwrap()
        });
        let config = BatchNormConfig {
            momentum: 0.3,
            ..Default::default()
        };
        batch_norm(&x, None, None, &mean, &var, &config, true).unwrap();
        let after = [&mean, &var].map(|t| {
            let t = t.to_dtype(DType::F64).unwrap();
            t.to_vec1::<f64>().unwrap()
        });
        let rows = x.to_dtype(DType::F64).unwrap();
        let rows = rows.reshape((105, 6)).unwrap().to_vec2::<f64>().unwrap();
        for c in 0..6 {
            let m = rows.iter().map(|row| row[c]).sum::<f64>() / 105.0;
            let v = rows.iter().map(|row| (row[c] - m).powi(2)).sum::<f64>() / 104.0;
            assert!((after[0][c] - (0.7 * before[0][c] + 0.3 * m)).abs() < 1e-6);
            assert!((after[1][c] - (0.7 * before[1][c] + 0.3 * v)).abs() < 1e-6);
        }
    }
}

#[test]
fn evaluation_leaves_the_running_statistics_alone() {
    let x = random(&[2, 3, 3, 4], DType::F64, 1).unwrap();
    let (mean, var) = statistics(4);
    let before = mean.to_vec1::<f64>().unwrap();
    batch_norm(
        &x,
        None,
        None,
        &mean,
        &var,
        &config(Activation::Relu, None),
        false,
    )
    .unwrap();
    assert_eq!(before, mean.to_vec1::<f64>().unwrap());
}

#[test]
fn one_value_per_channel_is_an_error_in_training_only() {
    let x = random(&[1, 1, 1, 4], DType::F64, 1).unwrap();
    let (mean, var) = statistics(4);
    let config = config(Activation::Relu, None);
    assert!(batch_norm(&x, None, None, &mean, &var, &config, true).is_err());
    assert!(batch_norm(&x, None, None, &mean, &var, &config, false).is_ok());
    assert!(var.to_vec1::<f64>().unwrap().iter().all(|v| v.is_finite()));
}

#[test]
fn statistics_survive_a_large_mean() {
    // Sums of squares in f32 would lose this spread of 1 at 10,000.
    let x = (random(&[4096, 8], DType::F32, 1).unwrap() + 1e4).unwrap();
    let (mean, var) = (
        Tensor::zeros(8, DType::F32, &Device::Cpu).unwrap(),
        Tensor::zeros(8, DType::F32, &Device::Cpu).unwrap(),
    );
    let config = BatchNormConfig {
        momentum: 1.0,
        ..Default::default()
    };
    batch_norm(&x, None, None, &mean, &var, &config, true).unwrap();
    let exact = x
        .to_dtype(DType::F64)
        .unwrap()
        .var(0)
        .unwrap()
        .to_vec1::<f64>()
        .unwrap();
    for (var, exact) in var.to_vec1::<f32>().unwrap().iter().zip(exact) {
        assert!(
            (f64::from(*var) / exact - 1.0).abs() < 1e-4,
            "{var} {exact}"
        );
    }
}

#[test]
fn ties_send_the_gradient_to_the_first_maximum() {
    let x = Tensor::new(&[-1f64, -2., -3., -4., 1., 1., 1., 1.], &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x.reshape((2, 2, 2, 1)).unwrap()).unwrap();
    let (mean, var) = (
        Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap(),
        Tensor::ones(1, DType::F64, &Device::Cpu).unwrap(),
    );
    let config = BatchNormConfig {
        eps: 0.0,
        ..config(Activation::Relu, Some(2))
    };
    let y = batch_norm(&x, None, None, &mean, &var, &config, false).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    let dx = grads.get(&x).unwrap().flatten_all().unwrap();
    // Below zero ReLU has no slope; of four equal values the first is taken.
    assert_eq!(
        dx.to_vec1::<f64>().unwrap(),
        [0., 0., 0., 0., 1., 0., 0., 0.]
    );
}

#[test]
fn misfits_are_errors() {
    let x = random(&[2, 3, 3, 4], DType::F64, 1).unwrap();
    let (mean, var) = statistics(4);
    let run = |x: &Tensor, weight: Option<&Tensor>, pool| {
        batch_norm(
            x,
            weight,
            None,
            &mean,
            &var,
            &config(Activation::Relu, pool),
            true,
        )
    };
    assert!(run(&x, Some(&random(&[3], DType::F64, 2).unwrap()), None).is_err());
    assert!(run(&x, None, Some(4)).is_err());
    assert!(run(&x, None, Some(0)).is_err());
    assert!(run(&random(&[6, 4], DType::F64, 1).unwrap(), None, Some(2)).is_err());
    assert!(run(&random(&[0, 3, 3, 4], DType::F64, 1).unwrap(), None, None).is_err());
}
