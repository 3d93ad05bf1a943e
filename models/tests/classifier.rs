//! Every variant of the classifier: shapes, errors, and a gradient for each parameter.

use candle_core::{DType, Device, Result, Tensor};
use gmnm_core::{ParamStore, gradient_check::random, ops};
use models::classifier::{Classifier, ClassifierConfig};
use models::layers::{MixerConfig, Placement};
use models::{ModelConfig, registry};

/// The classifiers of the registry, narrowed so that tests are quick.
fn variants() -> Vec<(String, ClassifierConfig)> {
    let mut variants = Vec::new();
    for entry in registry::entries() {
        if let ModelConfig::Classifier(mut config) = entry.config() {
            config.widths = vec![4, 8, 12];
            if let Some(mixer) = &mut config.mixer {
                match &mut mixer.function {
                    MixerConfig::Gmnm(gmnm) => gmnm.components = vec![5, 6, 7],
                    MixerConfig::Mlp(mlp) => mlp.hidden = vec![5, 6, 7],
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
fn every_parameter_around_a_residual_receives_a_gradient() -> Result<()> {
    for (name, variant) in variants() {
        for convs in [2, 3] {
            let config = ClassifierConfig {
                convs,
                residual: true,
                ..variant.clone()
            };
            assert_every_parameter_learns(&format!("{name} of {convs} convolutions"), &config)?;
        }
    }
    Ok(())
}

#[test]
fn a_residual_around_nothing_is_refused() {
    for (_, mut config) in variants() {
        (config.convs, config.residual) = (1, true);
        let error = config.validate().unwrap_err().to_string();
        assert!(
            error.contains("residual") && error.contains("convs"),
            "{error}"
        );
    }
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
fn training_of_the_fast_network_begins_whitened_and_passing_inputs_on() -> Result<()> {
    let entry = registry::find("cifar-classifier.fast-plain").unwrap();
    let ModelConfig::Classifier(mut config) = entry.config() else {
        panic!("a classifier is none");
    };
    config.widths = vec![30, 30, 32];
    let (store, _) = build(&config)?;
    let drawn = store.tensors();
    let images = random(&[20, 8, 8, 3], DType::F32, 5)?;
    let first = config.initial(drawn.clone(), &images)?;
    store.load_strict(&first).unwrap();
    let whitened = models::layers::whitening_filters(&images, config.stem.as_ref().unwrap())?;
    let values = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    assert_eq!(values(&first["stem.whitening"])?, values(&whitened)?);
    for (name, tensor) in &first {
        if name.ends_with("conv.weight") {
            let (out, input, _, _) = tensor.dims4()?;
            let x = random(&[2, 5, 4, input], DType::F32, 6)?;
            let same = ops::Conv2dConfig {
                padding: 1,
                ..Default::default()
            };
            let y = ops::conv2d(&x, tensor, None, same)?;
            let kept = input.min(out);
            let difference = (y.narrow(3, 0, kept)? - x.narrow(3, 0, kept)?)?.abs()?;
            let largest = difference.max_all()?.to_scalar::<f32>()?;
            assert!(largest < 1e-6, "{name}: {largest}");
            let rest = |t: &Tensor| values(&t.narrow(0, kept, out - kept)?.contiguous()?);
            if out > kept {
                assert_eq!(rest(tensor)?, rest(&drawn[name])?, "{name}");
            }
        } else if name != "stem.whitening" {
            assert_eq!(values(tensor)?, values(&drawn[name])?, "{name}");
        }
    }
    // Another variant begins as it was drawn.
    let (_, config) = variants().remove(0);
    let drawn = build(&config)?.0.tensors();
    for (name, tensor) in config.initial(drawn.clone(), &images)? {
        assert_eq!(values(&tensor)?, values(&drawn[&name])?, "{name}");
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
