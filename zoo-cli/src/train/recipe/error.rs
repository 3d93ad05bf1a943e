//! Why a recipe cannot be used.

use std::fmt::Display;

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file of `--recipe` cannot be read.
    #[error("cannot read recipe `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recipe is not TOML.
    #[error("{origin} is not valid TOML: {problem}")]
    Syntax {
        /// The recipe.
        origin: String,
        /// The parser's complaint, on one line.
        problem: String,
    },
    /// `--set` without a `=`.
    #[error("`--set {0}` has no value, write `--set key=value`")]
    NoValue(String),
    /// A key that does not exist.
    #[error("{origin}: there is no key `{key}`, did you mean `{nearest}`?")]
    UnknownKey {
        /// The recipe or flag.
        origin: String,
        /// The dotted key.
        key: String,
        /// The existing key nearest to it.
        nearest: String,
    },
    /// A value of another type than the key's.
    #[error("{origin}: `{key}` needs {expected}, not {found}")]
    WrongType {
        /// The recipe or flag.
        origin: String,
        /// The dotted key.
        key: String,
        /// The type that would be right.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A value of the right type that cannot be used.
    #[error("{origin}: {problem}")]
    Invalid {
        /// The recipe, flag or key.
        origin: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl RecipeError {
    /// That what `origin` says cannot be used.
    pub fn invalid(origin: impl Display, problem: impl Display) -> Self {
        Self::Invalid {
            origin: origin.to_string(),
            problem: one_line(&problem.to_string()),
        }
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Refuses the `value` of `key` unless it `fits`; `expected` follows "it must be".
///
/// # Errors
/// When it does not.
pub fn require(
    key: &str,
    fits: bool,
    value: impl Display,
    expected: impl Display,
) -> Result<(), RecipeError> {
    if fits {
        return Ok(());
    }
    let problem = format!("{value} cannot be used, it must be {expected}");
    Err(RecipeError::invalid(format!("`{key}`"), problem))
}

/// Refuses what is not in 0..1.
///
/// # Errors
/// When it is not.
pub fn require_part(key: &str, value: f64) -> Result<(), RecipeError> {
    let fits = (0.0..1.0).contains(&value);
    require(key, fits, value, "at least 0 and below 1")
}

/// Refuses what is not a finite number above 0.
///
/// # Errors
/// When it is not.
pub fn require_positive(key: &str, value: f64) -> Result<(), RecipeError> {
    let fits = value.is_finite() && value > 0.0;
    require(key, fits, value, "a number above 0")
}
