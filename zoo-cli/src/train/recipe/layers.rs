//! Laying recipes over each other, key by key.

use std::fmt::Display;

use candle_core::Device;
use models::ModelConfig;
use models::registry::{Entry, edit_distance};
use toml::{Table, Value};

use super::error::{one_line, require};
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
    let embedded = family.recipes().iter();
    for (name, text) in embedded.filter(|(name, _)| *name == entry.recipe) {
        layers.file(&format!("recipe `{name}`"), text, dataset)?;
    }
    layers.overrides(overrides, dataset)?;
    let mut resolved = layers.finish()?;
    let recipe = &mut resolved.recipe;
    if let Some(epochs) = overrides.epochs {
        family.set_epochs(recipe, epochs)?;
    }
    (family.schema().validate)(recipe)?;
    if let Ok(descent) = recipe.descent() {
        let (measures, name) = (family.measures(), &descent.early_stopping.measure);
        let names: Vec<&str> = measures.all.iter().map(|measure| measure.name).collect();
        let fits = measures.position(name).is_some();
        let expected = format!("one of {}", names.join(", "));
        require(
            "early_stopping.measure",
            fits,
            format!("`{name}`"),
            expected,
        )?;
    }
    if let Ok(descent) = recipe.descent_mut() {
        let fastest = family.precision(overrides.device.unwrap_or(&Device::Cpu));
        descent.precision = descent.precision.settled(fastest);
    }
    Ok(resolved)
}

/// The recipe of the trained network `model` with each `key=value` of `set` over it, all of them keys that say how data are read.
///
/// # Errors
/// When another key is set, or a value cannot be used.
pub fn amend(
    family: &dyn Trainable,
    model: &ModelConfig,
    recipe: &Recipe,
    set: &[String],
) -> Result<Recipe, RecipeError> {
    let origin = "the recipe of the training";
    let mut layers = Layers::new(family.schema(), model)?;
    let trained = Table::try_from(recipe).map_err(|e| RecipeError::invalid(origin, e))?;
    layers.table(origin, &mut Vec::new(), trained)?;
    for assignment in set {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if !family.reading().contains(&key) {
            let problem = match family.reading() {
                [] => "a trained network of this family takes no settings".into(),
                keys => format!("a trained network takes {} only", keys.join(", ")),
            };
            return Err(RecipeError::invalid(
                format!("`--set {assignment}`"),
                problem,
            ));
        }
        layers.assignment(assignment)?;
    }
    Ok(layers.finish()?.recipe)
}

/// A recipe under construction: every key is there from the start, with a value of its type.
struct Layers {
    schema: Schema,
    /// The recipe, and under `model` the network.
    all: Table,
}

/// The section of the network.
const MODEL: &str = "model";

impl Layers {
    /// The lowest layer.
    fn new(schema: Schema, model: &ModelConfig) -> Result<Self, RecipeError> {
        let internal = |e: toml::ser::Error| RecipeError::invalid("the default recipe", e);
        let mut all = Table::try_from(schema.default_recipe()?).map_err(internal)?;
        let model = Value::try_from(model).map_err(internal)?;
        all.insert(MODEL.to_string(), model);
        Ok(Self { schema, all })
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
        let table = |key: &str, value| match value {
            Value::Table(table) => Ok(table),
            other => Err(wrong_type(origin, key, "a table", &other)),
        };
        let Some(sections) = sections else {
            return Ok(());
        };
        match table("datasets", sections)?.remove(dataset) {
            Some(section) => {
                let section = table(&format!("datasets.{dataset}"), section)?;
                self.table(origin, &mut Vec::new(), section)
            }
            None => Ok(()),
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
            match (self.at(&self.full(path)), value) {
                (Some(Value::Table(_)), Value::Table(inner)) => {
                    self.table(origin, path, inner)?;
                }
                (_, value) => self.set(origin, path, value)?,
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
            .unwrap_or_else(|| text.into());
        let path: Vec<String> = key.split('.').map(str::to_string).collect();
        // A name may look like a number or a date.
        let is_scalar = !matches!(value, Value::Array(_) | Value::Table(_) | Value::String(_));
        let value = match self.at(&self.full(&path)) {
            Some(Value::String(_)) if is_scalar => text.into(),
            _ => value,
        };
        self.set(&format!("`--set {assignment}`"), &path, value)
    }

    /// Sets one key, and reads all at once, so that a refused value is blamed on its own key.
    fn set(&mut self, origin: &str, path: &[String], value: Value) -> Result<(), RecipeError> {
        let key = path.join(".");
        let (in_model, full) = (path[0] == MODEL, self.full(path));
        let is_new = self.at(&full).is_none();
        // An optional key of the network may not be set yet: the network's own check decides.
        if is_new && !(in_model && path.len() > 1) {
            return Err(self.unknown(origin, path));
        }
        let value = match self.at(&full) {
            Some(there) => typed(there, value, in_model)
                .map_err(|(value, expected)| wrong_type(origin, &key, expected, &value))?,
            None => value,
        };
        let mut all = self.all.clone();
        let last = full.len() - 1;
        let mut tables = full[..last].iter();
        let table = tables.try_fold(&mut all, |table, name| table.get_mut(name)?.as_table_mut());
        match table {
            Some(table) => table.insert(full[last].clone(), value),
            None => return Err(self.unknown(origin, path)),
        };
        let refused =
            |e: toml::de::Error| RecipeError::invalid(origin, format!("`{key}`: {}", e.message()));
        if !in_model {
            let recipe = recipe(&all).map_err(refused)?;
            (self.schema.parse)(&recipe).map_err(refused)?;
        } else {
            match model(&all) {
                Err(e) if !is_new || !e.message().contains("unknown field") => {
                    return Err(refused(e));
                }
                // A key that the configuration ignores or does not give back is not one of its keys.
                Ok(config) if !is_new || has_path(&config, &path[1..]) => {}
                _ => return Err(self.unknown(origin, path)),
            }
        }
        self.all = all;
        Ok(())
    }

    /// The recipe and the network, whose settings have been checked.
    fn finish(self) -> Result<Resolved, RecipeError> {
        let unusable = |what, problem: &dyn Display| RecipeError::invalid(what, problem);
        let recipe = recipe(&self.all).map_err(|e| unusable("the recipe", &e.message()))?;
        let settings = "the model's settings";
        let model = model(&self.all).map_err(|e| unusable(settings, &e.message()))?;
        model.validate().map_err(|e| unusable(settings, &e))?;
        Ok(Resolved { recipe, model })
    }

    /// The whole path of a key that may be written without the name of its section.
    fn full(&self, path: &[String]) -> Vec<String> {
        let within = [&[self.schema.name.to_string()], path].concat();
        match self.at(path).is_none() && self.at(&within).is_some() {
            true => within,
            false => path.to_vec(),
        }
    }

    fn at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.all.get(first)?, |value, name| value.get(name))
    }

