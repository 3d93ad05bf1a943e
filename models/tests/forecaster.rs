//! The forecasters: shapes, errors, a gradient for each parameter, and what instance normalisation promises.

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::rng::Philox;
use gmnm_core::{ParamStore, gradient_check::random};
use models::forecaster::{ForecastNetwork, Forecaster, ForecasterConfig, InstanceNorm};
use models::{ModelConfig, registry};

/// The forecasters of the registry, narrowed so that tests are quick, and one with a mixture as embedding.
fn variants() -> Vec<(&'static str, ForecasterConfig)> {
    let mut variants = Vec::new();
    for entry in registry::entries() {
        let ModelConfig::Forecaster(mut config) = entry.config() else {
            continue;
        };
        (config.look_back, config.horizon, config.channels) = (24, 10, 3);
        match &mut config.network {
            ForecastNetwork::Recurrent(own) => (own.segment, own.hidden, own.dropout) = (4, 8, 0.3),
            ForecastNetwork::Decomposition(own) => own.window = 5,
            ForecastNetwork::Lstm(own) => own.hidden = 9,
        }
        variants.push((entry.name, config));
    }
    assert_eq!(variants.len(), 5);
    let mut mixed = variants[0].1.clone();
    if let ForecastNetwork::Recurrent(own) = &mut mixed.network {
        own.embed_components = Some(6);
    }
    variants.push(("with a mixture as embedding", mixed));
    variants
}

fn build(config: &ForecasterConfig) -> Result<(ParamStore, Forecaster)> {
    let store = ParamStore::new(3, DType::F32, &Device::Cpu);
    let network = Forecaster::new(config, store.var_builder())?;
    Ok((store, network))
}

