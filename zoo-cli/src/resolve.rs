//! MODEL on the command line: a directory, a name of the registry, or a repository of the Hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use models::{ModelDir, model_dir, registry};
use serde_json::Value;

use crate::data::is_repository;
use crate::hub::{self, Progress, RepoId, RepoKind, Request, Settings};
use crate::layout::TRAINING;
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
        check_finished(path)?;
        return Ok(ModelFiles::Directory(path.to_path_buf()));
    }
    if path.exists() {
        bail!("`{name}` is a file; give the model's directory");
    }
    if let Some(folder) = folder_of(path) {
        bail!(
            "`{name}` does not exist; give a model's directory{}",
            models_in(folder)
        );
    }
    if name.contains('/') {
        let (repo, revision) = RepoId::parse_with_revision(name)
            .with_context(|| format!("`{name}` is no directory and no repository"))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        if !is_repository(name) {
            bail!(
                "`{}` does not exist; give a model's directory",
                absolute.display()
            );
        }
        let request = Request {
            repo: &repo,
            kind: RepoKind::Model,
            revision: &revision,
            patterns,
        };
        return match hub::download(&request, settings, progress) {
            Ok(snapshot) => Ok(ModelFiles::Directory(snapshot.dir)),
            Err(error) if error.finds_nothing() => Err(error).with_context(|| {
                format!(
                    "`{}` does not exist, and as a repository of the Hub it cannot be had",
                    absolute.display()
                )
            }),
            Err(error) => Err(error.into()),
        };
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

/// The folder in which `path` would lie, where it is there: then it is no repository of the Hub.
fn folder_of(path: &Path) -> Option<&Path> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.filter(|folder| {
        path.is_absolute() || path.starts_with("..") || path.starts_with(".") || folder.is_dir()
    })
}

/// The models in a folder, as a part of a sentence.
fn models_in(folder: &Path) -> String {
    const SHOWN: usize = 3;
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(model_dir::CONFIG).is_file())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    found.sort();
    let more = if found.len() > SHOWN { ", …" } else { "" };
    found.truncate(SHOWN);
    match found.is_empty() {
        true => String::new(),
        false => format!(", such as {}{more}", found.join(", ")),
    }
}

/// Refuses the directory of a run that has not made its model yet, and one that only holds models.
fn check_finished(dir: &Path) -> anyhow::Result<()> {
    if dir.join(model_dir::CONFIG).exists() {
        return Ok(());
    }
    let shown = dir.display();
    let files = ModelFiles::Directory(dir.to_path_buf());
    let record = files.read(TRAINING).ok().flatten();
    let record: Option<Value> = record.and_then(|text| serde_json::from_slice(&text).ok());
    // A finished run has lost its `config.json`.
    if record.is_some_and(|record| record["result"].is_null()) {
        bail!(
            "the run in `{shown}` is not finished and holds no model yet; go on with `zoo train --resume {shown}`"
        );
    }
    let inside = models_in(dir);
    if !inside.is_empty() {
        bail!("`{shown}` holds no model itself; give a model's directory{inside}");
    }
    Ok(())
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
        let here = std::env::current_dir().unwrap().join("me/absent");
        let said = format!("`{}` does not exist, and as a repository", here.display());
        assert!(
            error("me/absent").starts_with(&said),
            "{}",
            error("me/absent")
        );
        // Where runs are kept is no owner of repositories.
        let said = error("runs/absent");
        assert!(
            said.ends_with("runs/absent` does not exist; give a model's directory"),
            "{said}"
        );
        assert!(error("a/b/c").contains("no directory and no repository"));
    }

    #[test]
    fn what_lies_in_a_folder_is_no_repository() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["runs/a", "runs/b", "runs/broken"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("runs/a/config.json"), "").unwrap();
        std::fs::write(at("runs/broken/training.json"), "{\"result\": null}").unwrap();
        let error = |name: &str| format!("{:#}", resolve(name).unwrap_err());
        for absent in [
            at("runs/no-such"),
            at("gone/x"),
            "./x/y".into(),
            "src/no-such".into(),
        ] {
            let said = error(&absent);
            assert!(
                said.starts_with(&format!("`{absent}` does not exist")),
                "{said}"
            );
        }
        let said = error(&at("runs/no-such"));
        assert!(
            said.ends_with(&format!("such as `{}`", at("runs/a"))),
            "{said}"
        );
        let broken = at("runs/broken");
        let said = error(&broken);
        assert!(
            said.ends_with(&format!("`zoo train --resume {broken}`")),
            "{said}"
        );
        assert!(error(&at("runs")).contains("holds no model itself"));
    }
}
