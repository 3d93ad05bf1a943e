//! `zoo man`.

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::Outcome;
use crate::cli::{Cli, ManArgs};
use crate::output::Output;
use crate::report::Printer;

/// Writes a page for `zoo` and one for each subcommand.
///
/// # Errors
/// When a page is there and may not be replaced (none is written then), or the system refuses.
pub(super) fn run(args: &ManArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the directory `{}`", args.out.display()))?;
    let pages: Vec<&Command> = std::iter::once(&command)
        .chain(command.get_subcommands())
        .collect();
    let files = pages.iter().map(|page| {
        let path = args.out.join(Man::new((*page).clone()).get_filename());
        Output::new("--out", &path, args.overwrite)
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    for (page, file) in pages.into_iter().zip(&files) {
        let mut text = Vec::new();
        Man::new(page.clone()).render(&mut text)?;
        file.write(&text, printer)?;
    }
    printer.info(&format!(
        "{} pages in `{}`",
        files.len(),
        args.out.display()
    ));
    Ok(Outcome::Done)
}
