//! What a training or an evaluation came to.

use serde_json::{Map, Value, json};

use super::{Table, thousands};
use crate::cli::SummaryFormat;
use crate::train::session::Summary;

/// A summary of work that was done on `device`, as it is printed.
pub fn summary(summary: &Summary, device: &str, format: SummaryFormat) -> String {
    summary_with(summary, device, format, Map::new())
}

/// The same; `more` stands in its JSON as well.
pub fn summary_with(
    summary: &Summary,
    device: &str,
    format: SummaryFormat,
    more: Map<String, Value>,
) -> String {
    match format {
        SummaryFormat::Json => {
            let mut object = Map::new();
            for (measure, value) in &summary.test {
                object.insert(measure.name.into(), json!(value));
            }
            object.insert("model".into(), json!(summary.model));
            object.insert("data".into(), json!(summary.data));
            object.insert("examples".into(), json!(summary.examples));
            object.insert("parameters".into(), json!(summary.parameters));
            object.insert("seconds".into(), json!(summary.seconds));
            let rate = format!("{}_per_second", summary.unit);
            object.insert(rate, json!(summary.examples_per_second));
            object.insert("device".into(), json!(device));
            object.insert("dir".into(), json!(summary.dir));
            object.extend(more);
            Value::Object(object).to_string()
        }
        SummaryFormat::Table => {
            let mut table = vec![
                ("model".to_string(), summary.model.clone()),
                ("data".into(), summary.data.clone()),
            ];
            for (measure, value) in &summary.test {
                table.push((measure.name.into(), measure.shown(*value)));
            }
            let rate = thousands(summary.examples_per_second.round() as usize);
            table.push(("examples".into(), thousands(summary.examples)));
            table.push(("seconds".into(), format!("{:.1}", summary.seconds)));
            table.push((format!("{}/s", summary.unit), rate));
            if device != "cpu" {
                table.push(("device".into(), device.to_string()));
            }
            if let Some(dir) = &summary.dir {
                table.push(("dir".into(), dir.display().to_string()));
            }
            Table::of_one(table).to_string()
        }
    }
}
