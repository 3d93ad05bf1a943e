//! `zoo verify`.

use serde_json::json;

use crate::cli::{SummaryFormat, VerifyArgs};
use crate::commands::{Outcome, hub_settings};
use crate::package::{CheckOutcome, verify};
use crate::report::{Printer, Table, Transfer};
use crate::resolve::locate;

/// Checks a pretrained model, a directory, or a repository after fetching all of it.
pub(super) fn run(args: &VerifyArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, &[], &settings, &transfer)?;
    let checks = verify(&files)?;
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
            let summary = json!({"dir": files.dir(), "passed": !failed, "checks": checks});
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
