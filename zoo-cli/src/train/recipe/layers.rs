//! Laying recipes over each other, key by key.

use candle_core::Device;
use models::ModelConfig;
use models::registry::{Entry, edit_distance};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::error::one_line;
use super::{Overrides, Recipe, RecipeError, Resolved, Schema};
use crate::data::public_name;
use crate::train::Trainable;

/// The recipe of `entry`, a model of `family`, for `data`, a dataset's name or a path whose last part is taken for one,
/// with `overrides` over it, and the network `model` with their `model.*` keys.
///
/// # Errors
/// When a key does not exist, a value has another type or is out of range, or the file cannot be read.
pub fn resolve(
    family: &dyn Trainable,
    entry: &Entry,
    data: &str,
    model: &ModelConfig,
    overrides: &Overrides<'_>,
) -> Result<Resolved, RecipeError> {
    let dataset = &public_name(data);
    let mut layers = Layers::new(family.schema(), model)?;
    if let Some((name, text)) = family
        .recipes()
        .iter()
        .find(|(name, _)| *name == entry.recipe)
    {
        layers.file(&format!("recipe `{name}`"), text, dataset)?;
    }
    layers.overrides(overrides, dataset)?;
    let mut resolved = layers.finish()?;
    let recipe = &mut resolved.recipe;
    if let Some(epochs) = overrides.epochs {
        family.set_epochs(recipe, epochs)?;
    }
    (family.schema().validate)(recipe)?;
    if let Ok(descent) = recipe.descent_mut() {
        let fastest = family.precision(overrides.device.unwrap_or(&Device::Cpu));
        descent.precision = descent.precision.settled(fastest);
    }
    Ok(resolved)
}

/// A recipe under construction: every key is there from the start, with a value of its type.
struct Layers {
    schema: Schema,
    recipe: Table,
    model: Json,
}

impl Layers {
    /// The lowest layer.
    fn new(schema: Schema, model: &ModelConfig) -> Result<Self, RecipeError> {
        let internal =
            |problem: &dyn std::fmt::Display| RecipeError::invalid("the default recipe", problem);
        let recipe = schema.default_recipe()?;
        Ok(Self {
            schema,
            recipe: Table::try_from(recipe).map_err(|e| internal(&e))?,
            model: serde_json::to_value(model).map_err(|e| internal(&e))?,
        })
    }

    /// Lays the file of `--recipe` over what is there, with its section for `dataset`, then each `--set`.
    fn overrides(&mut self, overrides: &Overrides<'_>, dataset: &str) -> Result<(), RecipeError> {
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
            let full = self.full(path);
            match value {
                Value::Table(inner) if path[0] == "model" => match self.at_model(&path[1..]) {
                    Some(Json::Object(_)) => self.table(origin, path, inner)?,
                    _ => self.set(origin, path, Value::Table(inner))?,
                },
                Value::Table(inner) => match self.at(&full) {
                    Some(Value::Table(_)) => self.table(origin, path, inner)?,
                    Some(there) => {
                        let inner = Value::Table(inner);
                        return Err(wrong_type(origin, &path.join("."), expected(there), &inner));
                    }
                    None => return Err(self.unknown(origin, path)),
                },
                value => self.set(origin, path, value)?,
            }
            path.pop();
        }
        Ok(())
    }

    /// The whole path of a key that may be written without the name of its section.
    fn full(&self, path: &[String]) -> Vec<String> {
        let within = [&[self.schema.name.to_string()], path].concat();
        match self.at(path).is_none() && self.at(&within).is_some() {
            true => within,
            false => path.to_vec(),
        }
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
        let full = self.full(path);
        let Some(there) = self.at(&full) else {
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
        if let Some(there) = at_mut(&mut self.recipe, &full) {
            *there = value;
        }
        // Read at once, so that a refused value is blamed on its own key.
        let refused = |problem: &str| RecipeError::invalid(origin, format!("`{key}`: {problem}"));
        let recipe = Recipe::try_from(self.recipe.clone()).map_err(|e| refused(e.message()))?;
        (self.schema.parse)(&recipe).map_err(|problem| refused(&problem))
    }

    fn set_model(
        &mut self,
        origin: &str,
        path: &[String],
        key: &str,
        value: Value,
    ) -> Result<(), RecipeError> {
        let invalid = |problem: String| RecipeError::invalid(origin, format!("`{key}`: {problem}"));
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
    fn finish(self) -> Result<Resolved, RecipeError> {
        let unusable =
            |problem: &dyn std::fmt::Display| RecipeError::invalid("the model's settings", problem);
        let model: ModelConfig = serde_json::from_value(self.model).map_err(|e| unusable(&e))?;
        model.validate().map_err(|e| unusable(&e))?;
        let recipe = Recipe::try_from(self.recipe);
        let recipe = recipe.map_err(|e| RecipeError::invalid("the recipe", e.message()))?;
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
        // A key may be written without the name of its section.
        let section = format!("{}.", self.schema.name);
        let short = known.iter().filter_map(|key| key.strip_prefix(&section));
        let short: Vec<String> = short.map(str::to_string).collect();
        known.extend(short);
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
