//! What a run measured, epoch by epoch: `metrics.csv` and `metrics.jsonl`.
//!
//! Nothing in them depends on the clock, so that a repeated run writes the same bytes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::measure::Measure;
use super::record::DataRecord;
use super::{RunDir, TrainError};
use crate::layout::{METRICS_CSV, METRICS_JSONL};

/// One epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// The task's measures on the training batches as they came (augmented, while the weights changed).
    pub train: Vec<f64>,
    /// The measures on the held-out examples, if there are any.
    pub validation: Option<Vec<f64>>,
    /// The measures on the test part, after the last epoch.
    pub test: Option<Vec<f64>>,
}

/// Writes both files.
///
/// # Errors
/// When one cannot be written.
pub fn write(
    dir: &RunDir,
    measures: &[Measure],
    data: &DataRecord,
    rows: &[Row],
) -> Result<(), TrainError> {
    dir.write(METRICS_CSV, csv(measures, data, rows).as_bytes())?;
    dir.write(METRICS_JSONL, jsonl(measures, data, rows).as_bytes())
}

fn parts(row: &Row) -> [(&'static str, Option<&Vec<f64>>); 3] {
    [
        ("train", Some(&row.train)),
        ("validation", row.validation.as_ref()),
        ("test", row.test.as_ref()),
    ]
}

fn csv(measures: &[Measure], data: &DataRecord, rows: &[Row]) -> String {
    let mut text = String::from("epoch,step,learning_rate");
    for part in ["train", "validation", "test"] {
        for measure in measures {
            text += &format!(",{part}_{}", measure.name);
        }
    }
    text += ",data\n";
    for row in rows {
        text += &format!("{},{},{}", row.epoch, row.step, row.learning_rate);
        for (_, values) in parts(row) {
            for i in 0..measures.len() {
                match values.and_then(|v| v.get(i)) {
                    Some(value) => text += &format!(",{value}"),
                    None => text.push(','),
                }
            }
        }
        text += &format!(",{}\n", csv_field(&data.name));
    }
    text
}

/// A field of a CSV file, quoted where it must be (RFC 4180).
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

fn jsonl(measures: &[Measure], data: &DataRecord, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut object = Map::new();
        object.insert("epoch".into(), row.epoch.into());
        object.insert("step".into(), row.step.into());
        object.insert("learning_rate".into(), row.learning_rate.into());
        for (part, values) in parts(row) {
            for (measure, &value) in measures.iter().zip(values.into_iter().flatten()) {
                object.insert(format!("{part}_{}", measure.name), value.into());
            }
        }
        object.insert("data".into(), data.name.clone().into());
        if let Some(notice) = &data.notice {
            object.insert("notice".into(), notice.clone().into());
        }
        text += &Value::Object(object).to_string();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Contrast, Digits};
    use super::*;

    const MEASURES: &[Measure] = &[
        Measure::lower("loss", Contrast::Difference, Digits::Fixed(4)),
        Measure::higher("accuracy", Digits::Fixed(4)),
    ];

    fn rows() -> Vec<Row> {
        let row = |epoch: usize| Row {
            epoch,
            step: 10 * epoch as u64,
            learning_rate: 0.5,
            train: vec![1.25, 0.5],
            validation: None,
            test: (epoch == 2).then(|| vec![1.0, 0.75]),
        };
        vec![row(1), row(2)]
    }

    #[test]
    fn csv_and_jsonl_say_the_same() {
        let data = DataRecord {
            name: "a, b".into(),
            notice: Some("the sample".into()),
            ..Default::default()
        };
        assert_eq!(
            csv(MEASURES, &data, &rows()),
            "epoch,step,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy,test_loss,\
             test_accuracy,data\n1,10,0.5,1.25,0.5,,,,,\"a, b\"\n2,20,0.5,1.25,0.5,,,1,0.75,\"a, b\"\n"
        );
        let lines = jsonl(MEASURES, &data, &rows());
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["test_accuracy"], 0.75);
        assert_eq!(last["notice"], "the sample");
        assert_eq!(last["train_loss"], 1.25);
        assert!(last.get("validation_loss").is_none());
    }
}
