//! The model card: `README.md` with the front matter that the Hub indexes.
//!
//! Everything in it is taken from `config.json` and `training.json`, so that a card never claims
//! what was not measured.

use std::fmt::Write;

use models::model_dir::ModelDir;
use models::registry::{self, Entry};

use super::{ModelFiles, PackageError};
use crate::families;
use crate::layout::{CARD, GENERATED};
use crate::train::record::TrainingRecord;

/// The Hub's identifier for a model whose owner has not chosen a licence.
pub const NO_LICENSE: &str = "unknown";

/// The card that the owner of a model wrote; `None` when there is none, or one that
/// [`render`] wrote.
///
/// # Errors
///
/// [`PackageError::BadFile`] when it has no front matter with a license, a library and a kind of task,
/// [`PackageError::Read`] when it can't be read.
pub fn owned(files: &ModelFiles) -> Result<Option<String>, PackageError> {
    let path = files.path(CARD);
    let Some(text) = files.read(CARD)? else {
        return Ok(None);
    };
    let Ok(text) = String::from_utf8(text) else {
        let problem = "is not UTF-8 text; write it anew".to_owned();
        return Err(PackageError::BadFile { path, problem });
    };
    if text.lines().any(|line| line == GENERATED) {
        return Ok(None);
    }
    match problem(&text) {
        None => Ok(Some(text)),
        Some(problem) => Err(PackageError::BadFile { path, problem }),
    }
}

/// What a card lacks.
pub(super) fn problem(text: &str) -> Option<String> {
    if text.lines().next() != Some("---") {
        return Some("has no YAML front matter; begin it with a line `---`".to_owned());
    }
    ["license", "library_name", "pipeline_tag"]
        .iter()
        .find(|key| front_value(text, key).is_none())
        .map(|key| format!("has no `{key}` in its front matter; add one"))
}

/// The licence on the card of a model, as it stands there.
pub(super) fn license(files: &ModelFiles) -> Option<String> {
    let text = String::from_utf8(files.read(CARD).ok()??).ok()?;
    front_value(&text, "license").map(|value| value.trim_matches('"').to_owned())
}

/// What stands behind a key of the front matter.
fn front_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.next().filter(|line| *line == "---")?;
    let mut front = lines.take_while(|line| *line != "---");
    let value = front.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// Writes the card of a model. `license` is an identifier of the Hub, as in `mit` or
/// [`NO_LICENSE`]; the examples of use name `repo`, or the directory that the card lies in.
pub fn render(
    model: &ModelDir,
    record: Option<&TrainingRecord>,
    license: &str,
    repo: Option<&str>,
) -> String {
    let mut card = front_matter(model, record, license);
    // Writing to a string cannot fail.
    let _ = body(&mut card, model, record, repo);
    card
}

/// The dataset of the Hub behind a name: one of ours, or `owner/name[@revision]`.
fn hub_dataset(name: &str) -> Option<&str> {
    match name {
        _ if name.contains('/') => name.split('@').next(),
        "cifar10" => Some("uoft-cs/cifar10"),
        "cifar100" => Some("uoft-cs/cifar100"),
        "mnist" => Some("ylecun/mnist"),
        "fashion-mnist" => Some("zalando-datasets/fashion_mnist"),
        _ => None,
    }
}

/// The name as one of a model on the Hub, without its revision, where it can be one.
fn base_model(name: &str) -> Option<&str> {
    let name = name.split('@').next().unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let fits = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    fits.then_some(name)
}

/// The tags of a network with these tensors. Of all networks only those with a mixture have centers.
fn tags<'a>(mut tensors: impl Iterator<Item = &'a String>) -> &'static [&'static str] {
    match tensors.any(|name| name.rsplit('.').next() == Some("centers")) {
        true => &["candle", "gmnm", "gaussian-mixture"],
        false => &["candle"],
    }
}

fn front_matter(model: &ModelDir, record: Option<&TrainingRecord>, license: &str) -> String {
    let tag = families::of(&model.config).pipeline_tag();
    let mut lines = vec![
        "---".to_owned(),
        format!("license: {}", quoted(license)),
        "library_name: candle".to_owned(),
        format!("pipeline_tag: {tag}"),
        "tags:".to_owned(),
    ];
    let tags = tags(model.tensors.keys());
    lines.extend(tags.iter().map(|tag| format!("- {tag}")));
    if let Some(base) = record.and_then(|record| record.base.as_ref()) {
        let base = base_model(&base.name).unwrap_or(&base.model);
        lines.push(format!("base_model: {}", quoted(base)));
    }
    let dataset = record.and_then(|record| hub_dataset(&record.data.name));
    if let Some(dataset) = dataset {
        lines.extend(["datasets:".to_owned(), format!("- {dataset}")]);
    }
    let measured = record.and_then(|record| Some((&record.data, record.result.as_ref()?)));
    if let Some((data, result)) = measured
        && result.test.values().any(|value| value.is_finite())
    {
        lines.extend([
            "model-index:".to_owned(),
            format!("- name: {}", quoted(&model.model)),
            "  results:".to_owned(),
            "  - task:".to_owned(),
            format!("      type: {tag}"),
            "    dataset:".to_owned(),
            format!("      type: {}", quoted(dataset.unwrap_or(&data.name))),
            format!("      name: {}", quoted(&data.name)),
            "      split: test".to_owned(),
            "    metrics:".to_owned(),
        ]);
        let finite = result.test.iter().filter(|(_, value)| value.is_finite());
        for (name, value) in finite {
            lines.push(format!("    - type: {}", quoted(name)));
            lines.push(format!("      value: {value}"));
        }
    }
    lines.push("---".to_owned());
    lines.join("\n") + "\n"
}

