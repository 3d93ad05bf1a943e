//! `zoo train --from` from outside: what is taken of a trained model, what is drawn anew, and what stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use end_to_end::picture;
use end_to_end::series;
use end_to_end::zoo::{Ran, TINY, TINY_GENERATOR, Workspace};
use models::model_dir::{self, Storage};
use serde_json::Value;

const MODEL: &str = "cifar-classifier.plain";

/// What is trained again, without the settings of the network.
const LIGHT: &[&str] = &[
    "--set",
    "augment.flip=none",
    "--set",
    "optimizer.learning_rate=0.02",
    "--set",
    "ema.decay=0",
    "--set",
    "batch_size=8",
    "--quiet",
];

/// A workspace with the data `digits` and a network `base` that was trained on them.
fn workspace(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    zoo.write_digits("digits", 40, 20);
    let mut args = vec!["train", MODEL, "--data", "digits", "--out", "base"];
    args.extend(TINY);
    args.extend(["--epochs", "2", "--quiet"]);
    zoo.zoo(&args).expect(0);
    zoo
}

/// Pictures of these classes in colour, in parts.
fn write_animals(zoo: &Workspace, name: &str, classes: &[&str]) {
    for (part, count) in [("train", 16), ("test", 4)] {
        picture::classes(&zoo.path(name).join(part), classes, count);
    }
}

fn again(zoo: &Workspace, data: &str, out: &str, more: &[&str]) -> Ran {
    let mut args = vec![
        "train", MODEL, "--data", data, "--from", "base", "--out", out,
    ];
    args.extend(LIGHT.iter().filter(|arg| **arg != "--quiet"));
    args.extend(more);
    if !more.contains(&"--epochs") {
        args.extend(["--epochs", "1"]);
    }
    zoo.zoo(&args)
}

