//! What helps with few or unbalanced images, from outside: each option is recorded, changes the training, and resumes to
//! the same bytes.

use std::fs;
use std::path::Path;

use end_to_end::picture;
use end_to_end::zoo::{TINY, Workspace};
use serde_json::Value;

const MODEL: &str = "cifar-classifier.plain";

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", MODEL, "--data", "digits", "--out", out];
    args.extend(TINY);
    args.extend(["--seed", "3"]);
    args.extend(more.iter().flat_map(|set| ["--set", *set]));
    args
}

fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    zoo
}

fn read(zoo: &Workspace, path: &str) -> Vec<u8> {
    fs::read(zoo.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn recipe(zoo: &Workspace, run: &str) -> Value {
    let record: Value =
        serde_json::from_slice(&read(zoo, &format!("{run}/training.json"))).unwrap();
    record["recipe"].clone()
}

/// Every option alone: its value in the record, and other weights than without it.
#[test]
fn each_option_is_recorded_and_changes_the_training() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let weights = |out: &str, more: &[&str]| {
        let args = [&arguments(out, more)[..], &["--epochs", "1", "--quiet"]].concat();
        zoo.zoo(&args).expect(0);
        read(&zoo, &format!("{out}/model.safetensors"))
    };
    let plain = weights("plain", &[]);
    // Batches of a few images: the two classes are not equally many in each.
    for (i, (set, key)) in [
        ("class_weights=0=3", "class_weights"),
        ("sampling=balanced", "sampling"),
        ("mixup=0.4", "mixup"),
        ("cutmix=1", "cutmix"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("section-{i}");
        let with = weights(&out, &[set]);
        let recorded = &recipe(&zoo, &out)["classification"][key];
        let value = set.split_once('=').unwrap().1;
        match recorded {
            Value::String(text) => assert_eq!(text, value),
            number => assert_eq!(number.as_f64(), value.parse().ok(), "{set}"),
        }
        assert!(with != plain, "{set}");
    }
    for (i, set) in [
        "augment.crop=0.5",
        "augment.policy=2",
        "augment.jitter.brightness=0.4",
        "augment.jitter.contrast=0.4",
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("augment-{i}");
        assert!(weights(&out, &[set]) != plain, "{set}");
        let key = set.split_once('=').unwrap().0;
        let path = format!("/classification/{}", key.replace('.', "/"));
        let recipe = recipe(&zoo, &out);
        assert!(
            recipe.pointer(&path).unwrap().as_f64().unwrap() > 0.0,
            "{path}"
        );
    }
}

/// `auto` is what the counts of the classes say: the same bytes as by name.
#[test]
fn automatic_weights_make_up_for_rare_classes() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    for (part, cats, dogs) in [("train", 12, 4), ("test", 4, 4)] {
        let folder = zoo.path("uneven").join(part);
        picture::class(&folder.join("cat"), picture::CAT, cats);
        picture::class(&folder.join("dog"), picture::DOG, dogs);
    }
    let weights = |out: &str, set: &str| {
        let sets = [set, "image_size=8", "validation.fraction=0"];
        let mut args = arguments(out, &sets);
        args[3] = "uneven";
        args.extend(["--epochs", "1", "--quiet"]);
        zoo.zoo(&args).expect(0);
        read(&zoo, &format!("{out}/model.safetensors"))
    };
    let auto = weights("auto", "class_weights=auto");
    assert!(auto != weights("none", "class_weights=none"));
    // 16 images of two classes: 16/(2·12) and 16/(2·4).
    assert!(auto == weights("named", "class_weights=cat=0.6666666666666666,dog=2"));
}

#[test]
fn all_options_together_resume_to_the_same_bytes_on_any_threads() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let settings = [
        "class_weights=0=2,1=0.5",
        "sampling=balanced",
        "mixup=0.4",
        "cutmix=1",
        "augment.crop=0.5",
        "augment.policy=2",
        "augment.magnitude=12",
        "augment.jitter.brightness=0.3",
        "augment.jitter.saturation=0.3",
        "label_smoothing=0.1",
        "validation.fraction=0.2",
        "early_stopping.patience=10",
        "early_stopping.measure=loss",
        "checkpoint.every_steps=1",
    ];
    let whole = [&arguments("whole", &settings)[..], &["--epochs", "10"]].concat();
    zoo.zoo(&whole).expect(0);
    let broken = [&arguments("broken", &settings)[..], &["--epochs", "10"]].concat();
    zoo.kill_once_saved(&broken, "broken", 6);
    zoo.zoo(&["train", "--resume", "broken"]).expect(0);
    let single = [
        &arguments("single", &settings)[..],
        &["--epochs", "10", "--threads", "1"],
    ]
    .concat();
    zoo.zoo(&single).expect(0);
    for name in ["model.safetensors", "metrics.csv", "training.json"] {
        let of = |run: &str| read(&zoo, &format!("{run}/{name}"));
        assert!(of("whole") == of("broken"), "{name} differs after the kill");
    }
    // The images are the same; sums may be rounded in another order.
    let order = |run: &str| {
        let text = String::from_utf8(read(&zoo, &format!("{run}/metrics.csv"))).unwrap();
        let loss = text.lines().nth(1).unwrap().split(',').nth(3).unwrap();
        loss.parse::<f64>().unwrap()
    };
    assert!((order("whole") - order("single")).abs() < 1e-3);
}

