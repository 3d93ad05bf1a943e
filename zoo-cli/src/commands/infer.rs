//! `zoo infer`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Instant;

use anyhow::bail;
use candle_core::{Device, Tensor};
use serde_json::json;

use super::{Outcome, hub_settings, keep_model, open_device};
use crate::cli::{InferArgs, RowFormat};
use crate::data::inventory::{several_frames, visible};
use crate::evaluation::Augmented;
use crate::families;
use crate::infer::{Labelled, Labeller, inputs};
use crate::output::Output;
use crate::package::{CalibrationFile, ModelFiles};
use crate::report::{Printer, Transfer, peak_memory_mib, thousands};
use crate::resolve::{ESSENTIAL, locate};
use crate::train::metrics::csv_field;

/// Labels images.
///
/// # Errors
/// When the model cannot be had, there are no inputs, or stdout or the file of features cannot be written.
pub(super) fn run(args: &InferArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let kept = args.save_features.as_deref();
    let kept = kept.map(|path| Output::new("--save-features", path, args.overwrite));
    let kept = kept.transpose()?;
    if kept.as_ref().is_some_and(Output::is_stdout) {
        bail!("`--save-features` cannot go to stdout, where the labels go; name a file");
    }
    let opened = open_device(&args.device, printer)?;
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, ESSENTIAL, &settings, &transfer)?;
    if let Some(kept) = &kept {
        keep_model(kept, &files)?;
        args.paths.iter().try_for_each(|input| kept.keep(input))?;
    }
    let model = files.load()?;
    families::expect("infer", &args.model, &model.config)?;
    let mut labeller = Labeller::new(&model, &opened.device)?
        .augmented(args.tta)
        .threshold(args.threshold);
    if args.calibrated {
        labeller = labeller.temperature(temperature(&args.model, &files, args.tta)?);
    }
    if kept.is_some() {
        labeller = labeller.with_features();
    }
    let started = Instant::now();
    let progress = printer.progress("images", 0, "images");
    let mut seen = Seen::default();
    if args.format == RowFormat::Csv {
        printer.result("path,rank,label,index,probability,true_label")?;
    }
    labeller.label_all(
        inputs(args.paths.clone()),
        args.batch_size as usize,
        args.top_k as usize,
        |batch| {
            printer.write_results(|out| {
                for labelled in &batch {
                    write_row(out, labelled, args.format)?;
                }
                Ok(())
            })?;
            progress.advance(batch.len() as u64);
            for labelled in batch {
                if let Err(reason) = &labelled.outcome {
                    printer.failed_input(reason);
                }
                seen.add(labelled);
            }
            Ok(())
        },
    )?;
    drop(progress);
    if seen.done == 0 {
        bail!("there are no images to label; give files, folders or `-` with a list on stdin");
    }
    if let Some(kept) = &kept {
        kept.write(&seen.features(&model.model)?, printer)?;
    }
    if seen.multi_frame > 0 {
        printer.info(&several_frames(seen.multi_frame));
    }
    if seen.in_class_folders > 0 {
        printer.info(&format!(
            "{} of {} images in folders with the name of a class have its label",
            thousands(seen.right),
            thousands(seen.in_class_folders)
        ));
    }
    let seconds = started.elapsed().as_secs_f64();
    let memory = peak_memory_mib().map_or(String::new(), |mib| format!(", {mib} MiB at most"));
    let failures = match seen.failed {
        0 => String::new(),
        n => format!(", {} failed", thousands(n)),
    };
    printer.info(&format!(
        "{} images in {seconds:.1} s on {} ({} images/s{memory}){failures}",
        thousands(seen.done),
        opened.words,
        thousands((seen.done as f64 / seconds.max(1e-9)).round() as usize),
    ));
    Ok(if seen.failed > 0 {
        Outcome::SomeFailed
    } else {
        Outcome::Done
    })
}

