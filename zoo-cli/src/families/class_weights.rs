//! How much each class of images counts in the loss, as a recipe says it.

use std::fmt::Write;

use models::registry::edit_distance;
use serde::{Deserialize, Serialize};

/// `none`; `auto`, where each class counts as much as the others whatever its images are; or names with their weights as
/// in `cat=2,dog=0.5`, where the others have 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClassWeights {
    /// All images count the same.
    #[default]
    None,
    /// N/(K·n) for a class of n among N images of K classes.
    Auto,
    /// By name.
    Named(Vec<(String, f64)>),
}

impl TryFrom<String> for ClassWeights {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let one = |part: &str| {
            let (name, weight) = part.rsplit_once('=')?;
            let weight = weight.trim().parse::<f64>().ok()?;
            // Two weights without a comma between them.
            let two = name
                .split_once('=')
                .and_then(|(_, rest)| rest.split_once(' '));
            let two = two.is_some_and(|(weight, _)| weight.parse::<f64>().is_ok());
            let fits = weight.is_finite() && weight >= 0.0 && !name.trim().is_empty() && !two;
            fits.then(|| (name.trim().to_string(), weight))
        };
        let all: Option<Vec<(String, f64)>> = text.split(',').map(one).collect();
        match all {
            Some(all) => Ok(Self::Named(all)),
            None => Err(format!(
                "`{text}` are no weights; give `auto`, `none`, or names with numbers of at least 0 as in `cat=2,dog=0.5`"
            )),
        }
    }
}

impl From<ClassWeights> for String {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::None => "none".into(),
            ClassWeights::Auto => "auto".into(),
            ClassWeights::Named(all) => {
                let mut text = String::new();
                for (name, weight) in all {
                    let comma = if text.is_empty() { "" } else { "," };
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{comma}{name}={weight}");
                }
                text
            }
        }
    }
}

impl ClassWeights {
    /// The weights of the classes `names`, of which there are so many images each; nothing where all count the same.
    ///
    /// # Errors
    /// When a name is none of them, or no class that has images counts.
    pub(super) fn of(
        &self,
        names: &[String],
        counts: &[usize],
    ) -> anyhow::Result<Option<Vec<f32>>> {
        let mut weights = vec![1.0; names.len()];
        match self {
            Self::None => return Ok(None),
            Self::Auto => {
                let all: usize = counts.iter().sum();
                let there = counts.iter().filter(|count| **count > 0).count();
                for (weight, &count) in weights.iter_mut().zip(counts) {
                    // A class without images is in no target; smoothing does not speak for it either.
                    *weight = match count {
                        0 => 0.0,
                        count => all as f64 / (there * count) as f64,
                    };
                }
            }
            Self::Named(all) => {
                for (name, weight) in all {
                    match names.iter().position(|known| known == name) {
                        Some(class) => weights[class] = *weight,
                        None => {
                            let nearest =
                                names.iter().min_by_key(|known| edit_distance(known, name));
                            let nearest = nearest.map_or("", String::as_str);
                            anyhow::bail!(
                                "`class_weights`: there is no class `{name}`, did you mean `{nearest}`?"
                            );
                        }
                    }
                }
            }
        }
        let mut counted = weights.iter().zip(counts);
        anyhow::ensure!(
            counted.any(|(weight, count)| *weight > 0.0 && *count > 0),
            "`class_weights`: every class that has images weighs 0; give one of them more"
        );
        Ok(Some(weights.iter().map(|weight| *weight as f32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str) -> Result<ClassWeights, String> {
        ClassWeights::try_from(text.to_string())
    }

    fn of(text: &str, counts: &[usize]) -> Result<Option<Vec<f32>>, String> {
        let names = ["cat", "dog", "a=b"].map(String::from);
        let weights = weights(text)?;
        weights
            .of(&names, counts)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn weights_are_read_and_written() {
        for text in ["none", "auto", "cat=2,dog=0.5"] {
            assert_eq!(String::from(weights(text).unwrap()), text);
        }
        for text in [
            "",
            "cat",
            "cat=",
            "cat=-1",
            "cat=nan",
            "=1",
            "cat=1,",
            "cat=1 dog=2",
        ] {
            let error = weights(text).unwrap_err();
            assert!(error.contains("`cat=2,dog=0.5`"), "{text}: {error}");
        }
    }

    #[test]
    fn classes_count_by_name_or_as_they_are_rare() {
        assert_eq!(of("none", &[1, 1, 1]), Ok(None));
        assert_eq!(
            of("auto", &[6, 2, 4]),
            Ok(Some(vec![12.0 / 18.0, 2.0, 1.0]))
        );
        assert_eq!(of("auto", &[6, 0, 2]), Ok(Some(vec![8.0 / 12.0, 0.0, 2.0])));
        assert_eq!(
            of("dog=3, a=b=0", &[1, 1, 1]),
            Ok(Some(vec![1.0, 3.0, 0.0]))
        );
        assert!(
            of("dgo=3", &[1, 1, 1])
                .unwrap_err()
                .contains("did you mean `dog`")
        );
        assert!(
            of("cat=0,dog=0", &[1, 1, 0])
                .unwrap_err()
                .contains("weighs 0")
        );
    }
}
