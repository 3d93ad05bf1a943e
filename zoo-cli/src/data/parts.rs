//! What a reader finds, and how it becomes a dataset with two parts.

use std::path::Path;

use models::preprocessor::Preprocessor;

use super::{
    DataError, ImageDataset, Images, OpenOptions, SkippedFile, Source, classes, fit,
    inventory::Inventory, split,
};

/// Labels may not be larger than this.
pub(crate) const MAX_CLASSES: usize = 65_536;

/// The parts that a reader found.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) train: Option<Images>,
    pub(crate) validation: Option<Images>,
    pub(crate) test: Option<Images>,
    pub(crate) label_names: Vec<String>,
    pub(crate) skipped: Vec<SkippedFile>,
    /// What the user must be told.
    pub(crate) notices: Vec<String>,
}

impl Parts {
    /// Two parts whose labels have no names but their numbers.
    pub(crate) fn unnamed(
        path: &Path,
        train: Option<Images>,
        test: Option<Images>,
    ) -> Result<Self, DataError> {
        let count = |part: &Option<Images>| {
            let labels = part.iter().flat_map(|images| &images.labels);
            labels.max().map_or(0, |&label| label as usize + 1)
        };
        let classes = if train.is_some() {
            count(&train)
        } else {
            count(&test)
        };
        let parts = Self {
            train,
            test,
            label_names: classes::numbered(classes),
            ..Self::default()
        };
        parts.check_labels(path)?;
        Ok(parts)
    }

    /// Every label must have a name.
    ///
    /// # Errors
    /// [`DataError::Label`] for the first that has none.
    pub(crate) fn check_labels(&self, path: &Path) -> Result<(), DataError> {
        let classes = self.label_names.len();
        let parts = [&self.train, &self.validation, &self.test];
        for part in parts.into_iter().flatten() {
            let beyond = |&label: &u32| label as usize >= classes;
            if let Some(index) = part.labels.iter().position(beyond) {
                return Err(DataError::Label {
                    path: path.into(),
                    index,
                    label: i64::from(part.labels[index]),
                    classes,
                });
            }
        }
        Ok(())
    }

    /// The dataset: brought to the input `to`, with a held-out test part where it has none. A validation part stays
    /// what it is.
    ///
    /// # Errors
    /// When there are fewer than two classes, no images but those of a validation part, or labels without a class.
    pub(crate) fn finish(
        self,
        path: &Path,
        mut inventory: Inventory,
        to: &Preprocessor,
        options: &OpenOptions<'_>,
    ) -> Result<ImageDataset, DataError> {
        if self.label_names.len() < 2 {
            return Err(DataError::Malformed {
                path: path.into(),
                format: "a dataset to classify",
                problem: match self.label_names.first() {
                    Some(class) => format!("it has the one class `{class}`; add images of another"),
                    None => "it has no classes; give labelled images".into(),
                },
            });
        }
        self.check_labels(path)?;
        let mut source = Source {
            name: path.display().to_string(),
            skipped: self.skipped,
            ..Source::default()
        };
        self.notices
            .into_iter()
            .for_each(|notice| source.notify(notice));
        let fit = |images: Images| fit::fit(images, to);
        let validation = self.validation.map(fit);
        let watched = validation.as_ref().map_or(0, Images::len);
        let (train, test) = match (self.train.map(fit), self.test.map(fit)) {
            (Some(train), Some(test)) => (train, test),
            (Some(all), None) if options.unseen => {
                source.notify(match watched {
                    0 => format!(
                        "`{}` has no test part: all of its {} images are taken for testing",
                        path.display(),
                        all.len()
                    ),
                    _ => format!(
                        "`{}` has no test part: its {} training images are taken for testing, and the {watched} of its \
                         validation part are not",
                        path.display(),
                        all.len()
                    ),
                });
                inventory.held_out = all.len();
                (Images::empty(all.shape()), all)
            }
            (Some(mut all), None) => {
                let (kept, held) =
                    split::hold_out(&all.labels, options.held_out, options.split_seed);
                source.notify(match watched {
                    0 => format!(
                        "`{}` has no test part: {} of its {} images are held out for testing",
                        path.display(),
                        held.len(),
                        all.len()
                    ),
                    _ => format!(
                        "`{}` has no test part: {} of its {} training images are held out for testing, and its \
                         validation part stays one",
                        path.display(),
                        held.len(),
                        all.len()
                    ),
                });
                inventory.held_out = held.len();
                let test = all.select(&held);
                all.keep(&kept);
                (all, test)
            }
            (None, Some(test)) => {
                source.notify(format!("`{}` has no training part", path.display()));
                (Images::empty(test.shape()), test)
            }
            (None, None) if watched > 0 => {
                return Err(DataError::Malformed {
                    path: path.into(),
                    format: "a dataset to classify",
                    problem: "it has a validation part and no other; add a training part".into(),
                });
            }
            (None, None) => return Err(DataError::Empty { path: path.into() }),
        };
        Ok(ImageDataset {
            train,
            validation,
            test,
            label_names: self.label_names,
            source,
            inventory,
        })
    }
}
