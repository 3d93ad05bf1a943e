//! MODEL on the command line: a directory, a name of the registry, or a repository of the Hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use models::{ModelDir, model_dir, registry};

use crate::hub::{self, Progress, RepoId, RepoKind, Request, Settings};
use crate::package::ModelFiles;

/// The files of a repository that make a model: the weights, and every text in JSON.
pub const ESSENTIAL: &[&str] = &[model_dir::WEIGHTS, "*.json"];

/// A model that is ready to use.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The network with its parameters.
    pub model: ModelDir,
    /// Its directory, if it has one: a pretrained model has none.
    pub dir: Option<PathBuf>,
}

/// Loads the model that `name` stands for; a repository is fetched into the cache, or found there.
///
/// # Errors
/// When nothing has that name (the nearest is suggested), it cannot be fetched, or its files are damaged.
pub fn resolve(
    name: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> anyhow::Result<Resolved> {
    let files = locate(name, ESSENTIAL, settings, progress)?;
    Ok(Resolved {
        model: files.load()?,
        dir: files.dir().map(Path::to_path_buf),
    })
}

/// Finds the files that `name` stands for. Of a repository those that match `patterns` are fetched, all of them when
/// there are no patterns.
///
/// # Errors
/// When nothing has that name (the nearest is suggested), or it cannot be fetched.
pub fn locate(
    name: &str,
    patterns: &[&str],
    settings: &Settings,
    progress: &dyn Progress,
) -> anyhow::Result<ModelFiles> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(ModelFiles::Directory(path.to_path_buf()));
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
            patterns,
        };
        let snapshot = hub::download(&request, settings, progress)?;
        return Ok(ModelFiles::Directory(snapshot.dir));
    }
    if let Some(files) = ModelFiles::embedded(name) {
        return Ok(files);
    }
    let entry = registry::find(name)?;
    bail!(
        "`{0}` has no pretrained weights in this build; train it with `zoo train {0}` and give the directory, or take one of `zoo list`",
        entry.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Overrides, Silent};

    /// Without a network.
    fn resolve(name: &str) -> anyhow::Result<Resolved> {
        let overrides = Overrides {
            cache: Some(std::env::temp_dir().join("there-is-no-such-cache")),
            offline: true,
            ..Overrides::default()
        };
        let settings = Settings::resolve_from(&overrides, &|_| None).unwrap();
        super::resolve(name, &settings, &Silent)
    }

    #[test]
    fn every_pretrained_model_loads_under_its_own_name() {
        for name in weights::names() {
            let resolved = resolve(name).unwrap();
            assert_eq!(resolved.model.model, name);
            assert!(registry::find(name).is_ok());
            let files = ModelFiles::embedded(name).unwrap();
            assert!(files.record_of(&resolved.model).unwrap().is_some());
        }
    }

    #[test]
    fn what_cannot_be_resolved_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.safetensors");
        std::fs::write(&file, "").unwrap();
        let error = |name: &str| format!("{:#}", resolve(name).unwrap_err());
        assert!(error(file.to_str().unwrap()).contains("give the model's directory"));
        assert!(error("cifar-clasifier").contains("did you mean `cifar-classifier`"));
        assert!(
            error("surface-fitter.kan").contains("train it with `zoo train surface-fitter.kan`")
        );
        assert!(error("me/absent").contains("is not in the cache"));
        assert!(error("a/b/c").contains("no directory and no repository"));
    }
}
