//! Tensors that a run leaves as they are: those that `freeze` names, or all that `--from` gave.

use std::collections::BTreeSet;

use gmnm_core::params::is_buffer;
use models::ModelConfig;

use super::recipe::{RecipeError, TakenNorm};
use super::record::TrainingRecord;
use super::{BaseRecord, Descent, TrainError};
use crate::pattern::matches;

/// Names that an error tells.
const NAMED: usize = 6;

/// The tensors that are frozen, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Freezing {
    /// Parameters, and the running statistics of the batch norms among them.
    names: BTreeSet<String>,
    /// The epochs for which they are; none for the whole run.
    epochs: Option<usize>,
}

impl Freezing {
    /// What the recipe of a run freezes of its network.
    pub(super) fn of(record: &TrainingRecord) -> Result<Self, TrainError> {
        let recipe = record.recipe.descent()?;
        Ok(Self::new(recipe, record.base.as_ref(), &record.config)?)
    }

    /// What `recipe` freezes of the network of `config`, which begins with what `base` tells.
    ///
    /// # Errors
    /// When a pattern matches no parameter, nothing is left to train, or a key is of use only with a base and there is
    /// none.
    pub(super) fn new(
        recipe: &Descent,
        base: Option<&BaseRecord>,
        config: &ModelConfig,
    ) -> Result<Self, RecipeError> {
        check_base(recipe, base)?;
        let names = match (base, recipe.freeze_epochs) {
            _ if !recipe.freeze.is_empty() => {
                let all = config.tensor_shapes();
                let all = all.map_err(|e| RecipeError::invalid("the model's settings", e))?;
                let all: BTreeSet<String> = all.into_keys().collect();
                matched(&recipe.freeze, &all)?
            }
            (Some(base), 1..) => {
                if base.drawn.keys().all(|name| is_buffer(name)) {
                    return Err(RecipeError::invalid(
                        "`freeze_epochs`",
                        "every parameter was taken with `--from`, so that none would be trained; name those to freeze \
                         with `--freeze PATTERN`",
                    ));
                }
                base.taken.clone()
            }
            _ => return Ok(Self::default()),
        };
        Ok(Self {
            names,
            epochs: (recipe.freeze_epochs > 0).then_some(recipe.freeze_epochs),
        })
    }

    /// The tensors that are frozen in `epoch` (from 0).
    pub(super) fn at(&self, epoch: usize) -> BTreeSet<String> {
        match self.epochs.is_none_or(|epochs| epoch < epochs) {
            true => self.names.clone(),
            false => BTreeSet::new(),
        }
    }

    /// The tensors that are trained later, and the epochs until then.
    pub(super) fn later(&self) -> Option<(&BTreeSet<String>, usize)> {
        Some((&self.names, self.epochs?))
    }
}

/// Refuses what would have no effect.
fn check_base(recipe: &Descent, base: Option<&BaseRecord>) -> Result<(), RecipeError> {
    let only_taken = "it is about what was taken with `--from`, which is not given; leave it out";
    let refuse = |key: &str, problem: &str| Err(RecipeError::invalid(format!("`{key}`"), problem));
    match base {
        None if recipe.from_rate != 1.0 => refuse("from_rate", only_taken),
        None if recipe.norm != TakenNorm::Keep => refuse("norm", only_taken),
        None if recipe.freeze_epochs > 0 && recipe.freeze.is_empty() => refuse(
            "freeze_epochs",
            "there is nothing to freeze; give a trained model with `--from`, or names with `--freeze PATTERN`",
        ),
        Some(base)
            if recipe.norm == TakenNorm::Renew
                && !base
                    .taken
                    .iter()
                    .any(|name| name.ends_with(".running_mean")) =>
        {
            refuse(
                "norm",
                "no batch norm was taken with `--from`; leave it out",
            )
        }
        _ => Ok(()),
    }
}

