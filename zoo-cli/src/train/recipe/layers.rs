//! Laying recipes over each other, key by key.

use std::marker::PhantomData;

use candle_core::Device;
use models::ModelConfig;
use models::registry::edit_distance;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Overrides, Recipe, RecipeError, Resolved};
use crate::data::public_name;

/// The embedded recipes by name.
const EMBEDDED: &[(&str, &str)] = &[
    (
        "cifar-classifier",
        include_str!("../../recipes/cifar-classifier.toml"),
    ),
    (
        "cifar-classifier.fast",
        include_str!("../../recipes/cifar-classifier-fast.toml"),
    ),
    (
        "image-generator",
        include_str!("../../recipes/image-generator.toml"),
    ),
    (
        "series-forecaster",
        include_str!("../../recipes/series-forecaster.toml"),
    ),
];

/// The recipe called `name` for `data`, a dataset's name or a path whose last part is taken for one, with `overrides`
/// over it, and the network `model` with their `model.*` keys.
///
/// # Errors
/// When a key does not exist, a value has another type or is out of range, or the file cannot be read.
pub fn resolve(
    name: &str,
    data: &str,
    model: ModelConfig,
    overrides: &Overrides<'_>,
) -> Result<Resolved, RecipeError> {
    let dataset = &public_name(data);
    let mut layers = Layers::new(&Recipe::default(), &model)?;
    if let Some((_, text)) = EMBEDDED.iter().find(|(key, _)| *key == name) {
        layers.file(&format!("recipe `{name}`"), text, dataset)?;
    }
    layers.overrides(overrides, dataset)?;
    if let Some(epochs) = overrides.epochs {
        let epochs = i64::try_from(epochs).unwrap_or(i64::MAX);
        layers.set("--epochs", &["epochs".into()], Value::Integer(epochs))?;
    }
    let mut resolved = layers.finish()?;
    resolved.recipe.validate()?;
    let device = overrides.device.unwrap_or(&Device::Cpu);
    resolved.recipe.precision = resolved.recipe.precision.settled(&resolved.model, device);
    Ok(resolved)
}

/// A recipe of the type `R` under construction: every key is there from the start, with a value of its type.
pub(crate) struct Layers<R> {
    recipe: Table,
    model: Json,
    kind: PhantomData<R>,
}

impl<R: Serialize + DeserializeOwned> Layers<R> {
    /// The lowest layer.
    pub(crate) fn new(recipe: &R, model: &ModelConfig) -> Result<Self, RecipeError> {
        let internal = |problem: String| RecipeError::Invalid {
            origin: "the default recipe".into(),
            problem,
        };
        Ok(Self {
            recipe: Table::try_from(recipe).map_err(|e| internal(e.to_string()))?,
            model: serde_json::to_value(model).map_err(|e| internal(e.to_string()))?,
            kind: PhantomData,
        })
    }

