use super::*;
use crate::data::augment::Flip;

fn plain() -> ModelConfig {
    models::registry::find("cifar-classifier").unwrap().config()
}

fn with(set: &[&str]) -> Result<Resolved, RecipeError> {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let overrides = Overrides {
        set: &set,
        ..Default::default()
    };
    resolve("cifar-classifier", "sample", plain(), &overrides)
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
    assert_eq!(after.recipe.optimizer.learning_rate, 1.0);
    assert_eq!(
        after.recipe.schedule.shape,
        super::super::schedule::Shape::Constant
    );
    assert_eq!(after.recipe.augment.flip, Flip::None);
    let ModelConfig::Classifier(config) = &after.model else {
        panic!("{:?}", after.model)
    };
    assert_eq!(config.widths, [8, 16, 32]);
    assert_eq!(after.recipe.optimizer.rule, before.recipe.optimizer.rule);
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
    let resolved = resolve("cifar-classifier", "sample", plain(), &overrides).unwrap();
    assert_eq!(resolved.recipe.epochs, 4);
    assert_eq!(resolved.recipe.batch_size, 8);
    assert_eq!(resolved.recipe.optimizer.momentum, 0.5);
    let overrides = Overrides {
        epochs: Some(2),
        device: None,
        ..overrides
    };
    let resolved = resolve("cifar-classifier", "elsewhere", plain(), &overrides).unwrap();
    assert_eq!(resolved.recipe.epochs, 2);

    std::fs::write(&path, "epochs = 3\n[optimiser]\nmomentum = 0.5\n").unwrap();
    let error = resolve("cifar-classifier", "sample", plain(), &overrides).unwrap_err();
    assert!(error.to_string().contains("there is no key `optimiser`"));
    std::fs::write(&path, "epochs = 3\nbatch_size = = 4\n").unwrap();
    let error = resolve("cifar-classifier", "sample", plain(), &overrides).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn a_recorded_recipe_without_newer_keys_still_reads() {
    let mut json = serde_json::to_value(with(&[]).unwrap().recipe).unwrap();
    let recipe = json.as_object_mut().unwrap();
    recipe.remove("stem_epochs").unwrap();
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
            resolve(entry.recipe, dataset, entry.config(), &overrides).unwrap();
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
    assert_eq!(with(&[]).unwrap().recipe.precision, fastest);
    let chosen = with(&["precision=bf16x3"]).unwrap().recipe;
    assert_eq!(chosen.precision.name(), "bf16x3");
    assert!(message(&["precision=fp8"]).contains("`precision`"));
    let generator = models::registry::find("image-generator").unwrap().config();
    let resolved = resolve(
        "image-generator",
        "sample",
        generator,
        &Overrides::default(),
    );
    assert_eq!(resolved.unwrap().recipe.precision, F32);

    let mut older = serde_json::to_value(chosen).unwrap();
    assert!(older.as_object_mut().unwrap().remove("precision").is_some());
    let older: Recipe = serde_json::from_value(older).unwrap();
    assert_eq!(older.precision, F32);
}