/// The tensors among `all` that `patterns` freeze.
fn matched(patterns: &[String], all: &BTreeSet<String>) -> Result<BTreeSet<String>, RecipeError> {
    let parameters: Vec<&String> = all.iter().filter(|name| !is_buffer(name)).collect();
    for pattern in patterns {
        if !parameters.iter().any(|name| matches(pattern, name)) {
            let step = parameters.len().div_ceil(NAMED).max(1);
            let some = parameters.iter().step_by(step);
            let some: Vec<String> = some.map(|name| format!("`{name}`")).collect();
            return Err(RecipeError::invalid(
                format!("`--freeze {pattern}`"),
                format!(
                    "no parameter of the network has such a name; there are {} such as {}",
                    parameters.len(),
                    some.join(", ")
                ),
            ));
        }
    }
    let frozen = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    if parameters.iter().all(|name| frozen(name)) {
        return Err(RecipeError::invalid(
            "`--freeze`",
            "every parameter of the network has such a name, so that none would be trained; give fewer",
        ));
    }
    let statistics = |name: &str| {
        let norm = name.rsplit_once('.').map_or("", |(norm, _)| norm);
        let mut own = parameters.iter().filter(|parameter| {
            let module = parameter.rsplit_once('.').map(|(module, _)| module);
            module == Some(norm)
        });
        own.clone().next().is_some() && own.all(|name| frozen(name))
    };
    let all = all.iter();
    let all = all.filter(|name| frozen(name) || is_buffer(name) && statistics(name));
    Ok(all.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn network() -> BTreeSet<String> {
        names(&[
            "head.bias",
            "head.weight",
            "stages.0.bn.bias",
            "stages.0.bn.running_mean",
            "stages.0.bn.running_var",
            "stages.0.bn.weight",
            "stages.0.conv.weight",
            "stages.0.mixer.norm.running_mean",
            "stages.0.mixer.weight",
        ])
    }

    fn frozen(patterns: &[&str]) -> Result<BTreeSet<String>, String> {
        let patterns: Vec<String> = patterns.iter().map(|p| p.to_string()).collect();
        matched(&patterns, &network()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_norm_keeps_its_statistics_where_all_of_it_is_frozen() {
        let of_norm = [
            "stages.0.bn.bias",
            "stages.0.bn.running_mean",
            "stages.0.bn.running_var",
            "stages.0.bn.weight",
        ];
        assert_eq!(frozen(&["*.bn.weight", "*.bn.bias"]), Ok(names(&of_norm)));
        assert_eq!(frozen(&["*.bn.*"]), Ok(names(&of_norm)));
        let weights = [
            "head.weight",
            "stages.0.bn.weight",
            "stages.0.conv.weight",
            "stages.0.mixer.weight",
        ];
        assert_eq!(frozen(&["*.weight"]), Ok(names(&weights)));
        let mixer = ["stages.0.mixer.norm.running_mean", "stages.0.mixer.weight"];
        assert_eq!(frozen(&["stages.0.mixer.*"]), Ok(names(&mixer)));
        assert_eq!(frozen(&["stages.*"]).unwrap().len(), 7);
    }

    #[test]
    fn patterns_that_freeze_nothing_or_all_are_refused() {
        let error = frozen(&["head.*", "stages.1.*"]).unwrap_err();
        assert!(
            error.contains("`--freeze stages.1.*`") && error.contains("`head.bias`"),
            "{error}"
        );
        // Statistics alone are not trained anyway.
        assert!(frozen(&["*.running_mean"]).is_err());
        let error = frozen(&["*.bias", "*.weight"]).unwrap_err();
        assert!(error.contains("none would be trained"), "{error}");
    }

    /// Sets a key of a recipe.
    type Change = fn(&mut Descent);

    #[test]
    fn keys_without_a_base_are_refused() {
        let config = models::registry::find("cifar-classifier").unwrap().config();
        let refused = |change: Change| {
            let mut recipe = Descent::default();
            change(&mut recipe);
            Freezing::new(&recipe, None, &config).map_err(|error| error.to_string())
        };
        assert_eq!(refused(|_| ()), Ok(Freezing::default()));
        let changes: [(Change, &str); 3] = [
            (|recipe| recipe.from_rate = 0.5, "from_rate"),
            (|recipe| recipe.freeze_epochs = 1, "freeze_epochs"),
            (|recipe| recipe.norm = TakenNorm::Renew, "norm"),
        ];
        for (change, key) in changes {
            let error = refused(change).unwrap_err();
            assert!(error.contains(key) && error.contains("--from"), "{error}");
        }
        let some = refused(|recipe| {
            recipe.freeze = vec!["head.*".into()];
            recipe.freeze_epochs = 2;
        });
        let some = some.unwrap();
        assert_eq!(some.at(1), names(&["head.bias", "head.weight"]));
        assert!(some.at(2).is_empty());
    }
}