fn record(zoo: &Workspace, run: &str) -> Value {
    let text = fs::read(zoo.path(run).join("training.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The values of every tensor of a model.
fn tensors(zoo: &Workspace, run: &str) -> BTreeMap<String, Vec<f32>> {
    let model = model_dir::load(&zoo.path(run)).unwrap();
    let values = |tensor: &zoo::candle_core::Tensor| {
        let flat = tensor.flatten_all().unwrap();
        flat.to_vec1::<f32>().unwrap()
    };
    let tensors = model.tensors.iter();
    tensors
        .map(|(name, tensor)| (name.clone(), values(tensor)))
        .collect()
}

/// The names of the tensors in which two models differ.
fn changed(zoo: &Workspace, one: &str, other: &str) -> Vec<String> {
    let (one, other) = (tensors(zoo, one), tensors(zoo, other));
    let differs = |name: &&String| one[*name] != other[*name];
    one.keys().filter(differs).cloned().collect()
}

fn assert_same_bytes(zoo: &Workspace, one: &str, other: &str) {
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "metrics.csv",
        "training.json",
        "README.md",
    ] {
        let of = |dir: &str| fs::read(zoo.path(dir).join(name)).unwrap();
        assert!(
            of(one) == of(other),
            "{name} differs between {one} and {other}"
        );
    }
}

#[test]
fn an_ended_run_is_trained_for_longer() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    // Its widths are not said again.
    let ran = again(&zoo, "digits", "longer", &[]).expect(0);
    assert!(
        ran.stderr.contains("from `base`: all 12 tensors taken"),
        "{}",
        ran.stderr
    );
    let [before, after] = ["base", "longer"].map(|run| record(&zoo, run));
    assert_eq!(before["config"], after["config"]);
    let base = &after["base"];
    assert_eq!(
        (&base["name"], &base["model"]),
        (&"base".into(), &MODEL.into())
    );
    assert_eq!(base["taken"].as_array().unwrap().len(), 12);
    assert!(base["drawn"].is_null());
    let sum = std::process::Command::new("sha256sum")
        .arg(zoo.path("base/model.safetensors"))
        .output();
    if let Ok(sum) = sum {
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(sum.split(' ').next(), base["weights"].as_str());
    }
    let command = after["command"].as_str().unwrap();
    assert!(command.contains("--from base --epochs 1"), "{command}");
    let card = fs::read_to_string(zoo.path("longer/README.md")).unwrap();
    assert!(
        card.contains("\nbase_model: base\n") && card.contains("all 12 tensors"),
        "{card}"
    );
    assert!(!zoo.path("longer/start.safetensors").exists());
    // One more epoch begins where the others ended.
    let losses = |run: &str| {
        let metrics = fs::read_to_string(zoo.path(run).join("metrics.csv")).unwrap();
        let column = |line: &str| line.split(',').nth(3).unwrap().parse::<f64>().unwrap();
        metrics.lines().skip(1).map(column).collect::<Vec<_>>()
    };
    assert!(
        losses("longer")[0] < losses("base")[0],
        "{:?}",
        losses("longer")
    );
    // The images are normalised in the same way.
    let input = |run: &str| fs::read(zoo.path(run).join("preprocessor_config.json")).unwrap();
    assert!(input("base") == input("longer"));
}

#[test]
fn other_classes_get_a_new_head_and_frozen_stages_stay() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    write_animals(&zoo, "animals", &["cat", "dog"]);
    let freeze = ["--freeze", "stages.*", "--set", "image_size=16"];
    let ran = again(&zoo, "animals", "animals-run", &freeze).expect(0);
    for said in [
        "from `base`: 10 of 12 tensors taken",
        "`stages.0.convs.0.conv.weight` shared among the channels of these images",
        "images normalised as for it",
        "drawn anew: `head.bias`, `head.weight` (for other classes)",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let taken = tensors(&zoo, "base");
    let trained = tensors(&zoo, "animals-run");
    for (name, values) in &trained {
        let first = name == "stages.0.convs.0.conv.weight";
        match name.starts_with("head.") {
            true => assert_ne!(values, &taken[name], "{name}"),
            // Running statistics are among them.
            false if !first => assert_eq!(values, &taken[name], "{name}"),
            false => {
                let sum: f32 = values[..27].iter().sum();
                let before: f32 = taken[name][..9].iter().sum();
                assert!((sum - before).abs() < 1e-5, "{sum} {before}");
            }
        }
    }
    // What is frozen is what training and testing see: the statistics are not those of the new images.
    let measured = |run: &str| {
        let args = ["eval", run, "--data", "animals", "--format", "json"];
        serde_json::from_str::<Value>(&zoo.zoo(&args).expect(0).stdout).unwrap()
    };
    let result = &record(&zoo, "animals-run")["result"]["test"];
    assert_eq!(measured("animals-run")["loss"], result["loss"]);
    // And back to grey, with the same classes: their head stays.
    let mut args = vec!["train", MODEL, "--data", "animals", "--from", "animals-run"];
    args.extend(["--out", "more", "--epochs", "1", "--set", "image_size=16"]);
    args.extend(LIGHT.iter().filter(|arg| **arg != "--quiet"));
    let ran = zoo.zoo(&args).expect(0);
    assert!(
        ran.stderr
            .contains("from `animals-run`: all 12 tensors taken"),
        "{}",
        ran.stderr
    );
    for (part, count) in [("train", 16), ("test", 4)] {
        for (name, bar) in [("cat", picture::CAT), ("dog", picture::DOG)] {
            let folder = zoo.path("grey").join(part).join(name);
            picture::files(&folder, count, "png", |i| {
                picture::encoded(bar, i, picture::GREY, image::ImageFormat::Png)
            });
        }
    }
    args[3] = "grey";
    args[7] = "grey-run";
    let ran = zoo.zoo(&args).expect(0);
    let said = "`stages.0.convs.0.conv.weight` summed over the channels of its images";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("all 12 tensors taken"),
        "{}",
        ran.stderr
    );
}