/// A text as a YAML scalar: plain where that is safe, else double-quoted as in JSON.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

fn body(
    card: &mut String,
    model: &ModelDir,
    record: Option<&TrainingRecord>,
    repo: Option<&str>,
) -> std::fmt::Result {
    let name = &model.model;
    writeln!(card, "{GENERATED}\n\n# {name}\n")?;
    let about = registry::find(name).map_or_else(|_| "a network of the zoo".into(), Entry::about);
    write!(card, "A {} network: {about}.", model.config.architecture())?;
    if let Ok(count) = model.config.parameter_count() {
        write!(card, " It has {count} trainable parameters.")?;
    }
    writeln!(
        card,
        " It was trained with the Rust model zoo `zoo`\n\
         of the trainable Gaussian mixture [GMNM](https://arxiv.org/abs/2510.06660) and its baselines,\n\
         on [candle](https://github.com/huggingface/candle).\n"
    )?;
    if !model.labels.is_empty() && model.labels.len() <= 100 {
        writeln!(card, "Classes: {}.\n", model.labels.join(", "))?;
    }
    if let Some(record) = record {
        if let Some(about) = families::of(&model.config).about(record) {
            writeln!(card, "{about}\n")?;
        }
        measures(card, record)?;
        origin(card, record)?;
    }
    usage(card, model, repo)
}

fn measures(card: &mut String, record: &TrainingRecord) -> std::fmt::Result {
    let Some(result) = &record.result else {
        return Ok(());
    };
    writeln!(
        card,
        "## Results\n\nOn the test part of `{}`, {} examples:\n",
        record.data.name, result.examples
    )?;
    writeln!(card, "| measure | value |\n|---|---|")?;
    for (name, value) in &result.test {
        writeln!(card, "| {name} | {value:?} |")?;
    }
    writeln!(card)
}

fn origin(card: &mut String, record: &TrainingRecord) -> std::fmt::Result {
    let (data, command) = (&record.data, record.command_line());
    writeln!(card, "## Training\n\n```\n{command}\n```\n")?;
    if let Some(base) = &record.base {
        writeln!(
            card,
            "It began with another model, {}. SHA-256 of the weights of that: `{}`.\n",
            base.in_words(),
            base.weights
        )?;
    }
    if let Some(notice) = &data.notice {
        writeln!(card, "Note on the data: {notice}.\n")?;
    }
    write!(
        card,
        "Every setting is in `training.json`. Version of `zoo`: {}. SHA-256 of the data: `{}`.",
        record.version, data.fingerprint
    )?;
    writeln!(card, "\n")
}

fn usage(card: &mut String, model: &ModelDir, repo: Option<&str>) -> std::fmt::Result {
    let (place, dir, fetched) = match repo {
        Some(repo) => (
            repo.to_owned(),
            "model",
            format!(", after `zoo download {repo} --out model`"),
        ),
        None => (".".to_owned(), ".", ", in this directory".to_owned()),
    };
    let command = families::of(&model.config).usage(&place);
    writeln!(
        card,
        "## Use\n\n\
         On the command line:\n\n\
         ```\nzoo {command}\n```\n\n\
         In Rust, with the crate `models` of the zoo{fetched}:\n\n\
         ```rust\n\
         let model = models::model_dir::load(std::path::Path::new(\"{dir}\"))?;\n\
         let weights = model.store(candle_core::DType::F32, &candle_core::Device::Cpu)?;\n\
         ```"
    )?;
    if !model.config.is_in_python() {
        return Ok(());
    }
    writeln!(
        card,
        "\n\
         In Python, with PyTorch, safetensors and the zoo's `modeling_gmnm.py`:\n\n\
         ```python\n\
         from modeling_gmnm import load\n\n\
         model, config = load(\"{dir}\")\n\
         ```"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_of_the_hub_are_named() {
        for (name, expected) in [
            ("mnist", Some("ylecun/mnist")),
            ("owner/pets@v1", Some("owner/pets")),
            ("owner/pets", Some("owner/pets")),
            ("pets", None),
        ] {
            assert_eq!(hub_dataset(name), expected);
        }
    }

    #[test]
    fn only_a_mixture_is_called_one() {
        for (name, has_mixture) in [
            ("cifar-classifier", true),
            ("cifar-classifier.plain", false),
            ("cifar-classifier.mlp", false),
            ("image-generator", true),
            ("series-forecaster.dlinear", false),
            ("surface-fitter", true),
            ("surface-fitter.kan", false),
        ] {
            let entry = models::registry::find(name).unwrap();
            let shapes = entry.config().tensor_shapes().unwrap();
            let found = tags(shapes.keys());
            assert_eq!(found.contains(&"gaussian-mixture"), has_mixture, "{name}");
            assert!(found.contains(&"candle"));
        }
    }

    #[test]
    fn a_base_is_named_as_on_the_hub_or_by_its_network() {
        for (name, expected) in [
            ("owner/pets@v1", Some("owner/pets")),
            ("cifar-classifier-1", Some("cifar-classifier-1")),
            ("my run", None),
            ("..", None),
        ] {
            assert_eq!(base_model(name), expected);
        }
    }

    #[test]
    fn yaml_scalars_are_quoted_where_they_must_be() {
        for plain in ["mit", "uoft-cs/cifar10", "cifar-classifier.plain"] {
            assert_eq!(quoted(plain), plain);
        }
        for (text, expected) in [
            ("", "\"\""),
            ("1.0", "\"1.0\""),
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("x\n---\ny", "\"x\\n---\\ny\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
