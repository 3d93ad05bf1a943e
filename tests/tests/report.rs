//! `zoo eval --report` from outside: figures, files and the page.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::peer;
use end_to_end::zoo::{TINY, Workspace};
use models::classifier::ClassifierConfig;
use models::model_dir::{self, ModelDir, Storage};
use models::{ModelConfig, registry};
use serde_json::Value;
use zoo::candle_core::{DType, Device, Tensor, safetensors};
use zoo::evaluation::Augmented;
use zoo::families::classification::{features_and_logits, grad_cam, load};
use zoo::gmnm_core::ParamStore;
use zoo::gmnm_core::rng::Philox;

/// Images of 8×8 grey pixels in folders, of four classes: one corner is brighter, under much noise. The class `never`
/// is trained on, and not tested.
fn write_corners(zoo: &Workspace, name: &str) {
    let mut rng = Philox::named(3, "corners");
    for (part, count) in [("train", 60), ("test", 24)] {
        for (class, corner) in ["top left", "top, right", "below", "never"]
            .iter()
            .zip(0u32..)
        {
            if part == "test" && *class == "never" {
                continue;
            }
            let folder = zoo.path(name).join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let image = image::GrayImage::from_fn(8, 8, |x, y| {
                    let inside = x / 4 + 2 * (y / 4) == corner;
                    let value = 90.0 + 60.0 * rng.normal() + if inside { 55.0 } else { 0.0 };
                    image::Luma([value.clamp(0.0, 255.0) as u8])
                });
                image.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

/// The corners in `corners`, and a classifier in `run` that has learned some of them.
fn prepared(root: &Path) -> Workspace {
    let zoo = Workspace::new(root);
    write_corners(&zoo, "corners");
    let mut args = vec![
        "train",
        "cifar-classifier.plain",
        "--data",
        "corners",
        "--out",
        "run",
    ];
    args.extend(TINY);
    args.extend([
        "--set",
        "validation.fraction=0.2",
        "--epochs",
        "6",
        "--quiet",
    ]);
    zoo.zoo(&args).expect(0);
    zoo
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

/// Compares every number of `expected` with the one at the same place of `found`.
fn assert_near(found: &Value, expected: &Value, tolerance: f64, at: &str) {
    match expected {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert_near(&found[key], value, tolerance, &format!("{at}.{key}"));
            }
        }
        Value::Array(items) => {
            assert_eq!(found.as_array().map(Vec::len), Some(items.len()), "{at}");
            for (i, value) in items.iter().enumerate() {
                assert_near(&found[i], value, tolerance, &format!("{at}[{i}]"));
            }
        }
        Value::Number(number) => {
            let (found, expected) = (found.as_f64().unwrap(), number.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= tolerance,
                "{at}: {found}, not {expected}"
            );
        }
        other => assert_eq!(found, other, "{at}"),
    }
}

#[test]
fn figures_are_those_of_scikit_learn_and_torchmetrics() {
    let (Some(python), Some(_)) = (peer::python("sklearn"), peer::python("torchmetrics")) else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    for (report, more) in [("plain", &[][..]), ("flipped", &["--tta", "flip"])] {
        let mut args = vec!["eval", "run", "--format", "json", "--report", report];
        args.extend(more);
        let ran = json(&zoo.zoo(&args).expect(0).stdout);
        let output = Command::new(&python)
            .arg(peer::script("figures.py"))
            .arg(zoo.path(report).join("predictions.csv"))
            .output()
            .unwrap();
        let expected = json(&peer::printed(&output));
        assert_near(&ran["figures"], &expected, 1e-5, report);
        // The measures that every evaluation gives.
        assert_near(&ran["accuracy"], &expected["accuracy"], 1e-6, report);
        assert_near(
            &ran["loss"],
            &expected["calibration"]["log_loss"],
            1e-5,
            report,
        );
        let confusion = ran["figures"]["confusion"].as_array().unwrap();
        assert_eq!(confusion.len(), 4);
        assert!(
            ran["accuracy"].as_f64().unwrap() < 1.0,
            "the test needs mistakes"
        );
    }
}

/// Classes of the networks of the registry.
const CLASSES: usize = 10;

/// Networks whose parameters are as after training: no buffer at its initial value.
fn network(config: &ClassifierConfig, dir: &Path) -> ModelDir {
    let config = ModelConfig::Classifier(config.clone());
    let store = ParamStore::new(11, DType::F32, &Device::Cpu);
    config.declare(store.var_builder()).unwrap();
    let mut tensors = store.tensors();
    for (name, tensor) in &mut tensors {
        let mut rng = Philox::named(5, name);
        let noise: Vec<f32> = (0..tensor.elem_count())
            .map(|_| rng.normal() as f32 * 0.2)
            .collect();
        let noise = Tensor::from_vec(noise, tensor.dims(), &Device::Cpu).unwrap();
        if name.ends_with("running_var") {
            *tensor = (&*tensor + noise.abs().unwrap()).unwrap();
        } else if name.ends_with("running_mean") || tensor.rank() == 1 {
            *tensor = (&*tensor + noise).unwrap();
        }
    }
    let model = ModelDir {
        model: "cifar-classifier".to_string(),
        labels: (0..CLASSES).map(|i| i.to_string()).collect(),
        tensors,
        preprocessor: None,
        config,
    };
    model_dir::save(dir, &model, Storage::Full).unwrap();
    model_dir::load(dir).unwrap()
}

fn largest(tensor: &Tensor) -> f32 {
    let most = tensor.abs().unwrap().max_all().unwrap();
    most.to_scalar::<f32>().unwrap()
}

#[test]
fn heat_maps_are_those_of_pytorch() {
    let (Some(python), Some(_)) = (peer::python("torch"), peer::python("safetensors")) else {
        return;
    };
    let modeling = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/python/modeling_gmnm.py");
    let mut seen = 0;
    for entry in registry::entries() {
        let ModelConfig::Classifier(config) = entry.config() else {
            continue;
        };
        seen += 1;
        let root = tempfile::tempdir().unwrap();
        let model = network(&config, root.path());
        let mut rng = Philox::named(1, "images");
        let pixels: Vec<f32> = (0..CLASSES * 32 * 32 * config.channels)
            .map(|_| rng.normal() as f32)
            .collect();
        let shape = (CLASSES, 32, 32, config.channels);
        let images = Tensor::from_vec(pixels, shape, &Device::Cpu).unwrap();
        let network = load(&model, &Device::Cpu).unwrap();
        // Each class once: of those that nothing speaks for the map is 0 everywhere.
        let classes = Tensor::arange(0u32, CLASSES as u32, &Device::Cpu).unwrap();
        let (input, output) = (root.path().join("in"), root.path().join("out"));
        let given = HashMap::from([("images", images.clone()), ("classes", classes.clone())]);
        safetensors::save(&given, &input).unwrap();
        let ran = Command::new(&python)
            .arg(peer::script("grad_cam.py"))
            .args([&modeling, root.path(), &input, &output])
            .env("OMP_NUM_THREADS", "1")
            .output()
            .unwrap();
        peer::printed(&ran);
        let expected = safetensors::load(&output, &Device::Cpu).unwrap();

        let maps = grad_cam(&network, &images, &classes).unwrap();
        let flipped = features_and_logits(&network, &images, Augmented::Flip)
            .unwrap()
            .1;
        for (found, name) in [(maps, "maps"), (flipped, "flipped")] {
            let expected = &expected[name];
            assert_eq!(found.dims(), expected.dims(), "{}: {name}", entry.name);
            let (scale, apart) = (largest(expected), largest(&(found - expected).unwrap()));
            assert!(scale > 0.0, "{}: no {name}", entry.name);
            assert!(
                apart <= 1e-4 * scale.max(1.0),
                "{}: {name} {apart:e} of {scale:e}",
                entry.name
            );
            // Small maps must not be near by being small.
            assert!(
                apart <= 1e-3 * scale,
                "{}: {name} {apart:e} of {scale:e}",
                entry.name
            );
        }
    }
    assert!(seen >= 3, "{seen}");
}

/// The names of the files in a directory.
fn names(dir: &Path) -> Vec<String> {
    let items = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = items
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_report_is_whole_and_replaces_only_itself() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    let eval = ["eval", "run", "--format", "json", "--report"];
    let args = |report: &'static str, more: &[&'static str]| [&eval, &[report][..], more].concat();
    let ran = json(&zoo.zoo(&args("report", &[])).expect(0).stdout);
    assert_eq!(ran["report"], "report");
    let dir = zoo.path("report");
    let written = names(&dir);
    assert_eq!(
        written,
        [
            "classes.png",
            "classes.svg",
            "confusion.png",
            "confusion.svg",
            "mistakes.png",
            "mistakes.svg",
            "predictions.csv",
            "reliability.png",
            "reliability.svg",
            "report.html",
        ]
    );
    for name in &written {
        let bytes = fs::read(dir.join(name)).unwrap();
        match name.rsplit('.').next() {
            Some("png") => {
                let picture = ::image::load_from_memory(&bytes).unwrap();
                assert!(picture.width() >= 300, "{name}");
            }
            Some("svg") => assert!(
                bytes.starts_with(b"<svg") && bytes.ends_with(b"</svg>\n"),
                "{name}"
            ),
            _ => {}
        }
    }
    // One file without scripts that fetches nothing.
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    for absent in ["<script", "http://", "https://", "src=\"/", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    let figures = &ran["figures"];
    for shown in [
        format!("{:.2} %", figures["accuracy"].as_f64().unwrap() * 100.0),
        format!("{:.4}", figures["calibration"]["brier"].as_f64().unwrap()),
        format!("{:.4}", figures["classes"][1]["f1"].as_f64().unwrap()),
    ] {
        assert!(page.contains(&shown), "{shown}");
    }
    let tests = fs::read_to_string(dir.join("predictions.csv")).unwrap();
    assert_eq!(tests.lines().count(), 1 + 3 * 24);
    assert!(tests.starts_with(
        "index,label,predicted,probability,p:below,p:never,p:top left,\"p:top, right\"\n"
    ));

    // The same run gives the same pictures and predictions.
    zoo.zoo(&args("again", &[])).expect(0);
    for name in written.iter().filter(|name| *name != "report.html") {
        let [first, second] =
            ["report", "again"].map(|dir| fs::read(zoo.path(dir).join(name)).unwrap());
        assert!(first == second, "{name}");
    }

    // What is there is refused, or loses only what a report has.
    zoo.zoo(&args("report", &[]))
        .refused(&["`report` exists", "--overwrite"]);
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    fs::write(dir.join("confusion.png"), "stale").unwrap();
    zoo.zoo(&args("report", &["--overwrite"])).expect(0);
    assert_eq!(fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
    assert_ne!(fs::read(dir.join("confusion.png")).unwrap(), b"stale");
    assert_eq!(names(&dir).len(), written.len() + 1);
    zoo.zoo(&args("corners", &["--overwrite"]))
        .refused(&["corners"]);
    zoo.zoo(&args("corners/report", &[]))
        .refused(&["corners/report", "lies in the input"]);
    zoo.zoo(&args("run/config.json", &[]))
        .refused(&["is a file"]);
    assert!(!zoo.path("corners/report").exists());
}

#[test]
fn a_temperature_is_fitted_kept_and_used() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    zoo.zoo(&["infer", "run", "corners/test", "--calibrated"])
        .refused(&["no temperature", "zoo eval", "--calibrate"]);
    let ran = zoo
        .zoo(&["eval", "run", "--calibrate", "--format", "json"])
        .expect(0);
    let temperature = json(&ran.stdout)["figures"]["temperature"].clone();
    assert_eq!(temperature["examples"], 4 * 12);
    let value = temperature["temperature"].as_f64().unwrap();
    let kept = json(&fs::read_to_string(zoo.path("run/calibration.json")).unwrap());
    assert_eq!(kept["temperature"]["none"]["value"].as_f64(), Some(value));
    assert_eq!(kept["temperature"]["none"]["data"], "corners");
    let verified = zoo.zoo(&["verify", "run"]).expect(0).stdout;
    assert!(verified.contains("calibration  passed"), "{verified}");

    // `infer` divides the logits by it.
    let first = "corners/test/below/0.png";
    let label = |more: &[&str]| -> Vec<f64> {
        let args = ["infer", "run", first, "--top-k", "4", "--format", "jsonl"];
        let row = json(&zoo.zoo(&[&args[..], more].concat()).expect(0).stdout);
        let mut all: Vec<(u64, f64)> = row["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                (
                    p["index"].as_u64().unwrap(),
                    p["probability"].as_f64().unwrap(),
                )
            })
            .collect();
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, p)| p).collect()
    };
    let (plain, tempered) = (label(&[]), label(&["--calibrated"]));
    assert!(
        (value - 1.0).abs() > 1e-3,
        "the test needs another temperature than {value}"
    );
    for (plain, tempered) in plain.windows(2).zip(tempered.windows(2)) {
        let apart = |pair: &[f64]| (pair[0] / pair[1]).ln();
        assert!((apart(plain) - value * apart(tempered)).abs() < 1e-5);
    }
    // Each way of labelling has its own.
    zoo.zoo(&["infer", "run", first, "--calibrated", "--tta", "flip"])
        .refused(&["--calibrate --tta flip"]);
    zoo.zoo(&["eval", "run", "--calibrate", "--tta", "flip"])
        .expect(0);
    let both = json(&fs::read_to_string(zoo.path("run/calibration.json")).unwrap());
    assert_eq!(both["temperature"]["none"], kept["temperature"]["none"]);
    label(&["--calibrated", "--tta", "flip"]);

    // Other weights need another.
    let path = zoo.path("run/model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    let last = weights.len() - 3;
    weights[last] ^= 1;
    fs::write(&path, weights).unwrap();
    zoo.zoo(&["infer", "run", first, "--calibrated"])
        .refused(&["calibration.json", "other weights"]);
    assert!(
        zoo.zoo(&["verify", "run"])
            .expect(1)
            .stdout
            .contains("calibration  failed")
    );
}

