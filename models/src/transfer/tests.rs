use candle_core::Device;
use gmnm_core::ParamStore;

use super::*;
use crate::model_dir::ModelDir;
use crate::preprocessor::{Interpolation, ResamplePrecision, ResizeRule};
use crate::{Classifier, Generator, registry};

/// A network with drawn tensors, as if it had been trained.
fn trained(name: &str, labels: &[&str], change: impl FnOnce(&mut ModelConfig)) -> ModelDir {
    let mut config = registry::find(name).unwrap().config();
    change(&mut config);
    let store = ParamStore::new(7, DType::F32, &Device::Cpu);
    config.declare(store.var_builder()).unwrap();
    ModelDir {
        model: name.into(),
        config,
        labels: labels.iter().map(|label| label.to_string()).collect(),
        preprocessor: None,
        tensors: store.tensors(),
    }
}

fn classifier(channels: usize, labels: &[&str]) -> ModelDir {
    trained("cifar-classifier", labels, |config| {
        if let ModelConfig::Classifier(config) = config {
            (config.channels, config.classes) = (channels, labels.len());
        }
    })
}

fn generator(channels: usize) -> ModelDir {
    trained("image-generator", &[], |config| {
        if let ModelConfig::Generator(config) = config {
            config.channels = channels;
        }
    })
}

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| label.to_string()).collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn the_same_classes_in_the_same_order_keep_the_head() {
    let base = classifier(3, &["cat", "dog"]);
    let same = transfer(&base, &base.config, &base.labels).unwrap();
    assert_eq!(same.tensors.len(), base.tensors.len());
    assert!(same.drawn.is_empty() && same.left.is_empty() && same.adapted.is_empty());
    for labels in [["dog", "cat"], ["cat", "cow"]] {
        let found = transfer(&base, &base.config, &names(&labels)).unwrap();
        let drawn: Vec<_> = found.drawn.into_iter().collect();
        let expected = ["head.bias", "head.weight"].map(|n| (n.to_string(), Reason::Classes));
        assert_eq!(drawn, expected);
    }
}

/// What a network makes of grey images is what the one in colour makes of them in three equal channels, and back.
#[test]
fn grey_and_colour_are_each_other_s() {
    let labels = names(&["cat", "dog"]);
    let grey = Tensor::rand(-1f32, 1.0, (2, 16, 16, 1), &Device::Cpu).unwrap();
    let colour = grey
        .broadcast_as((2, 16, 16, 3))
        .unwrap()
        .contiguous()
        .unwrap();
    let logits = |config: &ModelConfig, tensors: &BTreeMap<String, Tensor>, images: &Tensor| {
        let store = ParamStore::from_tensors(tensors, DType::F32, &Device::Cpu).unwrap();
        let ModelConfig::Classifier(config) = config else {
            panic!("it is a classifier")
        };
        let network = Classifier::new(config, store.detached().var_builder()).unwrap();
        values(&network.forward(images, false).unwrap())
    };
    for (from, to, how) in [(3, 1, Adapted::Summed), (1, 3, Adapted::Shared)] {
        let (base, new) = (
            classifier(from, &["cat", "dog"]),
            classifier(to, &["cat", "dog"]),
        );
        let found = transfer(&base, &new.config, &labels).unwrap();
        let adapted = BTreeMap::from([("stages.0.convs.0.conv.weight".to_string(), how)]);
        assert_eq!(found.adapted, adapted);
        assert!(found.drawn.is_empty(), "{:?}", found.drawn);
        let (before, after) = match from {
            3 => (&colour, &grey),
            _ => (&grey, &colour),
        };
        let before = logits(&base.config, &base.tensors, before);
        let after = logits(&new.config, &found.tensors, after);
        for (a, b) in before.iter().zip(&after) {
            assert!((a - b).abs() < 1e-4, "{before:?} {after:?}");
        }
    }
}

