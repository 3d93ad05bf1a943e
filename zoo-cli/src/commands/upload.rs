//! `zoo upload`.

use std::sync::Arc;

use super::{Outcome, hub_settings};
use crate::cli::UploadArgs;
use crate::hub::{self, RepoId, Target};
use crate::package::Contents;
use crate::report::{Printer, Transfer};
use crate::resolve::locate;

/// Checks and publishes a model, and prints the URL and the commit.
pub(super) fn run(args: &UploadArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let repo: RepoId = args.repo.parse()?;
    let revision = args.revision.parse()?;
    // A dry run of a directory uses no network, nor does a pretrained model.
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, &[], &settings, &transfer)?;
    let contents = Contents::new(&files, &repo.to_string(), args.license.as_deref())?;
    if !contents.left_out().is_empty() {
        printer.info(&format!("left out: {}", contents.left_out().join(", ")));
    }
    if args.dry_run {
        for file in contents.files() {
            printer.result(&format!("{}\t{}", file.name, file.size))?;
        }
        return Ok(Outcome::Done);
    }
    let message = match &args.message {
        Some(message) => message.clone(),
        None => format!("Upload {}", repo.name()),
    };
    let target = Target {
        repo: &repo,
        private: args.private,
        revision: &revision,
        message: &message,
        create_pr: args.create_pr,
    };
    let progress = Arc::new(Transfer::new(printer, "uploading"));
    let uploaded = hub::upload(contents, &target, &settings, progress)?;
    printer.result(&uploaded.url)?;
    if let Some(commit) = &uploaded.commit {
        printer.result(commit)?;
    }
    Ok(Outcome::Done)
}
