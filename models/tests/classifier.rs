//! Every variant of the classifier: shapes, errors, and a gradient for each parameter.

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::{ParamStore, gradient_check::random, ops};
use models::classifier::{Classifier, ClassifierConfig};
use models::layers::{MixFunction, Placement};
use models::{ModelConfig, registry};

/// The classifiers of the registry, narrowed so that tests are quick.
fn variants() -> Vec<(String, ClassifierConfig)> {
    let mut variants = Vec::new();
    for entry in registry::entries() {
        if let ModelConfig::Classifier(mut config) = entry.config() {
            config.widths = vec![4, 8, 12];
            if let Some(mixer) = &mut config.mixer {
                match &mut mixer.function {
                    MixFunction::Gmnm(gmnm) => gmnm.components = vec![5, 6, 7],
                    MixFunction::Mlp(mlp) => mlp.hidden = vec![5, 6, 7],
                }
            }
            variants.push((entry.name.to_string(), config));
        }
    }
    assert!(variants.len() >= 4);
    variants
}

fn build(config: &ClassifierConfig) -> Result<(ParamStore, Classifier)> {
    let store = ParamStore::new(3, DType::F32, &Device::Cpu);
    let network = Classifier::new(config, store.var_builder())?;
    Ok((store, network))
}

fn assert_every_parameter_learns(name: &str, config: &ClassifierConfig) -> Result<()> {
    let (store, network) = build(config)?;
    let images = random(&[6, 16, 16, config.channels], DType::F32, 1)?;
    let targets = Tensor::from_vec(vec![0u32, 1, 2, 3, 4, 5], 6, &Device::Cpu)?;
    let logits = network.forward(&images, true)?;
    let gradients = ops::cross_entropy(&logits, &targets, 0.1)?.backward()?;
    for (parameter, var) in store.trainable() {
        let largest = match gradients.get(&var) {
            Some(gradient) => gradient.abs()?.max_all()?.to_scalar::<f32>()?,
            None => panic!("{name}: `{parameter}` has no gradient"),
        };
        // Rounding alone leaves about 1e-9 where the gradient is zero by symmetry.
        assert!(
            largest > 1e-7 && largest.is_finite(),
            "{name}: the largest gradient of `{parameter}` is {largest:e}"
        );
    }
    Ok(())
}

#[test]
fn every_parameter_of_every_variant_receives_a_gradient() -> Result<()> {
    for (name, config) in variants() {
        assert_every_parameter_learns(&name, &config)?;
    }
    Ok(())
}

#[test]
fn every_parameter_at_every_placement_receives_a_gradient() -> Result<()> {
    for (name, config) in variants() {
        for placement in [
            Placement::Residual,
            Placement::Gate,
            Placement::PooledGate,
            Placement::Activation,
        ] {
            let mut config = config.clone();
            if let Some(mixer) = &mut config.mixer {
                mixer.placement = placement;
                assert_every_parameter_learns(&format!("{name} {placement:?}"), &config)?;
            }
        }
    }
    Ok(())
}

#[test]
fn all_channel_counts_sizes_and_class_counts_fit() -> Result<()> {
    for (name, variant) in variants() {
        for (channels, classes) in [(1, 2), (3, 10), (5, 1000)] {
            let config = ClassifierConfig {
                channels,
                classes,
                ..variant.clone()
            };
            let (_, network) = build(&config)?;
            for (n, height, width) in [(1, 28, 28), (2, 32, 32), (1, 48, 40), (1, 9, 71)] {
                let images = random(&[n, height, width, channels], DType::F32, 2)?;
                let logits = network.forward(&images, false)?;
                assert_eq!(logits.dims(), [n, classes], "{name}");
                let sum = logits.abs()?.sum_all()?.to_scalar::<f32>()?;
                assert!(sum.is_finite() && sum > 0.0, "{name}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_image_does_not_depend_on_its_batch_in_evaluation() -> Result<()> {
    for (name, config) in variants() {
        let (_, network) = build(&config)?;
        let images = random(&[3, 16, 16, config.channels], DType::F32, 4)?;
        let together = network.forward(&images, false)?;
        for i in 0..3 {
            let alone = network.forward(&images.narrow(0, i, 1)?.contiguous()?, false)?;
            let difference = (alone - together.narrow(0, i, 1)?)?
                .abs()?
                .max_all()?
                .to_scalar::<f32>()?;
            assert!(difference < 1e-5, "{name}: {difference}");
        }
    }
    Ok(())
}

#[test]
fn images_that_do_not_fit_are_refused_in_words() -> Result<()> {
    let (_, config) = variants().remove(0);
    let (_, network) = build(&config)?;
    let error = |shape: &[usize]| -> Result<String> {
        let images = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        Ok(network.forward(&images, false).unwrap_err().to_string())
    };
    assert!(error(&[1, 7, 32, 3])?.contains("32×7 pixels is too small"));
    assert!(error(&[1, 32, 32, 1])?.contains("1 channels"));
    Ok(())
}
