//! How a model is trained: every default in an embedded TOML file, every key open to an override.
//!
//! Layers, later ones over earlier ones: the model's embedded recipe; its section `[datasets.NAME]` for the dataset
//! at hand; the file of `--recipe` with a section of its own; each `--set key=value`. A key that no recipe of the
//! family knows is an error that suggests the nearest.

mod descent;
mod error;
mod layers;

use std::path::Path;

use candle_core::Device;
use models::ModelConfig;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Serialize};
use toml::Table;

pub use descent::{CheckpointConfig, Descent, EmaConfig, TakenNorm, Validation};
pub use error::{RecipeError, require, require_part, require_positive};
pub use layers::{amend, resolve};

/// Every setting of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Recipe {
    /// The keys of all families that are trained in epochs; none where a family takes steps of its own.
    #[serde(flatten)]
    descent: Option<Descent>,
    /// The keys of the family, in a section under its name.
    #[serde(flatten)]
    section: Table,
}

/// The keys of one family: the section of its recipes.
pub trait Section: Default + Serialize + DeserializeOwned {
    /// Its name.
    const NAME: &'static str;

    /// Checks every range.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    fn validate(&self) -> Result<(), RecipeError> {
        Ok(())
    }
}

impl Recipe {
    /// A recipe of a family.
    ///
    /// # Errors
    /// When the section cannot be written as TOML.
    pub fn new<S: Section>(descent: Option<Descent>, section: &S) -> Result<Self, RecipeError> {
        let table = Table::try_from(section).map_err(|e| RecipeError::invalid(S::NAME, e))?;
        Ok(Self {
            descent,
            section: Table::from_iter([(S::NAME.to_string(), table.into())]),
        })
    }

    /// The keys of all families that are trained in epochs.
    ///
    /// # Errors
    /// When the family is none of them.
    pub fn descent(&self) -> Result<&Descent, RecipeError> {
        self.descent.as_ref().ok_or_else(no_epochs)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// When the family is none of them.
    pub fn descent_mut(&mut self) -> Result<&mut Descent, RecipeError> {
        self.descent.as_mut().ok_or_else(no_epochs)
    }

    /// The keys of its family.
    ///
    /// # Errors
    /// When it is a recipe of another family.
    pub fn section<S: Section>(&self) -> Result<S, RecipeError> {
        let unread =
            |e: toml::de::Error| RecipeError::invalid(format!("[{}]", S::NAME), e.message());
        self.read().map_err(unread)
    }

    fn read<S: Section>(&self) -> Result<S, toml::de::Error> {
        let section = self.section.get(S::NAME).cloned();
        let missing = || Error::custom("there is no such section");
        section.ok_or_else(missing)?.try_into()
    }

    /// Puts other keys into the section of its family.
    ///
    /// # Errors
    /// When the section cannot be written as TOML.
    pub fn set_section<S: Section>(&mut self, section: &S) -> Result<(), RecipeError> {
        *self = Self::new(self.descent.take(), section)?;
        Ok(())
    }
}

fn no_epochs() -> RecipeError {
    RecipeError::invalid("the recipe", "this network is not trained in epochs")
}

impl TryFrom<Table> for Recipe {
    type Error = toml::de::Error;

    fn try_from(mut section: Table) -> Result<Self, Self::Error> {
        let shared = Table::try_from(Descent::default()).map_err(Self::Error::custom)?;
        let shared = shared.keys().filter_map(|key| section.remove_entry(key));
        let descent: Table = shared.collect();
        if section.len() != 1 {
            let names: Vec<&str> = section.keys().map(String::as_str).collect();
            let problem = format!("one family's section is needed, not {names:?}");
            return Err(Self::Error::custom(problem));
        }
        Ok(Self {
            descent: match descent.is_empty() {
                true => None,
                false => Some(descent.try_into()?),
            },
            section,
        })
    }
}

/// What the recipes of a family may hold.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The name of its section.
    name: &'static str,
    default: fn() -> Result<Recipe, RecipeError>,
    /// Checks the type of every value.
    parse: fn(&Recipe) -> Result<(), toml::de::Error>,
    /// Checks the range of every value.
    validate: fn(&Recipe) -> Result<(), RecipeError>,
}

impl Schema {
    /// Of a family that is trained in epochs, with the section `S`.
    pub fn in_epochs<S: Section>() -> Self {
        Self {
            default: || Recipe::new(Some(Descent::default()), &S::default()),
            validate: |recipe| {
                recipe.descent()?.validate()?;
                recipe.section::<S>()?.validate()
            },
            ..Self::own_steps::<S>()
        }
    }

    /// Of a family that takes steps of its own: all of its keys stand in the section `S`.
    pub fn own_steps<S: Section>() -> Self {
        Self {
            name: S::NAME,
            default: || Recipe::new(None, &S::default()),
            parse: |recipe| recipe.read::<S>().map(drop),
            validate: |recipe| recipe.section::<S>()?.validate(),
        }
    }

    /// The recipe of a network whose own is not known.
    ///
    /// # Errors
    /// When the defaults cannot be written as TOML.
    pub fn default_recipe(&self) -> Result<Recipe, RecipeError> {
        (self.default)()
    }
}

/// Where overrides come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// The file of `--recipe`.
    pub file: Option<&'a Path>,
    /// Each `key=value` of `--set`, in order.
    pub set: &'a [String],
    /// `--epochs`.
    pub epochs: Option<usize>,
    /// Where the network will compute, for what depends on it; the CPU where none is given.
    pub device: Option<&'a Device>,
}

/// A recipe with the network that it trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The training.
    pub recipe: Recipe,
    /// The network, `model.*` overrides applied.
    pub model: ModelConfig,
}

#[cfg(test)]
mod tests;
