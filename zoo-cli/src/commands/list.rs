//! `zoo list`.

use models::registry;
use serde_json::json;

use super::Outcome;
use crate::cli::{ListArgs, SummaryFormat};
use crate::package::ModelFiles;
use crate::pattern::matches;
use crate::report::{Printer, Table, thousands};

/// Lists the models whose names match.
///
/// # Errors
/// When none does, or stdout cannot be written.
pub(super) fn run(args: &ListArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let pattern = args.pattern.as_deref().unwrap_or("*");
    let entries: Vec<_> = registry::entries()
        .iter()
        .filter(|entry| means(pattern, entry.name))
        .collect();
    if entries.is_empty() {
        anyhow::bail!("no model matches `{pattern}`; `zoo list` shows all");
    }
    let mut table = Table::new(["model", "parameters", "data", "pretrained", "about"]);
    let mut objects = Vec::new();
    for entry in entries {
        let parameters = entry.config().parameter_count()?;
        let pretrained = match ModelFiles::embedded(entry.name) {
            Some(files) => files.record()?,
            None => None,
        };
        table.row([
            entry.name.to_string(),
            thousands(parameters),
            entry.default_data.to_string(),
            (pretrained.as_ref()).map_or_else(String::new, |record| record.data.name.clone()),
            entry.about(),
        ]);
        objects.push(json!({
            "model": entry.name,
            "task": entry.task.name(),
            "parameters": parameters,
            "data": entry.default_data,
            "pretrained": pretrained.map(|record| json!({
                "data": record.data.name,
                "test": record.result.map(|result| result.test),
            })),
            "about": entry.about(),
        }));
    }
    match args.format {
        SummaryFormat::Table => printer.result(&table.to_string())?,
        SummaryFormat::Json => printer.result(&serde_json::Value::from(objects).to_string())?,
    }
    Ok(Outcome::Done)
}

/// Whether a user who asks for `pattern` means `name`: a pattern without `*` and `?` is a part of the name.
fn means(pattern: &str, name: &str) -> bool {
    match pattern.contains(['*', '?']) {
        true => matches(pattern, name),
        false => name.contains(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::means;

    #[test]
    fn a_pattern_without_wildcards_is_a_part_of_the_name() {
        for (pattern, expected) in [
            ("", true),
            ("classifier", true),
            (".plain", true),
            ("cifar-classifier.plain", true),
            ("cifar-classifier.plain-", false),
            ("plain*", false),
            ("*plain", true),
            ("Plain", false),
        ] {
            assert_eq!(
                means(pattern, "cifar-classifier.plain"),
                expected,
                "{pattern}"
            );
        }
    }
}