#[test]
fn freezing_ends_and_rates_differ() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    // The average of what does not change is that, to the last bit.
    let average = ["--set", "ema.decay=0.9", "--set", "ema.norm_batches=2"];
    let frozen = [
        &["--freeze", "stages.1.*", "--freeze", "head.bias"],
        &average[..],
    ]
    .concat();
    again(&zoo, "digits", "frozen", &frozen).expect(0);
    let differ = changed(&zoo, "base", "frozen");
    let expected = [
        "head.weight",
        "stages.0.convs.0.bn.bias",
        "stages.0.convs.0.bn.running_mean",
        "stages.0.convs.0.bn.running_var",
        "stages.0.convs.0.bn.weight",
        "stages.0.convs.0.conv.weight",
    ];
    assert_eq!(differ, expected);
    let thawed = [&frozen[..], &["--epochs", "2", "--set", "freeze_epochs=1"]].concat();
    again(&zoo, "digits", "thawed", &thawed).expect(0);
    assert_eq!(changed(&zoo, "base", "thawed").len(), 12);
    // A rate of almost nothing for what was taken.
    let slow = [
        "--set",
        "from_rate=1e-12",
        "--set",
        "optimizer.weight_decay=0",
    ];
    again(&zoo, "digits", "slow", &slow).expect(0);
    let (before, after) = (tensors(&zoo, "base"), tensors(&zoo, "slow"));
    for (name, values) in before.iter().filter(|(name, _)| !name.contains("running_")) {
        let apart = values.iter().zip(&after[name]).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0f32, f32::max) < 1e-6, "{name}");
    }
}

#[test]
fn batch_statistics_are_kept_or_renewed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    write_animals(&zoo, "animals", &["cat", "dog"]);
    let more = ["--freeze", "stages.*", "--set", "image_size=16", "--set"];
    for (out, norm) in [("kept", "norm=keep"), ("renewed", "norm=renew")] {
        again(&zoo, "animals", out, &[&more[..], &[norm]].concat()).expect(0);
    }
    let differ = changed(&zoo, "kept", "renewed");
    assert!(
        differ
            .iter()
            .any(|name| name == "stages.0.convs.0.bn.running_mean"),
        "{differ:?}"
    );
    assert!(
        !differ.iter().any(|name| name.ends_with("conv.weight")),
        "{differ:?}"
    );
    let means = tensors(&zoo, "kept");
    assert_eq!(
        means["stages.0.convs.0.bn.running_mean"],
        tensors(&zoo, "base")["stages.0.convs.0.bn.running_mean"]
    );
}

/// A run is killed and goes on, its base taken away: once with a state and once without.
#[test]
fn a_run_with_a_base_resumes_to_the_same_bytes_without_it() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let settings = [
        "--epochs",
        "12",
        "--freeze",
        "stages.0.*",
        "--set",
        "freeze_epochs=2",
        "--set",
        "from_rate=0.5",
        "--set",
        "norm=renew",
        "--set",
        "ema.decay=0.9",
        "--set",
        "ema.norm_batches=2",
        "--set",
        "checkpoint.every_steps=1",
    ];
    again(&zoo, "digits", "whole", &settings).expect(0);
    let arguments = |out| {
        let mut args = vec!["train", MODEL, "--data", "digits", "--from", "base"];
        args.extend(["--out", out]);
        args.extend(LIGHT);
        args.extend(settings);
        args
    };
    zoo.kill_once_saved(&arguments("early"), "early", 1);
    zoo.kill_once_saved(&arguments("frozen"), "frozen", 7);
    zoo.kill_once_saved(&arguments("late"), "late", 20);
    fs::remove_dir_all(zoo.path("base")).unwrap();
    // As if it had been killed before its first state.
    fs::remove_dir_all(zoo.path("early/checkpoints")).unwrap();
    for run in ["early", "frozen", "late"] {
        zoo.zoo(&["train", "--resume", run, "--quiet"]).expect(0);
        assert_same_bytes(&zoo, "whole", run);
        assert!(!zoo.path(run).join("start.safetensors").exists());
    }
}

#[test]
fn a_start_that_was_changed_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let mut args = vec![
        "train", MODEL, "--data", "digits", "--from", "base", "--out", "run",
    ];
    args.extend(LIGHT);
    args.extend(["--epochs", "40", "--set", "checkpoint.every_steps=1"]);
    zoo.kill_once_saved(&args, "run", 1);
    fs::remove_dir_all(zoo.path("run/checkpoints")).unwrap();
    let start = zoo.path("run/start.safetensors");
    let mut bytes = fs::read(&start).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&start, bytes).unwrap();
    zoo.zoo(&["train", "--resume", "run"])
        .refused(&["`start.safetensors`", "--overwrite"]);
    args.extend(["--overwrite", "--epochs", "1"]);
    let at = args.iter().position(|arg| *arg == "40").unwrap();
    args.drain(at - 1..=at);
    zoo.zoo(&args).expect(0);
}