    fn unknown(&self, origin: &str, path: &[String]) -> RecipeError {
        let key = path.join(".");
        let mut known = Vec::new();
        flatten(&self.all, "", &mut known);
        // A key may be written without the name of its section.
        let section = format!("{}.", self.schema.name);
        let short = known.iter().filter_map(|key| key.strip_prefix(&section));
        let short: Vec<String> = short.map(str::to_string).collect();
        known.extend(short);
        // A last part that is right but stands in no section is nearer than any misspelling.
        let distance = |known: &String| {
            let tail = known.rsplit('.').next().unwrap_or(known);
            edit_distance(known, &key).min(1 + edit_distance(tail, &key))
        };
        let nearest = known.iter().min_by_key(|known| distance(known)).cloned();
        RecipeError::UnknownKey {
            origin: origin.to_string(),
            key,
            nearest: nearest.unwrap_or_default(),
        }
    }
}

/// `value` as one of the type of `there`, or which type that is.
fn typed(there: &Value, value: Value, in_model: bool) -> Result<Value, (Value, &'static str)> {
    match (there, value) {
        // A number stays one where it is set to a whole one: a later layer may set it to another.
        (Value::Float(_), Value::Integer(i)) => Ok(Value::Float(i as f64)),
        // One number where a recipe may list several, or none.
        (Value::Array(there), Value::Integer(i)) if !in_model && there.is_empty() => {
            Ok(Value::Array(vec![i.into()]))
        }
        // Every whole number is a count.
        (Value::Integer(_), Value::Integer(i)) if i < 0 => {
            Err((Value::Integer(i), "a whole number of at least 0"))
        }
        (Value::Table(_), value) if !in_model || !value.is_table() => {
            Err((value, "one of its keys set"))
        }
        (there, value) if there.same_type(&value) => Ok(value),
        (there, value) => Err((
            value,
            match there {
                Value::String(_) => "a name",
                Value::Integer(_) => "a whole number",
                Value::Float(_) => "a number",
                Value::Boolean(_) => "true or false",
                Value::Array(_) => "a list such as [1, 2]",
                Value::Table(_) => "a table",
                Value::Datetime(_) => "a date",
            },
        )),
    }
}

/// The recipe without the network.
fn recipe(all: &Table) -> Result<Recipe, toml::de::Error> {
    let mut recipe = all.clone();
    recipe.remove(MODEL);
    recipe.try_into()
}

fn model(all: &Table) -> Result<ModelConfig, toml::de::Error> {
    all[MODEL].clone().try_into()
}

fn has_path(config: &ModelConfig, path: &[String]) -> bool {
    let found = |config: &Value| {
        let found = path.iter().try_fold(config, |value, name| value.get(name));
        found.is_some()
    };
    Value::try_from(config).is_ok_and(|config| found(&config))
}

fn flatten(table: &Table, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(inner, &format!("{key}."), into),
            _ => into.push(key),
        }
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
