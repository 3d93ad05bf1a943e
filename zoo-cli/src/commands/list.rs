//! `zoo list`.

use models::registry;
use serde_json::json;

use super::Outcome;
use crate::cli::{ListArgs, SummaryFormat};
use crate::package::ModelFiles;
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

/// Whether `name` is what `pattern` describes, `*` standing for any characters, `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last star stood, and where in the name it was tried to end.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, end)) = star {
            star = Some((at, end + 1));
            p = at + 1;
            n = end + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::{matches, means};

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

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("cifar-*", "cifar-classifier", true),
            ("cifar-*", "series-forecaster", false),
            ("*.plain", "cifar-classifier.plain", true),
            ("*a*a*b", "aacab", true),
            ("*a*a*b", "abb", false),
            ("c?far-classifier", "cifar-classifier", true),
            ("cifar-classifier", "cifar-classifier.plain", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