#[test]
fn weights_of_another_type_are_converted_and_said() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let model = model_dir::load(&zoo.path("base")).unwrap();
    model_dir::save(&zoo.path("base"), &model, Storage::Half).unwrap();
    let ran = again(&zoo, "digits", "run", &[]).expect(0);
    assert!(
        ran.stderr.contains("tensors taken, converted from f16"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        record(&zoo, "run")["base"]["converted"],
        serde_json::json!(["f16"])
    );
}

#[test]
fn generators_and_forecasters_take_what_fits() {
    let root = tempfile::tempdir().unwrap();
    let zoo = Workspace::new(root.path());
    zoo.write_digits("digits", 40, 20);
    let mut args = vec![
        "train",
        "image-generator",
        "--data",
        "digits",
        "--out",
        "first",
    ];
    args.extend(TINY_GENERATOR);
    args.extend(["--epochs", "1"]);
    zoo.zoo(&args).expect(0);
    // At twice the size the latent vector is of other pixels.
    let args = [
        "train",
        "image-generator",
        "--data",
        "digits",
        "--out",
        "second",
        "--from",
    ];
    let size = [
        "--set",
        "model.height=16",
        "--set",
        "model.width=16",
        "--set",
        "batch_size=8",
    ];
    let ran = zoo
        .zoo(&[&args[..], &["first", "--epochs", "1"], &size].concat())
        .expect(0);
    let said = "drawn anew: `from_latent.bias`, `from_latent.weight`, `to_latent.weight` (of another shape)";
    let said = ran.stderr.contains(said) || ran.stderr.contains("`gate.bias`");
    assert!(
        said && ran.stderr.contains(" tensors taken"),
        "{}",
        ran.stderr
    );

    fs::write(zoo.path("hours.csv"), series::plain()).unwrap();
    series::train(&zoo, "hours.csv", &["--quiet"]).expect(0);
    let rest = ["--epochs", "1", "--set", "series.epoch_windows=32"];
    let train = |out: &str, more: &[&str]| {
        let args = [
            "train",
            "series-forecaster.dlinear",
            "--data",
            "hours.csv",
            "--from",
            "run",
        ];
        zoo.zoo(&[&args[..], &["--out", out], &rest, more].concat())
            .expect(0)
            .stderr
    };
    let said = train("longer", &[]);
    assert!(said.contains("from `run`: all 4 tensors taken"), "{said}");
    // Nothing of a linear map to other steps can be used.
    let args = [
        "train",
        "series-forecaster.dlinear",
        "--data",
        "hours.csv",
        "--from",
        "run",
    ];
    let refused = [
        &args[..],
        &["--out", "never", "--set", "model.horizon=3"],
        &rest,
    ]
    .concat();
    zoo.zoo(&refused)
        .refused(&["`--from run`", "none of its parameters fits"]);

    let small = [
        "--set",
        "model.look_back=8",
        "--set",
        "model.network.recurrent.segment=2",
        "--set",
        "model.network.recurrent.hidden=4",
    ];
    let args = [
        "train",
        "series-forecaster",
        "--data",
        "hours.csv",
        "--out",
        "recurrent",
    ];
    zoo.zoo(&[&args[..], &small, &rest, &["--set", "model.horizon=4"]].concat())
        .expect(0);
    let args = [
        "train",
        "series-forecaster",
        "--data",
        "hours.csv",
        "--from",
        "recurrent",
    ];
    let more = [
        "--out",
        "further",
        "--set",
        "model.horizon=6",
        "--freeze",
        "lstm.*",
    ];
    let said = zoo
        .zoo(&[&args[..], &more, &rest].concat())
        .expect(0)
        .stderr;
    assert!(
        said.contains("drawn anew: `position` (of another shape)"),
        "{said}"
    );
    let [before, after] = ["recurrent", "further"].map(|run| tensors(&zoo, run));
    assert_eq!(before["lstm.weight_hh_l0"], after["lstm.weight_hh_l0"]);
    assert_ne!(before["channel"], after["channel"]);
}

