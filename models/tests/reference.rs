//! The outputs of every architecture against PyTorch, computed from the written files alone.
//!
//! Python is `ZOO_PYTHON`, or `python3`. Where it has no torch and safetensors the test says so and passes; with
//! `ZOO_REQUIRE_PEERS=1` it fails.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{DType, Device, Module, Tensor};
use gmnm_core::{ParamStore, gradient_check::random, rng::Philox};
use models::classifier::{Classifier, ClassifierConfig};
use models::field::Field;
use models::forecaster::{ForecastNetwork, Forecaster, ForecasterConfig, HeadConfig, InstanceNorm};
use models::generator::{Generator, GeneratorConfig};
use models::layers::{MixerConfig, Placement};
use models::model_dir::{ModelDir, Storage, load, save};
use models::{ModelConfig, registry};

/// A Python that has torch and safetensors.
fn python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("ZOO_PYTHON").unwrap_or("python3".into()));
    let found = Command::new(&python)
        .args(["-c", "import torch, safetensors.torch"])
        .output();
    if matches!(&found, Ok(output) if output.status.success()) {
        return Some(python);
    }
    let required = std::env::var_os("ZOO_REQUIRE_PEERS").is_some_and(|v| v == "1");
    assert!(
        !required,
        "`{}` has no torch and safetensors",
        python.display()
    );
    None
}

/// Parameters as after training: no buffer at its initial value, no mixture far from the data.
fn trained(config: &ModelConfig) -> BTreeMap<String, Tensor> {
    let store = ParamStore::new(11, DType::F32, &Device::Cpu);
    config.declare(store.var_builder()).unwrap();
    let mut tensors = store.tensors();
    for (name, tensor) in &mut tensors {
        let mut rng = Philox::named(5, name);
        let noise: Vec<f32> = (0..tensor.elem_count())
            .map(|_| rng.normal() as f32 * 0.2)
            .collect();
        let noise = Tensor::from_vec(noise, tensor.dims(), &Device::Cpu).unwrap();
        *tensor = if name.ends_with("running_var") {
            (&*tensor + noise.abs().unwrap()).unwrap()
        } else if name.ends_with("running_mean") || tensor.rank() == 1 {
            (&*tensor + noise).unwrap()
        } else {
            tensor.clone()
        };
    }
    tensors
}

/// PyTorch's outputs for the model in `dir`.
fn peer(python: &Path, dir: &Path, input: &Tensor) -> Tensor {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (inputs, outputs) = (
        dir.join("input.safetensors"),
        dir.join("output.safetensors"),
    );
    candle_core::safetensors::save(&HashMap::from([("input", input.clone())]), &inputs).unwrap();
    let run = Command::new(python)
        .arg(root.join("../tests/reference/outputs.py"))
        .arg(root.join("python/modeling_gmnm.py"))
        .args([dir, &inputs, &outputs])
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    candle_core::safetensors::load(outputs, &Device::Cpu).unwrap()["output"].clone()
}

