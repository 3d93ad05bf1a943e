//! From what `--data` says to a dataset.

use std::path::Path;

use models::preprocessor::Preprocessor;

use super::{
    DataError, ImageDataset, classes, fit,
    inventory::Inventory,
    parts::Parts,
    place::{Place, Unavailable},
    readers,
    remote::{self, Remote},
    sample,
    sketch::Learned,
    store::Store,
};

/// The name of the embedded sample.
pub(super) const SAMPLE: &str = "sample";

/// Images of one size keep it up to this many pixels a side.
const KEPT_SIDE: usize = 64;

/// How to open a dataset.
#[derive(Clone)]
pub struct OpenOptions<'a> {
    /// Bring every image to the input of this model. Without it a dataset keeps its own size, and image
    /// folders, whose images have several, become 32×32.
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
    /// What a network has learned from that is to be tested: images of these among the test images are told of in
    /// [`Source::notice`](super::Source::notice), unless it is the same dataset.
    pub learned: Option<Learned>,
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
            learned: None,
            remote: None,
        }
    }
}

/// Opens the dataset that `--data` names.
///
/// `spec` is a path, a name (`cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `sample`), or `owner/name[@revision]` of a
/// dataset on the Hub where there is no folder `owner`. Without it the dataset is `default`, from the cache or the Hub;
/// when that cannot be had, it is the embedded sample, and [`Source::notice`](super::Source::notice) says why.
///
/// # Errors
/// One sentence that names the file or the dataset and says what to do next. Data that was asked for and
/// cannot be had is an error, never the sample.
pub fn open_images(
    spec: Option<&str>,
    default: &str,
    options: &OpenOptions<'_>,
) -> Result<ImageDataset, DataError> {
    let data = match spec {
        Some(SAMPLE) => open_sample(options)?,
        Some(spec) => Place::find(spec, options.remote)
            .map_err(|error| error.into_data_error(spec))?
            .open(options)?,
        None if default == SAMPLE => open_sample(options)?,
        None => open_default(default, options)?,
    };
    let mut data = data.seal();
    let other = |learned: &&Learned| learned.fingerprint != data.source.fingerprint;
    if let Some(learned) = options.learned.as_ref().filter(other) {
        let overlap = learned.sketch.overlap(&data.test);
        overlap
            .in_words()
            .into_iter()
            .for_each(|said| data.source.notify(said));
    }
    Ok(data)
}

/// Whether `spec` is the name of a dataset or of a repository of the Hub, not a path.
pub fn is_dataset_name(spec: &str) -> bool {
    spec == SAMPLE || remote::find(spec).is_some() || remote::is_repository(spec)
}

/// What `spec` is called where the paths of this machine mean nothing: a dataset's name, or the last part of a path.
pub fn public_name(spec: &str) -> String {
    let last = Path::new(spec).file_name();
    match last {
        Some(last) if !is_dataset_name(spec) => last.to_string_lossy().into_owned(),
        _ => spec.to_string(),
    }
}

/// The dataset of a model, or the sample when the Hub cannot be reached.
fn open_default(name: &str, options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
    let Some(known) = remote::find(name) else {
        return Err(DataError::Fetch {
            dataset: name.into(),
            problem: "it has no home on the Hub; name one of cifar10, cifar100, mnist, fashion-mnist, sample".into(),
        });
    };
    match Place::known(known, options.remote) {
        Err(Unavailable::Fetch(error)) if error.unreachable => {
            let mut data = open_sample(options)?;
            data.source.notify(format!(
                "the embedded sample of Fashion-MNIST stands in for `{name}`, because {error}"
            ));
            Ok(data)
        }
        place => place
            .map_err(|error| error.into_data_error(name))?
            .open(options),
    }
}

fn open_sample(options: &OpenOptions<'_>) -> Result<ImageDataset, DataError> {
    let mut data = sample::load()?;
    let to = input(&data.inventory, options);
    data.inventory.input = Some([to.height, to.width, to.channels]);
    data.train = fit::fit(data.train, &to);
    data.test = fit::fit(data.test, &to);
    Ok(data)
}

/// The dataset in the files of `store`, or nothing where they are of no known format. `classes` are the names of its
/// classes where it has only numbers for them.
pub(super) fn open_store(
    store: &Store,
    path: &Path,
    classes: Option<&[&str]>,
    options: &OpenOptions<'_>,
) -> Result<Option<ImageDataset>, DataError> {
    let Some(survey) = readers::survey(store, path)? else {
        return Ok(None);
    };
    let mut inventory = survey.inventory;
    let to = input(&inventory, options);
    let parts = load(survey.load, &to, path, classes, &mut inventory)?;
    parts.finish(path, inventory, &to, options).map(Some)
}

/// Reads the images that were found, and brings what was found up to date with what could be read.
pub(super) fn load(
    load: readers::Load<'_>,
    to: &Preprocessor,
    path: &Path,
    classes: Option<&[&str]>,
    inventory: &mut Inventory,
) -> Result<Parts, DataError> {
    inventory.input = Some([to.height, to.width, to.channels]);
    let mut parts = load(to)?;
    if let Some(names) = classes.filter(|names| parts.label_names.len() <= names.len()) {
        parts.label_names = classes::named(names);
    }
    inventory.count_classes(&parts);
    inventory.leave_out_failed(path, &parts.skipped);
    Ok(parts)
}

/// The input to which the images of a dataset are brought: that of the model, the size that was asked for, or, one
/// rule for every format, the images' own size where they all have one of at most [`KEPT_SIDE`], else 32×32; in
/// colour where any image has colour.
pub(super) fn input(inventory: &Inventory, options: &OpenOptions<'_>) -> Preprocessor {
    if let Some(to) = &options.preprocessor {
        return to.clone();
    }
    let channels = if inventory.colour > 0 { 3 } else { 1 };
    let own = match inventory.sizes.as_slice() {
        [size] if inventory.distinct_sizes == 1 && size.height.max(size.width) <= KEPT_SIDE => {
            Some((size.height, size.width))
        }
        _ => None,
    };
    let (height, width) = options.size.or(own).unwrap_or((32, 32));
    fit::input(height, width, channels)
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
        assert!(texts.contains("give images in class folders"), "{texts}");
        #[cfg(unix)]
        assert!(
            open("/dev/null")
                .unwrap_err()
                .contains("neither a file nor a folder")
        );
        assert!(error("texts/1.txt").contains("none of the known datasets"));
    }
}
