//! `zoo inspect`.

use std::io::Read;
use std::path::Path;

use anyhow::bail;
use models::registry;
use serde_json::{Value, json};

use super::{Outcome, hub_settings, of_key, warn_about_data};
use crate::cli::{DataKind, InspectArgs, SummaryFormat};
use crate::data::series::{Series, SeriesInventory, is_stream};
use crate::data::{
    DataError, Inspection, OpenOptions, inspect_images, is_dataset_name, public_name,
};
use crate::families;
use crate::families::classification::ClassificationRecipe;
use crate::families::forecasting::SeriesRecipe;
use crate::report::{Printer, Transfer, images_found, series_found};
use crate::train::Recipe;
use crate::train::recipe::{Overrides, resolve};

/// The names of series, without what they may be packed in.
const SERIES: [&str; 3] = ["csv", "tsv", "txt"];

/// Says what lies in data.
///
/// # Errors
/// When they cannot be had or read, or are of no known format.
pub(super) fn run(args: &InspectArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    match args.kind {
        Some(DataKind::Series) => series(args, printer),
        Some(DataKind::Images) => Ok(images(args, printer)??),
        None if is_series(&args.data) => series(args, printer),
        None => match images(args, printer)? {
            // A text without a name that says so.
            Err(DataError::UnknownFormat { .. })
                if is_text(Path::new(&args.data)) || holds_series(Path::new(&args.data)) =>
            {
                series(args, printer)
            }
            other => Ok(other?),
        },
    }
}

/// Whether the name says that it is a series.
fn is_series(data: &str) -> bool {
    if is_dataset_name(data) {
        return false;
    }
    let lower = data.to_lowercase();
    let name = lower.strip_suffix(".gz").unwrap_or(&lower);
    let has_name = SERIES.iter().any(|end| name.ends_with(&format!(".{end}")));
    is_stream(data) || (has_name && !Path::new(data).is_dir())
}

/// Whether a folder holds files whose names say that they are series; which of them, the reader asks.
fn holds_series(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.into_iter().any(|file| {
        let path = file.path();
        path.to_str().is_some_and(is_series)
    })
}

/// Whether a file begins with text.
fn is_text(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).map(|file| file.take(512).read_to_end(&mut start));
    let cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let text = std::str::from_utf8(&start).map_or_else(cut, |_| true);
    matches!(read, Ok(Ok(_))) && text && !start.is_empty() && !start.contains(&0)
}

/// The recipe of the model `name`, of which only the keys that `allows` may be set.
fn reading(
    args: &InspectArgs,
    name: &str,
    allows: fn(&str) -> bool,
    said: &str,
) -> anyhow::Result<Recipe> {
    let mut set = args.set.clone();
    set.extend(args.key.as_deref().map(of_key));
    for assignment in &set {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if !allows(key) {
            bail!(
                "`--set {assignment}` does not say how `{}` is read; {said}",
                args.data
            );
        }
    }
    let entry = registry::find(name)?;
    let (config, overrides) = (
        entry.config(),
        Overrides {
            set: &set,
            ..Overrides::default()
        },
    );
    let family = families::trainable(&config);
    Ok(resolve(family, entry, &args.data, &config, &overrides)?.recipe)
}

fn images(args: &InspectArgs, printer: &Printer) -> anyhow::Result<Result<Outcome, DataError>> {
    let allows = |key: &str| matches!(key, "image_size" | "classification.image_size");
    let said = "of images `image_size` can be set";
    let recipe = reading(args, "cifar-classifier", allows, said)?;
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let hub = settings.datasets(&transfer);
    let options = OpenOptions {
        size: recipe.section::<ClassificationRecipe>()?.image_size.get(),
        remote: Some(&hub),
        ..OpenOptions::default()
    };
    let found = match inspect_images(&args.data, &options, args.quick) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let Inspection {
        inventory,
        failed,
        notices,
    } = &found;
    let notice = (!notices.is_empty()).then(|| notices.join("; "));
    warn_about_data(printer, notice.as_deref(), failed);
    if args.quick {
        printer.info(
            "the headers of images were looked into and not their pixels; leave out `--quick` to find the images that are \
             damaged behind their headers",
        );
    }
    let text = match args.format {
        SummaryFormat::Table => images_found(inventory),
        SummaryFormat::Json => {
            let failed: Vec<Value> = failed
                .iter()
                .map(|file| json!({"path": file.path.to_string_lossy(), "reason": file.reason}))
                .collect();
            let more = [
                ("decoded", json!(!args.quick)),
                ("failed", json!(failed)),
                ("notices", json!(notices)),
            ];
            object("images", &args.data, serde_json::to_value(inventory)?, more)
        }
    };
    printer.result(&text)?;
    Ok(Ok(match failed.is_empty() {
        true => Outcome::Done,
        false => Outcome::SomeFailed,
    }))
}

fn series(args: &InspectArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let allows = |key: &str| {
        let keys = serde_json::to_value(SeriesRecipe::default()).unwrap_or_default();
        keys.get(key.strip_prefix("series.").unwrap_or(key))
            .is_some()
    };
    let said = "of a series the keys of `series` can be set";
    let recipe = reading(args, "series-forecaster", allows, said)?;
    let watched = recipe.descent()?.validation.fraction;
    let options = recipe.section::<SeriesRecipe>()?.options(watched);
    let (inventory, problem): (SeriesInventory, _) = Series::inspect(&args.data, &options)?;
    let problem = problem.map(|problem| problem.to_string());
    let text = match args.format {
        SummaryFormat::Table => series_found(&inventory, problem.as_deref()),
        SummaryFormat::Json => {
            let more = [("problem", json!(problem))];
            object(
                "series",
                &args.data,
                serde_json::to_value(&inventory)?,
                more,
            )
        }
    };
    printer.result(&text)?;
    Ok(Outcome::Done)
}

/// An inventory as one JSON object on one line.
fn object<const N: usize>(
    kind: &str,
    data: &str,
    inventory: Value,
    more: [(&str, Value); N],
) -> String {
    let mut object = serde_json::Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("data".into(), public_name(data).into());
    if let Value::Object(fields) = inventory {
        object.extend(fields);
    }
    object.extend(more.map(|(key, value)| (key.to_string(), value)));
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_known_by_name_or_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, text, named, content) in [
            ("a.csv", "t,y\n", true, true),
            ("a.CSV.gz", "\x1f", true, true),
            ("a.tsv", "", true, false),
            ("series", "t,y\n", false, true),
            ("b.bin", "a\0b", false, false),
        ] {
            std::fs::write(at(name), text).unwrap();
            assert_eq!(is_series(at(name).to_str().unwrap()), named, "{name}");
            assert_eq!(is_text(&at(name)), content, "{name}");
        }
        std::fs::create_dir(at("folder.csv")).unwrap();
        assert!(!is_series(at("folder.csv").to_str().unwrap()));
        assert!(is_series("-"));
        assert!(!is_series("sample"));
    }
}