/// Says that a comparison was left out, past the test harness, which hides what a passing test prints.
fn skipped(name: &str) {
    let text = format!("SKIPPED {name}: no Python with torch and safetensors in ZOO_PYTHON\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

/// Saves, loads, and compares with PyTorch to 1e-4 of the largest output (at least 1).
fn assert_equal_to_pytorch(
    name: &str,
    config: ModelConfig,
    input: &Tensor,
    forward: impl Fn(&ModelDir) -> candle_core::Result<Tensor>,
) {
    let Some(python) = python() else {
        skipped(name);
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let model = ModelDir {
        model: name.to_string(),
        labels: (0..config.classes().unwrap_or(0))
            .map(|i| i.to_string())
            .collect(),
        tensors: trained(&config),
        preprocessor: None,
        config,
    };
    save(dir.path(), &model, Storage::Full).unwrap();
    let ours = forward(&load(dir.path()).unwrap()).unwrap();
    let theirs = peer(&python, dir.path(), input);
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let largest = |t: Tensor| {
        t.abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    let difference = largest((&ours - &theirs).unwrap());
    let scale = largest(theirs).max(1.0);
    assert!(
        difference <= 1e-4 * scale,
        "{name}: {difference:e} of {scale}"
    );
}

fn classifier_case(name: &str, config: ClassifierConfig, size: [usize; 2]) {
    let input = random(&[3, size[0], size[1], config.channels], DType::F32, 9).unwrap();
    assert_equal_to_pytorch(
        name,
        ModelConfig::Classifier(config.clone()),
        &input,
        |model| {
            let store = model.store(DType::F32, &Device::Cpu)?;
            Classifier::new(&config, store.detached().var_builder())?.forward(&input, false)
        },
    );
}

const _: fn(&ModelConfig) -> fn() = comparison;

/// The test below that compares a network. One of a new architecture does not compile until it is named here.
fn comparison(config: &ModelConfig) -> fn() {
    match config {
        ModelConfig::Classifier(_) => classifiers_equal_pytorch,
        ModelConfig::Generator(_) => generators_equal_pytorch,
        ModelConfig::Forecaster(_) => forecasters_equal_pytorch,
        ModelConfig::Surface(_) | ModelConfig::Poisson(_) => fields_equal_pytorch,
    }
}

#[test]
fn classifiers_equal_pytorch() {
    for entry in registry::entries() {
        if let ModelConfig::Classifier(config) = entry.config() {
            classifier_case(entry.name, config.clone(), [32, 32]);
            let deeper = ClassifierConfig {
                convs: 3,
                residual: true,
                ..config
            };
            classifier_case(entry.name, deeper, [32, 32]);
        }
    }
}

#[test]
fn generators_equal_pytorch() {
    let input = random(&[3, 32, 32, 3], DType::F32, 9).unwrap();
    let case = |name: &str, config: &GeneratorConfig| {
        let described = ModelConfig::Generator(config.clone());
        assert_equal_to_pytorch(name, described, &input, |model| {
            let store = model.store(DType::F32, &Device::Cpu)?;
            Generator::new(config, store.detached().var_builder())?.forward(&input, false)
        });
    };
    for entry in registry::entries() {
        let ModelConfig::Generator(mut config) = entry.config() else {
            continue;
        };
        case(entry.name, &config);
        if let Some(gate) = &mut config.gate {
            gate.normalize_input = !gate.normalize_input;
            case(entry.name, &config);
        }
    }
}

fn forecaster_case(name: &str, config: ForecasterConfig) {
    let input = random(&[3, config.look_back, config.channels], DType::F32, 9).unwrap();
    let described = ModelConfig::Forecaster(config.clone());
    assert_equal_to_pytorch(name, described, &input, |model| {
        let store = model.store(DType::F32, &Device::Cpu)?;
        Forecaster::new(&config, store.detached().var_builder())?.forward(&input)
    });
}

#[test]
fn forecasters_equal_pytorch() {
    for entry in registry::entries() {
        let ModelConfig::Forecaster(mut config) = entry.config() else {
            continue;
        };
        forecaster_case(entry.name, config.clone());
        // Another embedding, head and normalisation, and a horizon that cuts the last segment.
        (config.horizon, config.channels) = (100, 2);
        config.normalization = InstanceNorm::MeanStd;
        if let ForecastNetwork::Recurrent(own) = &mut config.network {
            own.embed_components = Some(9);
            match &mut own.head {
                HeadConfig::Linear => {}
                HeadConfig::Mlp(mlp) => mlp.linear = !mlp.linear,
                HeadConfig::Gmnm(mixture) => {
                    mixture.linear = !mixture.linear;
                    mixture.mixer.projections = 3;
                    mixture.mixer.aggregation = gmnm_core::Aggregation::Sum;
                }
            }
        }
        forecaster_case(&format!("{} changed", entry.name), config);
    }
}

/// In f64, so that the two agree to 1e-10 of the largest output.
#[test]
fn fields_equal_pytorch() {
    let Some(python) = python() else {
        skipped("fields");
        return;
    };
    let input = random(&[50, 2], DType::F64, 9).unwrap();
    let shapes = |entry: &'static registry::Entry| {
        let all = std::iter::once(entry.config()).chain(entry.alternatives());
        all.map(move |shape| (entry, shape))
    };
    for (entry, model) in registry::entries().iter().flat_map(shapes) {
        let (ModelConfig::Surface(config) | ModelConfig::Poisson(config)) = model.clone() else {
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let store = ParamStore::new(11, DType::F64, &Device::Cpu);
        let field = Field::new(&config, store.var_builder()).unwrap();
        let model = ModelDir {
            model: entry.name.to_string(),
            config: model,
            labels: Vec::new(),
            preprocessor: None,
            tensors: store.tensors(),
        };
        save(dir.path(), &model, Storage::Full).unwrap();
        let reloaded = load(dir.path()).unwrap();
        let loaded = reloaded.store(DType::F64, &Device::Cpu).unwrap();
        let ours = Field::new(&config, loaded.var_builder()).unwrap();
        let ours = ours.forward(&input).unwrap();
        let bytes = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(bytes(&ours), bytes(&field.forward(&input).unwrap()));
        let theirs = peer(&python, dir.path(), &input);
        assert_eq!(ours.dims(), theirs.dims(), "{}", entry.name);
        let largest = bytes(&theirs).iter().fold(1f64, |m, v| m.max(v.abs()));
        for (a, b) in bytes(&ours).iter().zip(bytes(&theirs)) {
            assert!(
                (a - b).abs() <= 1e-10 * largest,
                "{}: {a} against {b}",
                entry.name
            );
        }
    }
}

#[test]
fn every_placement_and_aggregation_equals_pytorch() {
    for (placement, aggregation, normalize_input) in [
        (Placement::Residual, gmnm_core::Aggregation::Sum, false),
        (Placement::Gate, gmnm_core::Aggregation::Norm, true),
        (Placement::PooledGate, gmnm_core::Aggregation::Sum, true),
        (Placement::Activation, gmnm_core::Aggregation::Norm, false),
    ] {
        let entry = registry::find("cifar-classifier.attention").unwrap();
        let ModelConfig::Classifier(mut config) = entry.config() else {
            panic!("a classifier is none");
        };
        (config.channels, config.classes, config.widths) = (1, 3, vec![8, 12, 16]);
        if let Some(mixer) = &mut config.mixer {
            mixer.placement = placement;
            mixer.normalize_input = normalize_input;
            if let MixerConfig::Gmnm(gmnm) = &mut mixer.function {
                gmnm.components = vec![7, 9, 11];
                gmnm.projections = 3;
                gmnm.aggregation = aggregation;
            }
        }
        if let Some(attention) = &mut config.attention {
            attention.components = Some(13);
        }
        classifier_case(&format!("{placement:?}"), config, [29, 37]);
    }
}
