use std::collections::{BTreeMap, BTreeSet};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::Init;

use super::step::{apply, clip};
use super::*;
use crate::ParamStore;
use crate::cpu::optimizer::{Adamw, Step};
use crate::cuda::optimizer::{Parameter, Table};
use crate::gradient_check::random;
use crate::route::forced::{Route, along};

fn store(dtype: DType, shapes: &[(&str, &[usize])]) -> ParamStore {
    let store = ParamStore::new(5, dtype, &Device::Cpu);
    let vb = store.var_builder();
    for (name, shape) in shapes {
        vb.get_with_hints(
            *shape,
            name,
            Init::Randn {
                mean: 0.0,
                stdev: 1.0,
            },
        )
        .unwrap();
    }
    store
}

fn values(var: &Var) -> Vec<f64> {
    let flat = var.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// The gradient of Σ c·p³/3 is c·p²: it changes with p, so moments matter.
fn cubic_gradients(store: &ParamStore, c: f64) -> GradStore {
    let mut loss: Option<Tensor> = None;
    for (_, var) in store.trainable() {
        let term = (var.powf(3.0).unwrap().sum_all().unwrap() * (c / 3.0)).unwrap();
        loss = Some(match loss {
            Some(sum) => (sum + term).unwrap(),
            None => term,
        });
    }
    loss.unwrap().backward().unwrap()
}

/// The published rules, one value at a time in f64.
fn scalar_rule(config: &OptimizerConfig, mut p: f64, decay: f64, steps: u32, rate: f64) -> f64 {
    let (mut m, mut v) = (0.0, 0.0);
    for t in 1..=steps {
        let g = p * p;
        let before = p;
        match config.rule {
            Rule::Sgd => {
                m = config.momentum * m + g;
                p -= rate * (g + config.momentum * m);
            }
            Rule::Adamw => {
                let [b1, b2] = config.betas;
                m = b1 * m + (1.0 - b1) * g;
                v = b2 * v + (1.0 - b2) * g * g;
                let m_hat = m / (1.0 - b1.powi(t as i32));
                let v_hat: f64 = v / (1.0 - b2.powi(t as i32));
                p -= rate * m_hat / (v_hat.sqrt() + config.epsilon);
            }
        }
        p -= rate * decay * before;
    }
    p
}

#[test]
fn updates_follow_the_published_rules_in_both_precisions() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        for rule in [Rule::Sgd, Rule::Adamw] {
            let config = OptimizerConfig {
                rule,
                weight_decay: 0.1,
                ..Default::default()
            };
            // One parameter above a chunk, so that the threads' path runs, one below.
            let store = store(dtype, &[("a.weight", &[190, 190]), ("b.weight", &[3, 5])]);
            let start: Vec<_> = store.trainable().iter().map(|(_, v)| values(v)).collect();
            let mut optimizer = Optimizer::new(&store, config.clone()).unwrap();
            for _ in 0..5 {
                optimizer.step(&cubic_gradients(&store, 1.0), 0.01).unwrap();
            }
            for ((name, var), start) in store.trainable().iter().zip(start) {
                for (&p0, p) in start.iter().zip(values(var)) {
                    let expected = scalar_rule(&config, p0, 0.1, 5, 0.01);
                    assert!(
                        (p - expected).abs() <= tolerance * (1.0 + expected.abs()),
                        "{rule:?} {dtype:?} {name}: {p} against {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn decay_and_rate_follow_the_parameter_s_role() {
    let shapes: &[(&str, &[usize])] = &[
        ("bn.bias", &[4]),
        ("bn.running_mean", &[4]),
        ("bn.weight", &[4]),
        ("linear.weight", &[2, 4]),
        ("mixer.bias", &[4]),
        ("mixer.centers", &[3, 4]),
        ("mixer.projections", &[3, 1, 4]),
        ("mixer.weight", &[4, 3]),
    ];
    let store = store(DType::F64, shapes);
    let config = OptimizerConfig {
        rule: Rule::Sgd,
        momentum: 0.0,
        weight_decay: 0.5,
        mixture_rate: 3.0,
        bias_rate: 2.0,
        norm_bias_rate: 5.0,
        ..Default::default()
    };
    let start: Vec<_> = store.trainable().iter().map(|(_, v)| values(v)).collect();
    let mut optimizer = Optimizer::new(&store, config).unwrap();
    optimizer.step(&cubic_gradients(&store, 1.0), 0.01).unwrap();
    for (((name, var), start), factor) in store
        .trainable()
        .iter()
        .zip(start)
        .zip([10.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0])
    {
        let decay = if name == "linear.weight" { 0.5 } else { 0.0 };
        for (&p0, p) in start.iter().zip(values(var)) {
            let expected = p0 - 0.01 * (factor * p0 * p0 + decay * p0);
            assert!((p - expected).abs() < 1e-12, "{name}");
        }
    }
}

#[test]
fn a_parameter_that_begins_later_and_slower_moves_as_a_new_one_at_a_lower_rate() {
    for rule in [Rule::Sgd, Rule::Adamw] {
        let config = OptimizerConfig {
            rule,
            weight_decay: 0.1,
            ..OptimizerConfig::default()
        };
        let shapes: &[(&str, &[usize])] = &[("a.weight", &[2, 3]), ("b.weight", &[3, 2])];
        let late = BTreeSet::from(["a.weight".to_string()]);
        let all = store(DType::F64, shapes);
        let mut optimizer = Optimizer::new(&all, config.clone()).unwrap();
        optimizer.begin_after(4, &late);
        optimizer.scale_rates(&late, 0.5);
        let frozen = all.freezing(late);
        let first = values(&all.all()[0].1);
        for _ in 0..4 {
            let network = frozen.var_builder();
            let term = |shape: (usize, usize), name| network.get(shape, name)?.powf(3.0)?.sum_all();
            let [a, b] = [((2, 3), "a.weight"), ((3, 2), "b.weight")];
            let loss = (term(a.0, a.1).unwrap() + term(b.0, b.1).unwrap()).unwrap();
            let gradients = (loss / 3.0).unwrap().backward().unwrap();
            optimizer.step(&gradients, 0.01).unwrap();
        }
        assert_eq!(values(&all.all()[0].1), first, "it is frozen");
        for _ in 0..3 {
            optimizer.step(&cubic_gradients(&all, 1.0), 0.01).unwrap();
        }
        let [a, b] = [0, 1].map(|i| values(&all.all()[i].1));
        for (now, before) in a.iter().zip(first) {
            let expected = scalar_rule(&config, before, 0.1, 3, 0.005);
            assert!((now - expected).abs() < 1e-12, "{now} {expected}");
        }
        let other = values(&store(DType::F64, shapes).all()[1].1);
        for (now, before) in b.iter().zip(other) {
            let expected = scalar_rule(&config, before, 0.1, 7, 0.01);
            assert!((now - expected).abs() < 1e-12, "{now} {expected}");
        }
    }
}

#[test]
fn clipping_scales_the_gradient_to_the_norm() {
    let run = |clip_norm: f64, c: f64| {
        let store = store(DType::F64, &[("a.weight", &[4, 4]), ("b.weight", &[2, 2])]);
        let config = OptimizerConfig {
            rule: Rule::Sgd,
            momentum: 0.0,
            weight_decay: 0.0,
            clip_norm,
            ..Default::default()
        };
        let before: Vec<f64> = store
            .trainable()
            .iter()
            .flat_map(|(_, v)| values(v))
            .collect();
        let mut optimizer = Optimizer::new(&store, config).unwrap();
        let norm = optimizer.step(&cubic_gradients(&store, c), 1.0).unwrap();
        let norm: f64 = norm.expect("clipping is on").to_scalar().unwrap();
        let after = store.trainable();
        let after = after.iter().flat_map(|(_, v)| values(v));
        let moved: f64 = before.iter().zip(after).map(|(a, b)| (a - b).powi(2)).sum();
        (norm, moved.sqrt())
    };
    let (norm, moved) = run(0.25, 10.0);
    assert!(norm > 1.0 && (moved - 0.25).abs() < 1e-12, "{norm} {moved}");
    let (norm, moved) = run(0.25, 1e-3);
    assert!(
        norm < 0.25 && (moved - norm).abs() < 1e-12,
        "{norm} {moved}"
    );
}

#[test]
fn a_restored_optimizer_continues_exactly() {
    for rule in [Rule::Sgd, Rule::Adamw] {
        let config = OptimizerConfig {
            rule,
            ..Default::default()
        };
        let shapes: &[(&str, &[usize])] = &[("a.weight", &[7, 3]), ("a.bias", &[7])];
        let whole = store(DType::F32, shapes);
        let mut optimizer = Optimizer::new(&whole, config.clone()).unwrap();
        let mut step = |store: &ParamStore| {
            optimizer.step(&cubic_gradients(store, 1.0), 0.02).unwrap();
        };
        (0..3).for_each(|_| step(&whole));
        let halfway = store(DType::F32, shapes);
        for ((_, to), (_, from)) in halfway.trainable().iter().zip(whole.trainable()) {
            to.set(&from.as_tensor().copy().unwrap()).unwrap();
        }
        let saved: BTreeMap<_, _> = optimizer
            .state()
            .into_iter()
            .map(|(name, t)| (name, t.copy().unwrap()))
            .collect();
        let mut resumed = Optimizer::new(&halfway, config).unwrap();
        resumed.restore(&saved, 3).unwrap();
        for _ in 0..3 {
            optimizer.step(&cubic_gradients(&whole, 1.0), 0.02).unwrap();
            resumed.step(&cubic_gradients(&halfway, 1.0), 0.02).unwrap();
        }
        for ((name, a), (_, b)) in whole.trainable().iter().zip(halfway.trainable()) {
            assert_eq!(values(a), values(&b), "{rule:?} {name}");
        }
        let mut incomplete = saved.clone();
        incomplete.remove("a.bias.0");
        assert!(resumed.restore(&incomplete, 3).is_err());
    }
}

#[test]
fn composed_updates_are_those_of_one_pass() {
    let shapes: &[(&str, &[usize])] = &[("a.bias", &[7]), ("a.weight", &[190, 190])];
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
        for rule in [Rule::Sgd, Rule::Adamw] {
            // Without clipping, with a limit that is reached, and with one that is not.
            for clip_norm in [0.0, 0.5, 1e6] {
                let config = OptimizerConfig {
                    rule,
                    weight_decay: 0.1,
                    clip_norm,
                    ..Default::default()
                };
                let stores = [store(dtype, shapes), store(dtype, shapes)];
                let mut optimizers = stores
                    .each_ref()
                    .map(|store| Optimizer::new(store, config.clone()).unwrap());
                for _ in 0..6 {
                    let norms = [0, 1].map(|i| {
                        let gradients = cubic_gradients(&stores[i], 1.0);
                        let route = [Route::Own, Route::Composed][i];
                        let step = || optimizers[i].step(&gradients, 0.01);
                        let norm = along(route, step).unwrap();
                        norm.map(|n| n.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap())
                    });
                    assert_eq!(norms[0].is_some(), clip_norm > 0.0);
                    if let [Some(a), Some(b)] = norms {
                        assert!((a - b).abs() <= 1e-6 * a, "{a} {b}");
                        assert!(a > 0.5 && a < 1e6);
                    }
                }
                let states = optimizers.each_ref().map(Optimizer::state);
                let all = stores.each_ref().map(|store| store.tensors());
                for [one, composed] in [states, all].iter().map(|pair| pair.each_ref()) {
                    assert_eq!(one.len(), composed.len());
                    for ((name, a), b) in one.iter().zip(composed.values()) {
                        let flat = |t: &Tensor| -> Vec<f64> {
                            let t = t.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
                            t.to_vec1().unwrap()
                        };
                        for (a, b) in flat(a).into_iter().zip(flat(b)) {
                            assert!(
                                (a - b).abs() <= tolerance * (1.0 + a.abs()),
                                "{rule:?} {dtype:?} {clip_norm} {name}: {a} {b}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn composed_clipping_leaves_a_gradient_of_zero_alone() {
    let parameter = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    let change = Parameter {
        value: &parameter,
        gradient: parameter.zeros_like().unwrap(),
        moments: &[],
        rate: 0.1,
        shrink: 1.0,
    };
    let clipped = along(Route::Composed, || clip(&[change], 1.0)).unwrap();
    assert_eq!(clipped.norm.to_scalar::<f32>().unwrap(), 0.0);
    assert_eq!(clipped.scale.to_scalar::<f32>().unwrap(), 1.0);
}

#[test]
fn composed_averages_are_those_of_one_pass() {
    let pair = || {
        let random = |seed| {
            let store = ParamStore::new(seed, DType::F32, &Device::Cpu);
            let init = Init::Randn {
                mean: 0.0,
                stdev: 1.0,
            };
            store
                .var_builder()
                .get_with_hints((3, 5), "a", init)
                .unwrap();
            store.all().remove(0).1
        };
        (random(1), random(2))
    };
    let (one, composed) = (pair(), pair());
    let before = values(&one.0);
    let average = |(target, source): &(Var, Var), weight: f64| {
        let parameter = parameter(target, source.as_detached_tensor(), &[]);
        apply(&Step::Average { weight }, &[parameter], None).unwrap();
    };
    for weight in [0.9, 0.1, 0.01] {
        average(&one, weight);
        along(Route::Composed, || average(&composed, weight));
        let (a, b) = (values(&one.0), values(&composed.0));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    assert_ne!(values(&one.0), before);
}

fn parameter<'a>(value: &'a Var, gradient: Tensor, moments: &'a [Var]) -> Parameter<'a> {
    Parameter {
        value,
        gradient,
        moments,
        rate: 0.1,
        shrink: 0.98,
    }
}

#[cfg(unix)]
mod emulated {
    use super::*;
    use crate::cuda::host::has_compiler;

    const SHAPES: [&[usize]; 5] = [&[], &[1], &[5, 7], &[2048], &[3, 1000]];

    /// Parameters, each with its moments, and gradients.
    fn inputs(moments: usize) -> Result<(Vec<Vec<Var>>, Vec<Tensor>)> {
        let (mut all, mut gradients) = (Vec::new(), Vec::new());
        for (i, shape) in SHAPES.iter().enumerate() {
            let new = |k: usize| {
                Var::from_tensor(&random(shape, DType::F32, (10 * i + k) as u64)?.abs()?)
            };
            all.push((0..=moments).map(new).collect::<Result<Vec<_>>>()?);
            gradients.push(random(shape, DType::F32, 500 + i as u64)?);
        }
        Ok((all, gradients))
    }

    fn wide(t: &Tensor) -> Result<Vec<f64>> {
        t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
    }

    fn parameters<'a>(all: &'a [Vec<Var>], gradients: &[Tensor]) -> Vec<Parameter<'a>> {
        let pairs = all.iter().zip(gradients);
        pairs
            .map(|(vars, gradient)| parameter(&vars[0], gradient.clone(), &vars[1..]))
            .collect()
    }

    /// Compares two steps over all shapes with the formula in f64, element by element.
    fn compare(
        step: Step,
        formula: impl Fn(&mut [f64], f64),
        scale: Option<&Tensor>,
    ) -> Result<()> {
        let (all, gradients) = inputs(step.moments())?;
        let before = all
            .iter()
            .map(|vars| vars.iter().map(|var| wide(var)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..2 {
            let parameters = parameters(&all, &gradients);
            assert!(
                Table::new(&parameters)?.is_none(),
                "the CPU has no such kernels"
            );
            along(Route::Emulated, || -> Result<()> {
                assert!(Table::new(&parameters)?.is_some());
                apply(&step, &parameters, scale)
            })?;
        }
        for ((vars, before), gradient) in all.iter().zip(before).zip(&gradients) {
            let found = vars
                .iter()
                .map(|var| wide(var))
                .collect::<Result<Vec<_>>>()?;
            for (i, g) in wide(gradient)?.into_iter().enumerate() {
                let mut state: Vec<f64> = before.iter().map(|values| values[i]).collect();
                formula(&mut state, g);
                formula(&mut state, g);
                for (found, expected) in found.iter().zip(state) {
                    let error = (found[i] - expected).abs();
                    assert!(
                        error < 1e-5 * (1.0 + expected.abs()),
                        "{} {expected}",
                        found[i]
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn steps_follow_the_formulas() -> Result<()> {
        if !has_compiler() {
            return Ok(());
        }
        let scale = Tensor::new(0.7f32, &Device::Cpu)?;
        for (factor, scale) in [(0.7, Some(&scale)), (1.0, None)] {
            let formula = |s: &mut [f64], g: f64| {
                let g = factor * g;
                s[1] = 0.9 * s[1] + g;
                s[0] = 0.98 * s[0] - 0.1 * (g + 0.9 * s[1]);
            };
            compare(Step::Sgd { momentum: 0.9 }, formula, scale)?;
            let rule = Adamw {
                beta1: 0.9,
                beta2: 0.99,
                second_correction: 0.3,
                epsilon: 1e-3,
            };
            let formula = |s: &mut [f64], g: f64| {
                let g = factor * g;
                s[1] = 0.9 * s[1] + 0.1 * g;
                s[2] = 0.99 * s[2] + 0.01 * g * g;
                s[0] = 0.98 * s[0] - 0.1 * s[1] / ((s[2] / 0.3).sqrt() + 1e-3);
            };
            compare(Step::Adamw(rule), formula, scale)?;
        }
        let step = Step::Average { weight: 0.25 };
        compare(step, |s, g| s[0] += 0.25 * (g - s[0]), None)
    }

    #[test]
    fn a_norm_spans_all_gradients_and_is_limited() -> Result<()> {
        if !has_compiler() {
            return Ok(());
        }
        let (all, gradients) = inputs(0)?;
        let parameters = parameters(&all, &gradients);
        let squares = gradients.iter().map(wide).collect::<Result<Vec<_>>>()?;
        let norm = squares.concat().iter().map(|g| g * g).sum::<f64>().sqrt();
        for (limit, scale) in [(1.0, 1.0 / norm), (1e6, 1.0)] {
            assert!(Table::new(&parameters)?.is_none());
            let found = along(Route::Emulated, || clip(&parameters, limit))?;
            let [found_norm, found_scale] = [found.norm, found.scale].map(|t| t.to_scalar::<f32>());
            assert!((f64::from(found_norm?) / norm - 1.0).abs() < 1e-5);
            assert!((f64::from(found_scale?) / scale - 1.0).abs() < 1e-5);
        }
        Ok(())
    }
}

#[test]
fn misfits_are_errors() -> Result<()> {
    let var = |len: usize, seed: u64| Var::from_tensor(&random(&[len], DType::F32, seed)?);
    let (value, moments) = (var(3, 1)?, [var(3, 3)?]);
    let gradient = random(&[4], DType::F32, 2)?;
    let run = |gradient: &Tensor, moments: &[Var]| {
        let parameter = parameter(&value, gradient.clone(), moments);
        apply(&Step::Sgd { momentum: 0.0 }, &[parameter], None)
    };
    assert!(run(&gradient, &moments).is_err());
    assert!(run(&random(&[3], DType::F32, 2)?, &[]).is_err());
    assert!(run(&gradient.narrow(0, 0, 3)?, &moments).is_ok());
    Ok(())
}
