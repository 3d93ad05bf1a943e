//! How long each op takes, forward and with its backward: `cargo bench -p gmnm-core [-- FILTER]`.
//!
//! Sizes are those of a CIFAR network at a batch of 32; `zoo bench` times whole steps.

use std::hint::black_box;
use std::time::Duration;

use candle_core::{DType, Result, Tensor, Var};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gmnm_core::Aggregation;
use gmnm_core::gradient_check::random;
use gmnm_core::ops::{self, Activation, BatchNormConfig, Conv2dConfig, ConvTranspose2dConfig};

const BATCH: usize = 32;

fn inputs(shapes: &[&[usize]]) -> Vec<Tensor> {
    let input = |(seed, shape): (usize, &&[usize])| random(shape, DType::F32, seed as u64);
    let inputs = shapes.iter().enumerate().map(input);
    inputs.collect::<Result<_>>().expect("random inputs")
}

/// Times `f` of constants, and `f` of variables with its backward from a gradient of ones.
fn both_ways(
    criterion: &mut Criterion,
    name: &str,
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let constants = inputs(shapes);
    let variables: Vec<Tensor> = constants
        .iter()
        .map(|t| Var::from_tensor(t).expect("a variable").into_inner())
        .collect();
    let ones = f(&constants).and_then(|out| out.ones_like()).expect(name);
    let mut group = criterion.benchmark_group(name);
    group.bench_function(BenchmarkId::from_parameter("forward"), |bencher| {
        bencher.iter(|| f(black_box(&constants)).expect(name));
    });
    group.bench_function(BenchmarkId::from_parameter("both"), |bencher| {
        bencher.iter(|| {
            let out = f(black_box(&variables)).expect(name);
            ops::backward_from(&out, &ones).expect(name)
        });
    });
    group.finish();
}

fn convolutions(criterion: &mut Criterion) {
    for (size, input, out, kernel, stride) in [
        (32, 3, 64, 3, 1),
        (32, 64, 64, 3, 1),
        (16, 128, 128, 3, 1),
        (16, 64, 128, 3, 2),
        (16, 61, 67, 3, 1),
        (16, 128, 128, 1, 1),
        (16, 64, 64, 5, 1),
    ] {
        let config = Conv2dConfig {
            stride,
            padding: kernel / 2,
            ..Conv2dConfig::default()
        };
        let name = format!("conv2d {input}→{out} {kernel}×{kernel}/{stride} @{size}");
        let shapes: [&[usize]; 2] = [&[BATCH, size, size, input], &[out, input, kernel, kernel]];
        both_ways(criterion, &name, &shapes, |t| {
            ops::conv2d(&t[0], &t[1], None, config)
        });
    }
    let config = ConvTranspose2dConfig {
        stride: 2,
        padding: 1,
        ..ConvTranspose2dConfig::default()
    };
    let shapes: [&[usize]; 2] = [&[BATCH, 8, 8, 128], &[128, 64, 4, 4]];
    both_ways(
        criterion,
        "conv_transpose2d 128→64 4×4/2 @8",
        &shapes,
        |t| ops::conv_transpose2d(&t[0], &t[1], None, config),
    );
}

fn normalisations(criterion: &mut Criterion) {
    for (size, channels, pool) in [(32, 64, None), (32, 64, Some(2)), (16, 128, Some(2))] {
        let config = BatchNormConfig {
            activation: Activation::Relu,
            pool,
            ..BatchNormConfig::default()
        };
        let [mean, var] = [0.0, 1.0].map(|value| {
            let full = Tensor::full(value, channels, &candle_core::Device::Cpu);
            full.and_then(|t| t.to_dtype(DType::F32))
                .expect("statistics")
        });
        let pooled = if pool.is_some() { "+pool" } else { "" };
        let name = format!("batch_norm+relu{pooled} {channels} @{size}");
        let shapes: [&[usize]; 3] = [&[BATCH, size, size, channels], &[channels], &[channels]];
        both_ways(criterion, &name, &shapes, |t| {
            ops::batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &var, &config, true)
        });
    }
    let shapes: [&[usize]; 1] = [&[4096, 256]];
    both_ways(criterion, "layer_norm 4096×256", &shapes, |t| {
        ops::layer_norm(&t[0], None, None, 1e-5)
    });
}

fn mixtures(criterion: &mut Criterion) {
    for (rows, components, projections) in [(4096, 64, 1), (4096, 64, 4), (4096, 256, 1)] {
        let name = format!("mixture {rows}×64 M{components} R{projections}");
        let shapes: [&[usize]; 4] = [
            &[rows, 64],
            &[components, 64],
            &[components, projections, 64],
            &[64, components],
        ];
        both_ways(criterion, &name, &shapes, |t| {
            ops::mixture(&t[0], &t[1], &t[2], &t[3], None, Aggregation::Norm)
        });
    }
}

fn others(criterion: &mut Criterion) {
    let hidden = 128;
    let shapes: [&[usize]; 3] = [
        &[16, 96, hidden],
        &[4 * hidden, hidden],
        &[4 * hidden, hidden],
    ];
    both_ways(
        criterion,
        "lstm 96 steps, 128 hidden, batch 16",
        &shapes,
        |t| {
            let weights = ops::LstmWeights {
                weight_ih: &t[1],
                weight_hh: &t[2],
                biases: None,
            };
            ops::lstm(&t[0], &weights, None).map(|output| output.outputs)
        },
    );
    let shapes: [&[usize]; 3] = [&[4096, 256], &[256, 256], &[256]];
    both_ways(criterion, "linear 4096×256→256", &shapes, |t| {
        ops::linear(&t[0], &t[1], Some(&t[2]))
    });
    let image: [&[usize]; 1] = [&[BATCH, 32, 32, 64]];
    both_ways(criterion, "max_pool2d 64 @32", &image, |t| {
        ops::max_pool2d(&t[0], 2, 2)
    });
    both_ways(criterion, "global_mean 64 @32", &image, |t| {
        ops::global_mean(&t[0])
    });
    both_ways(criterion, "add 64 @32", &[image[0], image[0]], |t| {
        ops::add(&t[0], &t[1])
    });
    let rows: [&[usize]; 1] = [&[4096, 256]];
    both_ways(criterion, "softmax 4096×256", &rows, |t| {
        ops::softmax(&t[0])
    });
    let logits: [&[usize]; 1] = [&[4096, 10]];
    let targets = Tensor::zeros(4096, DType::U32, &candle_core::Device::Cpu).expect("targets");
    both_ways(criterion, "cross_entropy 4096×10", &logits, |t| {
        ops::cross_entropy(&t[0], &targets, 0.1)
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = convolutions, normalisations, mixtures, others
}
criterion_main!(benches);