#[test]
fn why_there_is_no_temperature_is_said() {
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    // Another dataset, of which nothing was held out in training.
    write_corners(&zoo, "others");
    fs::remove_file(zoo.path("others/train/below/0.png")).unwrap();
    let args = ["eval", "run", "--data", "others", "--format", "json"];
    let ran = json(&zoo.zoo(&args).expect(0).stdout);
    let missing = ran["figures"]["temperature"]["missing"].as_str().unwrap();
    assert!(missing.contains("no validation part"), "{missing}");
    zoo.zoo(&[&args[..3], &["others", "--calibrate"]].concat())
        .refused(&["no validation part", "leave `--calibrate` out"]);
    assert!(!zoo.path("run/calibration.json").exists());
    zoo.zoo(&[
        "eval",
        "fashion-classifier",
        "--data",
        "sample",
        "--calibrate",
    ])
    .refused(&["fashion-classifier", "inside of this program"]);
    zoo.zoo(&["eval", "surface-fitter", "--tta", "flip"])
        .refused(&["--tta", "is for classifiers"]);
    zoo.zoo(&["eval", "surface-fitter", "--report", "fields"])
        .refused(&["nothing to report", "--report"]);
    assert!(!zoo.path("fields").exists());
}

/// A browser lays the page out on a phone and on a desk: it is as wide as the screen, and nothing is missing.
#[test]
fn a_browser_draws_the_page() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .map(|dir| dir.join(name))
                .find(|file| file.is_file())
        })
    else {
        return peer::left_out::<()>("chromium on the PATH", false).unwrap_or_default();
    };
    let root = tempfile::tempdir().unwrap();
    let zoo = prepared(root.path());
    zoo.zoo(&["eval", "run", "--report", "report"]).expect(0);
    for width in [390, 1280] {
        let picture = zoo.path(&format!("{width}.png"));
        let output = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!("--window-size={width},2400"))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!(
                "file://{}",
                zoo.path("report/report.html").display()
            ))
            .output()
            .unwrap();
        assert!(
            picture.exists(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let drawn = ::image::open(&picture).unwrap().into_rgb8();
        let ink = drawn.pixels().filter(|pixel| pixel.0 != [255; 3]).count();
        assert!(ink > 20_000, "{width}: {ink}");
    }
}
