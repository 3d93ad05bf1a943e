//! Turns `SHA256SUMS` into a table of embedded files.
#![allow(clippy::print_stdout)] // This is how a build script talks to Cargo.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let manifest = root.join("SHA256SUMS");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let mut models: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in fs::read_to_string(&manifest)?.lines() {
        let parsed = line
            .split_once("  ")
            .and_then(|(digits, path)| Some((digits, path.split_once('/')?)));
        let Some((digits, (model, file))) = parsed else {
            return Err(format!("weights/SHA256SUMS: `{line}` is not `HASH  MODEL/FILE`").into());
        };
        let files = models.entry(model.to_owned()).or_default();
        files.insert(file.to_owned(), digits.to_owned());
    }
    let mut table = "const MODELS: &[Model] = &[\n".to_owned();
    for (model, files) in &models {
        writeln!(table, "    ({model:?}, &[")?;
        for (name, sha256) in files {
            let path = root.join(model).join(name);
            println!("cargo::rerun-if-changed={}", path.display());
            writeln!(
                table,
                "        File {{ name: {name:?}, bytes: include_bytes!({path:?}), sha256: {sha256:?} }},"
            )?;
        }
        writeln!(table, "    ]),")?;
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("models.rs"), table)?;
    Ok(())
}
