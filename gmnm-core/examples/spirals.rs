//! A Gaussian mixture in the place of an activation in one's own candle network, trained by candle's own optimizer: it
//! learns on which of two spirals a point lies.
//!
//! ```text
//! cargo run --release -p gmnm-core --example spirals
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{AdamW, Linear, Optimizer, ParamsAdamW, VarBuilder, linear, loss::cross_entropy};
use gmnm_core::{Gmnm, GmnmConfig, ParamStore};

/// Points of each spiral.
const POINTS: usize = 200;

struct Network {
    mixture: Gmnm,
    output: Linear,
}

impl Network {
    fn new(vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            mixture: Gmnm::new(GmnmConfig::new(2, 16, 32), vb.pp("mixture"))?,
            output: linear(16, 2, vb.pp("output"))?,
        })
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.mixture.forward(x)?)
    }
}

/// Points `[2·POINTS, 2]` and the spiral that each lies on.
fn spirals() -> Result<(Tensor, Tensor)> {
    let mut points: Vec<f32> = Vec::new();
    for side in [1.0, -1.0] {
        for i in 0..POINTS {
            let turn = i as f32 / POINTS as f32 * 9.0 + 1.0;
            let radius = side * 0.2 * turn;
            points.extend([radius * turn.cos(), radius * turn.sin()]);
        }
    }
    let classes: Vec<u32> = (0..2 * POINTS).map(|i| u32::from(i >= POINTS)).collect();
    let points = Tensor::from_vec(points, (2 * POINTS, 2), &Device::Cpu)?;
    Ok((points, Tensor::new(classes, &Device::Cpu)?))
}

/// Trains, and gives the share of points that the network puts on their spiral.
fn run() -> Result<f64> {
    let (points, classes) = spirals()?;
    // Draws initial values by seed and name, and is a source of variables like candle's own `VarMap`.
    let parameters = ParamStore::new(0, DType::F32, &Device::Cpu);
    let network = Network::new(parameters.var_builder())?;
    let variables = parameters
        .trainable()
        .into_iter()
        .map(|(_, var)| var)
        .collect();
    let mut optimizer = AdamW::new(
        variables,
        ParamsAdamW {
            lr: 0.02,
            ..ParamsAdamW::default()
        },
    )?;
    for step in 1..=400 {
        let loss = cross_entropy(&network.forward(&points)?, &classes)?;
        optimizer.backward_step(&loss)?;
        if step % 100 == 0 {
            println!("step {step}: loss {:.4}", loss.to_scalar::<f32>()?);
        }
    }
    let right = network.forward(&points)?.argmax(1)?.eq(&classes)?;
    let right = right.to_dtype(DType::F64)?.mean_all()?.to_scalar::<f64>()?;
    println!("{:.1} % of the points are on their spiral", 100.0 * right);
    Ok(right)
}

fn main() -> Result<()> {
    run().map(drop)
}

#[test]
fn the_spirals_are_told_apart() {
    assert!(run().unwrap() > 0.95);
}
