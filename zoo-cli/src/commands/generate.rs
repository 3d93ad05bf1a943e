//! `zoo generate`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use models::{ModelDir, registry};
use serde_json::json;

use super::{
    Outcome, check_same, data_of_training, hub_settings, keep_model, open_device, training_record,
    warn_about_data,
};
use crate::cli::{GenerateArgs, SummaryFormat};
use crate::data::decode::preprocess;
use crate::data::inventory::several_frames;
use crate::data::{ImageDataset, OpenOptions, open_images};
use crate::families;
use crate::generate::{MAX_ORIGINALS, Painter};
use crate::hub::Settings;
use crate::infer::inputs;
use crate::output::Output;
use crate::report::{Printer, Table, Transfer};
use crate::resolve::{ESSENTIAL, locate};

/// Originals that are drawn from a dataset.
const FROM_DATASET: usize = 16;

/// Draws originals, reconstructions, samples and interpolations on one sheet.
///
/// # Errors
/// When model or images cannot be had, or the sheet cannot be written.
pub(super) fn run(args: &GenerateArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let settings = hub_settings(&args.hub)?;
    let sheet = Output::new("--out", &args.out, args.overwrite)?;
    for input in args
        .paths
        .iter()
        .map(PathBuf::as_path)
        .chain(args.data.as_ref().map(Path::new))
    {
        sheet.keep(input)?;
    }
    let opened = open_device(&args.device, printer)?;
    let transfer = Transfer::new(printer, "downloading");
    let files = locate(&args.model, ESSENTIAL, &settings, &transfer)?;
    keep_model(&sheet, &files)?;
    let model = files.load()?;
    families::expect("generate", &args.model, &model.config)?;
    let family = families::of(&model.config);
    let painter = Painter::new(&model, &opened.device)?;
    let (originals, failed) = if args.paths.is_empty() {
        let record = training_record(&files, printer);
        let spec = match &args.data {
            Some(data) => Some(data.clone()),
            None => data_of_training(&args.model, family, record.as_ref())?,
        };
        sheet.keep(Path::new(spec.as_deref().unwrap_or_default()))?;
        let data = dataset(&model, spec.as_deref(), &settings, printer)?;
        if args.data.is_none() {
            let (name, record) = (&args.model, record.as_ref());
            check_same(name, record, family, spec.as_deref(), &data.source, printer)?;
        }
        (some(&data), !data.source.skipped.is_empty())
    } else {
        from_files(args, &painter, &sheet, printer)?
    };
    let painted = painter.draw(&originals, args.samples as usize, args.seed)?;
    sheet.write(&painted.png, printer)?;
    let measures = family.measures().all;
    let quality = measures.iter().zip(painted.quality.iter().flatten());
    let summary = match args.format {
        SummaryFormat::Json => {
            let mut object = serde_json::Map::new();
            for (measure, value) in quality {
                object.insert(measure.name.into(), json!(value));
            }
            object.insert("model".into(), json!(model.model));
            object.insert("device".into(), json!(opened.name));
            object.insert("sheet".into(), json!(args.out));
            object.insert("originals".into(), json!(originals.len()));
            object.insert("samples".into(), json!(args.samples));
            serde_json::Value::Object(object).to_string()
        }
        SummaryFormat::Table => {
            let mut table = vec![
                ("sheet".to_string(), args.out.display().to_string()),
                ("originals".into(), originals.len().to_string()),
            ];
            for (measure, value) in quality {
                table.push((measure.name.into(), measure.shown(*value)));
            }
            table.push(("samples".into(), args.samples.to_string()));
            Table::of_one(table).to_string()
        }
    };
    // Beside a sheet on stdout nothing else may stand there.
    match sheet.is_stdout() {
        true => printer.info(&summary),
        false => printer.result(&summary)?,
    }
    Ok(if failed {
        Outcome::SomeFailed
    } else {
        Outcome::Done
    })
}

/// The dataset whose test images are drawn.
fn dataset(
    model: &ModelDir,
    spec: Option<&str>,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<ImageDataset> {
    let transfer = Transfer::new(printer, "downloading");
    let hub = settings.datasets(&transfer);
    let options = OpenOptions {
        preprocessor: model.preprocessor.clone(),
        remote: Some(&hub),
        ..OpenOptions::default()
    };
    let default = registry::find(&model.model).map_or("cifar10", |entry| entry.default_data);
    let data = open_images(spec, default, &options)?;
    for line in data.inventory.lines() {
        printer.info(&line);
    }
    warn_about_data(printer, data.source.notice.as_deref(), &data.source.skipped);
    Ok(data)
}

/// Test images from all over a dataset: many are sorted by class.
fn some(data: &ImageDataset) -> Vec<Vec<u8>> {
    let count = data.test.len().min(FROM_DATASET);
    let chosen = (0..count).map(|i| data.test.image(i * data.test.len() / count));
    chosen.map(<[u8]>::to_vec).collect()
}

/// The images that the paths stand for, and whether one of them failed.
fn from_files(
    args: &GenerateArgs,
    painter: &Painter,
    sheet: &Output,
    printer: &Printer,
) -> anyhow::Result<(Vec<Vec<u8>>, bool)> {
    let (mut originals, mut multi_frame, mut failed) = (Vec::new(), 0, false);
    for input in inputs(args.paths.clone()) {
        if originals.len() == MAX_ORIGINALS {
            printer.warn(&format!("only the first {MAX_ORIGINALS} images are drawn"));
            break;
        }
        if let Ok(path) = &input {
            sheet.keep(path)?;
        }
        let read = input
            .map_err(|(_, reason)| reason)
            .and_then(|path| preprocess(&path, painter.input()).map_err(|e| e.to_string()));
        match read {
            Ok(image) => {
                multi_frame += usize::from(image.multi_frame);
                originals.push(image.pixels);
            }
            Err(reason) => {
                failed = true;
                printer.failed_input(&reason);
            }
        }
    }
    if multi_frame > 0 {
        printer.info(&several_frames(multi_frame));
    }
    if originals.is_empty() {
        bail!("none of the paths gave an image; give image files or folders");
    }
    Ok((originals, failed))
}
