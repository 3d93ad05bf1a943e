//! The image generator and its baseline: shapes, errors, and a gradient for each parameter.

use candle_core::{DType, Device, Result};
use gmnm_core::{ParamStore, gradient_check::random};
use models::generator::{Generator, GeneratorConfig};
use models::{ModelConfig, registry};

/// The generators of the registry, narrowed so that tests are quick.
fn variants() -> Vec<(&'static str, GeneratorConfig)> {
    let mut variants = Vec::new();
    for entry in registry::entries() {
        if let ModelConfig::Generator(mut config) = entry.config() {
            (config.widths, config.features, config.latent) = (vec![4, 6], 5, 7);
            (config.height, config.width) = (12, 16);
            variants.push((entry.name, config));
        }
    }
    assert_eq!(variants.len(), 2);
    variants
}

#[test]
fn every_parameter_receives_a_gradient() -> Result<()> {
    for (name, config) in variants() {
        let store = ParamStore::new(3, DType::F32, &Device::Cpu);
        let network = Generator::new(&config, store.var_builder())?;
        let images = random(&[4, 12, 16, 3], DType::F32, 1)?;
        let loss = (network.forward(&images, true)? - &images)?
            .sqr()?
            .mean_all()?;
        let gradients = loss.backward()?;
        for (parameter, var) in store.trainable() {
            let largest = match gradients.get(&var) {
                Some(gradient) => gradient.abs()?.max_all()?.to_scalar::<f32>()?,
                None => panic!("{name}: `{parameter}` has no gradient"),
            };
            assert!(
                largest > 1e-7 && largest.is_finite(),
                "{name}: the largest gradient of `{parameter}` is {largest:e}"
            );
        }
    }
    Ok(())
}

#[test]
fn images_become_latent_vectors_and_images_again() -> Result<()> {
    for (name, variant) in variants() {
        for channels in [1, 3] {
            let config = GeneratorConfig {
                channels,
                ..variant.clone()
            };
            let store = ParamStore::new(3, DType::F32, &Device::Cpu);
            let network = Generator::new(&config, store.var_builder())?;
            let images = random(&[1, 12, 16, channels], DType::F32, 1)?;
            let latent = network.encode(&images, false)?;
            assert_eq!(latent.dims(), [1, 7], "{name}");
            assert_eq!(
                network.decode(&latent, false)?.dims(),
                images.dims(),
                "{name}"
            );
            let other = random(&[1, 16, 12, channels], DType::F32, 1)?;
            let error = network.encode(&other, false).unwrap_err().to_string();
            assert!(error.contains("12×16 pixels"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn a_size_that_cannot_be_halved_is_refused() {
    for (_, mut config) in variants() {
        config.height = 14;
        let error = config.validate().unwrap_err().to_string();
        assert!(
            error.contains("height: 14 is not divisible by 4"),
            "{error}"
        );
    }
}