#[test]
fn early_stopping_judges_by_the_measure_that_is_named() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let epochs = |out: &str, more: &[&str]| {
        let mut sets = vec!["validation.fraction=0.2", "early_stopping.patience=1"];
        sets.extend(more);
        let args = [&arguments(out, &sets)[..], &["--epochs", "12", "--quiet"]].concat();
        zoo.zoo(&args).expect(0);
        let text = String::from_utf8(read(&zoo, &format!("{out}/metrics.csv"))).unwrap();
        let column = |name: &str| {
            let mut lines = text.lines();
            let at = lines
                .next()
                .unwrap()
                .split(',')
                .position(|n| n == name)
                .unwrap();
            lines
                .map(|l| l.split(',').nth(at).unwrap().parse::<f64>().unwrap())
                .collect::<Vec<_>>()
        };
        (column("validation_loss"), column("validation_accuracy"))
    };
    // It ends at the first epoch that is no better than the best before.
    let ends = |values: &[f64], higher: bool| {
        let mut best = values[0];
        for (epoch, &value) in values.iter().enumerate().skip(1) {
            match if higher { value > best } else { value < best } {
                true => best = value,
                false => return epoch + 1,
            }
        }
        values.len()
    };
    let (losses, _) = epochs("loss", &["early_stopping.measure=loss"]);
    assert_eq!(losses.len(), ends(&losses, false));
    let (_, accuracies) = epochs("accuracy", &[]);
    assert_eq!(accuracies.len(), ends(&accuracies, true));
    assert_ne!(losses.len(), accuracies.len(), "{losses:?} {accuracies:?}");
}

#[test]
fn wrong_values_are_refused_and_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    for (set, parts) in [
        ("class_weights=heavy", &["`heavy`", "`auto`"][..]),
        ("class_weights=cat=2", &["no class `cat`", "did you mean"]),
        ("class_weights=0=0,1=0", &["weighs 0"]),
        ("sampling=fair", &["sampling", "`balanced`"]),
        ("mixup=-1", &["`mixup`", "between 0 and 10"]),
        ("cutmix=nan", &["`cutmix`", "between 0 and 10"]),
        ("augment.crop=1", &["`augment.crop`", "below 1"]),
        (
            "augment.magnitude=31",
            &["`augment.magnitude`", "at most 30"],
        ),
        ("augment.policy=17", &["`augment.policy`", "at most 16"]),
        ("augment.jitter.hue=0.6", &["`augment.jitter.hue`", "0.5"]),
        ("augment.jitter.gamma=1", &["no key", "did you mean"]),
        ("early_stopping.measure=f1", &["`f1`", "loss, accuracy"]),
        ("class_weight=auto", &["did you mean `class_weights`"]),
    ] {
        zoo.zoo(&arguments("never", &[set])).refused(parts);
        assert!(!zoo.path("never").exists(), "{set} left a directory");
    }
}