    /// Lays the file of `--recipe` over what is there, with its section for `dataset`, then each `--set`.
    pub(crate) fn overrides(
        &mut self,
        overrides: &Overrides<'_>,
        dataset: &str,
    ) -> Result<(), RecipeError> {
        if let Some(path) = overrides.file {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
                path: shown.clone(),
                source,
            })?;
            self.file(&format!("recipe `{shown}`"), &text, dataset)?;
        }
        (overrides.set.iter()).try_for_each(|assignment| self.assignment(assignment))
    }

    /// Lays a whole file over what is there: its top level, then its section for `dataset`.
    fn file(&mut self, origin: &str, text: &str, dataset: &str) -> Result<(), RecipeError> {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| {
            let line = |at: usize| 1 + text[..at].matches('\n').count();
            let at = e
                .span()
                .map_or(String::new(), |span| format!("line {}: ", line(span.start)));
            RecipeError::Syntax {
                origin: origin.to_string(),
                problem: format!("{at}{}", one_line(e.message())),
            }
        })?;
        let sections = table.remove("datasets");
        self.table(origin, &mut Vec::new(), table)?;
        match sections {
            Some(Value::Table(mut sections)) => match sections.remove(dataset) {
                Some(Value::Table(section)) => self.table(origin, &mut Vec::new(), section),
                None => Ok(()),
                Some(other) => Err(wrong_type(
                    origin,
                    &format!("datasets.{dataset}"),
                    "a table",
                    &other,
                )),
            },
            None => Ok(()),
            Some(other) => Err(wrong_type(origin, "datasets", "a table", &other)),
        }
    }

    fn table(
        &mut self,
        origin: &str,
        path: &mut Vec<String>,
        table: Table,
    ) -> Result<(), RecipeError> {
        for (key, value) in table {
            path.push(key);
            match value {
                Value::Table(inner)
                    if path[0] != "model" || is_table(self.at_model(&path[1..])) =>
                {
                    if path[0] != "model" && !is_toml_table(self.at(path)) {
                        return Err(match self.at(path) {
                            None => self.unknown(origin, path),
                            Some(there) => {
                                let inner = Value::Table(inner);
                                wrong_type(origin, &path.join("."), expected(there), &inner)
                            }
                        });
                    }
                    self.table(origin, path, inner)?;
                }
                value => self.set(origin, path, value)?,
            }
            path.pop();
        }
        Ok(())
    }

    /// One `key=value` of `--set`. A value that is not TOML is a string, so that names need no quotes.
    fn assignment(&mut self, assignment: &str) -> Result<(), RecipeError> {
        let no_value = || RecipeError::NoValue(assignment.to_string());
        let (key, text) = assignment.split_once('=').ok_or_else(no_value)?;
        let (key, text) = (key.trim(), text.trim());
        if key.is_empty() || text.is_empty() {
            return Err(no_value());
        }
        let value = format!("value = {text}")
            .parse::<Table>()
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(text.to_string()));
        let origin = format!("`--set {assignment}`");
        let path: Vec<String> = key.split('.').map(str::to_string).collect();
        self.set(&origin, &path, value)
    }

    fn set(&mut self, origin: &str, path: &[String], value: Value) -> Result<(), RecipeError> {
        let key = path.join(".");
        if path.first().is_some_and(|first| first == "model") && path.len() > 1 {
            return self.set_model(origin, &path[1..], &key, value);
        }
        let Some(there) = self.at(path) else {
            return Err(self.unknown(origin, path));
        };
        let value = match (there, value) {
            (Value::Float(_), Value::Integer(i)) => Value::Float(i as f64),
            // Every whole number of a recipe is a count.
            (Value::Integer(_), Value::Integer(i)) if i < 0 => {
                let expected = "a whole number of at least 0";
                return Err(wrong_type(origin, &key, expected, &Value::Integer(i)));
            }
            (Value::Table(_), other) => {
                return Err(wrong_type(origin, &key, "one of its keys set", &other));
            }
            (there, value) if std::mem::discriminant(there) == std::mem::discriminant(&value) => {
                value
            }
            (there, value) => return Err(wrong_type(origin, &key, expected(there), &value)),
        };
        if let Some(there) = at_mut(&mut self.recipe, path) {
            *there = value;
        }
        // Deserialised at once, so that a refused value is blamed on its own key.
        let all: Result<R, _> = self.recipe.clone().try_into();
        all.map(drop)
            .map_err(|e: toml::de::Error| RecipeError::Invalid {
                origin: origin.to_string(),
                problem: format!("`{key}`: {}", one_line(e.message())),
            })
    }

    fn set_model(
        &mut self,
        origin: &str,
        path: &[String],
        key: &str,
        value: Value,
    ) -> Result<(), RecipeError> {
        let invalid = |problem: String| RecipeError::Invalid {
            origin: origin.to_string(),
            problem: format!("`{key}`: {}", one_line(&problem)),
        };
        let json = serde_json::to_value(&value).map_err(|e| invalid(e.to_string()))?;
        let mut changed = self.model.clone();
        let mut there = &mut changed;
        for (depth, name) in path.iter().enumerate() {
            let known = there.get(name).is_some();
            let last = depth + 1 == path.len();
            match there {
                // The last name may be an optional key that is not set: the network's own check decides.
                Json::Object(object) if known || last => {
                    there = object.entry(name.clone()).or_insert(Json::Null);
                }
                _ => {
                    let full: Vec<String> = key.split('.').map(str::to_string).collect();
                    return Err(self.unknown(origin, &full));
                }
            }
        }
        let was_known = !there.is_null();
        let same_type = match (&*there, &json) {
            (Json::Number(old), Json::Number(new)) => old.is_f64() || !new.is_f64(),
            (Json::Null, _) => true,
            (old, new) => std::mem::discriminant(old) == std::mem::discriminant(new),
        };
        if !same_type {
            return Err(wrong_type(origin, key, expected_json(there), &value));
        }
        // A number stays one where it is set to a whole one: a later layer may set it to another.
        *there = match (&*there, json.as_f64()) {
            (Json::Number(old), Some(new)) if old.is_f64() => Json::from(new),
            _ => json,
        };
        match serde_json::from_value::<ModelConfig>(changed.clone()) {
            // A key that the configuration ignores or does not give back is not one of its keys.
            Ok(config) if was_known || has_path(&config, path) => {
                self.model = changed;
                Ok(())
            }
            Err(e) if was_known || !e.to_string().contains("unknown field") => {
                Err(invalid(e.to_string()))
            }
            _ => {
                let full: Vec<String> = key.split('.').map(str::to_string).collect();
                Err(self.unknown(origin, &full))
            }
        }
    }

    /// The recipe and the network, whose settings have been checked.
    pub(crate) fn finish(self) -> Result<Resolved<R>, RecipeError> {
        let invalid = |origin: &str, problem: &str| RecipeError::Invalid {
            origin: origin.to_string(),
            problem: one_line(problem),
        };
        let recipe: R = (self.recipe.try_into())
            .map_err(|e: toml::de::Error| invalid("the recipe", e.message()))?;
        let model: ModelConfig = serde_json::from_value(self.model)
            .map_err(|e| invalid("the model's settings", &e.to_string()))?;
        model
            .validate()
            .map_err(|e| invalid("the model's settings", &e.to_string()))?;
        Ok(Resolved { recipe, model })
    }

    fn at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.recipe.get(first)?, |value, name| value.get(name))
    }

    fn at_model(&self, path: &[String]) -> Option<&Json> {
        path.iter()
            .try_fold(&self.model, |value, name| value.get(name))
    }

    fn unknown(&self, origin: &str, path: &[String]) -> RecipeError {
        let key = path.join(".");
        let mut known = Vec::new();
        flatten(
            &Value::Table(self.recipe.clone()),
            String::new(),
            &mut known,
        );
        flatten_json(&self.model, "model".to_string(), &mut known);
        // A last part that is right but stands in no section is nearer than any misspelling.
        let nearest = known
            .iter()
            .min_by_key(|candidate| {
                let tail = candidate.rsplit('.').next().unwrap_or(candidate);
                edit_distance(candidate, &key).min(1 + edit_distance(tail, &key))
            })
            .cloned()
            .unwrap_or_default();
        RecipeError::UnknownKey {
            origin: origin.to_string(),
            key,
            nearest,
        }
    }
}

