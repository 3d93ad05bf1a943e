//! `results.csv`.

use std::path::Path;

use super::{Case, CompareError, RunOutcome};
use crate::train::Measure;

/// A finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Problem and model.
    pub case: Case,
    /// The seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: RunOutcome,
}

/// All finished runs, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    runs: Vec<Run>,
}

fn header(measures: &[Measure]) -> String {
    let mut text = String::from("problem,model,seed,parameters,step_ms");
    for measure in measures {
        text += &format!(",{}", measure.name);
    }
    text
}

impl Results {
    /// The runs in the file at `path`; none if there is no such file.
    ///
    /// # Errors
    /// When the file is of another comparison or damaged.
    pub fn read(path: &Path, measures: &[Measure]) -> Result<Self, CompareError> {
        let wrong = |problem: String| CompareError::Directory {
            path: path.to_path_buf(),
            problem,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(wrong(format!("cannot be read ({e})"))),
        };
        let mut lines = text.lines();
        if lines.next() != Some(header(measures).as_str()) {
            return Err(wrong("has the columns of another comparison".into()));
        }
        let runs = lines
            .enumerate()
            .map(|(i, line)| {
                parse(line, measures.len())
                    .ok_or_else(|| wrong(format!("is damaged in line {}", i + 2)))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { runs })
    }

    /// The file's text.
    pub fn csv(&self, measures: &[Measure]) -> String {
        let mut text = header(measures) + "\n";
        for Run {
            case,
            seed,
            outcome,
        } in &self.runs
        {
            text += &format!(
                "{},{},{seed},{},{}",
                case.problem, case.model, outcome.parameters, outcome.step_ms
            );
            for value in &outcome.values {
                text += &format!(",{value:e}");
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn push(&mut self, case: Case, seed: u64, outcome: RunOutcome) {
        self.runs.push(Run {
            case,
            seed,
            outcome,
        });
    }

    /// All runs.
    pub fn all(&self) -> &[Run] {
        &self.runs
    }

    /// The run of a case under a seed.
    pub fn find(&self, case: &Case, seed: u64) -> Option<&Run> {
        self.runs.iter().find(|r| r.case == *case && r.seed == seed)
    }

    /// The runs of a case, by seed.
    pub fn of(&self, case: &Case) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self.runs.iter().filter(|r| r.case == *case).collect();
        runs.sort_by_key(|r| r.seed);
        runs
    }
}

fn parse(line: &str, measures: usize) -> Option<Run> {
    let mut cells = line.split(',');
    let case = Case {
        problem: cells.next()?.to_string(),
        model: cells.next()?.to_string(),
    };
    let seed = cells.next()?.parse().ok()?;
    let outcome = RunOutcome {
        parameters: cells.next()?.parse().ok()?,
        step_ms: cells.next()?.parse().ok()?,
        values: cells.map(|c| c.parse().ok()).collect::<Option<_>>()?,
    };
    (outcome.values.len() == measures).then_some(Run {
        case,
        seed,
        outcome,
    })
}
