//! `zoo verify`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{SummaryFormat, VerifyArgs};
use crate::commands::{Outcome, hub_settings};
use crate::hub::{self, RepoId, RepoKind, Request};
use crate::report::{Printer, Table, Transfer};
use crate::verify::{CheckOutcome, verify};

/// Checks a model directory, or a repository's after fetching it.
pub(super) fn run(args: &VerifyArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let dir = directory(args, printer)?;
    let checks = verify(&dir)?;
    let failed = checks
        .iter()
        .any(|check| matches!(check.outcome, CheckOutcome::Failed(_)));
    let rows = checks.iter().map(|check| {
        let (result, detail) = match &check.outcome {
            CheckOutcome::Passed(detail) => ("passed", detail),
            CheckOutcome::Skipped(detail) => ("skipped", detail),
            CheckOutcome::Failed(detail) => ("failed", detail),
        };
        (check.name, result, detail.as_str())
    });
    match args.format {
        SummaryFormat::Json => {
            let checks: Vec<_> = rows
                .map(|(check, result, detail)| {
                    json!({"check": check, "result": result, "detail": detail})
                })
                .collect();
            let summary = json!({"dir": dir, "passed": !failed, "checks": checks});
            printer.result(&summary.to_string())?;
        }
        SummaryFormat::Table => {
            let mut table = Table::new(["check", "result", "detail"]);
            for (check, result, detail) in rows {
                table.row([check, result, detail]);
            }
            printer.result(table.to_string().trim_end())?;
        }
    }
    Ok(match failed {
        true => Outcome::SomeFailed,
        false => Outcome::Done,
    })
}

fn directory(args: &VerifyArgs, printer: &Printer) -> anyhow::Result<PathBuf> {
    let path = Path::new(&args.model);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let Ok((repo, revision)) = RepoId::parse_with_revision(&args.model) else {
        anyhow::bail!(
            "`{}` is neither a directory nor a repository; give a model directory or `owner/name`",
            args.model.escape_debug()
        );
    };
    let request = Request {
        repo: &repo,
        kind: RepoKind::Model,
        revision: &revision,
        patterns: &[],
    };
    let settings = hub_settings(&args.hub)?;
    let snapshot = hub::download(&request, &settings, &Transfer::new(printer, "downloading"))?;
    Ok(snapshot.dir)
}
