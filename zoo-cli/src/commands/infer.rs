//! `zoo infer`.

use std::io::{self, Write};
use std::time::Instant;

use serde_json::json;

use super::{Outcome, hub_settings, open_device};
use crate::cli::{InferArgs, RowFormat};
use crate::data::inventory::{several_frames, visible};
use crate::families;
use crate::infer::{Labelled, Labeller, inputs};
use crate::report::{Printer, Transfer, peak_memory_mib, thousands};
use crate::resolve::resolve;
use crate::train::metrics::csv_field;

/// Labels images.
///
/// # Errors
/// When the model cannot be had, there are no inputs, or stdout cannot be written.
pub(super) fn run(args: &InferArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let opened = open_device(&args.device, printer)?;
    let settings = hub_settings(&args.hub)?;
    let transfer = Transfer::new(printer, "downloading");
    let resolved = resolve(&args.model, &settings, &transfer)?;
    families::expect("infer", &args.model, &resolved.model.config)?;
    let labeller = Labeller::new(&resolved.model, &opened.device)?;
    let started = Instant::now();
    let progress = printer.progress("images", 0, "images");
    let (mut done, mut failed, mut multi_frame) = (0, 0, 0);
    if args.format == RowFormat::Csv {
        printer.result("path,rank,label,index,probability")?;
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
            for labelled in &batch {
                done += 1;
                multi_frame += usize::from(labelled.multi_frame);
                if let Err(reason) = &labelled.outcome {
                    failed += 1;
                    printer.failed_input(reason);
                }
            }
            progress.advance(batch.len() as u64);
            Ok(())
        },
    )?;
    drop(progress);
    if done == 0 {
        anyhow::bail!(
            "there are no images to label; give files, folders or `-` with a list on stdin"
        );
    }
    if multi_frame > 0 {
        printer.info(&several_frames(multi_frame));
    }
    let seconds = started.elapsed().as_secs_f64();
    let memory = peak_memory_mib().map_or(String::new(), |mib| format!(", {mib} MiB at most"));
    let failures = match failed {
        0 => String::new(),
        n => format!(", {} failed", thousands(n)),
    };
    printer.info(&format!(
        "{} images in {seconds:.1} s on {} ({} images/s{memory}){failures}",
        thousands(done),
        opened.words,
        thousands((done as f64 / seconds.max(1e-9)).round() as usize),
    ));
    Ok(if failed > 0 {
        Outcome::SomeFailed
    } else {
        Outcome::Done
    })
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
            writeln!(out, "{row}")
        }
        (RowFormat::Jsonl, Err(reason)) => {
            writeln!(out, "{}", json!({"path": path, "error": reason}))
        }
        (RowFormat::Csv, Ok(predictions)) => {
            for (rank, p) in predictions.iter().enumerate() {
                writeln!(
                    out,
                    "{},{},{},{},{}",
                    csv_field(&path),
                    rank + 1,
                    csv_field(&p.label),
                    p.index,
                    p.probability
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
