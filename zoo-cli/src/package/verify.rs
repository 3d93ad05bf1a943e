//! Whether the files of a model are what they claim to be.

use super::{CalibrationFile, ModelFiles, PackageError, card, examples};
use crate::layout::{CALIBRATION, CARD, EXAMPLES, TRAINING};

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

/// Checks the hashes in `SHA256SUMS` (or, of a pretrained model, in the manifest), the configuration and weights, the
/// record of the training, what was fitted to held-out examples, the model card, and the stored examples, in this order.
/// Nothing in a directory changes.
///
/// # Errors
///
/// [`PackageError::Read`] when a directory can't be read at all.
pub fn verify(files: &ModelFiles) -> Result<Vec<Check>, PackageError> {
    files.names()?;
    let check = |name, outcome| Check { name, outcome };
    let hashes = match files.check_hashes() {
        Ok(None) => Skipped("there is no `SHA256SUMS`".to_owned()),
        Ok(Some(problems)) if problems.is_empty() => {
            Passed("every listed file has its SHA-256".to_owned())
        }
        Ok(Some(problems)) => Failed(problems.join("; ")),
        Err(error) => Failed(error.to_string()),
    };
    let model = files.load();
    let loaded = match &model {
        Ok(model) => Passed(format!(
            "`{}`, {} tensors of the right shapes",
            model.model,
            model.tensors.len()
        )),
        Err(error) => Failed(error.to_string()),
    };
    let record = match &model {
        Ok(model) => files.record_of(model),
        Err(_) => files.record(),
    };
    let record = match record {
        Ok(Some(record)) => Passed(format!("it learned `{}`", record.data.name)),
        Ok(None) => Skipped(format!("there is no `{TRAINING}`")),
        Err(error) => Failed(error.to_string()),
    };
    let calibration = match CalibrationFile::of(files) {
        Ok(Some(file)) => Passed(file.in_words()),
        Ok(None) => Skipped(format!("there is no `{CALIBRATION}`")),
        Err(error) => Failed(error.to_string()),
    };
    let failed =
        |name: &str, problem: &str| Failed(format!("`{}` {problem}", files.path(name).display()));
    let front = match files.read(CARD) {
        Ok(Some(text)) => match card::problem(&String::from_utf8_lossy(&text)) {
            None => Passed("its front matter has a license, a library and a task".to_owned()),
            Some(problem) => failed(CARD, &problem),
        },
        Ok(None) => Skipped(format!("there is no `{CARD}`")),
        Err(error) => Failed(error.to_string()),
    };
    let outputs = match (files.read(EXAMPLES), &model) {
        (Ok(None), _) => Skipped(format!("there is no `{}`", EXAMPLES)),
        (Err(error), _) => Failed(error.to_string()),
        (_, Err(_)) => Skipped("the network can't be loaded".to_owned()),
        (Ok(Some(bytes)), Ok(model)) => match examples::check(model, &bytes) {
            Ok(difference) => Passed(format!(
                "the outputs are the stored ones (relative difference {difference:.1e})"
            )),
            Err(problem) => failed(EXAMPLES, &problem),
        },
    };
    Ok(vec![
        check("hashes", hashes),
        check("model", loaded),
        check("record", record),
        check("calibration", calibration),
        check("card", front),
        check("examples", outputs),
    ])
}
