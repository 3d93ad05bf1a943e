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
    /// Parts whose labels have no names but their numbers.
    pub(crate) fn unnamed(
        path: &Path,
        train: Option<Images>,
        validation: Option<Images>,
        test: Option<Images>,
    ) -> Result<Self, DataError> {
        let count = |part: &Option<Images>| {
            let labels = part.iter().flat_map(|images| &images.labels);
            labels.max().map_or(0, |&label| label as usize + 1)
        };
        let classes = match (&train, &test) {
            (None, None) => count(&validation),
            (None, test) => count(test),
            (train, _) => count(train),
        };
        let parts = Self {
            train,
            validation,
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
            (Some(mut all), None) => {
                let count = all.len();
                let (kept, held) = match options.unseen {
                    true => (Vec::new(), (0..count).collect()),
                    false => split::hold_out(&all.labels, options.held_out, options.split_seed),
                };
                inventory.held_out = held.len();
                let what = match (options.unseen, watched) {
                    (true, 0) => format!("all of its {count} images are taken for testing"),
                    (true, _) => format!(
                        "its {count} training images are taken for testing, and the {watched} of its validation part are not"
                    ),
                    (false, 0) => format!(
                        "{} of its {count} images are held out for testing",
                        held.len()
                    ),
                    (false, _) => format!(
                        "{} of its {count} training images are held out for testing, and its validation part stays one",
                        held.len()
                    ),
                };
                source.notify(format!("`{}` has no test part: {what}", path.display()));
                if options.unseen {
                    (Images::empty(all.shape()), all)
                } else {
                    let test = all.select(&held);
                    all.keep(&kept);
                    (all, test)
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

    fn images(labels: &[u32]) -> Option<Images> {
        let mut images = Images::empty(ImageShape::new(32, 32, 3));
        let pixels = vec![0; images.shape().len()];
        labels.iter().for_each(|&label| images.push(&pixels, label));
        Some(images)
    }

    fn finish(parts: Parts, unseen: bool) -> Result<ImageDataset, String> {
        let parts = Parts {
            label_names: classes::named(&["cat", "dog"]),
            ..parts
        };
        let options = OpenOptions {
            unseen,
            ..OpenOptions::default()
        };
        let to = fit::input(32, 32, 3);
        parts
            .finish(Path::new("d"), Inventory::default(), &to, &options)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn validation_stays_validation() {
        let three = |train, validation, test| Parts {
            train,
            validation,
            test,
            ..Parts::default()
        };
        let many: Vec<u32> = (0..40).map(|i| i % 2).collect();
        // Parts, unseen, images of each part, held out, words of the notice.
        for (parts, unseen, counts, held_out, said) in [
            (
                three(images(&many), images(&[0, 1]), images(&[1])),
                false,
                [40, 2, 1],
                0,
                "",
            ),
            (
                three(images(&many), images(&[0, 1]), None),
                false,
                [36, 2, 4],
                4,
                "4 of its 40 training images are held out",
            ),
            (
                three(images(&many), None, None),
                false,
                [36, 0, 4],
                4,
                "4 of its 40 images are held out",
            ),
            (
                three(images(&many), None, None),
                true,
                [0, 0, 40],
                40,
                "all of its 40 images are taken for testing",
            ),
            (
                three(images(&many), images(&[0]), None),
                true,
                [0, 1, 40],
                40,
                "the 1 of its validation part are not",
            ),
            (
                three(None, images(&[0]), images(&[0, 1])),
                false,
                [0, 1, 2],
                0,
                "has no training part",
            ),
        ] {
            let data = finish(parts, unseen).unwrap();
            let validation = data.validation.map_or(0, |images| images.len());
            assert_eq!([data.train.len(), validation, data.test.len()], counts);
            assert_eq!(data.inventory.held_out, held_out);
            assert!(
                data.source.notice.unwrap_or_default().contains(said),
                "{said}"
            );
        }
        let error = finish(three(None, images(&[0, 1]), None), false).unwrap_err();
        assert!(error.contains("a validation part and no other"), "{error}");
        let error = finish(three(images(&[0, 1]), None, images(&[0, 2])), false).unwrap_err();
        assert!(error.contains("example 1 the label 2"), "{error}");
    }
}
