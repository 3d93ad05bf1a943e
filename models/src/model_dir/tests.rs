use super::*;
use crate::registry;
use gmnm_core::ParamStore;

/// A small classifier with fresh parameters.
fn example(name: &str) -> ModelDir {
    let entry = registry::find(name).unwrap();
    let mut config = entry.config();
    let ModelConfig::Classifier(classifier) = &mut config else {
        panic!("`{name}` is no classifier");
    };
    classifier.widths = vec![4, 8, 8];
    let store = ParamStore::new(7, DType::F32, &Device::Cpu);
    config.declare(store.var_builder()).unwrap();
    ModelDir {
        model: name.to_string(),
        labels: (0..10).map(|i| format!("class {i}")).collect(),
        config,
        preprocessor: None,
        tensors: store.tensors(),
    }
}

fn bytes(model: &ModelDir) -> Vec<u8> {
    let shapes = model.config.tensor_shapes().unwrap();
    weights::write(&model.tensors, &shapes, Storage::Full).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_is_saved_is_loaded_and_the_same_model_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b/c"));
    let mut model = example("cifar-classifier.attention");
    model.preprocessor = Some(Preprocessor {
        height: 32,
        width: 32,
        channels: 3,
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        interpolation: crate::preprocessor::Interpolation::Bilinear,
        resize: crate::preprocessor::ResizeRule::Crop,
        precision: crate::preprocessor::ResamplePrecision::Uint8,
    });
    save(&a, &model, Storage::Full).unwrap();
    save(&b, &model, Storage::Full).unwrap();
    let names: Vec<_> = std::fs::read_dir(&a)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "no temporary file is left: {names:?}");
    for name in [CONFIG, WEIGHTS, PREPROCESSOR] {
        let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
        assert_eq!(read(&a), read(&b), "{name}");
    }
    let loaded = load(&a).unwrap();
    assert_eq!(loaded.config, model.config);
    assert_eq!(loaded.model, model.model);
    assert_eq!(loaded.labels, model.labels);
    assert_eq!(loaded.preprocessor, model.preprocessor);
    assert_eq!(loaded.tensors.len(), model.tensors.len());
    for (name, tensor) in &loaded.tensors {
        assert_eq!(values(tensor), values(&model.tensors[name]), "{name}");
    }
    let again = ModelDir::from_bytes(
        &a,
        &std::fs::read(a.join(CONFIG)).unwrap(),
        &std::fs::read(a.join(WEIGHTS)).unwrap(),
        None,
    )
    .unwrap();
    assert_eq!(again.tensors.len(), loaded.tensors.len());
}

#[test]
fn half_storage_halves_the_parameters_and_keeps_running_statistics() {
    let dir = tempfile::tempdir().unwrap();
    let model = example("cifar-classifier");
    save(dir.path(), &model, Storage::Half).unwrap();
    let size = std::fs::metadata(dir.path().join(WEIGHTS)).unwrap().len();
    assert!(size < bytes(&model).len() as u64 * 7 / 10);
    let loaded = load(dir.path()).unwrap();
    for (name, tensor) in &loaded.tensors {
        assert_eq!(tensor.dtype(), DType::F32, "{name}");
        for (a, b) in values(tensor).into_iter().zip(values(&model.tensors[name])) {
            let exact = gmnm_core::params::is_buffer(name);
            let tolerance = if exact { 0.0 } else { b.abs() / 2048.0 + 6e-8 };
            assert!((a - b).abs() <= tolerance, "{name}: {a} for {b}");
        }
    }
}

#[test]
fn a_failed_save_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let good = example("cifar-classifier");
    save(dir.path(), &good, Storage::Full).unwrap();
    let before = std::fs::read(dir.path().join(WEIGHTS)).unwrap();
    let mut bad = good.clone();
    let nan = Tensor::full(f32::NAN, 10, &Device::Cpu).unwrap();
    bad.tensors.insert("head.bias".into(), nan);
    let error = save(dir.path(), &bad, Storage::Full).unwrap_err();
    assert!(
        error.to_string().contains("`head.bias` holds NaN"),
        "{error}"
    );
    let mut large = good.clone();
    let over = Tensor::full(1e6f32, 10, &Device::Cpu).unwrap();
    large.tensors.insert("head.bias".into(), over);
    assert!(save(dir.path(), &large, Storage::Half).is_err());
    large.tensors.remove("head.bias");
    large.tensors.insert(
        "tail".into(),
        Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap(),
    );
    let error = save(dir.path(), &large, Storage::Full)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("missing `head.bias`; unexpected `tail`"),
        "{error}"
    );
    assert_eq!(std::fs::read(dir.path().join(WEIGHTS)).unwrap(), before);
    load(dir.path()).unwrap();
}