#[test]
fn wrong_requests_are_refused_and_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    let refused = |more: &[&str], parts: &[&str]| {
        again(&zoo, "digits", "never", more).refused(parts);
        assert!(!zoo.path("never").exists(), "{more:?} left a directory");
    };
    refused(
        &["--freeze", "stage.*"],
        &["`--freeze stage.*`", "no parameter", "`head.bias`"],
    );
    refused(&["--freeze", "*"], &["none would be trained"]);
    refused(
        &["--set", "freeze_epochs=1"],
        &["`freeze_epochs`", "--freeze PATTERN"],
    );
    refused(&["--set", "from_rate=0"], &["`from_rate`", "above 0"]);
    refused(&["--set", "norm=reset"], &["norm", "`keep`", "`renew`"]);
    refused(&["--set", "from_rat=1"], &["did you mean `from_rate`"]);
    refused(
        &["--set", "model.widths=[3,5]", "--set", "model.head=max"],
        &["`--from base`", "none of its parameters fits", "model.KEY"],
    );
    let train = |args: &[&str]| {
        let args = [&["train"], args, &["--out", "never"]].concat();
        zoo.zoo(&args)
    };
    let digits = ["--data", "digits"];
    let with = |model: &'static str, more: &[&'static str]| [&[model], &digits[..], more].concat();
    train(&with("image-generator", &["--from", "base"])).refused(&[
        "`--from base`",
        "a classifier network",
        "give a generator",
    ]);
    train(&["surface-fitter", "--from", "surface-fitter"])
        .refused(&["`surface-fitter`", "leave `--from` out"]);
    train(&with(MODEL, &["--from", "nowhere"])).refused(&["nowhere"]);
    train(&with(MODEL, &["--from", "digits"])).refused(&["config.json"]);
    train(&with(MODEL, &["--set", "from_rate=0.1"])).refused(&["`from_rate`", "--from"]);
    train(&with(MODEL, &["--set", "norm=renew"])).refused(&["`norm`", "--from"]);
    train(&with(MODEL, &["--set", "freeze_epochs=2"])).refused(&["`freeze_epochs`", "--from"]);
    assert!(!zoo.path("never").exists());
    // The base is not written over.
    let before = fs::read(zoo.path("base/model.safetensors")).unwrap();
    again(&zoo, "digits", "base", &["--overwrite"]).refused(&["`--out base`", "base"]);
    again(&zoo, "digits", "base/inside", &[]).refused(&["`--out base/inside`"]);
    assert!(before == fs::read(zoo.path("base/model.safetensors")).unwrap());
    // A hostile file.
    fs::write(
        zoo.path("base/model.safetensors"),
        &before[..before.len() / 2],
    )
    .unwrap();
    refused(&[], &["model.safetensors", "not a sound safetensors file"]);
    let ran = zoo.zoo(&["train", "--resume", "base", "--from", "base"]);
    assert_eq!(ran.code, 2);
}

#[cfg(feature = "hub")]
#[test]
fn a_model_of_the_hub_is_a_base() {
    use end_to_end::hub_server::{HubServer, RepoFile};
    use end_to_end::model::tree;
    let root = tempfile::tempdir().unwrap();
    let zoo = workspace(root.path());
    fs::remove_file(zoo.path("base/data-path.txt")).unwrap();
    let files = tree(&zoo.path("base")).into_iter();
    let files = files.map(|(name, bytes)| match name.ends_with(".safetensors") {
        true => RepoFile::large(&name, bytes),
        false => RepoFile::small(&name, bytes),
    });
    let server = HubServer::start(files.collect()).unwrap();
    let mut args = vec!["train", MODEL, "--data", "digits", "--out", "run"];
    args.extend(["--from", "me/tiny", "--epochs", "1"]);
    args.extend(LIGHT);
    let mut command = zoo.command(&args);
    command
        .env_remove("HF_HUB_OFFLINE")
        .env("HF_ENDPOINT", server.endpoint());
    zoo.run(command).expect(0);
    let base = &record(&zoo, "run")["base"];
    assert_eq!(base["name"], "me/tiny");
    let card = fs::read_to_string(zoo.path("run/README.md")).unwrap();
    assert!(card.contains("\nbase_model: me/tiny\n"), "{card}");
}
