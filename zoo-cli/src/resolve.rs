//! MODEL on the command line: a directory, a name of the registry, or a repository of the Hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use models::{ModelDir, model_dir, registry};

use crate::hub::{self, Progress, RepoId, RepoKind, Request, Settings};

/// The files of a repository that make a model.
const FILES: &[&str] = &[
    model_dir::CONFIG,
    model_dir::WEIGHTS,
    model_dir::PREPROCESSOR,
    "training.json",
];

/// A model that is ready to use.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The network with its parameters.
    pub model: ModelDir,
    /// Its directory, if it has one.
    pub dir: Option<PathBuf>,
}

/// Finds the model that `name` stands for; a repository is fetched into the cache, or found there.
///
/// # Errors
/// When nothing has that name (the nearest is suggested), it cannot be fetched, or its files are damaged.
pub fn resolve(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> anyhow::Result<Resolved> {
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
    if name.contains('/') {
        let (repo, revision) = RepoId::parse_with_revision(name)
            .with_context(|| format!("`{name}` is no directory and no repository"))?;
        let request = Request {
            repo: &repo,
            kind: RepoKind::Model,
            revision: &revision,
            patterns: FILES,
        };
        let dir = hub::download(&request, settings, progress)?.dir;
        return Ok(Resolved {
            model: model_dir::load(&dir)?,
            dir: Some(dir),
        });
    }
    let entry = registry::find(name)?;
    bail!(
        "`{0}` has no pretrained weights in this build; train it with `zoo train {0}` and give the directory",
        entry.name
    )
}
