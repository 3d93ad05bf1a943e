//! From what `--data` says to a dataset.

use std::path::Path;

use models::preprocessor::Preprocessor;

use super::{DataError, ImageDataset, cifar, fit, folder, idx, parquet, sample, store::Store};

/// How to open a dataset.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Bring every image to the input of this model. Without it a dataset keeps its own size, and image
    /// folders, which have none, become 32×32 RGB.
    pub preprocessor: Option<Preprocessor>,
    /// The part of the training images that is held out for testing when the dataset has no test part.
    pub held_out: f64,
    /// Seed of that choice. Training and evaluation must agree on it, so it is not the seed of the training.
    pub split_seed: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            preprocessor: None,
            held_out: 0.1,
            split_seed: 0,
        }
    }
}

/// Opens the dataset that `--data` names.
///
/// `spec` is a path or a name (`cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `sample`). Without it the
/// dataset is `default`, from the cache or the Hub; when that cannot be had, it is the embedded sample, and
/// [`Source::notice`](super::Source::notice) says why.
///
/// The training part may be empty, where only test files were given.
///
/// # Errors
/// A sentence that names the file or dataset and the next step, see [`DataError`]. A dataset that was asked
/// for and cannot be had is an error, never the sample.
pub fn open_images(
    spec: Option<&str>,
    default: &str,
    options: &OpenOptions,
) -> Result<ImageDataset, DataError> {
    let data = match spec {
        Some("sample") => open_sample(options)?,
        None => {
            let mut data = open_sample(options)?;
            data.source.notify(format!(
                "this is the embedded sample, because `{default}` could not be fetched"
            ));
            data
        }
        Some(path) => open_path(Path::new(path), options)?,
    };
    Ok(data.seal())
}

fn open_sample(options: &OpenOptions) -> Result<ImageDataset, DataError> {
    let mut data = sample::load()?;
    if let Some(to) = &options.preprocessor {
        data.train = fit::fit(data.train, to);
        data.test = fit::fit(data.test, to);
    }
    Ok(data)
}

/// Opens the dataset at a path, whatever its format.
fn open_path(path: &Path, options: &OpenOptions) -> Result<ImageDataset, DataError> {
    let store = Store::open(path)?;
    let wish = options.preprocessor.as_ref();
    let parts = match cifar::read(&store)? {
        Some(parts) => Some(parts),
        None => match idx::read(&store, path)? {
            Some(parts) => Some(parts),
            None => match parquet::read(&store, path, wish)? {
                Some(parts) => Some(parts),
                None => folder::read(&store, path, wish.unwrap_or(&fit::default_input()))?,
            },
        },
    };
    match parts {
        Some(parts) => parts.finish(path, options),
        None => Err(DataError::UnknownFormat {
            path: path.into(),
            looked_for: found(&store),
        }),
    }
}

/// The first files of a store, for an error.
fn found(store: &Store) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = store
        .members()
        .iter()
        .take(SHOWN)
        .map(|member| format!("`{}`", member.display()))
        .collect();
    match store.members().len() {
        count if count > SHOWN => format!(
            "it holds {} and {} more files",
            names.join(", "),
            count - SHOWN
        ),
        _ => format!("it holds {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(spec: &str) -> Result<ImageDataset, String> {
        open_images(Some(spec), "cifar10", &OpenOptions::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_stands_in_only_when_nothing_was_asked_for() {
        let asked = open("sample").unwrap();
        assert!(asked.source.is_sample && asked.source.notice.is_none());
        assert_eq!((asked.train.len(), asked.test.len()), (6000, 2000));
        assert_eq!(asked.source.fingerprint.len(), 64);
    }

    #[test]
    fn what_is_not_a_dataset_is_named_with_the_next_step() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        fs::create_dir(at("empty")).unwrap();
        fs::create_dir(at("texts")).unwrap();
        for i in 0..5 {
            fs::write(at(&format!("texts/{i}.txt")), "text").unwrap();
        }
        fs::write(at("nothing"), "").unwrap();
        let error = |name: &str| open(&at(name)).unwrap_err();
        assert!(error("absent").contains("absent` does not exist"));
        assert!(error("empty").contains("empty` is empty"));
        assert!(error("nothing").contains("nothing` is empty"));
        let texts = error("texts");
        assert!(
            texts.contains("it holds `0.txt`, `1.txt`, `2.txt` and 2 more files"),
            "{texts}"
        );
        assert!(texts.contains("give a CIFAR binary folder"), "{texts}");
        #[cfg(unix)]
        assert!(
            open("/dev/null")
                .unwrap_err()
                .contains("neither a file nor a folder")
        );
        assert!(error("texts/1.txt").contains("none of the known datasets"));
    }
}
