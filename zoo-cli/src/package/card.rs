//! The model card: `README.md` with the front matter that the Hub indexes.
//!
//! Everything in it is taken from `config.json` and `training.json`, so that a card never claims
//! what was not measured.

use std::collections::BTreeMap;
use std::fmt::Write;

use models::ModelConfig;
use models::model_dir::ModelDir;
use models::registry::{self, Entry, Task};
use serde::Deserialize;

use super::{ModelFiles, PackageError};
use crate::families::{self, Usage};
use crate::field::Problem;
use crate::train::run_dir::{CARD, TRAINING};

/// A card with this line is written anew on upload; a card without it is its owner's.
pub const GENERATED: &str =
    "<!-- written by zoo: remove this line to keep your own words on the next upload -->";

/// The Hub's identifier for a model whose owner has not chosen a licence.
pub const NO_LICENSE: &str = "unknown";

/// What a card says of the training, read from `training.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Record")]
pub struct Training {
    /// The exact command, where model, data, epochs and seed do not tell it.
    pub command: Option<String>,
    /// The version of the program.
    pub version: Option<String>,
    /// The seed of every random choice.
    pub seed: Option<u64>,
    /// The data.
    pub data: Option<TrainingData>,
    /// The resolved recipe.
    pub recipe: Option<TrainingRecipe>,
    /// What came of it.
    pub result: Option<TrainingResult>,
}

/// `training.json` of either kind: `problem`, `measures` and `stops` are those of a network over the plane.
#[derive(Deserialize)]
struct Record {
    command: Option<String>,
    version: Option<String>,
    seed: Option<u64>,
    data: Option<TrainingData>,
    recipe: Option<TrainingRecipe>,
    result: Option<TrainingResult>,
    problem: Option<String>,
    #[serde(default)]
    measures: BTreeMap<String, f64>,
    #[serde(default)]
    stops: Vec<(String, String)>,
}

impl From<Record> for Training {
    fn from(record: Record) -> Self {
        let interrupted = || {
            let mut stops = record.stops.iter();
            let stopped = stops.any(|(_, reason)| reason == "interrupted");
            stopped.then(|| "the training was interrupted".to_owned())
        };
        let problem = record.problem.map(|name| TrainingData {
            argument: Some(name.clone()),
            name,
            fingerprint: None,
            notice: interrupted(),
        });
        let measured = problem.as_ref().map(|_| TrainingResult {
            examples: None,
            test: record.measures,
        });
        Self {
            command: record.command,
            version: record.version,
            seed: record.seed,
            data: record.data.or(problem),
            recipe: record.recipe,
            result: record.result.or(measured),
        }
    }
}

/// The data that a model learned from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TrainingData {
    /// `--data` as it was given.
    pub argument: Option<String>,
    /// The dataset's name.
    pub name: String,
    /// SHA-256 over shapes, pixels and labels.
    pub fingerprint: Option<String>,
    /// Why it is not the data that was to be expected, if so.
    pub notice: Option<String>,
}

/// What a card repeats of the recipe; `training.json` has the rest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TrainingRecipe {
    /// Passes over the training examples.
    pub epochs: Option<usize>,
}

/// Measures of the test part.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TrainingResult {
    /// Test examples, where it is examples that are measured on.
    pub examples: Option<usize>,
    /// Measures by name.
    pub test: BTreeMap<String, f64>,
}

impl Training {
    /// Reads `training.json` of a model; one without it says nothing.
    ///
    /// # Errors
    ///
    /// [`PackageError::BadFile`] when it is not a training record, [`PackageError::Read`] when it can't be
    /// read.
    pub fn read(files: &ModelFiles) -> Result<Self, PackageError> {
        let path = files.path(TRAINING);
        match files.read(TRAINING)? {
            None => Ok(Self::default()),
            Some(text) => serde_json::from_slice(&text).map_err(|error| PackageError::BadFile {
                problem: format!("is not a training record ({error}); restore or delete it"),
                path,
            }),
        }
    }
}

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
pub fn render(model: &ModelDir, training: &Training, license: &str, repo: Option<&str>) -> String {
    let mut card = front_matter(model, training, license);
    // Writing to a string cannot fail.
    let _ = body(&mut card, model, training, repo);
    card
}

/// The architecture as `config.json` names it.
fn architecture(model: &ModelDir) -> String {
    serde_json::to_value(&model.config)
        .ok()
        .and_then(|config| Some(config.get("architecture")?.as_str()?.to_owned()))
        .unwrap_or_default()
}

/// The dataset of the Hub behind one of our names.
fn hub_dataset(name: &str) -> Option<&'static str> {
    match name {
        "cifar10" => Some("uoft-cs/cifar10"),
        "cifar100" => Some("uoft-cs/cifar100"),
        "mnist" => Some("ylecun/mnist"),
        "fashion-mnist" => Some("zalando-datasets/fashion_mnist"),
        _ => None,
    }
}