#[test]
fn every_parameter_receives_a_gradient() -> Result<()> {
    for (name, config) in variants() {
        let (store, network) = build(&config)?;
        let x = random(&[4, 24, 3], DType::F32, 1)?;
        let target = random(&[4, 10, 3], DType::F32, 2)?;
        let gradients = (network.forward(&x)? - target)?
            .sqr()?
            .mean_all()?
            .backward()?;
        for (parameter, var) in store.trainable() {
            let Some(gradient) = gradients.get(&var) else {
                panic!("{name}: `{parameter}` has no gradient");
            };
            let largest = gradient.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(
                largest > 1e-7 && largest.is_finite(),
                "{name}: the largest gradient of `{parameter}` is {largest:e}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_last_segment_is_cut_to_the_horizon() -> Result<()> {
    for (name, mut config) in variants() {
        for horizon in [1, 8, 13] {
            config.horizon = horizon;
            let (_, network) = build(&config)?;
            let x = random(&[2, 24, 3], DType::F32, 1)?;
            assert_eq!(network.forward(&x)?.dims(), [2, horizon, 3], "{name}");
            let error = network.forward(&x.narrow(1, 0, 20)?).unwrap_err();
            assert!(error.to_string().contains("20 steps of 3"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn a_forecast_follows_the_level_and_scale_of_its_look_back() -> Result<()> {
    for (name, mut config) in variants() {
        let x = random(&[2, 24, 3], DType::F32, 1)?;
        let moved = ((&x * 3.0)? + 40.0)?;
        for (normalization, factor) in [
            (InstanceNorm::Last, 1.0),
            (InstanceNorm::Mean, 1.0),
            (InstanceNorm::MeanStd, 3.0),
        ] {
            config.normalization = normalization;
            let (_, network) = build(&config)?;
            let expected = ((network.forward(&x)? * factor)? + 40.0)?;
            let other = if factor == 1.0 {
                (&x + 40.0)?
            } else {
                moved.clone()
            };
            let difference = (network.forward(&other)? - expected)?.abs()?.max_all()?;
            let difference = difference.to_scalar::<f32>()?;
            assert!(difference < 1e-3, "{name} {normalization:?}: {difference}");
        }
        config.normalization = InstanceNorm::None;
        let (_, network) = build(&config)?;
        let change = (network.forward(&moved)? - network.forward(&x)?)?;
        let change = change.abs()?.mean_all()?.to_scalar::<f32>()?;
        assert!((change - 40.0).abs() > 1.0, "{name}: follows by itself");
    }
    Ok(())
}

#[test]
fn only_training_drops_hidden_values() -> Result<()> {
    for (name, config) in variants() {
        let (_, network) = build(&config)?;
        let x = random(&[2, 24, 3], DType::F32, 1)?;
        let y = network.forward(&x)?;
        let trained = |stream| network.forward_training(&x, &mut Philox::new(5, stream));
        let differs = |other: Tensor| -> Result<bool> {
            Ok((&y - other)?.abs()?.max_all()?.to_scalar::<f32>()? > 1e-4)
        };
        let recurrent = matches!(config.network, ForecastNetwork::Recurrent(_));
        assert_eq!(differs(trained(1)?)?, recurrent, "{name}");
        assert!(!differs(network.forward(&x)?)?, "{name}");
        let repeats = (trained(1)? - trained(1)?)?.abs()?.max_all()?;
        assert_eq!(repeats.to_scalar::<f32>()?, 0.0, "{name}");
        let (mut without, mut mean) = (config.clone(), y.zeros_like()?);
        if let ForecastNetwork::Recurrent(own) = &mut without.network {
            own.dropout = 0.0;
        }
        let (_, without) = build(&without)?;
        assert!(
            !differs(without.forward_training(&x, &mut Philox::new(5, 1))?)?,
            "{name}"
        );
        // A linear head sees the same values in the mean.
        if name.ends_with(".plain") {
            for stream in 0..2000 {
                mean = (mean + (trained(stream)? / 2000.0)?)?;
            }
            let off = (mean - &y)?.abs()?.mean_all()?.to_scalar::<f32>()?;
            assert!(off < 0.01, "{off}");
        }
    }
    Ok(())
}

#[test]
fn only_the_plain_lstm_lets_channels_see_each_other() -> Result<()> {
    for (name, config) in variants() {
        let (_, network) = build(&config)?;
        let x = random(&[2, 24, 3], DType::F32, 1)?;
        let other = Tensor::cat(&[x.narrow(2, 0, 2)?, (x.narrow(2, 2, 1)? * -2.0)?], 2)?;
        let difference = (network.forward(&x)? - network.forward(&other)?)?.abs()?;
        let at = |channel| {
            difference
                .narrow(2, channel, 1)?
                .max_all()?
                .to_scalar::<f32>()
        };
        let together = matches!(config.network, ForecastNetwork::Lstm(_));
        for channel in 0..2 {
            assert_eq!(at(channel)? > 0.0, together, "{name}");
        }
        assert!(at(2)? > 1e-3, "{name}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_is_refused() {
    for (_, config) in variants() {
        let refused = |change: &dyn Fn(&mut ForecasterConfig)| {
            let mut config = config.clone();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        if matches!(config.network, ForecastNetwork::Recurrent(_)) {
            for rate in [-0.1, 1.0, f64::NAN] {
                let error = refused(&|c| {
                    if let ForecastNetwork::Recurrent(own) = &mut c.network {
                        own.dropout = rate;
                    }
                });
                assert!(error.contains("network.recurrent.dropout"), "{error}");
            }
        }
        assert!(refused(&|c| c.horizon = 0).contains("horizon: 0"));
        let error = match &config.network {
            ForecastNetwork::Recurrent(_) => refused(&|c| c.look_back = 25),
            ForecastNetwork::Decomposition(_) => refused(&|c| {
                if let ForecastNetwork::Decomposition(own) = &mut c.network {
                    own.window = 4;
                }
            }),
            ForecastNetwork::Lstm(_) => refused(&|c| {
                if let ForecastNetwork::Lstm(own) = &mut c.network {
                    own.hidden = 0;
                }
            }),
        };
        assert!(
            error.contains("25 is not divisible by the segment of 4")
                || error.contains("4 is even")
                || error.contains("network.lstm.hidden"),
            "{error}"
        );
    }
}
