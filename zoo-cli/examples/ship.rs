//! Puts a trained run into `weights/NAME`, where the next build embeds it, and writes the manifest anew:
//!
//! ```text
//! cargo run --release -p zoo-cli --example ship -- runs/surface-fitter-1
//! cargo run --release -p zoo-cli --example ship -- runs/cifar-classifier-1 --data cifar10 \
//!     --note "the images are a JPEG copy" --half path/to/cifar10
//! ```
//!
//! With `--half` the weights are rounded to 16 bits, `zoo eval` (built beforehand) measures the run and the rounded
//! model on that data, and the rounded one ships only when its accuracy is the same and nothing else is worse by more
//! than one part in a thousand. The card then holds the measures of the rounded weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use models::model_dir::{self, Storage};
use models::write::replace_file;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zoo::layout::{CARD, EXAMPLES, TRAINING};
use zoo::package::{card, examples};
use zoo::train::RunDir;
use zoo::train::record::TrainingRecord;

/// Ships a trained run.
#[derive(Parser)]
struct Args {
    /// The directory of the run.
    run: PathBuf,
    /// The public name of its data, in place of a path on this machine.
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    /// A sentence on the data for the card.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The command that made the run, where it says more than model, data, epochs and seed.
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// The licence, as the Hub calls it.
    #[arg(long, default_value = "mit")]
    license: String,
    /// Store 16 bits, if they are worth the same on this data.
    #[arg(long, value_name = "DATA")]
    half: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weights");
    let mut model = model_dir::load(&args.run)?;
    let mut record = record(&args)?;
    let temporary = weights.join(format!(".{}.tmp", model.model));
    // Remains of a try that failed.
    let _ = fs::remove_dir_all(&temporary);
    let storage = match args.half {
        Some(_) => Storage::Half,
        None => Storage::Full,
    };
    model_dir::save(&temporary, &model, storage)?;
    if let Some(data) = &args.half {
        remeasure(&args.run, &temporary, data, &mut record)?;
        model = model_dir::load(&temporary)?;
    }
    let text = card::render(&model, Some(&record), &args.license, None);
    let json = format!("{}\n", serde_json::to_string_pretty(&record)?);
    for (name, bytes) in [
        (TRAINING, json.into_bytes()),
        (CARD, text.into_bytes()),
        (EXAMPLES, examples::make(&model)?),
    ] {
        replace_file(&temporary.join(name), &bytes)?;
    }
    let place = weights.join(&model.model);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::rename(&temporary, &place)?;
    replace_file(&weights.join("SHA256SUMS"), manifest(&weights)?.as_bytes())?;
    Ok(())
}

/// The record of the run with what the arguments say, and without paths of this machine.
fn record(args: &Args) -> Result<TrainingRecord> {
    let mut record = TrainingRecord::read(&RunDir::existing(&args.run))?;
    if args.command.is_some() {
        record.command.clone_from(&args.command);
    }
    let data = &mut record.data;
    if let Some(name) = &args.data {
        (data.argument, data.name) = (Some(name.clone()), name.clone());
    }
    if args.note.is_some() {
        data.notice.clone_from(&args.note);
    }
    for text in [&data.argument, &Some(data.name.clone()), &data.notice] {
        let is_path = |text: &String| text.contains(['/', '\\']);
        ensure!(
            !text.as_ref().is_some_and(is_path),
            "`data` of the record holds a path of this machine; give `--data` and `--note`"
        );
    }
    Ok(record)
}

/// Compares the rounded model with the run, and puts its measures into the record.
fn remeasure(run: &Path, rounded: &Path, data: &str, record: &mut TrainingRecord) -> Result<()> {
    let (before, after) = (evaluate(run, data)?, evaluate(rounded, data)?);
    let result = record.result.as_mut();
    let test = &mut result
        .context("the record holds no result; ship a run that was finished")?
        .test;
    for (name, value) in test {
        let number = |measured: &Map<String, Value>| {
            let found = measured.get(name).and_then(Value::as_f64);
            found.with_context(|| format!("`zoo eval` does not print `{name}`"))
        };
        let (was, is) = (number(&before)?, number(&after)?);
        let allowed = if name == "accuracy" {
            0.0
        } else {
            1e-3 * was.abs()
        };
        if (is - was).abs() > allowed {
            bail!("16 bits change `{name}` from {was} to {is}; leave `--half` out");
        }
        *value = is;
    }
    Ok(())
}

/// What `zoo eval` says of a model directory.
fn evaluate(dir: &Path, data: &str) -> Result<Map<String, Value>> {
    let example = std::env::current_exe()?;
    let target = example.ancestors().nth(2).context("no target directory")?;
    let zoo = target.join(format!("zoo{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&zoo)
        .arg("eval")
        .arg(dir)
        .args(["--data", data, "--format", "json", "--quiet"])
        .output()
        .with_context(|| format!("cannot run `{}`; build it first", zoo.display()))?;
    ensure!(
        output.status.success(),
        "`zoo eval` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The SHA-256 of every file of every model, `HASH  MODEL/FILE` a line, as `sha256sum` writes it.
fn manifest(weights: &Path) -> Result<String> {
    let mut lines = BTreeMap::new();
    for model in fs::read_dir(weights)? {
        let model = model?.path();
        if !model.join(model_dir::CONFIG).is_file() {
            continue;
        }
        for file in fs::read_dir(&model)? {
            let file = file?.path();
            let name = file.strip_prefix(weights)?.to_string_lossy().into_owned();
            let digest = Sha256::digest(fs::read(&file)?);
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.insert(name.clone(), format!("{digits}  {name}\n"));
        }
    }
    Ok(lines.into_values().collect())
}
