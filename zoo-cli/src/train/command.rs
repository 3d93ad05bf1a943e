//! Commands that a shell reads.

use std::borrow::Cow;

use super::recipe::Overrides;
use super::record::TrainingRecord;

/// `text` as one word for a POSIX shell.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

/// The command for what `record` tells of a training: model, data, epochs and seed.
pub(super) fn plain(record: &TrainingRecord) -> String {
    let mut words = vec!["zoo train".to_string(), record.model.clone()];
    if let Some(data) = &record.data.argument {
        words.push(format!("--data {}", quoted(data)));
    }
    if let Some(base) = &record.base {
        words.push(format!("--from {}", quoted(&base.name)));
    }
    if let Ok(descent) = record.recipe.descent() {
        words.push(format!("--epochs {}", descent.epochs));
    }
    words.push(format!("--seed {}", record.seed));
    words.join(" ")
}

/// The command for a training with these `overrides`; nothing where [`plain`] tells it.
pub(super) fn exact(record: &TrainingRecord, overrides: &Overrides<'_>) -> Option<String> {
    let mut command = plain(record);
    let told = command.len();
    if let (Some(epochs), Err(_)) = (overrides.epochs, record.recipe.descent()) {
        command += &format!(" --epochs {epochs}");
    }
    if let Some(name) = overrides.file.and_then(|path| path.file_name()) {
        command += &format!(" --recipe {}", quoted(&name.to_string_lossy()));
    }
    for assignment in overrides.set {
        command += &format!(" --set {}", quoted(assignment));
    }
    (command.len() > told).then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        for (text, expected) in [
            ("runs/a-1", "runs/a-1"),
            ("batch_size=8", "batch_size=8"),
            ("model.widths=[4,4]", "'model.widths=[4,4]'"),
            ("my data", "'my data'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