#[test]
fn an_autoencoder_keeps_both_ends_between_grey_and_colour() {
    for (from, to) in [(3, 1), (1, 3)] {
        let (base, new) = (generator(from), generator(to));
        let found = transfer(&base, &new.config, &[]).unwrap();
        assert!(found.drawn.is_empty(), "{:?}", found.drawn);
        assert_eq!(found.adapted.len(), 3);
        let run = |config: &ModelConfig, tensors: &BTreeMap<String, Tensor>, channels: usize| {
            let store = ParamStore::from_tensors(tensors, DType::F32, &Device::Cpu).unwrap();
            let ModelConfig::Generator(config) = config else {
                panic!("it is a generator")
            };
            let pixels = (0..config.height * config.width).map(|i| (i % 17) as f32 / 17.0);
            let shape = (1, config.height, config.width, 1);
            let grey = Tensor::from_iter(pixels, &Device::Cpu)
                .unwrap()
                .reshape(shape)
                .unwrap();
            let shape = (1, config.height, config.width, channels);
            let images = grey.broadcast_as(shape).unwrap().contiguous().unwrap();
            let network = Generator::new(config, store.detached().var_builder()).unwrap();
            let output = network.forward(&images, false).unwrap();
            values(&output.mean(3).unwrap())
        };
        let before = run(&base.config, &base.tensors, from);
        let after = run(&new.config, &found.tensors, to);
        for (a, b) in before.iter().zip(&after) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn another_network_takes_what_fits_and_says_the_rest() {
    let base = classifier(3, &["cat", "dog"]);
    let mut config = base.config.clone();
    if let ModelConfig::Classifier(config) = &mut config {
        config.mixer = None;
        let last = config.widths.len() - 1;
        config.widths[last] += 8;
    }
    let found = transfer(&base, &config, &base.labels).unwrap();
    assert!(
        found.left.iter().all(|name| name.contains(".mixer.")),
        "{:?}",
        found.left
    );
    assert!(!found.left.is_empty() && !found.drawn.is_empty());
    assert!(found.drawn.values().all(|reason| *reason == Reason::Shape));
    assert_eq!(found.drawn["head.weight"], Reason::Shape);
    let shapes = config.tensor_shapes().unwrap();
    let mut all: Vec<&String> = found.tensors.keys().chain(found.drawn.keys()).collect();
    all.sort();
    assert_eq!(all, shapes.keys().collect::<Vec<_>>());
}

#[test]
fn what_is_for_other_columns_or_steps_is_drawn_anew() {
    let series = |columns: &[&str]| {
        let format = serde_json::json!({
            "columns": columns,
            "mean": vec![0.0; columns.len()],
            "std": vec![1.0; columns.len()],
            "step": {"seconds": 3600},
        });
        serde_json::from_value(format).unwrap()
    };
    let forecaster = |name: &str, columns: &[&str], horizon: usize| {
        trained(name, &[], |config| {
            if let ModelConfig::Forecaster(config) = config {
                (config.channels, config.horizon) = (columns.len(), horizon);
                config.series = Some(series(columns));
            }
        })
    };
    let drawn = |name: &str, from: (&[&str], usize), to: (&[&str], usize)| {
        let [base, new] = [from, to].map(|(columns, steps)| forecaster(name, columns, steps));
        let found = transfer(&base, &new.config, &[]).unwrap();
        let drawn: Vec<(String, Reason)> = found.drawn.into_iter().collect();
        drawn
    };
    let (ab, cd) = (&["a", "b"][..], &["c", "d"][..]);
    let model = "series-forecaster";
    assert_eq!(drawn(model, (ab, 96), (ab, 96)), []);
    let channel = ("channel".to_string(), Reason::Columns);
    assert_eq!(drawn(model, (ab, 96), (cd, 96)), [channel]);
    let position = ("position".to_string(), Reason::Shape);
    assert_eq!(drawn(model, (ab, 96), (ab, 192)), [position]);
    let model = "series-forecaster.lstm";
    // As many numbers, of other steps and columns.
    let output = |reason| ["output.bias", "output.weight"].map(|name| (name.to_string(), reason));
    let input = ("lstm.weight_ih_l0".to_string(), Reason::Columns);
    let mut all = vec![input];
    all.extend(output(Reason::Columns));
    assert_eq!(drawn(model, (ab, 96), (cd, 96)), all);
    assert_eq!(drawn(model, (ab, 96), (ab, 48)), output(Reason::Horizon));
}

#[test]
fn what_can_give_nothing_is_refused() {
    let base = classifier(3, &["cat", "dog"]);
    let error = transfer(&base, &generator(3).config, &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a classifier network, of which a generator"),
        "{error}"
    );
    let mut config = base.config.clone();
    if let ModelConfig::Classifier(config) = &mut config {
        config.widths = vec![5, 6];
        (config.mixer, config.attention) = (None, None);
    }
    let error = transfer(&base, &config, &names(&["x", "y"])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("none of its parameters") && error.contains("there, ["),
        "{error}"
    );
}

#[test]
fn images_are_normalised_as_the_first_layer_was_trained() {
    let mut base = classifier(3, &["cat", "dog"]);
    base.preprocessor = Some(Preprocessor {
        height: 32,
        width: 32,
        channels: 3,
        mean: vec![0.25, 0.5, 0.75],
        std: vec![0.5, 0.5, 0.125],
        interpolation: Interpolation::Bilinear,
        resize: ResizeRule::Crop,
        precision: ResamplePrecision::Uint8,
    });
    let taken = |config: &ModelConfig| transfer(&base, config, &base.labels).unwrap().input;
    let same = (vec![0.25, 0.5, 0.75], vec![0.5, 0.5, 0.125]);
    assert_eq!(taken(&base.config), Some(same));
    let grey = classifier(1, &["cat", "dog"]);
    assert_eq!(taken(&grey.config), Some((vec![0.5], vec![0.375])));
    let mut narrow = base.config.clone();
    if let ModelConfig::Classifier(config) = &mut narrow {
        config.widths[0] += 1;
    }
    assert_eq!(taken(&narrow), None);
}
