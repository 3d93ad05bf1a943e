use models::registry;

use super::*;
use crate::data::augment::Flip;
use crate::families;
use crate::families::classification::ClassificationRecipe;

fn of(name: &str, data: &str, overrides: &Overrides<'_>) -> Result<Resolved, RecipeError> {
    let entry = registry::find(name).unwrap();
    let config = entry.config();
    resolve(
        families::trainable(&config),
        entry,
        data,
        &config,
        overrides,
    )
}

fn set(name: &str, set: &[&str]) -> Result<Resolved, RecipeError> {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let overrides = Overrides {
        set: &set,
        ..Default::default()
    };
    of(name, "sample", &overrides)
}

fn with(keys: &[&str]) -> Result<Resolved, RecipeError> {
    set("cifar-classifier", keys)
}

fn descent(resolved: &Resolved) -> &Descent {
    resolved.recipe.descent().unwrap()
}

fn message(set: &[&str]) -> String {
    with(set).unwrap_err().to_string()
}

#[test]
fn set_overrides_one_key_and_leaves_the_rest() {
    let before = with(&[]).unwrap();
    let after = with(&[
        "optimizer.learning_rate=1",
        "schedule.shape=constant",
        "augment.flip=none",
        "model.widths=[8, 16, 32]",
    ])
    .unwrap();
    let (recipe, unchanged) = (descent(&after), descent(&before));
    assert_eq!(recipe.optimizer.learning_rate, 1.0);
    assert_eq!(
        recipe.schedule.shape,
        super::super::schedule::Shape::Constant
    );
    let section: ClassificationRecipe = after.recipe.section().unwrap();
    assert_eq!(section.augment.flip, Flip::None);
    let ModelConfig::Classifier(config) = &after.model else {
        panic!("{:?}", after.model)
    };
    assert_eq!(config.widths, [8, 16, 32]);
    assert_eq!(recipe.optimizer.rule, unchanged.optimizer.rule);
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    assert_eq!(
        message(&["optimizer.learning_rat=1"]),
        "`--set optimizer.learning_rat=1`: there is no key `optimizer.learning_rat`, did you mean \
         `optimizer.learning_rate`?"
    );
    assert!(message(&["learning_rate=1"]).contains("`optimizer.learning_rate`?"));
    assert!(message(&["model.width=[1]"]).contains("`model.widths`?"));
    assert!(message(&["model.mixer.nonsense=1"]).contains("there is no key"));
}

#[test]
fn a_wrong_type_is_refused() {
    assert_eq!(
        message(&["epochs=many"]),
        "`--set epochs=many`: `epochs` needs a whole number, not `\"many\"`"
    );
    assert!(message(&["epochs=1.5"]).contains("a whole number"));
    assert!(message(&["optimizer=3"]).contains("one of its keys"));
    assert!(message(&["model.widths=3"]).contains("a list"));
    assert!(message(&["image_size=many"]).contains("a list"));
    assert!(message(&["image_size=0"]).contains("1 to 1024 pixels, not 0"));
    assert!(message(&["schedule.shape=wavy"]).contains("schedule.shape"));
    assert!(message(&["epochs"]).contains("write `--set key=value`"));
    assert!(message(&["epochs="]).contains("write `--set key=value`"));
    assert!(message(&["epochs=-1"]).contains("`epochs` needs a whole number of at least 0"));
}

#[test]
fn values_out_of_range_are_refused() {
    for set in [
        "epochs=0",
        "batch_size=0",
        "optimizer.learning_rate=0",
        "optimizer.learning_rate=-0.1",
        "optimizer.learning_rate=nan",
        "optimizer.learning_rate=inf",
        "optimizer.momentum=1",
        "optimizer.weight_decay=-1",
        "optimizer.norm_bias_rate=0",
        "optimizer.clip_norm=nan",
        "schedule.warmup=1",
        "schedule.initial_factor=-0.1",
        "schedule.final_factor=2",
        "ema.decay=1",
        "label_smoothing=1",
        "validation.fraction=1",
    ] {
        let key = set.split('=').next().unwrap();
        let message = message(&[set]);
        assert!(message.contains(key), "{set}: {message}");
        assert!(message.contains("must be"), "{set}: {message}");
    }
    let message = message(&["early_stopping.patience=3", "validation.fraction=0"]);
    assert!(message.contains("validation.fraction"), "{message}");
}