/// The example's config.json after `edit`.
fn edited_config(edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
    let text = example("cifar-classifier").config_json().unwrap();
    let mut object = serde_json::from_str(&text).unwrap();
    edit(&mut object);
    serde_json::to_vec(&object).unwrap()
}

#[test]
fn a_wrong_config_is_one_sentence_that_names_the_field() {
    use serde_json::json;
    let model = example("cifar-classifier");
    let weights = bytes(&model);
    let edits: &[(&str, serde_json::Value, &str)] = &[
        ("model", json!(null), "`model` is not a text"),
        ("labels", json!("cat"), "`labels` is not a list"),
        (
            "labels",
            json!(["cat"]),
            "`labels` has 1 names for 10 classes",
        ),
        (
            "architecture",
            json!("transformer"),
            "unknown variant `transformer`",
        ),
        ("widths", json!([]), "widths"),
        ("widths", json!([4, 8, 0]), "widths"),
        ("widths", json!([4, 8, 1_000_000_000_u64]), "widths"),
        ("widths", json!([4, 8, -1]), "invalid value"),
        ("widths", json!("many"), "invalid type"),
        ("classes", json!(1), "classes"),
        ("channels", json!(0), "channels"),
        ("convs", json!(1000), "convs"),
        ("activation", json!("tanh"), "unknown variant `tanh`"),
        ("logit_scale", json!(-1.0), "logit_scale"),
        ("attention", json!({"heads": 3}), "attention.heads"),
        ("attention", json!({"heads": 0}), "attention.heads"),
        ("mixer", json!({"placement": "residual"}), "missing field"),
        ("color", json!("red"), "unknown field `color`"),
        (
            "widths",
            json!([4, 8, 12]),
            "wrong shape of `head.weight` ([10, 8], not [10, 12])",
        ),
        (
            "attention",
            json!({"heads": 2}),
            "missing `attention.norm.bias`",
        ),
    ];
    for (field, value, said) in edits {
        let config = edited_config(|object| {
            object.insert((*field).to_string(), value.clone());
        });
        let error = ModelDir::from_bytes(Path::new("run"), &config, &weights, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{field}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    for text in ["", "[]", "{", "{\"model\": \"x\"}", "\u{feff}{}"] {
        let error = ModelDir::from_bytes(Path::new("run"), text.as_bytes(), &weights, None);
        assert!(error.unwrap_err().to_string().contains("run/config.json"));
    }
}

#[test]
fn files_that_are_no_model_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = |dir: &Path| load(dir).unwrap_err().to_string();
    assert!(error(dir.path()).contains("config.json"));
    let model = example("cifar-classifier");
    save(dir.path(), &model, Storage::Full).unwrap();
    let weights = dir.path().join(WEIGHTS);
    std::fs::remove_file(&weights).unwrap();
    assert!(error(dir.path()).contains("model.safetensors"));
    std::fs::create_dir(&weights).unwrap();
    assert!(error(dir.path()).contains("model.safetensors"));
    std::fs::remove_dir(&weights).unwrap();
    let file = File::create(&weights).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(error(dir.path()).contains("at most"));
    std::fs::write(&weights, bytes(&model)).unwrap();
    std::fs::write(dir.path().join(PREPROCESSOR), "{}").unwrap();
    assert!(error(dir.path()).contains(PREPROCESSOR));
    let grey = r#"{"size": {"height": 32, "width": 32}, "image_mean": [0.5], "image_std": [0.5]}"#;
    std::fs::write(dir.path().join(PREPROCESSOR), grey).unwrap();
    assert!(error(dir.path()).contains("takes 3 channels, `preprocessor_config.json` gives 1"));
}