fn front_matter(model: &ModelDir, training: &Training, license: &str) -> String {
    let tag = families::of(&model.config).pipeline_tag();
    let mut lines = vec![
        "---".to_owned(),
        format!("license: {}", quoted(license)),
        "library_name: candle".to_owned(),
        format!("pipeline_tag: {tag}"),
        "tags:".to_owned(),
        "- candle".to_owned(),
        "- gmnm".to_owned(),
        "- gaussian-mixture".to_owned(),
    ];
    let data = training.data.as_ref();
    let dataset = data.and_then(|data| hub_dataset(&data.name));
    if let Some(dataset) = dataset {
        lines.extend(["datasets:".to_owned(), format!("- {dataset}")]);
    }
    let measured = training
        .result
        .as_ref()
        .filter(|result| result.test.values().any(|value| value.is_finite()));
    if let (Some(data), Some(result)) = (data, measured) {
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
    training: &Training,
    repo: Option<&str>,
) -> std::fmt::Result {
    let name = &model.model;
    writeln!(card, "{GENERATED}\n\n# {name}\n")?;
    let about = registry::find(name).map_or_else(|_| "a network of the zoo".into(), Entry::about);
    write!(card, "A {} network: {about}.", architecture(model))?;
    if let Ok(count) = model.config.parameter_count() {
        write!(card, " It has {count} trainable parameters.")?;
    }
    writeln!(
        card,
        " It is built on the trainable Gaussian mixture of [GMNM](https://arxiv.org/abs/2510.06660)\n\
         and was trained with the Rust model zoo `zoo` on [candle](https://github.com/huggingface/candle).\n"
    )?;
    if !model.labels.is_empty() && model.labels.len() <= 100 {
        writeln!(card, "Classes: {}.\n", model.labels.join(", "))?;
    }
    if let Some(problem) = problem_of(model, training) {
        writeln!(
            card,
            "It learned `{}`: {}. Inputs are points `[n, 2]` of [−1, 1]², outputs `[n, 1]`.\n",
            problem.name(),
            problem.formula()
        )?;
    }
    measures(card, training)?;
    origin(card, model, training)?;
    usage(card, model, repo)
}

/// The surface or equation that a network over the plane learned.
fn problem_of(model: &ModelDir, training: &Training) -> Option<Problem> {
    let task = match &model.config {
        ModelConfig::Surface(_) => Task::Fitting,
        ModelConfig::Poisson(_) => Task::Poisson,
        _ => return None,
    };
    Problem::find(task, &training.data.as_ref()?.name).ok()
}

fn measures(card: &mut String, training: &Training) -> std::fmt::Result {
    let Some(result) = &training.result else {
        return Ok(());
    };
    let data = training.data.as_ref().map_or("", |data| &data.name);
    writeln!(card, "## Results\n")?;
    match result.examples {
        Some(examples) => writeln!(card, "On the test part of `{data}`, {examples} examples:\n")?,
        None => writeln!(card, "On `{data}`, against the exact values:\n")?,
    }
    writeln!(card, "| measure | value |\n|---|---|")?;
    for (name, value) in &result.test {
        writeln!(card, "| {name} | {value:?} |")?;
    }
    writeln!(card)
}

fn origin(card: &mut String, model: &ModelDir, training: &Training) -> std::fmt::Result {
    let Some(data) = &training.data else {
        return Ok(());
    };
    writeln!(card, "## Training\n")?;
    let argument = match &data.argument {
        Some(argument) => format!(" --data {argument}"),
        None => String::new(),
    };
    let seed = training.seed.unwrap_or(0);
    let epochs = training.recipe.as_ref().and_then(|recipe| recipe.epochs);
    let epochs = epochs.map_or_else(String::new, |epochs| format!(" --epochs {epochs}"));
    let name = &model.model;
    let command = match &training.command {
        Some(command) => command.clone(),
        None => format!("zoo train {name}{argument}{epochs} --seed {seed}"),
    };
    writeln!(card, "```\n{command}\n```\n")?;
    if let Some(notice) = &data.notice {
        writeln!(card, "Note on the data: {notice}.\n")?;
    }
    write!(card, "Every setting is in `training.json`.")?;
    if let Some(version) = &training.version {
        write!(card, " Version of `zoo`: {version}.")?;
    }
    if let Some(fingerprint) = &data.fingerprint {
        write!(card, " SHA-256 of the data: `{fingerprint}`.")?;
    }
    writeln!(card, "\n")
}

fn usage(card: &mut String, model: &ModelDir, repo: Option<&str>) -> std::fmt::Result {
    let Usage { command, argument } = families::of(&model.config).usage();
    let (place, dir, fetched) = match repo {
        Some(repo) => (
            repo.to_owned(),
            "model",
            format!(", after `zoo download {repo} --out model`"),
        ),
        None => (".".to_owned(), ".", ", in this directory".to_owned()),
    };
    writeln!(
        card,
        "## Use\n\n\
         On the command line:\n\n\
         ```\nzoo {command} {place}{argument}\n```\n\n\
         In Rust, with the crate `models` of the zoo{fetched}:\n\n\
         ```rust\n\
         let model = models::model_dir::load(std::path::Path::new(\"{dir}\"))?;\n\
         let weights = model.store(candle_core::DType::F32, &candle_core::Device::Cpu)?;\n\
         ```\n\n\
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