#[test]
fn a_file_lies_under_set_and_its_dataset_section_over_its_top_level() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(
        &path,
        "epochs = 3\nbatch_size = 7\n[optimizer]\nmomentum = 0.5\n[datasets.sample]\nepochs = 4\n\
         [datasets.other]\nepochs = 9\n[datasets.sample.model]\nwidths = [4, 4, 4]\n",
    )
    .unwrap();
    let set = ["batch_size=8".to_string()];
    let overrides = Overrides {
        file: Some(&path),
        set: &set,
        epochs: None,
        device: None,
    };
    let resolved = of("cifar-classifier", "sample", &overrides).unwrap();
    let recipe = descent(&resolved);
    assert_eq!((recipe.epochs, recipe.batch_size), (4, 8));
    assert_eq!(recipe.optimizer.momentum, 0.5);
    let overrides = Overrides {
        epochs: Some(2),
        device: None,
        ..overrides
    };
    let resolved = of("cifar-classifier", "elsewhere", &overrides).unwrap();
    assert_eq!(descent(&resolved).epochs, 2);

    std::fs::write(&path, "epochs = 3\n[optimiser]\nmomentum = 0.5\n").unwrap();
    let error = of("cifar-classifier", "sample", &overrides).unwrap_err();
    assert!(error.to_string().contains("there is no key `optimiser`"));
    std::fs::write(&path, "epochs = 3\nbatch_size = = 4\n").unwrap();
    let error = of("cifar-classifier", "sample", &overrides).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn a_recorded_recipe_without_newer_keys_still_reads() {
    let mut json = serde_json::to_value(with(&[]).unwrap().recipe).unwrap();
    let recipe = json.as_object_mut().unwrap();
    for (section, key) in [
        ("optimizer", "norm_bias_rate"),
        ("schedule", "initial_factor"),
    ] {
        let section = recipe[section].as_object_mut().unwrap();
        section.remove(key).unwrap();
    }
    let read: Recipe = serde_json::from_value(json).unwrap();
    assert_eq!(read, with(&[]).unwrap().recipe);
}

#[test]
fn every_model_s_recipe_resolves() {
    for entry in models::registry::entries() {
        let overrides = Overrides::default();
        for dataset in ["sample", entry.default_data] {
            of(entry.name, dataset, &overrides).unwrap();
        }
    }
}

#[test]
fn a_precision_is_settled_before_the_run_and_absent_from_older_records() {
    use crate::train::PrecisionChoice::{Bf16, F32};

    let fastest = match gmnm_core::Precision::processor_multiplies_bf16() {
        true => Bf16,
        false => F32,
    };
    assert_eq!(descent(&with(&[]).unwrap()).precision, fastest);
    let chosen = with(&["precision=bf16x3"]).unwrap().recipe;
    assert_eq!(chosen.descent().unwrap().precision.name(), "bf16x3");
    assert!(message(&["precision=fp8"]).contains("`precision`"));
    let generator = set("image-generator", &[]).unwrap();
    assert_eq!(descent(&generator).precision, F32);

    let mut older = serde_json::to_value(chosen).unwrap();
    assert!(older.as_object_mut().unwrap().remove("precision").is_some());
    let older: Recipe = serde_json::from_value(older).unwrap();
    assert_eq!(older.descent().unwrap().precision, F32);
}

#[test]
fn a_key_of_the_family_may_stand_outside_its_section_and_one_of_another_nowhere() {
    let section =
        |keys: &[&str]| -> ClassificationRecipe { with(keys).unwrap().recipe.section().unwrap() };
    let short = section(&["label_smoothing=0.3", "augment.cutout=2"]);
    let long = [
        "classification.label_smoothing=0.3",
        "classification.augment.cutout=2",
    ];
    assert_eq!(short, section(&long));
    assert_eq!((short.label_smoothing, short.augment.cutout), (0.3, 2));
    for (model, key, nearest) in [
        ("image-generator", "label_smoothing=0.3", "batch_size"),
        ("image-generator", "series.missing=forward", ""),
        (
            "image-generator",
            "classification.augment.flip=none",
            "reconstruction.augment.flip",
        ),
        ("series-forecaster", "augment.flip=none", ""),
        (
            "series-forecaster",
            "series.mising=forward",
            "series.missing",
        ),
        ("cifar-classifier", "field.points=3", ""),
        ("surface-fitter", "epochs=3", ""),
        ("surface-fitter", "precision=f32", ""),
    ] {
        let error = set(model, &[key]).unwrap_err().to_string();
        let name = key.split('=').next().unwrap();
        assert!(
            error.contains(&format!("there is no key `{name}`, did you mean")),
            "{error}"
        );
        assert!(error.contains(nearest), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let overrides = Overrides {
        file: Some(&path),
        ..Default::default()
    };
    std::fs::write(&path, "epochs = 3\n[series]\nloss = \"absolute\"\n").unwrap();
    let error = of("cifar-classifier", "sample", &overrides)
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no key `series`"), "{error}");
    std::fs::write(&path, "label_smoothing = 0.3\n[augment]\ncutout = 2\n").unwrap();
    let resolved = of("cifar-classifier", "sample", &overrides).unwrap();
    assert_eq!(
        resolved
            .recipe
            .section::<ClassificationRecipe>()
            .unwrap()
            .label_smoothing,
        0.3
    );
}
