//! Whether a model directory is what it claims to be.

use std::path::Path;

use models::model_dir;

use crate::examples;
use crate::hub::{HubError, card, sums};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, in one word.
    pub name: &'static str,
    /// How it came out.
    pub outcome: CheckOutcome,
}

/// How a check came out, with a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It is right.
    Passed(String),
    /// There was nothing to look at.
    Skipped(String),
    /// It is wrong.
    Failed(String),
}

use CheckOutcome::{Failed, Passed, Skipped};

/// Checks the hashes in `SHA256SUMS`, the configuration and weights, the model card, and the stored
/// examples, in this order. Nothing in the directory changes.
///
/// # Errors
///
/// [`HubError::Io`] when the directory can't be read at all.
pub fn verify(dir: &Path) -> Result<Vec<Check>, HubError> {
    std::fs::read_dir(dir).map_err(HubError::io(dir))?;
    let check = |name, outcome| Check { name, outcome };
    let hashes = match sums::check(dir) {
        Ok(None) => Skipped(format!("there is no `{}`", sums::FILE)),
        Ok(Some(problems)) if problems.is_empty() => {
            Passed(format!("every file is as `{}` says", sums::FILE))
        }
        Ok(Some(problems)) => Failed(problems.join("; ")),
        Err(error) => Failed(error.to_string()),
    };
    let model = model_dir::load(dir);
    let loaded = match &model {
        Ok(model) => Passed(format!(
            "`{}`, {} tensors of the right shapes",
            model.model,
            model.tensors.len()
        )),
        Err(error) => Failed(error.to_string()),
    };
    let readme = dir.join("README.md");
    let front = match std::fs::read_to_string(&readme) {
        Ok(text) => match card::problem(&text) {
            None => Passed("its front matter has a license, a library and a task".to_owned()),
            Some(problem) => Failed(format!("`{}` {problem}", readme.display())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Skipped("there is no `README.md`".to_owned())
        }
        Err(error) => Failed(format!("`{}`: {error}", readme.display())),
    };
    let path = dir.join(examples::FILE);
    let outputs = match &model {
        _ if !path.exists() => Skipped(format!("there is no `{}`", examples::FILE)),
        Err(_) => Skipped("the network can't be loaded".to_owned()),
        Ok(model) => match examples::check(model, &path) {
            Ok(difference) => Passed(format!(
                "the outputs are the stored ones (relative difference {difference:.1e})"
            )),
            Err(problem) => Failed(format!("`{}` {problem}", path.display())),
        },
    };
    Ok(vec![
        check("hashes", hashes),
        check("model", loaded),
        check("card", front),
        check("examples", outputs),
    ])
}