fn is_table(value: Option<&Json>) -> bool {
    matches!(value, Some(Json::Object(_)))
}

fn is_toml_table(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Table(_)))
}

fn at_mut<'a>(table: &'a mut Table, path: &[String]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get_mut(first)?, |value, name| value.get_mut(name))
}

fn has_path(config: &ModelConfig, path: &[String]) -> bool {
    let Ok(json) = serde_json::to_value(config) else {
        return false;
    };
    path.iter()
        .try_fold(&json, |value, name| value.get(name))
        .is_some()
}

fn flatten(value: &Value, prefix: String, into: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(value, join(&prefix, key), into);
            }
        }
        _ => into.push(prefix),
    }
}

fn flatten_json(value: &Json, prefix: String, into: &mut Vec<String>) {
    match value {
        Json::Object(object) => {
            for (key, value) in object {
                flatten_json(value, join(&prefix, key), into);
            }
        }
        _ => into.push(prefix),
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_string()
    } else {
        format!("{prefix}.{key}")
    }
}

fn expected(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a name",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list such as [1, 2]",
        Value::Table(_) => "a table",
        Value::Datetime(_) => "a date",
    }
}

fn expected_json(value: &Json) -> &'static str {
    match value {
        Json::Null => "a value",
        Json::Bool(_) => "true or false",
        Json::Number(n) if n.is_f64() => "a number",
        Json::Number(_) => "a whole number",
        Json::String(_) => "a name",
        Json::Array(_) => "a list such as [1, 2]",
        Json::Object(_) => "one of its keys set",
    }
}

fn wrong_type(origin: &str, key: &str, expected: &'static str, found: &Value) -> RecipeError {
    RecipeError::WrongType {
        origin: origin.to_string(),
        key: key.to_string(),
        expected,
        found: match found {
            Value::Table(_) => "a table".to_string(),
            other => format!("`{}`", one_line(&other.to_string())),
        },
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
