//! From what `--data` says to a dataset.

use std::path::Path;

use models::preprocessor::Preprocessor;

use super::{
    DataError, ImageDataset, Images, cifar, fit, folder, idx, parquet,
    remote::{self, Known, Remote, RemoteError},
    sample,
    store::Store,
};

/// The name of the embedded sample.
const SAMPLE: &str = "sample";

/// How to open a dataset.
#[derive(Clone)]
pub struct OpenOptions<'a> {
    /// Bring every image to the input of this model. Without it a dataset keeps its own size, and image
    /// folders, which have none, become 32×32 RGB.
    pub preprocessor: Option<Preprocessor>,
    /// Bring every image to this height and width in pixels, keeping its channels. Of no effect where
    /// `preprocessor` is given.
    pub size: Option<(usize, usize)>,
    /// The part of the training images that is held out for testing when the dataset has no test part.
    pub held_out: f64,
    /// Seed of that choice. Training and evaluation must agree on it, so it is not the seed of the training.
    pub split_seed: u64,
    /// Take a dataset without a test part for a test part as a whole, instead of holding images out: no model has
    /// learned from it.
    pub unseen: bool,
    /// Where named datasets come from. Without it none can be had.
    pub remote: Option<&'a dyn Remote>,
}

impl Default for OpenOptions<'_> {
    fn default() -> Self {
        Self {
            preprocessor: None,
            size: None,
            held_out: 0.1,
            split_seed: 0,
            unseen: false,
            remote: None,
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
    options: &OpenOptions<'_>,
) -> Result<ImageDataset, DataError> {
    let mut data = match spec {
        Some(SAMPLE) => open_sample(options)?,
        Some(spec) => match remote::find(spec) {
            Some(known) => {
                open_known(known, options).map_err(|error| error.into_data_error(spec))?
            }
            None => open_path(Path::new(spec), options)?,
        },
        None if default == SAMPLE => open_sample(options)?,
        None => open_default(default, options)?,
    };
    if let (Some(size), None) = (options.size, &options.preprocessor) {
        bring_to(&mut data, size);
    }
    Ok(data.seal())
}

/// Whether `spec` is the name of a dataset, not a path.
pub fn is_dataset_name(spec: &str) -> bool {
    spec == SAMPLE || remote::find(spec).is_some()
}

/// What `spec` is called where the paths of this machine mean nothing: a dataset's name, or the last part of a path.
pub fn public_name(spec: &str) -> String {
    let last = Path::new(spec).file_name();
    match last {
        Some(last) if !is_dataset_name(spec) => last.to_string_lossy().into_owned(),
        _ => spec.to_string(),
    }
}

/// Brings the images of a dataset that has a size of its own to another, and tells the user.
fn bring_to(data: &mut ImageDataset, (height, width): (usize, usize)) {
    let own = data.train.shape();
    if (own.height, own.width) == (height, width) {
        return;
    }
    for part in [&mut data.train, &mut data.test] {
        let to = fit::input(height, width, part.channels);
        let images = std::mem::replace(part, Images::empty(part.shape()));
        *part = fit::fit(images, &to);
    }
    data.source.notify(format!(
        "the images of `{}` are {}×{} and are brought to {height}×{width}",
        data.source.name, own.height, own.width
    ));
}

/// Why a known dataset is not there.
enum Unavailable {
    Fetch(RemoteError),
    Read(DataError),
}

impl Unavailable {
    fn into_data_error(self, dataset: &str) -> DataError {
        match self {
            Self::Fetch(error) => DataError::Fetch {
                dataset: dataset.into(),
                problem: error.to_string(),
            },
            Self::Read(error) => error,
        }
    }
}

fn open_known(known: &Known, options: &OpenOptions<'_>) -> Result<ImageDataset, Unavailable> {
    let folder = known.fetch(options.remote).map_err(Unavailable::Fetch)?;
    known.read(&folder, options).map_err(Unavailable::Read)
}

/// The dataset of a model, or the sample when the Hub cannot be reached.
fn open_default(name: &str, options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
    let Some(known) = remote::find(name) else {
        return Err(DataError::Fetch {
            dataset: name.into(),
            problem: "it has no home on the Hub; name one of cifar10, cifar100, mnist, fashion-mnist, sample".into(),
        });
    };
    match open_known(known, options) {
        Err(Unavailable::Fetch(error)) if error.unreachable => {
            let mut data = open_sample(options)?;
            data.source.notify(format!(
                "the embedded sample of Fashion-MNIST stands in for `{name}`, because {error}"
            ));
            Ok(data)
        }
        other => other.map_err(|error| error.into_data_error(name)),
    }
}

fn open_sample(options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
    let mut data = sample::load()?;
    if let Some(to) = &options.preprocessor {
        data.train = fit::fit(data.train, to);
        data.test = fit::fit(data.test, to);
    }
    Ok(data)
}

/// Opens the dataset at a path, whatever its format.
fn open_path(path: &Path, options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
    let store = Store::open(path)?;
    let wish = options.preprocessor.as_ref();
    let input = options
        .size
        .map_or_else(fit::default_input, |(height, width)| {
            fit::input(height, width, 3)
        });
    let parts = match cifar::read(&store)? {
        Some(parts) => Some(parts),
        None => match idx::read(&store, path)? {
            Some(parts) => Some(parts),
            None => match parquet::read(&store, path, wish)? {
                Some(parts) => Some(parts),
                None => folder::read(&store, path, wish.unwrap_or(&input))?,
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