/// The temperature that was fitted for this way of labelling.
fn temperature(name: &str, files: &ModelFiles, augmented: Augmented) -> anyhow::Result<f64> {
    let fitted = CalibrationFile::of(files)?;
    let fitted = fitted
        .as_ref()
        .and_then(|file| file.temperature.get(&augmented));
    let Some(record) = fitted else {
        let tta = match augmented {
            Augmented::None => "",
            Augmented::Flip => " --tta flip",
        };
        bail!(
            "`{name}` has no temperature for `--calibrated`; fit one with `zoo eval DIR --calibrate{tta}`, DIR being the \
             directory of a model of your own"
        );
    };
    Ok(record.value)
}

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    done: usize,
    failed: usize,
    multi_frame: usize,
    in_class_folders: usize,
    right: usize,
    /// The images whose features are kept, and these, row after row.
    paths: Vec<String>,
    features: Vec<f32>,
}

impl Seen {
    fn add(&mut self, labelled: Labelled) {
        self.done += 1;
        self.multi_frame += usize::from(labelled.multi_frame);
        let Ok(predictions) = &labelled.outcome else {
            self.failed += 1;
            return;
        };
        if let (Some(class), Some(first)) = (&labelled.folder_class, predictions.first()) {
            self.in_class_folders += 1;
            self.right += usize::from(first.index.is_some() && first.label == *class);
        }
        if !labelled.features.is_empty() {
            self.paths
                .push(labelled.path.to_string_lossy().into_owned());
            self.features.extend(labelled.features);
        }
    }

    /// The features as a safetensors file: `features` `[images, width]`, and as metadata `names`, a list of the paths
    /// in JSON, and `model`.
    fn features(&self, model: &str) -> anyhow::Result<Vec<u8>> {
        let images = self.paths.len();
        let shape = (images, self.features.len() / images.max(1));
        let features = Tensor::from_slice(&self.features, shape, &Device::Cpu)?;
        let names = serde_json::to_string(&self.paths)?;
        let metadata = [("names", names), ("model", model.to_owned())];
        let metadata: HashMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        Ok(safetensors::serialize(
            [("features", features)],
            Some(metadata),
        )?)
    }
}

fn write_row(out: &mut dyn Write, labelled: &Labelled, format: RowFormat) -> io::Result<()> {
    let path = labelled.path.to_string_lossy();
    match (format, &labelled.outcome) {
        (RowFormat::Jsonl, Ok(predictions)) => {
            let predictions: Vec<_> = predictions
                .iter()
                .map(|p| json!({"label": p.label, "index": p.index, "probability": p.probability}))
                .collect();
            let mut row = json!({"path": path, "predictions": predictions});
            if labelled.multi_frame {
                row["multi_frame"] = true.into();
            }
            if let Some(class) = &labelled.folder_class {
                row["true_label"] = class.as_str().into();
            }
            writeln!(out, "{row}")
        }
        (RowFormat::Jsonl, Err(reason)) => {
            writeln!(out, "{}", json!({"path": path, "error": reason}))
        }
        (RowFormat::Csv, Ok(predictions)) => {
            for (rank, p) in predictions.iter().enumerate() {
                writeln!(
                    out,
                    "{},{},{},{},{},{}",
                    csv_field(&path),
                    rank + 1,
                    csv_field(&p.label),
                    p.index.map_or(String::new(), |index| index.to_string()),
                    p.probability,
                    labelled
                        .folder_class
                        .as_deref()
                        .map_or(String::new(), csv_field)
                )?;
            }
            Ok(())
        }
        (RowFormat::Table, Ok(predictions)) => {
            let shown: Vec<String> = predictions
                .iter()
                .map(|p| format!("{} {:.3}", visible(&p.label), p.probability))
                .collect();
            writeln!(out, "{}  {}", visible(&path), shown.join("  "))
        }
        (RowFormat::Csv | RowFormat::Table, Err(_)) => Ok(()),
    }
}
