//! MODEL on the command line: a directory, a name of the registry, or a repository of the Hub.

use std::path::{Path, PathBuf};

use anyhow::bail;
use models::{ModelDir, model_dir, registry};

/// A model that is ready to use.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The network with its parameters.
    pub model: ModelDir,
    /// Its directory, if it has one.
    pub dir: Option<PathBuf>,
}

/// Finds the model that `name` stands for.
///
/// # Errors
/// When nothing has that name (the nearest is suggested), or its files are damaged.
pub fn resolve(name: &str) -> anyhow::Result<Resolved> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(Resolved {
            model: model_dir::load(path)?,
            dir: Some(path.to_path_buf()),
        });
    }
    if path.exists() {
        bail!("`{name}` is a file; give the model's directory");
    }
    if name.contains(['/', '\\']) {
        bail!("there is no model directory `{name}`");
    }
    let entry = registry::find(name)?;
    bail!(
        "`{0}` has no pretrained weights in this build; train it with `zoo train {0}` and give the directory",
        entry.name
    )
}
