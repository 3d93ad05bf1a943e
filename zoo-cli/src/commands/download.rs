//! `zoo download`.

use crate::cli::DownloadArgs;
use crate::commands::{Outcome, hub_settings};
use crate::hub::{self, RepoId, RepoKind, Request};
use crate::report::{Printer, Transfer};

/// Fetches a model and prints the directory that it lies in.
pub(super) fn run(args: &DownloadArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let (repo, revision) = RepoId::parse_with_revision(&args.repo)?;
    let settings = hub_settings(&args.hub)?;
    let request = Request {
        repo: &repo,
        kind: RepoKind::Model,
        revision: &revision,
        patterns: &[],
    };
    let snapshot = hub::download(&request, &settings, &Transfer::new(printer, "downloading"))?;
    let place = match &args.out {
        Some(dir) => {
            snapshot.copy_to(dir, args.overwrite)?;
            dir
        }
        None => &snapshot.dir,
    };
    printer.info(&format!("{repo} at commit {}", snapshot.commit));
    printer.result(&place.display().to_string())?;
    Ok(Outcome::Done)
}
